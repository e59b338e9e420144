//! Properties of frames. In go fields and payloads of every kind and size. Checked: what is encoded decodes
//! to the same, the slow twin agrees, and no flipped bit, wrong position, wrong term or lost tail goes
//! unnoticed.

mod support;

use proptest::prelude::*;
use sequencer_wire::{
    FRAME_BYTES_MAX, FrameFields, FrameKind, HEADER_BYTES, NewTerm, NodeId, PAYLOAD_BYTES_MAX, Position,
    Term, WireError, decode_frame, encode_frame, encode_new_term, frame_bytes,
};
use support::properties::{config, config_for_slow};
use support::{build, twin_frame};

fn any_kind_but_new_term() -> impl Strategy<Value = FrameKind> {
    (1..FrameKind::ALL.len()).prop_map(|index| FrameKind::ALL[index])
}

prop_compose! {
    fn any_fields()(
        kind in any_kind_but_new_term(),
        source_id: u32,
        source_sequence: u64,
        timestamp_ns: u64,
        cause: u64,
        schema_id: u16,
        schema_version: u16,
        epoch: u32,
    ) -> FrameFields {
        FrameFields {
            kind,
            flags: 0,
            source_id,
            source_sequence,
            timestamp_ns,
            cause: Position(cause),
            schema_id,
            schema_version,
            epoch,
        }
    }
}

/// A position that leaves room for any frame behind it.
fn any_position() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1_000_000_u64, 0..u64::MAX - 2 * FRAME_BYTES_MAX as u64].prop_map(|at| at & !7)
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..=300),
        1 => (0..=PAYLOAD_BYTES_MAX, any::<u8>()).prop_map(|(bytes, value)| vec![value; bytes]),
        1 => (PAYLOAD_BYTES_MAX - 9..=PAYLOAD_BYTES_MAX).prop_map(|bytes| vec![0x3C; bytes]),
    ]
}

/// Flips each bit of `frame` in turn and requires that the decoder calls it damage.
fn assert_every_flip_is_damage(frame: &[u8], at: u64, previous: u64) {
    // Bytes of a next frame follow, so that a longer length finds something to read.
    let mut bytes = frame.to_vec();
    bytes.extend((0..512).map(|byte| byte as u8));
    for bit in 0..frame.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        for spoiled in [&bytes[..], &bytes[..frame.len()]] {
            match decode_frame(spoiled, Position(at), Term(previous)) {
                Ok(_) => panic!("bit {bit} flipped and nobody noticed"),
                Err(error) => assert!(error.is_damage(), "bit {bit}: {error}"),
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(decode_frame(&bytes, Position(at), Term(previous)).is_ok());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_encoded_decodes_to_the_same(
        at in any_position(),
        term in 1..=u64::MAX,
        fields in any_fields(),
        payload in any_payload(),
        room in 0..32_usize,
    ) {
        let whole = frame_bytes(payload.len());
        let mut buffer = vec![0xA5; whole + room];
        prop_assert_eq!(encode_frame(&mut buffer, Position(at), Term(term), &fields, &payload), Ok(whole));
        prop_assert!(buffer[whole..].iter().all(|byte| *byte == 0xA5), "nothing is written past the frame");
        let frame = decode_frame(&buffer, Position(at), Term(term));
        let Ok(frame) = frame else { return Err(TestCaseError::fail(format!("{frame:?}"))) };
        prop_assert_eq!((frame.at, frame.term, frame.fields), (Position(at), Term(term), fields));
        prop_assert_eq!(frame.payload, &payload[..]);
        prop_assert_eq!(frame.bytes, &buffer[..whole]);
        prop_assert_eq!(frame.end(), Position(at + whole as u64));
    }

    #[test]
    fn a_new_term_frame_tells_what_was_put_in(
        at in any_position(),
        previous in 0..u64::MAX,
        step in 1..1_000_u64,
        leader: u32,
        timestamp_ns: u64,
    ) {
        let term = previous.saturating_add(step);
        let new_term = NewTerm { term: Term(term), previous: Term(previous), leader: NodeId(leader) };
        let mut buffer = [0xA5; frame_bytes(24)];
        prop_assert_eq!(encode_new_term(&mut buffer, Position(at), new_term, timestamp_ns), Ok(72));
        let frame = decode_frame(&buffer, Position(at), Term(previous));
        let Ok(frame) = frame else { return Err(TestCaseError::fail(format!("{frame:?}"))) };
        prop_assert_eq!((frame.term, frame.new_term()), (Term(term), Some(new_term)));
        prop_assert_eq!((frame.fields.source_id, frame.fields.timestamp_ns), (leader, timestamp_ns));
    }

    #[test]
    fn the_slow_twin_reads_the_same(
        at in any_position(),
        term in 1..=u64::MAX,
        fields in any_fields(),
        payload in proptest::collection::vec(any::<u8>(), 0..=300),
    ) {
        let bytes = build::frame(at, term, &fields, &payload);
        let twin = twin_frame::decode(&bytes, at, term);
        let Ok(twin) = twin else { return Err(TestCaseError::fail(format!("{twin:?}"))) };
        prop_assert_eq!((twin.whole, twin.term, twin.kind), (bytes.len(), term, fields.kind as u8));
        prop_assert_eq!((twin.source_id, twin.source_sequence), (fields.source_id, fields.source_sequence));
        prop_assert_eq!((twin.timestamp_ns, twin.cause), (fields.timestamp_ns, fields.cause.0));
        prop_assert_eq!((twin.schema_id, twin.schema_version), (fields.schema_id, fields.schema_version));
        prop_assert_eq!(twin.epoch, fields.epoch);
        prop_assert_eq!(twin.payload, payload);
    }

    #[test]
    fn a_frame_verifies_only_at_its_place(
        at in any_position(),
        other_at in any_position(),
        term in 1..=u64::MAX,
        other_term in 1..=u64::MAX,
        fields in any_fields(),
        payload in proptest::collection::vec(any::<u8>(), 0..=300),
    ) {
        prop_assume!(at != other_at && term != other_term);
        let bytes = build::frame(at, term, &fields, &payload);
        let places = [(other_at, term), (at, other_term), (other_at, other_term), (at ^ 8, term)];
        for (elsewhere, else_term) in places {
            let error = decode_frame(&bytes, Position(elsewhere), Term(else_term));
            prop_assert!(matches!(error, Err(WireError::Checksum { .. })), "{:?}", error);
        }
    }

    #[test]
    fn a_new_term_frame_verifies_only_at_its_place_and_after_its_predecessor(
        at in any_position(),
        other_at in any_position(),
        previous in 0..1_000_u64,
        other_previous in 0..2_000_u64,
        step in 1..1_000_u64,
    ) {
        prop_assume!(at != other_at && previous != other_previous);
        let bytes = build::new_term(at, previous + step, previous, 1, 5);
        let moved = decode_frame(&bytes, Position(other_at), Term(previous));
        prop_assert!(matches!(moved, Err(WireError::Checksum { .. })), "{:?}", moved);
        let grafted = decode_frame(&bytes, Position(at), Term(other_previous));
        prop_assert!(matches!(grafted, Err(WireError::BrokenChain { .. })), "{:?}", grafted);
    }

    #[test]
    fn a_lost_tail_is_noticed(
        at in any_position(),
        term in 1..=u64::MAX,
        fields in any_fields(),
        payload in proptest::collection::vec(any::<u8>(), 0..=2_000),
        from in any::<prop::sample::Index>(),
        stale in any::<u8>(),
    ) {
        let bytes = build::frame(at, term, &fields, &payload);
        let mut torn = bytes.clone();
        torn[from.index(bytes.len())..].fill(stale);
        let decoded = decode_frame(&torn, Position(at), Term(term));
        prop_assert!(torn == bytes || decoded.is_err_and(|error| error.is_damage()));
    }
}

proptest! {
    #![proptest_config(config_for_slow())]

    #[test]
    fn every_flipped_bit_is_damage(
        at in any_position(),
        term in 1..=u64::MAX,
        fields in any_fields(),
        payload in proptest::collection::vec(any::<u8>(), 0..=300),
    ) {
        assert_every_flip_is_damage(&build::frame(at, term, &fields, &payload), at, term);
    }

    #[test]
    fn every_flipped_bit_of_a_new_term_frame_is_damage(
        at in any_position(),
        previous in 0..1_000_u64,
        step in 1..1_000_u64,
        leader: u32,
    ) {
        let bytes = build::new_term(at, previous + step, previous, leader, at);
        assert_every_flip_is_damage(&bytes, at, previous);
    }
}

#[test]
fn the_largest_frame_fits_and_a_larger_one_does_not() {
    let payload = vec![9; PAYLOAD_BYTES_MAX + 1];
    let mut buffer = vec![0; FRAME_BYTES_MAX + 64];
    let fields = build::message_fields();
    let at = Position(8);
    assert_eq!(encode_frame(&mut buffer, at, Term(1), &fields, &payload[1..]), Ok(FRAME_BYTES_MAX));
    let decoded = decode_frame(&buffer, at, Term(1));
    assert!(decoded.is_ok_and(|frame| frame.payload.len() + HEADER_BYTES == FRAME_BYTES_MAX));
    let before = buffer.clone();
    let refused = encode_frame(&mut buffer, at, Term(1), &fields, &payload);
    assert_eq!(refused, Err(WireError::PayloadTooLarge { at, bytes: payload.len(), max: PAYLOAD_BYTES_MAX }));
    assert_eq!(buffer, before);
}
