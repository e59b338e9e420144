//! Faults that tests, the simulator or a reader found, each by the name of what holds now.

mod kit;

use kit::{Image, Node, at, at_ns, config, end, sends};
use sequencer_core::{Claim, Config, Effect, Effects, Event, HardState, Outgoing, Role};
use sequencer_wire::{LogEnd, LogHealth, PeerMessage, Term};

/// Without an upper bound the first deadline overflowed, and the log buffer asked for more memory than there is.
#[test]
fn settings_beyond_all_reason_are_refused() {
    let changes: [fn(&mut Config); 2] =
        [|config| config.election_timeout_ns = u64::MAX, |config| config.blocks = usize::MAX];
    for change in changes {
        let mut config = config(1, 3);
        change(&mut config);
        assert!(config.validate().is_err(), "{config:?}");
    }
}

/// Before the first inquiry answers with nonce 0 counted although nobody had asked.
#[test]
fn answers_that_nobody_asked_for_settle_nothing() {
    let claim = Some(Claim { end: end(1, 800), damaged: false });
    let hard_state = HardState { term: Term(1), vote: None, claim };
    let mut node = Node::with(config(1, 3), &Image::default(), hard_state, at(0));
    for peer in [2, 3] {
        let last = LogEnd::default();
        node.hear(peer, 1, PeerMessage::StatusResponse { nonce: 0, health: LogHealth::Clean, last }, at(0));
    }
    assert_eq!(node.core.status().claim, claim);
}

/// A refusal that finds no common term while a read is under way moves `next` to the start of one of the follower's terms,
/// which may lie within a frame of the leader's log. The next read then asked storage for the middle of a frame.
#[test]
fn the_stored_log_is_read_from_frame_boundaries_only() {
    let common = Image::of(&[(1, 2)]);
    let theirs: Vec<_> = (0..100).map(|index| (3 + 2 * index, 0)).collect();
    let ours = Image::of(&[&[(1, 2)], &[(2, 300)][..]].concat());
    let theirs = Image::of(&[&[(1, 2)], &theirs[..]].concat());
    let settings = Config { inflight_bytes_max: 4096, ..config(1, 2) };
    let hard_state = HardState { term: theirs.end().term, ..HardState::default() };
    let mut leader = Node::with(settings, &ours, hard_state, at(0));
    let mut follower = Node::with(config(2, 2), &theirs, hard_state, at(0));
    leader.win_election();
    leader.sync(at(600));
    leader.holds_reads = true;
    leader.outbox.retain(|mail| matches!(mail.message(), PeerMessage::Append { .. }));
    let boundaries = ours.boundaries();
    // The search for the common point, with a heartbeat wherever nothing is on the way.
    let mut now = at(600);
    while leader.reads.is_empty() {
        if leader.outbox.is_empty() {
            now = at_ns(leader.core.next_deadline_ns());
            leader.step(Event::Tick, now);
        }
        for mail in std::mem::take(&mut leader.outbox) {
            follower.receive(&mail, now);
        }
        for mail in std::mem::take(&mut follower.outbox) {
            leader.receive(&mail, now);
        }
    }
    assert_eq!(leader.reads[0].from.0, common.len());
    // All that the reads bring is lost, and one read is under way when the next heartbeat is refused.
    while leader.reads[0].from.0 < common.len() + 33 * kit::NEW_TERM_BYTES {
        let read = leader.reads.pop().expect("a read is under way");
        leader.answer_read(read, now);
        leader.flush(now);
        leader.outbox.clear();
    }
    now = at_ns(leader.core.next_deadline_ns());
    leader.step(Event::Tick, now);
    for mail in std::mem::take(&mut leader.outbox) {
        follower.receive(&mail, now);
    }
    for mail in std::mem::take(&mut follower.outbox) {
        leader.receive(&mail, now);
    }
    let read = leader.reads.pop().expect("a read is under way");
    leader.answer_read(read, now);
    for read in &leader.reads {
        assert!(boundaries.contains(&read.from.0), "a read from {} is within a frame", read.from);
    }
    // It goes on, and ends with equal logs.
    leader.holds_reads = false;
    for read in std::mem::take(&mut leader.reads) {
        leader.answer_read(read, now);
    }
    for _ in 0..200 {
        for mail in std::mem::take(&mut leader.outbox) {
            follower.receive(&mail, now);
            follower.sync(now);
        }
        for mail in std::mem::take(&mut follower.outbox) {
            leader.receive(&mail, now);
        }
        if leader.outbox.is_empty() {
            now = at_ns(leader.core.next_deadline_ns());
            leader.step(Event::Tick, now);
        }
    }
    assert!(follower.stored == leader.stored);
}

/// A doubtful node asks what others hold. A leader whose own disk is slow may still count the acknowledgement that the node
/// gave before its crash; had it answered with its durable end only, the claim would have been dropped and the bytes, once
/// committed, could have been lost with the leader.
#[test]
fn a_leader_answers_an_inquiry_with_all_that_it_may_still_commit() {
    let mut leader = Node::leader(config(1, 3), &Image::default(), at(0));
    let status = leader.core.status();
    assert!(status.role == Role::Leader);
    assert!(status.durable < status.end);
    let effects = leader.hear(2, status.term.0, PeerMessage::StatusRequest { nonce: 9 }, at(1));
    let answer = Outgoing::StatusResponse { nonce: 9, health: LogHealth::Clean, last: status.end };
    assert_eq!(sends(&effects), [(2, status.term.0, answer)]);
}

/// Only an operator can go on when the copies that could settle a claim are gone; the order names the claim.
#[test]
fn a_claim_is_given_up_only_by_its_own_name() {
    let claim = Claim { end: end(1, 800), damaged: true };
    let hard_state = HardState { term: Term(1), vote: None, claim: Some(claim) };
    let mut node = Node::with(config(1, 3), &Image::default(), hard_state, at(0));
    let mut effects = Effects::new();
    let refused = node.core.give_up_claim(end(1, 808), &mut effects).expect_err("that is another claim");
    assert_eq!((refused.stands, effects.as_slice()), (Some(claim.end), &[][..]));
    node.core.give_up_claim(claim.end, &mut effects).expect("that is the claim");
    assert_eq!(effects.as_slice(), [Effect::SaveHardState(HardState { claim: None, ..hard_state })]);
    assert_eq!(node.core.status().counters.claims_given_up, 1);
    assert!(node.core.give_up_claim(claim.end, &mut effects).is_err());
}

/// A term near the largest number would have used up all that are left, and overflowed with the next campaign.
#[test]
fn a_term_that_no_cluster_reaches_is_not_followed() {
    let mut node = Node::new(config(1, 3));
    let request = PeerMessage::VoteRequest { last: end(u64::MAX, 8), transfer: true };
    node.hear(2, u64::MAX, request, at(0));
    assert_eq!(node.core.status().term, Term(0));
    assert_eq!(node.core.status().counters.dropped_messages, 1);
    node.hear(2, 1 << 40, request, at(0));
    assert_eq!(node.core.status().term, Term(1 << 40));
}
