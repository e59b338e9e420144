//! The cases of `peer.json`.

use sequencer_wire::{
    ClusterId, Envelope, LogEnd, LogHealth, PeerMessage, Position, Term, TermStart, TermStarts, decode_peer,
};
use serde_json::{Value, json};

use super::frame_cases::hex;
use crate::support::build::{CLUSTER, envelope, frame, message_fields, new_term, peer_bytes};
use crate::support::{error_name, mutate::reseal_peer};

fn end_value(end: LogEnd) -> Value {
    json!({"term": end.term.0, "position": end.position.0})
}

/// What a decoder should find in a message.
pub(crate) fn described(envelope: &Envelope, message: &PeerMessage<'_>) -> Value {
    let body = match *message {
        PeerMessage::PreVoteRequest { last } => json!({"last": end_value(last)}),
        PeerMessage::PreVoteResponse { granted } => json!({"granted": granted}),
        PeerMessage::VoteRequest { last, transfer } => json!({"last": end_value(last), "transfer": transfer}),
        PeerMessage::VoteResponse { granted, wall_ns } => json!({"granted": granted, "wall_ns": wall_ns}),
        PeerMessage::Append { previous, commit, round, frames } => json!({
            "previous": end_value(previous), "commit": commit.0, "round": round, "frames": hex(frames),
        }),
        PeerMessage::AppendAccepted { matched, durable, round, low_space } => {
            json!({"matched": matched.0, "durable": durable.0, "round": round, "low_space": low_space})
        }
        PeerMessage::SnapshotChunk { last, total_bytes, offset, round, bytes } => json!({
            "last": end_value(last), "total_bytes": total_bytes, "offset": offset, "round": round, "bytes": hex(bytes),
        }),
        PeerMessage::SnapshotReceived { position, offset, round } => {
            json!({"position": position.0, "offset": offset, "round": round})
        }
        PeerMessage::AppendRejected { previous, end, round, terms } => {
            let entry = |entry: &TermStart| json!({"term": entry.term.0, "start": entry.start.0});
            let terms: Vec<Value> = terms.as_slice().iter().map(entry).collect();
            json!({"previous": previous.0, "end": end.0, "round": round, "terms": terms})
        }
        PeerMessage::TimeoutNow { end } => json!({"end": end_value(end)}),
        PeerMessage::StatusRequest { nonce } => json!({"nonce": nonce}),
        PeerMessage::StatusResponse { nonce, health, last } => {
            json!({"nonce": nonce, "health": health.name(), "last": end_value(last)})
        }
    };
    json!({
        "kind": message.kind() as u8,
        "kind_name": message.kind().name(),
        "from": envelope.from.0,
        "to": envelope.to.0,
        "term": envelope.term.0,
        "body": body,
    })
}

fn good(name: &str, message: &PeerMessage<'_>) -> Value {
    let envelope = envelope(1, 2, 9);
    json!({
        "name": name,
        "hex": hex(&peer_bytes(&envelope, message)),
        "cluster": hex(&CLUSTER.0),
        "decoded": described(&envelope, message),
    })
}

fn bad(name: &str, bytes: &[u8], cluster: ClusterId) -> Value {
    let error = decode_peer(bytes, cluster).expect_err("a bad message");
    json!({
        "name": name,
        "hex": hex(bytes),
        "cluster": hex(&cluster.0),
        "error": error_name(&error),
        "is_damage": error.is_damage(),
    })
}

const LAST: LogEnd = LogEnd { term: Term(8), position: Position(4096) };

fn term_starts(count: u64) -> TermStarts {
    let mut terms = TermStarts::new();
    for number in 1..=count {
        terms.push(TermStart { term: Term(number * 2), start: Position((number - 1) * 512) });
    }
    terms
}

fn rejected(count: u64) -> PeerMessage<'static> {
    let (previous, end) = (Position(8192), Position(4096));
    PeerMessage::AppendRejected { previous, end, round: 6, terms: term_starts(count) }
}

fn chunk(total_bytes: u64, offset: u64, bytes: &[u8]) -> PeerMessage<'_> {
    PeerMessage::SnapshotChunk { last: LAST, total_bytes, offset, round: 6, bytes }
}

fn good_cases() -> Vec<Value> {
    let mut frames = new_term(4096, 9, 8, 1, 1_700_000_002_000_000_000);
    frames.extend(frame(4168, 9, &message_fields(), b"hello"));
    let (commit, round) = (Position(3000 * 8), 5);
    let append = |frames| PeerMessage::Append { previous: LAST, commit, round, frames };
    let status = |health| PeerMessage::StatusResponse { nonce: 77, health, last: LAST };
    vec![
        good("pre-vote request", &PeerMessage::PreVoteRequest { last: LAST }),
        good("pre-vote request with an empty log", &PeerMessage::PreVoteRequest { last: LogEnd::default() }),
        good("pre-vote granted", &PeerMessage::PreVoteResponse { granted: true }),
        good("pre-vote refused", &PeerMessage::PreVoteResponse { granted: false }),
        good("vote request", &PeerMessage::VoteRequest { last: LAST, transfer: false }),
        good("vote request after a transfer", &PeerMessage::VoteRequest { last: LAST, transfer: true }),
        good("vote granted", &PeerMessage::VoteResponse { granted: true, wall_ns: u64::MAX }),
        good("vote refused", &PeerMessage::VoteResponse { granted: false, wall_ns: 1 }),
        good("heartbeat", &append(&[])),
        good("append of two frames", &append(&frames)),
        good(
            "append accepted",
            &PeerMessage::AppendAccepted {
                matched: Position(4224),
                durable: Position(4096),
                round,
                low_space: false,
            },
        ),
        good(
            "append accepted by a node without room",
            &PeerMessage::AppendAccepted {
                matched: Position(8),
                durable: Position(8),
                round,
                low_space: true,
            },
        ),
        good("a piece of a snapshot", &chunk(1000, 995, b"bytes")),
        good("a snapshot without bytes", &chunk(0, 0, b"")),
        good(
            "part of a snapshot received",
            &PeerMessage::SnapshotReceived { position: Position(4096), offset: 1000, round },
        ),
        good("append rejected by an empty log", &rejected(0)),
        good("append rejected with three terms", &rejected(3)),
        good("append rejected with the most terms", &rejected(32)),
        good("timeout now", &PeerMessage::TimeoutNow { end: LAST }),
        good("status request", &PeerMessage::StatusRequest { nonce: 77 }),
        good("status: clean", &status(LogHealth::Clean)),
        good("status: doubtful", &status(LogHealth::Doubtful)),
        good("status: damaged", &status(LogHealth::Damaged)),
    ]
}

/// A message with some bytes changed and, when asked, the right checksum for what it then is.
fn spoiled(message: &PeerMessage<'_>, changes: &[(usize, u8)], seal: bool) -> Vec<u8> {
    let mut bytes = peer_bytes(&envelope(1, 2, 9), message);
    for (offset, value) in changes {
        bytes[*offset] = *value;
    }
    if seal {
        reseal_peer(&mut bytes);
    }
    bytes
}

fn bad_cases() -> Vec<Value> {
    let request = PeerMessage::PreVoteRequest { last: LAST };
    let whole = spoiled(&request, &[], false);
    let response = PeerMessage::PreVoteResponse { granted: true };
    let status = PeerMessage::StatusResponse { nonce: 77, health: LogHealth::Clean, last: LAST };
    let accepted =
        PeerMessage::AppendAccepted { matched: Position(8), durable: Position(8), round: 5, low_space: true };
    let append = PeerMessage::Append { previous: LAST, commit: Position::START, round: 5, frames: &[] };
    let mut short_append = spoiled(&append, &[(0, 72)], false);
    short_append.truncate(72);
    reseal_peer(&mut short_append);
    let mut too_many = spoiled(&rejected(32), &[(0, 0x60), (1, 2), (72, 33)], false);
    too_many.extend([[0xFF; 8], [0xF8, 0xFF, 0, 0, 0, 0, 0, 0]].concat());
    reseal_peer(&mut too_many);
    vec![
        bad("nothing", b"", CLUSTER),
        bad("an envelope without its end", &whole[..47], CLUSTER),
        bad("a message without its last byte", &whole[..63], CLUSTER),
        bad("a length of 47", &spoiled(&request, &[(0, 47)], false), CLUSTER),
        bad(
            "a length of one more than the most",
            &spoiled(&request, &[(0, 1), (1, 4), (2, 64)], false),
            CLUSTER,
        ),
        bad("a flipped bit of the envelope", &spoiled(&request, &[(12, 0)], false), CLUSTER),
        bad("a flipped bit of the body", &spoiled(&request, &[(48, 9)], false), CLUSTER),
        bad("a flipped bit of an append's body", &spoiled(&append, &[(79, 1)], false), CLUSTER),
        bad("version 2", &spoiled(&request, &[(8, 2)], true), CLUSTER),
        bad("kind 0", &spoiled(&request, &[(9, 0)], true), CLUSTER),
        bad("kind 13", &spoiled(&request, &[(9, 13)], true), CLUSTER),
        bad(
            "a piece that lies outside of its snapshot",
            &spoiled(&chunk(1000, 995, b"bytes"), &[(72, 228)], true),
            CLUSTER,
        ),
        bad("low space is 2", &spoiled(&accepted, &[(72, 2)], true), CLUSTER),
        bad("a flag", &spoiled(&request, &[(11, 1)], true), CLUSTER),
        bad("reserved bytes in use", &spoiled(&request, &[(23, 1)], true), CLUSTER),
        bad("another cluster", &whole, ClusterId(*b"test cluster 002")),
        bad("a body too long for its kind", &spoiled(&request, &[(9, 2)], true), CLUSTER),
        bad("a body too short for its kind", &spoiled(&request, &[(9, 3)], true), CLUSTER),
        bad("an append with 24 bytes of body", &short_append, CLUSTER),
        bad("granted is 2", &spoiled(&response, &[(48, 2)], true), CLUSTER),
        bad("bytes beside granted in use", &spoiled(&response, &[(55, 1)], true), CLUSTER),
        bad("health is 3", &spoiled(&status, &[(72, 3)], true), CLUSTER),
        bad("a position that is not a multiple of 8", &spoiled(&request, &[(56, 4)], true), CLUSTER),
        bad("33 term starts", &too_many, CLUSTER),
        bad("fewer term starts than counted", &spoiled(&rejected(3), &[(72, 4)], true), CLUSTER),
        bad("more term starts than counted", &spoiled(&rejected(3), &[(72, 2)], true), CLUSTER),
        bad("bytes beside the count in use", &spoiled(&rejected(3), &[(76, 1)], true), CLUSTER),
        bad("a first term of 0", &spoiled(&rejected(3), &[(80, 0)], true), CLUSTER),
        bad("a term twice", &spoiled(&rejected(3), &[(96, 2)], true), CLUSTER),
        bad("two terms at one position", &spoiled(&rejected(3), &[(105, 0)], true), CLUSTER),
    ]
}

/// The whole file.
pub(crate) fn made() -> Value {
    json!({
        "about": "Peer messages; docs/reference/wire.md explains the layout. Numbers reach to 2^64 - 1.",
        "good": good_cases(),
        "bad": bad_cases(),
    })
}
