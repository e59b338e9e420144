//! Clients: bursts of numbered messages to whoever leads, and what they are told.

use sequencer_core::{Proposal, Role};
use sequencer_wire::{FrameKind, Position};

use crate::checker::Verdict;
use crate::node::Waiting;
use crate::world::World;

impl World {
    /// Sends a burst to every node that believes it leads; others refuse, which is counted.
    pub(crate) fn propose(&mut self) {
        // Afterwards a trickle shows that the cluster serves; a flood would only show how much it can take.
        let burst = if self.is_healed() { 1 } else { 1 + self.rng.below(self.profile.burst_max) };
        for node in 0..self.nodes.len() {
            let state = &self.nodes[node];
            let leads = state.replica.as_ref().is_some_and(|replica| replica.status().role == Role::Leader);
            if leads && state.paused_until_ns <= self.now_ns {
                for _ in 0..burst {
                    self.propose_one(node);
                }
                // Sometimes the turn comes later, with whatever wakes the node next.
                if self.rng.below(4) > 0 {
                    self.turn(node);
                }
            }
        }
    }

    fn propose_one(&mut self, node: usize) {
        let number = self.next_message;
        self.next_message += 1;
        let (least, most) = self.profile.payload_bytes;
        let bytes = least + self.rng.below(most - least + 1);
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(bytes as usize, number as u8);
        let proposal = Proposal {
            kind: FrameKind::Message,
            source_id: 7,
            source_sequence: number,
            cause: Position(0),
            schema_id: 1,
            schema_version: 1,
            payload: &payload,
        };
        let state = &mut self.nodes[node];
        let now = state.now(self.now_ns);
        let Some(replica) = state.replica.as_mut() else { return };
        match replica.propose(&proposal, now) {
            Ok(admitted) => {
                self.checker.committed.admit(number);
                self.stats.hit("messages admitted");
                state.waiting.push(Waiting { number, admitted });
                self.with_replica(node, |replica, _, outside| outside.trace_growth(replica.core()));
            }
            Err(_) => self.stats.hit("messages refused"),
        }
    }

    /// Tells clients what is committed; drops those whose leader has lost its place.
    pub(crate) fn acknowledge(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let Some(replica) = &state.replica else { return };
        let status = replica.status();
        if status.role != Role::Leader {
            self.stats.add("messages left open", state.waiting.len() as u64);
            state.waiting.clear();
            return;
        }
        let mut verdict: Verdict = Ok(());
        let (mut acknowledged, mut served) = (0, false);
        let healed_from = self.healed;
        let state = &mut self.nodes[node];
        state.waiting.retain(|waiting| {
            if waiting.admitted.term != status.term {
                return false;
            }
            if waiting.admitted.end > status.commit {
                return true;
            }
            if verdict.is_ok() {
                verdict =
                    self.checker.committed.check_acknowledged(state.id, waiting.number, &waiting.admitted);
            }
            acknowledged += 1;
            served |= healed_from.is_some_and(|first| waiting.number >= first);
            false
        });
        self.served_after_healing |= served;
        self.stats.add("messages acknowledged", acknowledged);
        self.checker.judge(self.now_ns, verdict);
    }
}
