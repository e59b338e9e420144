//! The log of one node: its state, and what every operation on it shares.
//!
//! Invariants:
//! 1. `durable <= end`, and `end` is the end of a whole frame.
//! 2. At most one asynchronous sync runs; it covers everything up to `running.end`, and `durable` moves there only when it has
//!    finished without an error.
//! 3. The newest watermark slot says synced <= acknowledged <= intent, on the disk as in memory.
//! 4. Behind `end` nothing in the last segment verifies (it is zero, or what it held before it was used again), and no segment
//!    follows, unless `untrusted_tail` is set; then the next append or cut makes it so before it writes.
//! 5. After a disk error nothing is written any more.

use sequencer_wire::{HardState, LogEnd, Position, Term, TermTable};

use crate::append::AppendPlan;
use crate::disk::{Disk, SyncId};
use crate::error::StorageError;
use crate::hard_state::{HardStateFile, Stored};
use crate::identity::Identity;
use crate::log_start::LogStart;
use crate::options::{Durability, Options};
use crate::saving::{Saved, Saving};
use crate::sector;
use crate::segment::{FRAMES_AT, Segment};
use crate::slot_file::SlotFile;
use crate::snapshot::SnapshotFile;
use crate::watermark::Watermark;

/// Bytes of frames that a segment of `segment_bytes` holds, and so the largest frame.
pub const fn frame_room(segment_bytes: u64) -> u64 {
    segment_bytes.saturating_sub(FRAMES_AT)
}

/// The one log of a node, over a disk of its own.
pub struct Log<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) hard_state: HardStateFile<D::File>,
    /// Ascending; appends go to the last one. Empty only while `untrusted_tail` is set and the log is empty.
    pub(crate) segments: Vec<Segment<D::File>>,
    /// Segment files behind an untrusted tail, ascending.
    pub(crate) beyond: Vec<String>,
    pub(crate) spares: Vec<(String, D::File)>,
    pub(crate) spare_number: u64,
    pub(crate) terms: TermTable,
    pub(crate) end: Position,
    pub(crate) durable: Position,
    /// Newest slot written.
    pub(crate) watermark: Watermark,
    /// Where the log begins.
    pub(crate) log_start: SlotFile<D::File, LogStart>,
    /// The saved snapshots, oldest first.
    pub(crate) snapshots: Vec<SnapshotFile<D::File>>,
    /// Everything before is known to be committed.
    pub(crate) committed: Position,
    /// End of the last membership frame.
    pub(crate) members_end: Position,
    /// Index of the oldest segment with writes that no running or finished sync covers.
    pub(crate) first_unsynced: usize,
    /// Name of the spare that is being created.
    pub(crate) making_spare: Option<String>,
    /// Names have changed that no running or finished sync covers.
    pub(crate) names_unsynced: bool,
    pub(crate) saving: Option<Saving>,
    /// What was saved and nobody was told of yet.
    pub(crate) saved: Option<Saved>,
    pub(crate) running: Option<RunningSync>,
    pub(crate) untrusted_tail: bool,
    /// Bytes before this were found in the page cache after an unclean stop with memory durability. A sync may have failed on them
    /// and left them marked as written, so a clean stop writes them once more.
    pub(crate) suspect_end: Position,
    pub(crate) poisoned: bool,
    /// Kept for its memory.
    pub(crate) plan: AppendPlan,
    /// Kept for its memory; empty between calls.
    pub(crate) sync_files: Vec<D::File>,
}

/// Room on the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that new files may take, prepared segments included.
    pub free_bytes: u64,
    /// They are below the reserve.
    pub is_low: bool,
}

/// The asynchronous sync that is under way.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RunningSync {
    pub(crate) id: SyncId,
    /// End of the log that becomes durable; `None` when only closed segments are synced.
    pub(crate) end: Option<Position>,
}

impl<D: Disk> Log<D> {
    /// End of the log: where the next frame goes.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Term and position of the log's end.
    pub fn log_end(&self) -> LogEnd {
        LogEnd { term: self.terms.last_term(), position: self.end }
    }

    /// First position of the log.
    pub fn start(&self) -> Position {
        self.log_start.newest.start
    }

    /// Everything before `position` is committed: the next watermark slot says so. A later opening then need not doubt it.
    pub fn note_commit(&mut self, position: Position) {
        self.committed = self.committed.max(position);
    }

    /// How much room the disk has.
    ///
    /// # Errors
    /// `Disk`: the log is poisoned.
    pub fn space(&mut self) -> Result<Space, StorageError> {
        self.guarded(|log| {
            let spares = log.spares.len() as u64 * log.options.segment_bytes;
            let free_bytes = log.disk.free_bytes()?.saturating_add(spares);
            Ok(Space { free_bytes, is_low: free_bytes < log.options.reserve_bytes })
        })
    }

    /// Terms of the log and where they start.
    pub fn terms(&self) -> &TermTable {
        &self.terms
    }

    /// Names this copy of the data, given when it was formatted.
    pub fn data_uuid(&self) -> [u8; 16] {
        self.identity.data_uuid
    }

    /// The hard state as last saved.
    pub fn hard_state(&self) -> HardState {
        self.hard_state.newest.state
    }

    /// Saves the hard state; durable when this returns.
    ///
    /// # Errors
    /// `Disk`: it may or may not have been saved, and the log is poisoned.
    ///
    /// # Panics
    /// When the term goes back: only a bug could ask for that, and it could end in two votes in one term.
    pub fn save_hard_state(&mut self, state: &HardState) -> Result<(), StorageError> {
        assert!(state.term >= self.hard_state.newest.state.term, "the term of the hard state goes back");
        let mut state = *state;
        if sequencer_wire::teeth::is_active(sequencer_wire::teeth::Bug::VoteTwiceAfterRestart) {
            state.vote = None;
        }
        self.guarded(|log| log.store_hard_state(state, false))
    }

    pub(crate) fn store_hard_state(
        &mut self,
        state: HardState,
        clean_stop: bool,
    ) -> Result<(), StorageError> {
        let memory_run = self.options.durability == Durability::Memory;
        self.store(state, clean_stop, memory_run)
    }

    pub(crate) fn store(
        &mut self,
        state: HardState,
        clean_stop: bool,
        memory_run: bool,
    ) -> Result<(), StorageError> {
        let boot_id = self.options.boot_id;
        let next = Stored { sequence: 0, state, clean_stop, memory_run, boot_id };
        self.hard_state.save(&mut self.disk, next)
    }

    /// Keeps some empty segments ready, so that an append seldom has to wait for a file. Call it now and then: each call takes in what was created
    /// meanwhile, and starts the next.
    ///
    /// # Errors
    /// `Full`: nothing changed, try again later.
    pub fn maintain(&mut self) -> Result<(), StorageError> {
        self.guarded(|log| {
            log.take_finished()?;
            if log.options.durability == Durability::Memory {
                log.sync_closed_segments()?;
            }
            log.prepare_spare()
        })
    }

    /// Syncs everything, marks the stop as clean, and gives the disk back.
    ///
    /// # Errors
    /// `Disk` or `Poisoned`: the stop is not clean, and the next open recovers as after a crash.
    pub fn close(mut self) -> Result<D, StorageError> {
        self.guarded(Self::settle)?;
        Ok(self.disk)
    }

    fn settle(&mut self) -> Result<(), StorageError> {
        self.wait_running()?;
        self.end_saving()?;
        if self.making_spare.take().is_some() {
            // Made or not, it is not needed any more; the next opening removes it.
            drop(self.disk.wait_create());
        }
        // An untrusted tail stays as it is: its watermark must go on saying what may have been acknowledged.
        if !self.untrusted_tail {
            let is_suspect = self.suspect_end > Position::START;
            if is_suspect {
                self.rewrite(Position::START, self.suspect_end.min(self.end))?;
            }
            self.sync_unsynced()?;
            let end = self.log_end();
            if is_suspect || self.watermark.synced != end.position || self.watermark.intent != end {
                let last = self.segments.len() - 1;
                self.write_watermark(last, end.position, end)?;
                self.disk.sync(&self.segments[last].file)?;
            }
            self.durable = self.end;
        }
        self.store_hard_state(self.hard_state.newest.state, true)
    }

    /// Runs an operation unless the log is poisoned, and poisons it when the disk fails.
    pub(crate) fn guarded<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.poisoned {
            return Err(StorageError::Poisoned);
        }
        let outcome = operation(self);
        if matches!(outcome, Err(StorageError::Disk(_))) {
            self.poisoned = true;
        }
        outcome
    }

    /// Writes the next watermark slot into segment `index`; the caller syncs it.
    pub(crate) fn write_watermark(
        &mut self,
        index: usize,
        synced: Position,
        intent: LogEnd,
    ) -> Result<(), StorageError> {
        assert!(synced <= intent.position, "a watermark that calls more synced than was intended");
        let next = Watermark {
            sequence: self.watermark.sequence + 1,
            synced,
            intent,
            committed: self.committed.min(intent.position),
            members_end: self.members_end.min(intent.position),
        };
        self.disk.write_at(&self.segments[index].file, next.offset(), &sector::encode_pair(&next))?;
        self.watermark = next;
        Ok(())
    }

    /// Room for frames in an empty segment, in bytes.
    pub(crate) fn room(&self) -> u64 {
        frame_room(self.options.segment_bytes)
    }

    /// Term of the byte before `position`.
    pub(crate) fn term_before(&self, position: Position) -> Term {
        self.terms.term_before(position)
    }

    /// Index of the segment that a log cut at `position` ends in.
    pub(crate) fn segment_ending_at(&self, position: Position) -> usize {
        self.segments.partition_point(|segment| segment.base < position).saturating_sub(1)
    }
}
