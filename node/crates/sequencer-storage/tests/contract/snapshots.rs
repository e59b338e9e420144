//! Snapshots, trims and installations, and what the watermark remembers besides.

use crate::place::*;
use sequencer_storage::SnapshotInfo;

contract!(
    snapshots_come_back,
    a_snapshot_that_is_not_of_the_log_is_refused,
    a_trim_keeps_what_its_snapshot_needs,
    a_trimmed_log_is_cut_and_goes_on,
    a_trimmed_log_lasts_in_memory,
    an_installed_snapshot_is_all_there_is,
    an_installation_within_the_log_replaces_it,
    damage_below_every_snapshot_is_told_with_the_oldest,
    what_was_committed_is_known_again,
    a_doubtful_batch_with_a_change_of_membership_says_so,
    free_space_counts_what_is_prepared,
);

/// The end of the log of [`filled`] after `count` messages.
pub(crate) fn boundary(count: u64) -> LogEnd {
    LogEnd { term: Term(1), position: Position(72 + count * 336) }
}

pub(crate) fn save<D: Disk>(log: &mut Log<D>, count: u64) {
    let end = boundary(count);
    log.save_snapshot(end, &snapshot_bytes(end)).unwrap();
}

pub(crate) fn read_from_start<D: Disk>(log: &mut Log<D>) -> Vec<u8> {
    let (start, mut bytes) = (log.start().0, Vec::new());
    while start + (bytes.len() as u64) < log.end().0 {
        assert!(log.read(Position(start + bytes.len() as u64), 5000, &mut bytes).unwrap() > 0);
    }
    bytes
}

fn snapshots_come_back<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 100);
    assert_eq!((log.snapshot(), log.base_snapshot()), (None, None));
    assert_eq!(log.read_base_snapshot(0, 1, &mut Vec::new()), Err(StorageError::NoSnapshot));
    let info = |count| {
        let end = boundary(count);
        Some(SnapshotInfo { end, bytes: snapshot_bytes(end).len() as u64 })
    };
    for count in [10, 20, 30] {
        save(&mut log, count);
        assert_eq!((log.snapshot(), log.base_snapshot()), (info(count), info(10)));
    }
    let mut read = vec![5];
    let base = snapshot_bytes(boundary(10));
    while log.read_base_snapshot(read.len() as u64 - 1, 100, &mut read).unwrap() > 0 {}
    assert!(read[0] == 5 && read[1..] == base);
    assert_eq!(log.read_base_snapshot(u64::MAX, 100, &mut read), Ok(0));
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.snapshot, Some((boundary(30), snapshot_bytes(boundary(30)))));
    assert_eq!(recovered.committed, boundary(30).position);
    assert_eq!((log.snapshot(), log.base_snapshot()), (info(30), info(10)));
    assert!(read_from_start(&mut log) == bytes);
}

fn a_snapshot_that_is_not_of_the_log_is_refused<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 20);
    save(&mut log, 10);
    let durable = log.durable();
    log.append(&[&messages(log.end(), Term(1), 1, 288, 1)]).unwrap();
    let least = boundary(10).position.advanced(1);
    let other_term = LogEnd { term: Term(2), ..boundary(15) };
    for end in [boundary(5), boundary(10), boundary(21), other_term] {
        let refused = StorageError::SnapshotPosition { position: end.position, least, most: durable };
        assert_eq!(log.save_snapshot(end, b""), Err(refused));
    }
    assert_eq!(log.snapshot().map(|info| info.end), Some(boundary(10)));
    save(&mut log, 20);
}

fn a_trim_keeps_what_its_snapshot_needs<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 200);
    // A segment holds 36 messages. Without a snapshot nothing goes.
    assert_eq!(log.trim(boundary(200).position), Ok(Position::START));
    save(&mut log, 80);
    save(&mut log, 150);
    assert_eq!(log.trim(boundary(79).position), Ok(Position::START));
    let start = boundary(72).position;
    assert_eq!(log.trim(boundary(149).position), Ok(start));
    assert_eq!(log.base_snapshot().map(|info| info.end), Some(boundary(80)));
    assert_eq!(log.trim(boundary(100).position), Ok(start), "once more changes nothing");
    let below = StorageError::BelowStart { from: Position(72), start };
    assert_eq!(log.read(Position(72), 100, &mut Vec::new()), Err(below));
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.start, recovered.end), (start, boundary(200)));
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.scanned_bytes, boundary(200).position.0 - start.0);
    assert_eq!(recovered.terms.term_before(start), Term(1));
    assert_eq!(recovered.terms.iter().map(|entry| entry.start.0).collect::<Vec<_>>(), [start.0 - 8]);
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..]);
    assert_eq!(log.trim(boundary(200).position), Ok(boundary(144).position));
    assert_eq!(log.base_snapshot(), log.snapshot());
}

fn a_trimmed_log_is_cut_and_goes_on<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 150);
    save(&mut log, 72);
    let start = log.trim(boundary(72).position).unwrap();
    assert_eq!(start, boundary(72).position);
    let below = boundary(71).position;
    assert_eq!(log.cut(below), Err(StorageError::BelowStart { from: below, start }));
    log.cut(start).unwrap();
    assert_eq!((log.end(), log.log_end()), (start, boundary(72)));
    drop(log);
    let mut log = open(place, &fsync());
    assert_eq!((log.start(), log.end()), (start, start));
    let more = new_term(start, Term(1), Term(3));
    let rest = messages(start.advanced(72), Term(3), 100, 200, 9);
    log.append(&[&more, &rest]).unwrap();
    log.wait_durable().unwrap();
    bytes.truncate(start.0 as usize);
    bytes.extend([more, rest].concat());
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..]);
    assert_eq!((recovered.terms.term_before(start), recovered.terms.last_term()), (Term(1), Term(3)));
    assert_eq!(recovered.terms.starts_at(Term(3)), Some(start));
}

fn a_trimmed_log_lasts_in_memory<P: Place>(place: &P) {
    let memory = options(Durability::Memory);
    let (mut log, bytes) = filled(place, &memory, 150);
    save(&mut log, 100);
    let start = log.trim(boundary(120).position).unwrap();
    assert_eq!(start, boundary(72).position);
    drop(log);
    let mut log = open(place, &memory);
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..]);
    drop(log.close().unwrap());
    let rebooted = Options { boot_id: OTHER_BOOT, ..memory };
    let mut log = open(place, &rebooted);
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..]);
    drop(log);
    assert_eq!(refusal(place, &options(Durability::Fsync)), StorageError::MemoryLost { node: NODE });
}

fn install_and_check<P: Place>(place: &P, end: LogEnd) {
    let (mut log, _) = filled(place, &fsync(), 150);
    save(&mut log, 20);
    log.append(&[&messages(log.end(), Term(1), 3, 288, 1)]).unwrap();
    assert!(log.start_sync().unwrap());
    log.append(&[&messages(log.end(), Term(1), 3, 288, 2)]).unwrap();
    log.install(end, b"installed").unwrap();
    let info = Some(SnapshotInfo { end, bytes: 9 });
    let check = |log: &Log<P::Disk>| {
        assert_eq!((log.start(), log.log_end(), log.durable()), (end.position, end, end.position));
        assert_eq!((log.snapshot(), log.base_snapshot()), (info, info));
        assert_eq!(log.terms().term_before(end.position), end.term);
    };
    check(&log);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    check(&log);
    assert_eq!((recovered.start, recovered.end, recovered.committed), (end.position, end, end.position));
    assert_eq!(recovered.snapshot, Some((end, b"installed".to_vec())));
    assert_eq!((recovered.report.health, recovered.last_timestamp_ns), (LogHealth::Clean, 0));
    let more = messages(end.position, end.term, 100, 288, 4);
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    assert!(read_from_start(&mut open(place, &fsync())) == more);
}

fn an_installed_snapshot_is_all_there_is<P: Place>(place: &P) {
    install_and_check(place, LogEnd { term: Term(6), position: Position(1 << 20) });
}

fn an_installation_within_the_log_replaces_it<P: Place>(place: &P) {
    // In the middle of a segment; its frames lie below and above.
    install_and_check(place, LogEnd { term: Term(6), ..boundary(100) });
}

fn damage_below_every_snapshot_is_told_with_the_oldest<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 150);
    save(&mut log, 80);
    save(&mut log, 120);
    let start = log.trim(boundary(90).position).unwrap();
    let end = log.log_end();
    drop(log.close().unwrap());
    damage(place, &format!("{:020}.segment", start.0), 4096 + 336 + 90, b"!");
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.report.health, recovered.end), (LogHealth::Damaged, boundary(73)));
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
    let oldest = (boundary(80), snapshot_bytes(boundary(80)));
    assert_eq!(recovered.snapshot, Some(oldest.clone()));
    assert_eq!(recovered.committed, start, "no slot knew of more");
    // The log starts anew from there. The claim stands: what was acknowledged past it is still missing.
    log.install(oldest.0, &oldest.1).unwrap();
    drop(log);
    let (_, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.start, recovered.end), (boundary(80).position, boundary(80)));
    assert_eq!(recovered.snapshot, Some(oldest));
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
}

fn what_was_committed_is_known_again<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 10);
    log.note_commit(boundary(4).position);
    log.note_commit(boundary(3).position);
    // Noting costs no write, so only the next slot says so.
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.committed, Position::START);
    log.note_commit(boundary(4).position);
    log.append(&[&messages(log.end(), Term(1), 1, 288, 1)]).unwrap();
    log.wait_durable().unwrap();
    log.note_commit(boundary(11).position);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.committed, boundary(4).position);
    // Further than the log reaches: then it is the whole log.
    log.note_commit(boundary(50).position);
    log.append(&[&messages(log.end(), Term(1), 1, 288, 1)]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    assert_eq!(Log::open(place.disk(), fsync()).unwrap().1.committed, boundary(12).position);
}

fn a_doubtful_batch_with_a_change_of_membership_says_so<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 5);
    let change = log.end();
    log.append(&[&membership(change, Term(1))]).unwrap();
    log.wait_durable().unwrap();
    let end = log.log_end();
    drop(log);
    damage(place, "00000000000000000000.segment", 4096 + change.0 + 60, b"!");
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.report.health, recovered.end), (LogHealth::Doubtful, boundary(5)));
    let claim = Claim { end, damaged: false, membership: true };
    assert_eq!(recovered.hard_state.claim, Some(claim));
    // It stays with the claim, also when later batches hold no such change.
    log.append(&[&messages(change, Term(1), 1, 8, 1)]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    assert_eq!(Log::open(place.disk(), fsync()).unwrap().1.hard_state.claim, Some(claim));

    // Once it is synced, a torn batch behind it has nothing to do with it.
    let mut log = open(place, &fsync());
    log.save_hard_state(&HardState { claim: None, ..log.hard_state() }).unwrap();
    log.append(&[&membership(log.end(), Term(1))]).unwrap();
    log.wait_durable().unwrap();
    let last = log.end();
    log.append(&[&messages(last, Term(1), 2, 288, 1)]).unwrap();
    log.wait_durable().unwrap();
    let end = log.log_end();
    drop(log);
    damage(place, "00000000000000000000.segment", 4096 + last.0 + 60, b"!");
    let (_, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.report.health, recovered.end.position), (LogHealth::Doubtful, last));
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: false, membership: false }));
}

fn free_space_counts_what_is_prepared<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &Options { reserve_bytes: u64::MAX, ..fsync() }, 5);
    assert!(log.space().unwrap().free_bytes > 0);
    log.maintain().unwrap();
    let space = log.space().unwrap();
    assert!(space.free_bytes >= SEGMENT && space.is_low == (space.free_bytes < u64::MAX));
    drop(log);
    assert!(!open(place, &fsync()).space().unwrap().is_low, "without a reserve space is never low");
}
