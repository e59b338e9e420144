//! Logs on a simulated disk, and how an opening is refused.

pub(crate) use crate::common::*;
pub(crate) use sequencer_storage::{
    Claim, CorruptionCause, Disk, DiskError, Durability, HardState, Log, Operation, Options, Recovered,
    SimDisk, SplitMix64, StorageError,
};
pub(crate) use sequencer_wire::{LogEnd, LogHealth, Position, Term, WireError};

pub(crate) const FIRST: &str = "00000000000000000000.segment";

pub(crate) fn fsync() -> Options {
    options(Durability::Fsync)
}

/// A closed log of one term with `count` messages, its disk and its bytes.
pub(crate) fn closed(count: usize) -> (SimDisk, Vec<u8>) {
    let (disk, log, bytes) = filled(count);
    log.close().unwrap();
    (disk, bytes)
}

pub(crate) fn filled(count: usize) -> (SimDisk, Log<SimDisk>, Vec<u8>) {
    let disk = SimDisk::new(21);
    Log::format(&mut disk.clone(), &fsync(), UUID).unwrap();
    let (mut log, _) = open(&disk).unwrap();
    let mut bytes = new_term(Position::START, Term::NONE, Term(1));
    bytes.extend(messages(Position(72), Term(1), count, 288, 3));
    log.append(&[&bytes]).unwrap();
    log.wait_durable().unwrap();
    (disk, log, bytes)
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Log<SimDisk>, Recovered), StorageError> {
    disk.crash_process();
    Log::open(disk.clone(), fsync())
}

pub(crate) fn refusal(disk: &SimDisk) -> StorageError {
    let before = content(disk);
    let error = open(disk).err().expect("the log must not open");
    assert!(content(disk) == before, "a refused opening changed the disk");
    error
}

pub(crate) fn content(disk: &SimDisk) -> Vec<(String, Option<Vec<u8>>)> {
    let names = disk.clone().list().unwrap();
    names.into_iter().map(|name| (name.clone(), disk.file_bytes(&name))).collect()
}

pub(crate) fn corruption(error: StorageError) -> (String, CorruptionCause) {
    match error {
        StorageError::Corruption { file, cause, .. } => (file, cause),
        other => panic!("{other:?}"),
    }
}

/// A log of 150 messages that was trimmed to its second segment, and closed. It rests on snapshots after 60 and 120 messages.
pub(crate) fn trimmed() -> (SimDisk, Position) {
    let (disk, mut log, _) = filled(150);
    for count in [60, 120] {
        log.save_snapshot(boundary(count), &snapshot_bytes(boundary(count))).unwrap();
    }
    let start = log.trim(boundary(100).position).unwrap();
    assert_eq!(start, boundary(36).position);
    log.close().unwrap();
    (disk, start)
}

/// The end of the log of [`filled`] after `count` messages.
pub(crate) fn boundary(count: u64) -> LogEnd {
    LogEnd { term: Term(1), position: Position(72 + count * 336) }
}

pub(crate) fn snapshot_name(count: u64) -> String {
    format!("snapshot-{:020}", boundary(count).position.0)
}
