//! Taking bytes off the front of the log, and replacing all of it by a snapshot.
//!
//! Trimming: 1. The newest snapshot at or below the floor becomes the base. 2. The start of the segment that holds its position is saved as
//! the start of the log. 3. When that is durable, the segments below are removed or used again, the lowest first, and the snapshots before the base
//! are removed. A crash after 2 leaves segments and snapshots below the start, which the next opening removes.
//!
//! Installing: 1. The snapshot is saved, durably. 2. The start is saved with the mark `installing`: from here on the snapshot counts
//! and every segment is void. 3. All segments are removed, durably. 4. An empty segment at the start is made, with a watermark that says
//! so. 5. The start is saved without the mark. A crash before 2 leaves the old log; after 2, the next opening goes on at 3.
//!
//! Invariant: no crash leaves a log in which bytes from before and after an installation follow each other.

use sequencer_wire::{LogEnd, Position, Term, TermStart, TermTable};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::Log;
use crate::log_start::LogStart;
use crate::options::Options;
use crate::saving::Saving;
use crate::sector;
use crate::segment::{Segment, SegmentHeader, segment_base, segment_name};
use crate::snapshot::write_snapshot;
use crate::watermark::Watermark;

impl<D: Disk> Log<D> {
    /// Gives up what lies below `floor`, as far as the snapshots allow: everything from the newest snapshot at or below it stays, in
    /// whole segments. Returns the start of what is left.
    ///
    /// # Errors
    /// `Disk`: the log is poisoned.
    pub fn trim(&mut self, floor: Position) -> Result<Position, StorageError> {
        self.guarded(|log| {
            log.end_saving()?;
            log.begin_trim(floor)?;
            log.wait_saved()?;
            Ok(log.start())
        })
    }

    /// Starts what [`Log::trim`] does, and returns at once; false when nothing can go, or something is being saved already.
    /// [`Log::poll_saved`] says when it is done.
    ///
    /// # Errors
    /// `Disk`: the log is poisoned.
    pub fn start_trim(&mut self, floor: Position) -> Result<bool, StorageError> {
        self.guarded(|log| if log.is_saving() { Ok(false) } else { log.begin_trim(floor) })
    }

    fn begin_trim(&mut self, floor: Position) -> Result<bool, StorageError> {
        let below = self.snapshots.iter().take_while(|snapshot| snapshot.info.end.position <= floor).count();
        let Some(base) = below.checked_sub(1) else { return Ok(false) };
        let position = self.snapshots[base].info.end.position;
        let last = self.segments.len().saturating_sub(1);
        // A segment whose first frame is durable has a durable name too, so the log may start with it.
        let may_go = |segment: &&Segment<D::File>| segment.end <= position && segment.end < self.durable;
        let gone = self.segments[..last].iter().take_while(may_go).count();
        if gone == 0 || self.untrusted_tail {
            return Ok(false);
        }
        let start = self.segments[gone].base;
        let term_before = self.term_before(start);
        let next = LogStart { start, term_before, installing: false, ..self.log_start.newest.clone() };
        let (next, save) = self.log_start.prepare(next);
        self.drop_early(start, position)?;
        self.start_saving(Saving::Start { next, base: position }, save)?;
        Ok(true)
    }

    /// Replaces the whole log by a snapshot: afterwards it starts and ends at `end`, durably.
    ///
    /// # Errors
    /// `Full`: nothing changed. `Disk`: the log is poisoned; the next opening finds the old log or the snapshot.
    pub fn install(&mut self, end: LogEnd, bytes: &[u8]) -> Result<(), StorageError> {
        self.guarded(|log| {
            log.wait_running()?;
            log.end_saving()?;
            // Without room for the new segment nothing has changed.
            log.make_spares(1)?;
            let cluster = log.options.cluster;
            let saved = match log.snapshots.iter().position(|present| present.info.end == end) {
                Some(index) => log.snapshots.remove(index),
                None => write_snapshot(&mut log.disk, cluster, end, bytes)?,
            };
            log.replace_segments(end)?;
            log.terms = terms_before(end.position, end.term);
            log.end = end.position;
            log.durable = end.position;
            log.committed = end.position;
            log.members_end = Position::START;
            log.suspect_end = Position::START;
            log.untrusted_tail = false;
            while !log.snapshots.is_empty() {
                log.remove_snapshot(0)?;
            }
            log.disk.sync_dir()?;
            log.snapshots.push(saved);
            Ok(())
        })
    }

    /// Replaces all segments by an empty one at `end`, of the configured size: steps 2 to 5 of an installation. A spare must be ready.
    pub(crate) fn replace_segments(&mut self, end: LogEnd) -> Result<(), StorageError> {
        let next = LogStart {
            start: end.position,
            term_before: end.term,
            installing: true,
            ..self.log_start.newest.clone()
        };
        self.log_start.save(&mut self.disk, next)?;
        self.segments.clear();
        self.beyond.clear();
        let sequence = self.watermark.sequence + 1;
        let spare = self.spares.remove(0);
        let (segment, watermark) = start_anew(&mut self.disk, &self.options, end, sequence, Some(spare))?;
        let next = LogStart { installing: false, ..self.log_start.newest.clone() };
        self.log_start.save(&mut self.disk, next)?;
        self.segments.push(segment);
        self.watermark = watermark;
        self.first_unsynced = 0;
        self.names_unsynced = false;
        Ok(())
    }
}

/// Removes all segments and makes an empty one at `end`, durably: steps 3 and 4 of an installation.
pub(crate) fn start_anew<D: Disk>(
    disk: &mut D,
    options: &Options,
    end: LogEnd,
    sequence: u64,
    spare: Option<(String, D::File)>,
) -> Result<(Segment<D::File>, Watermark), StorageError> {
    for name in disk.list()? {
        if segment_base(&name).is_some() {
            disk.remove(&name)?;
        }
    }
    disk.sync_dir()?;
    let name = segment_name(end.position);
    let (temporary, file) = match spare {
        Some(spare) => spare,
        None => {
            let temporary = crate::segment::spare_name(0);
            let file = disk.create(&temporary, options.segment_bytes)?;
            (temporary, file)
        }
    };
    let header = SegmentHeader { cluster: options.cluster, base: end.position, term_before: end.term };
    header.write(disk, &file)?;
    let watermark = Watermark {
        sequence,
        synced: end.position,
        intent: end,
        committed: end.position,
        members_end: Position::START,
    };
    disk.write_at(&file, watermark.offset(), &sector::encode_pair(&watermark))?;
    disk.sync(&file)?;
    disk.rename(&temporary, &name)?;
    disk.sync_dir()?;
    Ok((Segment::new(file, end.position, options.segment_bytes), watermark))
}

/// The term table of an empty log that begins at `start`: one entry that stands for all terms before.
pub(crate) fn terms_before(start: Position, term: Term) -> TermTable {
    let mut terms = TermTable::new();
    if term != Term::NONE {
        terms.push(TermStart { term, start: Position(start.0 - 8) });
    }
    terms
}
