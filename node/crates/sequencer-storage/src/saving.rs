//! What the log makes durable in the background: a snapshot of the core, or a new start of the log. One at a time; appends go on meanwhile.
//!
//! 1. The save is started: nothing in memory has changed.
//! 2. When it is durable, and only then, it counts: the snapshot is listed, or what lies below the new start goes.
//!
//! Invariant: no file is removed or used again because of a record that is not durable.
//!
//! A segment below the start becomes a spare where one of its size is wanted: its pages and its blocks are there already. What it held are frames
//! of positions below the start, which verify nowhere else, and watermark slots older than the newest one. A loss of power that takes its new name
//! gives it back a name below the start, or that of a spare: neither counts.

use sequencer_wire::Position;
use sequencer_wire::teeth::{self, Bug};

use crate::disk::{Disk, Save};
use crate::error::StorageError;
use crate::log::Log;
use crate::log_start::LogStart;
use crate::segment::{FRAMES_AT, Segment, spare_name};
use crate::snapshot::{SnapshotFile, SnapshotInfo};

/// Empty segments that trims leave. What a trim frees is used before the next one; more would only keep room from others.
const SPARES_MAX: usize = 8;

/// What was saved.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// A snapshot of the core.
    Snapshot(SnapshotInfo),
    /// The log starts here now.
    Start(Position),
}

/// What is being saved.
pub(crate) enum Saving {
    Snapshot(SnapshotInfo),
    /// A new start of the log, and the position of the snapshot that is its base.
    Start {
        next: LogStart,
        base: Position,
    },
}

impl<D: Disk> Log<D> {
    /// Whether something is being saved: nothing else can be, until [`Log::poll_saved`] has returned it.
    pub fn is_saving(&self) -> bool {
        self.saving.is_some() || self.saved.is_some()
    }

    /// What has been saved meanwhile, without blocking.
    ///
    /// # Errors
    /// `Full`: it was not saved, and nothing has changed. `Disk`: the log is poisoned.
    pub fn poll_saved(&mut self) -> Result<Option<Saved>, StorageError> {
        self.guarded(|log| {
            if log.saved.is_some() || log.saving.is_none() {
                return Ok(log.saved.take());
            }
            let finished = log.disk.finished_save();
            log.take_saved(finished)
        })
    }

    /// Waits for what is being saved, if anything.
    pub(crate) fn wait_saved(&mut self) -> Result<Option<Saved>, StorageError> {
        if self.saving.is_none() {
            return Ok(None);
        }
        let finished = self.disk.wait_save();
        self.take_saved(finished)
    }

    /// As `wait_saved`, before something that cannot go on meanwhile; the next [`Log::poll_saved`] tells of it. That there was no room
    /// does not matter to what comes next.
    pub(crate) fn end_saving(&mut self) -> Result<(), StorageError> {
        match self.wait_saved() {
            Ok(saved) => {
                self.saved = saved.or(self.saved.take());
                Ok(())
            }
            Err(StorageError::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn start_saving(&mut self, saving: Saving, save: Save<D::File>) -> Result<(), StorageError> {
        assert!(self.saving.is_none(), "one thing is saved at a time");
        self.disk.start_save(save)?;
        self.saving = Some(saving);
        Ok(())
    }

    fn take_saved(
        &mut self,
        finished: Result<Option<D::File>, crate::disk::DiskError>,
    ) -> Result<Option<Saved>, StorageError> {
        let file = match finished {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.saving = None;
                return Err(error.into());
            }
        };
        match self.saving.take().expect("what has ended was being saved") {
            Saving::Snapshot(info) => {
                self.snapshots.push(SnapshotFile { info, file });
                self.thin_snapshots()?;
                Ok(Some(Saved::Snapshot(info)))
            }
            Saving::Start { next, base } => {
                let start = next.start;
                self.log_start.newest = next;
                self.drop_below(start, base)?;
                Ok(Some(Saved::Start(start)))
            }
        }
    }

    /// Lets go of what lies below the start, which is durable.
    fn drop_below(&mut self, start: Position, base: Position) -> Result<(), StorageError> {
        let gone = self.segments.partition_point(|segment| segment.base < start);
        if gone > 0 {
            let is_low = self.disk.free_bytes()? < self.options.reserve_bytes;
            let segments: Vec<Segment<D::File>> = self.segments.drain(..gone).collect();
            for segment in segments {
                self.use_again(segment, is_low)?;
            }
            self.first_unsynced = self.first_unsynced.saturating_sub(gone);
            self.names_unsynced = true;
        }
        let older = self.snapshots.partition_point(|snapshot| snapshot.info.end.position < base);
        for _ in 0..older {
            self.remove_snapshot(0)?;
        }
        Ok(())
    }

    fn use_again(&mut self, segment: Segment<D::File>, is_low: bool) -> Result<(), StorageError> {
        let bytes = FRAMES_AT + (segment.room_end.0 - segment.base.0);
        if is_low || self.spares.len() >= SPARES_MAX || bytes != self.options.segment_bytes {
            return Ok(self.disk.remove(&segment.name)?);
        }
        let name = spare_name(self.spare_number);
        self.spare_number += 1;
        self.disk.rename(&segment.name, &name)?;
        self.spares.push((name, segment.file));
        Ok(())
    }

    /// The planted bug `ReuseBeforeDurable`: what lies below a start that is not durable yet goes.
    pub(crate) fn drop_early(&mut self, start: Position, base: Position) -> Result<(), StorageError> {
        if teeth::is_active(Bug::ReuseBeforeDurable) {
            self.drop_below(start, base)?;
        }
        Ok(())
    }
}
