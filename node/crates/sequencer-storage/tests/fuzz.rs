//! Arbitrary bytes in every file of a directory: opening it never panics, and ends in a log that works or in a typed error.
//! Half of the inputs get the right checksums, so that the values behind them are tried too.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use bolero::TypeGenerator;
use common::*;
use sequencer_storage::{Disk, Durability, Log, SimDisk};
use sequencer_wire::{LogEnd, Position, Term};

#[derive(Debug, TypeGenerator)]
enum Change {
    /// Overwrites bytes of the file.
    Splice { file: u8, sector: u8, at: u16, bytes: Vec<u8>, seal: bool },
    /// Replaces the whole file.
    Replace { file: u8, bytes: Vec<u8> },
    /// Copies one sector over another.
    Copy { file: u8, from: u8, to: u8 },
    /// Cuts the file short.
    Shorten { file: u8, by: u16 },
    /// Takes the file away.
    Lose { file: u8 },
}

fn seal(sector: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&sector[..8]), &sector[12..]);
    sector[8..12].copy_from_slice(&crc.to_le_bytes());
}

fn apply(disk: &SimDisk, names: &[String], change: &Change) {
    let name_of = |file: u8| &names[file as usize % names.len()];
    let content = |file: u8| disk.file_bytes(name_of(file)).unwrap_or_default();
    match change {
        Change::Splice { file, sector, at, bytes, seal: sealed } => {
            let mut content = content(*file);
            // Most of what matters is in the first sectors.
            let start = (*sector as usize % 12) * 512;
            let at = start + *at as usize % 512;
            for (index, byte) in bytes.iter().enumerate() {
                if let Some(target) = content.get_mut(at + index) {
                    *target = *byte;
                }
            }
            if let (true, Some(sector)) = (sealed, content.get_mut(start..start + 512)) {
                seal(sector);
            }
            disk.set_file_bytes(name_of(*file), &content);
        }
        Change::Replace { file, bytes } => disk.set_file_bytes(name_of(*file), bytes),
        Change::Copy { file, from, to } => {
            let mut content = content(*file);
            let sectors = content.len() / 512;
            if sectors > 0 {
                let (from, to) = (*from as usize % sectors * 512, *to as usize % sectors * 512);
                content.copy_within(from..from + 512, to);
            }
            disk.set_file_bytes(name_of(*file), &content);
        }
        Change::Shorten { file, by } => {
            let content = content(*file);
            disk.set_file_bytes(name_of(*file), &content[..content.len().saturating_sub(*by as usize)]);
        }
        Change::Lose { file } => {
            let _was_there = disk.lose_file(name_of(*file));
        }
    }
}

/// A log of two terms.
fn directory() -> SimDisk {
    let (disk, mut log) = filled(60);
    let last = new_term(log.end(), Term(1), Term(2));
    log.append(&[&last]).unwrap();
    log.wait_durable().unwrap();
    disk
}

/// A log that was trimmed, with two snapshots.
fn trimmed() -> SimDisk {
    let (disk, mut log) = filled(100);
    for count in [50, 80] {
        let end = LogEnd { term: Term(1), position: Position(72 + 336 * count) };
        log.save_snapshot(end, &snapshot_bytes(end)).unwrap();
    }
    assert!(log.trim(Position(72 + 336 * 60)).unwrap() > Position::START);
    disk
}

/// A log that is just being replaced by a snapshot: the snapshot counts, some of the old segments are still there.
fn installing() -> SimDisk {
    let (disk, mut log) = filled(100);
    let end = LogEnd { term: Term(3), position: Position(72 + 336 * 40) };
    // A spare is created, the snapshot takes six operations, the start two; then the segments go one by one.
    disk.stop_after(10);
    log.install(end, &snapshot_bytes(end)).unwrap_err();
    disk.crash_process();
    let segments = disk.clone().list().unwrap().iter().filter(|name| name.ends_with(".segment")).count();
    let log_start = disk.file_bytes("logstart").unwrap();
    assert!(segments > 1 && [40, 1024 + 40].iter().any(|flags| log_start[*flags] == 1));
    disk
}

fn filled(count: usize) -> (SimDisk, Log<SimDisk>) {
    let disk = SimDisk::new(8);
    disk.set_auto_sync(true);
    let options = options(Durability::Fsync);
    Log::format(&mut disk.clone(), &options, UUID).unwrap();
    let (mut log, _) = Log::open(disk.clone(), options).unwrap();
    let mut bytes = new_term(Position::START, Term::NONE, Term(1));
    bytes.extend(messages(Position(72), Term(1), count, 288, 3));
    log.append(&[&bytes]).unwrap();
    log.wait_durable().unwrap();
    (disk, log)
}

#[test]
fn a_directory_of_arbitrary_bytes_opens_or_is_refused() {
    arbitrary_bytes_in(directory());
}

#[test]
fn a_trimmed_directory_of_arbitrary_bytes_opens_or_is_refused() {
    arbitrary_bytes_in(trimmed());
}

#[test]
fn a_directory_of_arbitrary_bytes_in_the_middle_of_an_installation_opens_or_is_refused() {
    arbitrary_bytes_in(installing());
}

fn arbitrary_bytes_in(whole: SimDisk) {
    whole.crash_process();
    // Every input works on a fork of its own, so a panic leaves nothing behind.
    let whole = std::panic::AssertUnwindSafe(whole);
    let mut names = whole.clone().list().unwrap();
    names.extend(["00000000000000030000.segment", "spare-0", "snapshot-new"].map(str::to_owned));
    names.push("snapshot-00000000000000000072".to_owned());
    let (opened, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    bolero::check!().with_iterations(20_000).with_type::<Vec<Change>>().for_each(|changes| {
        let disk = whole.fork();
        for change in changes {
            apply(&disk, &names, change);
        }
        for _ in 0..2 {
            let Ok((mut log, recovered)) = Log::open(disk.clone(), options(Durability::Fsync)) else {
                refused.fetch_add(1, Ordering::Relaxed);
                return;
            };
            opened.fetch_add(1, Ordering::Relaxed);
            assert_eq!((recovered.start, recovered.end.position), (log.start(), log.end()));
            assert!(recovered.start <= recovered.committed && recovered.committed <= log.end());
            let mut read = Vec::new();
            log.read(log.start(), usize::MAX, &mut read).unwrap();
            assert_eq!(read.len() as u64, log.end().0 - log.start().0);
            go_on(&mut log);
        }
    });
    let (opened, refused) = (opened.into_inner(), refused.into_inner());
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}

/// Every call works on what was opened.
fn go_on(log: &mut Log<SimDisk>) {
    let (before, last) = (log.end(), log.terms().last_term());
    if let Some(next) = last.0.checked_add(1) {
        log.append(&[&new_term(log.end(), last, Term(next))]).unwrap();
    }
    log.wait_durable().unwrap();
    log.save_hard_state(&log.hard_state()).unwrap();
    if log.snapshot().is_none_or(|newest| newest.end.position < log.end()) {
        log.save_snapshot(log.log_end(), b"snapshot").unwrap();
    }
    log.read_base_snapshot(0, 100, &mut Vec::new()).unwrap();
    let start = log.trim(before).unwrap();
    log.cut(before.max(start)).unwrap();
    log.cut(start).unwrap();
    let end = LogEnd { term: Term(last.0.saturating_add(1)), position: before.advanced(80) };
    log.install(end, b"installed").unwrap();
}
