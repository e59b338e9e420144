//! The independent judge of the committed log: what `docs/internals/exactly-once.md` says of it, checked frame by frame.
//!
//! Written from that page alone, with plain maps and without a line of the core's ledger, so that one misreading does not hide in
//! both. It sees every committed frame once, in order, and keeps whatever it has seen. Numbers in the names of rules are those of
//! the page's invariants. What the log does not show (votes of replicas, leases, what was in flight) is judged elsewhere.

mod members;
mod retention;
mod roles;
mod schemas;
mod services;
mod sessions;
mod switches;
#[cfg(test)]
mod tests;

use sequencer_wire::{Body, Frame, MemberRole, NodeId, Position, SchemaOwner};

use super::Verdict;
use crate::actors::Told;
use members::Members;
use retention::Holds;
use roles::Roles;
use schemas::Schemas;
use services::Services;
pub(crate) use services::{Listed, ServiceModel, hash};
use sessions::Sessions;

/// A rule's name and what was found.
type Broken = (&'static str, String);

/// See the module's description.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    sessions: Sessions,
    roles: Roles,
    services: Services,
    schemas: Schemas,
    members: Members,
    holds: Holds,
}

impl Rules {
    /// `founders` are the voters of the configuration; at most `sessions_max` sessions are kept.
    pub(crate) fn new(founders: &[NodeId], sessions_max: usize) -> Self {
        Self { sessions: Sessions::new(sessions_max), members: Members::new(founders), ..Self::default() }
    }

    /// The next committed frame.
    pub(crate) fn on_frame(&mut self, frame: &Frame<'_>) -> Verdict {
        self.services.at_frame(frame.at);
        let body = frame.body().map_err(|error| ("bodies decode", format!("at {}: {error}", frame.at)))?;
        match body {
            Body::NewTerm(new) => {
                self.members.on_new_term(frame, new.leader)?;
                self.sessions.on_new_term(frame);
                self.roles.on_new_term(frame);
                Ok(())
            }
            Body::Message(payload) => self.on_message(frame, payload),
            Body::Query(query) => {
                self.services.check_known(query.service, frame)?;
                self.on_message(frame, query.request)
            }
            Body::SessionOpen(open) => {
                let before = self.sessions.group_of(frame.fields.source_id);
                self.sessions.on_open(frame, &open)?;
                self.roles.on_gone(frame, before);
                Ok(())
            }
            Body::SessionClose(close) => {
                let before = self.sessions.group_of(frame.fields.source_id);
                self.sessions.on_close(frame, close.reason)?;
                self.roles.on_gone(frame, before);
                Ok(())
            }
            Body::RoleGranted(granted) => self.roles.on_grant(frame, &granted, &self.sessions),
            Body::Output(payload) => {
                self.schemas.check_use(frame, SchemaOwner::Service(frame.fields.source_id))?;
                self.services.on_output(frame, payload)
            }
            Body::Schema(schema) => self.schemas.on_schema(frame, &schema),
            Body::Membership(list) => self.members.on_list(frame, &list),
            Body::TrimFloor(floor) => self.holds.on_floor(frame, floor.floor, &self.services.holds(frame.at)),
            Body::Retention(retention) => {
                self.holds.on_retention(&retention);
                Ok(())
            }
            Body::Tick | Body::ClusterVersion(_) => Ok(()),
            other => self.services.on_frame(frame, &other),
        }
    }

    /// A message or a sequenced query.
    fn on_message(&mut self, frame: &Frame<'_>, payload: &[u8]) -> Verdict {
        let class = self.sessions.class_of(frame.fields.source_id);
        self.schemas.check_use(frame, SchemaOwner::Class(class))?;
        let group = self.sessions.on_message(frame, payload)?;
        self.roles.on_message(frame, group)
    }

    /// What somebody was told is what the log says, and what gateways do is allowed.
    pub(crate) fn check_told(&self, told: &Told) -> Verdict {
        match *told {
            Told::Admitted { session, sequence, at } => self.sessions.check_admitted(session, sequence, at),
            Told::Opened { session, epoch, last_sequence, at } => {
                self.sessions.check_opened(session, epoch, last_sequence, at)
            }
            Told::WrongRefusal { expected, ref got } => {
                Err(("nonsense gets the refusal that says why", format!("expected {expected}, got {got}")))
            }
            Told::Acting { group, session, role_epoch } => {
                self.roles.check_acting(group, session, role_epoch)
            }
            Told::NewNode { .. } => Ok(()),
        }
    }

    /// Compares the outputs in the log with those that one machine computes from the whole log. Those caused at or after
    /// `in_flight_from` may still be missing.
    pub(crate) fn check_outputs(
        &self,
        service: u32,
        expected: &[Listed],
        in_flight_from: Position,
    ) -> Verdict {
        self.services.check_outputs(service, expected, in_flight_from)
    }

    /// Bytes below are given up.
    pub(crate) fn floor(&self) -> Position {
        self.holds.floor()
    }

    /// Whether a node is in the newest list.
    pub(crate) fn is_member(&self, id: NodeId) -> bool {
        self.members.list().iter().any(|(member, ..)| *member == id)
    }

    /// The newest list: id, role, data UUID.
    pub(crate) fn members(&self) -> Vec<(NodeId, MemberRole, [u8; 16])> {
        self.members.list().to_vec()
    }

    /// The voters of the newest list.
    pub(crate) fn voters(&self) -> Vec<NodeId> {
        let voters = self.members.list().iter().filter(|(_, role, _)| *role == MemberRole::Voter);
        voters.map(|(id, ..)| *id).collect()
    }

    /// A service as the log shows it; `None` before it is registered.
    pub(crate) fn service(&self, id: u32) -> Option<&ServiceModel> {
        self.services.get(id)
    }

    /// Who may use a schema; `None` before it is registered.
    pub(crate) fn schema_owner(&self, id: u16) -> Option<SchemaOwner> {
        self.schemas.owner(id)
    }

    /// Whether a service passes the frame at a position over, or does not exist.
    pub(crate) fn is_skipped(&self, service: u32, position: Position) -> bool {
        self.services.get(service).is_none_or(|model| model.is_skipped(position))
    }
}
