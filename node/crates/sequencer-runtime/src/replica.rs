//! One member: a core and its log on one disk.
//!
//! A turn of the owner's loop: hand in what arrived ([`Replica::receive`], [`Replica::propose`]), then call
//! [`Replica::turn`], which takes in finished syncs, lets time pass, sends and writes what was admitted, and starts the next
//! sync. In `fsync` mode a sync thus runs while the next batch gathers.
//!
//! Invariant: effects are carried out in the order the core gave them; in particular nothing is sent before a hard state
//! that stands before it is durable.

use sequencer_core::{
    Admitted, Answer, ClaimMismatch, Core, Effect, Effects, Event, FrameSource, Now, Outgoing, PeerRefusal,
    Proposal, Refusal, Request, Restored, Snapshot, Status, TransferError,
};
use sequencer_storage::{Disk, Log, Recovered, RecoveryReport, Saved, StorageError};
use sequencer_wire::{
    Envelope, LogEnd, MEMBERS_MAX, NodeId, Position, Term, TermTable, WireError, decode_peer,
    encode_append_header, encode_peer,
};

use crate::error::ReplicaError;
use crate::host::Host;
use crate::settings::Settings;

/// Bytes of the own log that are replayed at a time when a node starts.
const REPLAY_BYTES: usize = 1 << 20;

/// A read for a follower that the core asked for.
#[derive(Debug, Clone, Copy)]
enum PendingRead {
    Log { peer: NodeId, id: u64, from: Position, limit_bytes: usize },
    Snapshot { peer: NodeId, id: u64, offset: u64, limit_bytes: usize },
}

/// See the module's description.
pub struct Replica<D: Disk> {
    core: Core,
    log: Log<D>,
    effects: Effects,
    /// One encoded message head; reused.
    message: Vec<u8>,
    /// Bytes read from segments; reused.
    read: Vec<u8>,
    /// At most one for each peer.
    reads: Vec<PendingRead>,
    /// Bytes of log after which another snapshot of the core is taken.
    snapshot_every_bytes: u64,
    failed: bool,
}

impl<D: Disk> Replica<D> {
    /// Opens the log on `disk`, recovers it and starts as a follower.
    ///
    /// # Errors
    /// [`ReplicaError::Storage`] when the log is another node's, or damaged beyond what peers can repair.
    pub fn open(disk: D, settings: Settings, now: Now) -> Result<(Self, RecoveryReport), ReplicaError> {
        settings.validate()?;
        let (mut log, recovered) = Log::open(disk, settings.storage)?;
        let report = recovered.report.clone();
        let restored = restore(&mut log, recovered)?;
        let mut config = settings.core;
        config.data = log.data_uuid();
        let core = Core::new(config, restored, now)?;
        let replica = Self {
            core,
            log,
            effects: Effects::new(),
            message: Vec::with_capacity(4096),
            read: Vec::new(),
            reads: Vec::with_capacity(MEMBERS_MAX),
            snapshot_every_bytes: settings.snapshot_every_bytes,
            failed: false,
        };
        Ok((replica, report))
    }

    /// Takes in one peer message. Nothing is sent or written later than the following [`Replica::turn`].
    ///
    /// A message that does not decode is reported as the inner error and changes nothing: its sender repeats what matters.
    ///
    /// # Errors
    /// [`ReplicaError`] when the own disk failed.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now: Now,
        host: &mut impl Host,
    ) -> Result<Result<(), WireError>, ReplicaError> {
        match decode_peer(bytes, self.core.config().cluster) {
            Ok((envelope, message, _)) => self.step(Event::Receive { envelope, message }, now, host).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Whether a connection from this node may be listened to; see [`Core::check_peer`].
    ///
    /// # Errors
    /// [`PeerRefusal`] says why not.
    pub fn check_peer(&mut self, id: NodeId, data: [u8; 16]) -> Result<(), PeerRefusal> {
        self.core.check_peer(id, data)
    }

    /// Prepares for a batch of requests; see [`Core::warm`].
    pub fn warm(&self, requests: &[Request<'_>]) {
        self.core.warm(requests);
    }

    /// Takes in one request; see [`Core::request`]. What it appends leaves with the next [`Replica::turn`].
    pub fn request(&mut self, request: &Request<'_>, now: Now) -> Answer {
        self.core.request(request, now)
    }

    /// Appends one frame without rules of its own to the leader's log; it leaves with the next [`Replica::turn`].
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    pub fn propose(&mut self, proposal: &Proposal<'_>, now: Now) -> Result<Admitted, Refusal> {
        self.core.propose(proposal, now)
    }

    /// Starts handing leadership to `target`.
    ///
    /// # Errors
    /// The inner error when the transfer cannot start, the outer when the own disk failed.
    pub fn transfer_leadership(
        &mut self,
        target: NodeId,
        now: Now,
        host: &mut impl Host,
    ) -> Result<Result<(), TransferError>, ReplicaError> {
        let outcome = self.core.transfer_leadership(target, now, &mut self.effects);
        self.carry_out(&[], now, host)?;
        Ok(outcome)
    }

    /// Ends one turn of the owner's loop; see the module's description.
    ///
    /// # Errors
    /// [`ReplicaError`] when the own disk failed: the replica is out of action.
    pub fn turn(&mut self, now: Now, host: &mut impl Host) -> Result<(), ReplicaError> {
        self.take_durable(now, host)?;
        if now.monotonic_ns >= self.core.next_deadline_ns() {
            self.step(Event::Tick, now, host)?;
        }
        self.step(Event::Flush, now, host)?;
        let started = self.log.start_sync();
        self.or_fail(started, now, host)?;
        // Without syncs, and where nobody else must answer, what was just written counts at once.
        self.take_durable(now, host)
    }

    /// Appends committed whole frames from `from` on to `into`, at most `limit_bytes` but at least one frame if there is one;
    /// returns the bytes added.
    ///
    /// # Errors
    /// [`ReplicaError`] when the stored bytes are damaged or unreadable.
    pub fn read_committed(
        &mut self,
        from: Position,
        limit_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, ReplicaError> {
        let readable = self.core.readable_end();
        if from >= readable {
            return Ok(0);
        }
        let limit_bytes = limit_bytes.min((readable.0 - from.0) as usize);
        self.read_stored(from, limit_bytes, into)
    }

    /// Appends stored whole frames from `from` on to `into`, committed or not; for tools and checkers, never for readers.
    ///
    /// # Errors
    /// [`ReplicaError`] when the stored bytes are damaged or unreadable.
    pub fn read_stored(
        &mut self,
        from: Position,
        limit_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, ReplicaError> {
        if self.failed {
            return Err(ReplicaError::Failed);
        }
        let outcome = self.log.read(from, limit_bytes, into);
        // A reader that asks for what is not there is no reason to stop; a node that cannot read its own log is.
        if let Err(StorageError::Disk(_) | StorageError::DamagedFrame { .. }) = outcome {
            self.failed = true;
        }
        Ok(outcome?)
    }

    /// Work for idle moments: prepares the next segment, takes and saves snapshots of the core, trims what the log need not keep,
    /// and looks how much room the disk has. False when there is no room for a segment or a snapshot, which is no reason
    /// to stop before an append needs it, but one to call for help.
    ///
    /// # Errors
    /// [`ReplicaError`] when the own disk failed.
    pub fn maintain(&mut self, now: Now, host: &mut impl Host) -> Result<bool, ReplicaError> {
        if self.failed {
            return Err(ReplicaError::Failed);
        }
        let outcome = self.maintain_log();
        match outcome {
            Err(StorageError::Full { .. }) => {
                self.core.note_space(true);
                Ok(false)
            }
            outcome => self.or_fail(outcome, now, host).map(|()| true),
        }
    }

    /// How much room the disk has.
    ///
    /// # Errors
    /// [`ReplicaError`] when the own disk failed.
    pub fn space(&mut self) -> Result<sequencer_storage::Space, ReplicaError> {
        Ok(self.log.space()?)
    }

    fn maintain_log(&mut self) -> Result<(), StorageError> {
        self.note_saved()?;
        let space = self.log.space()?;
        self.core.note_space(space.is_low);
        if !self.log.is_saving() {
            self.start_saving()?;
        }
        self.log.maintain()
    }

    /// Tells the core of what has been saved.
    fn note_saved(&mut self) -> Result<(), StorageError> {
        match self.log.poll_saved()? {
            Some(Saved::Snapshot(info)) => self.core.note_snapshot(info.end.position),
            Some(Saved::Start(start)) => self.core.note_log_start(start),
            None => {}
        }
        Ok(())
    }

    /// Starts to save a snapshot of the core, or the new start of a trimmed log: one of them at a time.
    fn start_saving(&mut self) -> Result<(), StorageError> {
        let status = self.core.status();
        if status.end.position.0.saturating_sub(status.snapshot.0) >= self.snapshot_every_bytes {
            self.core.take_snapshot();
        }
        // Room is made before it is taken.
        let floor = self.core.trim_floor();
        if floor > self.log.start() && self.log.start_trim(floor)? {
            return Ok(());
        }
        if let Some((end, bytes)) = self.core.ready_snapshot() {
            self.log.start_snapshot(end, &bytes)?;
        }
        Ok(())
    }

    /// Gives a claim up by an operator's decision; see [`Core::give_up_claim`].
    ///
    /// # Errors
    /// The inner error when another claim or none stands, the outer when the own disk failed.
    pub fn give_up_claim(
        &mut self,
        end: LogEnd,
        now: Now,
        host: &mut impl Host,
    ) -> Result<Result<(), ClaimMismatch>, ReplicaError> {
        let outcome = self.core.give_up_claim(end, &mut self.effects);
        self.carry_out(&[], now, host)?;
        Ok(outcome)
    }

    /// Stops cleanly: all is synced, and the next start knows it.
    ///
    /// # Errors
    /// [`ReplicaError`] when the disk failed; the stop then counts as unclean.
    pub fn close(self) -> Result<(), ReplicaError> {
        if self.failed {
            return Err(ReplicaError::Failed);
        }
        self.log.close()?;
        Ok(())
    }

    /// The consensus state.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The consensus state in short.
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// The monotonic time at which the next [`Replica::turn`] is due even if nothing arrives.
    pub fn next_deadline_ns(&self) -> u64 {
        self.core.next_deadline_ns()
    }

    fn take_durable(&mut self, now: Now, host: &mut impl Host) -> Result<(), ReplicaError> {
        let polled = self.log.poll_sync();
        let position = self.or_fail(polled, now, host)?;
        self.step(Event::Durable { position }, now, host)
    }

    fn step(&mut self, event: Event<'_>, now: Now, host: &mut impl Host) -> Result<(), ReplicaError> {
        if self.failed {
            return Err(ReplicaError::Failed);
        }
        self.core.step(event, now, &mut self.effects);
        let bytes = match event {
            Event::LogRead { frames, .. } => frames,
            Event::SnapshotRead { bytes, .. } => bytes,
            _ => &[],
        };
        self.carry_out(bytes, now, host)
    }

    /// Carries out what the last step asked for, then the reads it asked for.
    fn carry_out(&mut self, frames: &[u8], now: Now, host: &mut impl Host) -> Result<(), ReplicaError> {
        let effects = std::mem::take(&mut self.effects);
        let outcome = effects.as_slice().iter().try_for_each(|effect| {
            host.observe(effect, &self.core);
            self.act(effect, frames, host)
        });
        self.effects = effects;
        self.effects.clear();
        self.or_fail(outcome, now, host)?;
        while let Some(pending) = self.reads.pop() {
            let mut read = std::mem::take(&mut self.read);
            read.clear();
            let outcome = self.read_for_peer(pending, &mut read, now, host);
            self.read = read;
            outcome?;
        }
        Ok(())
    }

    /// Reads what a follower needs and hands it to the core.
    fn read_for_peer(
        &mut self,
        pending: PendingRead,
        read: &mut Vec<u8>,
        now: Now,
        host: &mut impl Host,
    ) -> Result<(), ReplicaError> {
        match pending {
            PendingRead::Log { peer, id, from, limit_bytes } => {
                let outcome = self.log.read(from, limit_bytes, read);
                self.or_fail(outcome, now, host)?;
                self.step(Event::LogRead { peer, id, from, frames: read }, now, host)
            }
            PendingRead::Snapshot { peer, id, offset, limit_bytes } => {
                // A log that starts above 0 has a snapshot; before that nobody needs one.
                let Some(snapshot) = self.log.base_snapshot() else { return Ok(()) };
                let offset = if offset < snapshot.bytes { offset } else { 0 };
                let outcome = self.log.read_base_snapshot(offset, limit_bytes, read);
                self.or_fail(outcome, now, host)?;
                let (last, total_bytes) = (snapshot.end, snapshot.bytes);
                self.step(Event::SnapshotRead { peer, id, last, total_bytes, offset, bytes: read }, now, host)
            }
        }
    }

    fn act(&mut self, effect: &Effect, bytes: &[u8], host: &mut impl Host) -> Result<(), StorageError> {
        match *effect {
            Effect::SaveHardState(state) => self.log.save_hard_state(&state),
            Effect::Cut { to } if to < self.log.end() => {
                self.log.cut(to)?;
                // The cut waited for it. The core must not ask for what a trim has taken.
                self.note_saved()
            }
            // Only what was never handed to storage is gone.
            Effect::Cut { .. } => Ok(()),
            Effect::Write { from, to } => {
                assert!(self.log.end() == from, "a write at {from} does not continue the stored log");
                self.core.log_bytes(from, to).try_for_each(|bytes| self.log.append(&[bytes]))
            }
            Effect::Send { to, term, ref message } => {
                self.send(to, term, message, bytes, host);
                Ok(())
            }
            Effect::ReadLog { peer, id, from, limit_bytes } => {
                self.reads.push(PendingRead::Log { peer, id, from, limit_bytes });
                Ok(())
            }
            Effect::ReadSnapshot { peer, id, offset, limit_bytes } => {
                self.reads.push(PendingRead::Snapshot { peer, id, offset, limit_bytes });
                Ok(())
            }
            Effect::Install { last } => {
                self.log.install(last, self.core.installed_bytes())?;
                self.note_saved()
            }
            Effect::Committed { position } => {
                self.log.note_commit(position);
                Ok(())
            }
            Effect::RoleChanged { .. } => Ok(()),
        }
    }

    fn send(&mut self, to: NodeId, term: Term, message: &Outgoing, bytes: &[u8], host: &mut impl Host) {
        let config = self.core.config();
        let envelope = Envelope { cluster: config.cluster, from: config.id, to, term };
        self.message.clear();
        let Outgoing::Append { previous, commit, round, from, to: end, source } = *message else {
            encode_peer(&mut self.message, &envelope, &message.with_bytes(bytes));
            return host.send(to, &self.message, &[]);
        };
        // Frames follow the head from where they are; they are not copied together.
        let frames = match source {
            FrameSource::Event => bytes,
            FrameSource::Buffer if from == end => &[],
            FrameSource::Buffer => {
                self.core.log_bytes(from, end).next().expect("an append lies within one block")
            }
        };
        assert!(frames.len() as u64 == end.0 - from.0, "an append lies within one block");
        encode_append_header(&mut self.message, &envelope, previous, commit, round, frames.len());
        host.send(to, &self.message, frames);
    }

    /// Passes a success on; a failure takes the replica out of action, after a leader has handed over.
    fn or_fail<T>(
        &mut self,
        outcome: Result<T, StorageError>,
        now: Now,
        host: &mut impl Host,
    ) -> Result<T, ReplicaError> {
        outcome.map_err(|error| {
            self.failed = true;
            self.effects.clear();
            self.core.step(Event::StorageFailed, now, &mut self.effects);
            let effects = std::mem::take(&mut self.effects);
            for effect in effects.as_slice() {
                host.observe(effect, &self.core);
                if let Effect::Send { to, term, ref message } = *effect {
                    self.send(to, term, message, &[], host);
                }
            }
            ReplicaError::Storage(error)
        })
    }
}

/// Brings the ledger to the end of the recovered log: from the saved snapshot, by replaying what follows it.
fn restore<D: Disk>(log: &mut Log<D>, recovered: Recovered) -> Result<Restored, ReplicaError> {
    let Recovered { hard_state, terms, last_timestamp_ns, committed, snapshot, .. } = recovered;
    let mut base = match &snapshot {
        Some((_, bytes)) => Snapshot::decode(bytes)?,
        None => Snapshot::default(),
    };
    if let Some((end, bytes)) = &snapshot
        && end.position > log.end()
    {
        // Damage has taken the log from below its own snapshots, which are committed. It starts anew from the oldest.
        log.install(*end, bytes)?;
    }
    let end = log.end();
    base.ledger.note_committed(committed.min(end));
    let mut at = base.end.position;
    let mut bytes = Vec::new();
    let terms = TermTable::splice(&base.terms, at, &terms);
    while at < end {
        bytes.clear();
        let read = log.read(at, REPLAY_BYTES, &mut bytes)?;
        base.ledger.replay(&bytes, at, terms.term_before(at))?;
        at = at.advanced(read as u64);
    }
    Ok(Restored {
        hard_state,
        terms,
        start: log.start(),
        end,
        last_timestamp_ns: last_timestamp_ns.max(base.last_timestamp_ns),
        committed: committed.max(base.end.position),
        snapshot: log.snapshot().map_or(Position(0), |snapshot| snapshot.end.position),
        ledger: base.ledger,
    })
}
