//! Who may become leader, and what an election costs the others.
//!
//! In: messages made up by the test, or a cluster whose mail the test delivers. Checked: roles, terms, votes, and the
//! order of effects. The kit checks on each send that term and vote are saved.

mod kit;

use kit::{Cluster, Image, NEW_TERM_BYTES, Node, TIMEOUT_NS, at, at_ns, config, end, sends};
use sequencer_core::{Effect, Event, HardState, Outgoing, Role};
use sequencer_wire::{ClusterId, Envelope, FrameKind, Frames, LogEnd, NodeId, PeerMessage, Position, Term};

const NO_FRAMES: &[u8] = &[];

fn heartbeat(image: &Image, round: u64) -> PeerMessage<'static> {
    PeerMessage::Append { previous: image.end(), commit: Position(0), round, frames: NO_FRAMES }
}

fn vote_request(last: LogEnd) -> PeerMessage<'static> {
    PeerMessage::VoteRequest { last, transfer: false }
}

/// The one answer among the effects: granted, in which term.
fn answer(effects: &[Effect]) -> Option<(bool, u64)> {
    let answers: Vec<_> = sends(effects)
        .into_iter()
        .filter_map(|(_, term, message)| match message {
            Outgoing::PreVoteResponse { granted } | Outgoing::VoteResponse { granted, .. } => {
                Some((granted, term))
            }
            _ => None,
        })
        .collect();
    assert!(answers.len() <= 1, "more than one answer: {answers:?}");
    answers.first().copied()
}

#[test]
fn a_single_voter_leads_at_its_first_time_out_and_asks_nobody() {
    let mut node = Node::new(config(1, 1));
    assert!(node.step(Event::Tick, at(0)).is_empty(), "nothing is due yet");
    let now = at_ns(node.core.next_deadline_ns());
    let effects = node.step(Event::Tick, now);
    let state = HardState { term: Term(1), vote: Some(NodeId(1)), claim: None };
    assert_eq!(
        effects,
        [
            Effect::RoleChanged { role: Role::PreCandidate, term: Term(0) },
            Effect::SaveHardState(state),
            Effect::RoleChanged { role: Role::Candidate, term: Term(1) },
            Effect::RoleChanged { role: Role::Leader, term: Term(1) },
            Effect::Write { from: Position(0), to: Position(NEW_TERM_BYTES) },
        ]
    );
    assert_eq!(node.sync(now), [Effect::Committed { position: Position(NEW_TERM_BYTES) }]);
}

#[test]
fn pre_votes_move_no_terms_and_save_nothing() {
    let (mut asking, mut asked) = (Node::new(config(1, 3)), Node::new(config(2, 3)));
    for round in 1..=5 {
        let now = at_ns(asking.core.next_deadline_ns());
        let effects = asking.step(Event::Tick, now);
        let request = Outgoing::PreVoteRequest { last: LogEnd::default() };
        assert_eq!(sends(&effects), [(2, 1, request), (3, 1, request)], "the term it would campaign in");
        assert_eq!(asking.core.status().counters.pre_votes, round);

        let request = PeerMessage::PreVoteRequest { last: LogEnd::default() };
        let effects = asked.hear(1, 1, request, now);
        assert_eq!(
            effects,
            [Effect::Send {
                to: NodeId(1),
                term: Term(1),
                message: Outgoing::PreVoteResponse { granted: true }
            }]
        );
    }
    for node in [asking, asked] {
        let status = node.core.status();
        assert_eq!((status.term, status.vote, node.saved), (Term(0), None, HardState::default()));
    }
}

#[test]
fn a_node_that_hears_a_leader_refuses_to_help_another_but_for_a_transfer() {
    let last = end(9, 800);
    let pre_vote = PeerMessage::PreVoteRequest { last };
    let (vote, transfer) = (vote_request(last), PeerMessage::VoteRequest { last, transfer: true });
    // Nanoseconds since the leader was heard, the request in term 2, the answer.
    let table = [
        (0, pre_vote, Some((false, 1))),
        (TIMEOUT_NS - 1, pre_vote, Some((false, 1))),
        (TIMEOUT_NS, pre_vote, Some((true, 2))),
        (0, vote, None),
        (TIMEOUT_NS - 1, vote, None),
        (TIMEOUT_NS, vote, Some((true, 2))),
        (0, transfer, Some((true, 2))),
    ];
    for (elapsed_ns, request, expected) in table {
        let mut node = Node::new(config(2, 3));
        node.hear(1, 1, heartbeat(&Image::default(), 1), at(0));
        let effects = node.hear(3, 2, request, at_ns(elapsed_ns));
        assert_eq!(answer(&effects), expected, "{request:?} after {elapsed_ns} ns");
        let term = if expected == Some((true, 2)) && request != pre_vote { 2 } else { 1 };
        assert_eq!(node.core.status().term, Term(term), "{request:?} after {elapsed_ns} ns");
        assert_eq!(effects.is_empty(), expected.is_none(), "an ignored request has no effect");
    }
}

#[test]
fn a_leader_is_deposed_by_a_transfer_and_by_no_other_request() {
    for transfer in [false, true] {
        let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
        let now = at_ns(node.core.next_deadline_ns());
        let last = end(1, 800);
        assert_eq!(answer(&node.hear(2, 2, PeerMessage::PreVoteRequest { last }, now)), Some((false, 1)));
        let effects = node.hear(2, 2, PeerMessage::VoteRequest { last, transfer }, now);
        let (role, term) = if transfer { (Role::Follower, 2) } else { (Role::Leader, 1) };
        assert_eq!((node.core.status().role, node.core.status().term), (role, Term(term)));
        assert_eq!(answer(&effects), transfer.then_some((true, 2)));
    }
}

#[test]
fn one_vote_a_term_and_it_is_saved_before_the_answer() {
    let mut node = Node::new(config(3, 3));
    let vote = |granted| Outgoing::VoteResponse { granted, wall_ns: at(1).wall_ns };
    let send = |to, granted| Effect::Send { to: NodeId(to), term: Term(4), message: vote(granted) };
    let saved = HardState { term: Term(4), vote: Some(NodeId(1)), claim: None };
    let request = vote_request(LogEnd::default());

    assert_eq!(node.hear(1, 4, request, at(1)), [Effect::SaveHardState(saved), send(1, true)]);
    assert_eq!(node.hear(2, 4, request, at(1)), [send(2, false)]);
    assert_eq!(node.hear(1, 4, request, at(1)), [send(1, true)], "a repeated request gets the same answer");
    node.restart(99, at(1));
    assert_eq!(node.hear(2, 4, request, at(1)), [send(2, false)], "a restart does not forget the vote");
    assert_eq!(answer(&node.hear(2, 3, request, at(1))), Some((false, 4)), "a term that is over");
    assert_eq!(answer(&node.hear(2, 5, request, at(1))), Some((true, 5)), "a new term, a new vote");
}

#[test]
fn a_candidate_votes_for_nobody_else_in_its_term() {
    let mut node = Node::new(config(1, 3));
    let now = at_ns(node.core.next_deadline_ns());
    node.step(Event::Tick, now);
    let effects = node.hear(2, 1, PeerMessage::PreVoteResponse { granted: true }, now);
    assert_eq!(node.core.status().role, Role::Candidate);
    let request = Outgoing::VoteRequest { last: LogEnd::default(), transfer: false };
    assert_eq!(sends(&effects), [(2, 1, request), (3, 1, request)]);
    assert_eq!(answer(&node.hear(3, 1, vote_request(end(7, 8000)), now)), Some((false, 1)));
}

#[test]
fn a_longer_log_wins_over_a_shorter_and_a_newer_term_over_a_longer_log() {
    let (short, long, newer) = (Image::of(&[(1, 1)]), Image::of(&[(1, 4)]), Image::of(&[(1, 1), (2, 0)]));
    assert!(newer.len() < long.len());
    // Candidate, voter, whether it gets the vote.
    let table = [
        (&short, &short, true),
        (&long, &short, true),
        (&short, &long, false),
        (&newer, &long, true),
        (&long, &newer, false),
        (&newer, &newer, true),
    ];
    for (candidate, voter, granted) in table {
        for term in [3, 4] {
            let hard_state = HardState { term: Term(2), ..HardState::default() };
            let mut node = Node::with(config(2, 3), voter, hard_state, at(0));
            let request = PeerMessage::PreVoteRequest { last: candidate.end() };
            let answered = if granted { term } else { 2 };
            assert_eq!(answer(&node.hear(1, term, request, at(0))), Some((granted, answered)));
            let effects = node.hear(1, term, vote_request(candidate.end()), at(0));
            assert_eq!(answer(&effects), Some((granted, term)), "{candidate:?} asks {voter:?}");
            assert_eq!(node.core.status().vote, granted.then_some(NodeId(1)));
        }
    }
}

#[test]
fn a_vote_is_judged_by_what_is_durable() {
    let (image, longer) = (Image::of(&[(1, 1)]), Image::of(&[(1, 3)]));
    for is_durable in [false, true] {
        let hard_state = HardState { term: Term(1), ..HardState::default() };
        let mut node = Node::with(config(2, 3), &image, hard_state, at(0));
        let (previous, frames) = (image.end(), longer.from(image.len()));
        let append = PeerMessage::Append { previous, commit: Position(0), round: 1, frames };
        node.hear(1, 1, append, at(0));
        assert_eq!(node.core.status().end, longer.end());
        if is_durable {
            node.sync(at(0));
        }
        let effects = node.hear(3, 2, vote_request(image.end()), at(400));
        assert_eq!(answer(&effects), Some((!is_durable, 2)));
    }
}

#[test]
fn a_candidate_names_only_its_durable_end() {
    let (image, longer) = (Image::of(&[(1, 1)]), Image::of(&[(1, 3)]));
    let hard_state = HardState { term: Term(1), ..HardState::default() };
    let mut node = Node::with(config(2, 3), &image, hard_state, at(0));
    let (previous, frames) = (image.end(), longer.from(image.len()));
    node.hear(1, 1, PeerMessage::Append { previous, commit: Position(0), round: 1, frames }, at(0));
    let now = at_ns(node.core.next_deadline_ns());
    let effects = node.step(Event::Tick, now);
    let last = image.end();
    assert_eq!(sends(&effects)[0].2, Outgoing::PreVoteRequest { last });
    let effects = node.hear(1, 2, PeerMessage::PreVoteResponse { granted: true }, now);
    assert_eq!(sends(&effects)[0].2, Outgoing::VoteRequest { last, transfer: false });
}

#[test]
fn time_outs_are_drawn_anew_and_lie_within_one_and_two_time_outs() {
    let mut seen = Vec::new();
    for id in [1, 2] {
        let mut node = Node::new(config(id, 3));
        let (mut waits, mut before) = (Vec::new(), 0);
        for _ in 0..100 {
            let due = node.core.next_deadline_ns();
            waits.push(due - before);
            before = due;
            node.step(Event::Tick, at_ns(due));
        }
        assert!(waits.iter().all(|wait| (TIMEOUT_NS..2 * TIMEOUT_NS).contains(wait)), "{waits:?}");
        assert!(waits.windows(2).all(|pair| pair[0] != pair[1]), "a wait is not drawn anew: {waits:?}");
        let spread = waits.iter().max().zip(waits.iter().min()).map(|(most, least)| most - least);
        assert!(spread > Some(TIMEOUT_NS / 2), "the waits hardly differ: {waits:?}");
        seen.push(waits);
    }
    assert_ne!(seen[0], seen[1], "two seeds draw the same");
}

#[test]
fn each_append_and_each_vote_given_puts_the_next_campaign_off() {
    let mut node = Node::new(config(2, 3));
    for ms in [100, 200] {
        node.hear(1, 1, heartbeat(&Image::default(), ms), at(ms));
        assert!(node.core.next_deadline_ns() >= at(ms).monotonic_ns + TIMEOUT_NS);
    }
    let effects = node.hear(3, 2, vote_request(LogEnd::default()), at(550));
    assert_eq!(answer(&effects), Some((true, 2)));
    assert!(node.core.next_deadline_ns() >= at(550).monotonic_ns + TIMEOUT_NS);
}

#[test]
fn a_partitioned_node_does_not_raise_terms_when_it_returns() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let term = cluster.status(1).term;
    cluster.isolate(&[3]);
    // Its tenth campaign is the first that the others hear, before it hears the leader.
    while cluster.status(3).counters.pre_votes < 10 {
        cluster.heartbeat(1);
        cluster.settle();
        if cluster.now.monotonic_ns >= cluster.node(3).core.next_deadline_ns() {
            if cluster.status(3).counters.pre_votes == 9 {
                cluster.heal();
            }
            cluster.tick(3);
            cluster.settle();
            assert_eq!(cluster.status(3).term, term);
        }
    }
    cluster.heartbeat(1);
    cluster.settle();
    for id in 1..=3 {
        let status = cluster.status(id);
        assert_eq!((status.term, status.leader), (term, Some(NodeId(1))));
    }
    assert_eq!(cluster.status(1).counters.elections_won, 1);
}

#[test]
fn a_candidate_left_behind_learns_the_term_from_a_refusal() {
    let mut node = Node::new(config(1, 3));
    let now = at_ns(node.core.next_deadline_ns());
    node.step(Event::Tick, now);
    let effects = node.hear(2, 8, PeerMessage::PreVoteResponse { granted: false }, now);
    let saved = HardState { term: Term(8), vote: None, claim: None };
    assert!(effects.contains(&Effect::SaveHardState(saved)));
    assert_eq!((node.core.status().role, node.core.status().term), (Role::Follower, Term(8)));
    let effects = node.step(Event::Tick, at_ns(node.core.next_deadline_ns()));
    assert_eq!(sends(&effects)[0].1, 9);
}

#[test]
fn grants_count_only_for_the_campaign_they_answer() {
    let granted = |term| (term, PeerMessage::VoteResponse { granted: true, wall_ns: 0 });
    let pre_granted = |term| (term, PeerMessage::PreVoteResponse { granted: true });
    let mut node = Node::new(config(1, 5));
    let now = at_ns(node.core.next_deadline_ns());
    node.step(Event::Tick, now);
    // Of a majority of three, the node is one. The same answer twice, or for another term, makes no majority.
    for (peer, (term, message)) in
        [(2, pre_granted(1)), (2, pre_granted(1)), (3, pre_granted(2)), (4, granted(0))]
    {
        node.hear(peer, term, message, now);
        assert_eq!(node.core.status().role, Role::PreCandidate, "{message:?} of {peer}");
    }
    node.hear(3, 1, pre_granted(1).1, now);
    assert_eq!((node.core.status().role, node.core.status().term), (Role::Candidate, Term(1)));
    for (peer, (term, message)) in
        [(2, granted(1)), (2, granted(1)), (3, granted(0)), (4, pre_granted(2)), (5, pre_granted(1))]
    {
        node.hear(peer, term, message, now);
        assert_eq!(node.core.status().role, Role::Candidate, "{message:?} of {peer}");
    }
    node.hear(5, 1, granted(1).1, now);
    assert_eq!(node.core.status().role, Role::Leader);
}

#[test]
fn a_candidate_follows_the_leader_of_its_term() {
    let mut node = Node::new(config(1, 3));
    let now = at_ns(node.core.next_deadline_ns());
    node.step(Event::Tick, now);
    node.hear(2, 1, PeerMessage::PreVoteResponse { granted: true }, now);
    assert_eq!(node.core.status().role, Role::Candidate);
    node.hear(3, 1, heartbeat(&Image::default(), 1), now);
    let status = node.core.status();
    assert_eq!((status.role, status.leader, status.vote), (Role::Follower, Some(NodeId(3)), Some(NodeId(1))));
}

#[test]
#[should_panic(expected = "both lead term 1")]
fn two_leaders_in_one_term_stop_the_node() {
    let mut node = Node::new(config(1, 3));
    node.hear(2, 1, heartbeat(&Image::default(), 1), at(0));
    node.hear(3, 1, heartbeat(&Image::default(), 1), at(0));
}

#[test]
fn a_new_leader_begins_its_term_with_a_frame_that_names_it() {
    let image = Image::of(&[(2, 1), (5, 2)]);
    let mut node = Node::leader(config(1, 3), &image, at(0));
    node.sync(at(700));
    let frames: Vec<_> = Frames::new(&node.stored, Position(0), Term::NONE).flatten().collect();
    let first = frames.last().expect("there are frames");
    let new_term = first.new_term().expect("the last frame begins a term");
    assert_eq!((first.at, first.fields.kind), (Position(image.len()), FrameKind::NewTerm));
    assert_eq!((new_term.term, new_term.previous, new_term.leader), (Term(6), Term(5), NodeId(1)));
}

#[test]
fn a_leader_that_hears_no_majority_steps_down_within_a_time_out() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    let heard = cluster.now.monotonic_ns;
    // One follower of the two that are needed still answers.
    cluster.isolate(&[1, 2]);
    let mut lasted = 0;
    while cluster.status(1).role == Role::Leader {
        cluster.heartbeat(1);
        cluster.settle();
        lasted = cluster.now.monotonic_ns - heard;
        assert!(lasted <= 2 * TIMEOUT_NS, "it still leads");
    }
    assert!((TIMEOUT_NS..=TIMEOUT_NS + kit::HEARTBEAT_NS).contains(&lasted), "it led for {lasted} ns");
    assert_eq!((cluster.status(1).leader, cluster.status(1).counters.quorum_lost), (None, 1));
    // The two that were cut off cannot lead; the three others can, and then all follow.
    cluster.elect(4);
    cluster.heal();
    cluster.heartbeat(4);
    cluster.settle();
    assert!((1..=5).all(|id| cluster.status(id).leader == Some(NodeId(4))));
}

#[test]
fn two_candidates_that_collide_do_not_collide_for_ever() {
    let mut cluster = Cluster::new(4);
    // 1 gets the vote of 3 and 2 that of 4: nobody wins this term.
    for id in [1, 2] {
        let due = cluster.node(id).core.next_deadline_ns();
        cluster.now = at_ns(due.max(cluster.now.monotonic_ns));
        cluster.tick(id);
    }
    cluster.deliver_round();
    cluster.deliver_round();
    assert!([1, 2].iter().all(|id| cluster.status(*id).role == Role::Candidate));
    let ours = cluster.take(|mail| matches!((mail.from, mail.to), (1, 3) | (2, 4)));
    cluster.take(|_| true);
    cluster.deliver(&ours);
    cluster.deliver_all();
    assert!([1, 2].iter().all(|id| cluster.status(*id).role == Role::Candidate));
    // From here every member ticks when it is due.
    for _ in 0..40 {
        let next = (1..=4).min_by_key(|id| cluster.node(*id).core.next_deadline_ns()).expect("four members");
        cluster.tick_when_due(next);
        cluster.settle();
    }
    let leaders = (1..=4).filter(|id| cluster.status(*id).role == Role::Leader).count();
    assert_eq!(leaders, 1);
}

#[test]
fn a_node_starts_in_the_last_term_of_its_log_without_a_vote_of_an_older_one() {
    let image = Image::of(&[(1, 1), (6, 1)]);
    let old = HardState { term: Term(4), vote: Some(NodeId(3)), claim: None };
    let node = Node::with(config(1, 3), &image, old, at(0));
    assert_eq!((node.core.status().term, node.core.status().vote), (Term(6), None));
    let same = HardState { term: Term(6), ..old };
    let node = Node::with(config(1, 3), &image, same, at(0));
    assert_eq!((node.core.status().term, node.core.status().vote), (Term(6), Some(NodeId(3))));
}

#[test]
fn messages_from_outside_the_cluster_are_dropped_and_counted() {
    let good = Envelope { cluster: kit::CLUSTER, from: NodeId(2), to: NodeId(1), term: Term(9) };
    let table = [
        Envelope { from: NodeId(0), ..good },
        Envelope { from: NodeId(1), ..good },
        Envelope { to: NodeId(3), ..good },
        Envelope { cluster: ClusterId([9; 16]), ..good },
    ];
    let mut node = Node::new(config(1, 3));
    for (count, envelope) in table.into_iter().enumerate() {
        let message = vote_request(end(9, 800));
        assert!(node.step(Event::Receive { envelope, message }, at(0)).is_empty(), "{envelope:?}");
        assert_eq!(node.core.status().counters.dropped_messages, count as u64 + 1);
    }
    assert_eq!(node.core.status().term, Term(0));
}

#[test]
fn the_same_events_give_the_same_effects() {
    let run = || {
        let mut cluster = Cluster::new(3);
        cluster.elect(2);
        cluster.propose(2, 40);
        cluster.settle();
        cluster.crash(2);
        cluster.elect(3);
        let stored: Vec<_> = cluster.nodes.iter().map(|node| node.stored.clone()).collect();
        (stored, cluster.now)
    };
    assert_eq!(run(), run());
}
