//! A cluster on a network that loses, doubles and reorders, with crashes between, by a random schedule.
//!
//! In: random schedules of deliveries, time, proposals, syncs and crashes. Checked after each act: one leader a term, the
//! same committed bytes everywhere and for ever, and by the kit that no commit position goes back and nothing unsaved is
//! revealed. In the end everything heals, and the cluster must come to rest with equal logs.

mod kit;

use std::collections::BTreeMap;

use kit::{Cluster, Node, message};
use proptest::prelude::*;
use sequencer_core::Role;

#[derive(Debug, Clone)]
enum Act {
    /// Deliver one message, any.
    Deliver(prop::sample::Index),
    /// Deliver one message and keep it on the way.
    Double(prop::sample::Index),
    Drop(prop::sample::Index),
    /// Deliver everything on the way now, oldest first.
    DeliverAll,
    /// Let some milliseconds pass and tick who is due.
    Pass(u8),
    /// Let the time pass until this member is due, and tick who is due.
    Due(prop::sample::Index),
    Propose(u8),
    Flush,
    Sync(prop::sample::Index),
    /// Crash and start again at once; what is not durable is lost.
    Restart(prop::sample::Index),
    Transfer(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        12 => index().prop_map(Act::Deliver),
        2 => index().prop_map(Act::Double),
        1 => index().prop_map(Act::Drop),
        5 => Just(Act::DeliverAll),
        3 => (0..80_u8).prop_map(Act::Pass),
        2 => index().prop_map(Act::Due),
        5 => any::<u8>().prop_map(Act::Propose),
        6 => Just(Act::Flush),
        6 => index().prop_map(Act::Sync),
        1 => index().prop_map(Act::Restart),
        1 => index().prop_map(Act::Transfer),
    ]
}

/// What must stay true over the whole run.
#[derive(Default)]
struct Witness {
    leaders: BTreeMap<u64, u32>,
    /// The longest run of bytes that any member called committed.
    committed: Vec<u8>,
}

impl Witness {
    fn check(&mut self, nodes: &[Node]) {
        for node in nodes {
            for term in &node.led {
                let leader = *self.leaders.entry(*term).or_insert(node.id());
                assert_eq!(leader, node.id(), "two leaders in term {term}");
            }
            // A leader may know of a commit before it has written the bytes itself.
            let held = &node.stored[..node.stored.len().min(node.committed as usize)];
            let known = self.committed.len().min(held.len());
            assert!(held[..known] == self.committed[..known], "member {} committed other bytes", node.id());
            self.committed.extend_from_slice(&held[known..]);
        }
    }
}

fn tick_due(cluster: &mut Cluster) {
    for id in cluster.up() {
        if cluster.node(id).core.next_deadline_ns() <= cluster.now.monotonic_ns {
            cluster.tick(id);
        }
    }
}

fn leaders(cluster: &Cluster) -> Vec<u32> {
    cluster.up().into_iter().filter(|id| cluster.status(*id).role == Role::Leader).collect()
}

fn carry_out(cluster: &mut Cluster, act: &Act) {
    cluster.collect();
    let voters = cluster.nodes.len();
    let member = |index: &prop::sample::Index| index.index(voters) as u32 + 1;
    let now = cluster.now;
    match act {
        Act::Deliver(index) | Act::Double(index) | Act::Drop(index) if !cluster.mail.is_empty() => {
            let index = index.index(cluster.mail.len());
            let mail = cluster.mail[index].clone();
            if !matches!(act, Act::Double(_)) {
                cluster.mail.remove(index);
            }
            if !matches!(act, Act::Drop(_)) {
                cluster.deliver(&[mail]);
            }
        }
        Act::Deliver(_) | Act::Double(_) | Act::Drop(_) => {}
        Act::DeliverAll => {
            cluster.deliver_round();
        }
        Act::Pass(ms) => {
            cluster.advance_ns(u64::from(*ms) * kit::MS);
            tick_due(cluster);
        }
        Act::Due(index) => {
            cluster.tick_when_due(member(index));
            tick_due(cluster);
        }
        Act::Propose(bytes) => {
            for id in leaders(cluster) {
                // Refusals are part of the game.
                let _ = cluster.node(id).core.propose(&message(&vec![*bytes; usize::from(*bytes)]), now);
            }
        }
        Act::Flush => cluster.up().into_iter().for_each(|id| cluster.flush(id)),
        Act::Sync(index) => cluster.sync(member(index)),
        Act::Restart(index) => {
            // What is on the way stays there: an old message may arrive after the start.
            let id = member(index);
            cluster.node(id).restart(now.monotonic_ns ^ u64::from(id), now);
        }
        Act::Transfer(index) => {
            for id in leaders(cluster) {
                let _ = cluster.node(id).transfer(member(index), now);
            }
        }
    }
}

proptest! {
    #![proptest_config(kit::cases(96))]

    #[test]
    fn committed_bytes_never_change_and_a_healed_cluster_comes_to_rest(
        voters in 1..=5_u32,
        acts in prop::collection::vec(act(), 100..600),
    ) {
        let mut cluster = Cluster::new(voters);
        let mut witness = Witness::default();
        for act in &acts {
            carry_out(&mut cluster, act);
            witness.check(&cluster.nodes);
        }
        // From here nothing is lost and everybody ticks in time.
        let mut quiet = 0;
        for _ in 0..200 {
            let ids = cluster.up();
            let next = ids.iter().min_by_key(|id| cluster.node(**id).core.next_deadline_ns()).copied();
            cluster.tick_when_due(next.expect("somebody is up"));
            cluster.settle();
            witness.check(&cluster.nodes);
            // A transfer that was asked for late ends too: by a new leader, or by the old one that admits again.
            let is_whole = leaders(&cluster).len() == 1
                && cluster.status(leaders(&cluster)[0]).handing_over_to.is_none()
                && cluster.nodes.iter().all(|node| node.stored == cluster.nodes[0].stored)
                && cluster.nodes.iter().all(|node| node.committed == node.stored.len() as u64);
            quiet = if is_whole { quiet + 1 } else { 0 };
            if quiet == 3 {
                break;
            }
        }
        prop_assert_eq!(quiet, 3, "the cluster does not come to rest");
        let leader = leaders(&cluster)[0];
        cluster.propose(leader, 8);
        cluster.settle();
        witness.check(&cluster.nodes);
        prop_assert!(cluster.nodes.iter().all(|node| node.committed == cluster.nodes[0].stored.len() as u64));
    }
}
