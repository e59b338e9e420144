//! The state of one member and the entry point of every event.

use std::collections::BTreeMap;

use sequencer_wire::{
    Claim, Envelope, HardState, LogEnd, Membership, NodeId, PeerMessage, Position, Term, TermTable,
};

use crate::claim::Inquiry;
use crate::config::{Config, ConfigError};
use crate::effect::{Effect, Effects, Outgoing};
use crate::event::{Event, Now};
use crate::install::{Arriving, Taken};
use crate::leadership::Leadership;
use crate::ledger::Ledger;
use crate::log_buffer::{LogBuffer, Slices};
use crate::log_clock::LogClock;
use crate::membership::Voters;
use crate::peer::Peer;
use crate::random::Random;
use crate::state::Restored;
use crate::status::{Counters, Role, Status};
use crate::transfer::Transfer;

/// How far a peer's term may be ahead of the own. At a thousand elections a second it takes centuries to get there.
const TERMS_AHEAD_MAX: u64 = 1 << 45;

/// One member's consensus state. See the crate's description.
pub struct Core {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) counters: Counters,

    pub(crate) role: Role,
    pub(crate) term: Term,
    pub(crate) vote: Option<NodeId>,
    pub(crate) claim: Option<Claim>,
    /// Term, vote or claim differ from what is saved. Cleared by [`Core::save`], which every send goes through.
    pub(crate) unsaved: bool,

    pub(crate) log: LogBuffer,
    pub(crate) terms: TermTable,
    /// End of what storage has been handed.
    pub(crate) written: Position,
    /// End of what storage reported durable.
    pub(crate) durable: Position,
    /// Everything below is committed.
    pub(crate) commit: Position,
    pub(crate) clock: LogClock,

    /// The other members of the newest list, by id.
    pub(crate) peers: Vec<Peer>,
    /// The list that counts until one is in the log.
    pub(crate) founders: Membership,
    /// Voters of the newest list.
    pub(crate) voters: Voters,
    /// Whether this node is one of them, with the data that the list names.
    pub(crate) has_vote: bool,
    /// The list that `peers` and `voters` were derived from.
    pub(crate) members_version: u64,

    /// What admission needs, at the end of the log.
    pub(crate) ledger: Ledger,
    pub(crate) leadership: Leadership,
    pub(crate) refusals: BTreeMap<&'static str, u64>,
    /// Timestamp of the last frame in the log.
    pub(crate) last_frame_ns: u64,
    /// One body being encoded; reused.
    pub(crate) scratch: Vec<u8>,

    /// First position of the stored log.
    pub(crate) log_start: Position,
    /// Position of the newest saved snapshot.
    pub(crate) saved_snapshot: Position,
    /// A snapshot that is not saved yet.
    pub(crate) taken: Option<Taken>,
    /// A snapshot that arrives from the leader.
    pub(crate) arriving: Option<Arriving>,
    /// The own disk has reached its reserve.
    pub(crate) low_space: bool,

    /// The leader of the current term, once known.
    pub(crate) leader: Option<NodeId>,
    /// When the leader was last heard; `None` before the first time and after it was given up.
    pub(crate) leader_heard_ns: Option<u64>,
    pub(crate) election_deadline_ns: u64,
    /// Follower: end of what is known to match the current leader's log.
    pub(crate) leader_matched: Position,
    /// Follower: newest round of the leader that was seen.
    pub(crate) leader_round: u64,
    /// The newest status inquiry; answers to others are ignored.
    pub(crate) inquiry: Option<Inquiry>,

    /// Leader: where its term begins in the log.
    pub(crate) term_start: Position,
    /// Leader: rises with each heartbeat and each rewind of a follower.
    pub(crate) round: u64,
    pub(crate) heartbeat_deadline_ns: u64,
    /// When followers are told of a commit that no other message has told them of; `u64::MAX` when there is none.
    pub(crate) commit_deadline_ns: u64,
    /// Reads from segments asked for so far.
    pub(crate) reads: u64,
    pub(crate) transfer: Option<Transfer>,
}

impl Core {
    /// A member that starts, or starts again, from what storage recovered. It begins as a follower.
    ///
    /// # Errors
    /// [`ConfigError`] when a setting is out of bounds.
    pub fn new(config: Config, restored: Restored, now: Now) -> Result<Self, ConfigError> {
        config.validate()?;
        let Restored { hard_state, terms, start, end, last_timestamp_ns, committed, snapshot, mut ledger } =
            restored;
        ledger.reserve_journal(config.journal_entries());
        let mut core = Self {
            random: Random::new(config.seed),
            counters: Counters::default(),
            role: Role::Follower,
            // A crash may have come between storing a leader's first frame and saving its term.
            term: hard_state.term.max(terms.last_term()),
            vote: hard_state.vote.filter(|_| hard_state.term >= terms.last_term()),
            claim: hard_state.claim,
            unsaved: false,
            log: LogBuffer::new(end, config.block_bytes, config.blocks),
            terms,
            written: end,
            durable: end,
            commit: committed.min(end),
            clock: LogClock::new(last_timestamp_ns),
            peers: Vec::new(),
            founders: config.founders(),
            voters: Voters::default(),
            has_vote: false,
            members_version: 0,
            ledger,
            leadership: Leadership::default(),
            refusals: BTreeMap::new(),
            last_frame_ns: last_timestamp_ns,
            scratch: Vec::new(),
            log_start: start,
            saved_snapshot: snapshot,
            taken: None,
            arriving: None,
            low_space: false,
            leader: None,
            leader_heard_ns: None,
            election_deadline_ns: 0,
            leader_matched: Position(0),
            leader_round: 0,
            inquiry: None,
            term_start: Position(0),
            round: 0,
            heartbeat_deadline_ns: 0,
            commit_deadline_ns: u64::MAX,
            reads: 0,
            transfer: None,
            config,
        };
        core.take_members();
        core.settle_claim_by_own_log();
        core.redraw_election_deadline(now);
        Ok(core)
    }

    /// Takes in one event. What is to be done about it is appended to `effects`, in order.
    pub fn step(&mut self, event: Event<'_>, now: Now, effects: &mut Effects) {
        if self.role == Role::Halted {
            return;
        }
        self.forget_installed();
        match event {
            Event::Tick => self.tick(now, effects),
            Event::Receive { envelope, message } => self.receive(&envelope, &message, now, effects),
            Event::Flush => self.flush(now, effects),
            Event::Durable { position } => self.on_durable(position, effects),
            Event::LogRead { peer, id, from, frames } => self.on_log_read(peer, id, from, frames, effects),
            Event::SnapshotRead { peer, id, last, total_bytes, offset, bytes } => {
                self.on_snapshot_read(peer, id, last, total_bytes, offset, bytes, effects);
            }
            Event::StorageFailed => self.halt(effects),
        }
        self.save(effects);
    }

    /// The monotonic time at which [`Event::Tick`] is due.
    pub fn next_deadline_ns(&self) -> u64 {
        match self.role {
            Role::Leader => self
                .heartbeat_deadline_ns
                .min(self.commit_deadline_ns)
                .min(self.transfer.as_ref().map_or(u64::MAX, |transfer| transfer.deadline_ns)),
            Role::Halted => u64::MAX,
            Role::Follower | Role::PreCandidate | Role::Candidate => self.election_deadline_ns,
        }
    }

    /// The log's bytes `from..to`, which must be in the log buffer. What an effect names is there until the next step or proposal.
    pub fn log_bytes(&self, from: Position, to: Position) -> Slices<'_> {
        self.log.slices(from, to)
    }

    /// First position that is in the log buffer; what lies before it must be read from storage.
    pub fn buffered_from(&self) -> Position {
        self.log.start()
    }

    /// Whether nothing was admitted that [`Event::Flush`] has not sent and handed to storage yet.
    pub fn is_flushed(&self) -> bool {
        self.log.end() == self.written
    }

    /// Whether requests are answered here now: this node leads, has committed in its term, and is not handing over.
    pub fn admits(&self) -> bool {
        self.check_leading().is_ok() && self.transfer.is_none()
    }

    /// Whom this node follows, itself included, and in which term.
    pub fn leader(&self) -> (Term, Option<NodeId>) {
        (self.term, self.leader)
    }

    /// How far a member has acknowledged the log, for a leader to show; `None` for itself, for strangers, and on other nodes.
    pub fn acknowledged(&self, id: NodeId) -> Option<Position> {
        let index = self.peer_index(id).filter(|_| self.role == Role::Leader)?;
        Some(self.peers[index].durable)
    }

    /// End of what may be shown to readers: committed, and handed to the own storage.
    pub fn readable_end(&self) -> Position {
        use sequencer_wire::teeth::{self, Bug};
        if teeth::is_active(Bug::ServePastCommit) {
            return self.log.end();
        }
        self.commit.min(self.written)
    }

    /// The log's terms and where they start.
    pub fn terms(&self) -> &TermTable {
        &self.terms
    }

    /// What admission needs, at the end of the log: committed or not, so not for readers.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The state for operators and checkers.
    pub fn status(&self) -> Status {
        let mut counters = self.counters;
        counters.clock_jumps = self.clock.jumps();
        Status {
            role: self.role,
            term: self.term,
            vote: self.vote,
            leader: self.leader,
            end: self.end(),
            durable: self.durable_end(),
            commit: self.commit,
            claim: self.claim,
            is_voter: self.is_voter(),
            log_start: self.log_start,
            snapshot: self.saved_snapshot,
            handing_over_to: self
                .transfer
                .as_ref()
                .filter(|transfer| transfer.told)
                .map(|transfer| transfer.target),
            clock_held_back_ns: if self.role == Role::Leader { self.clock.held_back_ns() } else { 0 },
            clock_ahead_ns: if self.role == Role::Leader { self.clock.ahead_ns() } else { 0 },
            counters,
        }
    }

    /// End of the log in memory.
    pub(crate) fn end(&self) -> LogEnd {
        LogEnd { term: self.terms.last_term(), position: self.log.end() }
    }

    /// End of the durable log: what votes are judged by.
    pub(crate) fn durable_end(&self) -> LogEnd {
        self.log_end_at(self.durable)
    }

    /// The log's end as if it ended at `position`.
    pub(crate) fn log_end_at(&self, position: Position) -> LogEnd {
        LogEnd { term: self.terms.term_before(position), position }
    }

    pub(crate) fn peer_index(&self, id: NodeId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.id == id)
    }

    fn tick(&mut self, now: Now, effects: &mut Effects) {
        match self.role {
            Role::Leader => self.tick_leader(now, effects),
            Role::Follower | Role::PreCandidate | Role::Candidate => {
                if now.monotonic_ns >= self.election_deadline_ns {
                    self.on_election_timeout(now, effects);
                }
            }
            Role::Halted => {}
        }
    }

    fn receive(&mut self, envelope: &Envelope, message: &PeerMessage<'_>, now: Now, effects: &mut Effects) {
        let from = envelope.from;
        let addressed = envelope.to == self.config.id && envelope.cluster == self.config.cluster;
        // An id that is not known yet may have been added where this node has not read; one that was used before was removed.
        let peer = self.peer_index(from);
        let is_retired = peer.is_none() && self.is_retired(from);
        if !addressed || is_retired || from == self.config.id {
            self.counters.dropped_messages += 1;
            return;
        }
        let term = envelope.term;
        if term.0.saturating_sub(self.term.0) > TERMS_AHEAD_MAX {
            // No cluster gets there; following such a term would use up all that are left.
            self.counters.dropped_messages += 1;
            return;
        }
        match *message {
            PeerMessage::PreVoteRequest { last } => self.on_pre_vote_request(from, term, last, now, effects),
            PeerMessage::VoteRequest { last, transfer } => {
                self.on_vote_request(from, term, last, transfer, now, effects);
            }
            PeerMessage::Append { previous, commit, round, frames } => {
                self.on_append(from, term, previous, commit, round, frames, now, effects);
            }
            PeerMessage::TimeoutNow { end } => self.on_timeout_now(from, term, end, now, effects),
            PeerMessage::StatusRequest { nonce } => self.on_status_request(from, term, nonce, now, effects),
            PeerMessage::SnapshotChunk { last, total_bytes, offset, round, bytes } => {
                self.on_snapshot_chunk(from, term, last, total_bytes, offset, round, bytes, now, effects);
            }
            _ => match peer {
                Some(peer) => self.receive_answer(peer, term, message, now, effects),
                None => self.counters.dropped_messages += 1,
            },
        }
    }

    /// Takes in an answer, which only members of the newest list are asked for.
    fn receive_answer(
        &mut self,
        peer: usize,
        term: Term,
        message: &PeerMessage<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        match *message {
            PeerMessage::SnapshotReceived { position, offset, round } => {
                self.adopt_higher_term(term, now, effects);
                self.note_round(peer, term, round);
                self.on_snapshot_received(peer, term, position, offset, now, effects);
            }
            PeerMessage::PreVoteResponse { granted } => {
                self.on_pre_vote_response(peer, term, granted, now, effects);
            }
            PeerMessage::VoteResponse { granted, wall_ns } => {
                self.on_vote_response(peer, term, granted, wall_ns, now, effects);
            }
            PeerMessage::AppendAccepted { matched, durable, low_space, round } => {
                self.peers[peer].low_space = low_space;
                self.adopt_higher_term(term, now, effects);
                self.note_round(peer, term, round);
                self.on_append_accepted(peer, term, matched, durable, now, effects);
            }
            PeerMessage::AppendRejected { previous, end, round, ref terms } => {
                self.adopt_higher_term(term, now, effects);
                self.note_round(peer, term, round);
                self.on_append_rejected(peer, term, previous, end, round, terms, now, effects);
            }
            PeerMessage::StatusResponse { nonce, health, last } => {
                self.on_status_response(peer, term, nonce, health, last, now, effects);
            }
            _ => unreachable!("requests are taken in by the caller"),
        }
    }

    /// A member has answered a round of heartbeats of this leadership.
    fn note_round(&mut self, peer: usize, term: Term, round: u64) {
        // No answer can be to a round that has not begun.
        if self.role == Role::Leader && term == self.term && round <= self.round {
            self.peers[peer].round = self.peers[peer].round.max(round);
        }
    }

    /// What the last step installed has been saved by now.
    fn forget_installed(&mut self) {
        if self.arriving.as_ref().is_some_and(|arriving| arriving.last.position == self.log_start) {
            self.arriving = None;
        }
    }

    fn on_durable(&mut self, position: Position, effects: &mut Effects) {
        assert!(position <= self.written, "storage reports bytes durable that it was never handed");
        if position == self.durable {
            return;
        }
        assert!(position > self.durable, "the durable end went back from {} to {position}", self.durable);
        self.durable = position;
        self.settle_claim_by_own_log();
        if self.role == Role::Leader {
            self.advance_commit(effects);
            self.try_hand_over(effects);
        } else {
            self.acknowledge_durable(effects);
        }
    }

    /// Follows `term` when it is newer than the own. Reveals nothing itself: the next send saves first.
    pub(crate) fn adopt_higher_term(&mut self, term: Term, now: Now, effects: &mut Effects) {
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.unsaved = true;
            self.become_follower(None, now, effects);
        }
    }

    /// Becomes a follower in the current term.
    pub(crate) fn become_follower(&mut self, leader: Option<NodeId>, now: Now, effects: &mut Effects) {
        if self.leader != leader || self.role != Role::Follower {
            // What was known of another leader's log says nothing about this one's.
            self.leader_matched = Position(0);
            self.leader_round = 0;
        }
        if leader.is_none() {
            self.leader_heard_ns = None;
        }
        self.leader = leader;
        self.transfer = None;
        self.redraw_election_deadline(now);
        self.set_role(Role::Follower, effects);
    }

    pub(crate) fn set_role(&mut self, role: Role, effects: &mut Effects) {
        if self.role != role {
            self.role = role;
            self.save(effects);
            effects.push(Effect::RoleChanged { role, term: self.term });
        }
    }

    /// Saves term, vote and claim if they changed.
    pub(crate) fn save(&mut self, effects: &mut Effects) {
        if self.unsaved {
            self.unsaved = false;
            let state = HardState { term: self.term, vote: self.vote, claim: self.claim };
            effects.push(Effect::SaveHardState(state));
        }
    }

    /// Sends in the current term, after saving what the message may reveal.
    pub(crate) fn send(&mut self, to: NodeId, message: Outgoing, effects: &mut Effects) {
        self.send_in_term(to, self.term, message, effects);
    }

    pub(crate) fn send_in_term(&mut self, to: NodeId, term: Term, message: Outgoing, effects: &mut Effects) {
        self.save(effects);
        effects.push(Effect::Send { to, term, message });
    }

    /// Sends to the other voters.
    pub(crate) fn broadcast(&mut self, term: Term, message: Outgoing, effects: &mut Effects) {
        for index in 0..self.peers.len() {
            if self.peers[index].is_voter {
                self.send_in_term(self.peers[index].id, term, message, effects);
            }
        }
    }

    /// Everything below `position` is committed.
    pub(crate) fn set_commit(&mut self, position: Position, effects: &mut Effects) {
        self.commit = position;
        self.ledger.commit(position);
        effects.push(Effect::Committed { position });
    }

    /// Hands to storage what has been appended to the log buffer since the last time.
    pub(crate) fn write_pending(&mut self, effects: &mut Effects) {
        let end = self.log.end();
        if end > self.written {
            self.save(effects);
            effects.push(Effect::Write { from: self.written, to: end });
            self.written = end;
        }
    }

    /// Leaves the cluster's work for good after a storage failure.
    fn halt(&mut self, effects: &mut Effects) {
        if self.role == Role::Leader {
            self.abdicate(effects);
        }
        self.unsaved = false;
        self.leader = None;
        self.transfer = None;
        self.role = Role::Halted;
        effects.push(Effect::RoleChanged { role: Role::Halted, term: self.term });
    }
}
