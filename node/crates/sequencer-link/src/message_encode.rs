//! Writing messages at the end of a buffer.

use sequencer_wire::bytes::put;
use sequencer_wire::{Position, Term, padded};

use crate::batch::BatchWriter;
use crate::message::{Ask, HEAD_BYTES, Kind, MESSAGE_BYTES_MAX, Tell};

/// Bytes between the head of a `frames` message and the frames.
pub(crate) const FRAMES_HEAD_BYTES: usize = 24;

/// Appends a head and zeros for `body` bytes, padded to 8; returns where the body begins.
pub(crate) fn begin(into: &mut Vec<u8>, kind: Kind, tag: u32, body: usize) -> usize {
    let start = into.len();
    into.resize(start + HEAD_BYTES + padded(body), 0);
    into[start + 8] = kind as u8;
    put(into, start + 12, tag.to_le_bytes());
    start + HEAD_BYTES
}

/// Fills in length and checksum of a message that is otherwise whole and is all of `message`.
pub(crate) fn seal(message: &mut [u8]) {
    put(message, 0, (message.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c(&message[8..]);
    put(message, 4, crc.to_le_bytes());
}

/// The same for a message of which only the head is at hand; the rest follows in pieces.
pub(crate) fn seal_split(head: &mut [u8], rest: &[&[u8]]) {
    let bytes = head.len() + rest.iter().map(|piece| piece.len()).sum::<usize>();
    assert!(bytes <= MESSAGE_BYTES_MAX, "the records do not fit into the message");
    put(head, 0, (bytes as u32).to_le_bytes());
    let crc = rest.iter().fold(crc32c::crc32c(&head[8..]), |crc, piece| crc32c::crc32c_append(crc, piece));
    put(head, 4, crc.to_le_bytes());
}

/// Appends what a client asks.
///
/// # Panics
/// When the message would exceed the largest size.
pub fn encode_ask(into: &mut Vec<u8>, tag: u32, ask: &Ask<'_>) {
    let start = into.len();
    match ask {
        Ask::Batch(batch) => {
            let mut writer =
                BatchWriter::begin(into, batch.kind, batch.source, batch.epoch, batch.first, batch.extra);
            for record in batch.records() {
                writer.push(into, &record.expect("the batch was decoded or built before"));
            }
            put(into, start + 12, tag.to_le_bytes());
            return writer.seal(into);
        }
        Ask::Open(open) => {
            let at = begin(into, Kind::Open, tag, 24 + open.name.len());
            put(into, at, open.resume.to_le_bytes());
            put(into, at + 4, open.group.to_le_bytes());
            put(into, at + 8, open.timeout_ns.to_le_bytes());
            put(into, at + 16, (open.name.len() as u16).to_le_bytes());
            into[at + 24..at + 24 + open.name.len()].copy_from_slice(open.name.as_bytes());
        }
        Ask::Close { session, epoch } | Ask::KeepAlive { session, epoch } => {
            let kind = if matches!(ask, Ask::Close { .. }) { Kind::Close } else { Kind::KeepAlive };
            let at = begin(into, kind, tag, 8);
            put(into, at, session.to_le_bytes());
            put(into, at + 4, epoch.to_le_bytes());
        }
        Ask::Command(command) => {
            let at = begin(into, Kind::Command, tag, 40 + command.body.len());
            into[at] = command.kind;
            put(into, at + 4, command.source_id.to_le_bytes());
            put(into, at + 8, command.epoch.to_le_bytes());
            put(into, at + 12, command.replica.to_le_bytes());
            put(into, at + 16, command.sequence.to_le_bytes());
            put(into, at + 24, command.cause.0.to_le_bytes());
            put(into, at + 32, (command.body.len() as u32).to_le_bytes());
            into[at + 40..at + 40 + command.body.len()].copy_from_slice(command.body);
        }
        Ask::Subscribe { from } => {
            let at = begin(into, Kind::Subscribe, tag, 8);
            put(into, at, from.0.to_le_bytes());
        }
        Ask::Unsubscribe => {
            begin(into, Kind::Unsubscribe, tag, 0);
        }
    }
    seal(&mut into[start..]);
}

/// Appends what a node tells.
pub fn encode_tell(into: &mut Vec<u8>, tag: u32, tell: &Tell<'_>) {
    let start = into.len();
    match tell {
        Tell::Admitted { session, epoch, first, positions } => {
            let at = begin(into, Kind::Admitted, tag, 24 + positions.as_bytes().len());
            put(into, at, session.to_le_bytes());
            put(into, at + 4, epoch.to_le_bytes());
            put(into, at + 8, first.to_le_bytes());
            put(into, at + 16, (positions.len() as u32).to_le_bytes());
            into[at + 24..].copy_from_slice(positions.as_bytes());
        }
        Tell::Answer { json } => {
            let at = begin(into, Kind::Answer, tag, 8 + json.len());
            put(into, at, (json.len() as u32).to_le_bytes());
            into[at + 8..at + 8 + json.len()].copy_from_slice(json);
        }
        Tell::Frames { from, previous, commit, frames } => {
            encode_frames_head(into, tag, *from, *previous, *commit, frames.len());
            return into.extend_from_slice(frames);
        }
        Tell::Leader(leader) => {
            let at = begin(into, Kind::Leader, tag, 16 + leader.address.len());
            put(into, at, leader.term.0.to_le_bytes());
            put(into, at + 8, leader.id.map_or(0, |id| id.0).to_le_bytes());
            into[at + 12] = u8::from(leader.is_here);
            put(into, at + 14, (leader.address.len() as u16).to_le_bytes());
            into[at + 16..at + 16 + leader.address.len()].copy_from_slice(leader.address.as_bytes());
        }
        Tell::Ended { reason, position } => {
            let at = begin(into, Kind::Ended, tag, 16);
            into[at] = *reason as u8;
            put(into, at + 8, position.0.to_le_bytes());
        }
    }
    seal(&mut into[start..]);
}

/// Appends the head of a message whose frames, `frames_bytes` in all, follow it from where they are.
pub fn encode_frames_head(
    into: &mut Vec<u8>,
    tag: u32,
    from: Position,
    previous: Term,
    commit: Position,
    frames_bytes: usize,
) {
    let at = begin(into, Kind::Frames, tag, FRAMES_HEAD_BYTES);
    let start = at - HEAD_BYTES;
    put(into, at, from.0.to_le_bytes());
    put(into, at + 8, previous.0.to_le_bytes());
    put(into, at + 16, commit.0.to_le_bytes());
    seal(&mut into[start..]);
    let whole = HEAD_BYTES + FRAMES_HEAD_BYTES + frames_bytes;
    put(into, start, (whole as u32).to_le_bytes());
}
