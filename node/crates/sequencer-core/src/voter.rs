//! Giving votes: who may become leader.
//!
//! Invariant: a node never helps a candidate whose log ends below anything that the node ever acknowledged, even when the
//! node cannot read it any more (see `claim`).
//! Invariant: a node gives one vote a term, and it is durable before the answer leaves.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{LogEnd, NodeId, Term};

use crate::core::Core;
use crate::effect::{Effects, Outgoing};
use crate::event::Now;
use crate::status::Role;

impl Core {
    pub(crate) fn on_pre_vote_request(
        &mut self,
        from: NodeId,
        term: Term,
        last: LogEnd,
        now: Now,
        effects: &mut Effects,
    ) {
        let granted = term > self.term && self.is_log_good_enough(last) && !self.is_leader_alive(now);
        // A grant echoes the term asked for; a refusal tells the own one, so that a candidate left behind catches up.
        let term = if granted { term } else { self.term };
        self.send_in_term(from, term, Outgoing::PreVoteResponse { granted }, effects);
    }

    pub(crate) fn on_vote_request(
        &mut self,
        from: NodeId,
        term: Term,
        last: LogEnd,
        transfer: bool,
        now: Now,
        effects: &mut Effects,
    ) {
        if term > self.term && !transfer && self.is_leader_alive(now) {
            // A node that lost touch must not depose a leader that the others hear. It learns of the leader's term from
            // the leader's own messages.
            return;
        }
        self.adopt_higher_term(term, now, effects);
        let granted = term == self.term
            && self.vote.is_none_or(|vote| vote == from)
            && self.leader.is_none_or(|leader| leader == from)
            && self.is_log_good_enough(last);
        if granted {
            self.unsaved |= self.vote.is_none();
            self.vote = Some(from);
            self.redraw_election_deadline(now);
        }
        self.send(from, Outgoing::VoteResponse { granted, wall_ns: now.wall_ns }, effects);
    }

    /// Whether a log that ends at `last` holds everything that this node ever acknowledged, so far as it can tell.
    fn is_log_good_enough(&self, last: LogEnd) -> bool {
        if teeth::is_active(Bug::VoteIgnoresLog) {
            return true;
        }
        let own = self.durable_end();
        match self.claim {
            Some(claim) if !teeth::is_active(Bug::ForgetClaim) => last >= own.max(claim.end),
            _ => last >= own,
        }
    }

    /// Whether this node leads, or heard the leader within the shortest election time-out.
    pub(crate) fn is_leader_alive(&self, now: Now) -> bool {
        self.role == Role::Leader
            || self
                .leader_heard_ns
                .is_some_and(|heard| now.monotonic_ns.saturating_sub(heard) < self.config.election_timeout_ns)
    }
}
