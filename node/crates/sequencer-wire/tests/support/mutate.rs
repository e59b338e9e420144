//! Spoils bytes in the ways that disks, networks and other software do.

use bolero::TypeGenerator;

use super::twin_crc::number;
use super::{twin_frame, twin_peer};

/// One change. Offsets are taken modulo the length.
#[derive(Debug, Clone, TypeGenerator)]
pub(crate) enum Mutation {
    /// One bit is flipped.
    Flip { at: u32, bit: u8 },
    /// One byte of the header, or the few after it, gets another value.
    Header { at: u8, value: u8 },
    /// One byte anywhere gets another value.
    Set { at: u32, value: u8 },
    /// The length field gets another value.
    Length { length: u32 },
    /// The length field is a little off.
    LengthBy { by: i8 },
    /// The end is lost.
    Truncate { to: u32 },
    /// Other bytes follow.
    Extend { value: u8, bytes: u8 },
    /// A sector was never written.
    Zero { from: u32, bytes: u16 },
    /// A stretch was written twice, the second time over what followed.
    Repeat { from: u32, bytes: u8 },
}

/// Applies one change.
pub(crate) fn apply(mutation: &Mutation, bytes: &mut Vec<u8>) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match *mutation {
        Mutation::Flip { at, bit } => bytes[at as usize % len] ^= 1 << (bit % 8),
        Mutation::Header { at, value } => bytes[usize::from(at) % len.min(96)] = value,
        Mutation::Set { at, value } => bytes[at as usize % len] = value,
        Mutation::Length { length } => put_length(bytes, length % (2 * len as u32)),
        Mutation::LengthBy { by } if len >= 4 => {
            let length = number(&bytes[..4]) as u32;
            put_length(bytes, length.wrapping_add_signed(i32::from(by)));
        }
        Mutation::LengthBy { .. } => {}
        Mutation::Truncate { to } => bytes.truncate(to as usize % len),
        Mutation::Extend { value, bytes: more } => bytes.resize(len + usize::from(more), value),
        Mutation::Zero { from, bytes: count } => {
            let from = from as usize % len;
            let to = len.min(from + usize::from(count));
            bytes[from..to].fill(0);
        }
        Mutation::Repeat { from, bytes: count } => {
            let from = from as usize % len;
            let count = usize::from(count).min((len - from) / 2);
            bytes.copy_within(from..from + count, from + count);
        }
    }
}

fn put_length(bytes: &mut [u8], length: u32) {
    if bytes.len() >= 4 {
        bytes[..4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Gives the frame at the start of `bytes` the right checksum, when it is all there.
pub(crate) fn reseal_frame(bytes: &mut [u8], at: u64, previous: u64) {
    if bytes.len() < 48 {
        return;
    }
    let length = number(&bytes[..4]);
    if length >= 48 && twin_frame::whole_length(length) <= bytes.len() as u64 {
        let term = twin_frame::seed_term(bytes, previous);
        let crc = twin_frame::right_crc(bytes, at, term);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Gives the message at the start of `bytes` the right checksum, when it is all there.
pub(crate) fn reseal_peer(bytes: &mut [u8]) {
    if bytes.len() >= 48 && (48..=bytes.len() as u64).contains(&number(&bytes[..4])) {
        let crc = twin_peer::right_crc(bytes);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}
