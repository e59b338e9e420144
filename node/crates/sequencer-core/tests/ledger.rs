//! The ledger is a function of the log: by applying, by taking back, by replaying, and by way of a snapshot.
//!
//! In: random requests of every kind at a lone leader, among them many that are refused. Checked: every way to the same log end
//! gives the same digest, and damaged snapshots are refused. Real: the core and its encodings.

mod kit;

use kit::desk::{Desk, message, open, output};
use kit::{Node, at, config};
use proptest::prelude::*;
use sequencer_core::{Ledger, MemberChange, Open, OutputEnd, Progress, Request, Snapshot};
use sequencer_wire::{
    Diverged, Divergence, Frames, LogEnd, NodeId, PeerMessage, Position, Retention, Schema, SchemaOwner,
    Service, SnapshotMarker, SnapshotStep, Term,
};

/// A request made of plain numbers, near enough to what is due that it is often admitted.
fn request<'a>(kind: u8, [a, b, c]: [u16; 3], names: &'a [String], desk: &Desk) -> Request<'a> {
    let session = 1 + u32::from(a % 6);
    let epoch = 1 + u32::from(b % 2);
    let service = 1 + u32::from(a % 2);
    let committed = desk.node.core.status().commit;
    let position = Position(committed.0 * u64::from(c % 8) / 8 / 8 * 8);
    let state = desk.node.core.ledger().service(service);
    let k = state.map_or(1, |state| state.last_k + 1 + u64::from(b % 8 == 0));
    let current = state.map_or(1, |state| state.current.epoch);
    let cause = state.map_or(position, |state| position.max(state.last_cause).max(state.current.at));
    match kind % 18 {
        0 => Request::Open(Open {
            group: u32::from(b % 3 == 0) * 4,
            timeout_ns: 2_000_000_000,
            ..open(&names[usize::from(a) % names.len()])
        }),
        1..6 => Request::Message(message(session, epoch, 1 + u64::from(c % 5))),
        6 => Request::Close { session, epoch },
        7 => {
            let service_body =
                Service { version: 1, hold_bytes_max: 999, tick_ns: 0, agree: 1, name: &names[0] };
            Request::RegisterService { id: service, service: service_body }
        }
        8 | 9 => Request::Output(output(service, current, k, cause)),
        10 => {
            let at = state.and_then(|state| state.current_until()).unwrap_or(position);
            Request::OutputEnd(OutputEnd { service, epoch: current, k, at, replica: 1 })
        }
        11 => Request::Promote {
            service,
            version: u64::from(c),
            at: Position(committed.0 + u64::from(b % 64) * 8),
        },
        12 if b % 2 == 0 => Request::Rollback { service, at: Position(0) },
        12 => Request::Cancel { service, epoch: current + 1 },
        13 => Request::RegisterSchema(Schema {
            id: 1 + a % 3,
            version: b,
            owner: if c % 2 == 0 { SchemaOwner::Service(service) } else { SchemaOwner::Class(1) },
        }),
        14 => Request::Retain(match b % 3 {
            0 => Retention::Archived { to: position },
            1 => Retention::Pin { id: u64::from(a % 4), position, bytes_max: u64::from(c) },
            _ => Retention::Unpin { id: u64::from(a % 4) },
        }),
        15 => {
            Request::Snapshot { service, marker: SnapshotMarker { what: SnapshotStep::Verified, position } }
        }
        16 => match b % 3 {
            0 => Request::Progress(Progress { service, epoch: current, applied: position, k, digest: 3 }),
            1 => Request::Skip { service, position },
            _ => {
                let replica = u32::from(c % 4);
                let report = Divergence { replica, what: Diverged::Digest, expected: 1, actual: 2 };
                Request::Divergence { service, epoch: current, k, cause: position, report }
            }
        },
        _ => Request::Member(match b % 3 {
            0 => MemberChange::AddLearner { id: NodeId(2 + u32::from(a % 4)), data: [a as u8; 16] },
            1 => MemberChange::Promote { id: NodeId(2 + u32::from(a % 4)) },
            _ => MemberChange::Remove { id: NodeId(2 + u32::from(a % 4)) },
        }),
    }
}

/// A lone leader after these requests; time passes, so that sessions expire and roles go round.
fn played(steps: &[(u8, [u16; 3])]) -> Desk {
    let names: Vec<String> = (0..4).map(|number| format!("name {number}")).collect();
    let mut desk = Desk::new();
    for (index, (kind, numbers)) in steps.iter().enumerate() {
        let request = request(*kind, *numbers, &names, &desk);
        desk.ask(request);
        // A learner that became a voter would have to acknowledge.
        if index % 3 == 0 {
            desk.commit();
        }
        if index % 7 == 0 {
            desk.wait(u64::from(numbers[0] % 400));
        }
    }
    desk.commit();
    desk
}

fn replayed(bytes: &[u8], to: usize) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.replay(&bytes[..to], Position(0), Term::NONE).expect("a leader's log can be replayed");
    ledger
}

fn steps() -> impl Strategy<Value = Vec<(u8, [u16; 3])>> {
    prop::collection::vec((any::<u8>(), any::<[u16; 3]>()), 1..150)
}

proptest! {
    #![proptest_config(kit::cases(96))]

    /// Invariant: applying frames one by one as a leader, replaying them, and decoding a snapshot give one ledger.
    #[test]
    fn every_way_to_a_log_end_gives_the_same_ledger(steps in steps()) {
        let desk = played(&steps);
        let digest = desk.node.core.ledger().digest();
        let replay = replayed(&desk.node.stored, desk.node.stored.len());
        prop_assert_eq!(replay.digest(), digest);
        prop_assert_eq!((replay.oddities(), desk.node.core.ledger().oddities()), (0, 0));
        let (end, bytes) = desk.node.core.encode_snapshot();
        let snapshot = Snapshot::decode(&bytes).expect("a snapshot decodes");
        prop_assert_eq!((snapshot.end, snapshot.ledger.digest()), (end, digest));
        prop_assert_eq!(&snapshot.terms, desk.node.core.terms());
    }

    /// Invariant: a cut takes the ledger back to what the log before it gives, whatever the frames behind it did.
    #[test]
    fn a_cut_takes_everything_back(steps in steps(), at_frame: prop::sample::Index) {
        let desk = played(&steps);
        let stored = &desk.node.stored;
        let ends: Vec<u64> = Frames::new(stored, Position(0), Term::NONE).flatten().map(|frame| frame.end().0).collect();
        let cut = ends[at_frame.index(ends.len())];
        // A follower takes all of it, uncommitted; then the leader of a later term has the log only up to the cut.
        let mut follower = Node::new(config(2, 3));
        let append = |previous: LogEnd, frames| {
            PeerMessage::Append { previous, commit: Position(0), round: 1, frames }
        };
        let mut from = 0;
        while from < stored.len() {
            // As much as one message carries.
            let to = ends.iter().copied().filter(|end| *end as usize <= from + 4096).max().unwrap_or(ends[0]) as usize;
            let term = Term(u64::from(from > 0));
            let previous = LogEnd { term, position: Position(from as u64) };
            follower.hear(1, 1, append(previous, &stored[from..to]), at(1));
            from = to;
        }
        prop_assert_eq!(follower.core.ledger().digest(), desk.node.core.ledger().digest());
        let later = kit::Image::parse(&stored[..cut as usize]).new_term(5);
        let previous = LogEnd { term: Term(1), position: Position(cut) };
        follower.hear(3, 5, append(previous, later.from(cut)), at(2));
        prop_assert_eq!(follower.core.status().end.position.0, later.len());
        prop_assert_eq!(follower.core.ledger().digest(), replayed(stored, cut as usize).digest());
    }

    /// Damage of any kind is refused, and nothing panics.
    #[test]
    fn damaged_snapshots_are_refused(
        steps in steps(), byte: prop::sample::Index, bit in 0..8_u32, keep: prop::sample::Index,
    ) {
        let (_, bytes) = played(&steps).node.core.encode_snapshot();
        let mut flipped = bytes.clone();
        flipped[byte.index(bytes.len())] ^= 1 << bit;
        prop_assert!(Snapshot::decode(&flipped).is_err());
        prop_assert!(Snapshot::decode(&bytes[..keep.index(bytes.len())]).is_err());
    }

    /// Content that makes no sense under a right digest is refused, and nothing panics.
    #[test]
    fn nonsense_under_a_right_digest_is_refused_or_makes_a_ledger(
        steps in steps(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (_, mut bytes) = played(&steps).node.core.encode_snapshot();
        let body = bytes.len() - 8;
        for (index, value) in changes {
            let at = index.index(body);
            bytes[at] = value;
        }
        let digest = xxhash_rust::xxh3::xxh3_64(&bytes[..body]);
        bytes[body..].copy_from_slice(&digest.to_le_bytes());
        if let Ok(snapshot) = Snapshot::decode(&bytes) {
            snapshot.ledger.digest();
        }
    }
}

/// The properties above say little if hardly anything is admitted.
#[test]
fn the_requests_made_here_bring_frames_of_every_kind() {
    use std::collections::BTreeSet;

    use sequencer_wire::FrameKind;

    let mut seen = BTreeSet::new();
    let mut mixed = 1_u64;
    let mut next = || {
        mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (mixed >> 33) as u16
    };
    for _ in 0..40 {
        let steps: Vec<_> = (0..150).map(|_| (next() as u8, [next(), next(), next()])).collect();
        let desk = played(&steps);
        let frames = Frames::new(&desk.node.stored, Position(0), Term::NONE).flatten();
        seen.extend(frames.map(|frame| frame.fields.kind));
    }
    let never = [FrameKind::SequencedQuery, FrameKind::Tick, FrameKind::TrimFloor, FrameKind::ClusterVersion];
    let missing: Vec<_> =
        FrameKind::ALL.iter().filter(|kind| !seen.contains(kind) && !never.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
