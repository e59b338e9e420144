//! How time passes: one queue of events, one node acting at a time, until all is well again or a rule is broken.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use sequencer_runtime::Replica;
use sequencer_storage::{SimDisk, SplitMix64};
use sequencer_wire::{NodeId, Position, decode_peer};
use serde_json::json;

use crate::actors::{self, Actor, Asked, Reply};
use crate::checker::{Checker, Violation};
use crate::network::Network;
use crate::node::{CLUSTER, NODES_MAX, SimNode, founder_data};
use crate::outside::Outside;
use crate::profile::{ELECTION_TIMEOUT_NS, Fault, MS, Profile};
use crate::stats::Stats;
use crate::trace::{self, Trace};

/// Once everything has healed, the cluster must serve within this many virtual nanoseconds: 40 election time-outs.
pub(crate) const RECOVERY_BOUND_NS: u64 = 40 * ELECTION_TIMEOUT_NS;

/// So many times that bound at most, as long as things come nearer.
const ROUNDS_MAX: u32 = 25;

/// Keeps small seeds apart from other uses of the same generator.
const SEED_SALT: u64 = 0x05e9_0e9c_e500;

/// More events than any seed needs; a world that reaches it runs in circles.
const EVENTS_MAX: u64 = 5_000_000;

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Action {
    /// A peer's message, with the UUID that its connection named.
    Deliver {
        from: usize,
        to: usize,
        data: [u8; 16],
        bytes: Vec<u8>,
    },
    Wake {
        node: usize,
        life: u64,
    },
    SyncDone {
        node: usize,
        life: u64,
    },
    Resume {
        node: usize,
    },
    /// A burst of frames without rules.
    Flood,
    /// An inhabitant's time has come.
    Act {
        actor: usize,
    },
    /// A request arrives at a node.
    Ask {
        actor: usize,
        node: usize,
        tag: u64,
        asked: Box<Asked>,
    },
    /// A reply arrives at an inhabitant.
    Reply {
        actor: usize,
        tag: u64,
        reply: Box<Reply>,
    },
    Strike(Fault),
    Ambush {
        node: usize,
        life: u64,
        fault: Fault,
    },
    Calm {
        unblock: bool,
    },
    FreeDisk {
        node: usize,
    },
    Start {
        node: usize,
    },
    CheckServing,
}

/// An action and when it is due; those due together keep the order in which they were scheduled.
#[derive(Debug)]
struct Due {
    at_ns: u64,
    count: u64,
    action: Action,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_ns, self.count).cmp(&(other.at_ns, other.count))
    }
}

pub(crate) struct World {
    pub(crate) profile: Profile,
    pub(crate) rng: SplitMix64,
    pub(crate) now_ns: u64,
    queue: BinaryHeap<Reverse<Due>>,
    queued: u64,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) actors: Vec<Box<dyn Actor>>,
    founders: Vec<NodeId>,
    pub(crate) network: Network,
    pub(crate) checker: Checker,
    pub(crate) stats: Stats,
    pub(crate) trace: Trace,
    pub(crate) next_message: u64,
    /// Everything has healed; what was committed by then.
    pub(crate) healed: Option<Position>,
    pub(crate) served_after_healing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, is_plain: bool, trace: Trace) -> Self {
        let mut rng = SplitMix64::new(seed ^ SEED_SALT);
        let mut profile = Profile::draw(&mut rng);
        if is_plain {
            profile.make_plain();
        }
        let voters: Vec<NodeId> = (1..=profile.voters as u32).map(NodeId).collect();
        let founder = |id: &NodeId| SimNode::new(*id, founder_data(*id), &voters, &profile, &mut rng);
        let nodes = voters.iter().map(founder).collect();
        let actors = actors::settle(&profile, &mut rng);
        let mut world = Self {
            network: Network::new(NODES_MAX, profile.calm_weather()),
            rng,
            now_ns: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            nodes,
            actors,
            founders: voters.clone(),
            checker: Checker::new(&voters, profile.sessions_max),
            stats: Stats::default(),
            trace,
            next_message: 0,
            healed: None,
            served_after_healing: false,
            profile,
        };
        world.trace.event(0, None, "config", || {
            json!({
                "seed": seed,
                "voters": voters.iter().map(|id| id.0).collect::<Vec<_>>(),
                "durability": format!("{:?}", world.profile.durability).to_lowercase(),
                "election_timeout_ns": ELECTION_TIMEOUT_NS,
            })
        });
        world
    }

    /// Runs to the end: trouble, healing, service.
    pub(crate) fn run(mut self) -> (Option<Violation>, Stats) {
        for node in 0..self.nodes.len() {
            self.schedule(0, Action::Start { node });
        }
        self.wake_people();
        self.schedule(MS, Action::Flood);
        for fault in Fault::ALL {
            self.schedule_strike(fault);
        }
        let trouble_ns = self.profile.trouble_ns;
        self.run_until(trouble_ns);
        if self.checker.violation().is_none() {
            self.heal();
            self.run_until(trouble_ns + RECOVERY_BOUND_NS);
            // It serves; whoever is far behind may still be on its way through a narrow window, but must come nearer all the time.
            // So must the inhabitants, who go on from where the trouble left them.
            for _ in 0..ROUNDS_MAX {
                if !self.served_after_healing || self.is_over() {
                    break;
                }
                let before = (self.longest_lag(), self.unfinished(), self.checker.committed.end());
                self.run_until(self.now_ns + RECOVERY_BOUND_NS);
                let nearer = self.longest_lag() < before.0 || self.unfinished() < before.1;
                if !nearer && self.checker.committed.end() == before.2 {
                    break;
                }
            }
            if !self.is_over() {
                let verdict = self.judge_not_serving();
                self.checker.judge(self.now_ns, verdict);
            }
        }
        if self.checker.violation().is_none() && self.is_over() {
            for service in 1..=self.profile.people.services.len() as u32 {
                let verdict = actors::check_outputs(&self.checker.committed, &self.checker.rules, service);
                self.checker.judge(self.now_ns, verdict);
            }
        }
        self.stats.add("messages committed", self.checker.committed.messages());
        self.stats.add("bytes committed", self.checker.committed.end().0);
        for node in &self.nodes {
            let disk = node.disk.counters();
            self.stats.add("torn writes", disk.torn_writes);
            self.stats.add("sectors lost", disk.lost_sectors);
            self.stats.add("names lost", disk.lost_directory_operations);
        }
        (self.checker.take_violation(), self.stats)
    }

    pub(crate) fn schedule(&mut self, delay_ns: u64, action: Action) {
        self.queued += 1;
        self.queue.push(Reverse(Due { at_ns: self.now_ns + delay_ns, count: self.queued, action }));
    }

    /// Another machine, whose node has to be added by an operator.
    pub(crate) fn add_node(&mut self, id: NodeId, data: [u8; 16]) {
        assert!(
            id.0 as usize == self.nodes.len() + 1 && self.nodes.len() < NODES_MAX,
            "nodes are numbered in order"
        );
        let mut node = SimNode::new(id, data, &self.founders, &self.profile, &mut self.rng);
        node.monotonic_base_ns += self.rng.below(1 << 20);
        self.nodes.push(node);
        self.stats.hit("nodes set up");
        self.schedule(MS, Action::Start { node: self.nodes.len() - 1 });
    }

    /// Inhabitants who have not finished what they started.
    fn unfinished(&self) -> usize {
        self.actors.iter().filter(|actor| !actor.is_done(&self.checker.committed)).count()
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed.is_some()
    }

    fn is_over(&self) -> bool {
        self.checker.violation().is_some()
            || (self.served_after_healing && self.unfinished() == 0 && self.is_converged())
    }

    fn run_until(&mut self, end_ns: u64) {
        while self.checker.violation().is_none() {
            match self.queue.peek() {
                Some(Reverse(due)) if due.at_ns <= end_ns => {}
                _ => break,
            }
            let Some(Reverse(Due { at_ns, count, action })) = self.queue.pop() else { break };
            if count > EVENTS_MAX {
                self.checker.judge(at_ns, Err(("progress", format!("{count} events without an end"))));
            }
            self.now_ns = at_ns;
            if matches!(action, Action::CheckServing) && self.is_over() {
                return;
            }
            self.act(action);
        }
        self.now_ns = self.now_ns.max(end_ns);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver { from, to, data, bytes } => {
                // A link that broke meanwhile loses what was on it.
                if self.network.is_blocked(from, to) {
                    self.stats.hit("messages blocked");
                } else {
                    self.deliver(from, to, data, bytes);
                }
            }
            Action::Wake { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].wake_at_ns <= self.now_ns {
                    self.nodes[node].wake_at_ns = u64::MAX;
                    self.turn(node);
                }
            }
            Action::SyncDone { node, life } => {
                if self.nodes[node].life == life {
                    self.nodes[node].sync_scheduled = false;
                    self.nodes[node].disk.complete_sync();
                    self.turn(node);
                }
            }
            Action::Resume { node } => self.resume(node),
            Action::Flood => self.flood(),
            Action::Act { actor } => self.act_for(actor),
            Action::Ask { actor, node, tag, asked } => self.ask(actor, node, tag, &asked),
            Action::Reply { actor, tag, reply } => self.deliver_reply(actor, tag, *reply),
            Action::Strike(fault) => {
                if !self.is_healed() {
                    let node = self.pick_target(fault);
                    self.strike(fault, node);
                    self.schedule_strike(fault);
                }
            }
            Action::Ambush { node, life, fault } => {
                if !self.is_healed() && self.nodes[node].life == life {
                    self.stats.hit("ambushes");
                    self.strike(fault, node);
                }
            }
            Action::Calm { unblock } => {
                if unblock {
                    self.network.unblock_all();
                } else {
                    self.network.weather = self.profile.calm_weather();
                }
            }
            Action::FreeDisk { node } => self.nodes[node].disk.set_free_bytes(None),
            Action::Start { node } => self.start(node),
            Action::CheckServing => self.schedule(10 * MS, Action::CheckServing),
        }
    }

    fn pick_target(&mut self, fault: Fault) -> usize {
        let any = self.rng.below(self.nodes.len() as u64) as usize;
        let hurts_leaders = matches!(fault, Fault::Isolate | Fault::SlowDisk);
        if hurts_leaders && self.rng.below(4) > 0 { self.leader().unwrap_or(any) } else { any }
    }

    fn schedule_strike(&mut self, fault: Fault) {
        if let Some(interval) = self.profile.intervals[fault as usize] {
            let delay = self.rng.below(2 * interval) + 1;
            self.schedule(delay, Action::Strike(fault));
        }
    }

    pub(crate) fn deliver(&mut self, from: usize, to: usize, data: [u8; 16], bytes: Vec<u8>) {
        if self.nodes[to].paused_until_ns > self.now_ns {
            // The kernel keeps what a process does not read, up to a bound.
            if self.nodes[to].held.len() < 256 {
                self.nodes[to].held.push((from, data, bytes));
            }
            return;
        }
        let from_id = NodeId(from as u32 + 1);
        if self.nodes[to].replica.as_mut().is_some_and(|replica| replica.check_peer(from_id, data).is_err()) {
            self.stats.hit("connections refused");
            return;
        }
        let at_ns = self.now_ns;
        let id = self.nodes[to].id;
        if self.trace.is_on()
            && self.nodes[to].is_up()
            && let Ok((envelope, message, _)) = decode_peer(&bytes, CLUSTER)
        {
            self.trace.event(
                at_ns,
                Some(id.0),
                "receive",
                || json!({"from": envelope.from.0, "m": trace::describe_message(envelope.term, &message)}),
            );
        }
        let outcome = self.with_replica(to, |replica, now, outside| replica.receive(&bytes, now, outside));
        match outcome {
            None => {}
            Some(Ok(Err(_))) => self.stats.hit("damaged messages refused"),
            Some(Ok(Ok(()))) => self.turn(to),
            Some(Err(error)) => self.on_failure(to, &error),
        }
    }

    /// Lets a node's process act, if it runs; sends what it sends.
    pub(crate) fn with_replica<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Replica<SimDisk>, sequencer_core::Now, &mut Outside<'_>) -> T,
    ) -> Option<T> {
        let now = self.nodes[node].now(self.now_ns);
        let SimNode { id, is_impostor, ref mut replica, ref mut traced, .. } = self.nodes[node];
        let replica = replica.as_mut()?;
        let mut outside = Outside {
            node: id,
            is_impostor,
            at_ns: self.now_ns,
            checker: &mut self.checker,
            stats: &mut self.stats,
            trace: &mut self.trace,
            traced,
            outbox: Vec::new(),
            moments: Vec::new(),
        };
        let outcome = act(replica, now, &mut outside);
        outside.trace_durable(replica.core());
        outside.trace_growth(replica.core());
        let Outside { outbox, moments, .. } = outside;
        for (to, bytes) in outbox {
            self.post(node, to, bytes);
        }
        for moment in moments {
            self.lie_in_wait(node, moment);
        }
        Some(outcome)
    }

    fn post(&mut self, from: usize, to: NodeId, mut bytes: Vec<u8>) {
        let to = to.0 as usize - 1;
        if to >= self.nodes.len() {
            return;
        }
        let data = self.nodes[from].data;
        self.stats.hit("messages sent");
        let [first, second] = self.network.pass(from, to, &mut bytes, &mut self.rng, &mut self.stats);
        if let Some(delay) = second {
            self.schedule(delay, Action::Deliver { from, to, data, bytes: bytes.clone() });
        }
        if let Some(delay) = first {
            self.schedule(delay, Action::Deliver { from, to, data, bytes });
        }
    }

    /// One turn of a node's loop.
    pub(crate) fn turn(&mut self, node: usize) {
        if self.nodes[node].paused_until_ns > self.now_ns {
            return;
        }
        match self.with_replica(node, |replica, now, outside| replica.turn(now, outside)) {
            None => return,
            Some(Err(error)) => return self.on_failure(node, &error),
            Some(Ok(())) => {}
        }
        self.inspect(node);
        if self.rng.below(16) == 0 {
            self.maintain(node);
        }
        self.schedule_sync(node);
        self.schedule_wake(node);
    }

    /// What a node does when it has nothing else to do.
    fn maintain(&mut self, node: usize) {
        match self.with_replica(node, |replica, now, outside| replica.maintain(now, outside)) {
            Some(Err(error)) => self.on_failure(node, &error),
            Some(Ok(false)) => self.stats.hit("spare segments without room"),
            Some(Ok(true)) | None => {}
        }
    }

    fn schedule_sync(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.disk.pending_sync() && !state.sync_scheduled {
            state.sync_scheduled = true;
            let life = state.life;
            let slow = if state.slow_until_ns > self.now_ns { state.slow_sync_ns } else { 0 };
            let delay = MS / 20 + self.rng.below(MS) + self.rng.below(slow + 1);
            self.schedule(delay, Action::SyncDone { node, life });
        }
    }

    fn schedule_wake(&mut self, node: usize) {
        let state = &self.nodes[node];
        let Some(replica) = &state.replica else { return };
        let at_ns = state.global_ns(replica.next_deadline_ns()).max(self.now_ns + 1_000);
        if at_ns < state.wake_at_ns {
            let life = state.life;
            self.nodes[node].wake_at_ns = at_ns;
            self.schedule(at_ns - self.now_ns, Action::Wake { node, life });
        }
    }
}
