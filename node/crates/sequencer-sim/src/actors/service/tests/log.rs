//! A log written frame by frame, of one leader, one session and one service.

use sequencer_wire::{
    BODY_BYTES_MAX, Body, FrameFields, Frames, NewTerm, NodeId, Position, Progress, Promote, Query, Rollback,
    Schema, SchemaOwner, Service, SessionOpen, Term, encode_frame,
};

use crate::actors::operator::output_schema;
use crate::actors::service::machine::Emitted;
use crate::profile::MS;

pub(super) const SERVICE: u32 = 1;
const SESSION: u32 = 1;
const TERM: Term = Term(1);

/// See the module's description. Time stands still until `pass` lets it go on.
#[derive(Clone)]
pub(super) struct TestLog {
    pub(super) bytes: Vec<u8>,
    now_ns: u64,
    sequence: u64,
}

/// What the frames of a test say in their headers; the rest is 0.
#[derive(Default, Clone, Copy)]
struct Header {
    source_id: u32,
    epoch: u32,
    sequence: u64,
    cause: Position,
    schema: (u16, u16),
}

impl TestLog {
    /// A leader, a session, and a service of version 1 with its schema.
    pub(super) fn new() -> Self {
        let mut log = Self { bytes: Vec::new(), now_ns: 1_000 * MS, sequence: 0 };
        let leader = NodeId(1);
        let new_term = NewTerm { term: TERM, previous: Term::NONE, leader };
        log.write(Header { source_id: leader.0, ..Header::default() }, &Body::NewTerm(new_term));
        let open = SessionOpen { timeout_ns: 60_000 * MS, group: 0, class: 7, name: "tester" };
        log.write(Header { source_id: SESSION, epoch: 1, ..Header::default() }, &Body::SessionOpen(open));
        let service = Service { version: 1, hold_bytes_max: 1 << 40, tick_ns: 0, agree: 1, name: "tested" };
        log.write(of(0), &Body::Service(service));
        let Schema { id, version, .. } = output_schema(SERVICE);
        let schema = Schema { id, version, owner: SchemaOwner::Service(SERVICE) };
        log.write(Header::default(), &Body::Schema(schema));
        log
    }

    pub(super) fn end(&self) -> Position {
        Position(self.bytes.len() as u64)
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = sequencer_wire::Frame<'_>> + Clone {
        Frames::new(&self.bytes, Position(0), Term::NONE).map(|frame| frame.expect("it was just written"))
    }

    /// Log time passes.
    pub(super) fn pass(&mut self, ns: u64) -> &mut Self {
        self.now_ns += ns;
        self
    }

    /// Appends a frame and says where it stands.
    fn write(&mut self, header: Header, body: &Body<'_>) -> Position {
        let mut payload = vec![0; body.payload_bytes()];
        body.encode(&mut payload);
        let fields = FrameFields {
            kind: body.kind(),
            flags: 0,
            source_id: header.source_id,
            source_sequence: header.sequence,
            timestamp_ns: self.now_ns,
            cause: header.cause,
            schema_id: header.schema.0,
            schema_version: header.schema.1,
            epoch: header.epoch,
        };
        let at = self.end();
        let mut bytes = vec![0; 64 + BODY_BYTES_MAX.max(payload.len())];
        let length = encode_frame(&mut bytes, at, TERM, &fields, &payload).expect("it fits");
        self.bytes.extend_from_slice(&bytes[..length]);
        at
    }

    fn of_session(&mut self) -> Header {
        self.sequence += 1;
        Header { source_id: SESSION, epoch: 1, sequence: self.sequence, ..Header::default() }
    }

    pub(super) fn message(&mut self, number: u64) -> Position {
        let header = self.of_session();
        self.write(header, &Body::Message(&number.to_le_bytes()))
    }

    pub(super) fn messages(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.message(number);
        }
    }

    pub(super) fn query(&mut self, service: u32, number: u64) -> Position {
        let header = self.of_session();
        self.write(header, &Body::Query(Query { service, request: &number.to_le_bytes() }))
    }

    pub(super) fn tick(&mut self) -> Position {
        self.write(Header::default(), &Body::Tick)
    }

    pub(super) fn promote(&mut self, epoch: u32, version: u64, at: Position) -> Position {
        self.write(of(epoch), &Body::Promote(Promote { version, at }))
    }

    pub(super) fn rollback(&mut self, epoch: u32, at: Position) -> Position {
        self.write(of(epoch), &Body::Rollback(Rollback { at }))
    }

    pub(super) fn cancel(&mut self, epoch: u32) -> Position {
        self.write(of(epoch), &Body::Cancel)
    }

    pub(super) fn skip(&mut self, cause: Position) -> Position {
        self.write(Header { cause, ..of(0) }, &Body::Skip)
    }

    pub(super) fn progress(&mut self, epoch: u32, applied: Position, k: u64, digest: u64) -> Position {
        let header = Header { sequence: k, cause: applied, ..of(epoch) };
        self.write(header, &Body::Progress(Progress { digest }))
    }

    /// An output, as the leader admits it.
    pub(super) fn output(&mut self, output: &Emitted) -> Position {
        let Emitted { epoch, k, cause, schema_id, payload, is_end, .. } = output;
        let schema = (*schema_id, u16::from(*schema_id > 0));
        let body = if *is_end { Body::OutputEnd } else { Body::Output(payload) };
        self.write(Header { sequence: *k, cause: *cause, schema, ..of(*epoch) }, &body)
    }

    /// All outputs, in order.
    pub(super) fn outputs(&mut self, outputs: &[Emitted]) {
        for output in outputs {
            self.output(output);
        }
    }
}

/// A frame of the service.
fn of(epoch: u32) -> Header {
    Header { source_id: SERVICE, epoch, ..Header::default() }
}
