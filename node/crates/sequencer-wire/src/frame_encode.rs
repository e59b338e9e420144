//! Writing frames: one copy of the payload, one pass of the checksum, no allocation.

use crate::frame::{
    CAUSE_AT, CRC_AT, EPOCH_AT, FLAGS_AT, KIND_AT, LENGTH_AT, SCHEMA_ID_AT, SCHEMA_VERSION_AT, SOURCE_ID_AT,
    SOURCE_SEQUENCE_AT, TIMESTAMP_AT, VERSION_AT,
};
use crate::{
    FRAME_VERSION, FrameFields, FrameKind, HEADER_BYTES, NewTerm, PAYLOAD_BYTES_MAX, Position, Term,
    WireError, bytes, frame_bytes, frame_seal,
};

/// Writes one frame at the start of `into` and returns the bytes written, padding included.
///
/// `at` is the position that the first byte will have in the log, `term` the term that the frame belongs to.
///
/// # Errors
/// `PayloadTooLarge`, `BufferTooSmall` or `PositionOutOfRange`; nothing is written then.
///
/// # Panics
/// When asked for a frame that every reader refuses: a flag is set, the term is `Term::NONE`, or a new-term
/// payload does not start `term`.
#[inline]
pub fn encode_frame(
    into: &mut [u8],
    at: Position,
    term: Term,
    fields: &FrameFields,
    payload: &[u8],
) -> Result<usize, WireError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(WireError::PayloadTooLarge { at, bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
    }
    let length = HEADER_BYTES + payload.len();
    let whole = frame_bytes(payload.len());
    if into.len() < whole {
        return Err(WireError::BufferTooSmall { at, needed: whole, available: into.len() });
    }
    if at.0.checked_add(whole as u64).is_none() {
        return Err(WireError::PositionOutOfRange { at, bytes: whole });
    }
    assert!(fields.flags == 0, "no flag has a meaning");
    assert!(term != Term::NONE, "every frame belongs to a term");
    if fields.kind == FrameKind::NewTerm {
        let new_term = NewTerm::from_payload(payload);
        assert!(
            new_term.is_some_and(|new| new.term == term && new.previous < term),
            "a new-term frame starts the term that it belongs to"
        );
    }

    let frame = &mut into[..whole];
    let (header, rest) = frame.split_at_mut(HEADER_BYTES);
    bytes::put(header, LENGTH_AT, (length as u32).to_le_bytes());
    header[VERSION_AT] = FRAME_VERSION;
    header[KIND_AT] = fields.kind as u8;
    bytes::put(header, FLAGS_AT, fields.flags.to_le_bytes());
    bytes::put(header, SOURCE_ID_AT, fields.source_id.to_le_bytes());
    bytes::put(header, SOURCE_SEQUENCE_AT, fields.source_sequence.to_le_bytes());
    bytes::put(header, TIMESTAMP_AT, fields.timestamp_ns.to_le_bytes());
    bytes::put(header, CAUSE_AT, fields.cause.0.to_le_bytes());
    bytes::put(header, SCHEMA_ID_AT, fields.schema_id.to_le_bytes());
    bytes::put(header, SCHEMA_VERSION_AT, fields.schema_version.to_le_bytes());
    bytes::put(header, EPOCH_AT, fields.epoch.to_le_bytes());
    let (body, padding) = rest.split_at_mut(payload.len());
    body.copy_from_slice(payload);
    padding.fill(0);
    let crc = frame_seal::checksum(at, term, length, frame);
    bytes::put(frame, CRC_AT, crc.to_le_bytes());
    Ok(whole)
}

/// Writes the frame that starts `new_term.term`, as `encode_frame` does. The leader is its source.
///
/// # Errors
/// `BufferTooSmall` or `PositionOutOfRange`; nothing is written then.
///
/// # Panics
/// When `new_term.term` is not more than `new_term.previous`.
pub fn encode_new_term(
    into: &mut [u8],
    at: Position,
    new_term: NewTerm,
    timestamp_ns: u64,
) -> Result<usize, WireError> {
    let fields = FrameFields {
        kind: FrameKind::NewTerm,
        flags: 0,
        source_id: new_term.leader.0,
        source_sequence: 0,
        timestamp_ns,
        cause: Position::START,
        schema_id: 0,
        schema_version: 0,
        epoch: 0,
    };
    encode_frame(into, at, new_term.term, &fields, &new_term.to_payload())
}
