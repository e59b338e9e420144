//! The test vectors in `tests/data/wire`, which decoders in every language read. In go the files as they are.
//! Checked: they are what this crate makes of the cases below, decoder and slow twin read the good ones as written,
//! and both refuse the bad ones with the error named.
//!
//! `REGENERATE_VECTORS=1` rewrites the files; the difference is to be read before it is committed.

mod support;
mod vectors {
    pub(crate) mod body_cases;
    pub(crate) mod frame_cases;
    pub(crate) mod peer_cases;
}

use std::path::PathBuf;

use sequencer_wire::{Body, ClusterId, FrameKind, Position, Term, decode_frame, decode_peer};
use serde_json::Value;
use support::{body_examples, body_json, build, error_name, twin_body, twin_frame, twin_peer};
use vectors::{body_cases, frame_cases, peer_cases};

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../../tests/data/wire", name].iter().collect()
}

/// The file as it is, after it was compared with `made` or, when asked, rewritten.
fn compared(name: &str, made: &Value) -> Value {
    let path = file(name);
    if std::env::var("REGENERATE_VECTORS").is_ok_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(made).expect("a JSON value has a text");
        let folder = path.parent().expect("the file is in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text + "\n"))
            .expect("write the vectors");
    }
    let text = std::fs::read_to_string(&path).expect("read the vectors; REGENERATE_VECTORS=1 makes them");
    let found: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    assert_eq!(found, *made, "{name} differs from the cases; REGENERATE_VECTORS=1 rewrites it");
    found
}

fn bytes(case: &Value) -> Vec<u8> {
    unhex(case["hex"].as_str().expect("hex digits"))
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hex digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} is a number in {case}"))
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().expect("a list of cases")
}

#[test]
fn frames() {
    let file = compared("frames.json", &frame_cases::made());
    for case in list(&file, "good") {
        let (bytes, at, previous) = (bytes(case), number(case, "position"), number(case, "previous_term"));
        let frame = decode_frame(&bytes, Position(at), Term(previous));
        let frame = frame.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        assert_eq!(frame_cases::described(&frame), case["decoded"], "{}", case["name"]);
        assert!(twin_frame::decode(&bytes, at, previous).is_ok_and(|twin| twin.term == frame.term.0));
        let again = build::frame(at, frame.term.0, &frame.fields, frame.payload);
        assert_eq!(again, frame.bytes, "{}", case["name"]);
        assert!(bytes.starts_with(frame.bytes));
    }
    for case in list(&file, "bad") {
        let (bytes, at, previous) = (bytes(case), number(case, "position"), number(case, "previous_term"));
        let error = decode_frame(&bytes, Position(at), Term(previous)).expect_err("a bad frame");
        assert_eq!(error_name(&error), case["error"], "{}", case["name"]);
        assert_eq!(error.is_damage(), case["is_damage"], "{}", case["name"]);
        let twin = twin_frame::decode(&bytes, at, previous).expect_err("a bad frame");
        assert_eq!(twin, case["error"], "{}", case["name"]);
    }
    for case in list(&file, "crc32c") {
        let crc = number(case, "crc32c") as u32;
        assert_eq!(support::twin_crc::crc32c(bytes(case)), crc);
        assert_eq!(crc32c::crc32c(&bytes(case)), crc);
    }
}

#[test]
fn peer_messages() {
    let file = compared("peer.json", &peer_cases::made());
    let cluster = |case: &Value| {
        let digits = case["cluster"].as_str().expect("hex digits");
        ClusterId(unhex(digits).try_into().expect("16 bytes"))
    };
    for case in list(&file, "good") {
        let bytes = bytes(case);
        let decoded = decode_peer(&bytes, cluster(case));
        let (envelope, message, taken) = decoded.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        assert_eq!(taken, bytes.len());
        assert_eq!(peer_cases::described(&envelope, &message), case["decoded"], "{}", case["name"]);
        assert!(
            twin_peer::decode(&bytes, cluster(case).0).is_ok_and(|twin| twin.kind == message.kind() as u8)
        );
        assert_eq!(build::peer_bytes(&envelope, &message), bytes, "{}", case["name"]);
    }
    for case in list(&file, "bad") {
        let bytes = bytes(case);
        let error = decode_peer(&bytes, cluster(case)).expect_err("a bad message");
        assert_eq!(error_name(&error), case["error"], "{}", case["name"]);
        assert_eq!(error.is_damage(), case["is_damage"], "{}", case["name"]);
        let twin = twin_peer::decode(&bytes, cluster(case).0).expect_err("a bad message");
        assert_eq!(twin, case["error"], "{}", case["name"]);
    }
}

#[test]
fn bodies() {
    let file = compared("bodies.json", &body_cases::made());
    let kind = |case: &Value| FrameKind::try_from(number(case, "kind") as u8).expect("a known kind");
    for case in list(&file, "good") {
        let (bytes, kind) = (bytes(case), kind(case));
        let body = Body::decode(kind, &bytes).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        assert_eq!(body_json::described(&body), case["decoded"], "{}", case["name"]);
        assert_eq!(twin_body::decode(kind as u8, &bytes).as_ref(), Ok(&case["decoded"]), "{}", case["name"]);
        assert_eq!((body.kind(), body_examples::encoded(&body)), (kind, bytes), "{}", case["name"]);
    }
    for case in list(&file, "bad") {
        let (bytes, kind) = (bytes(case), kind(case));
        let error = Body::decode(kind, &bytes).expect_err("a bad body");
        let fault = serde_json::json!({"error": case["error"], "facts": case["facts"]});
        assert_eq!(body_json::fault(&error), fault, "{}", case["name"]);
        assert_eq!(twin_body::decode(kind as u8, &bytes), Err(fault), "{}", case["name"]);
    }
}
