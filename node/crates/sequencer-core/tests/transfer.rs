//! Handing leadership over on request.
//!
//! In: a cluster whose mail the test delivers, and made-up orders to campaign. Checked: admission, when the target is told,
//! what refuses a transfer, and that nothing admitted is lost.

mod kit;

use kit::{Cluster, Image, Node, TIMEOUT_NS, at, config, end, message, sends};
use sequencer_core::{Claim, HardState, Outgoing, Refusal, Role, TransferError};
use sequencer_wire::{LogEnd, NodeId, PeerMessage, Position, Term};

fn led_cluster() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.settle();
    cluster
}

fn orders(cluster: &mut Cluster) -> usize {
    cluster.collect();
    let is_order = |mail: &&kit::Mail| matches!(mail.message(), PeerMessage::TimeoutNow { .. });
    cluster.mail.iter().filter(is_order).count()
}

#[test]
fn the_target_leads_without_a_time_out_and_nothing_is_lost() {
    let mut cluster = led_cluster();
    let last = cluster.propose(1, 30);
    let started = cluster.now;
    let now = cluster.now;
    cluster.node(1).transfer(3, now).expect("it starts");
    cluster.settle();
    assert_eq!(cluster.now, started, "no time has passed");
    assert_eq!((cluster.status(3).role, cluster.status(3).term), (Role::Leader, Term(2)));
    assert_eq!((cluster.status(1).role, cluster.status(1).leader), (Role::Follower, Some(NodeId(3))));
    assert!((1..=3).all(|id| cluster.status(id).commit.0 > last));
    assert_eq!(cluster.status(1).counters.transfers, 1);
    assert_eq!(cluster.status(1).counters.transfers_timed_out, 0);
}

#[test]
fn the_target_is_told_once_and_only_when_it_holds_everything_durably() {
    let mut cluster = led_cluster();
    cluster.propose(1, 30);
    let now = cluster.now;
    cluster.node(1).transfer(3, now).expect("it starts");
    // The transfer itself flushed: the bytes are on the way, and the order is not.
    assert_eq!(orders(&mut cluster), 0);
    assert_eq!(cluster.status(1).handing_over_to, None);
    let refusal = Refusal::HandingOver { target: NodeId(3) };
    assert_eq!(cluster.node(1).core.propose(&message(b""), now), Err(refusal));
    // Held by the target in memory, and durably by the others: not yet.
    cluster.deliver_round();
    cluster.sync(1);
    cluster.sync(2);
    cluster.deliver_round();
    cluster.node(3).flush(now);
    let (matched, durable) = (cluster.status(1).end.position, Position(kit::NEW_TERM_BYTES));
    cluster.node(1).hear(
        3,
        1,
        PeerMessage::AppendAccepted { matched, durable, round: 1, low_space: false },
        now,
    );
    assert_eq!(orders(&mut cluster), 0);
    cluster.sync(3);
    cluster.deliver_round();
    assert_eq!(orders(&mut cluster), 1);
    assert_eq!(cluster.status(1).handing_over_to, Some(NodeId(3)));
    let told = cluster.take(|_| true);
    let expected = cluster.status(1).end;
    assert!(told.iter().any(|mail| mail.message() == PeerMessage::TimeoutNow { end: expected }));
    // A further answer tells nobody again.
    cluster.heartbeat(1);
    cluster.deliver_all();
    assert_eq!(orders(&mut cluster), 0);
}

#[test]
fn a_target_that_holds_everything_already_is_told_at_once() {
    let mut cluster = led_cluster();
    let now = cluster.now;
    let expected = cluster.status(1).end;
    let effects = cluster.node(1).transfer(2, now).expect("it starts");
    assert_eq!(sends(&effects), [(2, 1, Outgoing::TimeoutNow { end: expected })]);
}

#[test]
fn admission_resumes_when_the_target_does_not_take_over_in_time() {
    let mut cluster = led_cluster();
    let now = cluster.now;
    cluster.node(1).transfer(3, now).expect("it starts");
    cluster.crash(3);
    let until = now.monotonic_ns + TIMEOUT_NS;
    let end = cluster.status(1).end;
    while cluster.now.monotonic_ns < until {
        let now = cluster.now;
        assert!(cluster.node(1).core.next_deadline_ns() <= until, "it wakes up in time");
        assert!(cluster.node(1).core.propose(&message(b""), now).is_err());
        assert_eq!(cluster.status(1).end, end, "the log does not grow");
        cluster.heartbeat(1);
        cluster.settle();
    }
    assert_eq!(cluster.now.monotonic_ns, until);
    cluster.propose(1, 8);
    let status = cluster.status(1);
    assert_eq!((status.role, status.handing_over_to), (Role::Leader, None));
    assert_eq!((status.counters.transfers, status.counters.transfers_timed_out), (1, 1));
    // And another transfer may start.
    let now = cluster.now;
    cluster.node(1).transfer(2, now).expect("it starts");
    cluster.settle();
    assert_eq!(cluster.status(2).role, Role::Leader);
}

#[test]
fn a_transfer_that_cannot_start_says_why_and_changes_nothing() {
    let mut cluster = led_cluster();
    let now = cluster.now;
    let table = [
        (1, 9, TransferError::NotAVoter { target: NodeId(9) }),
        (1, 1, TransferError::NotAVoter { target: NodeId(1) }),
        (2, 3, TransferError::NotLeader { leader: Some(NodeId(1)) }),
    ];
    for (node, target, expected) in table {
        let before = cluster.status(node);
        assert_eq!(cluster.node(node).transfer(target, now), Err(expected), "{expected}");
        assert_eq!(cluster.status(node), before);
    }
    cluster.node(1).transfer(3, now).expect("it starts");
    let before = cluster.status(1);
    for target in [2, 3] {
        let expected = TransferError::UnderWay { target: NodeId(3) };
        assert_eq!(cluster.node(1).transfer(target, now), Err(expected), "{expected}");
    }
    assert_eq!(cluster.status(1), before);
    let mut lone = Node::new(config(4, 5));
    assert_eq!(lone.transfer(2, now), Err(TransferError::NotLeader { leader: None }));
}

#[test]
fn only_a_follower_that_holds_everything_and_hears_the_order_of_its_leader_campaigns() {
    let image = Image::of(&[(2, 2)]);
    let order = |end: LogEnd| PeerMessage::TimeoutNow { end };
    // Sender, term, order, whether the follower campaigns. Member 1 leads in term 2.
    let table = [
        (1, 2, order(image.end()), true),
        (1, 2, order(image.end_at(72)), true),
        (1, 2, order(end(2, image.len() + 8)), false),
        (1, 2, order(end(3, 8)), false),
        (3, 2, order(image.end()), false),
        (1, 1, order(image.end()), false),
        (1, 3, order(image.end()), false),
    ];
    for (from, term, order, campaigns) in table {
        let hard_state = HardState { term: Term(2), ..HardState::default() };
        let mut node = Node::with(config(2, 3), &image, hard_state, at(0));
        let heartbeat =
            PeerMessage::Append { previous: image.end(), commit: Position(0), round: 1, frames: &[] };
        node.hear(1, 2, heartbeat, at(0));
        let effects = node.hear(from, term, order, at(0));
        let (role, term) = if campaigns { (Role::Candidate, 3) } else { (Role::Follower, 2) };
        assert_eq!((node.core.status().role, node.core.status().term), (role, Term(term)), "{order:?}");
        let request = Outgoing::VoteRequest { last: image.end(), transfer: true };
        let expected = if campaigns { vec![(1, 3, request), (3, 3, request)] } else { vec![] };
        assert_eq!(sends(&effects), expected, "{order:?} from {from}");
    }
}

#[test]
fn a_target_with_bytes_that_are_not_durable_or_with_a_claim_refuses() {
    let (image, longer) = (Image::of(&[(2, 2)]), Image::of(&[(2, 3)]));
    let claim = Claim { end: end(2, 8000), damaged: false, membership: false };
    for claim in [None, Some(claim)] {
        let hard_state = HardState { term: Term(2), vote: None, claim };
        let mut node = Node::with(config(2, 3), &image, hard_state, at(0));
        let (previous, frames) = (image.end(), longer.from(image.len()));
        node.hear(1, 2, PeerMessage::Append { previous, commit: Position(0), round: 1, frames }, at(0));
        let order = PeerMessage::TimeoutNow { end: longer.end() };
        assert!(node.hear(1, 2, order, at(0)).is_empty(), "it is not durable");
        node.sync(at(0));
        node.hear(1, 2, order, at(0));
        let expected = if claim.is_some() { Role::Follower } else { Role::Candidate };
        assert_eq!(node.core.status().role, expected);
    }
}

#[test]
fn an_order_that_comes_late_or_twice_does_no_harm() {
    let mut cluster = led_cluster();
    let now = cluster.now;
    cluster.node(1).transfer(3, now).expect("it starts");
    let order = cluster.take(|mail| matches!(mail.message(), PeerMessage::TimeoutNow { .. }));
    assert_eq!(order.len(), 1);
    // The leader has given up waiting and goes on; then the order arrives.
    while cluster.status(1).counters.transfers_timed_out == 0 {
        cluster.heartbeat(1);
        cluster.settle();
    }
    let last = cluster.propose(1, 64);
    cluster.settle();
    cluster.deliver(&order);
    cluster.deliver(&order);
    cluster.settle();
    cluster.deliver(&order);
    cluster.settle();
    assert_eq!((cluster.status(3).role, cluster.status(3).term), (Role::Leader, Term(2)));
    assert!((1..=3).all(|id| cluster.status(id).commit.0 > last));
    assert!(cluster.nodes.iter().all(|node| node.stored == cluster.nodes[0].stored));
}
