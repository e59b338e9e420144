//! Sessions: sequences, repeats, epochs, ends, and when answers may be told.
//!
//! In: requests at a lone leader. Checked: what comes of each, with its facts; that refusals change nothing; that nothing
//! uncommitted is told.

mod kit;

use kit::desk::{Desk, message, open};
use sequencer_core::{Open, Outcome, Refusal, Request, Telling};
use sequencer_wire::{Position, Schema, SchemaOwner};

#[test]
fn sequences_go_on_over_epochs_and_repeats_name_the_first() {
    let mut desk = Desk::new();
    let (session, epoch) = desk.open("a");
    assert_eq!((session, epoch), (1, 1));
    let first = desk.send(1, 1, 1);
    let second = desk.send(1, 1, 2);
    assert_eq!(desk.get(Request::Message(message(1, 1, 1))), Ok(Outcome::Repeat { first }));
    let again = desk.get(Request::Open(Open { resume: Some(1), ..open("a") }));
    let Ok(Outcome::Opened { session: 1, epoch: 2, last_sequence: 2, is_resumed: true, .. }) = again else {
        panic!("{again:?}");
    };
    let stale = Refusal::StaleEpoch { session: 1, found: 1, current: 2 };
    assert_eq!(desk.get(Request::Message(message(1, 1, 3))), Err(stale));
    assert_eq!(desk.get(Request::Message(message(1, 2, 2))), Ok(Outcome::Repeat { first: second }));
    let gap = Refusal::SequenceGap { session: 1, found: 4, expected: 3 };
    assert_eq!(desk.get(Request::Message(message(1, 2, 4))), Err(gap));
    desk.send(1, 2, 3);
}

#[test]
fn a_repeat_from_before_the_window_is_known_by_its_sequence() {
    let mut desk = Desk::new();
    desk.open("a");
    let places: Vec<Position> = (1..=20).map(|sequence| desk.send(1, 1, sequence)).collect();
    for (index, place) in places.iter().enumerate() {
        let outcome =
            if index < 4 { Outcome::AlreadyAdmitted { last: 20 } } else { Outcome::Repeat { first: *place } };
        assert_eq!(desk.get(Request::Message(message(1, 1, index as u64 + 1))), Ok(outcome));
    }
}

#[test]
fn nothing_that_rests_on_uncommitted_frames_is_told() {
    let mut desk = Desk::new();
    desk.open("a");
    let admitted = desk.ask(Request::Message(message(1, 1, 1)));
    let repeat = desk.ask(Request::Message(message(1, 1, 1)));
    let gap = desk.ask(Request::Message(message(1, 1, 5)));
    let unknown = desk.ask(Request::Message(message(9, 1, 5)));
    let opened = desk.ask(Request::Open(open("b")));
    let answers = [admitted, repeat, gap, unknown, opened];
    assert!(matches!(repeat.result, Ok(Outcome::Repeat { .. })));
    assert!(answers.iter().all(|answer| desk.node.core.telling(answer) == Telling::Wait));
    desk.commit();
    assert!(answers.iter().all(|answer| desk.node.core.telling(answer) == Telling::Now));
}

#[test]
fn answers_are_void_once_the_leader_has_lost_its_place() {
    let mut desk = Desk::new();
    desk.open("a");
    let answer = desk.ask(Request::Message(message(1, 1, 1)));
    desk.node.step(sequencer_core::Event::StorageFailed, kit::at(700));
    assert_eq!(desk.node.core.telling(&answer), Telling::Void);
    let refused = desk.ask(Request::Message(message(1, 1, 2)));
    assert_eq!(refused.result, Err(Refusal::NotLeader { leader: None }));
    assert_eq!(desk.node.core.telling(&refused), Telling::Now);
}

#[test]
fn a_silent_session_becomes_idle_and_is_opened_again_with_all_it_had() {
    let mut desk = Desk::new();
    desk.open("a");
    desk.send(1, 1, 1);
    desk.wait(900);
    assert_eq!(desk.get(Request::KeepAlive { session: 1, epoch: 1 }), Ok(Outcome::Alive));
    desk.wait(900);
    desk.send(1, 1, 2);
    desk.wait(1_300);
    let expired = Refusal::SessionExpired { session: 1 };
    assert_eq!(desk.get(Request::Message(message(1, 1, 3))), Err(expired));
    assert_eq!(desk.get(Request::KeepAlive { session: 1, epoch: 1 }), Err(expired));
    let again = desk.get(Request::Open(open("a")));
    assert!(matches!(again, Ok(Outcome::Opened { session: 1, epoch: 2, last_sequence: 2, .. })), "{again:?}");
}

#[test]
fn room_is_made_by_the_session_that_is_idle_longest_and_by_no_other() {
    let mut desk = Desk::new();
    desk.node = {
        let mut config = kit::config(1, 1);
        config.sessions_max = 2;
        let mut node = kit::Node::new(config);
        node.win_election();
        node.sync(kit::at(600));
        node
    };
    desk.open("a");
    desk.open("b");
    let full = Refusal::TooManySessions { limit: 2 };
    assert_eq!(desk.get(Request::Open(open("c"))), Err(full));
    desk.wait(700);
    desk.get(Request::KeepAlive { session: 2, epoch: 1 }).expect("it is alive");
    desk.wait(600);
    let third = desk.get(Request::Open(open("c")));
    assert!(matches!(third, Ok(Outcome::Opened { session: 3, is_resumed: false, .. })), "{third:?}");
    let gone = Refusal::UnknownSession { session: 1 };
    assert_eq!(desk.get(Request::Message(message(1, 1, 1))), Err(gone));
    let lost = Refusal::SessionLost { found: 1, current: None };
    assert_eq!(desk.get(Request::Open(Open { resume: Some(1), ..open("a") })), Err(lost));
}

#[test]
fn each_refusal_names_its_facts_and_changes_nothing() {
    let mut desk = Desk::new();
    desk.open("a");
    desk.register(7, 1);
    let schema = Schema { id: 5, version: 2, owner: SchemaOwner::Service(7) };
    desk.get(Request::RegisterSchema(schema)).expect("it is new");
    let with_schema = |schema_id, schema_version| {
        Request::Message(sequencer_core::Message { schema_id, schema_version, ..message(1, 1, 1) })
    };
    let long = "x".repeat(65);
    let table = [
        (Request::Message(message(2, 1, 1)), Refusal::UnknownSession { session: 2 }),
        (Request::Close { session: 1, epoch: 9 }, Refusal::StaleEpoch { session: 1, found: 9, current: 1 }),
        (with_schema(5, 1), Refusal::NotOwner { schema: 5, owner: SchemaOwner::Service(7) }),
        (with_schema(5, 3), Refusal::UnknownSchema { schema: 5, version: 3, newest: Some(2) }),
        (with_schema(6, 1), Refusal::UnknownSchema { schema: 6, version: 1, newest: None }),
        (Request::Query { service: 8, message: message(1, 1, 1) }, Refusal::UnknownService { service: 8 }),
        (
            Request::Open(open(&long)),
            Refusal::OutOfRange { field: "name bytes", found: 65, least: 1, most: 64 },
        ),
        (
            Request::Open(Open { class: 2, ..open("a") }),
            Refusal::NameTaken { session: 1, class: 1, group: 0 },
        ),
        (
            Request::Open(Open { timeout_ns: 1, ..open("b") }),
            Refusal::OutOfRange {
                field: "timeout_ns",
                found: 1,
                least: 100_000_000,
                most: 3_600_000_000_000,
            },
        ),
    ];
    for (request, refusal) in table {
        let (digest, end) = (desk.node.core.ledger().digest(), desk.node.core.status().end);
        let before: u64 = desk.node.core.refusals().map(|(_, count)| count).sum();
        assert_eq!(desk.get(request), Err(refusal), "{request:?}");
        assert_eq!((desk.node.core.ledger().digest(), desk.node.core.status().end), (digest, end));
        let after: u64 = desk.node.core.refusals().map(|(_, count)| count).sum();
        assert_eq!(after, before + 1, "{refusal} is counted");
    }
}

#[test]
fn a_role_goes_round_by_frames_and_rests_in_between() {
    let mut desk = Desk::new();
    let gateway = |name| Request::Open(Open { group: 3, timeout_ns: 2_000_000_000, ..open(name) });
    desk.get(gateway("a")).expect("it opens");
    desk.get(gateway("b")).expect("it opens");
    desk.wait(100);
    let group = desk.node.core.ledger().group(3).expect("it has sessions").clone();
    assert_eq!((group.holder, group.epoch), (Some(1), 1));
    desk.send(1, 1, 1);
    let not_active =
        |session, found, current, holder| Refusal::NotActive { session, group: 3, found, current, holder };
    assert_eq!(desk.get(Request::Message(message(2, 1, 1))), Err(not_active(2, 1, 1, Some(1))));
    // Opened again: perhaps a twin still runs, so the role rests.
    desk.get(gateway("a")).expect("it opens");
    assert_eq!(desk.get(Request::Message(message(1, 1, 2))), Err(not_active(1, 1, 1, None)));
    for _ in 0..3 {
        desk.wait(500);
        desk.get(Request::KeepAlive { session: 1, epoch: 2 }).expect("it is alive");
        desk.get(Request::KeepAlive { session: 2, epoch: 1 }).expect("it is alive");
        assert_eq!(desk.node.core.ledger().group(3).expect("it has sessions").holder, None);
    }
    desk.wait(700);
    let group = desk.node.core.ledger().group(3).expect("it has sessions").clone();
    assert_eq!((group.holder, group.epoch), (Some(2), 2), "the one that has been open longest is next");
    desk.send(2, 2, 1);
}

/// Found by simulation: the clock of the next leader was ahead, so the role's rest was over the moment it took over, and two gateways
/// acted at once.
#[test]
fn a_role_rests_from_the_start_of_a_new_leader_too() {
    let mut desk = Desk::new();
    let gateway = Request::Open(Open { group: 3, timeout_ns: 2_000_000_000, ..open("a") });
    desk.get(gateway).expect("it opens");
    desk.wait(100);
    desk.get(gateway).expect("it opens again, and the role is vacant");
    // The wall clock leaps by an hour, and the node leads again in another term.
    let now_ns = kit::at(desk.now_ms).monotonic_ns;
    let ahead =
        |ns: u64| sequencer_core::Now { monotonic_ns: ns, wall_ns: kit::WALL_NS + ns + 3_600_000_000_000 };
    desk.node.restart(5, ahead(now_ns));
    let due_ns = desk.node.core.next_deadline_ns();
    desk.node.step(sequencer_core::Event::Tick, ahead(due_ns));
    desk.node.sync(ahead(due_ns));
    let holder_at = |desk: &mut Desk, from_ns: u64, to_ns: u64| {
        for step in 1..=40 {
            let now = ahead(due_ns + from_ns + (to_ns - from_ns) * step / 40);
            desk.node.step(sequencer_core::Event::Tick, now);
            desk.node.core.request(&Request::KeepAlive { session: 1, epoch: 2 }, now);
            desk.node.flush(now);
            desk.node.sync(now);
        }
        desk.node.core.ledger().group(3).expect("it has a session").holder
    };
    assert_eq!(holder_at(&mut desk, 0, 1_700_000_000), None);
    assert_eq!(holder_at(&mut desk, 1_700_000_000, 2_400_000_000), Some(1));
}
