//! Invariants 4 to 7, and the bound on sessions.

use sequencer_wire::{Body, CloseReason, FrameKind, Query};

use super::script::{TIMEOUT_NS, close, numbered, of, open};
use super::{MS, Script};

fn one_session() -> Script {
    let mut script = Script::new();
    script.open(1, 1, "ann");
    script
}

#[test]
fn sequences_have_no_gap_and_no_repeat() {
    let mut script = one_session();
    script.message(1, 1, 1);
    let rule = "4. sequences have no gap and no repeat";
    let payload = script.number().to_le_bytes();
    script.breaks(rule, numbered(1, 1, 3), Body::Message(&payload));
    script.breaks(rule, numbered(1, 1, 1), Body::Message(&payload));
    // They go on over an idle time and another epoch.
    script.pass(TIMEOUT_NS).close(1, 1, CloseReason::Expired);
    script.open(1, 2, "ann");
    script.breaks(rule, numbered(1, 2, 1), Body::Message(&payload));
    script.message(1, 2, 2);
}

#[test]
fn a_message_stands_once_whoever_sends_it() {
    let mut script = one_session();
    script.open(2, 1, "bob");
    script.message(1, 1, 1);
    let (first, second) = (1_u64.to_le_bytes(), 2_u64.to_le_bytes());
    script.breaks("a message stands once", numbered(2, 1, 1), Body::Message(&first));
    script.breaks("messages have a number", numbered(2, 1, 1), Body::Message(b"short"));
    script.write(numbered(2, 1, 1), Body::Message(&second));
}

#[test]
fn queries_are_messages_to_services_that_exist() {
    let mut script = one_session();
    let request = script.number().to_le_bytes();
    let query = Body::Query(Query { service: 4, request: &request });
    script.breaks("services are registered first", numbered(1, 1, 1), query);
    script.service(4);
    script.breaks("4. sequences have no gap and no repeat", numbered(1, 1, 2), query);
    script.write(numbered(1, 1, 1), query);
}

#[test]
fn messages_bear_the_newest_epoch() {
    let mut script = one_session();
    script.open(1, 2, "ann");
    let payload = script.number().to_le_bytes();
    script.breaks("5. messages bear the newest epoch", numbered(1, 1, 1), Body::Message(&payload));
    script.breaks("5. messages bear the newest epoch", numbered(1, 3, 1), Body::Message(&payload));
    script.breaks("5. messages bear the newest epoch", of(1, 1), close(CloseReason::Closed));
    script.message(1, 2, 1);
}

#[test]
fn epochs_rise_by_one() {
    let script = one_session();
    script.breaks("5. epochs rise by one", of(1, 1), open("ann", 0));
    script.breaks("5. epochs rise by one", of(1, 3), open("ann", 0));
    script.breaks("5. epochs rise by one", of(2, 2), open("bob", 0));
    script.breaks("5. epochs rise by one", of(0, 1), open("bob", 0));
}

#[test]
fn messages_come_from_open_sessions() {
    let mut script = one_session();
    let payload = script.number().to_le_bytes();
    let rule = "messages come from open sessions";
    script.breaks(rule, numbered(2, 1, 1), Body::Message(&payload));
    script.pass(TIMEOUT_NS).close(1, 1, CloseReason::Expired);
    script.breaks(rule, numbered(1, 1, 1), Body::Message(&payload));
    script.open(1, 2, "ann");
    script.close(1, 2, CloseReason::Closed);
    script.breaks(rule, numbered(1, 2, 1), Body::Message(&payload));
}

#[test]
fn a_session_expires_after_its_time_out() {
    let mut script = one_session();
    let rule = "6. a session expires after its time-out";
    script.pass(TIMEOUT_NS - 1).breaks(rule, of(1, 1), close(CloseReason::Expired));
    script.message(1, 1, 1);
    script.pass(TIMEOUT_NS - 1).breaks(rule, of(1, 1), close(CloseReason::Expired));
    script.pass(1).close(1, 1, CloseReason::Expired);
    // It is idle already.
    script.pass(TIMEOUT_NS).breaks(rule, of(1, 1), close(CloseReason::Expired));
}

#[test]
fn a_new_leader_starts_time_outs_anew() {
    let mut script = one_session();
    script.pass(60 * MS).lead(2);
    let rule = "6. a session expires after its time-out";
    script.pass(TIMEOUT_NS - 1).breaks(rule, of(1, 1), close(CloseReason::Expired));
    script.pass(1).close(1, 1, CloseReason::Expired);
}

#[test]
fn ids_are_never_used_again() {
    let mut script = one_session();
    script.close(1, 1, CloseReason::Closed);
    let rule = "7. session ids are never used again";
    script.breaks(rule, of(1, 1), open("ann", 0));
    script.breaks(rule, of(1, 2), open("ann", 0));
    script.open(2, 1, "ann");
}

#[test]
fn a_name_is_one_session() {
    let mut script = one_session();
    script.breaks("one name, one session", of(2, 1), open("ann", 0));
    script.breaks("one name, one session", of(1, 2), open("bob", 0));
    script.breaks("a session keeps its class and its group", of(1, 2), open("ann", 5));
    script.pass(TIMEOUT_NS).close(1, 1, CloseReason::Expired);
    // While it is idle the name is still its own.
    script.breaks("one name, one session", of(2, 1), open("ann", 0));
    script.close(1, 1, CloseReason::Revoked);
    script.open(2, 1, "ann");
}

#[test]
fn sessions_are_bounded() {
    let mut script = one_session();
    script.open(2, 1, "bob");
    script.open(3, 1, "cat");
    script.breaks("sessions are bounded", of(4, 1), open("dan", 0));
    // Idle ones count too, and opening one again needs no room.
    script.pass(TIMEOUT_NS).close(2, 1, CloseReason::Expired);
    script.breaks("sessions are bounded", of(4, 1), open("dan", 0));
    script.open(2, 2, "bob");
}

#[test]
fn the_session_that_is_idle_longest_makes_room() {
    let mut script = one_session();
    script.open(2, 1, "bob");
    script.pass(TIMEOUT_NS).close(2, 1, CloseReason::Expired);
    let no_need = "a session makes room only when there is none";
    script.breaks(no_need, of(2, 1), close(CloseReason::Evicted));
    script.open(3, 1, "cat");
    script.close(1, 1, CloseReason::Expired);
    let rule = "the session that is idle longest makes room";
    script.breaks(rule, of(3, 1), close(CloseReason::Evicted));
    script.breaks(rule, of(1, 1), close(CloseReason::Evicted));
    script.close(2, 1, CloseReason::Evicted);
    script.open(4, 1, "dan");
    // One that was opened again and expires anew is idle from then on.
    script.open(1, 2, "ann");
    script.pass(TIMEOUT_NS).close(3, 1, CloseReason::Expired);
    script.close(1, 2, CloseReason::Expired);
    script.breaks(rule, of(1, 2), close(CloseReason::Evicted));
    script.close(3, 1, CloseReason::Evicted);
}

#[test]
fn only_sessions_are_closed() {
    let mut script = one_session();
    let rule = "only sessions are closed";
    script.breaks(rule, of(2, 1), close(CloseReason::Closed));
    script.close(1, 1, CloseReason::Closed);
    script.breaks(rule, of(1, 1), close(CloseReason::Closed));
}

#[test]
fn bodies_decode() {
    one_session().breaks_bytes("bodies decode", FrameKind::SessionClose, &[9; 8]);
    one_session().breaks_bytes("bodies decode", FrameKind::Tick, &[0; 8]);
}
