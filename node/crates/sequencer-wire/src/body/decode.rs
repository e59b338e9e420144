//! Reading and checking bodies. Nothing is allocated.
//!
//! 1. The size: exact, or at least that of the fixed part where the length varies.
//! 2. Field by field in the order of their offsets: what its value means, reserved bytes, fields without a meaning.
//! 3. What follows the fixed part: a name (its length, the size, its bytes), or the members one by one and the voters
//!    among them.

use thiserror::Error;

use super::membership::{MEMBER_BYTES, MEMBERS_MAX, Member, MemberRole, Members, Membership, VOTERS_MAX};
use super::{
    Body, CloseReason, Diverged, Divergence, NAME_BYTES_MAX, Progress, Promote, Query, Retention,
    RoleGranted, Rollback, Schema, SchemaOwner, Service, SessionClose, SessionOpen, SnapshotMarker,
    SnapshotStep, TrimFloor,
};
use crate::bytes::{sixteen_at, u16_at, u32_at, u64_at};
use crate::new_term::{NEW_TERM_BYTES, NEW_TERM_RESERVED_AT};
use crate::{Frame, FrameKind, NewTerm, NodeId, Position};

/// Why a payload is not a body of its kind. The frame itself is sound: it was written by other software, or made by hand.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// It has another length.
    #[error(
        "The body of a {kind} frame has {found} bytes and {expected} are needed; \
         upgrade this software or report its writer."
    )]
    Length {
        /// The kind.
        kind: FrameKind,
        /// Bytes needed; at least so many where the length varies.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Reserved bytes are not 0.
    #[error(
        "The body of a {kind} frame has reserved bytes at {at} that are not all zero; \
         upgrade this software or report its writer."
    )]
    Reserved {
        /// The kind.
        kind: FrameKind,
        /// Offset in the payload.
        at: usize,
    },
    /// A field has a value without a meaning.
    #[error(
        "The body of a {kind} frame has the {field} {found}, which has no meaning there; \
         upgrade this software or report its writer."
    )]
    Value {
        /// The kind.
        kind: FrameKind,
        /// The field.
        field: &'static str,
        /// What it holds.
        found: u64,
    },
}

/// One payload being read.
struct Source<'a> {
    kind: FrameKind,
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    fn exactly(&self, expected: usize) -> Result<(), BodyError> {
        let (kind, found) = (self.kind, self.bytes.len());
        if found == expected { Ok(()) } else { Err(BodyError::Length { kind, expected, found }) }
    }

    fn at_least(&self, expected: usize) -> Result<(), BodyError> {
        let (kind, found) = (self.kind, self.bytes.len());
        if found >= expected { Ok(()) } else { Err(BodyError::Length { kind, expected, found }) }
    }

    fn zeros(&self, at: usize, count: usize) -> Result<(), BodyError> {
        let is_zero = self.bytes[at..at + count].iter().all(|byte| *byte == 0);
        if is_zero { Ok(()) } else { Err(BodyError::Reserved { kind: self.kind, at }) }
    }

    fn wrong(&self, field: &'static str, found: u64) -> BodyError {
        BodyError::Value { kind: self.kind, field, found }
    }

    fn require(&self, holds: bool, field: &'static str, found: u64) -> Result<(), BodyError> {
        if holds { Ok(()) } else { Err(self.wrong(field, found)) }
    }

    /// The name that ends the payload, whose length stands at `length_at`.
    fn name(&self, length_at: usize, at: usize) -> Result<&'a str, BodyError> {
        let length = usize::from(u16_at(self.bytes, length_at));
        self.require((1..=NAME_BYTES_MAX).contains(&length), "name length", length as u64)?;
        self.exactly(at + length)?;
        std::str::from_utf8(&self.bytes[at..])
            .map_err(|error| self.wrong("name byte", error.valid_up_to() as u64))
    }

    fn position(&self, at: usize) -> Position {
        Position(u64_at(self.bytes, at))
    }
}

impl<'a> Body<'a> {
    /// Reads the payload of a frame of this kind.
    ///
    /// # Errors
    /// [`BodyError`] says what is wrong with it.
    pub fn decode(kind: FrameKind, payload: &'a [u8]) -> Result<Body<'a>, BodyError> {
        let source = Source { kind, bytes: payload };
        match kind {
            FrameKind::NewTerm => {
                source.exactly(NEW_TERM_BYTES)?;
                // With the right size, reserved bytes in use are all that can be wrong.
                let new_term = NewTerm::from_payload(payload);
                new_term.map(Body::NewTerm).ok_or(BodyError::Reserved { kind, at: NEW_TERM_RESERVED_AT })
            }
            FrameKind::Message => Ok(Body::Message(payload)),
            FrameKind::Output => Ok(Body::Output(payload)),
            FrameKind::ClusterVersion => Ok(Body::ClusterVersion(payload)),
            FrameKind::OutputEnd => source.exactly(0).map(|()| Body::OutputEnd),
            FrameKind::Skip => source.exactly(0).map(|()| Body::Skip),
            FrameKind::Tick => source.exactly(0).map(|()| Body::Tick),
            FrameKind::Cancel => source.exactly(0).map(|()| Body::Cancel),
            FrameKind::SequencedQuery => {
                source.at_least(8)?;
                source.zeros(4, 4)?;
                Ok(Body::Query(Query { service: u32_at(payload, 0), request: &payload[8..] }))
            }
            FrameKind::Progress => {
                source.exactly(8)?;
                Ok(Body::Progress(Progress { digest: u64_at(payload, 0) }))
            }
            FrameKind::DivergenceReport => source.divergence().map(Body::Divergence),
            FrameKind::SessionOpen => source.session_open().map(Body::SessionOpen),
            FrameKind::SessionClose => {
                source.exactly(8)?;
                let reason = CloseReason::try_from(payload[0]);
                let reason = reason.map_err(|byte| source.wrong("reason", u64::from(byte)))?;
                source.zeros(1, 7)?;
                Ok(Body::SessionClose(SessionClose { reason }))
            }
            FrameKind::RoleGranted => {
                source.exactly(8)?;
                let (group, session_epoch) = (u32_at(payload, 0), u32_at(payload, 4));
                source.require(group > 0, "group", 0)?;
                Ok(Body::RoleGranted(RoleGranted { group, session_epoch }))
            }
            FrameKind::SnapshotMarker => source.snapshot_marker().map(Body::SnapshotMarker),
            FrameKind::Membership => source.membership().map(Body::Membership),
            FrameKind::TrimFloor => {
                source.exactly(8)?;
                Ok(Body::TrimFloor(TrimFloor { floor: source.position(0) }))
            }
            FrameKind::SchemaRegistration => source.schema().map(Body::Schema),
            FrameKind::ServiceRegistration => source.service().map(Body::Service),
            FrameKind::Promote => {
                source.exactly(16)?;
                Ok(Body::Promote(Promote { version: u64_at(payload, 0), at: source.position(8) }))
            }
            FrameKind::Rollback => {
                source.exactly(8)?;
                Ok(Body::Rollback(Rollback { at: source.position(0) }))
            }
            FrameKind::Retention => source.retention().map(Body::Retention),
        }
    }
}

impl<'a> Source<'a> {
    fn divergence(&self) -> Result<Divergence, BodyError> {
        self.exactly(24)?;
        let what = match self.bytes[4] {
            0 => Diverged::Output,
            1 => Diverged::Digest,
            other => return Err(self.wrong("what", u64::from(other))),
        };
        self.zeros(5, 3)?;
        let (expected, actual) = (u64_at(self.bytes, 8), u64_at(self.bytes, 16));
        Ok(Divergence { replica: u32_at(self.bytes, 0), what, expected, actual })
    }

    fn session_open(&self) -> Result<SessionOpen<'a>, BodyError> {
        self.at_least(16)?;
        let (timeout_ns, group) = (u64_at(self.bytes, 0), u32_at(self.bytes, 8));
        Ok(SessionOpen { timeout_ns, group, class: u16_at(self.bytes, 12), name: self.name(14, 16)? })
    }

    fn snapshot_marker(&self) -> Result<SnapshotMarker, BodyError> {
        self.exactly(16)?;
        let what = match self.bytes[0] {
            0 => SnapshotStep::Wanted,
            1 => SnapshotStep::Verified,
            other => return Err(self.wrong("what", u64::from(other))),
        };
        self.zeros(1, 7)?;
        let position = self.position(8);
        self.require(what == SnapshotStep::Verified || position == Position(0), "position", position.0)?;
        Ok(SnapshotMarker { what, position })
    }

    fn membership(&self) -> Result<Membership, BodyError> {
        self.at_least(8)?;
        let (next_id, count) = (NodeId(u32_at(self.bytes, 0)), u32_at(self.bytes, 4) as usize);
        self.require((1..=MEMBERS_MAX).contains(&count), "count", count as u64)?;
        self.exactly(8 + count * MEMBER_BYTES)?;
        let mut members = Members::new();
        let mut last = NodeId(0);
        for (index, bytes) in self.bytes[8..].chunks_exact(MEMBER_BYTES).enumerate() {
            let id = NodeId(u32_at(bytes, 0));
            self.require(id > last && id < next_id, "member id", u64::from(id.0))?;
            last = id;
            let role = match bytes[4] {
                0 => MemberRole::Voter,
                1 => MemberRole::Learner,
                other => return Err(self.wrong("role", u64::from(other))),
            };
            self.zeros(8 + index * MEMBER_BYTES + 5, 3)?;
            members.push(Member { id, role, data: sixteen_at(bytes, 8) });
        }
        let voters = members.voters();
        self.require((1..=VOTERS_MAX).contains(&voters), "voters", voters as u64)?;
        Ok(Membership { next_id, members })
    }

    fn schema(&self) -> Result<Schema, BodyError> {
        self.exactly(16)?;
        let (id, version) = (u16_at(self.bytes, 0), u16_at(self.bytes, 2));
        self.require(id > 0, "schema id", 0)?;
        let owner_kind = self.bytes[4];
        self.require(owner_kind <= 1, "owner kind", u64::from(owner_kind))?;
        self.zeros(5, 3)?;
        let owner = u32_at(self.bytes, 8);
        let owner = if owner_kind == 0 {
            SchemaOwner::Service(owner)
        } else {
            SchemaOwner::Class(u16::try_from(owner).map_err(|_| self.wrong("class", u64::from(owner)))?)
        };
        self.zeros(12, 4)?;
        Ok(Schema { id, version, owner })
    }

    fn service(&self) -> Result<Service<'a>, BodyError> {
        self.at_least(32)?;
        let (version, hold_bytes_max) = (u64_at(self.bytes, 0), u64_at(self.bytes, 8));
        let (tick_ns, agree) = (u64_at(self.bytes, 16), u16_at(self.bytes, 24));
        self.require(agree > 0, "agree", 0)?;
        self.zeros(28, 4)?;
        Ok(Service { version, hold_bytes_max, tick_ns, agree, name: self.name(26, 32)? })
    }

    fn retention(&self) -> Result<Retention, BodyError> {
        self.exactly(32)?;
        let what = self.bytes[0];
        self.require(what <= 2, "what", u64::from(what))?;
        self.zeros(1, 7)?;
        let (position, bytes_max, id) = (self.position(8), u64_at(self.bytes, 16), u64_at(self.bytes, 24));
        match what {
            0 => {
                self.zeros(16, 8)?;
                self.zeros(24, 8)?;
                Ok(Retention::Archived { to: position })
            }
            1 => Ok(Retention::Pin { id, position, bytes_max }),
            _ => {
                self.zeros(8, 8)?;
                self.zeros(16, 8)?;
                Ok(Retention::Unpin { id })
            }
        }
    }
}

impl<'a> Frame<'a> {
    /// What its payload says.
    ///
    /// # Errors
    /// [`BodyError`] when the payload is of a layout that this software does not know.
    pub fn body(&self) -> Result<Body<'a>, BodyError> {
        Body::decode(self.fields.kind, self.payload)
    }
}
