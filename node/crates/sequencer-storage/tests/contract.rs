//! One suite for every disk: goes in, a sequence of calls on the public log; checked, what the log returns and what a second
//! opening finds. `FileDisk` runs on a real directory, `SimDisk` on its simulation; a full disk and failing operations are
//! simulated only.

mod common;

use common::*;
use sequencer_storage::{
    Claim, Disk, DiskError, Durability, FileDisk, HardState, Log, Options, SimDisk, StorageError,
};
use sequencer_wire::{ClusterId, LogEnd, LogHealth, NodeId, Position, Term, WireError};

/// Where a suite's logs live.
trait Place {
    type Disk: Disk;
    /// The disk as a new process finds it; the one before must have been dropped.
    fn disk(&self) -> Self::Disk;
}

struct Simulated(SimDisk);

impl Place for Simulated {
    type Disk = SimDisk;

    fn disk(&self) -> SimDisk {
        self.0.crash_process();
        self.0.set_auto_sync(true);
        self.0.clone()
    }
}

struct Real(tempfile::TempDir);

impl Place for Real {
    type Disk = FileDisk;

    fn disk(&self) -> FileDisk {
        FileDisk::open(self.0.path()).unwrap()
    }
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod simulated {
            $(#[test]
            fn $name() {
                super::$name(&super::Simulated(super::SimDisk::new(11)));
            })*
        }

        mod real {
            $(#[test]
            fn $name() {
                super::$name(&super::Real(tempfile::tempdir().unwrap()));
            })*
        }
    };
}

contract!(
    a_disk_keeps_its_files,
    a_disk_refuses_what_it_cannot_do,
    a_disk_syncs_in_the_background,
    a_new_log_is_empty,
    frames_come_back_after_a_close,
    frames_come_back_after_a_crash,
    a_batch_of_many_slices_rolls,
    reads_return_whole_frames,
    reads_outside_of_the_log_are_refused,
    a_cut_lasts,
    a_cut_across_segments_lasts,
    a_cut_to_the_start_lasts,
    frames_follow_a_cut_at_the_same_positions,
    hard_state_lasts,
    a_directory_is_formatted_once,
    a_missing_identity_is_not_formatted,
    another_cluster_is_refused,
    another_node_is_refused,
    a_directory_of_other_files_is_refused,
    segment_sizes_are_checked_and_may_change,
    a_frame_larger_than_a_segment_is_refused,
    bytes_that_are_not_frames_are_refused,
    memory_durability_survives_the_process,
    memory_durability_does_not_survive_the_machine,
    a_clean_stop_in_memory_survives_the_machine,
    damage_below_the_watermark_is_claimed,
    a_lost_last_batch_is_doubtful,
);

fn formatted<P: Place>(place: &P, options: &Options) -> Log<P::Disk> {
    Log::format(&mut place.disk(), options, UUID).unwrap();
    open(place, options)
}

fn open<P: Place>(place: &P, options: &Options) -> Log<P::Disk> {
    Log::open(place.disk(), options.clone()).unwrap().0
}

fn refusal<P: Place>(place: &P, options: &Options) -> StorageError {
    Log::open(place.disk(), options.clone()).err().expect("the log must not open")
}

/// A log of one term with `count` messages, all durable, and its bytes.
fn filled<P: Place>(place: &P, options: &Options, count: usize) -> (Log<P::Disk>, Vec<u8>) {
    let mut log = formatted(place, options);
    let mut bytes = new_term(Position::START, Term::NONE, Term(1));
    bytes.extend(messages(Position(bytes.len() as u64), Term(1), count, 288, 3));
    log.append(&[&bytes]).unwrap();
    assert_eq!(log.wait_durable().unwrap(), log.end());
    assert_eq!(log.end().0, bytes.len() as u64);
    (log, bytes)
}

fn read_all<D: Disk>(log: &mut Log<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < log.end().0 {
        assert!(log.read(Position(bytes.len() as u64), 5000, &mut bytes).unwrap() > 0);
    }
    bytes
}

fn fsync() -> Options {
    options(Durability::Fsync)
}

fn a_disk_keeps_its_files<P: Place>(place: &P) {
    let mut disk = place.disk();
    let file = disk.create("one", 3000).unwrap();
    assert_eq!(disk.size(&file).unwrap(), 3000);
    let mut read = vec![1; 3000];
    disk.read_at(&file, 0, &mut read).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
    disk.write_at(&file, 700, &[5; 1000]).unwrap();
    disk.sync(&file).unwrap();
    disk.create("two", 10).unwrap();
    disk.rename("one", "uno").unwrap();
    disk.remove("two").unwrap();
    disk.sync_dir().unwrap();
    drop((file, disk));
    let mut disk = place.disk();
    assert_eq!(disk.list().unwrap(), ["uno"]);
    let file = disk.open("uno").unwrap();
    disk.read_at(&file, 0, &mut read).unwrap();
    assert!(read.iter().enumerate().all(|(at, byte)| *byte == if (700..1700).contains(&at) { 5 } else { 0 }));
}

fn a_disk_refuses_what_it_cannot_do<P: Place>(place: &P) {
    let mut disk = place.disk();
    let file = disk.create("one", 100).unwrap();
    let name = || "one".to_owned();
    let exists = Some(DiskError::Exists { name: name() });
    assert_eq!(disk.create("one", 5).err(), exists);
    disk.create("two", 5).unwrap();
    assert_eq!(disk.rename("two", "one").err(), exists);
    let missing =
        |outcome: Result<(), DiskError>| assert!(matches!(outcome, Err(DiskError::NotFound { .. })));
    missing(disk.open("three").map(drop));
    missing(disk.remove("three"));
    missing(disk.rename("three", "four"));
    let outside = DiskError::OutOfRange { name: name(), offset: 90, end: 101, size: 100 };
    assert_eq!(disk.read_at(&file, 90, &mut [0; 11]).err(), Some(outside.clone()));
    assert_eq!(disk.write_at(&file, 90, &[0; 11]).err(), Some(outside));
}

fn a_disk_syncs_in_the_background<P: Place>(place: &P) {
    let mut disk = place.disk();
    let files = [disk.create("one", 100).unwrap(), disk.create("two", 100).unwrap()];
    assert_eq!(disk.wait_sync().unwrap(), None);
    assert_eq!(disk.finished_sync().unwrap(), None);
    let first = disk.start_sync(&files, true).unwrap();
    assert_eq!(disk.wait_sync().unwrap(), Some(first));
    let second = disk.start_sync(&files[1..], false).unwrap();
    assert!(second > first);
    loop {
        if let Some(id) = disk.finished_sync().unwrap() {
            assert_eq!(id, second);
            break;
        }
        std::thread::yield_now();
    }
}

fn a_new_log_is_empty<P: Place>(place: &P) {
    Log::format(&mut place.disk(), &fsync(), UUID).unwrap();
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.end, LogEnd::default());
    assert_eq!(recovered.hard_state, HardState::default());
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.damage, None);
    assert!(recovered.terms.is_empty());
    assert_eq!((log.start(), log.end(), log.durable()), (Position::START, Position::START, Position::START));
    assert_eq!(log.data_uuid(), UUID);
    assert!(!log.start_sync().unwrap());
    assert_eq!(log.read(Position::START, 100, &mut Vec::new()).unwrap(), 0);
    log.cut(Position::START).unwrap();
    log.append(&[]).unwrap();
    log.append(&[&[]]).unwrap();
    assert_eq!(log.wait_durable().unwrap(), Position::START);
}

fn frames_come_back_after_a_close<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 200);
    assert!(read_all(&mut log) == bytes);
    drop(log.close().unwrap());
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert!(read_all(&mut log) == bytes);
    assert_eq!(log.durable(), log.end());
    assert_eq!(recovered.end, LogEnd { term: Term(1), position: log.end() });
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.scanned_frames, 201);
    assert!(recovered.report.segments > 3);
    assert_eq!((recovered.report.synced, recovered.report.intent), (log.end(), recovered.end));
    assert_eq!(recovered.last_timestamp_ns, 1000 + log.end().0 - 336);
    assert_eq!(&recovered.terms, log.terms());
    assert_eq!(recovered.terms.starts_at(Term(1)), Some(Position::START));
}

fn frames_come_back_after_a_crash<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 60);
    // Never synced, but in the page cache.
    let more = messages(log.end(), Term(1), 30, 100, 8);
    log.append(&[&more]).unwrap();
    bytes.extend(more);
    drop(log);
    let mut log = open(place, &fsync());
    assert!(read_all(&mut log) == bytes);
    assert_eq!(log.durable(), log.end());
}

fn a_batch_of_many_slices_rolls<P: Place>(place: &P) {
    let mut log = formatted(place, &fsync());
    log.maintain().unwrap();
    let bytes = new_term(Position::START, Term::NONE, Term(4));
    let mut slices = vec![bytes];
    for number in 0..40_u64 {
        let at = Position(slices.iter().map(|slice| slice.len() as u64).sum());
        if number == 20 {
            slices.push(new_term(at, Term(4), Term(6)));
        } else {
            slices.push(messages(at, if number < 20 { Term(4) } else { Term(6) }, 7, 333, number as u8));
        }
    }
    let borrowed: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
    log.append(&borrowed).unwrap();
    assert!(log.durable() < log.end());
    log.wait_durable().unwrap();
    assert!(read_all(&mut log) == slices.concat());
    assert_eq!(log.terms().len(), 2);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert!(read_all(&mut log) == slices.concat());
    assert_eq!(recovered.end.term, Term(6));
    assert!(recovered.report.segments > 5);
}

fn reads_return_whole_frames<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 120);
    let mut into = vec![42];
    for (limit, expected) in [(0, 72), (71, 72), (72, 72), (407, 72), (408, 408), (744, 744)] {
        into.truncate(1);
        assert_eq!(log.read(Position::START, limit, &mut into).unwrap(), expected, "limit {limit}");
        assert!(into[0] == 42 && into[1..] == bytes[..expected]);
    }
    // A limit that ends in another segment, and in the middle of its first frame.
    for limit in 10_000..10_700 {
        into.truncate(1);
        let taken = log.read(Position(5448), limit, &mut into).unwrap();
        assert!(taken <= limit && taken > limit - 336 && into[1..] == bytes[5448..5448 + taken]);
    }
    assert_eq!(log.read(log.end(), 100, &mut into).unwrap(), 0);
    // Not at a frame boundary: whatever is there, it does not verify.
    let outcome = log.read(Position(80), 100, &mut into);
    assert!(matches!(outcome, Err(StorageError::DamagedFrame { position: Position(80), .. })));
}

fn reads_outside_of_the_log_are_refused<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 1);
    let end = log.end();
    let from = end.advanced(8);
    assert_eq!(log.read(from, 10, &mut Vec::new()), Err(StorageError::PastEnd { from, end }));
    assert_eq!(log.cut(from), Err(StorageError::PastEnd { from, end }));
    assert_eq!(log.start(), Position::START);
}

fn cut_and_check<P: Place>(place: &P, to: u64) {
    let (mut log, mut bytes) = filled(place, &fsync(), 200);
    log.append(&[&messages(log.end(), Term(1), 3, 288, 1)]).unwrap();
    assert!(log.start_sync().unwrap());
    log.append(&[&messages(log.end(), Term(1), 3, 288, 2)]).unwrap();
    log.cut(Position(to)).unwrap();
    bytes.truncate(to as usize);
    assert_eq!((log.end(), log.durable()), (Position(to), Position(to)));
    assert!(read_all(&mut log) == bytes);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.damage, None);
    assert!(read_all(&mut log) == bytes);
    let more = messages(log.end(), Term(1), 100, 200, 9);
    let more = if to == 0 { new_term(Position::START, Term::NONE, Term(3)) } else { more };
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    bytes.extend(more);
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == bytes);
}

fn a_cut_lasts<P: Place>(place: &P) {
    cut_and_check(place, 72 + 336 * 198);
}

fn a_cut_across_segments_lasts<P: Place>(place: &P) {
    cut_and_check(place, 72 + 336 * 50);
}

fn a_cut_to_the_start_lasts<P: Place>(place: &P) {
    cut_and_check(place, 0);
}

fn frames_follow_a_cut_at_the_same_positions<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 200);
    let to = 72 + 336 * 36;
    log.cut(Position(to)).unwrap();
    bytes.truncate(to as usize);
    // Same term, same sizes, same places, other payload: nothing of the old frames may come back behind the new ones.
    let more = messages(log.end(), Term(1), 40, 288, 77);
    log.append(&[&more]).unwrap();
    bytes.extend(more);
    drop(log);
    let mut log = open(place, &fsync());
    assert!(read_all(&mut log) == bytes);
}

fn hard_state_lasts<P: Place>(place: &P) {
    let mut log = formatted(place, &fsync());
    let claim =
        Claim { end: LogEnd { term: Term(8), position: Position(80) }, damaged: true, membership: false };
    let states = [
        HardState { term: Term(1), vote: None, claim: None },
        HardState { term: Term(1), vote: Some(NodeId(0)), claim: None },
        HardState { term: Term(9), vote: Some(NodeId(3)), claim: Some(claim) },
        HardState { term: Term(9), vote: None, claim: Some(Claim { damaged: false, ..claim }) },
        HardState { term: Term(u64::MAX), vote: Some(NodeId(u32::MAX)), claim: None },
    ];
    for state in states {
        log.save_hard_state(&state).unwrap();
        assert_eq!(log.hard_state(), state);
        drop(log);
        let (reopened, recovered) = Log::open(place.disk(), fsync()).unwrap();
        assert_eq!(recovered.hard_state, state);
        log = reopened;
    }
    drop(log.close().unwrap());
    assert_eq!(open(place, &fsync()).hard_state(), states[4]);
}

fn a_directory_is_formatted_once<P: Place>(place: &P) {
    let (log, _) = filled(place, &fsync(), 5);
    drop(log);
    assert_eq!(Log::format(&mut place.disk(), &fsync(), UUID), Err(StorageError::AlreadyFormatted));
    assert_eq!(open(place, &fsync()).end(), Position(72 + 5 * 336));
}

fn a_missing_identity_is_not_formatted<P: Place>(place: &P) {
    assert_eq!(refusal(place, &fsync()), StorageError::NotFormatted);
    let (log, _) = filled(place, &fsync(), 5);
    drop(log);
    place.disk().remove("identity").unwrap();
    assert_eq!(refusal(place, &fsync()), StorageError::NotFormatted);
    // Nor is a directory with a log in it formatted over.
    let outcome = Log::format(&mut place.disk(), &fsync(), UUID);
    assert!(matches!(outcome, Err(StorageError::NotEmpty { .. })));
}

fn another_cluster_is_refused<P: Place>(place: &P) {
    drop(formatted(place, &fsync()));
    let expected = ClusterId([8; 16]);
    let error = refusal(place, &Options { cluster: expected, ..fsync() });
    assert_eq!(error, StorageError::WrongCluster { file: "identity".into(), expected, found: CLUSTER });
}

fn another_node_is_refused<P: Place>(place: &P) {
    drop(formatted(place, &fsync()));
    let error = refusal(place, &Options { node: NodeId(5), ..fsync() });
    assert_eq!(error, StorageError::WrongNode { file: "identity".into(), expected: NodeId(5), found: NODE });
}

fn a_directory_of_other_files_is_refused<P: Place>(place: &P) {
    place.disk().create("photo", 100).unwrap();
    let outcome = Log::format(&mut place.disk(), &fsync(), UUID);
    assert_eq!(outcome, Err(StorageError::NotEmpty { name: "photo".into() }));
}

fn segment_sizes_are_checked_and_may_change<P: Place>(place: &P) {
    for segment_bytes in [0, 4096, (16 << 10) - 512, (16 << 10) + 8] {
        let outcome = Log::format(&mut place.disk(), &Options { segment_bytes, ..fsync() }, UUID);
        assert!(matches!(outcome, Err(StorageError::SegmentBytes { .. })));
    }
    let (log, mut bytes) = filled(place, &fsync(), 100);
    drop(log);
    let larger = Options { segment_bytes: 3 * SEGMENT, ..fsync() };
    let mut log = open(place, &larger);
    let more = messages(log.end(), Term(1), 300, 288, 4);
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    bytes.extend(more);
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == bytes);
}

fn a_frame_larger_than_a_segment_is_refused<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 5);
    let room = (SEGMENT - 4096) as usize;
    let at = log.end();
    let large = message(at, Term(1), &vec![1; room - 48 + 8]);
    let outcome = log.append(&[&large]);
    assert_eq!(outcome, Err(StorageError::FrameTooLarge { at, bytes: room as u64 + 8, room: room as u64 }));
    assert!(read_all(&mut log) == bytes);
    let fitting = message(at, Term(1), &vec![1; room - 48]);
    log.append(&[&fitting]).unwrap();
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == [bytes, fitting].concat());
}

fn bytes_that_are_not_frames_are_refused<P: Place>(place: &P) {
    let mut log = formatted(place, &fsync());
    let at = Position::START;
    let not_frames = |outcome| match outcome {
        Err(StorageError::NotFrames(cause)) => cause,
        other => panic!("{other:?}"),
    };
    let early = not_frames(log.append(&[&message(at, Term(1), b"no term yet")]));
    assert!(matches!(early, WireError::NoTerm { .. }));
    let first = new_term(at, Term::NONE, Term(1));
    let short = not_frames(log.append(&[&first[..64]]));
    assert!(matches!(short, WireError::Truncated { .. }));
    let zeros = not_frames(log.append(&[&first, &[0; 64]]));
    assert!(matches!(zeros, WireError::LengthOutOfRange { .. }));
    let back = not_frames(log.append(&[&first, &new_term(Position(72), Term::NONE, Term(3))]));
    assert!(matches!(back, WireError::BrokenChain { .. }));
    assert_eq!(log.end(), Position::START);
    assert!(log.terms().is_empty());
    log.append(&[&first]).unwrap();
    assert!(read_all(&mut log) == first);
}

fn memory_durability_survives_the_process<P: Place>(place: &P) {
    let options = options(Durability::Memory);
    let (mut log, mut bytes) = filled(place, &options, 5);
    for number in 0..60 {
        let more = messages(log.end(), Term(1), 3, 288, number);
        log.append(&[&more]).unwrap();
        assert_eq!(log.durable(), log.end());
        assert!(!log.start_sync().unwrap());
        bytes.extend(more);
        log.maintain().unwrap();
    }
    log.poll_sync().unwrap();
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), options.clone()).unwrap();
    assert!(read_all(&mut log) == bytes);
    assert_eq!(recovered.report.synced, log.end());
    log.cut(Position(72 + 336 * 40)).unwrap();
    drop(log);
    // The next life may ask for more.
    let mut log = open(place, &fsync());
    assert!(read_all(&mut log) == bytes[..72 + 336 * 40]);
}

fn memory_durability_does_not_survive_the_machine<P: Place>(place: &P) {
    let (log, bytes) = filled(place, &options(Durability::Memory), 5);
    drop(log);
    for durability in [Durability::Memory, Durability::Fsync] {
        let rebooted = Options { boot_id: OTHER_BOOT, ..options(durability) };
        assert_eq!(refusal(place, &rebooted), StorageError::MemoryLost { node: NODE });
    }
    assert!(read_all(&mut open(place, &options(Durability::Memory))) == bytes);
}

fn a_clean_stop_in_memory_survives_the_machine<P: Place>(place: &P) {
    let memory = options(Durability::Memory);
    let (log, bytes) = filled(place, &memory, 150);
    drop(log.close().unwrap());
    let rebooted = Options { boot_id: OTHER_BOOT, ..memory.clone() };
    let mut log = open(place, &rebooted);
    assert!(read_all(&mut log) == bytes);
    drop(log);
    // That life did not stop cleanly.
    assert_eq!(refusal(place, &memory), StorageError::MemoryLost { node: NODE });
}

/// Overwrites bytes of the log behind the log's back.
fn damage<P: Place>(place: &P, segment: &str, offset: u64, bytes: &[u8]) {
    let mut disk = place.disk();
    let file = disk.open(segment).unwrap();
    disk.write_at(&file, offset, bytes).unwrap();
    disk.sync(&file).unwrap();
}

fn damage_below_the_watermark_is_claimed<P: Place>(place: &P) {
    let (log, bytes) = filled(place, &fsync(), 100);
    let end = LogEnd { term: Term(1), position: log.end() };
    drop(log.close().unwrap());
    let segment = "00000000000000000000.segment";
    damage(place, segment, 4096 + 72 + 336 * 10 + 100, b"!");
    for _ in 0..2 {
        let (_, recovered) = Log::open(place.disk(), fsync()).unwrap();
        let report = &recovered.report;
        assert_eq!(report.health, LogHealth::Damaged);
        assert_eq!(recovered.end, LogEnd { term: Term(1), position: Position(72 + 3360) });
        assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
        let damage = report.damage.as_ref().unwrap();
        assert_eq!((damage.position, damage.file.as_str()), (Position(72 + 3360), segment));
        assert!(report.segments_beyond > 0);
    }
    // Repair from a peer: the same bytes again. The claim stands until the log has reached it.
    let mut log = open(place, &fsync());
    log.append(&[&bytes[72 + 3360..72 + 6720]]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.end.position, Position(72 + 6720));
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
    log.append(&[&bytes[72 + 6720..]]).unwrap();
    drop(log.close().unwrap());
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.hard_state.claim, None);
    assert!(read_all(&mut log) == bytes);
}

fn a_lost_last_batch_is_doubtful<P: Place>(place: &P) {
    let (log, bytes) = filled(place, &fsync(), 10);
    let end = LogEnd { term: Term(1), position: log.end() };
    drop(log);
    // The watermark on the disk says what was synced before the last batch.
    damage(place, "00000000000000000000.segment", 4096 + 72 + 336 * 8 + 50, b"!");
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Doubtful);
    assert_eq!(recovered.end.position, Position(72 + 336 * 8));
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: false, membership: false }));
    // Peers say that it was not committed: the claim goes when the core says so, and the log goes on.
    log.cut(log.end()).unwrap();
    log.save_hard_state(&HardState { term: Term(2), vote: None, claim: None }).unwrap();
    let next = new_term(log.end(), Term(1), Term(2));
    log.append(&[&next]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.hard_state.claim, None);
    assert!(read_all(&mut log) == [&bytes[..72 + 336 * 8], &next].concat());
}

#[test]
fn one_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::open(directory.path()).unwrap();
    assert!(matches!(FileDisk::open(directory.path()), Err(DiskError::Locked { .. })));
    drop(disk);
    FileDisk::open(directory.path()).unwrap();
}

#[test]
fn names_stay_inside_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::open(&directory.path().join("new/deep")).unwrap();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "lock", "A", "a\0b", ".hidden", &"a".repeat(65)]
    {
        let refused = Some(DiskError::InvalidName { name: name.to_owned() });
        assert_eq!(disk.create(name, 1).err(), refused);
        assert_eq!(disk.open(name).err(), refused);
        assert_eq!(disk.remove(name).err(), refused);
        assert_eq!(disk.rename(name, "b").err(), refused);
    }
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn finished_syncs_wake_the_owner() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let wake = move || sender.send(()).unwrap();
    let mut disk = FileDisk::open_with_wake(directory.path(), wake).unwrap();
    let file = disk.create("one", 100).unwrap();
    for _ in 0..3 {
        let id = disk.start_sync(std::slice::from_ref(&file), true).unwrap();
        receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(disk.finished_sync().unwrap(), Some(id));
    }
}
