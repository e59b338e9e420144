//! A disk that fails for good: the leader hands over as well as it can, and the node takes part in nothing any more.
//!
//! In: a storage failure in each role. Checked: who is told to take over, with which log end, and the silence afterwards.

mod kit;

use kit::{Cluster, Image, MESSAGE_BYTES, NEW_TERM_BYTES, Node, at, config, end, message};
use sequencer_core::{Effect, Event, Outgoing, Refusal, Role, TransferError};
use sequencer_wire::{NodeId, PeerMessage, Position, Term, TermStarts};

const HALTED: Effect = Effect::RoleChanged { role: Role::Halted, term: Term(1) };

#[test]
fn a_leader_tells_the_follower_that_is_furthest_ahead_and_halts() {
    let (first, second) = (NEW_TERM_BYTES, NEW_TERM_BYTES + MESSAGE_BYTES);
    // What members 2 and 3 acknowledged as durable, who is told.
    let table = [
        ([first, second], Some((3, second))),
        ([second, first], Some((2, second))),
        ([0, first], Some((3, first))),
        ([first, 0], Some((2, first))),
        ([0, 0], None),
    ];
    for (acknowledged, expected) in table {
        let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
        let now = at(600);
        node.hear(2, 1, accepted(first, acknowledged[0].min(first)), now);
        node.hear(3, 1, accepted(first, acknowledged[1].min(first)), now);
        node.sync(now);
        if node.core.propose(&message(&[0; 8]), now).is_ok() {
            node.flush(now);
            node.hear(2, 1, accepted(second, acknowledged[0]), now);
            node.hear(3, 1, accepted(second, acknowledged[1]), now);
        }
        let effects = node.step(Event::StorageFailed, now);
        let order = expected.map(|(heir, position)| Effect::Send {
            to: NodeId(heir),
            term: Term(1),
            message: Outgoing::TimeoutNow { end: end(1, position) },
        });
        assert_eq!(effects, order.into_iter().chain([HALTED]).collect::<Vec<_>>(), "{acknowledged:?}");
    }
}

fn accepted(matched: u64, durable: u64) -> PeerMessage<'static> {
    PeerMessage::AppendAccepted {
        matched: Position(matched),
        durable: Position(durable),
        round: 1,
        low_space: false,
    }
}

#[test]
fn the_heir_leads_without_a_time_out_and_nothing_committed_is_lost() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let last = cluster.propose(1, 99);
    cluster.settle();
    let (started, now) = (cluster.now, cluster.now);
    cluster.node(1).step(Event::StorageFailed, now);
    cluster.collect();
    cluster.settle();
    assert_eq!(cluster.now, started);
    let leaders: Vec<_> = (1..=3).filter(|id| cluster.status(*id).role == Role::Leader).collect();
    assert_eq!(leaders.len(), 1);
    assert!(cluster.status(leaders[0]).commit.0 > last);
}

#[test]
fn others_halt_in_silence() {
    let follower = || Node::new(config(1, 3));
    let pre_candidate = || {
        let mut node = follower();
        let now = kit::at_ns(node.core.next_deadline_ns());
        node.step(Event::Tick, now);
        node
    };
    let candidate = || {
        let mut node = pre_candidate();
        node.hear(2, 1, PeerMessage::PreVoteResponse { granted: true }, at(600));
        node
    };
    for (mut node, role) in
        [(follower(), Role::Follower), (pre_candidate(), Role::PreCandidate), (candidate(), Role::Candidate)]
    {
        assert_eq!(node.core.status().role, role);
        let term = node.core.status().term;
        let halted = Effect::RoleChanged { role: Role::Halted, term };
        assert_eq!(node.step(Event::StorageFailed, at(600)), [halted]);
    }
}

#[test]
fn a_halted_node_ignores_everything() {
    let image = Image::of(&[(1, 1)]);
    let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
    node.step(Event::StorageFailed, at(600));
    let status = node.core.status();
    assert_eq!((status.role, status.leader), (Role::Halted, None));
    let last = end(9, 8000);
    let messages = [
        PeerMessage::PreVoteRequest { last },
        PeerMessage::PreVoteResponse { granted: true },
        PeerMessage::VoteRequest { last, transfer: true },
        PeerMessage::VoteResponse { granted: true, wall_ns: 0 },
        PeerMessage::Append { previous: end(0, 0), commit: Position(72), round: 9, frames: &image.bytes },
        accepted(NEW_TERM_BYTES, NEW_TERM_BYTES),
        PeerMessage::AppendRejected {
            previous: Position(0),
            end: Position(0),
            round: 9,
            terms: TermStarts::new(),
        },
        PeerMessage::TimeoutNow { end: end(0, 0) },
        PeerMessage::StatusRequest { nonce: 1 },
        PeerMessage::StatusResponse { nonce: 0, health: sequencer_wire::LogHealth::Clean, last },
    ];
    for message in messages {
        for term in [1, 2] {
            assert!(node.hear(2, term, message, at(9000)).is_empty(), "{message:?}");
        }
    }
    let position = Position(NEW_TERM_BYTES);
    let read = Event::LogRead { peer: NodeId(2), id: 0, from: Position(0), frames: &image.bytes };
    for event in [Event::Tick, Event::Flush, Event::Durable { position }, read, Event::StorageFailed] {
        assert!(node.step(event, at(9000)).is_empty(), "{event:?}");
    }
    assert_eq!(node.core.propose(&message(b""), at(9000)), Err(Refusal::NotLeader { leader: None }));
    assert_eq!(node.transfer(2, at(9000)), Err(TransferError::NotLeader { leader: None }));
    assert_eq!(node.core.next_deadline_ns(), u64::MAX, "it asks for no more ticks");
    assert_eq!(node.core.status(), status);
}
