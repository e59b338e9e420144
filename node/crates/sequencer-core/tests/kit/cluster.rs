//! Several members and the mail between them. Nothing is delivered, lost or doubled unless the test says so.

use std::collections::BTreeSet;

use sequencer_core::{Event, Now, Role};

use super::{Mail, Node, at_ns, config, message};

/// Rounds after which a cluster that does not come to rest has a bug.
const ROUNDS_MAX: usize = 200;

/// See the module's description. Members are numbered from 1.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) mail: Vec<Mail>,
    pub(crate) now: Now,
    /// Members that are stopped: they take in nothing and mail to them is lost.
    pub(crate) down: BTreeSet<u32>,
    /// Directed links that lose everything.
    pub(crate) cut: BTreeSet<(u32, u32)>,
}

impl Cluster {
    pub(crate) fn new(voters: u32) -> Self {
        Self::of((1..=voters).map(|id| Node::new(config(id, voters))).collect())
    }

    pub(crate) fn of(nodes: Vec<Node>) -> Self {
        Self { nodes, mail: Vec::new(), now: at_ns(0), down: BTreeSet::new(), cut: BTreeSet::new() }
    }

    pub(crate) fn node(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    pub(crate) fn status(&self, id: u32) -> sequencer_core::Status {
        self.nodes[id as usize - 1].core.status()
    }

    /// Loses all mail between `ids` and the others, both ways, until [`Cluster::heal`].
    pub(crate) fn isolate(&mut self, ids: &[u32]) {
        for inside in ids {
            for outside in self.nodes.iter().map(Node::id).filter(|id| !ids.contains(id)) {
                self.cut.extend([(*inside, outside), (outside, *inside)]);
            }
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Stops a member; its mail on the way is lost.
    pub(crate) fn crash(&mut self, id: u32) {
        self.down.insert(id);
        self.node(id).outbox.clear();
        self.mail.retain(|mail| mail.from != id && mail.to != id);
    }

    /// Starts a stopped member from its disk.
    pub(crate) fn restart(&mut self, id: u32) {
        assert!(self.down.remove(&id));
        let now = self.now;
        self.node(id).restart(now.monotonic_ns + u64::from(id), now);
    }

    /// Takes what the members sent into the network.
    pub(crate) fn collect(&mut self) {
        for node in &mut self.nodes {
            self.mail.append(&mut node.outbox);
        }
        let (down, cut) = (&self.down, &self.cut);
        self.mail.retain(|mail| !down.contains(&mail.to) && !cut.contains(&(mail.from, mail.to)));
    }

    /// Takes the mail for which `wanted` holds out of the network.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Mail) -> bool) -> Vec<Mail> {
        self.collect();
        let (taken, left) = std::mem::take(&mut self.mail).into_iter().partition(wanted);
        self.mail = left;
        taken
    }

    /// Delivers these, oldest first.
    pub(crate) fn deliver(&mut self, mail: &[Mail]) {
        let now = self.now;
        for mail in mail {
            self.node(mail.to).receive(mail, now);
        }
    }

    /// Delivers what is on the way now, and not what that causes.
    pub(crate) fn deliver_round(&mut self) -> usize {
        let mail = self.take(|_| true);
        self.deliver(&mail);
        mail.len()
    }

    /// Delivers until nothing is on the way, without flushes and syncs.
    pub(crate) fn deliver_all(&mut self) {
        let quiet = (0..ROUNDS_MAX).any(|_| self.deliver_round() == 0);
        assert!(quiet, "the messages never end");
    }

    pub(crate) fn sync(&mut self, id: u32) {
        let now = self.now;
        self.node(id).sync(now);
    }

    pub(crate) fn flush(&mut self, id: u32) {
        let now = self.now;
        self.node(id).flush(now);
    }

    pub(crate) fn tick(&mut self, id: u32) {
        let now = self.now;
        self.node(id).step(Event::Tick, now);
    }

    /// Flushes, syncs and delivers until nothing is on the way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            for id in self.up() {
                self.flush(id);
                self.sync(id);
            }
            if self.deliver_round() == 0 {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Members that are not stopped.
    pub(crate) fn up(&self) -> Vec<u32> {
        self.nodes.iter().map(Node::id).filter(|id| !self.down.contains(id)).collect()
    }

    /// Moves both clocks on.
    pub(crate) fn advance_ns(&mut self, ns: u64) {
        self.now.monotonic_ns += ns;
        self.now.wall_ns += ns;
    }

    /// Lets the time pass at which `id` is due, and ticks only that member.
    pub(crate) fn tick_when_due(&mut self, id: u32) {
        let due = self.node(id).core.next_deadline_ns();
        self.advance_ns(due.saturating_sub(self.now.monotonic_ns));
        self.tick(id);
    }

    /// A heartbeat of the leader `id`.
    pub(crate) fn heartbeat(&mut self, id: u32) {
        assert_eq!(self.status(id).role, Role::Leader);
        self.tick_when_due(id);
    }

    /// Lets `id` campaign until it leads, delivering everything, and lets the cluster come to rest.
    pub(crate) fn elect(&mut self, id: u32) {
        self.campaign(id);
        self.settle();
        assert_eq!(self.status(id).role, Role::Leader);
    }

    /// Lets `id` campaign until it leads. Its first appends are on the way then.
    pub(crate) fn campaign(&mut self, id: u32) {
        for _ in 0..4 {
            self.tick_when_due(id);
            // Two requests and their answers, and the look at the outcome.
            for _ in 0..5 {
                if self.status(id).role == Role::Leader {
                    return;
                }
                self.deliver_round();
            }
        }
        panic!("{id} does not win: {:?}", self.status(id));
    }

    /// Admits one message of `payload_bytes` at `id` and returns its end.
    pub(crate) fn propose(&mut self, id: u32, payload_bytes: usize) -> u64 {
        let now = self.now;
        let payload = vec![0x5a; payload_bytes];
        let admitted = self.node(id).core.propose(&message(&payload), now).expect("it is admitted");
        admitted.end.0
    }
}
