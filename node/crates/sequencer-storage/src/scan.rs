//! Reading a segment once from front to back, verifying every frame.

use sequencer_wire::{FRAME_BYTES_MAX, FrameKind, Position, Term, TermTable, WireError, decode_frame};

use crate::disk::{Disk, DiskError};
use crate::segment::Segment;
use crate::trim::terms_before;

/// Bytes asked for at once: large enough for the disk, small enough for the processor's cache.
const BLOCK_BYTES: usize = 1 << 20;

/// Where a scan stands, carried from segment to segment.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) at: Position,
    pub(crate) term: Term,
    pub(crate) terms: TermTable,
    pub(crate) last_timestamp_ns: u64,
    pub(crate) frames: u64,
    /// End of the last membership frame; 0 when there is none.
    pub(crate) members_end: Position,
    buffer: Vec<u8>,
}

impl Scan {
    /// A scan of a log that begins at `start`, after a byte of term `term`.
    pub(crate) fn new(start: Position, term: Term) -> Self {
        Self {
            at: start,
            term,
            terms: terms_before(start, term),
            last_timestamp_ns: 0,
            frames: 0,
            members_end: Position::START,
            buffer: Vec::new(),
        }
    }

    /// Verifies the frames of `segment` up to `limit`, from the segment's base on. Returns what is wrong with the first frame
    /// that does not verify, or `None` when the frames end exactly at `limit`.
    pub(crate) fn segment<D: Disk>(
        &mut self,
        disk: &mut D,
        segment: &Segment<D::File>,
        limit: Position,
    ) -> Result<Option<WireError>, DiskError> {
        assert!(self.at == segment.base, "a scan that does not continue the one before");
        let total = (limit.0 - segment.base.0) as usize;
        let capacity = total.min(BLOCK_BYTES) + total.min(FRAME_BYTES_MAX);
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < capacity {
            buffer.resize(capacity, 0);
        }
        let outcome = self.blocks(disk, segment, total, &mut buffer);
        self.buffer = buffer;
        outcome
    }

    fn blocks<D: Disk>(
        &mut self,
        disk: &mut D,
        segment: &Segment<D::File>,
        total: usize,
        buffer: &mut [u8],
    ) -> Result<Option<WireError>, DiskError> {
        let (mut start, mut filled, mut read) = (0, 0, 0);
        loop {
            while start < filled {
                match decode_frame(&buffer[start..filled], self.at, self.term) {
                    Ok(frame) => {
                        start += frame.bytes.len();
                        self.terms.record(&frame);
                        self.at = frame.end();
                        self.term = frame.term;
                        self.last_timestamp_ns = self.last_timestamp_ns.max(frame.fields.timestamp_ns);
                        self.frames += 1;
                        if frame.fields.kind == FrameKind::Membership {
                            self.members_end = frame.end();
                        }
                    }
                    Err(WireError::Truncated { .. }) if read < total => break,
                    Err(error) => return Ok(Some(error)),
                }
            }
            if read == total {
                return Ok(None);
            }
            // What is left is less than one frame, so a block always has room behind it.
            buffer.copy_within(start..filled, 0);
            filled -= start;
            start = 0;
            let block = (total - read).min(BLOCK_BYTES).min(buffer.len() - filled);
            let offset = segment.offset(segment.base.advanced(read as u64));
            disk.read_at(&segment.file, offset, &mut buffer[filled..filled + block])?;
            filled += block;
            read += block;
        }
    }
}
