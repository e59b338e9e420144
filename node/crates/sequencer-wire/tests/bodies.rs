//! Bodies of frames: what is encoded decodes to the same, and everything else is refused by name.
//!
//! In: a body of each kind, the same with one thing wrong, bodies made of random numbers, and random bytes. Checked: the bytes of the
//! layouts in docs/reference/wire.md, round trips, the error for each wrong thing, and that no bytes make the decoder panic or decode to what
//! encodes to other bytes.

mod support;

use proptest::prelude::*;
use sequencer_wire::{
    BODY_BYTES_MAX, Body, BodyError, CloseReason, Diverged, Divergence, FrameFields, FrameKind, Membership,
    NodeId, Position, Progress, Promote, Query, Retention, RoleGranted, Rollback, Schema, SchemaOwner,
    Service, SessionClose, SessionOpen, SnapshotMarker, SnapshotStep, Term, TrimFloor, decode_frame,
};
use support::body_examples::{encoded, members};
use support::build::{self, message_fields};
use support::properties::config;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One body of each kind with a layout of its own, and its bytes.
fn examples() -> Vec<(Body<'static>, &'static str)> {
    let member = members(1, 1);
    vec![
        (Body::Query(Query { service: 7, request: b"hi" }), "07000000000000006869"),
        (Body::OutputEnd, ""),
        (Body::Progress(Progress { digest: 0x0102 }), "0201000000000000"),
        (
            Body::Divergence(Divergence { replica: 3, what: Diverged::Digest, expected: 1, actual: 2 }),
            "030000000100000001000000000000000200000000000000",
        ),
        (Body::Skip, ""),
        (
            Body::SessionOpen(SessionOpen { timeout_ns: 9, group: 4, class: 5, name: "ab" }),
            "09000000000000000400000005000200",
        ),
        (Body::SessionClose(SessionClose { reason: CloseReason::Evicted }), "0200000000000000"),
        (Body::Tick, ""),
        (Body::RoleGranted(RoleGranted { group: 4, session_epoch: 6 }), "0400000006000000"),
        (
            Body::SnapshotMarker(SnapshotMarker { what: SnapshotStep::Verified, position: Position(72) }),
            "01000000000000004800000000000000",
        ),
        (
            Body::Membership(Membership { next_id: NodeId(3), members: member }),
            "0300000001000000020000000000000001010101010101010101010101010101",
        ),
        (Body::TrimFloor(TrimFloor { floor: Position(72) }), "4800000000000000"),
        (
            Body::Schema(Schema { id: 2, version: 3, owner: SchemaOwner::Class(4) }),
            "02000300010000000400000000000000",
        ),
        (
            Body::Service(Service { version: 1, hold_bytes_max: 2, tick_ns: 3, agree: 4, name: "s" }),
            "0100000000000000020000000000000003000000000000000400010000000000",
        ),
        (Body::Promote(Promote { version: 1, at: Position(72) }), "01000000000000004800000000000000"),
        (Body::Cancel, ""),
        (Body::Rollback(Rollback { at: Position(72) }), "4800000000000000"),
        (
            Body::Retention(Retention::Pin { id: 1, position: Position(72), bytes_max: 2 }),
            "0100000000000000480000000000000002000000000000000100000000000000",
        ),
    ]
}

#[test]
fn each_layout_is_that_of_the_reference_and_reads_back() {
    for (body, start) in examples() {
        let bytes = encoded(&body);
        assert!(hex(&bytes).starts_with(start), "{body:?}: {}", hex(&bytes));
        assert_eq!(Body::decode(body.kind(), &bytes), Ok(body));
    }
}

#[test]
fn a_byte_too_many_or_too_few_is_told_with_what_is_needed() {
    for (body, _) in examples() {
        let (kind, bytes) = (body.kind(), encoded(&body));
        if matches!(body, Body::Query(_)) {
            continue;
        }
        let longer = [&bytes[..], &[0]].concat();
        for wrong in [&longer[..], bytes.get(..bytes.len().wrapping_sub(1)).unwrap_or(&longer)] {
            let error = Body::decode(kind, wrong).expect_err("its length is wrong");
            assert!(matches!(error, BodyError::Length { .. }), "{kind}: {error:?}");
            assert!(error.to_string().contains(kind.name()), "{error}");
        }
    }
}

#[test]
fn values_without_a_meaning_are_named() {
    let value = |kind, at: usize, byte: u8, field: &'static str| (kind, at, byte, Some(field));
    let reserved = |kind, at: usize| (kind, at, 1, None);
    let table = [
        value(FrameKind::SessionClose, 0, 4, "reason"),
        reserved(FrameKind::SessionClose, 7),
        value(FrameKind::DivergenceReport, 4, 2, "what"),
        reserved(FrameKind::DivergenceReport, 5),
        value(FrameKind::SnapshotMarker, 0, 2, "what"),
        value(FrameKind::SnapshotMarker, 0, 0, "position"),
        reserved(FrameKind::SnapshotMarker, 3),
        value(FrameKind::RoleGranted, 0, 0, "group"),
        reserved(FrameKind::SequencedQuery, 4),
        value(FrameKind::SessionOpen, 14, 0, "name length"),
        value(FrameKind::SessionOpen, 14, 65, "name length"),
        value(FrameKind::SessionOpen, 16, 0xFF, "name byte"),
        value(FrameKind::SchemaRegistration, 0, 0, "schema id"),
        value(FrameKind::SchemaRegistration, 4, 2, "owner kind"),
        value(FrameKind::SchemaRegistration, 10, 1, "class"),
        reserved(FrameKind::SchemaRegistration, 12),
        value(FrameKind::ServiceRegistration, 24, 0, "agree"),
        reserved(FrameKind::ServiceRegistration, 28),
        value(FrameKind::Membership, 4, 0, "count"),
        value(FrameKind::Membership, 4, 17, "count"),
        value(FrameKind::Membership, 0, 2, "member id"),
        value(FrameKind::Membership, 8, 0, "member id"),
        value(FrameKind::Membership, 12, 2, "role"),
        value(FrameKind::Membership, 12, 1, "voters"),
        reserved(FrameKind::Membership, 13),
        value(FrameKind::Retention, 0, 3, "what"),
        reserved(FrameKind::Retention, 1),
    ];
    for (kind, at, byte, field) in table {
        let (body, _) = examples().into_iter().find(|(body, _)| body.kind() == kind).expect("each has one");
        let mut bytes = encoded(&body);
        bytes[at] = byte;
        match (Body::decode(kind, &bytes), field) {
            (Err(BodyError::Value { kind: found, field: named, .. }), Some(field)) => {
                assert_eq!((found, named), (kind, field));
            }
            (Err(BodyError::Reserved { .. }), None) => {}
            (other, _) => panic!("{kind} with {byte} at {at}: {other:?}, expected {field:?}"),
        }
    }
}

#[test]
fn a_body_of_a_new_term_tells_reserved_bytes_from_a_wrong_size() {
    let kind = FrameKind::NewTerm;
    let error = Body::decode(kind, &[0; 23]);
    assert_eq!(error, Err(BodyError::Length { kind, expected: 24, found: 23 }));
    let mut bytes = [0; 24];
    bytes[23] = 1;
    assert_eq!(Body::decode(kind, &bytes), Err(BodyError::Reserved { kind, at: 20 }));
}

#[test]
fn a_frame_gives_its_body() {
    let fields = FrameFields { kind: FrameKind::TrimFloor, ..message_fields() };
    let bytes = build::frame(72, 1, &fields, &72_u64.to_le_bytes());
    let frame = decode_frame(&bytes, Position(72), Term(1)).expect("a good frame");
    assert_eq!(frame.body(), Ok(Body::TrimFloor(TrimFloor { floor: Position(72) })));
    let bytes = build::frame(72, 1, &fields, b"floor");
    let frame = decode_frame(&bytes, Position(72), Term(1)).expect("the frame itself is sound");
    let length = BodyError::Length { kind: FrameKind::TrimFloor, expected: 8, found: 5 };
    assert_eq!(frame.body(), Err(length));
}

#[test]
fn the_largest_body_is_a_full_list_of_members() {
    let list = Membership { next_id: NodeId(99), members: members(16, 9) };
    assert_eq!(Body::Membership(list).payload_bytes(), BODY_BYTES_MAX);
    let too_many = Membership { next_id: NodeId(99), members: members(16, 10) };
    let bytes = encoded(&Body::Membership(too_many));
    let error = Body::decode(FrameKind::Membership, &bytes);
    assert_eq!(error, Err(BodyError::Value { kind: FrameKind::Membership, field: "voters", found: 10 }));
}

proptest! {
    #![proptest_config(config())]

    /// Whatever decodes encodes to the same bytes, so no two byte strings mean the same, and nothing panics.
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        kind in 0..FrameKind::ALL.len(),
        bytes in prop_oneof![
            prop::collection::vec(prop_oneof![4 => Just(0_u8), 1 => 0..20_u8, 1 => any::<u8>()], 0..100),
            prop::collection::vec(any::<u8>(), 0..500),
        ],
    ) {
        let kind = FrameKind::ALL[kind];
        if let Ok(body) = Body::decode(kind, &bytes) {
            prop_assert_eq!(body.kind(), kind);
            prop_assert_eq!(encoded(&body), bytes);
        }
    }

    /// One byte of a good body changed: refused, or another good body.
    #[test]
    fn good_bodies_with_a_byte_changed(index: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let examples = examples();
        let (body, _) = &examples[index.index(examples.len())];
        let mut bytes = encoded(body);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(other) = Body::decode(body.kind(), &bytes) {
            prop_assert_eq!(encoded(&other), bytes);
        }
    }
}
