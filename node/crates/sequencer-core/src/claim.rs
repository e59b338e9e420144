//! Doubt about the own log: bytes that this node may have acknowledged and cannot read.
//!
//! A crash in the middle of a sync and damage to an acknowledged batch look the same on disk. Storage therefore reports
//! an upper bound of what may have been acknowledged, the claim, and until it is settled the node
//!
//! 1. never campaigns, since its log may lack committed bytes;
//! 2. votes only for candidates whose log reaches the claim, so the bytes count in every election as if they were there;
//! 3. follows and acknowledges like any other: what it acknowledges is readable and durable again.
//!
//! A claim is settled when the own durable log reaches it (a leader's log always does, because the leader's term is
//! newer). If nobody can lead, doubtful nodes ask every voter for its log end. A committed byte was acknowledged by a
//! majority, and as long as not every copy of it is damaged, one of the answers reaches it: so a claim may be lowered to
//! the highest answer once all voters have answered. It may not while any voter knows of damage to acknowledged bytes,
//! because readable bytes may lie behind that damage.
//!
//! Source of the idea: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018.

use sequencer_wire::{LogEnd, LogHealth, NodeId};

use crate::core::Core;
use crate::effect::{Effects, Outgoing};
use crate::peer::Reported;

impl Core {
    pub(crate) fn settle_claim_by_own_log(&mut self) {
        if self.claim.is_some_and(|claim| self.durable_end() >= claim.end) {
            self.claim = None;
            self.unsaved = true;
            self.counters.claims_repaired += 1;
        }
    }

    /// Asks all voters what they hold; their answers are compared in [`Core::on_status_response`].
    pub(crate) fn inquire(&mut self, effects: &mut Effects) {
        if self.claim.is_none_or(|claim| claim.damaged) {
            return;
        }
        self.inquiry = self.random.next();
        for peer in &mut self.peers {
            peer.reported = None;
        }
        self.broadcast(self.term, Outgoing::StatusRequest { nonce: self.inquiry }, effects);
        // A lone voter has its answer already.
        self.settle_claim_by_reports();
    }

    pub(crate) fn on_status_request(&mut self, from: NodeId, nonce: u64, effects: &mut Effects) {
        let health = match self.claim {
            None => LogHealth::Clean,
            Some(claim) if claim.damaged => LogHealth::Damaged,
            Some(_) => LogHealth::Doubtful,
        };
        let last = self.durable_end();
        self.send(from, Outgoing::StatusResponse { nonce, health, last }, effects);
    }

    pub(crate) fn on_status_response(&mut self, peer: usize, nonce: u64, health: LogHealth, last: LogEnd) {
        if nonce == self.inquiry {
            self.peers[peer].reported = Some(Reported { last, damaged: health == LogHealth::Damaged });
            self.settle_claim_by_reports();
        }
    }

    fn settle_claim_by_reports(&mut self) {
        let Some(mut claim) = self.claim.filter(|claim| !claim.damaged) else { return };
        let mut best = self.durable_end();
        for peer in &self.peers {
            match peer.reported {
                Some(reported) if !reported.damaged => best = best.max(reported.last),
                _ => return,
            }
        }
        if best < claim.end {
            claim.end = best;
            self.claim = (best > self.durable_end()).then_some(claim);
            self.unsaved = true;
            self.counters.claims_settled += 1;
        }
    }
}
