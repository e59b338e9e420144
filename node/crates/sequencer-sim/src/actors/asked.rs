//! Requests as they travel: with their bytes owned.

use sequencer_core::{MemberChange, Message, Open, Output, OutputEnd, Progress, Request};
use sequencer_wire::{Divergence, FrameKind, Position, Retention, Schema, Service, SnapshotMarker};

/// See [`Request`]; the fields are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Message {
        session: u32,
        epoch: u32,
        sequence: u64,
        cause: Position,
        schema_id: u16,
        schema_version: u16,
        payload: Vec<u8>,
    },
    Query {
        service: u32,
        session: u32,
        epoch: u32,
        sequence: u64,
        payload: Vec<u8>,
    },
    Open {
        name: String,
        class: u16,
        group: u32,
        timeout_ns: u64,
        resume: Option<u32>,
    },
    KeepAlive {
        session: u32,
        epoch: u32,
    },
    Close {
        session: u32,
        epoch: u32,
    },
    Output {
        service: u32,
        epoch: u32,
        k: u64,
        cause: Position,
        schema_id: u16,
        schema_version: u16,
        payload: Vec<u8>,
        replica: u32,
    },
    OutputEnd(OutputEnd),
    Progress(Progress),
    Divergence {
        service: u32,
        epoch: u32,
        k: u64,
        cause: Position,
        report: Divergence,
    },
    Control(Control),
}

/// What operators ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    Revoke { session: u32 },
    RegisterSchema(Schema),
    RegisterService { id: u32, name: String, version: u64, hold_bytes_max: u64, tick_ns: u64, agree: u16 },
    Promote { service: u32, version: u64, at: Position },
    Cancel { service: u32, epoch: u32 },
    Rollback { service: u32, at: Position },
    Skip { service: u32, position: Position },
    Snapshot { service: u32, marker: SnapshotMarker },
    Retain(Retention),
    Trim { floor: Position },
    Member(MemberChange),
    Encoded { kind: FrameKind, source_id: u32, body: Vec<u8> },
}

impl Asked {
    pub(crate) fn as_request(&self) -> Request<'_> {
        match *self {
            Asked::Message { session, epoch, sequence, cause, schema_id, schema_version, ref payload } => {
                Request::Message(Message {
                    session,
                    epoch,
                    sequence,
                    cause,
                    schema_id,
                    schema_version,
                    payload,
                })
            }
            Asked::Query { service, session, epoch, sequence, ref payload } => {
                let message = Message {
                    session,
                    epoch,
                    sequence,
                    cause: Position(0),
                    schema_id: 0,
                    schema_version: 0,
                    payload,
                };
                Request::Query { service, message }
            }
            Asked::Open { ref name, class, group, timeout_ns, resume } => {
                Request::Open(Open { name, class, group, timeout_ns, resume })
            }
            Asked::KeepAlive { session, epoch } => Request::KeepAlive { session, epoch },
            Asked::Close { session, epoch } => Request::Close { session, epoch },
            Asked::Output { service, epoch, k, cause, schema_id, schema_version, ref payload, replica } => {
                let output = Output { service, epoch, k, cause, schema_id, schema_version, payload, replica };
                Request::Output(output)
            }
            Asked::OutputEnd(end) => Request::OutputEnd(end),
            Asked::Progress(progress) => Request::Progress(progress),
            Asked::Divergence { service, epoch, k, cause, report } => {
                Request::Divergence { service, epoch, k, cause, report }
            }
            Asked::Control(ref control) => control.as_request(),
        }
    }
}

impl Control {
    fn as_request(&self) -> Request<'_> {
        match *self {
            Control::Revoke { session } => Request::Revoke { session },
            Control::RegisterSchema(schema) => Request::RegisterSchema(schema),
            Control::RegisterService { id, ref name, version, hold_bytes_max, tick_ns, agree } => {
                let service = Service { version, hold_bytes_max, tick_ns, agree, name };
                Request::RegisterService { id, service }
            }
            Control::Promote { service, version, at } => Request::Promote { service, version, at },
            Control::Cancel { service, epoch } => Request::Cancel { service, epoch },
            Control::Rollback { service, at } => Request::Rollback { service, at },
            Control::Skip { service, position } => Request::Skip { service, position },
            Control::Snapshot { service, marker } => Request::Snapshot { service, marker },
            Control::Retain(retention) => Request::Retain(retention),
            Control::Trim { floor } => Request::Trim { floor },
            Control::Member(change) => Request::Member(change),
            Control::Encoded { kind, source_id, ref body } => {
                Request::Encoded { kind, source_id, epoch: 0, cause: Position(0), body }
            }
        }
    }
}
