//! Reading and verifying peer messages.
//!
//! 1. The length is within bounds and the bytes are all there.
//! 2. The checksum.
//! 3. Version, kind, flags, reserved bytes, cluster.
//! 4. The body: its size, then its fields in order.

use super::layout::{
    APPEND_BODY_BYTES, CHUNK_BODY_BYTES, CLUSTER_AT, CRC_AT, ENVELOPE_BYTES, FLAGS_AT, FROM_AT, KIND_AT,
    LENGTH_AT, PEER_MESSAGE_BYTES_MAX, PEER_VERSION, PeerKind, RESERVED_AT, SNAPSHOT_CHUNK_BYTES_MAX,
    TERM_AT, TERM_START_BYTES, TO_AT, VERSION_AT, checksum,
};
use super::{Envelope, LogHealth, PeerMessage};
use crate::{
    ALIGNMENT, ClusterId, LogEnd, NodeId, Position, TERM_STARTS_MAX, Term, TermStart, TermStarts, WireError,
    bytes,
};

/// Decodes the message at the start of `bytes` and returns it with the bytes it took. Allocates nothing.
///
/// `cluster` is the one that this node belongs to. The frames of an append are not verified here.
///
/// # Errors
/// `PeerTruncated` when more bytes are needed; the other peer variants of `WireError` when the connection
/// cannot go on.
pub fn decode_peer(
    bytes: &[u8],
    cluster: ClusterId,
) -> Result<(Envelope, PeerMessage<'_>, usize), WireError> {
    let length = peek_peer_length(bytes)?;
    let Some(message) = bytes.get(..length) else {
        return Err(WireError::PeerTruncated { needed: length, available: bytes.len() });
    };
    let (expected, found) = (checksum(length, message), bytes::u32_at(message, CRC_AT));
    if found != expected {
        return Err(WireError::PeerChecksum { expected, found });
    }
    let kind = checked_kind(message)?;
    let envelope = Envelope {
        cluster: ClusterId(bytes::sixteen_at(message, CLUSTER_AT)),
        from: NodeId(bytes::u32_at(message, FROM_AT)),
        to: NodeId(bytes::u32_at(message, TO_AT)),
        term: Term(bytes::u64_at(message, TERM_AT)),
    };
    if envelope.cluster != cluster {
        return Err(WireError::WrongCluster {
            from: envelope.from,
            expected: cluster,
            found: envelope.cluster,
        });
    }
    let body = Body { kind, bytes: &message[ENVELOPE_BYTES..] };
    body.check_size()?;
    Ok((envelope, body.decode()?, length))
}

/// The length of the message at the start of `bytes`, from its length field alone: nothing is verified, and
/// the message may reach past the end of `bytes`.
///
/// # Errors
/// `PeerTruncated` when there are fewer than 4 bytes (`needed` is a whole envelope), `PeerLengthOutOfRange`.
pub fn peek_peer_length(bytes: &[u8]) -> Result<usize, WireError> {
    if bytes.len() < LENGTH_AT + 4 {
        return Err(WireError::PeerTruncated { needed: ENVELOPE_BYTES, available: bytes.len() });
    }
    let length = bytes::u32_at(bytes, LENGTH_AT);
    if !(ENVELOPE_BYTES..=PEER_MESSAGE_BYTES_MAX).contains(&(length as usize)) {
        return Err(WireError::PeerLengthOutOfRange {
            length,
            min: ENVELOPE_BYTES,
            max: PEER_MESSAGE_BYTES_MAX,
        });
    }
    Ok(length as usize)
}

/// What a message with the right checksum means to this version of the software.
fn checked_kind(message: &[u8]) -> Result<PeerKind, WireError> {
    let version = message[VERSION_AT];
    if version != PEER_VERSION {
        return Err(WireError::UnsupportedPeerVersion { version, known: PEER_VERSION });
    }
    let kind =
        PeerKind::try_from(message[KIND_AT]).map_err(|kind| WireError::UnsupportedPeerKind { kind })?;
    let flags = bytes::u16_at(message, FLAGS_AT);
    if flags != 0 {
        return Err(WireError::UnsupportedPeerFlags { flags });
    }
    if bytes::u32_at(message, RESERVED_AT) != 0 {
        return Err(WireError::PeerNonZeroReserved { offset: RESERVED_AT, bytes: 4 });
    }
    Ok(kind)
}

struct Body<'a> {
    kind: PeerKind,
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    fn check_size(&self) -> Result<(), WireError> {
        let (kind, found, fixed) = (self.kind, self.bytes.len(), self.kind.body_bytes());
        let varies = matches!(kind, PeerKind::Append | PeerKind::AppendRejected | PeerKind::SnapshotChunk);
        if found < fixed || (found > fixed && !varies) {
            return Err(WireError::PeerBodyLength { kind, bytes: found, expected: fixed });
        }
        Ok(())
    }

    fn decode(&self) -> Result<PeerMessage<'a>, WireError> {
        Ok(match self.kind {
            PeerKind::PreVoteRequest => PeerMessage::PreVoteRequest { last: self.log_end(0, "last")? },
            PeerKind::PreVoteResponse => PeerMessage::PreVoteResponse { granted: self.flag(0, "granted")? },
            PeerKind::VoteRequest => PeerMessage::VoteRequest {
                last: self.log_end(0, "last")?,
                transfer: self.flag(16, "transfer")?,
            },
            PeerKind::VoteResponse => {
                PeerMessage::VoteResponse { wall_ns: self.u64(0), granted: self.flag(8, "granted")? }
            }
            PeerKind::Append => PeerMessage::Append {
                previous: self.log_end(0, "previous")?,
                commit: self.position(16, "commit")?,
                round: self.u64(24),
                frames: &self.bytes[APPEND_BODY_BYTES..],
            },
            PeerKind::AppendAccepted => PeerMessage::AppendAccepted {
                matched: self.position(0, "matched")?,
                durable: self.position(8, "durable")?,
                round: self.u64(16),
                low_space: self.flag(24, "low_space")?,
            },
            PeerKind::AppendRejected => PeerMessage::AppendRejected {
                previous: self.position(0, "previous")?,
                end: self.position(8, "end")?,
                round: self.u64(16),
                terms: self.term_starts(24)?,
            },
            PeerKind::TimeoutNow => PeerMessage::TimeoutNow { end: self.log_end(0, "end")? },
            PeerKind::StatusRequest => PeerMessage::StatusRequest { nonce: self.u64(0) },
            PeerKind::StatusResponse => PeerMessage::StatusResponse {
                nonce: self.u64(0),
                last: self.log_end(8, "last")?,
                health: self.health(24)?,
            },
            PeerKind::SnapshotChunk => self.snapshot_chunk()?,
            PeerKind::SnapshotReceived => PeerMessage::SnapshotReceived {
                position: self.position(0, "position")?,
                offset: self.u64(8),
                round: self.u64(16),
            },
        })
    }

    fn snapshot_chunk(&self) -> Result<PeerMessage<'a>, WireError> {
        let last = self.log_end(0, "last")?;
        let (total_bytes, offset, round) = (self.u64(16), self.u64(24), self.u64(32));
        let bytes = &self.bytes[CHUNK_BODY_BYTES..];
        let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= total_bytes);
        if !fits || bytes.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            let bytes = bytes.len();
            return Err(WireError::PeerChunkOutOfRange { offset, bytes, total_bytes });
        }
        Ok(PeerMessage::SnapshotChunk { last, total_bytes, offset, round, bytes })
    }

    fn u64(&self, at: usize) -> u64 {
        bytes::u64_at(self.bytes, at)
    }

    fn position(&self, at: usize, field: &'static str) -> Result<Position, WireError> {
        let position = Position(self.u64(at));
        if !position.0.is_multiple_of(ALIGNMENT as u64) {
            return Err(WireError::PeerMisaligned { kind: self.kind, field, position });
        }
        Ok(position)
    }

    fn log_end(&self, at: usize, field: &'static str) -> Result<LogEnd, WireError> {
        Ok(LogEnd { term: Term(self.u64(at)), position: self.position(at + 8, field)? })
    }

    /// A byte whose seven followers are reserved.
    fn byte(&self, at: usize) -> Result<u8, WireError> {
        if self.bytes[at + 1..at + 8].iter().any(|byte| *byte != 0) {
            return Err(WireError::PeerNonZeroReserved { offset: ENVELOPE_BYTES + at + 1, bytes: 7 });
        }
        Ok(self.bytes[at])
    }

    fn flag(&self, at: usize, field: &'static str) -> Result<bool, WireError> {
        match self.byte(at)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(WireError::PeerValue { kind: self.kind, field, value }),
        }
    }

    fn health(&self, at: usize) -> Result<LogHealth, WireError> {
        let field = "health";
        LogHealth::try_from(self.byte(at)?).map_err(|value| WireError::PeerValue {
            kind: self.kind,
            field,
            value,
        })
    }

    /// `count u32 | reserved u32`, then as many entries of `term u64 | start u64`, to the end of the body.
    fn term_starts(&self, at: usize) -> Result<TermStarts, WireError> {
        let count = bytes::u32_at(self.bytes, at);
        if bytes::u32_at(self.bytes, at + 4) != 0 {
            return Err(WireError::PeerNonZeroReserved { offset: ENVELOPE_BYTES + at + 4, bytes: 4 });
        }
        if count as usize > TERM_STARTS_MAX {
            return Err(WireError::TooManyTermStarts { count, max: TERM_STARTS_MAX });
        }
        let expected = at + 8 + count as usize * TERM_START_BYTES;
        if self.bytes.len() != expected {
            return Err(WireError::PeerBodyLength { kind: self.kind, bytes: self.bytes.len(), expected });
        }
        let mut terms = TermStarts::new();
        for index in 0..count as usize {
            let entry_at = at + 8 + index * TERM_START_BYTES;
            let start =
                TermStart { term: Term(self.u64(entry_at)), start: self.position(entry_at + 8, "terms")? };
            if !terms.admits(start) {
                return Err(WireError::TermStartsNotAscending { index });
            }
            terms.push(start);
        }
        Ok(terms)
    }
}
