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
//! An acknowledgement that the asker gave before its crash may still be on its way, and bytes may be committed with it after
//! some have answered. Therefore the question is asked in a new term, as a vote is, and whoever answers moves to that term
//! first: from then on it neither adds to a commit of an older term nor leads one. Whoever leads, or hears a leader, does not
//! answer; the leader's log settles the claim.
//!
//! A claim whose missing bytes may hold a change of membership is not lowered at all: the node might not know whom to ask
//! (`docs/internals/exactly-once.md`).
//!
//! Invariant: with X the log ends in the answers, every byte of an older term that is or will be committed lies at or below
//! the highest of X. For it was counted from the asker and from at least one other voter, and that one had it durable
//! before it answered.
//!
//! Source of the idea: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018.

use sequencer_wire::{LogEnd, LogHealth, NodeId, Term};
use thiserror::Error;

use crate::core::Core;
use crate::effect::{Effects, Outgoing};
use crate::event::Now;
use crate::peer::Reported;

/// The newest question to all voters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inquiry {
    nonce: u64,
    /// Answers of an older term do not count.
    term: Term,
}

/// A claim to be given up is not the one that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the claim to be given up ends at {asked:?}, the one that stands at {stands:?}; read the status again"
)]
pub struct ClaimMismatch {
    /// End of the claim that was named.
    pub asked: LogEnd,
    /// End of the claim that stands, if any.
    pub stands: Option<LogEnd>,
}

impl Core {
    /// Gives a claim up by an operator's decision: bytes that were acknowledged may be lost for good. The only way on when the
    /// copies that could settle it are gone. `end` names the claim, so that an order given on old knowledge does nothing.
    ///
    /// # Errors
    /// [`ClaimMismatch`] when another claim or none stands; nothing has changed.
    pub fn give_up_claim(&mut self, end: LogEnd, effects: &mut Effects) -> Result<(), ClaimMismatch> {
        if self.claim.is_none_or(|claim| claim.end != end) {
            return Err(ClaimMismatch { asked: end, stands: self.claim.map(|claim| claim.end) });
        }
        self.claim = None;
        self.unsaved = true;
        self.counters.claims_given_up += 1;
        self.save(effects);
        Ok(())
    }

    pub(crate) fn settle_claim_by_own_log(&mut self) {
        if self.claim.is_some_and(|claim| self.durable_end() >= claim.end) {
            self.claim = None;
            self.unsaved = true;
            self.counters.claims_repaired += 1;
        }
    }

    /// Asks all voters what they hold; their answers are compared in [`Core::on_status_response`].
    pub(crate) fn inquire(&mut self, effects: &mut Effects) {
        if self.claim.is_none_or(|claim| claim.damaged || claim.membership) {
            return;
        }
        let nonce = self.random.next();
        let term = Term(self.term.0 + 1);
        self.inquiry = Some(Inquiry { nonce, term });
        for peer in &mut self.peers {
            peer.reported = None;
        }
        self.broadcast(term, Outgoing::StatusRequest { nonce }, effects);
        // A lone voter has its answer already.
        self.settle_claim_by_reports();
    }

    pub(crate) fn on_status_request(
        &mut self,
        from: NodeId,
        term: Term,
        nonce: u64,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.is_leader_alive(now) {
            return;
        }
        self.adopt_higher_term(term, now, effects);
        let health = match self.claim {
            None => LogHealth::Clean,
            Some(claim) if claim.damaged => LogHealth::Damaged,
            Some(_) => LogHealth::Doubtful,
        };
        let last = self.durable_end();
        self.send(from, Outgoing::StatusResponse { nonce, health, last }, effects);
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one message and its context")]
    pub(crate) fn on_status_response(
        &mut self,
        peer: usize,
        term: Term,
        nonce: u64,
        health: LogHealth,
        last: LogEnd,
        now: Now,
        effects: &mut Effects,
    ) {
        self.adopt_higher_term(term, now, effects);
        if self.inquiry.is_some_and(|inquiry| inquiry.nonce == nonce && inquiry.term <= term) {
            self.peers[peer].reported = Some(Reported { last, damaged: health == LogHealth::Damaged });
            self.settle_claim_by_reports();
        }
    }

    fn settle_claim_by_reports(&mut self) {
        let Some(mut claim) = self.claim.filter(|claim| !claim.damaged && !claim.membership) else { return };
        let mut best = self.durable_end();
        for peer in self.peers.iter().filter(|peer| peer.is_voter) {
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
