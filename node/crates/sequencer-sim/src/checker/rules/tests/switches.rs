//! Invariant 10: one epoch after another, with the end of the one between them.

use sequencer_wire::{Body, Position, Promote, Rollback};

use super::Script;
use super::script::{caused, of};
use crate::checker::rules::switches::Switches;

const OWN: &str = "10. each cause is answered by its own epoch";
const BEGINS: &str = "10. an epoch begins after the end of the one before";
const ENDS: &str = "10. an epoch ends where the next begins";
const ORDER: &str = "switches come one after another";
const NUMBERS: &str = "epochs of a service rise by one and never come again";
const OUTPUT: Body<'static> = Body::Output(b"output");

fn promote(version: u64, at: Position) -> Body<'static> {
    Body::Promote(Promote { version, at })
}

fn with_service() -> Script {
    let mut script = Script::new();
    script.service(4);
    script
}

#[test]
fn the_end_stands_between_two_epochs() {
    let mut script = with_service();
    let before = script.tick();
    let switch = script.promote(4, 2, 2, Position(0));
    let after = script.tick();
    script.breaks(BEGINS, caused(4, 2, 1, after), OUTPUT);
    script.output(4, 1, 1, before);
    script.breaks(OWN, caused(4, 1, 2, switch), OUTPUT);
    script.breaks(OWN, caused(4, 1, 2, after), OUTPUT);
    script.breaks(ENDS, caused(4, 1, 2, before), Body::OutputEnd);
    script.breaks(ENDS, caused(4, 1, 2, after), Body::OutputEnd);
    script.breaks("8. outputs have no gap and no repeat", caused(4, 1, 3, switch), Body::OutputEnd);
    script.end(4, 1, 2, switch);
    script.breaks(BEGINS, caused(4, 1, 3, before), OUTPUT);
    script.breaks("8. causes never go back", caused(4, 2, 1, before), OUTPUT);
    script.breaks("8. outputs have no gap and no repeat", caused(4, 2, 2, switch), OUTPUT);
    script.output(4, 2, 1, switch);
    script.output(4, 2, 2, after);
}

#[test]
fn no_epoch_ends_without_a_switch() {
    let mut script = with_service();
    let cause = script.tick();
    script.breaks(ENDS, caused(4, 1, 1, cause), Body::OutputEnd);
}

#[test]
fn a_switch_ahead_waits_for_its_position() {
    let mut script = with_service();
    let at = script.at.advanced(400);
    script.promote(4, 2, 2, at);
    assert_eq!(script.rules.service(4).map(|model| model.pending()), Some(vec![(2, at)]));
    let before = script.tick();
    script.output(4, 1, 1, before);
    // The end is an output caused by the switch, so it stands after it.
    script.breaks("8. causes never go back", caused(4, 1, 2, at), Body::OutputEnd);
    while script.at <= at {
        script.tick();
    }
    let after = script.tick();
    script.breaks(OWN, caused(4, 1, 2, after), OUTPUT);
    script.end(4, 1, 2, at);
    assert_eq!(script.rules.service(4).map(|model| model.pending()), Some(vec![]));
    script.output(4, 2, 1, after);
}

#[test]
fn a_rollback_needs_a_version_before() {
    let mut script = with_service();
    let back = Body::Rollback(Rollback { at: Position(0) });
    script.breaks("a rollback needs a version before", of(4, 2), back);
    let switch = script.promote(4, 2, 2, Position(0));
    let back_at = script.rollback(4, 3, Position(0));
    script.end(4, 1, 1, switch);
    script.end(4, 2, 1, back_at);
    let cause = script.tick();
    script.output(4, 3, 1, cause);
}

#[test]
fn a_rollback_brings_the_version_before_the_newest_back() {
    let mut switches = Switches::new(7, Position(8));
    let newest = |switches: &Switches| switches.waiting().last().map(|epoch| epoch.version);
    assert_eq!(switches.promote(2, 9, Position(0), Position(16)), Ok(()));
    assert_eq!(switches.rollback(3, Position(0), Position(24)), Ok(()));
    assert_eq!(newest(&switches), Some(7));
    assert_eq!(switches.rollback(4, Position(0), Position(32)), Ok(()));
    assert_eq!(newest(&switches), Some(9));
    // What was called off is not a version before.
    assert_eq!(switches.promote(5, 11, Position(48), Position(40)), Ok(()));
    assert_eq!(switches.cancel(5, Position(40)), Ok(()));
    assert_eq!(switches.end(Position(16)), Ok(()));
    assert_eq!(switches.rollback(6, Position(0), Position(56)), Ok(()));
    assert_eq!((newest(&switches), switches.current().version), (Some(7), 9));
}

#[test]
fn numbers_of_epochs_are_never_used_again() {
    let mut script = with_service();
    let at = script.at.advanced(4_000);
    script.breaks(NUMBERS, of(4, 1), promote(2, at));
    script.breaks(NUMBERS, of(4, 3), promote(2, at));
    script.promote(4, 2, 2, at);
    script.cancel(4, 2);
    script.breaks(NUMBERS, of(4, 2), promote(2, at));
    script.promote(4, 3, 2, at);
}

#[test]
fn a_switch_is_cancelled_before_its_position() {
    let rule = "a switch is cancelled before its position";
    let mut script = with_service();
    script.breaks(rule, of(4, 2), Body::Cancel);
    // The promote and two ticks lead exactly to it.
    let at = script.at.advanced(64 + 2 * 48);
    script.promote(4, 2, 2, at);
    script.breaks(rule, of(4, 1), Body::Cancel);
    script.breaks(rule, of(4, 3), Body::Cancel);
    script.tick();
    script.tick();
    assert_eq!(script.at, at);
    script.breaks(rule, of(4, 2), Body::Cancel);

    // What is called off in time has no end, and the old epoch goes on.
    let mut script = with_service();
    script.promote(4, 2, 2, script.at.advanced(200));
    script.cancel(4, 2);
    let cause = script.tick();
    for k in 1..10 {
        script.output(4, 1, k, cause);
    }
    let late = script.tick();
    script.output(4, 1, 10, late);
}

#[test]
fn switches_come_one_after_another_and_at_most_four_wait() {
    let mut script = with_service();
    let at = script.at.advanced(4_000);
    script.promote(4, 2, 2, at);
    let back = |at| Body::Rollback(Rollback { at });
    script.breaks(ORDER, of(4, 3), back(Position(0)));
    script.breaks(ORDER, of(4, 3), back(at));
    script.breaks(ORDER, of(4, 3), promote(3, at));
    script.rollback(4, 3, at.advanced(8));
    script.rollback(4, 4, at.advanced(16));
    script.rollback(4, 5, at.advanced(24));
    script.breaks("at most four switches wait", of(4, 6), back(at.advanced(32)));
    while script.at <= at {
        script.tick();
    }
    script.end(4, 1, 1, at);
    script.rollback(4, 6, at.advanced(4_000));
}
