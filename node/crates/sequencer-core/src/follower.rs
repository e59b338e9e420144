//! Following a leader: matching, cutting and extending the own log.
//!
//! 1. An append names the log end before its frames. It matches if the own log has a byte of that term just before that
//!    position; by log matching everything before is then equal, and the position is a frame boundary here as well.
//! 2. If it does not match, the follower answers with its newest terms and their starts, from which the leader computes
//!    the end of the last common term.
//! 3. Frames that are already there in the same term are skipped. At the first that is not, the own log is cut, and the
//!    rest is appended.
//! 4. What matches is acknowledged when it is durable.
//!
//! Invariant: bytes below the commit position are never cut.
//! Invariant: an acknowledgement names only bytes that match the leader of the current term and are durable here.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Frame, FrameKind, Frames, LogEnd, NodeId, Position, Term, TermStart};

use crate::core::Core;
use crate::effect::{Effect, Effects, Outgoing};
use crate::event::Now;
use crate::status::Role;

impl Core {
    #[expect(clippy::too_many_arguments, reason = "these are the fields of one message and its context")]
    pub(crate) fn on_append(
        &mut self,
        from: NodeId,
        term: Term,
        previous: LogEnd,
        commit: Position,
        round: u64,
        frames: &[u8],
        now: Now,
        effects: &mut Effects,
    ) {
        if term < self.term && !teeth::is_active(Bug::AcceptStaleTerm) {
            // The old leader learns the newer term from the answer.
            self.reject(from, previous.position, round, effects);
            return;
        }
        self.follow(from, term, now, effects);
        let is_new_round = round > self.leader_round;
        self.leader_round = self.leader_round.max(round);
        if !self.is_match(previous) {
            self.reject(from, previous.position, round, effects);
            return;
        }
        let matched = self.take_frames(term, previous, frames, effects);
        self.leader_matched = self.leader_matched.max(matched);
        self.write_pending(effects);
        self.follow_commit(commit, effects);
        // What is not durable yet is acknowledged when it is.
        if is_new_round || (!frames.is_empty() && self.log.end() == self.durable) {
            self.acknowledge(effects);
        }
    }

    /// Takes the sender of a message that only a leader sends for the leader of its term.
    pub(crate) fn follow(&mut self, from: NodeId, term: Term, now: Now, effects: &mut Effects) {
        self.adopt_higher_term(term, now, effects);
        let split = self.role == Role::Leader || self.leader.is_some_and(|leader| leader != from);
        assert!(!split, "{from} and {:?} both lead term {term}", self.leader);
        self.become_follower(Some(from), now, effects);
        self.leader_heard_ns = Some(now.monotonic_ns);
    }

    /// Acknowledges what became durable, if a leader waits for it.
    pub(crate) fn acknowledge_durable(&mut self, effects: &mut Effects) {
        if self.leader_matched > Position(0) {
            self.acknowledge(effects);
        }
    }

    pub(crate) fn acknowledge(&mut self, effects: &mut Effects) {
        let Some(leader) = self.leader else { return };
        let matched = self.leader_matched;
        let durable = matched.min(self.durable);
        let (round, low_space) = (self.leader_round, self.low_space);
        self.send(leader, Outgoing::AppendAccepted { matched, durable, round, low_space }, effects);
    }

    pub(crate) fn reject(&mut self, to: NodeId, previous: Position, round: u64, effects: &mut Effects) {
        let end = self.log.end();
        let terms = self.terms.suffix_before(previous.min(end), sequencer_wire::TERM_STARTS_MAX);
        self.send(to, Outgoing::AppendRejected { previous, end, round, terms }, effects);
    }

    pub(crate) fn is_match(&self, previous: LogEnd) -> bool {
        if teeth::is_active(Bug::SkipPrefixCheck) {
            return previous.position <= self.log.end();
        }
        previous.position <= self.log.end() && self.terms.term_before(previous.position) == previous.term
    }

    /// Takes in the frames that follow `previous`; returns the end of what now matches the leader's log.
    fn take_frames(
        &mut self,
        term: Term,
        previous: LogEnd,
        frames: &[u8],
        effects: &mut Effects,
    ) -> Position {
        if teeth::is_active(Bug::CutCommittedBytes)
            && previous.position < self.log.end()
            && !frames.is_empty()
        {
            self.cut(previous.position, effects);
        }
        let mut matched = previous.position;
        // All that one message adds stays in the log buffer until it is written.
        let room = self.config.buffer_bytes_sure();
        for frame in Frames::new(frames, previous.position, previous.term) {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) if error.is_damage() => {
                    self.counters.damaged_appends += 1;
                    break;
                }
                Err(_) => {
                    self.counters.frames_unsupported += 1;
                    break;
                }
            };
            if frame.bytes.len() > self.config.block_bytes {
                self.counters.frames_too_large += 1;
                break;
            }
            // A leader holds no frame of a term after its own, and sends no more at a time than is sure to fit.
            let unwritten = frame.end().0 - self.written.0.min(frame.at.0);
            if frame.term > term || unwritten > room {
                self.counters.dropped_messages += 1;
                break;
            }
            if !self.take_frame(&frame, effects) {
                self.counters.frames_unsupported += 1;
                break;
            }
            matched = frame.end();
        }
        self.follow_members();
        matched
    }

    /// Appends a frame that is not there yet. False when its body is of a layout that this software does not know.
    fn take_frame(&mut self, frame: &Frame<'_>, effects: &mut Effects) -> bool {
        if frame.at < self.log.end() {
            if self.terms.term_at(frame.at) == frame.term {
                return true;
            }
            self.cut(frame.at, effects);
        }
        if self.ledger.apply(frame).is_err() {
            return false;
        }
        self.log.push(frame.bytes, self.written);
        self.clock.observe(frame.fields.timestamp_ns);
        self.last_frame_ns = frame.fields.timestamp_ns;
        if frame.fields.kind == FrameKind::NewTerm {
            self.terms.push(TermStart { term: frame.term, start: frame.at });
        }
        true
    }

    fn cut(&mut self, to: Position, effects: &mut Effects) {
        let is_planted = teeth::is_active(Bug::CutCommittedBytes) || teeth::is_active(Bug::SkipPrefixCheck);
        assert!(
            to >= self.commit || is_planted,
            "a cut to {to} would remove committed bytes below {}",
            self.commit
        );
        self.counters.cuts += 1;
        self.log.cut(to);
        self.terms.cut(to);
        self.ledger.undo(to);
        self.follow_members();
        if self.taken.as_ref().is_some_and(|taken| taken.end.position > to) {
            self.taken = None;
        }
        self.durable = self.durable.min(to);
        self.leader_matched = self.leader_matched.min(to);
        self.written = self.written.min(to);
        self.save(effects);
        effects.push(Effect::Cut { to });
    }

    fn follow_commit(&mut self, commit: Position, effects: &mut Effects) {
        let position = commit.min(self.leader_matched);
        let advances = position > self.commit;
        if advances || (teeth::is_active(Bug::CommitGoesBack) && position < self.commit) {
            self.set_commit(position, effects);
        }
    }
}
