//! Properties of peer messages. In go messages of every kind. Checked: what is encoded decodes to the same,
//! messages follow each other in one buffer, and no flipped bit goes unnoticed; in an append's frames it is
//! the walk over them that notices.

mod support;

use proptest::prelude::*;
use sequencer_wire::{
    APPEND_FRAMES_BYTES_MAX, ClusterId, ENVELOPE_BYTES, Frames, LogEnd, NodeId, PEER_MESSAGE_BYTES_MAX,
    PeerMessage, Position, SNAPSHOT_CHUNK_BYTES_MAX, TERM_STARTS_MAX, Term, WireError, decode_peer,
    encode_append_header, encode_peer, peek_peer_length,
};
use support::build::{self, CLUSTER, LogItem, envelope};
use support::properties::{config, config_for_slow};
use support::{mutate, twin_peer};

/// The parts that `build::peer` makes a message of.
#[derive(Debug, Clone)]
struct Parts {
    kind: u8,
    numbers: [u64; 4],
    steps: Vec<(u16, u16)>,
    frames: Vec<u8>,
}

impl Parts {
    fn message(&self) -> PeerMessage<'_> {
        build::peer(self.kind, self.numbers, &self.steps, &self.frames)
    }
}

prop_compose! {
    fn any_parts()(
        kind in 0..12_u8,
        numbers: [u64; 4],
        steps in proptest::collection::vec(any::<(u16, u16)>(), 0..=TERM_STARTS_MAX),
        frames in proptest::collection::vec(any::<u8>(), 0..300),
    ) -> Parts {
        Parts { kind, numbers, steps, frames }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn messages_decode_to_what_was_encoded_one_after_the_other(
        all in proptest::collection::vec((any::<(u32, u32, u64)>(), any_parts()), 1..5),
    ) {
        let mut bytes = Vec::new();
        for ((from, to, term), parts) in &all {
            encode_peer(&mut bytes, &envelope(*from, *to, *term), &parts.message());
        }
        let mut rest = &bytes[..];
        for ((from, to, term), parts) in &all {
            let decoded = decode_peer(rest, CLUSTER);
            let Ok((found, message, taken)) = decoded else {
                return Err(TestCaseError::fail(format!("{decoded:?}")));
            };
            prop_assert_eq!(found, envelope(*from, *to, *term));
            prop_assert_eq!(message, parts.message());
            prop_assert_eq!(peek_peer_length(rest), Ok(taken));
            prop_assert!(twin_peer::decode(rest, CLUSTER.0).is_ok_and(|twin| twin.length == taken));
            rest = &rest[taken..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn an_append_header_and_its_frames_are_an_append(
        numbers: [u64; 4],
        frames in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let message = build::peer(4, numbers, &[], &frames);
        let PeerMessage::Append { previous, commit, round, .. } = message else { unreachable!() };
        let mut bytes = Vec::new();
        encode_append_header(&mut bytes, &envelope(1, 2, 3), previous, commit, round, frames.len());
        bytes.extend(&frames);
        prop_assert_eq!(bytes, build::peer_bytes(&envelope(1, 2, 3), &message));
    }

    #[test]
    fn a_message_of_another_cluster_is_refused_with_both_names(parts in any_parts(), other: [u8; 16]) {
        prop_assume!(other != CLUSTER.0);
        let bytes = build::peer_bytes(&envelope(8, 2, 3), &parts.message());
        let (from, expected, found) = (NodeId(8), ClusterId(other), CLUSTER);
        let refused = Err(WireError::WrongCluster { from, expected, found });
        prop_assert_eq!(decode_peer(&bytes, expected), refused);
    }
}

proptest! {
    #![proptest_config(config_for_slow())]

    #[test]
    fn every_flipped_bit_outside_of_frames_is_damage(parts in any_parts()) {
        let message = parts.message();
        let mut bytes = build::peer_bytes(&envelope(1, 2, 3), &message);
        let len = bytes.len();
        let covered = if let PeerMessage::Append { .. } = message { 80 } else { len };
        bytes.extend([0x5A; 300]);
        for bit in 0..covered * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            for spoiled in [&bytes[..], &bytes[..len]] {
                let decoded = decode_peer(spoiled, CLUSTER);
                prop_assert!(decoded.is_err_and(|error| error.is_damage()), "bit {}: {:?}", bit, decoded);
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn every_flipped_bit_in_frames_is_found_by_the_walk(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..4),
        at in (0..1_000_u64).prop_map(|at| at * 8),
    ) {
        let item = |payload| LogItem::Other { kind: 0, source_sequence: 1, payload };
        let items: Vec<_> = payloads.into_iter().map(item).collect();
        let (mut frames, _, _) = build::log(at, 4, &items);
        let previous = LogEnd { term: Term(4), position: Position(at) };
        for bit in 0..frames.len() * 8 {
            frames[bit / 8] ^= 1 << (bit % 8);
            let commit = Position::START;
            let message = PeerMessage::Append { previous, commit, round: 9, frames: &frames };
            let bytes = build::peer_bytes(&envelope(1, 2, 4), &message);
            let decoded = decode_peer(&bytes, CLUSTER);
            let Ok((_, PeerMessage::Append { previous, frames: received, .. }, _)) = decoded else {
                return Err(TestCaseError::fail(format!("{decoded:?}")));
            };
            let last = Frames::new(received, previous.position, previous.term).last();
            prop_assert!(matches!(last, Some(Err(error)) if error.is_damage()), "bit {}: {:?}", bit, last);
            frames[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn the_largest_append_is_read_and_a_larger_one_is_not() {
    let frames = vec![0; APPEND_FRAMES_BYTES_MAX];
    let (previous, commit) = (LogEnd::default(), Position::START);
    let message = PeerMessage::Append { previous, commit, round: 0, frames: &frames };
    let mut bytes = build::peer_bytes(&envelope(1, 2, 3), &message);
    assert_eq!(decode_peer(&bytes, CLUSTER).map(|(_, _, taken)| taken), Ok(PEER_MESSAGE_BYTES_MAX));
    let length = PEER_MESSAGE_BYTES_MAX as u32 + 1;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    let refused =
        WireError::PeerLengthOutOfRange { length, min: ENVELOPE_BYTES, max: PEER_MESSAGE_BYTES_MAX };
    assert_eq!(decode_peer(&bytes, CLUSTER), Err(refused));
}

#[test]
fn the_largest_piece_of_a_snapshot_is_read_and_a_larger_one_is_not() {
    let piece = vec![7; SNAPSHOT_CHUNK_BYTES_MAX];
    let offset = u64::MAX - piece.len() as u64;
    let (last, total_bytes) = (LogEnd::default(), u64::MAX);
    let message = PeerMessage::SnapshotChunk { last, total_bytes, offset, round: 0, bytes: &piece };
    let mut bytes = build::peer_bytes(&envelope(1, 2, 3), &message);
    assert_eq!(decode_peer(&bytes, CLUSTER).map(|(_, message, _)| message), Ok(message));

    // Within the snapshot, and longer than a piece may be.
    bytes.push(7);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[72..80].copy_from_slice(&0_u64.to_le_bytes());
    mutate::reseal_peer(&mut bytes);
    let more = SNAPSHOT_CHUNK_BYTES_MAX + 1;
    let refused = WireError::PeerChunkOutOfRange { offset: 0, bytes: more, total_bytes };
    assert_eq!(decode_peer(&bytes, CLUSTER), Err(refused));

    // As long as it may be, and past the last 64-bit offset.
    bytes.pop();
    bytes[..4].copy_from_slice(&(length - 1).to_le_bytes());
    bytes[72..80].copy_from_slice(&(offset + 1).to_le_bytes());
    mutate::reseal_peer(&mut bytes);
    let (offset, bytes_max) = (offset + 1, SNAPSHOT_CHUNK_BYTES_MAX);
    let refused = WireError::PeerChunkOutOfRange { offset, bytes: bytes_max, total_bytes };
    assert_eq!(decode_peer(&bytes, CLUSTER), Err(refused));
}

#[test]
#[should_panic(expected = "lies outside of it")]
fn a_piece_outside_of_its_snapshot_is_not_written() {
    let last = LogEnd::default();
    let message = PeerMessage::SnapshotChunk { last, total_bytes: 4, offset: 0, round: 0, bytes: b"bytes" };
    build::peer_bytes(&envelope(1, 2, 3), &message);
}

#[test]
#[should_panic(expected = "over the limit")]
fn a_larger_append_is_not_written() {
    let (previous, commit) = (LogEnd::default(), Position::START);
    let mut bytes = Vec::new();
    encode_append_header(&mut bytes, &envelope(1, 2, 3), previous, commit, 0, APPEND_FRAMES_BYTES_MAX + 1);
}

#[test]
#[should_panic(expected = "no frame starts or ends at position 12")]
fn a_position_inside_of_a_frame_is_not_written() {
    let last = LogEnd { term: Term(1), position: Position(12) };
    build::peer_bytes(&envelope(1, 2, 3), &PeerMessage::PreVoteRequest { last });
}
