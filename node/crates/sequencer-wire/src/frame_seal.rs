//! The checksum of a frame, seeded with where the frame stands.
//!
//! Invariant: a frame verifies only at its own position and in its own term. Old bytes in reused space, and
//! bytes copied to a wrong place, therefore never pass for frames of the log. A new-term frame names its term
//! itself, so at its own old position it still verifies; there the chain of terms gives it away.

use crate::frame::COVERED_FROM;
use crate::teeth::{self, Bug};
use crate::{Position, Term, bytes};

/// CRC32C over the 24-byte seed `position | term | length` and then over the covered bytes of the frame.
///
/// `frame` is the whole padded frame; `length` is its length without padding.
#[inline]
pub(crate) fn checksum(at: Position, term: Term, length: usize, frame: &[u8]) -> u32 {
    let mut seed = [0; 24];
    if !teeth::is_active(Bug::GhostFrames) {
        bytes::put(&mut seed, 0, at.0.to_le_bytes());
        bytes::put(&mut seed, 8, term.0.to_le_bytes());
    }
    bytes::put(&mut seed, 16, (length as u64).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), &frame[COVERED_FROM..])
}
