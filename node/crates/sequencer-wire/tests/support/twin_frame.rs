//! The slow twin of the frame decoder.

use super::twin_crc::{crc32c, number};

/// A decoded frame in plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TwinFrame {
    pub(crate) whole: usize,
    pub(crate) term: u64,
    pub(crate) kind: u8,
    pub(crate) flags: u16,
    pub(crate) source_id: u32,
    pub(crate) source_sequence: u64,
    pub(crate) timestamp_ns: u64,
    pub(crate) cause: u64,
    pub(crate) schema_id: u16,
    pub(crate) schema_version: u16,
    pub(crate) epoch: u32,
    pub(crate) payload: Vec<u8>,
}

/// Length with padding.
pub(crate) fn whole_length(length: u64) -> u64 {
    let mut whole = length;
    while !whole.is_multiple_of(8) {
        whole += 1;
    }
    whole
}

/// The term that the checksum of a frame is seeded with.
pub(crate) fn seed_term(frame: &[u8], previous: u64) -> u64 {
    let length = number(&frame[0..4]);
    if frame[9] == 1 && length >= 56 { number(&frame[48..56]) } else { previous }
}

/// The checksum that a whole padded frame should carry.
pub(crate) fn right_crc(frame: &[u8], at: u64, term: u64) -> u32 {
    let length = number(&frame[0..4]);
    let whole = whole_length(length) as usize;
    let seed = [at, term, length].into_iter().flat_map(u64::to_le_bytes);
    crc32c(seed.chain(frame[8..whole].iter().copied()))
}

/// Decodes the first frame of `bytes`, or names the error.
pub(crate) fn decode(bytes: &[u8], at: u64, previous: u64) -> Result<TwinFrame, &'static str> {
    if bytes.len() < 4 {
        return Err("Truncated");
    }
    let length = number(&bytes[0..4]);
    if !(48..=1_048_576).contains(&length) {
        return Err("LengthOutOfRange");
    }
    let whole = whole_length(length);
    if u128::from(at) + u128::from(whole) > u128::from(u64::MAX) {
        return Err("PositionOutOfRange");
    }
    if (bytes.len() as u64) < whole {
        return Err("Truncated");
    }
    let frame = &bytes[..whole as usize];
    if frame[9] != 1 && previous == 0 {
        return Err("NoTerm");
    }
    let term = seed_term(frame, previous);
    if number(&frame[4..8]) != u64::from(right_crc(frame, at, term)) {
        return Err("Checksum");
    }
    if frame[8] != 1 {
        return Err("UnsupportedVersion");
    }
    if frame[9] == 0 || frame[9] > 22 {
        return Err("UnsupportedKind");
    }
    if number(&frame[10..12]) != 0 {
        return Err("UnsupportedFlags");
    }
    if frame[length as usize..].iter().any(|byte| *byte > 0) {
        return Err("NonZeroPadding");
    }
    let payload = &frame[48..length as usize];
    if frame[9] == 1 {
        if payload.len() != 24 {
            return Err("PayloadLength");
        }
        if number(&payload[20..24]) != 0 {
            return Err("NonZeroReserved");
        }
        let (new, before) = (number(&payload[0..8]), number(&payload[8..16]));
        if new <= previous || before != previous {
            return Err("BrokenChain");
        }
    }
    Ok(TwinFrame {
        whole: whole as usize,
        term,
        kind: frame[9],
        flags: number(&frame[10..12]) as u16,
        source_id: number(&frame[12..16]) as u32,
        source_sequence: number(&frame[16..24]),
        timestamp_ns: number(&frame[24..32]),
        cause: number(&frame[32..40]),
        schema_id: number(&frame[40..42]) as u16,
        schema_version: number(&frame[42..44]) as u16,
        epoch: number(&frame[44..48]) as u32,
        payload: payload.to_vec(),
    })
}
