//! How time passes: one queue of events, one node acting at a time, until all is well again or a rule is broken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sequencer_runtime::Replica;
use sequencer_storage::{SimDisk, SplitMix64};
use sequencer_wire::{NodeId, decode_peer};
use serde_json::json;

use crate::checker::{Checker, Violation};
use crate::network::Network;
use crate::node::{CLUSTER, SimNode};
use crate::outside::Outside;
use crate::profile::{ELECTION_TIMEOUT_NS, Fault, MS, Profile};
use crate::stats::Stats;
use crate::trace::{self, Trace};

/// Once everything has healed, the cluster must serve within this many virtual nanoseconds: 40 election time-outs.
pub(crate) const RECOVERY_BOUND_NS: u64 = 40 * ELECTION_TIMEOUT_NS;

/// Keeps small seeds apart from other uses of the same generator.
const SEED_SALT: u64 = 0x05e9_0e9c_e500;

/// More events than any seed needs; a world that reaches it runs in circles.
const EVENTS_MAX: u64 = 5_000_000;

/// Something that is due.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Deliver { from: usize, to: usize, bytes: Vec<u8> },
    Wake { node: usize, life: u64 },
    SyncDone { node: usize, life: u64 },
    Resume { node: usize },
    Propose,
    Strike(Fault),
    Ambush { node: usize, life: u64, fault: Fault },
    Calm { unblock: bool },
    FreeDisk { node: usize },
    Start { node: usize },
    CheckServing,
}

pub(crate) struct World {
    pub(crate) profile: Profile,
    pub(crate) rng: SplitMix64,
    pub(crate) now_ns: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Action)>>,
    queued: u64,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) network: Network,
    pub(crate) checker: Checker,
    pub(crate) stats: Stats,
    pub(crate) trace: Trace,
    pub(crate) next_message: u64,
    /// Everything has healed; the first message that may be counted as served afterwards.
    pub(crate) healed: Option<u64>,
    pub(crate) served_after_healing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = SplitMix64::new(seed ^ SEED_SALT);
        let profile = Profile::draw(&mut rng);
        let voters: Vec<NodeId> = (1..=profile.voters as u32).map(NodeId).collect();
        let nodes = voters.iter().map(|id| SimNode::new(*id, &voters, &profile, &mut rng)).collect();
        let mut world = Self {
            network: Network::new(profile.voters, profile.calm_weather()),
            rng,
            now_ns: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            nodes,
            checker: Checker::default(),
            stats: Stats::default(),
            trace,
            next_message: 1,
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
        self.schedule(self.profile.proposal_interval_ns, Action::Propose);
        for fault in Fault::ALL {
            self.schedule_strike(fault);
        }
        let trouble_ns = self.profile.trouble_ns;
        self.run_until(trouble_ns);
        if self.checker.violation().is_none() {
            self.heal();
            self.run_until(trouble_ns + RECOVERY_BOUND_NS);
            // It serves; whoever is far behind may still be on its way through a narrow window, but must come nearer all the time.
            while self.served_after_healing && !self.is_over() {
                let lag = self.longest_lag();
                self.run_until(self.now_ns + RECOVERY_BOUND_NS);
                if self.longest_lag() >= lag {
                    break;
                }
            }
            if !self.is_over() {
                let verdict = self.judge_not_serving();
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
        self.queue.push(Reverse((self.now_ns + delay_ns, self.queued, action)));
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed.is_some()
    }

    fn is_over(&self) -> bool {
        self.checker.violation().is_some() || (self.served_after_healing && self.is_converged())
    }

    fn run_until(&mut self, end_ns: u64) {
        while self.checker.violation().is_none() {
            match self.queue.peek() {
                Some(Reverse((at_ns, _, _))) if *at_ns <= end_ns => {}
                _ => break,
            }
            let Some(Reverse((at_ns, count, action))) = self.queue.pop() else { break };
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
            Action::Deliver { from, to, bytes } => {
                // A link that broke meanwhile loses what was on it.
                if self.network.is_blocked(from, to) {
                    self.stats.hit("messages blocked");
                } else {
                    self.deliver(to, bytes);
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
            Action::Propose => {
                self.propose();
                let interval =
                    self.profile.proposal_interval_ns.max(if self.is_healed() { 20 * MS } else { 0 });
                let delay = self.rng.below(2 * interval) + 1;
                self.schedule(delay, Action::Propose);
            }
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

    pub(crate) fn deliver(&mut self, to: usize, bytes: Vec<u8>) {
        if self.nodes[to].paused_until_ns > self.now_ns {
            // The kernel keeps what a process does not read, up to a bound.
            if self.nodes[to].held.len() < 256 {
                self.nodes[to].held.push(bytes);
            }
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
        let SimNode { id, ref mut replica, ref mut traced, .. } = self.nodes[node];
        let replica = replica.as_mut()?;
        let mut outside = Outside {
            node: id,
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
        self.stats.hit("messages sent");
        let [first, second] = self.network.pass(from, to, &mut bytes, &mut self.rng, &mut self.stats);
        if let Some(delay) = second {
            self.schedule(delay, Action::Deliver { from, to, bytes: bytes.clone() });
        }
        if let Some(delay) = first {
            self.schedule(delay, Action::Deliver { from, to, bytes });
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
