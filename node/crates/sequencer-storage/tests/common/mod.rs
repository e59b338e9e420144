//! Frames and options for the tests.

#![allow(dead_code)]

pub(crate) mod model;

use sequencer_storage::{Durability, Options, SplitMix64};
use sequencer_wire::{
    ClusterId, FrameFields, FrameKind, LogEnd, NewTerm, NodeId, Position, Term, encode_frame,
    encode_new_term, frame_bytes,
};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);
pub(crate) const NODE: NodeId = NodeId(2);
pub(crate) const UUID: [u8; 16] = [9; 16];
pub(crate) const BOOT: [u8; 16] = [1; 16];
pub(crate) const OTHER_BOOT: [u8; 16] = [2; 16];
pub(crate) const SEGMENT: u64 = 16 << 10;

pub(crate) fn options(durability: Durability) -> Options {
    Options {
        cluster: CLUSTER,
        node: NODE,
        segment_bytes: SEGMENT,
        durability,
        boot_id: BOOT,
        reserve_bytes: 0,
    }
}

pub(crate) fn new_term(at: Position, previous: Term, term: Term) -> Vec<u8> {
    let mut bytes = vec![0; frame_bytes(24)];
    let new_term = NewTerm { term, previous, leader: NODE };
    let written = encode_new_term(&mut bytes, at, new_term, 1000 + at.0).unwrap();
    assert_eq!(written, bytes.len());
    bytes
}

pub(crate) fn message(at: Position, term: Term, payload: &[u8]) -> Vec<u8> {
    frame(FrameKind::Message, at, term, payload)
}

/// A frame whose kind is a change of membership; storage looks at nothing else in it.
pub(crate) fn membership(at: Position, term: Term) -> Vec<u8> {
    frame(FrameKind::Membership, at, term, &[6; 32])
}

fn frame(kind: FrameKind, at: Position, term: Term, payload: &[u8]) -> Vec<u8> {
    let fields = FrameFields {
        kind,
        flags: 0,
        source_id: 5,
        source_sequence: at.0,
        timestamp_ns: 1000 + at.0,
        cause: Position::START,
        schema_id: 1,
        schema_version: 1,
        epoch: 0,
    };
    let mut bytes = vec![0; frame_bytes(payload.len())];
    let written = encode_frame(&mut bytes, at, term, &fields, payload).unwrap();
    assert_eq!(written, bytes.len());
    bytes
}

/// `count` messages of `payload_bytes` each, one after another.
pub(crate) fn messages(
    mut at: Position,
    term: Term,
    count: usize,
    payload_bytes: usize,
    salt: u8,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let frame = message(at, term, &vec![salt ^ number as u8; payload_bytes]);
        at = at.advanced(frame.len() as u64);
        bytes.extend_from_slice(&frame);
    }
    bytes
}

/// What a snapshot at `end` holds: the same for the same end, something else for any other.
pub(crate) fn snapshot_bytes(end: LogEnd) -> Vec<u8> {
    let mut rng = SplitMix64::new(end.position.0 ^ (end.term.0 << 48));
    (0..rng.below(1500)).map(|_| rng.next_u64() as u8).collect()
}
