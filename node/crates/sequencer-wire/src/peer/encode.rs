//! Writing peer messages at the end of a buffer.

use super::layout::{
    APPEND_FRAMES_BYTES_MAX, CLUSTER_AT, CRC_AT, ENVELOPE_BYTES, FROM_AT, KIND_AT, LENGTH_AT, PEER_VERSION,
    PeerKind, SNAPSHOT_CHUNK_BYTES_MAX, TERM_AT, TERM_START_BYTES, TO_AT, VERSION_AT, checksum,
};
use super::{Envelope, PeerMessage};
use crate::{ALIGNMENT, LogEnd, Position, bytes};

/// Appends one message to `into`. Allocates only when `into` has no room left.
///
/// # Panics
/// When a position is not a multiple of `ALIGNMENT`, an append has more than `APPEND_FRAMES_BYTES_MAX` of frames, or a piece
/// of a snapshot lies outside of it or is too long: the receiver would refuse the message.
pub fn encode_peer(into: &mut Vec<u8>, envelope: &Envelope, message: &PeerMessage<'_>) {
    if let PeerMessage::Append { previous, commit, round, frames } = *message {
        encode_append_header(into, envelope, previous, commit, round, frames.len());
        into.extend_from_slice(frames);
        return;
    }
    let start = begin(into, envelope, message.kind());
    match *message {
        PeerMessage::PreVoteRequest { last } => put_log_end(into, last),
        PeerMessage::PreVoteResponse { granted } => put_byte(into, u8::from(granted)),
        PeerMessage::VoteRequest { last, transfer } => {
            put_log_end(into, last);
            put_byte(into, u8::from(transfer));
        }
        PeerMessage::VoteResponse { granted, wall_ns } => {
            put_u64(into, wall_ns);
            put_byte(into, u8::from(granted));
        }
        PeerMessage::Append { .. } => unreachable!("appends are written above"),
        PeerMessage::AppendAccepted { matched, durable, round, low_space } => {
            put_position(into, matched);
            put_position(into, durable);
            put_u64(into, round);
            put_byte(into, u8::from(low_space));
        }
        PeerMessage::SnapshotChunk { last, total_bytes, offset, round, bytes } => {
            let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= total_bytes);
            assert!(
                fits && bytes.len() <= SNAPSHOT_CHUNK_BYTES_MAX,
                "a piece of a snapshot lies outside of it"
            );
            put_log_end(into, last);
            put_u64(into, total_bytes);
            put_u64(into, offset);
            put_u64(into, round);
            into.extend_from_slice(bytes);
        }
        PeerMessage::SnapshotReceived { position, offset, round } => {
            put_position(into, position);
            put_u64(into, offset);
            put_u64(into, round);
        }
        PeerMessage::AppendRejected { previous, end, round, terms } => {
            put_position(into, previous);
            put_position(into, end);
            put_u64(into, round);
            // The count is at most TERM_STARTS_MAX; the upper half of the 8 bytes is reserved.
            put_u64(into, terms.len() as u64);
            into.reserve(terms.len() * TERM_START_BYTES);
            for entry in terms.as_slice() {
                put_u64(into, entry.term.0);
                put_position(into, entry.start);
            }
        }
        PeerMessage::TimeoutNow { end } => put_log_end(into, end),
        PeerMessage::StatusRequest { nonce } => put_u64(into, nonce),
        PeerMessage::StatusResponse { nonce, health, last } => {
            put_u64(into, nonce);
            put_log_end(into, last);
            put_byte(into, health as u8);
        }
    }
    seal(&mut into[start..], 0);
}

/// Appends envelope and body of an append message to `into`; `frames_bytes` of frames must follow from
/// elsewhere, so that they need not be copied together first.
///
/// # Panics
/// As `encode_peer`.
pub fn encode_append_header(
    into: &mut Vec<u8>,
    envelope: &Envelope,
    previous: LogEnd,
    commit: Position,
    round: u64,
    frames_bytes: usize,
) {
    assert!(
        frames_bytes <= APPEND_FRAMES_BYTES_MAX,
        "{frames_bytes} bytes of frames are over the limit of {APPEND_FRAMES_BYTES_MAX} for one message"
    );
    let start = begin(into, envelope, PeerKind::Append);
    put_log_end(into, previous);
    put_position(into, commit);
    put_u64(into, round);
    seal(&mut into[start..], frames_bytes);
}

/// Writes the envelope but for length and checksum, and returns where the message starts in `into`.
fn begin(into: &mut Vec<u8>, envelope: &Envelope, kind: PeerKind) -> usize {
    let mut header = [0; ENVELOPE_BYTES];
    header[VERSION_AT] = PEER_VERSION;
    header[KIND_AT] = kind as u8;
    bytes::put(&mut header, FROM_AT, envelope.from.0.to_le_bytes());
    bytes::put(&mut header, TO_AT, envelope.to.0.to_le_bytes());
    bytes::put(&mut header, CLUSTER_AT, envelope.cluster.0);
    bytes::put(&mut header, TERM_AT, envelope.term.0.to_le_bytes());
    let start = into.len();
    into.reserve(ENVELOPE_BYTES + kind.body_bytes());
    into.extend_from_slice(&header);
    start
}

/// Fills in length and checksum of a message that is followed by `frames_bytes` of frames.
fn seal(message: &mut [u8], frames_bytes: usize) {
    let length = message.len() + frames_bytes;
    bytes::put(message, LENGTH_AT, (length as u32).to_le_bytes());
    let crc = checksum(length, message);
    bytes::put(message, CRC_AT, crc.to_le_bytes());
}

fn put_u64(into: &mut Vec<u8>, value: u64) {
    into.extend_from_slice(&value.to_le_bytes());
}

/// A byte and the seven reserved ones after it.
fn put_byte(into: &mut Vec<u8>, value: u8) {
    put_u64(into, u64::from(value));
}

fn put_position(into: &mut Vec<u8>, position: Position) {
    assert!(position.0.is_multiple_of(ALIGNMENT as u64), "no frame starts or ends at position {position}");
    put_u64(into, position.0);
}

fn put_log_end(into: &mut Vec<u8>, end: LogEnd) {
    put_u64(into, end.term.0);
    put_position(into, end.position);
}
