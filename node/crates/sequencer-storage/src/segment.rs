//! Segments: files of fixed size that hold whole frames, named by the position of their first frame.
//!
//! ```text
//!    0 header sector | 512 watermark slot A, two copies | 1536 slot B, two copies | 2560 zeros | 4096 frames ...
//! ```

use sequencer_wire::{ClusterId, Position, Term};

use crate::disk::{Disk, DiskError, SECTOR_BYTES};
use crate::sector::{self, Fields, Record, Taken};

/// Where frames start in a segment.
pub(crate) const FRAMES_AT: u64 = 4096;
/// Smallest segment that may be configured.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 16 << 10;

const SUFFIX: &str = ".segment";
const DIGITS: usize = 20;
const SPARE_PREFIX: &str = "spare-";

/// ```text
/// 16 cluster id 16 bytes | 32 base u64 | 40 term of the byte before base u64
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) cluster: ClusterId,
    pub(crate) base: Position,
    pub(crate) term_before: Term,
}

impl Record for SegmentHeader {
    const MAGIC: [u8; 8] = *b"sqsegmnt";

    fn sequence(&self) -> u64 {
        0
    }

    fn put(&self, fields: &mut Fields<'_>) {
        fields.bytes(&self.cluster.0);
        fields.u64(self.base.0);
        fields.u64(self.term_before.0);
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let cluster = ClusterId(fields.array());
        Some(Self { cluster, base: Position(fields.u64()), term_before: Term(fields.u64()) })
    }
}

impl SegmentHeader {
    pub(crate) fn write<D: Disk>(&self, disk: &mut D, file: &D::File) -> Result<(), DiskError> {
        let sector: [u8; SECTOR_BYTES] = sector::encode(self);
        disk.write_at(file, 0, &sector)
    }
}

/// One segment of the log.
///
/// Invariant: `base <= end <= room_end`, and `end` is the next segment's base when there is one.
pub(crate) struct Segment<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    /// Position of the first frame.
    pub(crate) base: Position,
    /// End of the last frame.
    pub(crate) end: Position,
    /// Position that the file has room up to.
    pub(crate) room_end: Position,
}

impl<F> Segment<F> {
    pub(crate) fn new(file: F, base: Position, file_bytes: u64) -> Self {
        let room_end = base.advanced(file_bytes - FRAMES_AT);
        Self { name: segment_name(base), file, base, end: base, room_end }
    }

    /// Where `position` lies in the file.
    pub(crate) fn offset(&self, position: Position) -> u64 {
        FRAMES_AT + (position.0 - self.base.0)
    }
}

pub(crate) fn segment_name(base: Position) -> String {
    format!("{:0width$}{SUFFIX}", base.0, width = DIGITS)
}

/// The base in a segment's name; `None` for other files.
pub(crate) fn segment_base(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    // The highest bases leave no room for a segment; no log gets there.
    digits.parse().ok().filter(|base| plain && *base <= u64::MAX / 2).map(Position)
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("{SPARE_PREFIX}{number}")
}

pub(crate) fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_segments_are_sorted_as_their_bases_and_read_back() {
        for base in [0, 8, 336, 1 << 40] {
            let name = segment_name(Position(base));
            assert_eq!(name.len(), 28);
            assert_eq!(segment_base(&name), Some(Position(base)));
        }
        for name in ["identity", "8.segment", "+0000000000000000008.segment", "99999999999999999999.segment"]
        {
            assert_eq!(segment_base(name), None);
        }
    }
}
