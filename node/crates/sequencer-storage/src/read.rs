//! Reading committed or uncommitted frames back, verified.

use sequencer_wire::{HEADER_BYTES, Position, WireError, decode_frame, peek_length};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::Log;

impl<D: Disk> Log<D> {
    /// Adds whole frames from `from` on to `into` and returns their bytes: at least one frame if there is any, and no more than
    /// `limit_bytes` otherwise. `from` is the start of a frame, or the end of the log, which yields 0.
    ///
    /// # Errors
    /// `BelowStart`, `PastEnd`. `DamagedFrame`: a frame does not verify; `into` is as it was.
    pub fn read(
        &mut self,
        from: Position,
        limit_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, StorageError> {
        self.guarded(|log| {
            if from < log.start() {
                return Err(StorageError::BelowStart { from, start: log.start() });
            }
            if from > log.end {
                return Err(StorageError::PastEnd { from, end: log.end });
            }
            let before = into.len();
            let outcome = log.read_frames(from, limit_bytes, into);
            if outcome.is_err() {
                into.truncate(before);
            }
            outcome
        })
    }

    fn read_frames(
        &mut self,
        from: Position,
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, StorageError> {
        let (mut at, mut total) = (from, 0);
        while at < self.end {
            let index = self.segments.partition_point(|segment| segment.base <= at) - 1;
            let available = (self.segments[index].end.0 - at.0) as usize;
            let mut wanted = available.min(limit.saturating_sub(total));
            if total == 0 {
                wanted = wanted.max(self.first_frame_bytes(index, at, available)?);
            }
            let taken = self.read_run(index, at, wanted, total > 0, into)?;
            total += taken;
            at = at.advanced(taken as u64);
            if taken < available {
                break;
            }
        }
        Ok(total)
    }

    /// Bytes of the frame at `at`, at most `available`: the verification after it tells when the length is damaged.
    fn first_frame_bytes(
        &mut self,
        index: usize,
        at: Position,
        available: usize,
    ) -> Result<usize, StorageError> {
        let mut header = [0; HEADER_BYTES];
        let segment = &self.segments[index];
        let header = &mut header[..HEADER_BYTES.min(available)];
        self.disk.read_at(&segment.file, segment.offset(at), header)?;
        match peek_length(header, at) {
            Ok(bytes) => Ok(bytes.min(available)),
            Err(cause) => Err(self.damaged(index, at, cause)),
        }
    }

    /// Reads `wanted` bytes, verifies them, and keeps the whole frames among them: at least one unless there may be none.
    fn read_run(
        &mut self,
        index: usize,
        from: Position,
        wanted: usize,
        may_be_none: bool,
        into: &mut Vec<u8>,
    ) -> Result<usize, StorageError> {
        let before = into.len();
        into.resize(before + wanted, 0);
        let segment = &self.segments[index];
        self.disk.read_at(&segment.file, segment.offset(from), &mut into[before..])?;
        let reaches_end = from.0 + wanted as u64 == segment.end.0;
        let (mut taken, mut term) = (0, self.term_before(from));
        while taken < wanted {
            let at = from.advanced(taken as u64);
            match decode_frame(&into[before + taken..], at, term) {
                Ok(frame) => {
                    taken += frame.bytes.len();
                    term = frame.term;
                }
                Err(WireError::Truncated { .. }) if !reaches_end && (taken > 0 || may_be_none) => break,
                Err(cause) => return Err(self.damaged(index, at, cause)),
            }
        }
        into.truncate(before + taken);
        Ok(taken)
    }

    fn damaged(&self, index: usize, position: Position, cause: WireError) -> StorageError {
        StorageError::DamagedFrame { file: self.segments[index].name.clone(), position, cause }
    }
}
