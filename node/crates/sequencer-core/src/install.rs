//! Snapshots of the core: taking them, sending them to a follower that lags behind the start of the log, and installing them.
//!
//! Taking: 1. The ledger at the end of the log is encoded. 2. Once that end is committed and durable here, the bytes may be saved. If it
//! is cut before, they are dropped.
//!
//! Sending: 1. The leader reads its saved snapshot piece by piece; one piece is on its way at a time. 2. The follower answers how
//! much it holds; a heartbeat sends the piece again that got lost. 3. When a newer snapshot has been saved meanwhile, the
//! follower starts anew with that one.
//!
//! Installing: 1. When all pieces are there, digest and content are checked. 2. The snapshot replaces the log in one step, durably.
//! 3. The follower acknowledges its position, and the leader goes on from there.
//!
//! Invariant: a follower whose log holds the snapshot's last byte in the same term installs nothing: it may have acknowledged
//! what lies behind it.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{LogEnd, NodeId, Position, Term};

use crate::core::Core;
use crate::effect::{Effect, Effects, Outgoing};
use crate::event::Now;
use crate::ledger::{SnapshotError, decode_snapshot, encode_snapshot};
use crate::log_buffer::LogBuffer;
use crate::peer::Flow;
use crate::status::Role;

/// A snapshot that is not committed yet.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) end: LogEnd,
    pub(crate) bytes: Vec<u8>,
}

/// A snapshot that is arriving.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) last: LogEnd,
    pub(crate) total_bytes: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Core {
    /// Takes a snapshot of the ledger at the end of the log, unless one is being taken. Ask [`Core::ready_snapshot`] for it.
    pub fn take_snapshot(&mut self) {
        if self.taken.is_none() && self.log.end() > self.saved_snapshot {
            let (end, bytes) = self.encode_snapshot();
            self.taken = Some(Taken { end, bytes });
        }
    }

    /// The ledger at the end of the log, encoded. It may rest on frames that are not committed; [`Core::take_snapshot`] waits until they
    /// are.
    pub fn encode_snapshot(&self) -> (LogEnd, Vec<u8>) {
        let end = self.end();
        let mut bytes = Vec::with_capacity(self.ledger.encoded_bytes());
        encode_snapshot(&self.ledger, end, self.clock.last_ns(), &self.terms, &mut bytes);
        (end, bytes)
    }

    /// The snapshot that was taken, once it may be saved: it is committed, and durable here.
    pub fn ready_snapshot(&mut self) -> Option<(LogEnd, Vec<u8>)> {
        let position = self.taken.as_ref()?.end.position;
        if position > self.commit || position > self.durable {
            return None;
        }
        self.taken.take().map(|taken| (taken.end, taken.bytes))
    }

    /// A snapshot at this position has been saved, durably.
    pub fn note_snapshot(&mut self, position: Position) {
        self.saved_snapshot = self.saved_snapshot.max(position);
    }

    /// The stored log starts here now.
    pub fn note_log_start(&mut self, start: Position) {
        self.log_start = self.log_start.max(start);
    }

    /// The own disk has reached its reserve, or has room again.
    pub fn note_space(&mut self, is_low: bool) {
        self.low_space = is_low;
    }

    /// Bytes below this position may be removed from the stored log, once a saved snapshot reaches it.
    pub fn trim_floor(&self) -> Position {
        self.ledger.committed_floor()
    }

    /// The bytes that [`Effect::Install`] names; valid until the next step.
    pub fn installed_bytes(&self) -> &[u8] {
        self.arriving.as_ref().map_or(&[], |arriving| &arriving.bytes)
    }

    /// Turns to sending the snapshot to a follower that needs bytes from before the log's start.
    pub(crate) fn start_install(&mut self, peer: usize, effects: &mut Effects) {
        self.counters.installs_started += 1;
        self.peers[peer].flow = Flow::Installing { read: None, offset: 0, last: LogEnd::default() };
        self.read_snapshot(peer, effects);
    }

    /// Asks for the next piece.
    pub(crate) fn read_snapshot(&mut self, peer: usize, effects: &mut Effects) {
        let state = &mut self.peers[peer];
        let Flow::Installing { read, offset, .. } = &mut state.flow else { return };
        self.reads += 1;
        *read = Some(self.reads);
        let (peer, id, offset, limit_bytes) =
            (state.id, self.reads, *offset, self.config.snapshot_chunk_bytes);
        effects.push(Effect::ReadSnapshot { peer, id, offset, limit_bytes });
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one event and its context")]
    pub(crate) fn on_snapshot_read(
        &mut self,
        peer: NodeId,
        id: u64,
        last: LogEnd,
        total_bytes: u64,
        offset: u64,
        bytes: &[u8],
        effects: &mut Effects,
    ) {
        let Some(index) = self.peer_index(peer).filter(|_| self.role == Role::Leader) else { return };
        let Flow::Installing { read, offset: wanted, last: begun } = &mut self.peers[index].flow else {
            return;
        };
        if *read != Some(id) {
            return;
        }
        *read = None;
        if *begun != last && offset > 0 {
            // A newer one has been saved since the first piece.
            *wanted = 0;
            *begun = last;
            self.read_snapshot(index, effects);
            return;
        }
        *begun = last;
        let message =
            Outgoing::SnapshotChunk { last, total_bytes, offset, round: self.round, length: bytes.len() };
        self.send(peer, message, effects);
    }

    pub(crate) fn on_snapshot_received(
        &mut self,
        peer: usize,
        term: Term,
        position: Position,
        held: u64,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.role != Role::Leader || term != self.term {
            return;
        }
        self.peers[peer].heard_ns = now.monotonic_ns;
        if let Flow::Installing { read: None, offset, last } = &mut self.peers[peer].flow
            && (last.position == position || held == 0)
        {
            *offset = held;
            self.read_snapshot(peer, effects);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one message and its context")]
    pub(crate) fn on_snapshot_chunk(
        &mut self,
        from: NodeId,
        term: Term,
        last: LogEnd,
        total_bytes: u64,
        offset: u64,
        round: u64,
        bytes: &[u8],
        now: Now,
        effects: &mut Effects,
    ) {
        if term < self.term {
            self.reject(from, last.position, round, effects);
            return;
        }
        self.follow(from, term, now, effects);
        self.leader_round = self.leader_round.max(round);
        if self.is_match(last) {
            // Everything up to there is here and equal.
            self.arriving = None;
            self.leader_matched = self.leader_matched.max(last.position);
            self.acknowledge(effects);
            return;
        }
        if total_bytes > self.config.snapshot_bytes_max {
            self.counters.snapshots_too_large += 1;
            return;
        }
        let is_other = self.arriving.as_ref().is_none_or(|arriving| arriving.last != last);
        if is_other {
            self.arriving = Some(Arriving { last, total_bytes, bytes: Vec::new() });
        }
        let Some(arriving) = self.arriving.as_mut() else { return };
        if arriving.bytes.len() as u64 == offset && arriving.total_bytes == total_bytes {
            arriving.bytes.extend_from_slice(bytes);
        }
        let held = arriving.bytes.len() as u64;
        if held < total_bytes {
            self.send(
                from,
                Outgoing::SnapshotReceived { position: last.position, offset: held, round },
                effects,
            );
            return;
        }
        if self.install(last, effects).is_err() {
            self.counters.snapshots_damaged += 1;
            self.arriving = None;
            self.send(
                from,
                Outgoing::SnapshotReceived { position: last.position, offset: 0, round },
                effects,
            );
            return;
        }
        self.acknowledge(effects);
    }

    /// Replaces log and ledger by the snapshot that has arrived.
    fn install(&mut self, last: LogEnd, effects: &mut Effects) -> Result<(), SnapshotError> {
        let Some(arriving) = &self.arriving else { return Ok(()) };
        let mut snapshot = decode_snapshot(&arriving.bytes)?;
        if snapshot.end != last {
            return Err(SnapshotError::Content { at: 0 });
        }
        let position = last.position;
        assert!(
            position >= self.commit,
            "a snapshot at {position} would remove committed bytes below {}",
            self.commit
        );
        if teeth::is_active(Bug::ForgetDedupeOnInstall) {
            snapshot.ledger.sessions.forget_windows();
        }
        self.counters.installs += 1;
        self.log = LogBuffer::new(position, self.config.block_bytes, self.config.blocks);
        self.terms = snapshot.terms;
        self.ledger = snapshot.ledger;
        self.ledger.reserve_journal(self.config.journal_entries());
        self.clock.observe(snapshot.last_timestamp_ns);
        self.taken = None;
        self.written = position;
        self.durable = position;
        self.commit = position;
        self.log_start = position;
        self.saved_snapshot = position;
        self.leader_matched = position;
        self.take_members();
        self.save(effects);
        effects.push(Effect::Install { last });
        effects.push(Effect::Committed { position });
        self.settle_claim_by_own_log();
        Ok(())
    }
}
