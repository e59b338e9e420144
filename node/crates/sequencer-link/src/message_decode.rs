//! Reading messages.
//!
//! Invariant: nothing of a message is believed before its checksum has passed, and none of its lengths is used before it is checked.

use sequencer_wire::bytes::{u16_at, u32_at, u64_at};
use sequencer_wire::{ALIGNMENT, NodeId, Position, Term};

use crate::batch::{BATCH_HEAD_BYTES, Batch, BatchKind};
use crate::error::LinkError;
use crate::message::{
    Ask, Command, EndReason, HEAD_BYTES, Kind, Leader, MESSAGE_BYTES_MAX, Open, Positions, Tell,
};
use crate::message_encode::FRAMES_HEAD_BYTES;

/// What the head of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The kind.
    pub kind: Kind,
    /// The tag.
    pub tag: u32,
}

/// The first whole message in `bytes`, `None` while it is not all there. Only its length has been looked at.
///
/// # Errors
/// [`LinkError::Length`].
pub fn peek_message(bytes: &[u8]) -> Result<Option<&[u8]>, LinkError> {
    if bytes.len() < HEAD_BYTES {
        return Ok(None);
    }
    let whole = u32_at(bytes, 0) as usize;
    if !(HEAD_BYTES..=MESSAGE_BYTES_MAX).contains(&whole) || !whole.is_multiple_of(ALIGNMENT) {
        return Err(LinkError::Length { bytes: whole as u64, least: HEAD_BYTES, most: MESSAGE_BYTES_MAX });
    }
    Ok(bytes.get(..whole))
}

/// Verifies a message and returns head and body.
pub(crate) fn open(message: &[u8]) -> Result<(Head, Reader<'_>), LinkError> {
    let byte = message[8];
    check_seal(message, byte)?;
    open_verified(message, byte)
}

fn check_seal(message: &[u8], byte: u8) -> Result<(), LinkError> {
    // The frames of this kind bear checksums of their own.
    let sealed = if byte == Kind::Frames as u8 && message.len() >= HEAD_BYTES + FRAMES_HEAD_BYTES {
        &message[8..HEAD_BYTES + FRAMES_HEAD_BYTES]
    } else {
        &message[8..]
    };
    let (expected, found) = (crc32c::crc32c(sealed), u32_at(message, 4));
    if expected != found {
        return Err(LinkError::Checksum { expected, found });
    }
    Ok(())
}

fn open_verified(message: &[u8], byte: u8) -> Result<(Head, Reader<'_>), LinkError> {
    let kind = Kind::from_repr(byte).ok_or(LinkError::Kind { kind: byte })?;
    let reader = Reader { kind, bytes: &message[HEAD_BYTES..] };
    if message[9..12] != [0; 3] {
        return Err(reader.wrong("a reserved byte of the head", u64::from(message[9])));
    }
    Ok((Head { kind, tag: u32_at(message, 12) }, reader))
}

/// The body of a message, with checks that name what is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    kind: Kind,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn wrong(&self, field: &'static str, found: u64) -> LinkError {
        LinkError::Field { kind: self.kind as u8, field, found }
    }

    /// The body has at least this many bytes.
    pub(crate) fn at_least(&self, bytes: usize) -> Result<(), LinkError> {
        if self.bytes.len() < bytes { Err(self.wrong("the size", self.bytes.len() as u64)) } else { Ok(()) }
    }

    /// The body has exactly this many bytes, padding aside.
    pub(crate) fn exactly(&self, bytes: usize) -> Result<(), LinkError> {
        if self.bytes.len() == sequencer_wire::padded(bytes) {
            Ok(())
        } else {
            Err(self.wrong("the size", self.bytes.len() as u64))
        }
    }

    /// Text of `bytes` bytes at `at`.
    pub(crate) fn text(&self, field: &'static str, at: usize, bytes: usize) -> Result<&'a str, LinkError> {
        self.at_least(at + bytes)?;
        std::str::from_utf8(&self.bytes[at..at + bytes]).map_err(|_| self.wrong(field, bytes as u64))
    }
}

/// Decodes a message from a client; `message` is whole, as [`peek_message`] gives it.
///
/// # Errors
/// Every [`LinkError`].
pub fn decode_ask(message: &[u8]) -> Result<(Head, Ask<'_>), LinkError> {
    ask_of(open(message)?)
}

/// As [`decode_ask`], of a message that it has verified before: a batch that is taken in piece by piece is not summed up each time.
///
/// # Errors
/// Every [`LinkError`] but that of the checksum.
pub fn decode_ask_again(message: &[u8]) -> Result<(Head, Ask<'_>), LinkError> {
    ask_of(open_verified(message, message[8])?)
}

fn ask_of<'a>((head, body): (Head, Reader<'a>)) -> Result<(Head, Ask<'a>), LinkError> {
    let bytes = body.bytes;
    let ask = match head.kind {
        Kind::Publish | Kind::Outputs => {
            body.at_least(BATCH_HEAD_BYTES)?;
            let kind = if head.kind == Kind::Publish { BatchKind::Publish } else { BatchKind::Outputs };
            let batch = Batch {
                kind,
                source: u32_at(bytes, 0),
                epoch: u32_at(bytes, 4),
                first: u64_at(bytes, 8),
                count: u32_at(bytes, 16),
                extra: u32_at(bytes, 20),
                records: &bytes[BATCH_HEAD_BYTES..],
            };
            if batch.count == 0 {
                return Err(body.wrong("the number of records", 0));
            }
            if batch.first.checked_add(u64::from(batch.count)).is_none() {
                return Err(body.wrong("the first sequence", batch.first));
            }
            Ask::Batch(batch)
        }
        Kind::Open => {
            body.at_least(24)?;
            let name_bytes = usize::from(u16_at(bytes, 16));
            body.exactly(24 + name_bytes)?;
            Ask::Open(Open {
                name: body.text("the name", 24, name_bytes)?,
                group: u32_at(bytes, 4),
                timeout_ns: u64_at(bytes, 8),
                resume: u32_at(bytes, 0),
            })
        }
        Kind::Close | Kind::KeepAlive => {
            body.exactly(8)?;
            let (session, epoch) = (u32_at(bytes, 0), u32_at(bytes, 4));
            if head.kind == Kind::Close {
                Ask::Close { session, epoch }
            } else {
                Ask::KeepAlive { session, epoch }
            }
        }
        Kind::Command => {
            body.at_least(40)?;
            let length = u32_at(bytes, 32) as usize;
            if length > bytes.len() {
                return Err(body.wrong("the size of its frame", length as u64));
            }
            body.exactly(40 + length)?;
            Ask::Command(Command {
                kind: bytes[0],
                source_id: u32_at(bytes, 4),
                epoch: u32_at(bytes, 8),
                replica: u32_at(bytes, 12),
                sequence: u64_at(bytes, 16),
                cause: Position(u64_at(bytes, 24)),
                body: &bytes[40..40 + length],
            })
        }
        Kind::Subscribe => {
            body.exactly(8)?;
            Ask::Subscribe { from: Position(u64_at(bytes, 0)) }
        }
        Kind::Unsubscribe => {
            body.exactly(0)?;
            Ask::Unsubscribe
        }
        other => return Err(LinkError::Kind { kind: other as u8 }),
    };
    Ok((head, ask))
}

/// Decodes a message from a node; `message` is whole. Frames are not looked into.
///
/// # Errors
/// Every [`LinkError`].
pub fn decode_tell(message: &[u8]) -> Result<(Head, Tell<'_>), LinkError> {
    let (head, body) = open(message)?;
    let bytes = body.bytes;
    let tell = match head.kind {
        Kind::Admitted => {
            body.at_least(24)?;
            let count = u32_at(bytes, 16) as usize;
            if count != (bytes.len() - 24) / 8 {
                return Err(body.wrong("the number of positions", count as u64));
            }
            Tell::Admitted {
                session: u32_at(bytes, 0),
                epoch: u32_at(bytes, 4),
                first: u64_at(bytes, 8),
                positions: Positions::new(&bytes[24..]),
            }
        }
        Kind::Answer => {
            body.at_least(8)?;
            let length = u32_at(bytes, 0) as usize;
            if length > bytes.len() {
                return Err(body.wrong("the size of the text", length as u64));
            }
            body.exactly(8 + length)?;
            Tell::Answer { json: &bytes[8..8 + length] }
        }
        Kind::Frames => {
            body.at_least(FRAMES_HEAD_BYTES)?;
            Tell::Frames {
                from: Position(u64_at(bytes, 0)),
                previous: Term(u64_at(bytes, 8)),
                commit: Position(u64_at(bytes, 16)),
                frames: &bytes[FRAMES_HEAD_BYTES..],
            }
        }
        Kind::Leader => {
            body.at_least(16)?;
            let length = usize::from(u16_at(bytes, 14));
            body.exactly(16 + length)?;
            let id = u32_at(bytes, 8);
            if bytes[12] > 1 {
                return Err(body.wrong("whether the leader is here", u64::from(bytes[12])));
            }
            Tell::Leader(Leader {
                term: Term(u64_at(bytes, 0)),
                id: (id != 0).then_some(NodeId(id)),
                address: body.text("the address", 16, length)?,
                is_here: bytes[12] == 1,
            })
        }
        Kind::Ended => {
            body.exactly(16)?;
            let reason = EndReason::from_repr(bytes[0])
                .ok_or_else(|| body.wrong("the reason", u64::from(bytes[0])))?;
            Tell::Ended { reason, position: Position(u64_at(bytes, 8)) }
        }
        other => return Err(LinkError::Kind { kind: other as u8 }),
    };
    Ok((head, tell))
}
