//! Small records that fill one sector each, and pairs of equal copies of them.
//!
//! ```text
//!  0 magic 8 bytes | 8 crc32c u32 | 12 format version u32 | 16 fields, then zeros to 512
//! ```
//! The CRC covers the whole sector but itself. A record that matters is written as two equal copies in two neighbouring
//! sectors by one write. Since a sector is written whole or not at all:
//!
//! Invariant: without damage each copy is all zero (never written), or valid; a write that power loss tore leaves one copy
//! new and one old. So a copy that is neither is damage, and one flipped bit never takes a pair whose write was completed.

use crate::disk::{Disk, DiskError, SECTOR_BYTES};
use crate::error::{CorruptionCause, StorageError};

/// Bytes of two copies.
pub(crate) const PAIR_BYTES: usize = 2 * SECTOR_BYTES;

/// Version of every on-disk structure but frames, which carry their own.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// A sequence past this was not counted up to.
pub(crate) const SEQUENCE_MAX: u64 = u64::MAX / 2;

const CRC_AT: usize = 8;
const VERSION_AT: usize = 12;
const FIELDS_AT: usize = 16;

/// One sector under construction or being read.
pub(crate) type Sector = [u8; SECTOR_BYTES];

/// A record with a layout of its own behind the common head.
pub(crate) trait Record: Sized + Clone {
    /// Names the kind of record.
    const MAGIC: [u8; 8];

    /// Which of two valid records is newer; 0 for records that are written once.
    fn sequence(&self) -> u64;

    /// Appends the fields.
    fn put(&self, fields: &mut Fields<'_>);

    /// Reads the fields back; `None` when a value has no meaning.
    fn take(fields: &mut Taken<'_>) -> Option<Self>;
}

/// Writes fields one after another.
pub(crate) struct Fields<'a> {
    sector: &'a mut Sector,
    at: usize,
}

impl Fields<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.sector[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
}

/// Reads fields one after another.
pub(crate) struct Taken<'a> {
    sector: &'a Sector,
    at: usize,
}

impl Taken<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.sector[self.at..self.at + N]);
        self.at += N;
        bytes
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

/// What one sector holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded<R> {
    /// All zero: never written.
    Absent,
    /// Whole and understood.
    Valid(R),
    /// Whole, and of a version this software does not know.
    Unsupported(u32),
    /// Anything else.
    Damaged,
}

pub(crate) fn encode<R: Record>(record: &R) -> Sector {
    let mut sector = [0; SECTOR_BYTES];
    sector[..CRC_AT].copy_from_slice(&R::MAGIC);
    sector[VERSION_AT..FIELDS_AT].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    record.put(&mut Fields { sector: &mut sector, at: FIELDS_AT });
    let crc = checksum(&sector);
    sector[CRC_AT..VERSION_AT].copy_from_slice(&crc.to_le_bytes());
    sector
}

pub(crate) fn encode_pair<R: Record>(record: &R) -> [u8; PAIR_BYTES] {
    let sector = encode(record);
    let mut pair = [0; PAIR_BYTES];
    pair[..SECTOR_BYTES].copy_from_slice(&sector);
    pair[SECTOR_BYTES..].copy_from_slice(&sector);
    pair
}

pub(crate) fn decode<R: Record>(sector: &Sector) -> Decoded<R> {
    if sector.iter().all(|byte| *byte == 0) {
        return Decoded::Absent;
    }
    let mut head = Taken { sector, at: 0 };
    let magic: [u8; 8] = head.array();
    let (crc, version) = (head.u32(), head.u32());
    if crc != checksum(sector) || magic != R::MAGIC {
        return Decoded::Damaged;
    }
    if version != FORMAT_VERSION {
        return Decoded::Unsupported(version);
    }
    R::take(&mut head).map_or(Decoded::Damaged, Decoded::Valid)
}

/// What a pair of copies holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair<R> {
    /// The newer valid record; `None` when none was written, or only by a write that was not completed.
    pub(crate) record: Option<R>,
    /// Where one copy is damaged: its offset in the file and what the other copy holds.
    pub(crate) heal: Option<Heal>,
}

/// One damaged copy, to be overwritten with its twin.
///
/// The end of a process can cut a write in the middle of a sector. Were that left in place, a second such cut in the other copy
/// would take the pair. So every opening heals what it finds, one copy at a time and synced, before it writes the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heal {
    offset: u64,
    content: Sector,
}

impl Heal {
    /// Overwrites the copy; the caller syncs.
    pub(crate) fn apply<D: Disk>(&self, disk: &mut D, file: &D::File) -> Result<(), DiskError> {
        disk.write_at(file, self.offset, &self.content)
    }
}

/// Decodes the pair that stands at `offset` of `file`.
///
/// # Errors
/// `Corruption` when both copies are damaged, `UnsupportedFormat` when a copy is of another version.
pub(crate) fn decode_pair<R: Record>(file: &str, offset: u64, pair: &[u8]) -> Result<Pair<R>, StorageError> {
    let mut record: Option<R> = None;
    let mut damaged = Vec::new();
    let copies = pair.as_chunks::<SECTOR_BYTES>().0;
    for (index, copy) in copies.iter().enumerate() {
        match decode::<R>(copy) {
            Decoded::Absent => {}
            Decoded::Damaged => damaged.push(index),
            Decoded::Unsupported(version) => return Err(unsupported(file, version)),
            Decoded::Valid(read) => {
                if record.as_ref().is_none_or(|record| record.sequence() < read.sequence()) {
                    record = Some(read);
                }
            }
        }
    }
    if damaged.len() == copies.len() {
        let file = file.to_owned();
        return Err(StorageError::Corruption { file, offset, cause: CorruptionCause::BothCopies });
    }
    let heal = damaged.first().map(|index| {
        let twin = copies[copies.len() - 1 - index];
        Heal { offset: offset + (index * SECTOR_BYTES) as u64, content: twin }
    });
    Ok(Pair { record, heal })
}

pub(crate) fn unsupported(file: &str, version: u32) -> StorageError {
    StorageError::UnsupportedFormat { file: file.to_owned(), version, supported: FORMAT_VERSION }
}

fn checksum(sector: &Sector) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&sector[..CRC_AT]), &sector[VERSION_AT..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Number(u64);

    impl Record for Number {
        const MAGIC: [u8; 8] = *b"sqnumber";

        fn sequence(&self) -> u64 {
            self.0
        }

        fn put(&self, fields: &mut Fields<'_>) {
            fields.u64(self.0);
        }

        fn take(fields: &mut Taken<'_>) -> Option<Self> {
            Some(Self(fields.u64()))
        }
    }

    #[test]
    fn a_torn_pair_reads_as_the_newer_copy() {
        let mut pair = encode_pair(&Number(4));
        pair[..SECTOR_BYTES].copy_from_slice(&encode(&Number(6)));
        assert_eq!(decode_pair("f", 0, &pair).unwrap(), Pair { record: Some(Number(6)), heal: None });
    }

    #[test]
    fn every_flip_of_one_bit_is_survived_and_of_one_in_each_copy_is_corruption() {
        let pair = encode_pair(&Number(7));
        for bit in 0..PAIR_BYTES * 8 {
            let mut flipped = pair;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = decode_pair("f", 0, &flipped).unwrap();
            let heal = read.heal.expect("one copy is damaged");
            assert_eq!(read.record, Some(Number(7)));
            assert_eq!(
                (heal.offset as usize, heal.content),
                (bit / 8 / SECTOR_BYTES * SECTOR_BYTES, encode(&Number(7)))
            );
            flipped[(bit / 8 + SECTOR_BYTES) % PAIR_BYTES] ^= 1;
            let outcome = decode_pair::<Number>("f", 0, &flipped);
            assert!(matches!(
                outcome,
                Err(StorageError::Corruption { cause: CorruptionCause::BothCopies, .. })
            ));
        }
    }

    #[test]
    fn an_unfinished_first_write_with_damage_is_absent() {
        let mut pair = [0; PAIR_BYTES];
        assert_eq!(decode_pair::<Number>("f", 0, &pair).unwrap().record, None);
        pair[3] = 1;
        assert_eq!(decode_pair::<Number>("f", 0, &pair).unwrap().record, None);
    }
}
