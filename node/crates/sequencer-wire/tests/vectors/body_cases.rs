//! The cases of `bodies.json`.

use sequencer_wire::{Body, FrameKind, Membership, NodeId};
use serde_json::{Value, json};

use super::frame_cases::hex;
use crate::support::body_examples::{self, encoded, members};
use crate::support::body_json;

fn good(name: &str, body: &Body<'_>) -> Value {
    json!({
        "name": name,
        "kind": body.kind() as u8,
        "kind_name": body.kind().name(),
        "hex": hex(&encoded(body)),
        "decoded": body_json::described(body),
    })
}

fn bad(name: &str, kind: FrameKind, bytes: &[u8]) -> Value {
    let error = Body::decode(kind, bytes).expect_err("a bad body");
    let mut case = body_json::fault(&error);
    case["name"] = name.into();
    case["kind"] = (kind as u8).into();
    case["kind_name"] = kind.name().into();
    case["hex"] = hex(bytes).into();
    case
}

/// The good body of this name with some bytes changed.
fn spoiled(name: &str, good_name: &str, changes: &[(usize, u8)]) -> Value {
    let (kind, mut bytes) = example(good_name);
    for (offset, value) in changes {
        bytes[*offset] = *value;
    }
    bad(name, kind, &bytes)
}

/// The good body of this name with its end cut off, or zeros added to it.
fn resized(name: &str, good_name: &str, by: isize) -> Value {
    let (kind, mut bytes) = example(good_name);
    bytes.resize(bytes.len().saturating_add_signed(by), 0);
    bad(name, kind, &bytes)
}

fn example(good_name: &str) -> (FrameKind, Vec<u8>) {
    let good = body_examples::good();
    let (_, body) = good.iter().find(|(name, _)| *name == good_name).expect("a good body of this name");
    (body.kind(), encoded(body))
}

fn bad_sizes() -> Vec<Value> {
    let by_one = body_examples::good().into_iter().flat_map(|(name, body)| {
        let varies =
            matches!(body, Body::Message(_) | Body::Output(_) | Body::ClusterVersion(_) | Body::Query(_));
        let longer = (!varies).then(|| resized(&format!("{name}, and a byte more"), name, 1));
        let shorter = (!varies && body.payload_bytes() > 0)
            .then(|| resized(&format!("{name}, without its last byte"), name, -1));
        longer.into_iter().chain(shorter)
    });
    by_one
        .chain([
            resized("a query of seven bytes", "a query without a question", -1),
            resized("nothing where a session should be", "a session with a name of one byte", -17),
            resized("a list without its count", "one voter", -25),
            resized("a service without the length of its name", "a service with a name of one byte", -2),
        ])
        .collect()
}

fn bad_cases() -> Vec<Value> {
    let (session, service) = ("a session with a name of one byte", "a service with a name of one byte");
    let (longest, most) =
        ("a session in a group, with the longest name", "the most members, nine of them voters");
    let (list, pin) = ("three voters and a learner", "a pin");
    let ten_voters = Membership { next_id: NodeId(99), members: members(16, 10) };
    let mut cases = bad_sizes();
    cases.extend([
        spoiled("reserved bytes of a new term in use", "a new term", &[(23, 1)]),
        spoiled("reserved bytes of a query in use", "a query", &[(7, 1)]),
        spoiled("what differs is 2", "a digest that differs", &[(4, 2)]),
        spoiled("bytes beside what differs in use", "a digest that differs", &[(7, 1)]),
        spoiled(
            "what differs is told before the bytes beside it",
            "a digest that differs",
            &[(4, 2), (7, 1)],
        ),
        spoiled("a name of no bytes", session, &[(14, 0)]),
        spoiled("a name of 65 bytes", longest, &[(14, 65)]),
        spoiled("a name of 256 bytes more", session, &[(15, 1)]),
        spoiled("a name of fewer bytes than there are", longest, &[(14, 63)]),
        spoiled("a name that starts with half a character", session, &[(16, 0xA9)]),
        spoiled("a name that ends with half a character", longest, &[(79, b'.')]),
        spoiled("half of a surrogate pair in a name", longest, &[(77, 0xED), (78, 0xA0), (79, 0x80)]),
        spoiled("a character in more bytes than it takes", longest, &[(77, 0xE0), (78, 0x80), (79, 0x80)]),
        spoiled("reason 4", "a session has expired", &[(0, 4)]),
        spoiled("bytes beside the reason in use", "a session has expired", &[(1, 1)]),
        spoiled("a role of no group", "a role", &[(0, 0)]),
        spoiled("step 2 of a snapshot", "a snapshot is verified", &[(0, 2)]),
        spoiled("bytes beside the step in use", "a snapshot is verified", &[(7, 1)]),
        spoiled("a position where a snapshot is wanted", "a snapshot is verified", &[(0, 0)]),
        spoiled("no members", list, &[(4, 0)]),
        spoiled("17 members", most, &[(4, 17)]),
        spoiled("2^24 members more", list, &[(7, 1)]),
        spoiled("fewer members than counted", list, &[(4, 5)]),
        spoiled("more members than counted", list, &[(4, 3)]),
        spoiled("a member with the id 0", list, &[(8, 0)]),
        spoiled("an id twice", list, &[(32, 2)]),
        spoiled("ids that descend", list, &[(56, 3)]),
        spoiled("an id that is the next one", list, &[(0, 8)]),
        spoiled("role 2", list, &[(84, 2)]),
        spoiled("bytes beside a role in use", list, &[(85, 1)]),
        spoiled("the role is told before the next id", list, &[(12, 2), (32, 0)]),
        spoiled("no voter", "one voter", &[(12, 1)]),
        bad("ten voters", FrameKind::Membership, &encoded(&Body::Membership(ten_voters))),
        spoiled("a schema with the id 0", "a schema of a service", &[(0, 0)]),
        spoiled("owner kind 2", "a schema of a class", &[(4, 2)]),
        spoiled("bytes beside the owner kind in use", "a schema of a class", &[(5, 1)]),
        spoiled("a class above 65535", "a schema of a class", &[(10, 1)]),
        spoiled(
            "bytes beside the owner kind are told before the class",
            "a schema of a class",
            &[(5, 1), (10, 1)],
        ),
        spoiled("bytes after the owner in use", "a schema of a class", &[(15, 1)]),
        spoiled("no output agrees", service, &[(24, 0)]),
        spoiled("reserved bytes of a service in use", service, &[(31, 1)]),
        spoiled("reserved bytes of a service are told before the name", service, &[(26, 0), (31, 1)]),
        spoiled("a service without a name", service, &[(26, 0)]),
        spoiled("a service with a name of half a character", service, &[(32, 0xC3)]),
        spoiled("what to keep is 3", pin, &[(0, 3)]),
        spoiled("bytes beside what to keep in use", pin, &[(1, 1)]),
        spoiled("bytes of a pin where the archive is meant", pin, &[(0, 0)]),
        spoiled("the id of a pin where the archive is meant", "no pin any more", &[(0, 0)]),
        spoiled("the position of a pin that is taken away", "archived", &[(0, 2)]),
        spoiled("bytes of a pin that is taken away", "no pin any more", &[(16, 1)]),
    ]);
    cases
}

/// The whole file.
pub(crate) fn made() -> Value {
    let good: Vec<Value> = body_examples::good().iter().map(|(name, body)| good(name, body)).collect();
    json!({
        "about": "Bodies of frames; docs/reference/wire.md explains the layouts. Numbers reach to 2^64 - 1.",
        "good": good,
        "bad": bad_cases(),
    })
}
