//! What the log must keep, ticks, and disks that have no room.
//!
//! In: requests at a lone leader and at one of three. Checked: who holds a trim back and from where, bounds of holds, that a full disk stops what
//! fills it and nothing else, and that a silent log ticks for those who ask.

mod kit;

use kit::desk::{Desk, message, open};
use kit::{Node, at, config};
use sequencer_core::{Holder, Outcome, Refusal, Request};
use sequencer_wire::{
    FrameKind, Frames, PeerMessage, Position, Retention, Service, SnapshotMarker, SnapshotStep, Term,
};

/// A desk whose leader has saved a snapshot at the end of its log, and that position.
fn with_snapshot() -> (Desk, Position) {
    let mut desk = Desk::new();
    desk.open("a");
    for sequence in 1..=10 {
        desk.send(1, 1, sequence);
    }
    desk.node.core.take_snapshot();
    let (end, _) = desk.node.core.ready_snapshot().expect("all of it is committed and durable");
    desk.node.core.note_snapshot(end.position);
    (desk, end.position)
}

#[test]
fn a_snapshot_is_ready_once_it_is_committed_and_dropped_when_it_is_cut() {
    let mut desk = Desk::new();
    desk.open("a");
    desk.ask(Request::Message(message(1, 1, 1)));
    desk.node.core.take_snapshot();
    assert_eq!(desk.node.core.ready_snapshot(), None, "it rests on what is not committed");
    desk.commit();
    let end = desk.node.core.status().end;
    assert_eq!(desk.node.core.ready_snapshot().map(|(of, _)| of), Some(end));
    // A follower's snapshot of what a later leader cuts.
    let mut follower = Node::new(config(2, 3));
    let stored = desk.node.stored.clone();
    let append = |previous, frames| PeerMessage::Append { previous, commit: Position(0), round: 1, frames };
    follower.hear(1, 1, append(kit::end(0, 0), &stored), at(1));
    follower.core.take_snapshot();
    let later = kit::Image::parse(&stored[..72]).new_term(5);
    follower.hear(3, 5, append(kit::end(1, 72), later.from(72)), at(2));
    let all =
        PeerMessage::Append { previous: later.end(), commit: later.end().position, round: 2, frames: &[] };
    follower.hear(3, 5, all, at(3));
    follower.sync(at(3));
    assert_eq!(follower.core.status().commit, later.end().position);
    assert_eq!(follower.core.ready_snapshot(), None);
}

#[test]
fn a_trim_names_who_needs_what_it_would_remove() {
    let (mut desk, saved) = with_snapshot();
    let held = |floor, limit, holder| Err(Refusal::TrimHeld { floor, limit, holder });
    let trim = |floor| Request::Trim { floor };
    let ahead = saved.advanced(8);
    assert_eq!(desk.get(trim(ahead)), held(ahead, saved, Holder::Snapshot));
    let pin = |position, bytes_max| {
        Request::Retain(Retention::Pin { id: 5, position: Position(position), bytes_max })
    };
    desk.get(pin(400, 1 << 30)).expect("there is room for a pin");
    assert_eq!(desk.get(trim(Position(480))), held(Position(480), Position(400), Holder::Pin(5)));
    desk.get(trim(Position(400))).expect("the pin allows it");
    assert_eq!(desk.node.core.trim_floor(), Position(400));
    assert_eq!(desk.get(trim(Position(400))), Ok(Outcome::AlreadyAdmitted { last: 400 }));
    // A pin holds no more than so many bytes behind the end of the log.
    desk.get(pin(400, 200)).expect("it is changed");
    desk.get(trim(Position(480))).expect("the pin's bound has passed it");
    desk.get(Request::Retain(Retention::Unpin { id: 5 })).expect("it is there");
    desk.get(Request::Retain(Retention::Archived { to: Position(500) })).expect("it is committed");
    assert_eq!(desk.get(trim(Position(560))), held(Position(560), Position(500), Holder::Archive));
    desk.get(Request::Retain(Retention::Archived { to: saved })).expect("it is committed");
    let registered = desk.register(7, 1);
    let (limit, holder) = desk.node.core.trim_limit();
    assert_eq!(
        (limit, holder),
        (saved, Holder::Snapshot),
        "the service needs only what follows it, at {registered}"
    );
    let marker = SnapshotMarker { what: SnapshotStep::Verified, position: registered };
    assert_eq!(
        desk.get(Request::Snapshot { service: 7, marker }),
        Ok(Outcome::AlreadyAdmitted { last: registered.0 })
    );
}

#[test]
fn a_full_disk_stops_what_fills_it_and_nothing_else() {
    let (mut desk, _) = with_snapshot();
    desk.node.core.note_space(true);
    let full = Err(Refusal::LogFull);
    assert_eq!(desk.get(Request::Message(message(1, 1, 11))), full);
    assert_eq!(desk.get(Request::Open(open("b"))), full);
    let Ok(Outcome::Repeat { .. }) = desk.get(Request::Message(message(1, 1, 10))) else {
        panic!("a repeat is answered")
    };
    desk.get(Request::Trim { floor: Position(400) }).expect("trimming makes room");
    desk.get(Request::Close { session: 1, epoch: 1 }).expect("closing goes on");
    desk.node.core.note_space(false);
    desk.open("b");
}

#[test]
fn the_log_is_full_when_fewer_than_a_majority_have_room() {
    let mut node = Node::leader(config(1, 3), &kit::Image::default(), at(0));
    let now = at(600);
    node.sync(now);
    let accepted = |low_space| PeerMessage::AppendAccepted {
        matched: Position(72),
        durable: Position(72),
        round: 1,
        low_space,
    };
    node.hear(2, 1, accepted(true), now);
    assert!(node.core.request(&Request::Open(open("a")), now).result.is_ok(), "two of three have room");
    node.hear(3, 1, accepted(true), now);
    assert_eq!(node.core.request(&Request::Open(open("b")), now).result, Err(Refusal::LogFull));
    node.hear(2, 1, accepted(false), now);
    assert!(node.core.request(&Request::Open(open("b")), now).result.is_ok());
}

#[test]
fn a_silent_log_ticks_while_a_service_asks_for_it() {
    let ticks = |desk: &Desk| {
        let frames = Frames::new(&desk.node.stored, Position(0), Term::NONE).flatten();
        frames.filter(|frame| frame.fields.kind == FrameKind::Tick).count()
    };
    let mut desk = Desk::new();
    desk.wait(500);
    assert_eq!(ticks(&desk), 0);
    let service = |tick_ns| {
        let service = Service { version: 1, hold_bytes_max: 0, tick_ns, agree: 1, name: "service" };
        Request::RegisterService { id: 7, service }
    };
    desk.get(service(100_000_000)).expect("it is new");
    desk.wait(1_000);
    let while_asked = ticks(&desk);
    assert!((5..=10).contains(&while_asked), "{while_asked}");
    desk.get(service(0)).expect("it is changed");
    desk.wait(500);
    assert_eq!(ticks(&desk), while_asked);
}
