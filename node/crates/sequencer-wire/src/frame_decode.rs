//! Reading and verifying one frame.
//!
//! 1. The length is within bounds, the frame ends at a 64-bit position, and its bytes are all there.
//! 2. The term to verify in: the one that a new-term frame names, the previous one for every other kind.
//!    There must be one.
//! 3. The checksum, seeded with position, term and length.
//! 4. Version, kind, flags, padding; for a new-term frame its payload and what it follows.
//!
//! Invariant: nothing of the content is judged before the checksum has passed, so damage is never taken for a
//! newer format, and a newer format never for damage.

use crate::frame::{
    CAUSE_AT, CRC_AT, EPOCH_AT, FLAGS_AT, KIND_AT, LENGTH_AT, SCHEMA_ID_AT, SCHEMA_VERSION_AT, SOURCE_ID_AT,
    SOURCE_SEQUENCE_AT, TIMESTAMP_AT, VERSION_AT,
};
use crate::new_term::{NEW_TERM_BYTES, NEW_TERM_RESERVED_AT};
use crate::teeth::{self, Bug};
use crate::{
    FRAME_BYTES_MAX, FRAME_VERSION, Frame, FrameFields, FrameKind, HEADER_BYTES, NewTerm, Position, Term,
    WireError, bytes, frame_seal, padded,
};

/// Decodes and verifies the frame at the start of `bytes`, which stands at position `at`. Allocates nothing.
///
/// `previous` is the term of the frame before, `Term::NONE` at the start of the log. A new-term frame
/// verifies in the term that it names and must follow `previous`; any other kind verifies in `previous`.
/// Bytes after the frame are not looked at.
///
/// # Errors
/// Every frame variant of `WireError` but those of encoding; `WireError::is_damage` says what to make of it.
#[inline]
pub fn decode_frame(bytes: &[u8], at: Position, previous: Term) -> Result<Frame<'_>, WireError> {
    let length = checked_length(bytes, at)?;
    let whole = padded(length);
    if at.0.checked_add(whole as u64).is_none() {
        return Err(WireError::PositionOutOfRange { at, bytes: whole });
    }
    let Some(frame) = bytes.get(..whole) else {
        return Err(WireError::Truncated { at, needed: whole, available: bytes.len() });
    };

    let kind_byte = frame[KIND_AT];
    let term = if kind_byte == FrameKind::NewTerm as u8 {
        // The payload is not verified yet: a flipped kind can make a short frame look like a new-term frame.
        // One too short to name a term is verified in the previous term; it is refused below when it should
        // pass.
        if length >= HEADER_BYTES + 8 { Term(bytes::u64_at(frame, HEADER_BYTES)) } else { previous }
    } else if previous == Term::NONE {
        return Err(WireError::NoTerm { at, kind: kind_byte });
    } else {
        previous
    };
    let expected = frame_seal::checksum(at, term, length, frame);
    let found = bytes::u32_at(frame, CRC_AT);
    if found != expected {
        return Err(WireError::Checksum { at, term, expected, found });
    }

    let kind = checked_meaning(frame, at, length)?;
    let payload = &frame[HEADER_BYTES..length];
    if kind == FrameKind::NewTerm {
        check_new_term(payload, at, previous)?;
    }
    let fields = FrameFields {
        kind,
        flags: bytes::u16_at(frame, FLAGS_AT),
        source_id: bytes::u32_at(frame, SOURCE_ID_AT),
        source_sequence: bytes::u64_at(frame, SOURCE_SEQUENCE_AT),
        timestamp_ns: bytes::u64_at(frame, TIMESTAMP_AT),
        cause: Position(bytes::u64_at(frame, CAUSE_AT)),
        schema_id: bytes::u16_at(frame, SCHEMA_ID_AT),
        schema_version: bytes::u16_at(frame, SCHEMA_VERSION_AT),
        epoch: bytes::u32_at(frame, EPOCH_AT),
    };
    Ok(Frame { at, term, fields, payload, bytes: frame })
}

/// The padded length of the frame at the start of `bytes`, from its length field alone: nothing is verified,
/// and the frame may reach past the end of `bytes`.
///
/// # Errors
/// `Truncated` when there are fewer than 4 bytes (`needed` is a whole header), `LengthOutOfRange`.
#[inline]
pub fn peek_length(bytes: &[u8], at: Position) -> Result<usize, WireError> {
    checked_length(bytes, at).map(padded)
}

/// The timestamp, in ns since the Unix epoch, of a frame that was verified before.
///
/// # Panics
/// When `frame` is shorter than a header.
#[must_use]
#[inline]
pub fn header_timestamp_ns(frame: &[u8]) -> u64 {
    bytes::u64_at(frame, TIMESTAMP_AT)
}

/// The kind byte of a frame that was verified before; `None` when it is not a known kind.
///
/// # Panics
/// When `frame` is shorter than a header.
#[must_use]
#[inline]
pub fn header_kind(frame: &[u8]) -> Option<FrameKind> {
    FrameKind::try_from(frame[KIND_AT]).ok()
}

#[inline]
fn checked_length(bytes: &[u8], at: Position) -> Result<usize, WireError> {
    if bytes.len() < LENGTH_AT + 4 {
        return Err(WireError::Truncated { at, needed: HEADER_BYTES, available: bytes.len() });
    }
    let length = bytes::u32_at(bytes, LENGTH_AT);
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&(length as usize)) {
        return Err(WireError::LengthOutOfRange { at, length, min: HEADER_BYTES, max: FRAME_BYTES_MAX });
    }
    Ok(length as usize)
}

/// What a frame with the right checksum means to this version of the software.
#[inline]
fn checked_meaning(frame: &[u8], at: Position, length: usize) -> Result<FrameKind, WireError> {
    let version = frame[VERSION_AT];
    if version != FRAME_VERSION {
        return Err(WireError::UnsupportedVersion { at, version, known: FRAME_VERSION });
    }
    let kind = FrameKind::try_from(frame[KIND_AT]).map_err(|kind| WireError::UnsupportedKind { at, kind })?;
    let flags = bytes::u16_at(frame, FLAGS_AT);
    if flags != 0 {
        return Err(WireError::UnsupportedFlags { at, flags });
    }
    let padding = &frame[length..];
    if padding.iter().any(|byte| *byte != 0) {
        return Err(WireError::NonZeroPadding { at, padding: padding.len() });
    }
    Ok(kind)
}

fn check_new_term(payload: &[u8], at: Position, found: Term) -> Result<(), WireError> {
    if payload.len() != NEW_TERM_BYTES {
        let (kind, bytes) = (FrameKind::NewTerm, payload.len());
        return Err(WireError::PayloadLength { at, kind, bytes, expected: NEW_TERM_BYTES });
    }
    let Some(NewTerm { term, previous, .. }) = NewTerm::from_payload(payload) else {
        return Err(WireError::NonZeroReserved {
            at,
            reserved: bytes::u32_at(payload, NEW_TERM_RESERVED_AT),
        });
    };
    let follows = previous == found || teeth::is_active(Bug::GhostFrames);
    if term <= found || !follows {
        return Err(WireError::BrokenChain { at, term, previous, found });
    }
    Ok(())
}
