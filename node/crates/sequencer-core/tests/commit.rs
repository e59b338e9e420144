//! What is committed, and when who knows of it.
//!
//! In: acknowledgements made up by the test, and clusters whose mail the test delivers. Checked: the commit position
//! against a twin that sorts, the scenario of figure 8 of the Raft paper, and how followers learn the position.

mod kit;

use kit::{Cluster, Image, Mail, NEW_TERM_BYTES, Node, at, commits, config, sends};
use proptest::prelude::*;
use sequencer_core::{Effect, HardState, Outgoing, Role, VOTERS_MAX};
use sequencer_wire::{PeerMessage, Position, Term};

fn accepted(position: u64) -> PeerMessage<'static> {
    PeerMessage::AppendAccepted {
        matched: Position(position),
        durable: Position(position),
        round: 1,
        low_space: false,
    }
}

#[test]
fn the_leader_counts_itself_only_for_what_is_durable_on_its_own_disk() {
    // Acknowledged by members 2 and 3, own disk synced; whether the first frame is committed.
    let table = [
        (false, false, true, false),
        (true, false, false, false),
        (true, false, true, true),
        (true, true, false, true),
        (true, true, true, true),
    ];
    for (second, third, own, is_committed) in table {
        let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
        let now = at(600);
        for (peer, _) in [(2, second), (3, third)].into_iter().filter(|(_, answers)| *answers) {
            node.hear(peer, 1, accepted(NEW_TERM_BYTES), now);
        }
        if own {
            node.sync(now);
        }
        let expected = if is_committed { NEW_TERM_BYTES } else { 0 };
        assert_eq!(node.core.status().commit.0, expected, "{second} {third} {own}");
        assert_eq!(node.core.readable_end().0, expected);
    }
}

#[test]
fn bytes_that_match_and_are_not_durable_do_not_count() {
    let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
    node.sync(at(600));
    for durable in [0, 0, NEW_TERM_BYTES] {
        let (matched, durable) = (Position(NEW_TERM_BYTES), Position(durable));
        let effects = node.hear(
            2,
            1,
            PeerMessage::AppendAccepted { matched, durable, round: 1, low_space: false },
            at(600),
        );
        assert_eq!(commits(&effects).is_empty(), durable.0 == 0);
    }
}

proptest! {
    #![proptest_config(kit::cases(256))]

    /// Invariant: the commit position is the highest that a majority holds durably, once that lies in the own term.
    #[test]
    fn the_commit_position_is_what_a_majority_holds(
        voters in 1..=VOTERS_MAX as u32,
        old in prop::collection::vec(0..4_usize, 0..4),
        events in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        let old: Vec<_> = old.iter().enumerate().map(|(index, count)| (index as u64 + 1, *count)).collect();
        let image = Image::of(&old);
        let term = image.end().term.0 + 1;
        let mut node = Node::leader(config(1, voters), &image, at(0));
        let now = at(700);
        let log = Image::parse(&node.stored);
        let boundaries = log.boundaries();
        let (mut held, mut expected) = (vec![0; voters as usize], 0);
        held[0] = image.len();
        for (voter, position) in events {
            let (voter, position) = (voter.index(voters as usize), *position.get(&boundaries));
            if voter == 0 {
                node.sync_to(position as usize, now);
            } else {
                node.hear(voter as u32 + 1, term, accepted(position), now);
            }
            held[voter] = held[voter].max(position);
            let mut sorted = held.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let by_majority = sorted[voters as usize / 2];
            if by_majority > image.len() {
                expected = by_majority.max(expected);
            }
            prop_assert_eq!(node.core.status().commit.0, expected, "held: {:?}", held);
        }
    }
}

#[test]
fn followers_learn_the_commit_position_without_waiting_for_a_heartbeat() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.settle();
    let started = cluster.now;
    let last = cluster.propose(1, 40);
    cluster.settle();
    assert_eq!(cluster.now, started, "no time has passed");
    for id in 1..=3 {
        assert_eq!((cluster.status(id).commit.0, cluster.node(id).committed), (last, last));
    }
    // And nobody is told twice.
    cluster.flush(1);
    assert!(cluster.take(|_| true).is_empty());
}

#[test]
fn a_follower_commits_no_further_than_it_matches_the_leader() {
    let (image, longer) = (Image::of(&[(1, 2)]), Image::of(&[(1, 6)]));
    let hard_state = HardState { term: Term(1), ..HardState::default() };
    let mut node = Node::with(config(2, 3), &longer, hard_state, at(0));
    let table = [
        (NEW_TERM_BYTES, longer.len(), NEW_TERM_BYTES),
        (image.len(), NEW_TERM_BYTES, NEW_TERM_BYTES),
        (image.len(), longer.len(), image.len()),
        (NEW_TERM_BYTES, longer.len(), image.len()),
    ];
    for (position, commit, expected) in table {
        let previous = longer.end_at(position);
        let append = PeerMessage::Append { previous, commit: Position(commit), round: 1, frames: &[] };
        node.hear(1, 1, append, at(0));
        assert_eq!(node.core.status().commit.0, expected);
        assert_eq!(node.core.readable_end().0, expected);
    }
    // An append that does not match says nothing about the own bytes.
    let previous = kit::end(2, longer.len());
    node.hear(
        1,
        2,
        PeerMessage::Append { previous, commit: Position(longer.len()), round: 2, frames: &[] },
        at(0),
    );
    assert_eq!(node.core.status().commit.0, image.len());
}

/// Figure 8 of the Raft paper up to its panel (c). Members 1, 2 and 3 of five hold bytes of term 1 durably that were never
/// committed; member 1 leads in term 3, whose first frame is durable on member 1 alone. Member 5 is stopped; it holds
/// the first frame of term 2 instead. Returns the end of the bytes of term 1.
fn figure_8() -> (Cluster, u64) {
    let mut cluster = Cluster::new(5);
    // (a) Member 1 leads in term 1, and its last bytes reach member 2 only.
    cluster.elect(1);
    cluster.settle();
    let common = cluster.status(1).commit.0;
    // With the first frame of a term it exceeds a block, so that they travel apart.
    let old_end = cluster.propose(1, 440);
    cluster.flush(1);
    let mail = cluster.take(|mail| mail.to == 2);
    cluster.take(|_| true);
    cluster.deliver(&mail);
    cluster.sync(1);
    cluster.sync(2);
    cluster.deliver_all();
    assert!((1..=5).all(|id| cluster.status(id).commit.0 == common));

    // (b) Member 1 stops. Member 5 wins term 2 with members 3 and 4, and its first frame stays on its own disk.
    cluster.crash(1);
    cluster.isolate(&[2]);
    cluster.campaign(5);
    cluster.take(|_| true);
    cluster.sync(5);
    assert_eq!((cluster.status(5).term.0, cluster.status(5).durable.term.0), (2, 2));

    // (c) Member 5 stops. Member 1 wins term 3 with members 2 and 3, and goes on replicating its bytes of term 1.
    cluster.crash(5);
    cluster.heal();
    cluster.restart(1);
    cluster.isolate(&[4]);
    cluster.campaign(1);
    assert_eq!(cluster.status(1).term.0, 3);
    cluster.sync(1);
    // Member 2 has them already: its answer to an append whose new frame is damaged on the way says so.
    let mut mail = cluster.take(|mail| mail.to == 2 && mail.has_frames());
    assert_eq!(mail.len(), 1);
    mail[0].damage();
    cluster.deliver(&mail);
    // Member 3 refuses, is sent the bytes of term 1, and syncs them; what follows them is lost.
    let mail = cluster.take(|mail| mail.to == 3);
    cluster.deliver(&mail);
    cluster.deliver_round();
    let mail = cluster.take(|mail| mail.to == 3 && mail.has_frames());
    let of_term_1 = mail.iter().filter(|mail| {
        matches!(mail.message(), PeerMessage::Append { previous, .. } if previous.position.0 == common)
    });
    let of_term_1: Vec<_> = of_term_1.cloned().collect();
    assert_eq!(of_term_1.len(), 1);
    cluster.deliver(&of_term_1);
    cluster.sync(3);
    cluster.collect();
    let answers = cluster.take(|mail| mail.to == 1);
    cluster.take(|_| true);
    cluster.deliver(&answers);
    (cluster, old_end)
}

#[test]
fn figure_8_an_older_terms_bytes_are_not_committed_by_count() {
    let (mut cluster, old_end) = figure_8();
    let common = NEW_TERM_BYTES;
    for id in [1, 2, 3] {
        assert!(cluster.status(id).durable.position.0 >= old_end, "member {id} holds them durably");
        // Member 1 has started anew and knows of nothing committed.
        assert_eq!(cluster.status(id).commit.0, if id == 1 { 0 } else { common }, "member {id}");
    }
    assert_eq!(cluster.status(2).durable, kit::end(1, old_end));
    assert_eq!(cluster.status(3).durable, kit::end(1, old_end));

    // (d) Member 1 stops. Member 5 comes back, wins with 2, 3 and 4, and its log replaces those bytes.
    cluster.crash(1);
    cluster.heal();
    cluster.restart(5);
    cluster.elect(5);
    cluster.settle();
    for id in 2..=5 {
        assert_eq!(cluster.status(id).commit, cluster.status(id).end.position);
        assert!(cluster.nodes[id as usize - 1].stored == cluster.nodes[4].stored, "member {id}");
    }
    assert_eq!(cluster.nodes[4].core.terms().starts_at(Term(2)), Some(Position(common)));
    cluster.restart(1);
    cluster.heartbeat(5);
    cluster.settle();
    assert!(cluster.nodes[0].stored == cluster.nodes[4].stored);
}

#[test]
fn figure_8_a_byte_of_the_own_term_commits_all_before_it() {
    let (mut cluster, old_end) = figure_8();
    // (e) The first frame of term 3 reaches members 2 and 3: the bytes of term 1 are committed with it.
    let new_end = cluster.status(1).end.position.0;
    assert_eq!(new_end, old_end + NEW_TERM_BYTES);
    cluster.heartbeat(1);
    cluster.settle();
    assert!([1, 2, 3].iter().all(|id| cluster.status(*id).commit.0 == new_end));
    // Now member 5 cannot win any more, however often it tries.
    cluster.crash(1);
    cluster.heal();
    cluster.restart(5);
    for _ in 0..5 {
        cluster.tick_when_due(5);
        cluster.deliver_all();
        assert_ne!(cluster.status(5).role, Role::Leader);
    }
    cluster.elect(2);
    cluster.settle();
    assert!(cluster.nodes[4].stored == cluster.nodes[1].stored);
}

#[test]
fn a_new_leader_knows_of_no_commit_until_its_own_frame_is_committed() {
    let image = Image::of(&[(1, 5)]);
    let mut node = Node::leader(config(1, 3), &image, at(0));
    let now = at(700);
    node.sync(now);
    // All voters hold all of the older term.
    for peer in [2, 3] {
        assert_eq!(commits(&node.hear(peer, 2, accepted(image.len()), now)), [] as [u64; 0]);
    }
    let end = image.len() + NEW_TERM_BYTES;
    assert_eq!(commits(&node.hear(3, 2, accepted(end), now)), [end]);
}

#[test]
fn a_commit_position_is_told_once_and_rides_on_frames_when_there_are_some() {
    let mut cluster = Cluster::new(2);
    cluster.elect(1);
    cluster.settle();
    cluster.propose(1, 8);
    cluster.flush(1);
    cluster.sync(1);
    cluster.deliver_round();
    cluster.sync(2);
    cluster.deliver_round();
    let commit = cluster.status(1).commit;
    assert_eq!(commit, cluster.status(1).end.position);
    cluster.propose(1, 8);
    let now = cluster.now;
    let effects = cluster.node(1).flush(now);
    let [(2, _, Outgoing::Append { commit: told, from, to, .. })] = sends(&effects)[..] else {
        panic!("one append with frames: {effects:?}");
    };
    assert!(told == commit && from < to);
    let mail = cluster.take(Mail::has_frames);
    let effects = cluster.node(2).receive(&mail[0], now);
    assert!(effects.contains(&Effect::Committed { position: commit }));
}

#[test]
fn a_commit_waits_for_something_to_go_with_as_long_as_it_may() {
    const DELAY_NS: u64 = 2_000_000;
    let mut node = Node::leader(
        sequencer_core::Config { commit_delay_ns: DELAY_NS, ..config(1, 3) },
        &Image::default(),
        at(0),
    );
    node.sync(at(480));
    node.hear(2, 1, accepted(NEW_TERM_BYTES), at(480));
    node.hear(3, 1, accepted(NEW_TERM_BYTES), at(480));
    assert_eq!(node.core.status().commit.0, NEW_TERM_BYTES);
    // Nothing goes at once, and the owner is told when to come again.
    assert_eq!(sends(&node.flush(at(480))), []);
    assert_eq!(node.core.next_deadline_ns(), at(480).monotonic_ns + DELAY_NS);
    assert_eq!(sends(&node.flush(at(481))), []);
    let told = sends(&node.flush(at(482)));
    let commits = |sent: &[(u32, u64, Outgoing)]| {
        sent.iter()
            .map(|(to, _, message)| match message {
                Outgoing::Append { commit, from, to: end, .. } => (*to, commit.0, end.0 - from.0),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(commits(&told), [(2, NEW_TERM_BYTES, 0), (3, NEW_TERM_BYTES, 0)]);
    assert_eq!(sends(&node.flush(at(483))), [], "once");

    // What is sent meanwhile takes it along.
    let admitted = node.core.propose(&kit::message(b"one"), at(483)).unwrap();
    node.flush(at(483));
    let end = admitted.at.0 + sequencer_wire::frame_bytes(3) as u64;
    node.sync(at(483));
    node.hear(2, 1, accepted(end), at(483));
    node.hear(3, 1, accepted(end), at(483));
    assert_eq!(sends(&node.flush(at(483))), []);
    node.core.propose(&kit::message(b"two"), at(484)).unwrap();
    let sent = sends(&node.flush(at(484)));
    assert!(commits(&sent).iter().all(|(_, commit, bytes)| *commit == end && *bytes > 0), "{sent:?}");
    assert_eq!(sends(&node.flush(at(490))), []);
}
