//! The lives of a node's process: starting, failing, stopping, and the moment when everything heals.

use sequencer_runtime::{Replica, ReplicaError};
use sequencer_storage::{DiskError, Durability, StorageError};
use sequencer_wire::Position;
use serde_json::json;

use crate::node::Down;
use crate::outside::Traced;
use crate::profile::MS;
use crate::trace;
use crate::world::{Action, World};

impl World {
    pub(crate) fn start(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.is_up() || state.down == Some(Down::ForGood) {
            return;
        }
        state.life += 1;
        state.settings.core.seed = self.rng.next_u64();
        let now = state.now(self.now_ns);
        match Replica::open(state.disk.clone(), state.settings.clone(), now) {
            Ok((replica, _)) => {
                let status = replica.status();
                state.replica = Some(replica);
                state.down = None;
                state.checked = status.log_start;
                state.digested = sequencer_wire::LogEnd::default();
                state.commit_seen = Position(0);
                state.handing_over_at = None;
                state.wake_at_ns = u64::MAX;
                state.sync_scheduled = false;
                state.paused_until_ns = 0;
                state.traced = Traced { end: status.end.position, durable: status.durable.position };
                self.on_started(node);
            }
            Err(error) => self.on_failure(node, &error),
        }
    }

    fn on_started(&mut self, node: usize) {
        self.stats.hit("starts");
        let state = &mut self.nodes[node];
        let Some(replica) = state.replica.as_mut() else { return };
        let status = replica.status();
        let id = state.id;
        if let Some(claim) = status.claim {
            self.stats.hit(if claim.damaged { "starts with damage" } else { "starts in doubt" });
            if claim.membership {
                self.stats.hit("starts in doubt about membership");
            }
            if claim.damaged && !state.was_damaged {
                let detail = format!("{id} finds damage below {} on a sound disk", claim.end);
                self.checker.judge(self.now_ns, Err(("a sound disk is not taken for damaged", detail)));
            }
        }
        self.trace.event(self.now_ns, Some(id.0), "start", || {
            json!({
                "term": status.term.0, "vote": status.vote.map(|vote| vote.0),
                "claim": status.claim.map(|claim| trace::log_end(claim.end)),
                "terms": trace::term_starts(replica.core().terms().iter()), "end": trace::log_end(status.end),
                "commit": status.commit.0,
            })
        });
        let mut bytes = Vec::new();
        let mut from = status.log_start;
        let mut previous = replica.core().terms().term_before(from);
        while from < status.end.position {
            bytes.clear();
            match replica.read_stored(from, 64 << 10, &mut bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return self.on_failure(node, &error),
            }
            let verdict = self.checker.frames.check_recovered(id, &bytes, from, previous);
            self.checker.judge(self.now_ns, verdict);
            from = Position(from.0 + bytes.len() as u64);
            previous = replica.core().terms().term_before(from);
        }
        self.turn(node);
    }

    /// A node's disk failed, or its process was stopped: what is allowed depends on what was done to it.
    pub(crate) fn on_failure(&mut self, node: usize, error: &ReplicaError) {
        let state = &self.nodes[node];
        let (is_damaged, is_memory_lost) = match error {
            ReplicaError::Storage(StorageError::MemoryLost { .. }) => (false, true),
            ReplicaError::Storage(StorageError::Disk(DiskError::Stopped)) => {
                self.stats.hit("crashes inside a disk operation");
                return self.take_down(node, None);
            }
            ReplicaError::Storage(StorageError::Full { .. }) => {
                self.stats.hit("disks found full");
                return self.take_down(node, None);
            }
            ReplicaError::Storage(StorageError::Disk(_)) => {
                self.stats.hit("disk errors");
                return self.take_down(node, None);
            }
            ReplicaError::Storage(_) | ReplicaError::Snapshot(_) | ReplicaError::Replay(_) => (true, false),
            ReplicaError::Config(_) | ReplicaError::Failed => (false, false),
        };
        let text = error.to_string();
        if is_memory_lost && self.profile.durability == Durability::Memory {
            self.stats.hit("nodes that lost their memory");
            return self.take_down(node, Some(Down::ForGood));
        }
        if is_damaged && state.was_damaged {
            // A running node meets damage when it reads; it starts again and repairs itself. One that cannot start stops.
            let down = if state.is_up() { None } else { Some(Down::ForGood) };
            self.stats.hit(if down.is_none() {
                "damage met while running"
            } else {
                "nodes stopped by damage"
            });
            return self.take_down(node, down);
        }
        let detail = format!("{}: {text}", state.id);
        self.checker.judge(self.now_ns, Err(("a sound disk does not fail", detail)));
    }

    /// Ends a node's process; it starts again after a while unless `down` says otherwise.
    pub(crate) fn take_down(&mut self, node: usize, down: Option<Down>) {
        let state = &mut self.nodes[node];
        let id = state.id.0;
        state.replica = None;
        state.life += 1;
        state.held.clear();
        state.waiting.clear();
        state.down = Some(down.unwrap_or(Down::Restarting));
        // Whatever it was in the middle of is over.
        state.disk.crash_process();
        self.trace.event(self.now_ns, Some(id), "crash", || json!({}));
        if down.is_none() {
            let delay = if self.is_healed() { MS } else { self.rng.below(1000 * MS) };
            self.schedule(delay, Action::Start { node });
        }
    }

    pub(crate) fn resume(&mut self, node: usize) {
        if self.nodes[node].paused_until_ns > self.now_ns {
            return;
        }
        let held = std::mem::take(&mut self.nodes[node].held);
        for (from, data, bytes) in held {
            self.deliver(from, node, data, bytes);
        }
        self.turn(node);
    }

    pub(crate) fn heal(&mut self) {
        self.healed = Some(self.checker.committed.end());
        self.network.weather = self.profile.calm_weather();
        self.network.unblock_all();
        self.trace.event(self.now_ns, None, "heal", || json!({}));
        for node in 0..self.nodes.len() {
            let state = &mut self.nodes[node];
            state.disk.set_free_bytes(None);
            state.slow_until_ns = 0;
            state.paused_until_ns = 0;
            if self.profile.restarts_all_at_end && self.nodes[node].is_up() {
                self.take_down(node, None);
            }
            self.schedule(0, Action::Resume { node });
            self.schedule(MS, Action::Start { node });
        }
        self.schedule(MS, Action::CheckServing);
    }
}
