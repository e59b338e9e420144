//! Snapshots, trimming and installing: what each does, what each refuses, and a crash at every operation of each, also during the
//! recovery after it.
//!
//! Real: all of the log; the scripted parts run on a real directory as well. Simulated: the disk of the crashes. After a crash the log is the one
//! before or the one after, never a mix: every byte from its start on is read back and compared.

mod common;

use common::{UUID, messages, new_term, options};
use sequencer_storage::{
    Disk, DiskError, Durability, FileDisk, Log, SimDisk, SnapshotInfo, SplitMix64, StorageError,
};
use sequencer_wire::{LogEnd, LogHealth, Position, Term};

/// Losses of power tried at each place; each keeps other sectors and names.
const POWER_SEEDS: u64 = 3;

/// A log of six segments in term 1, all of it durable.
fn filled<D: Disk>(mut disk: D) -> (Log<D>, Vec<u8>) {
    Log::format(&mut disk, &options(Durability::Fsync), UUID).unwrap();
    let (mut log, _) = Log::open(disk, options(Durability::Fsync)).unwrap();
    let mut bytes = new_term(Position(0), Term::NONE, Term(1));
    log.append(&[&bytes]).unwrap();
    for salt in 0..24 {
        let more = messages(log.end(), Term(1), 8, 288, salt);
        log.append(&[&more]).unwrap();
        bytes.extend(more);
        log.wait_durable().unwrap();
    }
    assert!(log.end() == Position(bytes.len() as u64));
    (log, bytes)
}

/// The frame boundary of [`filled`] after `count` messages.
fn boundary(count: u64) -> LogEnd {
    LogEnd { term: Term(1), position: Position(72 + count * 336) }
}

fn content(end: LogEnd) -> Vec<u8> {
    format!("ledger at {}", end.position).into_bytes()
}

fn read_all<D: Disk>(log: &mut Log<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while log.start().0 + (bytes.len() as u64) < log.end().0 {
        let from = Position(log.start().0 + bytes.len() as u64);
        log.read(from, 9_000, &mut bytes).unwrap();
    }
    bytes
}

fn snapshots_are_kept_thinned_and_read_back<D: Disk>(disk: D) {
    let (mut log, _) = filled(disk);
    assert_eq!((log.snapshot(), log.base_snapshot()), (None, None));
    let outcome = log.read_base_snapshot(0, 10, &mut Vec::new());
    assert_eq!(outcome, Err(StorageError::NoSnapshot));
    for count in [8, 16, 24, 32, 40, 48, 56, 64, 72, 80] {
        let end = boundary(count);
        log.save_snapshot(end, &content(end)).unwrap();
        assert_eq!(log.snapshot(), Some(SnapshotInfo { end, bytes: content(end).len() as u64 }));
    }
    let base = boundary(8);
    assert_eq!(log.base_snapshot().map(|info| info.end), Some(base));
    let mut read = Vec::new();
    while log.read_base_snapshot(read.len() as u64, 5, &mut read).unwrap() > 0 {}
    assert_eq!(read, content(base));
    let (older, ahead) = (boundary(80), LogEnd { term: Term(1), position: log.end().advanced(8) });
    for end in [older, ahead, LogEnd { term: Term(2), ..boundary(90) }] {
        let outcome = log.save_snapshot(end, b"");
        assert!(matches!(outcome, Err(StorageError::SnapshotPosition { .. })), "{outcome:?}");
    }
    let disk = log.close().unwrap();
    let (log, recovered) = Log::open(disk, options(Durability::Fsync)).unwrap();
    assert_eq!(recovered.snapshot, Some((boundary(80), content(boundary(80)))));
    assert_eq!(recovered.committed, boundary(80).position);
    assert_eq!(log.base_snapshot().map(|info| info.end), Some(base));
}

fn a_trim_keeps_all_from_the_base_on<D: Disk>(disk: D) {
    let (mut log, bytes) = filled(disk);
    assert_eq!(log.trim(boundary(150).position), Ok(Position(0)), "nothing goes without a snapshot");
    for count in [60, 120, 180] {
        log.save_snapshot(boundary(count), &content(boundary(count))).unwrap();
    }
    let start = log.trim(boundary(150).position).unwrap();
    assert!(start > Position(0) && start <= boundary(120).position, "{start}");
    assert_eq!(log.base_snapshot().map(|info| info.end), Some(boundary(120)));
    let below = log.read(Position(0), 100, &mut Vec::new());
    assert_eq!(below, Err(StorageError::BelowStart { from: Position(0), start }));
    assert!(read_all(&mut log) == bytes[start.0 as usize..]);
    let disk = log.close().unwrap();
    let (mut log, recovered) = Log::open(disk, options(Durability::Fsync)).unwrap();
    assert_eq!((recovered.start, recovered.end), (start, boundary(192)));
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert!(read_all(&mut log) == bytes[start.0 as usize..]);
    assert_eq!(log.terms().term_before(start), Term(1));
    // It goes on, and is cut down to its start at most.
    log.append(&[&messages(log.end(), Term(1), 60, 288, 99)]).unwrap();
    log.cut(boundary(192).position).unwrap();
    assert_eq!(log.cut(Position(0)), Err(StorageError::BelowStart { from: Position(0), start }));
}

fn an_installation_replaces_everything<D: Disk>(disk: D) {
    let (mut log, _) = filled(disk);
    log.save_snapshot(boundary(60), b"old").unwrap();
    let end = LogEnd { term: Term(7), position: Position(1 << 20) };
    log.install(end, b"new").unwrap();
    assert_eq!((log.start(), log.log_end(), log.durable()), (end.position, end, end.position));
    assert_eq!(log.snapshot().map(|info| info.end), Some(end));
    let more = messages(end.position, Term(7), 100, 288, 3);
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    let disk = log.close().unwrap();
    let (mut log, recovered) = Log::open(disk, options(Durability::Fsync)).unwrap();
    assert_eq!(recovered.snapshot, Some((end, b"new".to_vec())));
    assert_eq!((recovered.start, recovered.report.health), (end.position, LogHealth::Clean));
    assert!(read_all(&mut log) == more);
}

#[test]
fn on_a_real_disk() {
    let disk = || FileDisk::open(&tempfile::tempdir().unwrap().keep()).unwrap();
    snapshots_are_kept_thinned_and_read_back(disk());
    a_trim_keeps_all_from_the_base_on(disk());
    an_installation_replaces_everything(disk());
}

#[test]
fn on_a_simulated_disk() {
    snapshots_are_kept_thinned_and_read_back(SimDisk::new(1));
    a_trim_keeps_all_from_the_base_on(SimDisk::new(2));
    an_installation_replaces_everything(SimDisk::new(3));
}

#[test]
fn free_space_below_the_reserve_is_told() {
    let disk = SimDisk::new(1);
    let mut options = options(Durability::Fsync);
    options.reserve_bytes = 50_000;
    Log::format(&mut disk.clone(), &options, UUID).unwrap();
    let (mut log, _) = Log::open(disk.clone(), options).unwrap();
    assert!(!log.space().unwrap().is_low);
    disk.set_free_bytes(Some(49_999));
    assert_eq!(log.space().map(|space| (space.free_bytes, space.is_low)), Ok((49_999, true)));
    disk.set_free_bytes(Some(50_000));
    assert!(!log.space().unwrap().is_low);
}

#[test]
fn a_damaged_snapshot_is_passed_over_or_stops_the_node_that_rests_on_it() {
    let disk = SimDisk::new(1);
    let (mut log, _) = filled(disk.clone());
    for count in [60, 120] {
        log.save_snapshot(boundary(count), &content(boundary(count))).unwrap();
    }
    drop(log.close().unwrap());
    let damage = |disk: &SimDisk, count: u64| {
        let name = format!("snapshot-{:020}", boundary(count).position.0);
        assert!(disk.flip_bit(&name, 515, 3));
    };
    damage(&disk, 120);
    let (mut log, recovered) = Log::open(disk.clone(), options(Durability::Fsync)).unwrap();
    assert_eq!(recovered.snapshot, Some((boundary(60), content(boundary(60)))));
    assert!(log.trim(boundary(60).position).unwrap() > Position(0));
    drop(log.close().unwrap());
    damage(&disk, 60);
    let outcome = Log::open(disk, options(Durability::Fsync)).map(drop);
    assert!(matches!(outcome, Err(StorageError::Corruption { .. })), "{outcome:?}");
}

/// What a node finds after a crash: its start, its end, every byte between, and the content of its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    start: Position,
    end: LogEnd,
    bytes: Vec<u8>,
    snapshot: Option<(LogEnd, Vec<u8>)>,
}

/// `None` when the disk stopped in the middle.
fn find(disk: &SimDisk, context: &str) -> Option<Found> {
    match Log::open(disk.clone(), options(Durability::Fsync)) {
        Ok((mut log, recovered)) => {
            assert_eq!(recovered.report.health, LogHealth::Clean, "{context}");
            let bytes = read_all(&mut log);
            let found =
                Found { start: recovered.start, end: recovered.end, bytes, snapshot: recovered.snapshot };
            Some(found)
        }
        Err(StorageError::Disk(DiskError::Stopped)) => None,
        Err(error) => panic!("{context}: {error}"),
    }
}

/// Whatever was found, the log can go on from there.
fn go_on(disk: &SimDisk, found: &Found) {
    let (mut log, _) = Log::open(disk.clone(), options(Durability::Fsync)).unwrap();
    log.append(&[&messages(log.end(), found.end.term, 80, 288, 1)]).unwrap();
    log.wait_durable().unwrap();
    drop(log.close().unwrap());
    Log::open(disk.clone(), options(Durability::Fsync)).unwrap();
}

/// Runs `act` with a stop at every operation, and the recovery after it with another one. Whatever is found must be one of `allowed`.
fn crash_everywhere(
    prepared: &SimDisk,
    act: impl Fn(&mut Log<SimDisk>) -> Result<(), StorageError>,
    allowed: impl Fn(&Found) -> bool,
    is_done: impl Fn(&Found) -> bool,
) {
    let (mut places, mut befores, mut afters) = (0, 0, 0);
    for stop in 1.. {
        for seed in 0..=POWER_SEEDS {
            let disk = prepared.fork();
            let (mut log, _) = Log::open(disk.clone(), options(Durability::Fsync)).unwrap();
            disk.stop_after(stop);
            let outcome = act(&mut log);
            drop(log);
            if outcome.is_ok() {
                disk.lose_power(&mut SplitMix64::new(seed));
                let found = find(&disk, "after all of it").expect("nothing stops the disk");
                assert!(is_done(&found), "what was done is lost: {found:?}");
                assert!(places > 5 && befores > 0 && afters > 0, "{places} places, {befores}, {afters}");
                return;
            }
            assert_eq!(outcome, Err(StorageError::Disk(DiskError::Stopped)));
            places += 1;
            let fall = |disk: &SimDisk, seed: u64| {
                if seed == 0 {
                    disk.crash_process();
                } else {
                    disk.lose_power(&mut SplitMix64::new(seed ^ (stop << 8)));
                }
            };
            fall(&disk, seed);
            for again in 1.. {
                let second = disk.fork();
                second.stop_after(again);
                let context = format!("stop at {stop}, seed {seed}, again at {again}");
                let whole = find(&second, &context);
                if whole.is_none() {
                    fall(&second, seed);
                }
                let found =
                    whole.clone().or_else(|| find(&second, &context)).expect("nothing stops the disk");
                assert!(allowed(&found), "{context}: start {} end {}", found.start, found.end);
                // Another life: the stop that was not reached is over.
                second.crash_process();
                go_on(&second, &found);
                if is_done(&found) {
                    afters += 1
                } else {
                    befores += 1
                }
                if whole.is_some() {
                    break;
                }
            }
        }
    }
}

/// A log with two snapshots, stopped cleanly.
fn prepared() -> (SimDisk, Vec<u8>) {
    let disk = SimDisk::new(9);
    let (mut log, bytes) = filled(disk.clone());
    for count in [60, 120] {
        log.save_snapshot(boundary(count), &content(boundary(count))).unwrap();
    }
    drop(log.close().unwrap());
    (disk, bytes)
}

#[test]
fn a_crash_at_every_operation_of_saving_a_snapshot() {
    let (disk, bytes) = prepared();
    let end = boundary(180);
    crash_everywhere(
        &disk,
        |log| log.save_snapshot(end, &content(end)),
        |found| {
            let newest = found.snapshot.as_ref().map(|(end, _)| *end);
            let is_whole = found.snapshot == newest.map(|end| (end, content(end)));
            found.bytes == bytes && is_whole && (newest == Some(end) || newest == Some(boundary(120)))
        },
        |found| found.snapshot == Some((end, content(end))),
    );
}

#[test]
fn a_crash_at_every_operation_of_a_trim() {
    let (disk, bytes) = prepared();
    crash_everywhere(
        &disk,
        |log| log.trim(boundary(130).position).map(drop),
        |found| {
            found.bytes == bytes[found.start.0 as usize..]
                && found.end == boundary(192)
                && found.snapshot == Some((boundary(120), content(boundary(120))))
        },
        |found| found.start > Position(0),
    );
}

#[test]
fn a_crash_at_every_operation_of_an_installation() {
    let (disk, bytes) = prepared();
    // Above the old log, within it, and at the base of one of its segments.
    let within = LogEnd { term: Term(5), position: boundary(100).position };
    let at_base = LogEnd { term: Term(5), position: boundary(36).position };
    for end in [LogEnd { term: Term(5), position: Position(1 << 20) }, within, at_base] {
        let done = Found {
            start: end.position,
            end,
            bytes: Vec::new(),
            snapshot: Some((end, b"installed".to_vec())),
        };
        crash_everywhere(
            &disk,
            |log| log.install(end, b"installed"),
            |found| {
                let is_old = found.bytes == bytes && found.start == Position(0) && found.end == boundary(192);
                is_old || *found == done
            },
            |found| *found == done,
        );
    }
}
