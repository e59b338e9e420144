use sequencer_wire::Position;

use super::log::TestLog;
use super::{places, run};

#[test]
fn a_promotion_begins_at_its_own_position_and_the_old_epoch_ends_before_it() {
    let mut log = TestLog::new();
    let before = log.message(4);
    let switch = log.promote(2, 2, Position(0));
    let after = log.message(1);
    let (machine, emitted) = run(&log, &[]);
    assert_eq!(
        places(&emitted),
        [(1, 1, before, 1, false), (1, 2, switch, 1, true), (2, 1, after, 2, false)]
    );
    assert_eq!(emitted[2].payload[..8], 2u64.to_le_bytes(), "outputs begin with the version that answers");
    assert_eq!(machine.current(), Some((2, 1)));
}

#[test]
fn a_promotion_may_lie_ahead() {
    let mut log = TestLog::new();
    let at = Position(log.end().0 + 120);
    log.promote(2, 2, at);
    let causes = [log.message(1), log.message(1), log.message(1)];
    assert!(causes[0] < at && causes[1] == at, "{causes:?} around {at}");
    let (_, emitted) = run(&log, &[]);
    let expected = [
        (1, 1, causes[0], 1, false),
        (1, 2, at, 1, true),
        (2, 1, causes[1], 2, false),
        (2, 2, causes[2], 2, false),
    ];
    assert_eq!(places(&emitted), expected);
}

#[test]
fn a_switch_that_is_called_off_leaves_no_trace_but_its_number() {
    let mut log = TestLog::new();
    log.promote(2, 2, Position(1 << 20));
    let first = log.message(1);
    log.cancel(2);
    let second = log.message(1);
    let switch = log.promote(3, 3, Position(0));
    let third = log.message(1);
    let (_, emitted) = run(&log, &[]);
    let expected =
        [(1, 1, first, 1, false), (1, 2, second, 1, false), (1, 3, switch, 1, true), (3, 1, third, 3, false)];
    assert_eq!(places(&emitted), expected);
}

#[test]
fn a_rollback_returns_to_the_version_before_and_the_next_one_goes_back_again() {
    let mut log = TestLog::new();
    let switches =
        [log.promote(2, 5, Position(0)), log.rollback(3, Position(0)), log.rollback(4, Position(0))];
    let cause = log.message(1);
    let (machine, emitted) = run(&log, &[]);
    let expected = [
        (1, 1, switches[0], 1, true),
        (2, 1, switches[1], 5, true),
        (3, 1, switches[2], 1, true),
        (4, 1, cause, 5, false),
    ];
    assert_eq!(places(&emitted), expected, "epochs without causes have an end too");
    assert_eq!([1, 2, 3, 4].map(|epoch| machine.epochs.version_of(epoch)), [1, 5, 1, 5].map(Some));
}

#[test]
fn there_is_nothing_to_roll_back_to_at_first() {
    let mut log = TestLog::new();
    log.rollback(2, Position(0));
    log.message(1);
    let (machine, _) = run(&log, &[]);
    assert_eq!(machine.current(), Some((1, 1)));
}

#[test]
fn switches_queue_up_while_the_end_of_the_first_is_missing() {
    let mut log = TestLog::new();
    let cause = log.message(1);
    let first = log.promote(2, 2, Position(0));
    let ahead = Position(log.end().0 + 112);
    log.rollback(3, ahead);
    let causes = [log.message(1), log.message(1), log.message(1)];
    let (_, emitted) = run(&log, &[]);
    assert!(causes[0] < ahead && causes[1] == ahead, "{causes:?} around {ahead}");
    let expected = [
        (1, 1, cause, 1, false),
        (1, 2, first, 1, true),
        (2, 1, causes[0], 2, false),
        (2, 2, ahead, 2, true),
        (3, 1, causes[1], 1, false),
        (3, 2, causes[2], 1, false),
    ];
    assert_eq!(places(&emitted), expected);
}

#[test]
fn a_timer_that_is_due_at_a_switch_belongs_to_the_new_epoch() {
    let mut log = TestLog::new();
    log.message(7);
    log.pass(100 * crate::profile::MS);
    let switch = log.promote(2, 2, Position(0));
    let (_, emitted) = run(&log, &[]);
    assert_eq!(places(&emitted)[1..], [(1, 2, switch, 1, true), (2, 1, switch, 2, false)]);
}

#[test]
fn a_version_owes_what_the_log_does_not_hold() {
    let mut log = TestLog::new();
    log.message(5);
    log.promote(2, 2, Position(0));
    log.message(1);
    let (machine, emitted) = run(&log, &[]);
    assert!(machine.epochs.owes(1) && machine.epochs.owes(2) && !machine.epochs.owes(3));
    log.outputs(&emitted[..2]);
    assert!(run(&log, &[]).0.epochs.owes(1), "its end is missing");
    log.outputs(&emitted[2..3]);
    let (machine, _) = run(&log, &[]);
    assert!(!machine.epochs.owes(1) && machine.epochs.owes(2));
}
