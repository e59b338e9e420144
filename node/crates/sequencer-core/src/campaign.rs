//! Becoming leader: pre-vote, campaign, and the first frame of a term.
//!
//! 1. When the election time-out passes, a follower asks for pre-votes: would you vote for me? Terms do not move.
//! 2. With a majority of them it raises its term, votes for itself, and asks for votes.
//! 3. With a majority of votes it leads, and appends the new-term frame. Until that is committed nothing older is.
//! 4. Each wait is drawn anew, so that two candidates that collided once are unlikely to collide again.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{FrameKind, HEADER_BYTES, LogEnd, NewTerm, TermStart, encode_new_term};
use sequencer_wire::{NodeId, Position, Term, frame_bytes};

use crate::core::Core;
use crate::effect::{Effects, Outgoing};
use crate::event::Now;
use crate::status::Role;

/// Payload of a new-term frame.
const NEW_TERM_PAYLOAD_BYTES: usize = 24;
/// Whole size of a new-term frame; every block of the log buffer holds it.
pub(crate) const NEW_TERM_FRAME_BYTES: usize = frame_bytes(NEW_TERM_PAYLOAD_BYTES);
const _: () = assert!(NEW_TERM_FRAME_BYTES == HEADER_BYTES + NEW_TERM_PAYLOAD_BYTES);
const _: () = assert!(FrameKind::NewTerm as u8 == 1);

impl Core {
    pub(crate) fn redraw_election_deadline(&mut self, now: Now) {
        let shortest = self.config.election_timeout_ns;
        let extra =
            if teeth::is_active(Bug::ElectionTimeoutNotRedrawn) { 0 } else { self.random.below(shortest) };
        self.election_deadline_ns = now.monotonic_ns + shortest + extra;
    }

    pub(crate) fn on_election_timeout(&mut self, now: Now, effects: &mut Effects) {
        self.leader = None;
        self.leader_heard_ns = None;
        self.redraw_election_deadline(now);
        if !self.is_voter() {
            self.set_role(Role::Follower, effects);
            return;
        }
        if self.claim.is_some() && !teeth::is_active(Bug::ForgetClaim) {
            // Its log has a hole where it may have acknowledged bytes: it must not lead. It asks around instead.
            self.set_role(Role::Follower, effects);
            self.inquire(effects);
            return;
        }
        self.counters.pre_votes += 1;
        self.set_role(Role::PreCandidate, effects);
        self.clear_grants();
        if self.has_majority_of_grants() {
            self.campaign(false, now, effects);
            return;
        }
        let last = self.durable_end();
        self.broadcast(Term(self.term.0 + 1), Outgoing::PreVoteRequest { last }, effects);
    }

    pub(crate) fn on_pre_vote_response(
        &mut self,
        peer: usize,
        term: Term,
        granted: bool,
        now: Now,
        effects: &mut Effects,
    ) {
        if !granted {
            self.adopt_higher_term(term, now, effects);
        } else if self.role == Role::PreCandidate && term.0 == self.term.0 + 1 {
            self.peers[peer].granted = true;
            if self.has_majority_of_grants() {
                self.campaign(false, now, effects);
            }
        }
    }

    /// Starts a campaign in a new term.
    pub(crate) fn campaign(&mut self, transfer: bool, now: Now, effects: &mut Effects) {
        self.counters.campaigns += 1;
        self.term = Term(self.term.0 + 1);
        self.vote = Some(self.config.id);
        self.unsaved = true;
        self.leader = None;
        self.leader_heard_ns = None;
        self.redraw_election_deadline(now);
        self.clear_grants();
        self.set_role(Role::Candidate, effects);
        if self.has_majority_of_grants() {
            self.lead(now, effects);
            return;
        }
        let last = self.durable_end();
        self.broadcast(self.term, Outgoing::VoteRequest { last, transfer }, effects);
    }

    pub(crate) fn on_vote_response(
        &mut self,
        peer: usize,
        term: Term,
        granted: bool,
        wall_ns: u64,
        now: Now,
        effects: &mut Effects,
    ) {
        self.adopt_higher_term(term, now, effects);
        if granted && self.role == Role::Candidate && term == self.term {
            self.peers[peer].granted = true;
            self.peers[peer].wall_ns = wall_ns;
            if self.has_majority_of_grants() {
                self.lead(now, effects);
            }
        }
    }

    pub(crate) fn on_timeout_now(
        &mut self,
        from: NodeId,
        term: Term,
        end: LogEnd,
        now: Now,
        effects: &mut Effects,
    ) {
        let from_current_leader =
            term == self.term && self.role == Role::Follower && self.leader == Some(from);
        // A target that has not all of the leader's log durable would only cause an election that it cannot win.
        if from_current_leader && self.is_voter() && self.claim.is_none() && self.durable_end() >= end {
            self.campaign(true, now, effects);
        }
    }

    fn lead(&mut self, now: Now, effects: &mut Effects) {
        self.counters.elections_won += 1;
        let voters_wall_ns =
            self.peers.iter().filter(|peer| peer.granted && peer.is_voter).map(|peer| peer.wall_ns).max();
        self.clock.lead(now, voters_wall_ns);
        self.leader = Some(self.config.id);
        self.leader_heard_ns = None;
        self.transfer = None;
        self.term_start = self.log.end();
        for peer in &mut self.peers {
            peer.start_leadership(self.term_start, now.monotonic_ns);
        }
        self.set_role(Role::Leader, effects);
        self.append_new_term(now);
        self.start_leadership();
        self.round += 1;
        self.heartbeat_deadline_ns = now.monotonic_ns + self.config.heartbeat_ns;
        self.commit_deadline_ns = u64::MAX;
        for index in 0..self.peers.len() {
            self.send_first_append(index, effects);
        }
        self.write_pending(effects);
    }

    fn append_new_term(&mut self, now: Now) {
        let previous = self.terms.last_term();
        let at = self.log.end();
        let frame = NewTerm { term: self.term, previous, leader: self.config.id };
        let timestamp_ns = self.clock.stamp(now);
        let room = self.log.reserve(NEW_TERM_FRAME_BYTES, self.written);
        let bytes =
            encode_new_term(room, at, frame, timestamp_ns).expect("a block has room for a new-term frame");
        self.log.advance(bytes);
        self.last_frame_ns = timestamp_ns;
        self.terms.push(TermStart { term: self.term, start: at });
        debug_assert!(self.log.end() == Position(at.0 + bytes as u64));
    }

    fn clear_grants(&mut self) {
        for peer in &mut self.peers {
            peer.granted = false;
        }
    }

    fn has_majority_of_grants(&self) -> bool {
        // The node itself, which asks only when it would vote for itself.
        1 + self.peers.iter().filter(|peer| peer.granted && peer.is_voter).count() >= self.majority()
    }
}
