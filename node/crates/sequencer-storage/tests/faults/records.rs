//! Damaged, missing and newer records.

use crate::kit::*;

#[test]
fn a_missing_hard_state_is_corruption() {
    let (disk, _) = closed(3);
    disk.lose_file("hardstate").unwrap();
    assert_eq!(corruption(refusal(&disk)), ("hardstate".into(), CorruptionCause::MissingFile));
    disk.set_file_bytes("hardstate", &[0; 2048]);
    assert_eq!(corruption(refusal(&disk)), ("hardstate".into(), CorruptionCause::MissingRecord));
    disk.set_file_bytes("hardstate", &[0; 1024]);
    assert_eq!(corruption(refusal(&disk)), ("hardstate".into(), CorruptionCause::ShortFile(1024)));
}

#[test]
fn a_hard_state_slot_damaged_twice_is_corruption_and_once_is_healed() {
    let (disk, _) = closed(3);
    for slot in [0, 1024] {
        let damaged = disk.fork();
        damaged.flip_bit("hardstate", slot + 30, 2);
        damaged.fork().flip_bit("hardstate", slot + 512 + 30, 2);
        let twice = damaged.fork();
        twice.flip_bit("hardstate", slot + 512 + 99, 2);
        assert_eq!(corruption(refusal(&twice)), ("hardstate".into(), CorruptionCause::BothCopies));
        drop(open(&damaged).unwrap());
        // The other copy may go now.
        damaged.flip_bit("hardstate", slot + 512 + 30, 2);
        open(&damaged).unwrap();
    }
}

#[test]
fn a_watermark_slot_damaged_twice_is_corruption() {
    let (disk, _) = closed(100);
    for slot in [512, 1536] {
        let damaged = disk.fork();
        damaged.flip_bit(FIRST, slot + 30, 2);
        open(&damaged.fork()).unwrap();
        damaged.flip_bit(FIRST, slot + 512 + 31, 2);
        assert_eq!(corruption(refusal(&damaged)), (FIRST.into(), CorruptionCause::BothCopies));
    }
}

#[test]
fn damaged_identities_are_corruption_when_both_copies_are() {
    let (disk, _) = closed(3);
    disk.flip_bit("identity", 20, 2);
    open(&disk).unwrap();
    disk.flip_bit("identity", 532, 2);
    assert_eq!(corruption(refusal(&disk)), ("identity".into(), CorruptionCause::BothCopies));
}

#[test]
fn records_of_the_future_are_refused() {
    for (name, offset) in
        [("identity", 0), ("hardstate", 0), ("hardstate", 1024), ("logstart", 1024), (FIRST, 0), (FIRST, 512)]
    {
        let (disk, _) = closed(5);
        let mut bytes = disk.file_bytes(name).unwrap();
        let sector = &mut bytes[offset..offset + 512];
        sector[12] = 9;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&sector[..8]), &sector[12..]);
        sector[8..12].copy_from_slice(&crc.to_le_bytes());
        disk.set_file_bytes(name, &bytes);
        let expected = StorageError::UnsupportedFormat { file: name.into(), version: 9, supported: 1 };
        assert_eq!(refusal(&disk), expected);
    }
}
