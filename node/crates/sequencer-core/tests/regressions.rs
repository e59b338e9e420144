//! Faults that tests, the simulator or a reader found, each by the name of what holds now.

mod kit;

use kit::{Cluster, Image, Node, at, at_ns, commits, config, end};
use sequencer_core::{Claim, Config, Effect, Effects, Event, HardState, Now, Role};
use sequencer_wire::{LogEnd, LogHealth, PeerMessage, Position, Term};

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
    let claim = Some(Claim { end: end(1, 800), damaged: false, membership: false });
    let hard_state = HardState { term: Term(1), vote: None, claim };
    let mut node = Node::with(config(1, 3), &Image::default(), hard_state, at(0));
    for peer in [2, 3] {
        let last = LogEnd::default();
        node.hear(peer, 1, PeerMessage::StatusResponse { nonce: 0, health: LogHealth::Clean, last }, at(0));
    }
    assert_eq!(node.core.status().claim, claim);
}

/// Each receives what the other has sent, the follower first.
fn exchange(leader: &mut Node, follower: &mut Node, now: Now) {
    for mail in std::mem::take(&mut leader.outbox) {
        follower.receive(&mail, now);
    }
    for mail in std::mem::take(&mut follower.outbox) {
        leader.receive(&mail, now);
    }
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
        exchange(&mut leader, &mut follower, now);
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
    exchange(&mut leader, &mut follower, now);
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

/// A leader may still count an acknowledgement that the asker gave before its crash. It does not answer: its log settles the
/// claim, and an answer by its durable end alone would let the claim go too early.
#[test]
fn a_leader_does_not_answer_an_inquiry() {
    let mut leader = Node::leader(config(1, 3), &Image::default(), at(0));
    let status = leader.core.status();
    assert!(status.role == Role::Leader);
    assert_eq!(leader.hear(2, status.term.0 + 1, PeerMessage::StatusRequest { nonce: 9 }, at(1)), []);
    assert_eq!(leader.core.status().role, Role::Leader);
}

/// Only an operator can go on when the copies that could settle a claim are gone; the order names the claim.
#[test]
fn a_claim_is_given_up_only_by_its_own_name() {
    let claim = Claim { end: end(1, 800), damaged: true, membership: false };
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

/// Member 3 answers the inquiry before it has the bytes, the leader after it has lost them; in between they were committed by
/// an acknowledgement that the inquirer sent before its crash.
#[test]
fn a_claim_is_not_lowered_below_what_was_committed_while_the_answers_came_in() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let base = cluster.status(1).commit.0;
    // B reaches member 2 alone, which syncs it. Its acknowledgement is late.
    let end_b = cluster.propose(1, 40);
    cluster.flush(1);
    let to_2 = cluster.take(|mail| mail.to == 2);
    let to_3 = cluster.take(|mail| mail.to == 3);
    cluster.deliver(&to_2);
    cluster.sync(2);
    let late = cluster.take(|mail| mail.from == 2);
    // Member 2 crashes and cannot read B any more; storage claims it.
    let image = Image::parse(&cluster.node(2).stored.clone()[..base as usize]);
    let mut hard_state = cluster.node(2).saved;
    hard_state.claim = Some(Claim { end: end(1, end_b), damaged: false, membership: false });
    let now = cluster.now;
    *cluster.node(2) = Node::with(config(2, 3), &image, hard_state, now);
    // It hears nothing for a time-out, in which the leader is alive: member 3 answers its heartbeats.
    while cluster.node(2).core.next_deadline_ns() > cluster.now.monotonic_ns {
        cluster.heartbeat(1);
        let mail = cluster.take(|mail| mail.to == 3);
        cluster.take(|_| true);
        let mail: Vec<_> = mail.into_iter().filter(|mail| !mail.has_frames()).collect();
        cluster.deliver(&mail);
        // Of the answers only those that say it is there come through.
        let round = cluster.take(|mail| mail.from == 3);
        cluster.take(|_| true);
        for mail in round {
            if let PeerMessage::AppendRejected { round, .. } = mail.message() {
                let (matched, durable) = (Position(base), Position(base));
                let now = cluster.now;
                cluster.node(1).hear(
                    3,
                    1,
                    PeerMessage::AppendAccepted { matched, durable, round, low_space: false },
                    now,
                );
            }
        }
        cluster.take(|_| true);
    }
    assert_eq!(cluster.status(1).role, Role::Leader);
    cluster.tick(2);
    let ask = cluster.take(|mail| matches!(mail.message(), PeerMessage::StatusRequest { .. }));
    let (ask_1, ask_3): (Vec<_>, Vec<_>) = ask.into_iter().partition(|mail| mail.to == 1);
    assert_eq!((ask_1.len(), ask_3.len()), (1, 1));
    cluster.deliver(&ask_3);
    let answers = cluster.take(|mail| mail.from == 3);
    cluster.deliver(&answers);
    // Now B reaches member 3, which syncs it. With the late answer of member 2 that is a majority: B is committed.
    cluster.deliver(&to_3);
    cluster.sync(3);
    cluster.deliver_all();
    cluster.deliver(&late);
    cluster.deliver_all();
    assert_eq!(cluster.status(1).commit.0, end_b, "B is committed");
    // The leader crashes before its own sync has begun, and member 3 is cut off for a while.
    cluster.node(1).stored.truncate(base as usize);
    cluster.crash(1);
    cluster.restart(1);
    cluster.deliver(&ask_1);
    cluster.isolate(&[3]);
    let answers = cluster.take(|mail| mail.from == 1);
    cluster.deliver(&answers);
    let claim = cluster.status(2).claim;
    for _ in 0..12 {
        let next = [1, 2].into_iter().min_by_key(|id| cluster.node(*id).core.next_deadline_ns()).unwrap_or(1);
        cluster.tick_when_due(next);
        cluster.settle();
    }
    let leads = [1, 2].into_iter().find(|id| cluster.status(*id).role == Role::Leader);
    assert_eq!(leads, None, "{claim:?}: {} bytes committed, a leader of a shorter log", end_b);
}

/// An acknowledgement sent what had been admitted since the last flush, before it was handed to storage; the leader could
/// then commit and call readable what its own storage had not been given.
#[test]
fn nothing_is_committed_that_the_leader_has_not_handed_to_storage() {
    let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
    let now = at(600);
    node.sync(now);
    let accepted = |position| PeerMessage::AppendAccepted {
        matched: Position(position),
        durable: Position(position),
        round: 1,
        low_space: false,
    };
    for peer in [2, 3] {
        node.hear(peer, 1, accepted(72), now);
    }
    let admitted = node.core.propose(&kit::message(b""), now).expect("it is ready");
    for peer in [2, 3] {
        node.hear(peer, 1, accepted(72), now);
    }
    let mut committed = Vec::new();
    for peer in [2, 3] {
        committed.extend(commits(&node.hear(peer, 1, accepted(admitted.end.0), now)));
    }
    assert!(committed.iter().all(|position| *position <= node.stored.len() as u64), "{committed:?}");
}
