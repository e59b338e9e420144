//! Leading: replication in bounded pipelines, commit, heartbeats and the check that a majority is still there.
//!
//! 1. Each follower is sent the log from `next` on, at most a bounded number of unacknowledged bytes at a time, one block
//!    of the log buffer a message. Bytes go out before the leader's own sync.
//! 2. A follower whose `next` has left the log buffer is served from segments, at its own pace.
//! 3. The commit position is the highest position that a majority holds durably, the leader counting itself only for what
//!    its own disk reported; and only once that is past the start of the leader's own term.
//! 4. A heartbeat starts a new round. A leader that hears no majority within an election time-out steps down.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{NodeId, Position, Term, TermStarts};

use crate::core::Core;
use crate::effect::{Effect, Effects, FrameSource, Outgoing};
use crate::event::Now;
use crate::peer::Flow;
use crate::status::Role;

impl Core {
    pub(crate) fn tick_leader(&mut self, now: Now, effects: &mut Effects) {
        if self.has_lost_quorum(now) {
            self.counters.quorum_lost += 1;
            self.become_follower(None, now, effects);
            return;
        }
        self.expire_transfer(now);
        if now.monotonic_ns < self.heartbeat_deadline_ns {
            return;
        }
        self.heartbeat_deadline_ns = now.monotonic_ns + self.config.heartbeat_ns;
        // Before anything is sent: what it appends may reuse the oldest block, which a message of this step must not name.
        self.keep_house(now);
        self.round += 1;
        for index in 0..self.peers.len() {
            match self.peers[index].flow {
                Flow::Probe => self.send_first_append(index, effects),
                // The piece on its way may have got lost.
                Flow::Installing { .. } => self.read_snapshot(index, effects),
                Flow::Stream | Flow::Reading { .. } => self.send_empty_append(index, effects),
            }
        }
    }

    pub(crate) fn flush(&mut self, now: Now, effects: &mut Effects) {
        if self.role != Role::Leader {
            return;
        }
        // Followers first: their disks work while the leader's does.
        let mut is_untold = false;
        for index in 0..self.peers.len() {
            self.send_stream(index, self.log.end(), effects);
            is_untold |= self.is_commit_untold(index);
        }
        self.tell_commit(is_untold, now, effects);
        self.write_pending(effects);
    }

    fn is_commit_untold(&self, peer: usize) -> bool {
        let peer = &self.peers[peer];
        peer.flow == Flow::Stream && peer.commit_sent < self.commit
    }

    /// Tells followers of a commit that nothing else has told them of within the delay.
    fn tell_commit(&mut self, is_untold: bool, now: Now, effects: &mut Effects) {
        if !is_untold {
            self.commit_deadline_ns = u64::MAX;
            return;
        }
        self.commit_deadline_ns =
            self.commit_deadline_ns.min(now.monotonic_ns.saturating_add(self.config.commit_delay_ns));
        if now.monotonic_ns < self.commit_deadline_ns {
            return;
        }
        self.commit_deadline_ns = u64::MAX;
        for index in 0..self.peers.len() {
            if self.is_commit_untold(index) {
                self.send_empty_append(index, effects);
            }
        }
    }

    pub(crate) fn on_append_accepted(
        &mut self,
        peer: usize,
        term: Term,
        matched: Position,
        durable: Position,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.role != Role::Leader || term != self.term {
            return;
        }
        // Nothing is sent before it is handed to the own storage, or in the same step.
        if matched > self.written || durable > matched {
            self.counters.dropped_messages += 1;
            return;
        }
        let state = &mut self.peers[peer];
        state.heard_ns = now.monotonic_ns;
        if let Flow::Installing { .. } = state.flow {
            if matched < self.log_start {
                return;
            }
            state.matched = matched;
            state.next = matched;
            state.flow = Flow::Stream;
        } else if let Flow::Probe | Flow::Reading { then_probe: true, .. } = state.flow {
            state.matched = matched;
            state.next = matched;
            state.flow = match state.flow {
                Flow::Reading { id, .. } => Flow::Reading { id, then_probe: false },
                _ => Flow::Stream,
            };
        } else {
            // An answer may overtake those before it; what it acknowledges need not be sent again.
            state.matched = state.matched.max(matched);
            state.next = state.next.max(matched);
        }
        if durable > state.durable {
            state.durable = durable;
            self.advance_commit(effects);
        }
        self.send_stream(peer, self.written, effects);
        self.try_hand_over(effects);
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one message and its context")]
    pub(crate) fn on_append_rejected(
        &mut self,
        peer: usize,
        term: Term,
        previous: Position,
        end: Position,
        round: u64,
        terms: &TermStarts,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.role != Role::Leader || term != self.term {
            return;
        }
        self.peers[peer].heard_ns = now.monotonic_ns;
        let is_installing = matches!(self.peers[peer].flow, Flow::Installing { .. });
        if round < self.peers[peer].rewound_in_round || is_installing {
            return;
        }
        let (common, is_exact) = self.common_point(previous, end, terms);
        self.round += 1;
        let state = &mut self.peers[peer];
        state.rewound_in_round = self.round;
        state.next = common;
        // The window counts from here; what the follower acknowledged before is for the commit position alone.
        state.matched = common;
        // A read under way stays the only one; when it is answered the stream goes on from the new `next`.
        state.flow = match (state.flow, is_exact) {
            (Flow::Reading { id, .. }, _) => Flow::Reading { id, then_probe: !is_exact },
            (_, true) => Flow::Stream,
            (_, false) => Flow::Probe,
        };
        if is_exact {
            self.send_stream(peer, self.written, effects);
        } else {
            self.send_empty_append(peer, effects);
        }
    }

    pub(crate) fn on_log_read(
        &mut self,
        peer: NodeId,
        id: u64,
        from: Position,
        frames: &[u8],
        effects: &mut Effects,
    ) {
        let Some(index) = self.peer_index(peer).filter(|_| self.role == Role::Leader) else { return };
        let then_probe = match self.peers[index].flow {
            Flow::Reading { id: awaited, then_probe } if awaited == id => then_probe,
            // An answer to an earlier leadership; what it holds may have been cut since.
            _ => return,
        };
        if then_probe {
            self.peers[index].flow = Flow::Probe;
            self.send_empty_append(index, effects);
            return;
        }
        self.peers[index].flow = Flow::Stream;
        // The follower may have been moved back or forth while the read was under way.
        if self.peers[index].next == from && !frames.is_empty() {
            let to = Position(from.0 + frames.len() as u64);
            self.send_append(index, from, to, FrameSource::Event, effects);
            self.peers[index].next = to;
        } else {
            self.send_stream(index, self.written, effects);
        }
    }

    /// Sends the first append of a leadership, or repeats it: the logs may part before it.
    pub(crate) fn send_first_append(&mut self, peer: usize, effects: &mut Effects) {
        let next = self.peers[peer].next;
        if next < self.log.start() || next >= self.log.end() {
            self.send_empty_append(peer, effects);
        } else {
            self.send_append(peer, next, self.log.block_end(next), FrameSource::Buffer, effects);
        }
    }

    pub(crate) fn advance_commit(&mut self, effects: &mut Effects) {
        let own = if teeth::is_active(Bug::LeaderCountsBeforeSync) { self.log.end() } else { self.durable };
        let voters = self.counting_voters();
        let position = self.majority_durable(&voters, own);
        // An older term's bytes are committed only together with a byte of the own term (Raft, figure 8).
        let in_own_term = position > self.term_start || teeth::is_active(Bug::CommitOlderTermByCount);
        if position > self.commit && in_own_term {
            self.set_commit(position, effects);
        }
    }

    /// Sends what the follower's window allows, up to `limit`. Between flushes that is what storage has been handed.
    fn send_stream(&mut self, peer: usize, limit: Position, effects: &mut Effects) {
        loop {
            let state = &self.peers[peer];
            let has_room = state.next.0 - state.matched.0 < self.config.inflight_bytes_max;
            if state.flow != Flow::Stream || state.next >= limit || !has_room {
                return;
            }
            let from = state.next;
            if from < self.log_start {
                self.start_install(peer, effects);
                return;
            }
            if from < self.log.start() {
                self.counters.catch_up_reads += 1;
                self.reads += 1;
                let (id, limit_bytes) = (self.reads, self.config.block_bytes);
                self.peers[peer].flow = Flow::Reading { id, then_probe: false };
                effects.push(Effect::ReadLog { peer: self.peers[peer].id, id, from, limit_bytes });
                return;
            }
            let to = self.log.block_end(from).min(limit);
            self.send_append(peer, from, to, FrameSource::Buffer, effects);
            self.peers[peer].next = to;
        }
    }

    fn send_empty_append(&mut self, peer: usize, effects: &mut Effects) {
        let next = self.peers[peer].next;
        self.send_append(peer, next, next, FrameSource::Buffer, effects);
    }

    fn send_append(
        &mut self,
        peer: usize,
        from: Position,
        to: Position,
        source: FrameSource,
        effects: &mut Effects,
    ) {
        let previous = self.log_end_at(from);
        let (commit, round) = (self.commit, self.round);
        self.peers[peer].commit_sent = commit;
        let message = Outgoing::Append { previous, commit, round, from, to, source };
        self.send(self.peers[peer].id, message, effects);
    }

    /// Where a follower's log parts from the own, from its newest terms below `previous`; and whether that is exact.
    ///
    /// If it is not, the answer is the lowest position known to differ: the next probe asks from there, so each answer
    /// moves down by up to as many terms as an answer carries.
    fn common_point(&self, previous: Position, end: Position, terms: &TermStarts) -> (Position, bool) {
        let limit = end.min(previous);
        let mut their_end = limit;
        for entry in terms.as_slice().iter().rev() {
            if entry.start < limit {
                if self.terms.starts_at(entry.term) == Some(entry.start) {
                    let own_end = self.terms.end_of(entry.term, self.log.end()).unwrap_or(entry.start);
                    return (their_end.min(own_end), true);
                }
                their_end = entry.start;
            }
        }
        let lowest = terms.as_slice().first().map_or(Position(0), |entry| entry.start);
        (lowest.min(self.log.end()), lowest == Position(0))
    }

    fn has_lost_quorum(&self, now: Now) -> bool {
        let timeout = self.config.election_timeout_ns;
        let is_alive = |heard_ns: u64| now.monotonic_ns.saturating_sub(heard_ns) < timeout;
        let alive = self.peers.iter().filter(|peer| peer.is_voter && is_alive(peer.heard_ns)).count();
        usize::from(self.is_voter()) + alive < self.majority()
    }
}
