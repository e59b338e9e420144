//! Rules of what operators and tools ask for: registrations, retention, reports, and requests that are still encoded.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{
    Body, BodyError, CloseReason, Divergence, FrameKind, NAME_BYTES_MAX, Position, Retention, Schema,
    SchemaOwner, Service, SnapshotMarker, SnapshotStep, TrimFloor,
};

use super::sessions::check_range;
use super::{Head, Ruling};
use crate::answer::Outcome;
use crate::core::Core;
use crate::event::Now;
use crate::ledger::{Holder, PINS_MAX, SCHEMA_ID_MAX, ServiceState, bounded};
use crate::refusal::Refusal;
use crate::request::Request;

/// Most services of one cluster: each is looked at when the log is trimmed.
const SERVICES_MAX: usize = 1024;
/// Most replicas that must agree.
const AGREE_MAX: u64 = 9;

impl Core {
    pub(super) fn admit_control(&mut self, request: &Request<'_>, now: Now) -> Ruling {
        match *request {
            Request::Revoke { session } => self.close_session(session, CloseReason::Revoked, now),
            Request::Divergence { service, epoch, k, cause, report } => {
                let head =
                    Head { sequence: k, epoch, cause, ..Head::of(FrameKind::DivergenceReport, service) };
                self.admit_report(&head, &report, now)
            }
            Request::RegisterSchema(schema) => self.admit_schema(&schema, now),
            Request::RegisterService { id, service } => self.admit_service(id, &service, now),
            Request::Promote { service, version, at } => self.admit_promote(service, version, at, now),
            Request::Cancel { service, epoch } => self.admit_cancel(service, epoch, now),
            Request::Rollback { service, at } => self.admit_rollback(service, at, now),
            Request::Skip { service, position } => self.admit_skip(service, position, now),
            Request::Snapshot { service, marker } => self.admit_marker(service, marker, now),
            Request::Retain(retention) => self.admit_retention(&retention, now),
            Request::Trim { floor } => self.admit_trim(floor, now),
            Request::Encoded { kind, source_id, epoch, cause, body } => {
                let decoded = decode(kind, source_id, epoch, cause, body)?;
                self.admit_control(&decoded, now)
            }
            Request::Message(_)
            | Request::Query { .. }
            | Request::Open(_)
            | Request::Close { .. }
            | Request::KeepAlive { .. }
            | Request::Output(_)
            | Request::OutputEnd(_)
            | Request::Progress(_)
            | Request::Member(_) => unreachable!("these have rules of their own"),
        }
    }

    fn known_service(&self, service: u32) -> Result<&ServiceState, Refusal> {
        self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })
    }

    fn admit_report(&mut self, head: &Head, report: &Divergence, now: Now) -> Ruling {
        let state = self.known_service(head.source_id)?;
        // The first one counts; what follows from it is known already.
        if state.reports.contains(&(head.epoch, report.replica)) {
            return Ok(Outcome::AlreadyAdmitted { last: 0 });
        }
        self.append_control(head, &Body::Divergence(*report), false, now)
    }

    fn admit_schema(&mut self, schema: &Schema, now: Now) -> Ruling {
        check_range("schema id", u64::from(schema.id), 1, u64::from(SCHEMA_ID_MAX))?;
        if let SchemaOwner::Service(service) = schema.owner {
            self.known_service(service)?;
        }
        if let Some((owner, newest)) = self.ledger.schemas.get(schema.id) {
            check_range("schema version", u64::from(schema.version), u64::from(newest), u64::from(u16::MAX))?;
            if (owner, newest) == (schema.owner, schema.version) {
                return Ok(Outcome::AlreadyAdmitted { last: u64::from(newest) });
            }
        }
        self.append_control(&Head::of(FrameKind::SchemaRegistration, 0), &Body::Schema(*schema), false, now)
    }

    fn admit_service(&mut self, id: u32, service: &Service<'_>, now: Now) -> Ruling {
        check_range("service id", u64::from(id), 1, u64::from(u32::MAX))?;
        check_range("name bytes", service.name.len() as u64, 1, NAME_BYTES_MAX as u64)?;
        check_range("agree", u64::from(service.agree), 1, AGREE_MAX)?;
        match self.ledger.services.get(&id) {
            Some(known) if *known.name != *service.name => return Err(Refusal::ServiceTaken { service: id }),
            None if self.ledger.services.len() >= SERVICES_MAX => {
                return Err(Refusal::TooManyServices { limit: SERVICES_MAX });
            }
            _ => {}
        }
        self.append_control(
            &Head::of(FrameKind::ServiceRegistration, id),
            &Body::Service(*service),
            false,
            now,
        )
    }

    fn admit_skip(&mut self, service: u32, position: Position, now: Now) -> Ruling {
        let state = self.known_service(service)?;
        if state.skips.contains(&position) {
            return Ok(Outcome::AlreadyAdmitted { last: position.0 });
        }
        if position >= self.commit {
            return Err(Refusal::NotCommitted { position, committed: self.commit });
        }
        let head = Head { cause: position, ..Head::of(FrameKind::Skip, service) };
        self.append_control(&head, &Body::Skip, false, now)
    }

    fn admit_marker(&mut self, service: u32, marker: SnapshotMarker, now: Now) -> Ruling {
        let verified = self.known_service(service)?.verified;
        if marker.what == SnapshotStep::Verified {
            if marker.position <= verified {
                return Ok(Outcome::AlreadyAdmitted { last: verified.0 });
            }
            if marker.position > self.commit {
                return Err(Refusal::NotCommitted { position: marker.position, committed: self.commit });
            }
        }
        self.append_control(
            &Head::of(FrameKind::SnapshotMarker, service),
            &Body::SnapshotMarker(marker),
            false,
            now,
        )
    }

    fn admit_retention(&mut self, retention: &Retention, now: Now) -> Ruling {
        let kept = &self.ledger.retention;
        match *retention {
            Retention::Archived { to } => {
                if kept.archived.is_some_and(|archived| to <= archived) {
                    return Ok(Outcome::AlreadyAdmitted { last: to.0 });
                }
                if to > self.commit {
                    return Err(Refusal::NotCommitted { position: to, committed: self.commit });
                }
            }
            Retention::Pin { id, .. } => {
                if kept.pins.len() >= PINS_MAX && !kept.pins.iter().any(|pin| pin.id == id) {
                    return Err(Refusal::TooManyPins { limit: PINS_MAX });
                }
            }
            Retention::Unpin { id } => {
                if !kept.pins.iter().any(|pin| pin.id == id) {
                    return Ok(Outcome::AlreadyAdmitted { last: id });
                }
            }
        }
        self.append_control(&Head::of(FrameKind::Retention, 0), &Body::Retention(*retention), false, now)
    }

    fn admit_trim(&mut self, floor: Position, now: Now) -> Ruling {
        let present = self.ledger.retention.floor;
        if floor <= present {
            return Ok(Outcome::AlreadyAdmitted { last: present.0 });
        }
        let (limit, holder) = self.trim_limit();
        if floor > limit {
            return Err(Refusal::TrimHeld { floor, limit, holder });
        }
        self.append_control(
            &Head::of(FrameKind::TrimFloor, 0),
            &Body::TrimFloor(TrimFloor { floor }),
            false,
            now,
        )
    }

    /// How far the log may be trimmed, and who needs what follows.
    pub fn trim_limit(&self) -> (Position, Holder) {
        let end = self.log.end();
        let mut limit = (self.saved_snapshot, Holder::Snapshot);
        let mut lower = |position: Position, holder: Holder| {
            if position < limit.0 {
                limit = (position, holder);
            }
        };
        if let Some(archived) = self.ledger.retention.archived {
            lower(archived, Holder::Archive);
        }
        for (id, service) in &self.ledger.services {
            lower(bounded(service.verified, service.hold_bytes_max, end), Holder::Service(*id));
        }
        if !teeth::is_active(Bug::TrimAbovePin) {
            for pin in &self.ledger.retention.pins {
                lower(bounded(pin.position, pin.bytes_max, end), Holder::Pin(pin.id));
            }
        }
        limit
    }
}

/// The request that an encoded body stands for.
fn decode(
    kind: FrameKind,
    source_id: u32,
    epoch: u32,
    cause: Position,
    body: &[u8],
) -> Result<Request<'_>, Refusal> {
    let body = Body::decode(kind, body).map_err(|error: BodyError| Refusal::Malformed(error))?;
    Ok(match body {
        Body::SessionClose(_) => Request::Revoke { session: source_id },
        Body::Divergence(report) => Request::Divergence { service: source_id, epoch, k: 0, cause, report },
        Body::Schema(schema) => Request::RegisterSchema(schema),
        Body::Service(service) => Request::RegisterService { id: source_id, service },
        Body::Promote(promote) => {
            Request::Promote { service: source_id, version: promote.version, at: promote.at }
        }
        Body::Cancel => Request::Cancel { service: source_id, epoch },
        Body::Rollback(rollback) => Request::Rollback { service: source_id, at: rollback.at },
        Body::Skip => Request::Skip { service: source_id, position: cause },
        Body::SnapshotMarker(marker) => Request::Snapshot { service: source_id, marker },
        Body::Retention(retention) => Request::Retain(retention),
        Body::TrimFloor(floor) => Request::Trim { floor: floor.floor },
        _ => return Err(Refusal::ReservedKind { kind }),
    })
}
