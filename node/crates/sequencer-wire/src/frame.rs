//! The layout of a frame and what a decoded one holds.
//!
//! ```text
//!  0 length u32 | 4 crc32c u32 | 8 version u8 | 9 kind u8 | 10 flags u16 | 12 source id u32
//! 16 source sequence u64 | 24 timestamp ns u64 | 32 cause position u64
//! 40 schema id u16 | 42 schema version u16 | 44 epoch u32 | 48 payload | zero padding to a multiple of 8
//! ```

use crate::{FrameKind, NewTerm, Position, Term};

/// Bytes of the header before the payload.
pub const HEADER_BYTES: usize = 48;
/// Most bytes of one frame, header and padding included. Bounds what a reader must hold before it can verify,
/// and how long one frame keeps a link busy.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Most bytes of payload in one frame.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;
/// Frames start at multiples of this many bytes.
pub const ALIGNMENT: usize = 8;
/// The version this code writes, and the only one it reads.
pub const FRAME_VERSION: u8 = 1;

// Invariant: the longest length is itself padded, so a length within bounds has a padded length within
// bounds.
const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(ALIGNMENT) && HEADER_BYTES.is_multiple_of(ALIGNMENT));

pub(crate) const LENGTH_AT: usize = 0;
pub(crate) const CRC_AT: usize = 4;
pub(crate) const VERSION_AT: usize = 8;
pub(crate) const KIND_AT: usize = 9;
pub(crate) const FLAGS_AT: usize = 10;
pub(crate) const SOURCE_ID_AT: usize = 12;
pub(crate) const SOURCE_SEQUENCE_AT: usize = 16;
pub(crate) const TIMESTAMP_AT: usize = 24;
pub(crate) const CAUSE_AT: usize = 32;
pub(crate) const SCHEMA_ID_AT: usize = 40;
pub(crate) const SCHEMA_VERSION_AT: usize = 42;
pub(crate) const EPOCH_AT: usize = 44;
/// Where the checksum's cover starts: after the length (which is part of the seed) and the checksum itself.
pub(crate) const COVERED_FROM: usize = 8;

/// `length` rounded up to a multiple of `ALIGNMENT`.
#[must_use]
#[inline]
pub const fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// Bytes that a frame with `payload` bytes of payload takes in the log, padding included.
#[must_use]
#[inline]
pub const fn frame_bytes(payload: usize) -> usize {
    padded(HEADER_BYTES + payload)
}

/// The header fields that the writer of a frame chooses. Length, checksum and version follow from the rest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FrameFields {
    /// What the frame is for.
    pub kind: FrameKind,
    /// No flag has a meaning so far: must be 0.
    pub flags: u16,
    /// The session, service or node that the frame comes from.
    pub source_id: u32,
    /// Counts what the source sent.
    pub source_sequence: u64,
    /// Nanoseconds since the Unix epoch by the leader's clock; never less than in the frame before.
    pub timestamp_ns: u64,
    /// The frame that this one answers; `Position::START` when there is none.
    pub cause: Position,
    /// Schema of the payload; 0 when it has none.
    pub schema_id: u16,
    /// Version of that schema.
    pub schema_version: u16,
    /// Epoch of the source: of the session, the service, or, for a session in a role group, of the role; 0 where there is
    /// none.
    pub epoch: u32,
}

/// One verified frame; it borrows the bytes it was decoded from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Position of the first byte.
    pub at: Position,
    /// The term the frame belongs to.
    pub term: Term,
    /// The header.
    pub fields: FrameFields,
    /// The payload, without padding.
    pub payload: &'a [u8],
    /// The whole frame: header, payload and padding.
    pub bytes: &'a [u8],
}

impl Frame<'_> {
    /// The position after the padding, where the next frame starts.
    #[must_use]
    #[inline]
    pub fn end(&self) -> Position {
        self.at.advanced(self.bytes.len() as u64)
    }

    /// What a new-term frame says; `None` for every other kind.
    #[must_use]
    pub fn new_term(&self) -> Option<NewTerm> {
        if self.fields.kind == FrameKind::NewTerm { NewTerm::from_payload(self.payload) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_up_to_the_alignment() {
        assert_eq!([0, 1, 7, 8, 9, 49].map(padded), [0, 8, 8, 8, 16, 56]);
        assert_eq!([0, 1, 8, 288].map(frame_bytes), [48, 56, 56, 336]);
        assert_eq!(frame_bytes(PAYLOAD_BYTES_MAX), FRAME_BYTES_MAX);
    }
}
