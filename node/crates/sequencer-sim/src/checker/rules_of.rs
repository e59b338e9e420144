//! What `docs/internals/exactly-once.md` says of the log, judged frame by frame: a model of its own, slow and plain, that shares no
//! code with the core's ledger.
//!
//! Numbers in the names of rules are those of the page's invariants.

mod members;
mod roles;
mod services;
mod sessions;

use std::collections::BTreeMap;

use sequencer_wire::{Body, Frame, MemberRole, NodeId, Position, SchemaOwner};

use super::Verdict;
use crate::actors::Told;
use members::Members;
use roles::Roles;
use services::Services;
pub(crate) use services::{ServiceModel, hash};
use sessions::Sessions;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    sessions: Sessions,
    roles: Roles,
    services: Services,
    members: Members,
    schemas: BTreeMap<u16, (SchemaOwner, u16)>,
}

impl Rules {
    pub(crate) fn new(founders: &[NodeId], sessions_max: usize) -> Self {
        Self { sessions: Sessions::new(sessions_max), members: Members::new(founders), ..Self::default() }
    }

    /// The next committed frame.
    pub(crate) fn on_frame(&mut self, frame: &Frame<'_>) -> Verdict {
        let body = frame.body().map_err(|error| ("bodies decode", format!("at {}: {error}", frame.at)))?;
        match body {
            Body::NewTerm(_) => self.sessions.on_new_term(frame),
            Body::Message(payload) => {
                self.check_schema(frame, SchemaOwner::Class(self.sessions.class_of(frame.fields.source_id)))?;
                let group = self.sessions.on_message(frame, payload)?;
                self.roles.on_message(frame, group)
            }
            Body::Query(query) => {
                self.services.known(query.service, frame)?;
                let group = self.sessions.on_message(frame, query.request)?;
                self.roles.on_message(frame, group)
            }
            Body::SessionOpen(open) => {
                self.sessions.on_open(frame, &open)?;
                self.roles.on_open(frame, &open);
                Ok(())
            }
            Body::SessionClose(close) => {
                self.roles.on_close(frame);
                self.sessions.on_close(frame, close.reason)
            }
            Body::RoleGranted(granted) => self.roles.on_grant(frame, &granted),
            Body::Output(payload) => {
                self.check_schema(frame, SchemaOwner::Service(frame.fields.source_id))?;
                self.services.on_output(frame, payload)
            }
            Body::Schema(schema) => {
                self.schemas.insert(schema.id, (schema.owner, schema.version));
                Ok(())
            }
            Body::Membership(list) => self.members.on_list(frame, &list),
            Body::TrimFloor(floor) => {
                let service = self.services.lowest_hold(frame.at);
                self.members.on_floor(frame, floor.floor, service)
            }
            Body::Retention(hold) => {
                self.members.on_hold(&hold);
                Ok(())
            }
            Body::Tick | Body::ClusterVersion(_) => Ok(()),
            other => self.services.on_frame(frame, &other),
        }
    }

    fn check_schema(&self, frame: &Frame<'_>, user: SchemaOwner) -> Verdict {
        let (id, version) = (frame.fields.schema_id, frame.fields.schema_version);
        if id == 0 {
            return Ok(());
        }
        match self.schemas.get(&id) {
            Some((owner, newest)) if *owner == user && version <= *newest => Ok(()),
            known => Err((
                "only its owner uses a schema",
                format!("{user:?} uses {id} version {version} at {}, which is {known:?}", frame.at),
            )),
        }
    }

    /// What somebody was told is so, and what gateways do is allowed.
    pub(crate) fn check_told(&mut self, told: &Told) -> Verdict {
        match *told {
            Told::Admitted { session, sequence, at } => self.sessions.check_admitted(session, sequence, at),
            Told::Opened { session, epoch, last_sequence, at } => {
                self.sessions.check_opened(session, epoch, last_sequence, at)
            }
            Told::WrongRefusal { expected, ref got } => {
                Err(("nonsense gets the refusal that says why", format!("expected {expected}, got {got}")))
            }
            Told::Acting { group, session, role_epoch } => self.roles.act(group, session, role_epoch),
            Told::NewNode { .. } => Ok(()),
        }
    }

    /// Bytes below are given up.
    pub(crate) fn floor(&self) -> Position {
        self.members.floor
    }

    pub(crate) fn is_member(&self, id: NodeId) -> bool {
        self.members.list().iter().any(|(member, ..)| *member == id)
    }

    pub(crate) fn members(&self) -> Vec<(NodeId, MemberRole, [u8; 16])> {
        self.members.list().to_vec()
    }

    pub(crate) fn voters(&self) -> Vec<NodeId> {
        let voters = self.members.list().iter().filter(|(_, role, _)| *role == MemberRole::Voter);
        voters.map(|(id, ..)| *id).collect()
    }

    pub(crate) fn service(&self, id: u32) -> Option<&ServiceModel> {
        self.services.get(id)
    }

    pub(crate) fn schema_owner(&self, id: u16) -> Option<SchemaOwner> {
        self.schemas.get(&id).map(|(owner, _)| *owner)
    }

    pub(crate) fn is_skipped(&self, service: u32, position: Position) -> bool {
        self.services.get(service).is_none_or(|service| service.skips.contains(&position))
    }

    /// Every output that a service has in the log: epoch, k, cause, hash of the payload, and whether it is an end.
    pub(crate) fn outputs(&self, service: u32) -> &[(u32, u64, Position, u64, bool)] {
        self.services.get(service).map_or(&[], |service| &service.outputs)
    }
}
