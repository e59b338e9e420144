//! The checks of the frame codec and their order, one case each. Damage must never look like a newer format,
//! nor a newer format like damage.

mod support;

use sequencer_wire::{
    FRAME_BYTES_MAX, FrameFields, FrameKind, Frames, HEADER_BYTES, NewTerm, NodeId, Position, Term,
    WireError, decode_frame, encode_frame, encode_new_term, peek_length,
};
use support::build::{frame, message_fields, new_term};
use support::mutate::reseal_frame;

const AT: Position = Position(4096);

fn message() -> Vec<u8> {
    frame(AT.0, 5, &message_fields(), b"thirteen byte")
}

fn decode_error(bytes: &[u8], previous: u64) -> WireError {
    match decode_frame(bytes, AT, Term(previous)) {
        Ok(frame) => panic!("decoded {frame:?}"),
        Err(error) => error,
    }
}

#[test]
fn too_few_bytes_ask_for_a_header_first_and_for_the_frame_then() {
    let bytes = message();
    for available in 0..4 {
        let needed = HEADER_BYTES;
        assert_eq!(decode_error(&bytes[..available], 5), WireError::Truncated { at: AT, needed, available });
        assert_eq!(
            peek_length(&bytes[..available], AT),
            Err(WireError::Truncated { at: AT, needed, available })
        );
    }
    for available in 4..bytes.len() {
        let needed = bytes.len();
        assert_eq!(decode_error(&bytes[..available], 5), WireError::Truncated { at: AT, needed, available });
        assert_eq!(peek_length(&bytes[..available], AT), Ok(needed));
    }
}

#[test]
fn a_length_out_of_range_is_told_before_anything_else() {
    for length in [0, 1, 47, FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut bytes = message();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let error = WireError::LengthOutOfRange { at: AT, length, min: 48, max: FRAME_BYTES_MAX };
        assert_eq!(decode_error(&bytes, 5), error);
        assert_eq!(decode_error(&bytes[..4], 5), error);
        assert!(error.is_damage());
    }
}

#[test]
fn what_is_unknown_is_damage_unless_the_checksum_is_right() {
    type Case = (usize, u8, fn(&WireError) -> bool);
    let cases: [Case; 4] = [
        (8, 2, |error| matches!(error, WireError::UnsupportedVersion { at: AT, version: 2, known: 1 })),
        (9, 23, |error| matches!(error, WireError::UnsupportedKind { at: AT, kind: 23 })),
        (11, 0x80, |error| matches!(error, WireError::UnsupportedFlags { at: AT, flags: 0x8000 })),
        (63, 1, |error| matches!(error, WireError::NonZeroPadding { at: AT, padding: 3 })),
    ];
    for (offset, value, is_right) in cases {
        let mut bytes = message();
        bytes[offset] = value;
        let damaged = decode_error(&bytes, 5);
        assert!(matches!(damaged, WireError::Checksum { .. }) && damaged.is_damage(), "{damaged:?}");
        reseal_frame(&mut bytes, AT.0, 5);
        let newer = decode_error(&bytes, 5);
        assert!(is_right(&newer) && !newer.is_damage(), "{newer:?}");
    }
}

#[test]
fn the_checks_after_the_checksum_have_an_order() {
    let mut bytes = message();
    for (offset, value) in [(63, 1), (10, 1), (9, 0), (8, 9)] {
        bytes[offset] = value;
    }
    let mut names = Vec::new();
    for (offset, right) in [(8, 1), (9, 2), (10, 0), (63, 0)] {
        reseal_frame(&mut bytes, AT.0, 5);
        names.push(support::error_name(&decode_error(&bytes, 5)));
        bytes[offset] = right;
    }
    let order = ["UnsupportedVersion", "UnsupportedKind", "UnsupportedFlags", "NonZeroPadding"];
    assert_eq!(names, order);
}

#[test]
fn a_log_starts_with_a_new_term() {
    let error = decode_error(&message(), 0);
    assert_eq!(error, WireError::NoTerm { at: AT, kind: 2 });
    // One flipped bit of the kind makes the first frame of a log look like this.
    assert!(error.is_damage());
}

#[test]
fn a_new_term_follows_the_term_before_it() {
    let bytes = new_term(AT.0, 9, 5, 3, 1);
    assert!(decode_frame(&bytes, AT, Term(5)).is_ok_and(|frame| frame.term == Term(9)));
    for found in [0, 4, 6, 9, 10] {
        let error = decode_error(&bytes, found);
        let (term, previous) = (Term(9), Term(5));
        assert_eq!(error, WireError::BrokenChain { at: AT, term, previous, found: Term(found) });
        assert!(error.is_damage());
    }
}

#[test]
fn a_new_term_must_be_later_even_when_it_names_its_predecessor() {
    let mut bytes = new_term(AT.0, 9, 5, 3, 1);
    bytes[48] = 5;
    reseal_frame(&mut bytes, AT.0, 5);
    assert!(matches!(
        decode_error(&bytes, 5),
        WireError::BrokenChain { term: Term(5), previous: Term(5), .. }
    ));
}

#[test]
fn a_short_frame_with_a_flipped_kind_is_damage_and_its_payload_is_not_read() {
    for payload in 0..24 {
        let fields = FrameFields { kind: FrameKind::Output, ..message_fields() };
        let mut bytes = frame(AT.0, 5, &fields, &vec![1; payload]);
        bytes[9] = FrameKind::NewTerm as u8;
        let damaged = decode_error(&bytes, 5);
        assert!(matches!(damaged, WireError::Checksum { .. }), "{damaged:?}");
        reseal_frame(&mut bytes, AT.0, 5);
        let (kind, expected) = (FrameKind::NewTerm, 24);
        assert_eq!(
            decode_error(&bytes, 5),
            WireError::PayloadLength { at: AT, kind, bytes: payload, expected }
        );
    }
}

#[test]
fn reserved_bytes_of_a_new_term_are_zero() {
    let mut bytes = new_term(AT.0, 9, 5, 3, 1);
    bytes[71] = 1;
    reseal_frame(&mut bytes, AT.0, 5);
    assert_eq!(decode_error(&bytes, 5), WireError::NonZeroReserved { at: AT, reserved: 1 << 24 });
}

#[test]
fn a_frame_does_not_reach_past_the_last_position() {
    let at = Position(u64::MAX - 63);
    let mut buffer = [0xEE; 64];
    let refused = encode_frame(&mut buffer, at, Term(1), &message_fields(), &[7; 16]);
    assert_eq!(refused, Err(WireError::PositionOutOfRange { at, bytes: 64 }));
    assert_eq!(buffer, [0xEE; 64]);
    let bytes = frame(0, 1, &message_fields(), &[7; 16]);
    assert_eq!(decode_frame(&bytes, at, Term(1)), Err(WireError::PositionOutOfRange { at, bytes: 64 }));
}

#[test]
fn a_buffer_without_room_stays_as_it_was() {
    for available in 0..64 {
        let mut buffer = vec![0xEE; available];
        let refused = encode_frame(&mut buffer, AT, Term(1), &message_fields(), b"thirteen byte");
        assert_eq!(refused, Err(WireError::BufferTooSmall { at: AT, needed: 64, available }));
        let start = NewTerm { term: Term(2), previous: Term(1), leader: NodeId(3) };
        let refused = encode_new_term(&mut buffer, AT, start, 0);
        assert_eq!(refused, Err(WireError::BufferTooSmall { at: AT, needed: 72, available }));
        assert!(buffer.iter().all(|byte| *byte == 0xEE));
    }
}

#[test]
fn a_walk_ends_at_the_end_or_after_one_error() {
    let mut bytes = new_term(0, 1, 0, 3, 1);
    bytes.extend(frame(72, 1, &message_fields(), b"one"));
    bytes.extend(new_term(128, 4, 1, 2, 1));
    let mut walk = Frames::new(&bytes, Position::START, Term::NONE);
    assert_eq!(walk.by_ref().filter(|item| item.is_ok()).count(), 3);
    assert_eq!((walk.position(), walk.term()), (Position(200), Term(4)));
    assert!(walk.next().is_none());

    let mut torn = Frames::new(&bytes[..199], Position::START, Term::NONE);
    assert_eq!(torn.by_ref().take(2).filter(|item| item.is_ok()).count(), 2);
    let error = WireError::Truncated { at: Position(128), needed: 72, available: 71 };
    assert_eq!(torn.next(), Some(Err(error)));
    assert!(torn.next().is_none());
    assert_eq!((torn.position(), torn.term()), (Position(128), Term(1)));
    assert!(Frames::new(&[], Position(8), Term(1)).next().is_none());
}

#[test]
#[should_panic(expected = "no flag has a meaning")]
fn a_flag_is_not_written() {
    let fields = FrameFields { flags: 1, ..message_fields() };
    let _ = encode_frame(&mut [0; 64], AT, Term(1), &fields, &[]);
}

#[test]
#[should_panic(expected = "every frame belongs to a term")]
fn a_frame_without_a_term_is_not_written() {
    let _ = encode_frame(&mut [0; 64], AT, Term::NONE, &message_fields(), &[]);
}

#[test]
#[should_panic(expected = "starts the term that it belongs to")]
fn a_new_term_of_another_term_is_not_written() {
    let fields = FrameFields { kind: FrameKind::NewTerm, ..message_fields() };
    let _ = encode_frame(&mut [0; 128], AT, Term(3), &fields, &[2; 24]);
}

#[test]
#[should_panic(expected = "starts the term that it belongs to")]
fn a_new_term_that_is_not_later_is_not_written() {
    let _ = encode_new_term(
        &mut [0; 128],
        AT,
        NewTerm { term: Term(2), previous: Term(2), leader: NodeId(1) },
        0,
    );
}
