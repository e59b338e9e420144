//! The slow twin of the peer message decoder.

use super::twin_crc::{crc32c, number};

/// A decoded message in plain numbers: the envelope, then the values of the body in the order of the layout
/// (a log end is two, a list its count and then two for each entry), then the frames of an append or the piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TwinMessage {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) term: u64,
    pub(crate) body: Vec<u64>,
    pub(crate) frames: Vec<u8>,
}

/// The checksum that a whole message should carry.
pub(crate) fn right_crc(message: &[u8]) -> u32 {
    let length = number(&message[0..4]);
    let covered_to = if message[9] == 5 { length.min(80) } else { length } as usize;
    crc32c(length.to_le_bytes().into_iter().chain(message[8..covered_to].iter().copied()))
}

/// What stands in 8 bytes of a body.
enum Slot {
    Number,
    Position,
    Choice(u8),
}

/// The fixed part of each body.
fn slots(kind: u8) -> Vec<Slot> {
    use Slot::{Choice, Number, Position};
    match kind {
        1 | 8 => vec![Number, Position],
        2 => vec![Choice(2)],
        3 => vec![Number, Position, Choice(2)],
        4 => vec![Number, Choice(2)],
        5 => vec![Number, Position, Position, Number],
        6 => vec![Position, Position, Number, Choice(2)],
        7 => vec![Position, Position, Number, Number],
        9 => vec![Number],
        10 => vec![Number, Number, Position, Choice(3)],
        11 => vec![Number, Position, Number, Number, Number],
        12 => vec![Position, Number, Number],
        _ => unreachable!("checked before"),
    }
}

/// Decodes the first message of `bytes`, or names the error.
pub(crate) fn decode(bytes: &[u8], cluster: [u8; 16]) -> Result<TwinMessage, &'static str> {
    if bytes.len() < 4 {
        return Err("PeerTruncated");
    }
    let length = number(&bytes[0..4]);
    if !(48..=4 * 1024 * 1024 + 1024).contains(&length) {
        return Err("PeerLengthOutOfRange");
    }
    if (bytes.len() as u64) < length {
        return Err("PeerTruncated");
    }
    let message = &bytes[..length as usize];
    if number(&message[4..8]) != u64::from(right_crc(message)) {
        return Err("PeerChecksum");
    }
    let kind = message[9];
    if message[8] != 1 {
        return Err("UnsupportedPeerVersion");
    }
    if kind == 0 || kind > 12 {
        return Err("UnsupportedPeerKind");
    }
    if number(&message[10..12]) != 0 {
        return Err("UnsupportedPeerFlags");
    }
    if number(&message[20..24]) != 0 {
        return Err("PeerNonZeroReserved");
    }
    if message[24..40] != cluster {
        return Err("WrongCluster");
    }
    let (body, frames) = decode_body(kind, &message[48..])?;
    Ok(TwinMessage {
        length: length as usize,
        kind,
        from: number(&message[12..16]) as u32,
        to: number(&message[16..20]) as u32,
        term: number(&message[40..48]),
        body,
        frames,
    })
}

fn decode_body(kind: u8, body: &[u8]) -> Result<(Vec<u64>, Vec<u8>), &'static str> {
    let slots = slots(kind);
    let fixed = slots.len() * 8;
    if body.len() < fixed || (body.len() > fixed && ![5, 7, 11].contains(&kind)) {
        return Err("PeerBodyLength");
    }
    let (head, rest) = body.split_at(fixed);
    let mut values = Vec::new();
    for (slot, bytes) in slots.iter().zip(head.chunks(8)) {
        let value = number(bytes);
        match slot {
            Slot::Position if !value.is_multiple_of(8) => return Err("PeerMisaligned"),
            Slot::Choice(_) if bytes[1..] != [0; 7] => return Err("PeerNonZeroReserved"),
            Slot::Choice(choices) if bytes[0] >= *choices => return Err("PeerValue"),
            _ => values.push(value),
        }
    }
    match kind {
        5 => Ok((values, rest.to_vec())),
        11 => {
            let (total, offset, length) = (values[2], values[3], rest.len() as u64);
            if length > 1024 * 1024 || u128::from(offset) + u128::from(length) > u128::from(total) {
                return Err("PeerChunkOutOfRange");
            }
            Ok((values, rest.to_vec()))
        }
        7 => {
            let list = number(&head[24..28]);
            if head[28..32] != [0; 4] {
                return Err("PeerNonZeroReserved");
            }
            if list > 32 {
                return Err("TooManyTermStarts");
            }
            if rest.len() as u64 != list * 16 {
                return Err("PeerBodyLength");
            }
            let mut last = (0, None);
            for entry in rest.chunks(16) {
                let (term, start) = (number(&entry[..8]), number(&entry[8..]));
                if start % 8 != 0 {
                    return Err("PeerMisaligned");
                }
                if term <= last.0 || last.1.is_some_and(|before| start <= before) {
                    return Err("TermStartsNotAscending");
                }
                last = (term, Some(start));
                values.extend([term, start]);
            }
            Ok((values, Vec::new()))
        }
        _ => Ok((values, Vec::new())),
    }
}
