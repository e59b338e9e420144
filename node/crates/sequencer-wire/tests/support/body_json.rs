//! Bodies, and what is wrong with one, as the test vectors write them.

use sequencer_wire::{Body, BodyError, Diverged, Member, MemberRole, Retention, SchemaOwner, SnapshotStep};
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn member(member: &Member) -> Value {
    let role = match member.role {
        MemberRole::Voter => "voter",
        MemberRole::Learner => "learner",
    };
    json!({"id": member.id.0, "role": role, "data": hex(&member.data)})
}

/// The fields of a body by name.
pub(crate) fn described(body: &Body<'_>) -> Value {
    match *body {
        Body::NewTerm(start) => {
            json!({"term": start.term.0, "previous": start.previous.0, "leader": start.leader.0})
        }
        Body::Message(bytes) | Body::Output(bytes) | Body::ClusterVersion(bytes) => {
            json!({"bytes": hex(bytes)})
        }
        Body::Query(query) => json!({"service": query.service, "request": hex(query.request)}),
        Body::OutputEnd | Body::Skip | Body::Tick | Body::Cancel => json!({}),
        Body::Progress(progress) => json!({"digest": progress.digest}),
        Body::Divergence(report) => {
            let what = match report.what {
                Diverged::Output => "output",
                Diverged::Digest => "digest",
            };
            let (expected, actual) = (report.expected, report.actual);
            json!({"replica": report.replica, "what": what, "expected": expected, "actual": actual})
        }
        Body::SessionOpen(open) => json!({
            "timeout_ns": open.timeout_ns, "group": open.group, "class": open.class, "name": open.name,
        }),
        Body::SessionClose(close) => json!({"reason": close.reason.name()}),
        Body::RoleGranted(role) => json!({"group": role.group, "session_epoch": role.session_epoch}),
        Body::SnapshotMarker(marker) => {
            let what = match marker.what {
                SnapshotStep::Wanted => "wanted",
                SnapshotStep::Verified => "verified",
            };
            json!({"what": what, "position": marker.position.0})
        }
        Body::Membership(list) => {
            let members: Vec<Value> = list.members.as_slice().iter().map(member).collect();
            json!({"next_id": list.next_id.0, "members": members})
        }
        Body::TrimFloor(floor) => json!({"floor": floor.floor.0}),
        Body::Schema(schema) => {
            let (owner_kind, owner) = match schema.owner {
                SchemaOwner::Service(service) => ("service", service),
                SchemaOwner::Class(class) => ("class", u32::from(class)),
            };
            json!({"id": schema.id, "version": schema.version, "owner_kind": owner_kind, "owner": owner})
        }
        Body::Service(service) => json!({
            "version": service.version,
            "hold_bytes_max": service.hold_bytes_max,
            "tick_ns": service.tick_ns,
            "agree": service.agree,
            "name": service.name,
        }),
        Body::Promote(promote) => json!({"version": promote.version, "at": promote.at.0}),
        Body::Rollback(rollback) => json!({"at": rollback.at.0}),
        Body::Retention(retention) => {
            let (what, position, bytes_max, id) = match retention {
                Retention::Archived { to } => ("archived", to.0, 0, 0),
                Retention::Pin { id, position, bytes_max } => ("pin", position.0, bytes_max, id),
                Retention::Unpin { id } => ("unpin", 0, 0, id),
            };
            json!({"what": what, "position": position, "bytes_max": bytes_max, "id": id})
        }
    }
}

/// What is wrong with a payload: the name of the error and its facts.
pub(crate) fn fault(error: &BodyError) -> Value {
    match *error {
        BodyError::Length { expected, found, .. } => {
            json!({"error": "Length", "facts": {"expected": expected, "found": found}})
        }
        BodyError::Reserved { at, .. } => json!({"error": "Reserved", "facts": {"at": at}}),
        BodyError::Value { field, found, .. } => {
            json!({"error": "Value", "facts": {"field": field, "found": found}})
        }
    }
}
