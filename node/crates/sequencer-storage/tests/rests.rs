//! What rests on what: cases in which something was done because of a record or a name that a loss of power could still take.
//! Each is a bug that the twin of `common/model.rs` or a review found once. Simulated: the disk.

mod common;

use common::*;
use sequencer_storage::{Disk, Durability, Log, Options, Recovered, SimDisk, SplitMix64};
use sequencer_wire::{LogEnd, LogHealth, Position, Term};

const POWER_SEEDS: u64 = 32;

fn fsync() -> Options {
    options(Durability::Fsync)
}

fn open(disk: &SimDisk) -> (Log<SimDisk>, Recovered) {
    disk.crash_process();
    Log::open(disk.clone(), fsync()).unwrap()
}

/// A log in term 1 with `count` messages, all durable.
fn filled(seed: u64, count: usize) -> (SimDisk, Log<SimDisk>) {
    let disk = SimDisk::new(seed);
    Log::format(&mut disk.clone(), &fsync(), UUID).unwrap();
    let (mut log, _) = open(&disk);
    log.append(&[&new_term(Position::START, Term::NONE, Term(1))]).unwrap();
    append(&mut log, count, 3);
    log.wait_durable().unwrap();
    (disk, log)
}

fn append(log: &mut Log<SimDisk>, count: usize, salt: u8) {
    let (at, term) = (log.end(), log.log_end().term);
    log.append(&[&messages(at, term, count, 288, salt)]).unwrap();
}

fn snapshots(disk: &SimDisk) -> usize {
    disk.clone().list().unwrap().iter().filter(|name| name.starts_with("snapshot-")).count()
}

/// The process dies while the start of the log is being saved, and the next life finds the record in the page cache. It deletes
/// segments because of it, or acknowledges what is appended after it. Then the power goes.
#[test]
fn the_start_of_the_log_is_durable_before_anything_rests_on_it() {
    let installed = LogEnd { term: Term(4), position: Position(200_000) };
    for seed in 0..POWER_SEEDS {
        for stop in 1.. {
            let (disk, mut log) = filled(seed, 150);
            log.save_snapshot(LogEnd { term: Term(1), position: Position(72 + 336 * 120) }, b"1").unwrap();
            disk.stop_after(stop);
            let outcome = if seed % 2 == 0 {
                log.install(installed, b"2")
            } else {
                log.trim(Position(72 + 336 * 130)).map(drop)
            };
            drop(log);
            let (mut log, recovered) = open(&disk);
            append(&mut log, 5, 8);
            let durable = log.wait_durable().unwrap();
            drop(log);
            disk.lose_power(&mut SplitMix64::new(seed ^ (stop << 8)));
            let (log, again) = open(&disk);
            let context = format!("stop at {stop}, seed {seed}");
            assert_eq!((again.start, log.end()), (recovered.start, durable), "{context}");
            if outcome.is_ok() {
                break;
            }
        }
    }
}

/// An installation that is cut short before it counts leaves its snapshot behind. The log it would have replaced may follow
/// another history, and nothing of that is committed because of it.
#[test]
fn a_snapshot_past_the_end_says_nothing_of_the_log() {
    let (disk, mut log) = filled(1, 20);
    log.note_commit(Position(72));
    append(&mut log, 5, 8);
    log.wait_durable().unwrap();
    let end = log.end();
    let mut left = 0;
    for stop in 1.. {
        let disk = disk.fork();
        let (mut log, _) = open(&disk);
        disk.stop_after(stop);
        let outcome = log.install(LogEnd { term: Term(4), position: Position(200_000) }, b"new");
        drop(log);
        disk.crash_process();
        left += snapshots(&disk);
        let (mut log, recovered) = open(&disk);
        if recovered.start > Position::START {
            assert!(left > 0);
            break;
        }
        assert!(outcome.is_err() && log.end() == end);
        assert_eq!((recovered.committed, recovered.snapshot), (Position(72), None), "stop at {stop}");
        assert_eq!((log.snapshot(), snapshots(&disk)), (None, 0), "stop at {stop}");
        log.save_snapshot(log.log_end(), b"own").unwrap();
    }
}

/// The snapshot is exactly as long as the segments before the last one, whose name no sync has covered yet.
#[test]
fn a_log_is_not_trimmed_to_a_segment_whose_name_may_be_lost() {
    for seed in 0..POWER_SEEDS {
        let (disk, mut log) = filled(seed, 36);
        let end = log.log_end();
        log.save_snapshot(end, b"all of it").unwrap();
        append(&mut log, 1, 7);
        assert_eq!(log.trim(end.position).unwrap(), Position::START);
        drop(log);
        disk.lose_power(&mut SplitMix64::new(seed));
        let (mut log, recovered) = open(&disk);
        assert_eq!(recovered.report.health, LogHealth::Clean);
        assert!(log.end() >= end.position, "seed {seed}");
        append(&mut log, 1, 7);
        log.wait_durable().unwrap();
        assert_eq!(log.trim(end.position).unwrap(), end.position);
    }
}

/// A frame that was never synced is found in the page cache and counts from then on. No slot of the earlier life knew of it.
#[test]
fn a_change_of_membership_found_by_recovery_is_known_to_later_claims() {
    let (disk, mut log) = filled(1, 5);
    let change = log.end();
    log.append(&[&membership(change, Term(1))]).unwrap();
    append(&mut log, 5, 8);
    drop(log);
    drop(open(&disk));
    for (frames, expected) in [(2, true), (5, true), (6, false), (8, false)] {
        let disk = disk.fork();
        let at = if frames > 5 { change.0 + 80 + (frames - 6) * 336 } else { 72 + frames * 336 };
        assert!(disk.flip_bit("00000000000000000000.segment", 4096 + at + 60, 1));
        let (_, recovered) = open(&disk);
        assert_eq!(recovered.end.position, Position(at));
        let claim = recovered.hard_state.claim.unwrap();
        assert_eq!((claim.damaged, claim.membership), (true, expected), "damage at frame {frames}");
    }
}

/// A crash between the ninth snapshot and the removal of one leaves one more each time.
#[test]
fn snapshots_do_not_gather_over_crashes() {
    let (disk, mut log) = filled(1, 150);
    for count in 0..30 {
        let end = LogEnd { term: Term(1), position: Position(72 + 336 * (count * 4 + 1)) };
        // The stop comes with the removal, if there is one: create, write, sync, rename and sync of the directory are first.
        disk.stop_after(6);
        let _stopped = log.save_snapshot(end, b"");
        assert_eq!(log.snapshot().map(|info| info.end), Some(end));
        drop(log);
        log = open(&disk).0;
    }
    log.save_snapshot(log.log_end(), b"").unwrap();
    assert_eq!(snapshots(&disk), 8);
}
