//! Services: outputs in order and once, agreement, epochs and what ends them, reports.
//!
//! In: requests at a lone leader. Checked: what comes of each, with its facts.

mod kit;

use kit::desk::{Desk, output};
use sequencer_core::{Outcome, Output, OutputEnd, Progress, Refusal, Request};
use sequencer_wire::{Diverged, Divergence, FrameKind, Position};

fn at(outcome: Result<Outcome, Refusal>) -> Position {
    match outcome {
        Ok(Outcome::Admitted { at, .. }) => at,
        other => panic!("{other:?}"),
    }
}

/// A desk with service 7 and one input; returns the position of the input.
fn serving(agree: u16) -> (Desk, Position) {
    let mut desk = Desk::new();
    desk.register(7, agree);
    desk.open("a");
    let input = desk.send(1, 1, 1);
    (desk, input)
}

#[test]
fn outputs_are_admitted_in_order_from_whoever_is_first() {
    let (mut desk, input) = serving(1);
    at(desk.get(Request::Output(output(7, 1, 1, input))));
    let late = Output { replica: 2, ..output(7, 1, 1, input) };
    assert_eq!(desk.get(Request::Output(late)), Ok(Outcome::AlreadyAdmitted { last: 1 }));
    let gap = Refusal::OutputGap { service: 7, epoch: 1, found: 3, expected: 2 };
    assert_eq!(desk.get(Request::Output(output(7, 1, 3, input))), Err(gap));
    let later = desk.send(1, 1, 2);
    at(desk.get(Request::Output(output(7, 1, 2, later))));
    let backward = Refusal::CauseBackward { cause: input, last: later };
    assert_eq!(desk.get(Request::Output(output(7, 1, 3, input))), Err(backward));
    let ahead = Position(1 << 40);
    let committed = desk.node.core.status().commit;
    let refusal = Refusal::NotCommitted { position: ahead, committed };
    assert_eq!(desk.get(Request::Output(output(7, 1, 3, ahead))), Err(refusal));
    let unknown = Refusal::UnknownService { service: 8 };
    assert_eq!(desk.get(Request::Output(output(8, 1, 1, input))), Err(unknown));
}

#[test]
fn where_replicas_must_agree_a_different_one_does_not_count_and_early_ones_wait() {
    let (mut desk, input) = serving(2);
    let from = |k, replica, payload: &'static [u8]| {
        Request::Output(Output { replica, payload, ..output(7, 1, k, input) })
    };
    let voted = |votes| Ok(Outcome::Voted { votes, needed: 2 });
    assert_eq!(desk.get(from(1, 1, b"right")), voted(1));
    assert_eq!(desk.get(from(1, 1, b"right")), voted(1), "a repeat is no second vote");
    assert_eq!(desk.get(from(1, 3, b"wrong")), voted(1));
    // The second output comes before the first is agreed upon, twice; it waits for it.
    assert_eq!(desk.get(from(2, 1, b"next")), voted(1));
    assert_eq!(desk.get(from(2, 2, b"next")), voted(2));
    at(desk.get(from(1, 2, b"right")));
    assert_eq!(desk.node.core.ledger().service(7).map(|service| service.last_k), Some(2));
    assert_eq!(desk.get(from(2, 3, b"next")), Ok(Outcome::AlreadyAdmitted { last: 2 }));
    let far = Refusal::OutputGap { service: 7, epoch: 1, found: 99, expected: 3 };
    assert_eq!(desk.get(from(99, 1, b"far")), Err(far));
}

#[test]
fn a_promotion_divides_the_causes_and_waits_for_the_end() {
    let (mut desk, before) = serving(1);
    let switch = at(desk.get(Request::Promote { service: 7, version: 2, at: Position(0) }));
    let after = desk.send(1, 1, 2);
    let outside =
        Refusal::CauseOutside { service: 7, epoch: 1, cause: after, from: Position(72), until: Some(switch) };
    assert_eq!(desk.get(Request::Output(output(7, 1, 1, after))), Err(outside));
    let closed = Refusal::EpochNotOpen { service: 7, found: 2, current: 1 };
    assert_eq!(desk.get(Request::Output(output(7, 2, 1, after))), Err(closed));
    at(desk.get(Request::Output(output(7, 1, 1, before))));
    let end = |epoch, k, at| Request::OutputEnd(OutputEnd { service: 7, epoch, k, at, replica: 1 });
    assert_eq!(desk.get(end(1, 2, after)), Err(Refusal::NoSwitch { service: 7, epoch: 2 }));
    let gap = Refusal::OutputGap { service: 7, epoch: 1, found: 3, expected: 2 };
    assert_eq!(desk.get(end(1, 3, switch)), Err(gap));
    at(desk.get(end(1, 2, switch)));
    let over = Refusal::EpochOver { service: 7, found: 1, current: 2 };
    assert_eq!(desk.get(end(1, 2, switch)), Err(over));
    let outside = Refusal::CauseOutside { service: 7, epoch: 2, cause: before, from: switch, until: None };
    assert_eq!(desk.get(Request::Output(output(7, 2, 1, before))), Err(outside));
    at(desk.get(Request::Output(output(7, 2, 1, after))));
}

#[test]
fn switches_queue_are_called_off_ahead_of_time_and_go_back() {
    let (mut desk, _) = serving(1);
    let version = |desk: &Desk| desk.node.core.ledger().service(7).map(|service| service.current.version);
    assert_eq!(
        desk.get(Request::Rollback { service: 7, at: Position(0) }),
        Err(Refusal::NothingToRollBack { service: 7 })
    );
    let end = desk.node.core.status().end.position;
    let passed = Refusal::PositionPassed { at: Position(8), end };
    assert_eq!(desk.get(Request::Promote { service: 7, version: 2, at: Position(8) }), Err(passed));
    let far = Position(1 << 20);
    at(desk.get(Request::Promote { service: 7, version: 2, at: far }));
    let pending = Refusal::SwitchPending { service: 7, epoch: 2, at: far };
    assert_eq!(desk.get(Request::Promote { service: 7, version: 3, at: Position(0) }), Err(pending));
    assert_eq!(
        desk.get(Request::Rollback { service: 7, at: Position(0) }),
        Err(pending),
        "it is ahead: cancel it"
    );
    at(desk.get(Request::Cancel { service: 7, epoch: 2 }));
    assert_eq!(
        desk.get(Request::Cancel { service: 7, epoch: 2 }),
        Err(Refusal::NoSwitch { service: 7, epoch: 2 })
    );
    // The epoch that was called off is not used again; a rollback may come before the end.
    let first = at(desk.get(Request::Promote { service: 7, version: 3, at: Position(0) }));
    let second = at(desk.get(Request::Rollback { service: 7, at: Position(0) }));
    let end = |epoch, k, at| Request::OutputEnd(OutputEnd { service: 7, epoch, k, at, replica: 1 });
    at(desk.get(end(1, 1, first)));
    assert_eq!(version(&desk), Some(3));
    at(desk.get(end(3, 1, second)));
    assert_eq!(version(&desk), Some(1));
    assert_eq!(desk.node.core.ledger().service(7).map(|service| service.current.epoch), Some(4));
}

#[test]
fn reports_count_once_and_progress_goes_forward() {
    let (mut desk, input) = serving(1);
    let report = Divergence { replica: 4, what: Diverged::Output, expected: 1, actual: 2 };
    let diverged = Request::Divergence { service: 7, epoch: 1, k: 1, cause: input, report };
    at(desk.get(diverged));
    assert_eq!(desk.get(diverged), Ok(Outcome::AlreadyAdmitted { last: 0 }));
    let progress = |applied| Request::Progress(Progress { service: 7, epoch: 1, applied, k: 0, digest: 5 });
    at(desk.get(progress(input)));
    assert_eq!(desk.get(progress(input)), Ok(Outcome::AlreadyAdmitted { last: input.0 }));
    let committed = desk.node.core.status().commit;
    at(desk.get(progress(committed)));
    assert!(matches!(desk.get(progress(Position(1 << 40))), Err(Refusal::NotCommitted { .. })));
    at(desk.get(Request::Skip { service: 7, position: input }));
    assert_eq!(
        desk.get(Request::Skip { service: 7, position: input }),
        Ok(Outcome::AlreadyAdmitted { last: input.0 })
    );
}

#[test]
fn encoded_requests_are_decoded_and_nonsense_is_named() {
    let (mut desk, _) = serving(1);
    let encoded = |kind, body| Request::Encoded { kind, source_id: 7, epoch: 0, cause: Position(0), body };
    let mut body = [0; 16];
    sequencer_wire::Body::Promote(sequencer_wire::Promote { version: 5, at: Position(0) }).encode(&mut body);
    at(desk.get(encoded(FrameKind::Promote, &body)));
    let malformed = desk.get(encoded(FrameKind::Promote, &body[1..]));
    assert!(matches!(malformed, Err(Refusal::Malformed(_))), "{malformed:?}");
    let reserved = desk.get(encoded(FrameKind::Tick, &[]));
    assert_eq!(reserved, Err(Refusal::ReservedKind { kind: FrameKind::Tick }));
}
