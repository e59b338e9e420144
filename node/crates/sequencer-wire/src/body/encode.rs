//! Writing bodies.

use super::membership::MEMBER_BYTES;
use super::{Body, Retention, SchemaOwner};
use crate::bytes::put;

const NAME_AT_OPEN: usize = 16;
const NAME_AT_SERVICE: usize = 32;

impl Body<'_> {
    /// Bytes that it takes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Body::NewTerm(_) => crate::NEW_TERM_BYTES,
            Body::Message(bytes) | Body::Output(bytes) | Body::ClusterVersion(bytes) => bytes.len(),
            Body::Query(query) => 8 + query.request.len(),
            Body::OutputEnd | Body::Skip | Body::Tick | Body::Cancel => 0,
            Body::Progress(_)
            | Body::SessionClose(_)
            | Body::RoleGranted(_)
            | Body::TrimFloor(_)
            | Body::Rollback(_) => 8,
            Body::Divergence(_) => 24,
            Body::SessionOpen(open) => NAME_AT_OPEN + open.name.len(),
            Body::SnapshotMarker(_) | Body::Schema(_) | Body::Promote(_) => 16,
            Body::Membership(list) => 8 + list.members.len() * MEMBER_BYTES,
            Body::Service(service) => NAME_AT_SERVICE + service.name.len(),
            Body::Retention(_) => 32,
        }
    }

    /// Writes the body at the start of `into`. Values are written as they stand: `decode` is who refuses a name that is too
    /// long or a list of members without a voter, so whoever takes them from outside decodes what was written.
    ///
    /// # Panics
    /// When `into` is shorter than `payload_bytes`.
    pub fn encode(&self, into: &mut [u8]) {
        let into = &mut into[..self.payload_bytes()];
        match *self {
            Body::NewTerm(new_term) => into.copy_from_slice(&new_term.to_payload()),
            Body::Message(bytes) | Body::Output(bytes) | Body::ClusterVersion(bytes) => {
                into.copy_from_slice(bytes);
            }
            Body::Query(query) => {
                put(into, 0, query.service.to_le_bytes());
                put(into, 4, [0; 4]);
                into[8..].copy_from_slice(query.request);
            }
            Body::OutputEnd | Body::Skip | Body::Tick | Body::Cancel => {}
            Body::Progress(progress) => put(into, 0, progress.digest.to_le_bytes()),
            Body::Divergence(report) => {
                put(into, 0, report.replica.to_le_bytes());
                put(into, 4, [report.what as u8, 0, 0, 0]);
                put(into, 8, report.expected.to_le_bytes());
                put(into, 16, report.actual.to_le_bytes());
            }
            Body::SessionOpen(open) => {
                put(into, 0, open.timeout_ns.to_le_bytes());
                put(into, 8, open.group.to_le_bytes());
                put(into, 12, open.class.to_le_bytes());
                put(into, 14, (open.name.len() as u16).to_le_bytes());
                into[NAME_AT_OPEN..].copy_from_slice(open.name.as_bytes());
            }
            Body::SessionClose(close) => put(into, 0, [close.reason as u8, 0, 0, 0, 0, 0, 0, 0]),
            Body::RoleGranted(granted) => {
                put(into, 0, granted.group.to_le_bytes());
                put(into, 4, granted.session_epoch.to_le_bytes());
            }
            Body::SnapshotMarker(marker) => {
                put(into, 0, [marker.what as u8, 0, 0, 0, 0, 0, 0, 0]);
                put(into, 8, marker.position.0.to_le_bytes());
            }
            Body::Membership(list) => {
                put(into, 0, list.next_id.0.to_le_bytes());
                put(into, 4, (list.members.len() as u32).to_le_bytes());
                for (member, into) in
                    list.members.as_slice().iter().zip(into[8..].chunks_exact_mut(MEMBER_BYTES))
                {
                    put(into, 0, member.id.0.to_le_bytes());
                    put(into, 4, [member.role as u8, 0, 0, 0]);
                    put(into, 8, member.data);
                }
            }
            Body::TrimFloor(floor) => put(into, 0, floor.floor.0.to_le_bytes()),
            Body::Schema(schema) => {
                let (kind, owner) = match schema.owner {
                    SchemaOwner::Service(service) => (0, service),
                    SchemaOwner::Class(class) => (1, u32::from(class)),
                };
                put(into, 0, schema.id.to_le_bytes());
                put(into, 2, schema.version.to_le_bytes());
                put(into, 4, [kind, 0, 0, 0]);
                put(into, 8, owner.to_le_bytes());
                put(into, 12, [0; 4]);
            }
            Body::Service(service) => {
                put(into, 0, service.version.to_le_bytes());
                put(into, 8, service.hold_bytes_max.to_le_bytes());
                put(into, 16, service.tick_ns.to_le_bytes());
                put(into, 24, service.agree.to_le_bytes());
                put(into, 26, (service.name.len() as u16).to_le_bytes());
                put(into, 28, [0; 4]);
                into[NAME_AT_SERVICE..].copy_from_slice(service.name.as_bytes());
            }
            Body::Promote(promote) => {
                put(into, 0, promote.version.to_le_bytes());
                put(into, 8, promote.at.0.to_le_bytes());
            }
            Body::Rollback(rollback) => put(into, 0, rollback.at.0.to_le_bytes()),
            Body::Retention(retention) => encode_retention(&retention, into),
        }
    }
}

fn encode_retention(retention: &Retention, into: &mut [u8]) {
    let (what, position, bytes_max, id) = match *retention {
        Retention::Archived { to } => (0, to.0, 0, 0),
        Retention::Pin { id, position, bytes_max } => (1, position.0, bytes_max, id),
        Retention::Unpin { id } => (2, 0, 0, id),
    };
    put(into, 0, [what, 0, 0, 0, 0, 0, 0, 0]);
    put(into, 8, u64::to_le_bytes(position));
    put(into, 16, u64::to_le_bytes(bytes_max));
    put(into, 24, u64::to_le_bytes(id));
}
