//! Taking bytes off the end of the log, and clearing what a crash left behind it.
//!
//! 1. A watermark slot that says the log ends at the cut is written into the segment that will be the last one, and synced
//!    together with everything before the cut. Its sequence is the highest of all, so from here on the removed bytes are
//!    nobody's acknowledgement.
//! 2. The removed bytes in that segment are overwritten with zeros.
//! 3. Later segments are removed, the highest first, so that no crash leaves a hole between segments.
//! 4. Segment and directory are synced, and only then is the log shorter.
//!
//! A crash between any two steps recovers as clean, with an end at or past the cut.
//! Invariant: when a cut has returned, no removed byte can be read again, so a frame written later at the same position and
//! in the same term is never followed by stale frames that verify.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{ALIGNMENT, LogEnd, Position};

use crate::disk::{Disk, SECTOR_BYTES};
use crate::error::StorageError;
use crate::log::Log;
use crate::log_start::LogStart;
use crate::segment::{Segment, SegmentHeader, segment_name};

/// Unit of clearing and copying, in bytes.
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

impl<D: Disk> Log<D> {
    /// Removes everything from `to` on. `to` is the end of a frame, or the start of the log. Durable when this returns, and
    /// then the rest of the log is durable too.
    ///
    /// # Errors
    /// `BelowStart`, `PastEnd`: nothing changed. `Disk`: the log is poisoned and ends at or past `to` when opened again.
    ///
    /// # Panics
    /// When `to` is not a multiple of 8: only a bug could ask for that.
    pub fn cut(&mut self, to: Position) -> Result<(), StorageError> {
        self.guarded(|log| {
            assert!(to.0.is_multiple_of(ALIGNMENT as u64), "a cut to {to}, where no frame can end");
            if to < log.start() {
                return Err(StorageError::BelowStart { from: to, start: log.start() });
            }
            if to > log.end {
                return Err(StorageError::PastEnd { from: to, end: log.end });
            }
            if to == log.end && !log.untrusted_tail {
                return Ok(());
            }
            // Without the seed nothing but the zeros would keep stale frames out; a naive log has neither.
            if teeth::is_active(Bug::SkipCutInvalidation) || teeth::is_active(Bug::GhostFrames) {
                return log.forget_from(to);
            }
            log.truncate(to).map(|_| ())
        })
    }

    /// The steps above. Returns how many bytes were cleared.
    pub(crate) fn truncate(&mut self, to: Position) -> Result<u64, StorageError> {
        self.wait_running()?;
        self.end_saving()?;
        if self.segments.is_empty() {
            self.make_first_segment()?;
        }
        let keep = self.segment_ending_at(to);
        let intent = LogEnd { term: self.term_before(to), position: to };
        self.write_watermark(keep, self.durable.min(to), intent)?;
        if self.names_unsynced {
            self.disk.sync_dir()?;
            self.names_unsynced = false;
        }
        for index in self.first_unsynced.min(keep)..=keep {
            self.disk.sync(&self.segments[index].file)?;
        }

        let segment = &self.segments[keep];
        let cleared = if self.untrusted_tail {
            clear(&mut self.disk, segment, to)?
        } else {
            write_zeros(&mut self.disk, segment, to, segment.end)?;
            segment.end.0 - to.0
        };
        let removes = !self.beyond.is_empty() || self.segments.len() > keep + 1;
        while let Some(name) = self.beyond.pop() {
            self.disk.remove(&name)?;
        }
        while self.segments.len() > keep + 1
            && let Some(Segment { name, file, .. }) = self.segments.pop()
        {
            drop(file);
            self.disk.remove(&name)?;
        }
        self.disk.sync(&self.segments[keep].file)?;
        if removes {
            self.disk.sync_dir()?;
        }

        self.shorten(keep, to);
        self.durable = to;
        self.untrusted_tail = false;
        Ok(cleared)
    }

    fn shorten(&mut self, keep: usize, to: Position) {
        self.segments[keep].end = to;
        self.members_end = self.members_end.min(to);
        self.committed = self.committed.min(to);
        self.terms.cut(to);
        self.end = to;
        self.first_unsynced = keep;
    }

    /// The planted bug `SkipCutInvalidation`: shorter in memory, unchanged on the disk.
    fn forget_from(&mut self, to: Position) -> Result<(), StorageError> {
        self.wait_running()?;
        self.end_saving()?;
        if self.segments.is_empty() {
            self.make_first_segment()?;
        }
        let keep = self.segment_ending_at(to);
        for name in self.beyond.drain(..).rev() {
            self.disk.remove(&name)?;
        }
        for segment in self.segments.drain(keep + 1..).rev() {
            self.disk.remove(&segment.name)?;
        }
        self.first_unsynced = self.first_unsynced.min(keep);
        let first_unsynced = self.first_unsynced;
        self.shorten(keep, to);
        self.first_unsynced = first_unsynced;
        self.durable = self.durable.min(to);
        self.untrusted_tail = false;
        Ok(())
    }

    /// A log whose very first segment is missing or has a damaged header gets a new one. Its frames were lost; a claim in the
    /// hard state says so.
    fn make_first_segment(&mut self) -> Result<(), StorageError> {
        let LogStart { start: base, term_before, .. } = self.log_start.newest;
        let header = SegmentHeader { cluster: self.options.cluster, base, term_before };
        let name = segment_name(base);
        let segment = if self.beyond.first() == Some(&name) {
            let file = self.disk.open(&name)?;
            let file_bytes = self.disk.size(&file)?;
            let segment = Segment::new(file, base, file_bytes);
            // The frames behind a damaged header may be whole. They go first: with a good header they would be back.
            clear(&mut self.disk, &segment, base)?;
            self.disk.sync(&segment.file)?;
            header.write(&mut self.disk, &segment.file)?;
            self.disk.sync(&segment.file)?;
            self.beyond.remove(0);
            segment
        } else {
            self.make_spares(1)?;
            let segment = self.new_segment(base, term_before)?;
            self.disk.sync(&segment.file)?;
            self.disk.sync_dir()?;
            segment
        };
        self.segments.push(segment);
        self.first_unsynced = 0;
        Ok(())
    }

    /// Whether nothing but zeros follows the log in its last segment.
    pub(crate) fn tail_is_zero(&mut self) -> Result<bool, StorageError> {
        let Some(segment) = self.segments.last() else { return Ok(false) };
        let mut zero = true;
        blocks(&mut self.disk, segment, self.end, segment.room_end, |_, _, block| {
            zero &= is_zero(block);
            Ok(())
        })?;
        Ok(zero)
    }

    /// Writes the bytes of `from..to` as they are once more and syncs them, with the headers of the segments they are in: a sync
    /// that failed may have given up any sector of such a segment, and the page cache does not tell.
    pub(crate) fn rewrite(&mut self, from: Position, to: Position) -> Result<(), StorageError> {
        for segment in self.segments.iter().filter(|segment| segment.end >= from && segment.base <= to) {
            let mut header = [0; SECTOR_BYTES];
            self.disk.read_at(&segment.file, 0, &mut header)?;
            self.disk.write_at(&segment.file, 0, &header)?;
            blocks(
                &mut self.disk,
                segment,
                from.max(segment.base),
                to.min(segment.end),
                |disk, at, block| disk.write_at(&segment.file, segment.offset(at), block),
            )?;
            self.disk.sync(&segment.file)?;
        }
        Ok(())
    }
}

/// Overwrites blocks of `from..` that are not zero, up to the end of the segment's file.
fn clear<D: Disk>(disk: &mut D, segment: &Segment<D::File>, from: Position) -> Result<u64, StorageError> {
    let mut cleared = 0;
    blocks(disk, segment, from, segment.room_end, |disk, at, block| {
        if is_zero(block) {
            return Ok(());
        }
        cleared += block.len() as u64;
        disk.write_at(&segment.file, segment.offset(at), &ZEROS[..block.len()])
    })?;
    Ok(cleared)
}

fn write_zeros<D: Disk>(
    disk: &mut D,
    segment: &Segment<D::File>,
    from: Position,
    to: Position,
) -> Result<(), StorageError> {
    let mut at = from;
    while at < to {
        let length = (to.0 - at.0).min(BLOCK_BYTES as u64);
        disk.write_at(&segment.file, segment.offset(at), &ZEROS[..length as usize])?;
        at = at.advanced(length);
    }
    Ok(())
}

/// Reads `from..to` of a segment block by block; blocks end where aligned blocks of the file end.
fn blocks<D: Disk>(
    disk: &mut D,
    segment: &Segment<D::File>,
    from: Position,
    to: Position,
    mut visit: impl FnMut(&mut D, Position, &[u8]) -> Result<(), crate::disk::DiskError>,
) -> Result<(), StorageError> {
    let mut buffer = vec![0; BLOCK_BYTES.min((to.0.saturating_sub(from.0)) as usize)];
    let mut at = from;
    while at < to {
        let offset = segment.offset(at);
        let block_end = (offset / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64;
        let length = (to.0 - at.0).min(block_end - offset).min(buffer.len() as u64) as usize;
        disk.read_at(&segment.file, offset, &mut buffer[..length])?;
        visit(disk, at, &buffer[..length])?;
        at = at.advanced(length as u64);
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| chunk.iter().fold(0, |any, byte| any | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}
