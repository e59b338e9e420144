//! A log that uses every kind of frame and breaks nothing.

use sequencer_wire::MemberRole::{Learner, Voter};
use sequencer_wire::{
    Body, CloseReason, Diverged, Divergence, Position, Progress, Query, Retention, Schema, SchemaOwner,
    SnapshotMarker, SnapshotStep,
};

use super::script::{Header, Script, TIMEOUT_NS, caused, numbered, of};
use crate::checker::rules::{Listed, hash};

const GROUP: u32 = 5;
const SERVICE: u32 = 4;

/// Members, schemas and a service.
fn begin(script: &mut Script) -> Position {
    script.list(4, &[(1, Voter), (2, Voter), (3, Voter)]);
    script.list(5, &[(1, Voter), (2, Voter), (3, Voter), (4, Learner)]);
    script.write(Header::default(), Body::ClusterVersion(b"1"));
    for (id, owner) in [(1, SchemaOwner::Class(7)), (2, SchemaOwner::Service(SERVICE))] {
        script.write(Header::default(), Body::Schema(Schema { id, version: 1, owner }));
    }
    script.service(SERVICE)
}

/// A client that loses its connection and a gateway that dies. Returns where a message and a query stand.
fn people(script: &mut Script) -> (Position, Position) {
    script.open(1, 1, "client");
    let payload = script.number().to_le_bytes();
    let message = script.write(Header { schema: (1, 1), ..numbered(1, 1, 1) }, Body::Message(&payload));
    script.open(1, 2, "client");
    let request = script.number().to_le_bytes();
    let query = script.write(numbered(1, 2, 2), Body::Query(Query { service: SERVICE, request: &request }));
    script.open_in(GROUP, 2, 1, "east");
    script.open_in(GROUP, 3, 1, "west");
    script.grant(GROUP, 1, 2, 1);
    script.message(2, 1, 1);
    script.lead(2);
    script.pass(TIMEOUT_NS).close(2, 1, CloseReason::Expired);
    script.message(1, 2, 3);
    script.pass(TIMEOUT_NS).grant(GROUP, 2, 3, 1);
    script.message(3, 2, 1);
    script.close(2, 1, CloseReason::Evicted);
    script.open(4, 1, "another");
    (message, query)
}

/// Two switches, and what the service says meanwhile. Returns its outputs.
fn service(script: &mut Script, causes: (Position, Position)) -> Vec<Listed> {
    let (message, query) = causes;
    let output = Body::Output(b"output");
    script.write(Header { schema: (2, 1), ..caused(SERVICE, 1, 1, message) }, output);
    script.promote(SERVICE, 2, 2, script.at.advanced(8_000));
    script.cancel(SERVICE, 2);
    let first = script.promote(SERVICE, 3, 3, Position(0));
    let second = script.rollback(SERVICE, 4, Position(0));
    let poison = script.message(1, 2, 4);
    script.write(caused(SERVICE, 0, 0, poison), Body::Skip);
    script.output(SERVICE, 1, 2, query);
    script.end(SERVICE, 1, 3, first);
    script.output(SERVICE, 3, 1, first);
    script.end(SERVICE, 3, 2, second);
    script.output(SERVICE, 4, 1, poison);
    script.write(caused(SERVICE, 4, 1, poison), Body::Progress(Progress { digest: 1 }));
    let report = Divergence { replica: 9, what: Diverged::Digest, expected: 1, actual: 2 };
    script.write(caused(SERVICE, 4, 1, poison), Body::Divergence(report));
    let (some, none) = (hash(b"output"), hash(b""));
    vec![
        (1, 1, message, some, false),
        (1, 2, query, some, false),
        (1, 3, first, none, true),
        (3, 1, first, some, false),
        (3, 2, second, none, true),
        (4, 1, poison, some, false),
    ]
}

/// Snapshots, pins, the archive, and a floor below all of them.
fn trim(script: &mut Script) {
    let end = script.at;
    let wanted = SnapshotMarker { what: SnapshotStep::Wanted, position: Position(0) };
    let verified = SnapshotMarker { what: SnapshotStep::Verified, position: end };
    script.write(of(SERVICE, 0), Body::SnapshotMarker(wanted));
    script.write(of(SERVICE, 0), Body::SnapshotMarker(verified));
    let pin = Retention::Pin { id: 1, position: Position(64), bytes_max: 1 << 30 };
    for retention in [pin, Retention::Archived { to: end }, Retention::Unpin { id: 1 }] {
        script.write(Header::default(), Body::Retention(retention));
    }
    script.tick();
    script.trim(end);
}

#[test]
fn a_log_that_uses_everything_breaks_nothing() {
    let mut script = Script::new();
    begin(&mut script);
    let causes = people(&mut script);
    let outputs = service(&mut script, causes);
    trim(&mut script);
    assert_eq!(script.rules.check_outputs(SERVICE, &outputs, script.at), Ok(()));
    assert_eq!(script.rules.service(SERVICE).map(|model| model.pending()), Some(vec![]));
}
