//! Who may use a schema.

use sequencer_wire::{Body, Query, Schema, SchemaOwner};

use super::Script;
use super::script::{Header, caused, numbered};

const OWNER: &str = "only its owner uses a schema";

fn schema(id: u16, version: u16, owner: SchemaOwner) -> Body<'static> {
    Body::Schema(Schema { id, version, owner })
}

#[test]
fn sessions_use_the_schemas_of_their_class() {
    let mut script = Script::new();
    script.open(1, 1, "ann");
    let payload = script.number().to_le_bytes();
    let with = |schema| Header { schema, ..numbered(1, 1, 1) };
    script.breaks(OWNER, with((9, 1)), Body::Message(&payload));
    script.write(Header::default(), schema(9, 1, SchemaOwner::Class(8)));
    script.breaks(OWNER, with((9, 1)), Body::Message(&payload));
    script.write(Header::default(), schema(9, 1, SchemaOwner::Service(7)));
    script.breaks(OWNER, with((9, 1)), Body::Message(&payload));
    script.write(Header::default(), schema(9, 2, SchemaOwner::Class(7)));
    script.breaks(OWNER, with((9, 3)), Body::Message(&payload));
    script.write(with((9, 1)), Body::Message(&payload));
}

#[test]
fn queries_use_them_too() {
    let mut script = Script::new();
    script.open(1, 1, "ann");
    script.service(4);
    let request = script.number().to_le_bytes();
    let header = Header { schema: (9, 1), ..numbered(1, 1, 1) };
    script.breaks(OWNER, header, Body::Query(Query { service: 4, request: &request }));
}

#[test]
fn services_use_their_own_schemas() {
    let mut script = Script::new();
    script.service(4);
    let cause = script.tick();
    let header = Header { schema: (9, 1), ..caused(4, 1, 1, cause) };
    script.breaks(OWNER, header, Body::Output(b"output"));
    script.write(Header::default(), schema(9, 1, SchemaOwner::Service(5)));
    script.breaks(OWNER, header, Body::Output(b"output"));
    script.write(Header::default(), schema(9, 1, SchemaOwner::Class(4)));
    script.breaks(OWNER, header, Body::Output(b"output"));
    script.write(Header::default(), schema(9, 1, SchemaOwner::Service(4)));
    script.write(header, Body::Output(b"output"));
}

#[test]
fn versions_of_a_schema_rise() {
    let mut script = Script::new();
    script.write(Header::default(), schema(9, 2, SchemaOwner::Class(7)));
    let older = schema(9, 1, SchemaOwner::Class(7));
    script.breaks("versions of a schema rise", Header::default(), older);
    assert_eq!(script.rules.schema_owner(9), Some(SchemaOwner::Class(7)));
    assert_eq!(script.rules.schema_owner(8), None);
}
