//! Invariants 12 and 13, and who gets a role.

use sequencer_wire::{Body, CloseReason};

use super::script::{TIMEOUT_NS, granted, numbered, of};
use super::{MS, Script};

const GROUP: u32 = 5;
const LONGEST: &str = "a vacant role goes to the session that is open longest";
const RESTS: &str = "13. a role rests for the last holder's time-out";
const HOLDER: &str = "12. only the holder of a role acts";

/// Two gateways, the first of which holds the role.
fn granted_to_the_first() -> Script {
    let mut script = Script::new();
    script.open_in(GROUP, 1, 1, "east");
    script.open_in(GROUP, 2, 1, "west");
    script.grant(GROUP, 1, 1, 1);
    script
}

#[test]
fn a_role_goes_to_the_session_that_is_open_longest() {
    let mut script = Script::new();
    script.open(3, 1, "of no group");
    script.breaks(LONGEST, of(1, 1), granted(GROUP, 1));
    script.open_in(GROUP, 1, 1, "east");
    script.open_in(GROUP, 2, 1, "west");
    script.breaks(LONGEST, of(2, 1), granted(GROUP, 1));
    script.breaks(LONGEST, of(3, 1), granted(GROUP, 1));
    script.breaks(LONGEST, of(1, 1), granted(GROUP, 2));
    // A later open puts it behind the other.
    script.open_in(GROUP, 1, 2, "east");
    script.breaks(LONGEST, of(1, 1), granted(GROUP, 2));
    script.grant(GROUP, 1, 2, 1);
}

#[test]
fn a_role_is_not_given_to_an_idle_session() {
    let mut script = Script::new();
    script.open_in(GROUP, 1, 1, "east");
    script.pass(TIMEOUT_NS).close(1, 1, CloseReason::Expired);
    script.breaks(LONGEST, of(1, 1), granted(GROUP, 1));
}

#[test]
fn a_role_has_one_holder_and_its_epochs_rise_by_one() {
    let mut script = granted_to_the_first();
    script.breaks("12. a role has one holder", of(2, 2), granted(GROUP, 1));
    script.close(1, 1, CloseReason::Closed);
    script.pass(TIMEOUT_NS);
    script.breaks("role epochs rise by one", of(2, 1), granted(GROUP, 1));
    script.breaks("role epochs rise by one", of(2, 3), granted(GROUP, 1));
    script.grant(GROUP, 2, 2, 1);
}

#[test]
fn only_the_holder_acts_and_only_in_its_role_epoch() {
    let mut script = granted_to_the_first();
    let payload = script.number().to_le_bytes();
    script.breaks(HOLDER, numbered(2, 1, 1), Body::Message(&payload));
    script.breaks(HOLDER, numbered(1, 2, 1), Body::Message(&payload));
    script.message(1, 1, 1);
    script.close(1, 1, CloseReason::Revoked);
    script.breaks(HOLDER, numbered(2, 1, 1), Body::Message(&payload));
    script.pass(TIMEOUT_NS).grant(GROUP, 2, 2, 1);
    script.breaks(HOLDER, numbered(2, 1, 1), Body::Message(&payload));
    script.message(2, 2, 1);
}

#[test]
fn nobody_acts_before_the_first_grant() {
    let mut script = Script::new();
    script.open_in(GROUP, 1, 1, "east");
    let payload = script.number().to_le_bytes();
    script.breaks(HOLDER, numbered(1, 1, 1), Body::Message(&payload));
    script.breaks(HOLDER, numbered(1, 0, 1), Body::Message(&payload));
}

#[test]
fn an_open_takes_the_role_away() {
    let mut script = granted_to_the_first();
    script.message(1, 1, 1);
    script.open_in(GROUP, 1, 2, "east");
    let payload = script.number().to_le_bytes();
    script.breaks(HOLDER, numbered(1, 1, 2), Body::Message(&payload));
    script.pass(TIMEOUT_NS - 1).breaks(RESTS, of(2, 2), granted(GROUP, 1));
    script.pass(1).grant(GROUP, 2, 2, 1);
}

#[test]
fn a_role_rests_for_the_last_holders_time_out() {
    for reason in [CloseReason::Closed, CloseReason::Revoked, CloseReason::Expired] {
        let mut script = granted_to_the_first();
        script.pass(TIMEOUT_NS).close(1, 1, reason);
        script.breaks(RESTS, of(2, 2), granted(GROUP, 1));
        script.pass(TIMEOUT_NS - 1).breaks(RESTS, of(2, 2), granted(GROUP, 1));
        script.pass(1).grant(GROUP, 2, 2, 1);
    }
}

#[test]
fn the_rest_begins_anew_with_each_leader() {
    let mut script = granted_to_the_first();
    script.close(1, 1, CloseReason::Closed);
    script.pass(TIMEOUT_NS - MS).lead(3);
    script.pass(MS).breaks(RESTS, of(2, 2), granted(GROUP, 1));
    script.pass(TIMEOUT_NS - MS).grant(GROUP, 2, 2, 1);
}

#[test]
fn only_the_holders_going_makes_a_role_vacant() {
    let mut script = granted_to_the_first();
    script.close(2, 1, CloseReason::Closed);
    script.message(1, 1, 1);
    script.breaks("12. a role has one holder", of(1, 2), granted(GROUP, 1));
}
