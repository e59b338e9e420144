//! Making the log durable: one sync per batch.
//!
//! 1. At the start of a sync that covers the log up to `end`, a watermark slot goes into the last segment: what earlier
//!    syncs made durable, and `end` as the intent.
//! 2. One asynchronous sync covers directory (when names changed), older segments with new bytes in order, and the last one
//!    with the slot.
//! 3. When it has finished, and only then, `durable` is `end`: nothing past the intent on the disk is ever acknowledged, and
//!    nothing that the slot calls synced was not.
//!
//! Bytes appended while a sync runs form the next batch by themselves.

use sequencer_wire::Position;
use sequencer_wire::teeth::{self, Bug};

use crate::disk::{Disk, SyncId};
use crate::error::StorageError;
use crate::log::{Log, RunningSync};
use crate::options::Durability;

impl<D: Disk> Log<D> {
    /// Everything before this position survives what the durability setting promises: with `Fsync` a loss of power, with
    /// `Memory` the end of the process.
    pub fn durable(&self) -> Position {
        if teeth::is_active(Bug::AckBeforeDurable) { self.end } else { self.durable }
    }

    /// With `Fsync`, starts to sync all that is appended; false when a sync is running or nothing is new. With `Memory`, there
    /// is nothing to do.
    ///
    /// # Errors
    /// `Disk`: the log is poisoned.
    pub fn start_sync(&mut self) -> Result<bool, StorageError> {
        self.guarded(|log| {
            log.take_finished()?;
            log.start_batch()
        })
    }

    /// Takes in a finished sync, without blocking, and returns `durable()`.
    ///
    /// # Errors
    /// `Disk` when a sync failed: the log is poisoned.
    pub fn poll_sync(&mut self) -> Result<Position, StorageError> {
        self.guarded(|log| {
            log.take_finished()?;
            Ok(log.durable())
        })
    }

    /// Blocks until all that is appended is durable, and returns `durable()`.
    ///
    /// # Errors
    /// `Disk`: the log is poisoned.
    pub fn wait_durable(&mut self) -> Result<Position, StorageError> {
        self.guarded(|log| {
            while log.durable < log.end {
                log.wait_running()?;
                log.start_batch()?;
            }
            Ok(log.durable())
        })
    }

    fn start_batch(&mut self) -> Result<bool, StorageError> {
        if self.options.durability == Durability::Memory || self.running.is_some() || self.durable == self.end
        {
            return Ok(false);
        }
        let (last, end) = (self.segments.len() - 1, self.log_end());
        self.write_watermark(last, self.durable, end)?;
        self.start_sync_of(last + 1, Some(end.position))?;
        Ok(true)
    }

    /// With memory durability: segments that are full are synced in the background, one sync at a time.
    pub(crate) fn sync_closed_segments(&mut self) -> Result<(), StorageError> {
        let closed = self.segments.len().saturating_sub(1);
        if self.running.is_none() && self.first_unsynced < closed {
            self.start_sync_of(closed, None)?;
        }
        Ok(())
    }

    /// Starts a sync of the unsynced segments before index `upto`.
    fn start_sync_of(&mut self, upto: usize, end: Option<Position>) -> Result<(), StorageError> {
        let mut files = std::mem::take(&mut self.sync_files);
        files.extend(self.segments[self.first_unsynced..upto].iter().map(|segment| segment.file.clone()));
        let started = self.disk.start_sync(&files, self.names_unsynced);
        files.clear();
        self.sync_files = files;
        self.running = Some(RunningSync { id: started?, end });
        self.names_unsynced = false;
        // The last segment takes further appends, so it is never done with.
        self.first_unsynced = self.segments.len() - 1;
        Ok(())
    }

    /// Takes in a finished sync if there is one.
    pub(crate) fn take_finished(&mut self) -> Result<(), StorageError> {
        if self.running.is_some()
            && let Some(id) = self.disk.finished_sync()?
        {
            self.finish(id);
        }
        Ok(())
    }

    /// Waits for the running sync, if any.
    pub(crate) fn wait_running(&mut self) -> Result<(), StorageError> {
        while self.running.is_some() {
            match self.disk.wait_sync()? {
                Some(id) => self.finish(id),
                None => self.running = None,
            }
        }
        Ok(())
    }

    fn finish(&mut self, id: SyncId) {
        if let Some(running) = self.running.take_if(|running| running.id == id)
            && let Some(end) = running.end
        {
            self.durable = self.durable.max(end);
        }
    }

    /// Syncs, blocking, everything that no earlier sync covers. No sync may be running.
    pub(crate) fn sync_unsynced(&mut self) -> Result<(), StorageError> {
        if self.names_unsynced {
            self.disk.sync_dir()?;
            self.names_unsynced = false;
        }
        for segment in self.segments.iter().skip(self.first_unsynced) {
            self.disk.sync(&segment.file)?;
        }
        self.first_unsynced = self.segments.len().saturating_sub(1);
        Ok(())
    }
}
