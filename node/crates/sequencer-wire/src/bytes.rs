//! Little-endian reads and writes at fixed offsets. The callers have checked the bounds of what comes from
//! outside; an offset out of bounds here is a bug and panics.
//!
//! Public for the crates that lay out bytes of their own; no promise beyond this workspace.

#![expect(missing_docs, reason = "the names say it")]

#[inline(always)]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[inline(always)]
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

#[inline(always)]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

#[inline(always)]
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[inline(always)]
pub fn sixteen_at(bytes: &[u8], at: usize) -> [u8; 16] {
    array_at(bytes, at)
}

#[inline(always)]
pub fn put<const N: usize>(into: &mut [u8], at: usize, value: [u8; N]) {
    into[at..at + N].copy_from_slice(&value);
}
