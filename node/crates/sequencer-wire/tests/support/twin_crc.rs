//! CRC32C bit by bit.

/// The checksum of `bytes`: the reflected Castagnoli polynomial, all ones at the start, inverted at the end.
pub(crate) fn crc32c(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(byte);
        for _ in 0..8 {
            register = if register & 1 == 1 { (register >> 1) ^ 0x82F6_3B78 } else { register >> 1 };
        }
    }
    !register
}

/// Little-endian number in some bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number * 256 + u64::from(*byte))
}
