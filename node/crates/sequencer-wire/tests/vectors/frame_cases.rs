//! The cases of `frames.json`.

use sequencer_wire::{Frame, FrameFields, FrameKind, Position, Term, decode_frame};
use serde_json::{Value, json};

use crate::support::build::{frame, message_fields, new_term};
use crate::support::{error_name, mutate::reseal_frame, twin_crc};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a decoder should find in a frame.
pub(crate) fn described(frame: &Frame<'_>) -> Value {
    let fields = frame.fields;
    let mut value = json!({
        "term": frame.term.0,
        "end": frame.end().0,
        "kind": fields.kind as u8,
        "kind_name": fields.kind.name(),
        "flags": fields.flags,
        "source_id": fields.source_id,
        "source_sequence": fields.source_sequence,
        "timestamp_ns": fields.timestamp_ns,
        "cause": fields.cause.0,
        "schema_id": fields.schema_id,
        "schema_version": fields.schema_version,
        "epoch": fields.epoch,
        "payload": hex(frame.payload),
    });
    if let Some(start) = frame.new_term() {
        value["new_term"] =
            json!({"term": start.term.0, "previous": start.previous.0, "leader": start.leader.0});
    }
    value
}

fn good(name: &str, bytes: &[u8], at: u64, previous: u64) -> Value {
    let frame = decode_frame(bytes, Position(at), Term(previous)).expect("a good frame");
    json!({
        "name": name,
        "hex": hex(bytes),
        "position": at,
        "previous_term": previous,
        "decoded": described(&frame),
    })
}

fn bad(name: &str, bytes: &[u8], at: u64, previous: u64) -> Value {
    let error = decode_frame(bytes, Position(at), Term(previous)).expect_err("a bad frame");
    json!({
        "name": name,
        "hex": hex(bytes),
        "position": at,
        "previous_term": previous,
        "error": error_name(&error),
        "is_damage": error.is_damage(),
    })
}

fn good_cases() -> Vec<Value> {
    let fields = message_fields();
    let first = new_term(0, 1, 0, 1, 1_700_000_000_000_000_000);
    let most = FrameFields {
        kind: FrameKind::ClusterVersion,
        flags: 0,
        source_id: u32::MAX,
        source_sequence: u64::MAX,
        timestamp_ns: u64::MAX,
        cause: Position(u64::MAX),
        schema_id: u16::MAX,
        schema_version: u16::MAX,
        epoch: u32::MAX,
    };
    let mut cases = vec![
        good("the first frame of a log", &first, 0, 0),
        good("a message in term 1", &frame(72, 1, &fields, b"hello"), 72, 1),
        good("no payload", &frame(128, 1, &fields, b""), 128, 1),
        good("no padding", &frame(176, 1, &fields, b"12345678"), 176, 1),
        good("seven bytes of padding", &frame(232, 1, &fields, b"9"), 232, 1),
        good("a later term", &new_term(288, 7, 1, 3, 1_700_000_001_000_000_000), 288, 1),
        good("288 bytes of payload", &frame(360, 7, &fields, &[0xAB; 288]), 360, 7),
        good("every field at its most", &frame(1 << 62, u64::MAX, &most, b"\xFF\xFF"), 1 << 62, u64::MAX),
        good(
            "bytes after the frame do not count",
            &[&frame(72, 1, &fields, b"hello")[..], b"!"].concat(),
            72,
            1,
        ),
    ];
    for kind in FrameKind::ALL.into_iter().skip(1) {
        let bytes = frame(4096, 2, &FrameFields { kind, ..fields }, kind.name().as_bytes());
        cases.push(good(&format!("kind {kind}"), &bytes, 4096, 2));
    }
    cases
}

/// A frame with some bytes changed and, when asked, the right checksum for what it then is.
fn spoiled(bytes: &[u8], changes: &[(usize, u8)], seal: Option<(u64, u64)>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (offset, value) in changes {
        bytes[*offset] = *value;
    }
    if let Some((at, previous)) = seal {
        reseal_frame(&mut bytes, at, previous);
    }
    bytes
}

fn bad_cases() -> Vec<Value> {
    let message = frame(72, 1, &message_fields(), b"hello");
    let start = new_term(288, 7, 1, 3, 1_700_000_001_000_000_000);
    let (of_message, of_start) = (Some((72, 1)), Some((288, 1)));
    vec![
        bad("nothing", b"", 72, 1),
        bad("three bytes of a length", &message[..3], 72, 1),
        bad("a header without its end", &message[..47], 72, 1),
        bad("a frame without its last byte of padding", &message[..55], 72, 1),
        bad("zeros, as in space never written", &[0; 64], 72, 1),
        bad("a length of 47", &spoiled(&message, &[(0, 47)], None), 72, 1),
        bad("a length of one more than the most", &spoiled(&message, &[(0, 1), (2, 16)], None), 72, 1),
        bad("a position too close to the last", &message, u64::MAX - 48, 1),
        bad("a flipped bit of the payload", &spoiled(&message, &[(48, b'i')], None), 72, 1),
        bad("a flipped bit of the padding", &spoiled(&message, &[(55, 1)], None), 72, 1),
        bad("a flipped bit of the length", &spoiled(&message, &[(0, 52)], None), 72, 1),
        bad("a flipped bit of the checksum", &spoiled(&message, &[(4, message[4] ^ 1)], None), 72, 1),
        bad("an unknown kind that is damage", &spoiled(&message, &[(9, 23)], None), 72, 1),
        bad("the right frame at a wrong position", &message, 80, 1),
        bad("the right frame in a wrong term", &message, 72, 2),
        bad(
            "a message flipped into a new term too short to name one",
            &spoiled(&message, &[(9, 1)], None),
            72,
            1,
        ),
        bad("a message at the start of a log", &message, 72, 0),
        bad("version 2", &spoiled(&message, &[(8, 2)], of_message), 72, 1),
        bad("kind 0", &spoiled(&message, &[(9, 0)], of_message), 72, 1),
        bad("kind 23", &spoiled(&message, &[(9, 23)], of_message), 72, 1),
        bad("a flag", &spoiled(&message, &[(10, 1)], of_message), 72, 1),
        bad("padding in use", &spoiled(&message, &[(55, 1)], of_message), 72, 1),
        bad("version 2 is told before kind 23", &spoiled(&message, &[(8, 2), (9, 23)], of_message), 72, 1),
        bad("a new term with 5 bytes of payload", &spoiled(&message, &[(9, 1)], of_message), 72, 1),
        bad("a new term with 23 bytes of payload", &spoiled(&start, &[(0, 71)], of_start), 288, 1),
        bad("reserved bytes of a new term in use", &spoiled(&start, &[(68, 1)], of_start), 288, 1),
        bad("a new term after another term than it says", &start, 288, 2),
        bad("a new term that is not later", &spoiled(&start, &[(48, 1)], of_start), 288, 1),
        bad("a new term at a wrong position", &start, 296, 1),
    ]
}

/// The whole file.
pub(crate) fn made() -> Value {
    let crc = |bytes: &[u8]| json!({"hex": hex(bytes), "crc32c": twin_crc::crc32c(bytes.iter().copied())});
    json!({
        "about": "Frames of the log; docs/reference/wire.md explains the layout. Numbers reach to 2^64 - 1.",
        "crc32c": [crc(b""), crc(b"123456789"), crc(&[0; 32]), crc(&[0xFF; 32])],
        "good": good_cases(),
        "bad": bad_cases(),
    })
}
