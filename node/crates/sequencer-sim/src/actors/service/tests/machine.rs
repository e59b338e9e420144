use std::collections::BTreeSet;

use sequencer_wire::Position;

use super::log::{SERVICE, TestLog};
use super::run;
use crate::actors::service::machine::{Machine, is_poison};
use crate::actors::service::outbox::Outbox;
use crate::actors::service::store::Store;
use crate::profile::MS;

/// Number of the output's message and which of its outputs it is.
fn what(payload: &[u8]) -> (u64, u64) {
    let word = |index: usize| {
        let bytes = payload[8 * index..].first_chunk().expect("outputs have four words");
        u64::from_le_bytes(*bytes)
    };
    (word(1), word(2))
}

/// A log that uses everything that changes a machine, and the frame that it passes over.
fn rich_log() -> (TestLog, Position) {
    let mut log = TestLog::new();
    let mut poison = Position(0);
    for number in 90..150 {
        log.pass(3 * MS);
        let at = log.message(number);
        match number {
            97 => poison = at,
            101 => _ = log.promote(2, 2, Position(at.0 + 400)),
            120 => _ = log.promote(3, 3, Position(1 << 30)),
            122 => _ = log.cancel(3),
            130 => _ = log.rollback(4, Position(0)),
            110 | 131 => _ = log.query(SERVICE, 1_000 + number),
            _ => {}
        }
    }
    log.skip(poison);
    (log, poison)
}

#[test]
fn a_machine_goes_on_from_any_snapshot_as_if_nothing_had_been() {
    let (log, poison) = rich_log();
    let (whole, all) = run(&log, &[poison]);
    let skips = BTreeSet::from([poison]);
    let frames: Vec<_> = log.frames().collect();
    let mut machine = Machine::new(SERVICE);
    let mut before = Vec::new();
    for index in 0..frames.len() {
        let mut store = Store::default();
        store.save(1, &machine, &Outbox::default());
        let mut restored = store.newest(1).expect("it was saved").machine;
        let mut after = Vec::new();
        for frame in &frames[index..] {
            assert!(restored.apply(frame, &skips, &mut after));
        }
        assert_eq!(restored, whole, "from frame {index}");
        assert_eq!([before.clone(), after].concat(), all, "from frame {index}");
        assert!(machine.apply(&frames[index], &skips, &mut before));
    }
}

#[test]
fn messages_have_up_to_two_outputs_and_queries_one() {
    let mut log = TestLog::new();
    let causes = [log.message(3), log.message(4), log.message(5), log.query(SERVICE, 8), log.query(2, 9)];
    let (_, emitted) = run(&log, &[]);
    let of = |cause: Position| emitted.iter().filter(|output| output.cause == cause).count();
    assert_eq!(causes.map(of), [0, 1, 2, 1, 0]);
    assert_eq!(what(&emitted[3].payload), (8, 99));
}

#[test]
fn nothing_before_the_registration_is_for_a_service() {
    let log = TestLog::new();
    let mut early = TestLog::new();
    let from = early.end().0 as usize;
    early.message(4);
    let mut machine = Machine::new(SERVICE);
    let mut emitted = Vec::new();
    // The message alone, as it stands in a log whose registration was not read.
    for frame in early.frames().filter(|frame| frame.at.0 as usize >= from) {
        assert!(machine.apply(&frame, &BTreeSet::new(), &mut emitted));
    }
    assert!(emitted.is_empty() && !machine.epochs.is_registered());
    assert!(run(&log, &[]).0.epochs.is_registered());
}

#[test]
fn timers_fire_at_the_first_frame_that_reaches_them_in_order_of_deadline() {
    let mut log = TestLog::new();
    log.message(49);
    log.message(7);
    log.pass(7 * MS - 1);
    let too_early = log.tick();
    log.pass(60 * MS);
    let due = log.message(3);
    let (_, emitted) = run(&log, &[]);
    let fired: Vec<_> = emitted
        .iter()
        .filter(|output| what(&output.payload).1 == 50)
        .map(|it| (it.cause, what(&it.payload).0))
        .collect();
    assert_eq!(fired, [(due, 7), (due, 49)], "nothing fires at {too_early}");
}

#[test]
fn timers_that_are_due_together_fire_in_the_order_in_which_they_were_set() {
    let mut log = TestLog::new();
    log.messages([357, 7]);
    log.pass(7 * MS);
    log.tick();
    let (_, emitted) = run(&log, &[]);
    let fired = emitted.iter().map(|output| what(&output.payload)).filter(|(_, index)| *index == 50);
    assert_eq!(fired.collect::<Vec<_>>(), [(357, 50), (7, 50)]);
}

#[test]
fn a_timer_that_is_due_exactly_fires() {
    let mut log = TestLog::new();
    log.message(7);
    log.pass(7 * MS);
    let due = log.tick();
    let (_, emitted) = run(&log, &[]);
    assert_eq!(emitted.last().map(|output| output.cause), Some(due));
}

#[test]
fn poison_stops_a_machine_until_it_is_passed_over() {
    let mut log = TestLog::new();
    log.message(4);
    let poison = log.message(97);
    log.message(5);
    let mut machine = Machine::new(SERVICE);
    let mut emitted = Vec::new();
    for frame in log.frames().take_while(|frame| frame.at < poison) {
        assert!(machine.apply(&frame, &BTreeSet::new(), &mut emitted));
    }
    let (before, frame) = (machine.clone(), log.frames().find(is_poison).expect("it is there"));
    assert_eq!(frame.at, poison);
    assert!(!machine.apply(&frame, &BTreeSet::new(), &mut emitted));
    assert_eq!(machine, before);
    let (_, emitted) = run(&log, &[poison]);
    assert!(emitted.iter().all(|output| output.cause != poison));
    assert_eq!(emitted.len(), 3);
}

#[test]
fn poison_in_a_query_stops_only_the_service_that_is_asked() {
    let mut log = TestLog::new();
    let other = log.query(2, 97);
    assert!(is_poison(&log.frames().last().expect("it was written")));
    run(&log, &[]);
    let own = log.query(SERVICE, 194);
    let (_, emitted) = run(&log, &[own]);
    assert!(emitted.is_empty(), "neither {other} nor {own} has an answer");
}

#[test]
fn time_goes_on_at_a_frame_that_is_passed_over() {
    let mut log = TestLog::new();
    log.message(7);
    log.pass(10 * MS);
    let poison = log.message(97);
    let (_, emitted) = run(&log, &[poison]);
    assert_eq!(emitted.last().map(|output| output.cause), Some(poison));
}
