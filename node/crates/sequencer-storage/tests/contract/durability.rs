//! What lasts: the hard state, both durability settings, and what damage and torn batches end in.

use crate::place::*;

contract!(
    hard_state_lasts,
    memory_durability_survives_the_process,
    memory_durability_does_not_survive_the_machine,
    a_clean_stop_in_memory_survives_the_machine,
    damage_below_the_watermark_is_claimed,
    a_lost_last_batch_is_doubtful,
);

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
