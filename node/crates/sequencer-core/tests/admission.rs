//! What a leader admits, and what it says when it does not.
//!
//! In: proposals at leaders and others. Checked: every refusal with its facts and that it changes nothing, the bound on
//! uncommitted bytes, timestamps, and that the frames written are those that were admitted.

mod kit;

use kit::{Cluster, Image, NEW_TERM_BYTES, Node, WALL_NS, at, config, message};
use proptest::prelude::*;
use sequencer_core::{Admitted, CLOCK_SKEW_NS_MAX, Event, Now, Proposal, Refusal};
use sequencer_wire::{FrameKind, Frames, NodeId, PeerMessage, Position, Term, frame_bytes};

/// A lone voter that admits.
fn ready() -> Node {
    let mut node = Node::new(config(1, 1));
    node.win_election();
    node.sync(at(600));
    node
}

#[test]
fn each_refusal_names_its_facts_and_changes_nothing() {
    let too_large = vec![0; 465];
    let follower = || {
        let mut node = Node::new(config(2, 3));
        let append =
            PeerMessage::Append { previous: kit::end(0, 0), commit: Position(0), round: 1, frames: &[] };
        node.hear(3, 1, append, at(0));
        node
    };
    let transferring = || {
        let mut cluster = Cluster::new(3);
        cluster.elect(1);
        let now = cluster.now;
        cluster.node(1).transfer(3, now).expect("a transfer starts");
        cluster.nodes.swap_remove(0)
    };
    let full = || {
        let mut node = ready();
        while node.core.propose(&message(&[0; 464]), at(600)).is_ok() {}
        node
    };
    let leader = || Node::leader(config(1, 3), &Image::of(&[(4, 1)]), at(0));
    let halted = || {
        let mut node = ready();
        node.step(Event::StorageFailed, at(600));
        node
    };
    let held = 8192 / 512 * 512;
    let reserved = Proposal { kind: FrameKind::NewTerm, ..message(b"") };
    let table: [(Node, Proposal<'_>, Refusal); 8] = [
        (Node::new(config(1, 3)), message(b""), Refusal::NotLeader { leader: None }),
        (follower(), message(b""), Refusal::NotLeader { leader: Some(NodeId(3)) }),
        (halted(), message(b""), Refusal::NotLeader { leader: None }),
        (leader(), message(b""), Refusal::NotReady { term: Term(5) }),
        (transferring(), message(b""), Refusal::HandingOver { target: NodeId(3) }),
        (full(), message(b""), Refusal::Backpressure { uncommitted_bytes: held, limit_bytes: 8192 }),
        (ready(), message(&too_large), Refusal::TooLarge { bytes: 465, limit_bytes: 464 }),
        (ready(), reserved, Refusal::ReservedKind { kind: FrameKind::NewTerm }),
    ];
    for (mut node, proposal, expected) in table {
        let (status, stored) = (node.core.status(), node.stored.clone());
        assert_eq!(node.core.propose(&proposal, at(700)), Err(expected), "{expected}");
        assert_eq!(node.core.status(), status, "{expected}");
        assert!(node.stored == stored);
    }
}

#[test]
fn refusals_are_sentences_with_the_values() {
    let table = [
        (Refusal::NotLeader { leader: Some(NodeId(3)) }, "3"),
        (Refusal::NotReady { term: Term(5) }, "5"),
        (Refusal::HandingOver { target: NodeId(2) }, "2"),
        (Refusal::Backpressure { uncommitted_bytes: 81, limit_bytes: 92 }, "81"),
        (Refusal::TooLarge { bytes: 465, limit_bytes: 464 }, "464"),
        (Refusal::ReservedKind { kind: FrameKind::NewTerm }, "new_term"),
    ];
    for (refusal, value) in table {
        assert!(refusal.to_string().contains(value), "{refusal}");
    }
}

#[test]
fn only_frames_without_rules_can_be_proposed_as_they_are() {
    let mut node = ready();
    for kind in FrameKind::ALL {
        let admitted = node.core.propose(&Proposal { kind, ..message(b"x") }, at(600));
        assert_eq!(admitted.is_ok(), kind == FrameKind::ClusterVersion, "{kind}");
    }
}

#[test]
fn nothing_is_admitted_before_the_own_terms_first_frame_is_committed() {
    let image = Image::of(&[(1, 3)]);
    let mut node = Node::leader(config(1, 3), &image, at(0));
    let now = at(600);
    let end = image.len() + NEW_TERM_BYTES;
    node.sync(now);
    // All of the older term is held by all, and it does not help.
    for (peer, position, is_ready) in [(2, image.len(), false), (3, image.len(), false), (3, end, true)] {
        let position = Position(position);
        node.hear(
            peer,
            2,
            PeerMessage::AppendAccepted { matched: position, durable: position, round: 1, low_space: false },
            now,
        );
        let outcome = node.core.propose(&message(b""), now);
        if is_ready {
            assert_eq!(outcome.map(|admitted| admitted.at), Ok(Position(end)));
        } else {
            assert_eq!(outcome, Err(Refusal::NotReady { term: Term(2) }));
        }
    }
}

#[test]
fn uncommitted_bytes_never_exceed_the_bound_and_a_commit_makes_room() {
    for payload_bytes in [0, 1, 100, 464] {
        let mut cluster = Cluster::new(3);
        cluster.elect(1);
        let limit = cluster.node(1).config.uncommitted_bytes_max;
        let now = cluster.now;
        let payload = vec![0; payload_bytes];
        for _ in 0..3 {
            let commit = cluster.status(1).commit.0;
            let refusal = loop {
                match cluster.node(1).core.propose(&message(&payload), now) {
                    Ok(admitted) => assert!(admitted.end.0 - commit <= limit),
                    Err(refusal) => break refusal,
                }
            };
            let uncommitted_bytes = cluster.status(1).end.position.0 - commit;
            assert_eq!(refusal, Refusal::Backpressure { uncommitted_bytes, limit_bytes: limit });
            assert!(uncommitted_bytes + frame_bytes(payload_bytes) as u64 > limit, "refused too early");
            cluster.settle();
            assert_eq!(cluster.status(1).commit, cluster.status(1).end.position);
        }
    }
}

#[test]
fn the_largest_message_fits_and_is_replicated() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let end = cluster.propose(1, 464);
    cluster.settle();
    assert!((1..=3).all(|id| cluster.status(id).commit.0 == end));
}

proptest! {
    #![proptest_config(kit::cases(64))]

    /// Invariant: what is written decodes to what was admitted, at the position and in the term that were promised.
    #[test]
    fn frames_decode_as_admitted(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..464), any::<[u64; 4]>()), 1..40),
        batch in 1..5_usize,
    ) {
        let mut node = ready();
        let mut promised: Vec<(Admitted, usize)> = Vec::new();
        let proposal = |index: usize| {
            let (payload, [source, sequence, cause, schema]): &(Vec<u8>, [u64; 4]) = &payloads[index];
            Proposal {
                kind: FrameKind::ClusterVersion,
                source_id: *source as u32,
                source_sequence: *sequence,
                cause: Position(*cause),
                schema_id: *schema as u16,
                schema_version: (*schema >> 16) as u16,
                payload,
            }
        };
        for index in 0..payloads.len() {
            let now = at(700 + index as u64);
            promised.push((node.core.propose(&proposal(index), now).expect("there is room"), index));
            if index % batch == 0 {
                node.flush(now);
                node.sync(now);
            }
        }
        node.flush(at(900));
        let frames: Vec<_> = Frames::new(&node.stored, Position(0), Term::NONE).flatten().skip(1).collect();
        prop_assert_eq!(frames.len(), promised.len());
        for (frame, (admitted, index)) in frames.iter().zip(promised) {
            let proposal = proposal(index);
            prop_assert_eq!((frame.at, frame.end(), frame.term), (admitted.at, admitted.end, admitted.term));
            let fields = frame.fields;
            prop_assert_eq!((fields.kind, fields.timestamp_ns), (proposal.kind, admitted.timestamp_ns));
            prop_assert_eq!((fields.source_id, fields.source_sequence), (proposal.source_id, proposal.source_sequence));
            prop_assert_eq!((fields.schema_id, fields.schema_version), (proposal.schema_id, proposal.schema_version));
            prop_assert_eq!((fields.cause, frame.payload), (proposal.cause, proposal.payload));
        }
    }

    /// Invariant: timestamps never go back, whatever the wall clocks do, also from one leader to the next.
    #[test]
    fn timestamps_never_go_back(
        leaders in prop::collection::vec((1..=3_u32, prop::collection::vec((0..1000_u64, any::<u32>()), 1..10)), 1..5),
    ) {
        let mut cluster = Cluster::new(3);
        let mut last = 0;
        let mut current = 0;
        for (leader, steps) in leaders {
            if leader != current {
                cluster.advance_ns(3 * kit::TIMEOUT_NS);
                if current != 0 {
                    cluster.tick(current);
                }
                cluster.elect(leader);
                current = leader;
            }
            for (elapsed_ns, wall_s) in steps {
                cluster.now.monotonic_ns += elapsed_ns;
                let now = Now { wall_ns: u64::from(wall_s) * 1_000_000_000, ..cluster.now };
                let admitted = cluster.node(leader).core.propose(&message(b""), now).expect("it is ready");
                prop_assert!(admitted.timestamp_ns >= last);
                last = admitted.timestamp_ns;
                cluster.now.wall_ns = now.wall_ns;
            }
            cluster.settle();
        }
        for node in &cluster.nodes {
            // Parsing checks the order in the log, new-term frames included.
            prop_assert_eq!(Image::parse(&node.stored).last_timestamp_ns, last);
        }
    }
}

#[test]
fn a_new_leaders_clock_is_bounded_by_its_voters_and_never_below_its_log() {
    let mut image = Image::of(&[(1, 1)]);
    // Wall clocks of leader and voters, last timestamp in the log, the first timestamp, all as seconds after the start.
    let table = [
        (0, 0, 0, 0),
        (5, 5, 0, 5),
        (500, 5, 0, 6),
        (0, 500, 0, 0),
        (500, 80, 80, 81),
        (500, 5, 80, 80),
        (0, 0, 80, 80),
    ];
    for (own, voters, log, expected) in table {
        let seconds = |count: u64| WALL_NS + count * CLOCK_SKEW_NS_MAX;
        image.last_timestamp_ns = if log == 0 { 0 } else { seconds(log) };
        let hard_state = sequencer_core::HardState { term: Term(1), ..Default::default() };
        let mut node = Node::with(config(1, 3), &image, hard_state, at(0));
        let now = Now { monotonic_ns: node.core.next_deadline_ns(), wall_ns: seconds(own) };
        node.step(Event::Tick, now);
        node.hear(2, 2, PeerMessage::PreVoteResponse { granted: true }, now);
        node.hear(2, 2, PeerMessage::VoteResponse { granted: true, wall_ns: seconds(voters) }, now);
        let frames: Vec<_> = Frames::new(&node.stored, Position(0), Term::NONE).flatten().collect();
        let first = frames.last().map(|frame| (frame.term, frame.fields.timestamp_ns));
        assert_eq!(first, Some((Term(2), seconds(expected))), "own {own}, voters {voters}, log {log}");
        let held_back = seconds(own).saturating_sub(seconds(expected));
        assert_eq!(node.core.status().clock_held_back_ns, held_back);
    }
}
