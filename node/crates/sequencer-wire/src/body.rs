//! What the payload of each kind of frame says. Layouts of fixed size, little endian, reserved bytes 0; see
//! `docs/reference/wire.md`.
//!
//! `decode_frame` does not look at bodies: the hot path carries messages and outputs, which are opaque. Whoever applies a frame
//! decodes its body.

mod close;
mod decode;
mod encode;
mod membership;

use crate::{FrameKind, NewTerm, Position};

pub use close::CloseReason;
pub use decode::BodyError;
pub use membership::{MEMBERS_MAX, Member, MemberRole, Members, Membership, VOTERS_MAX};

/// Longest name of a session or service, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest encoded body of a kind that is not opaque: a full list of members.
pub const BODY_BYTES_MAX: usize = 8 + MEMBERS_MAX * membership::MEMBER_BYTES;

/// The payload of a frame, by kind.
#[expect(
    clippy::large_enum_variant,
    reason = "a list of members is a value on the stack; a box would allocate"
)]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The first frame of a term.
    NewTerm(NewTerm),
    /// A message of a session; opaque.
    Message(&'a [u8]),
    /// A question to a service.
    Query(Query<'a>),
    /// An output of a service; opaque.
    Output(&'a [u8]),
    /// The last output of an epoch.
    OutputEnd,
    /// How far a service has come.
    Progress(Progress),
    /// A replica disagrees with the log.
    Divergence(Divergence),
    /// A frame is passed over; the header names it.
    Skip,
    /// A session was opened.
    SessionOpen(SessionOpen<'a>),
    /// A session was closed.
    SessionClose(SessionClose),
    /// Time has passed.
    Tick,
    /// A gateway holds its group's role.
    RoleGranted(RoleGranted),
    /// A snapshot of a service is wanted, or was verified.
    SnapshotMarker(SnapshotMarker),
    /// The list of members.
    Membership(Membership),
    /// Bytes below are given up.
    TrimFloor(TrimFloor),
    /// A schema, its version and its owner.
    Schema(Schema),
    /// A service and its settings.
    Service(Service<'a>),
    /// Another version takes over.
    Promote(Promote),
    /// A switch is called off; the header names its epoch.
    Cancel,
    /// The version before takes over again.
    Rollback(Rollback),
    /// The version that the whole cluster understands; opaque.
    ClusterVersion(&'a [u8]),
    /// What the log must keep.
    Retention(Retention),
}

/// A question that a service answers at exactly its position.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The service.
    pub service: u32,
    /// Opaque to the sequencer.
    pub request: &'a [u8],
}

/// How far a service has come; position and output are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Digest of its state there.
    pub digest: u64,
}

/// What a replica found to differ.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Diverged {
    /// Its own output is not the one in the log.
    Output = 0,
    /// Its digest is not the one of a progress frame.
    Digest = 1,
}

/// A replica disagrees with the log; epoch, output and cause are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The replica.
    pub replica: u32,
    /// What differs.
    pub what: Diverged,
    /// As the replica has it: a digest, or a hash of the output.
    pub expected: u64,
    /// As the log has it.
    pub actual: u64,
}

/// A session was opened; id and epoch are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SessionOpen<'a> {
    /// Log time without a word after which it is idle, in nanoseconds.
    pub timeout_ns: u64,
    /// Role group; 0 for none.
    pub group: u32,
    /// Class that its credentials give it.
    pub class: u16,
    /// Its name: 1 to 64 bytes of UTF-8.
    pub name: &'a str,
}

/// A session was closed; id and epoch are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SessionClose {
    /// Why.
    pub reason: CloseReason,
}

/// A gateway holds its group's role; session and role epoch are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RoleGranted {
    /// The group.
    pub group: u32,
    /// Epoch of the session that it was granted to.
    pub session_epoch: u32,
}

/// A step on the way to a snapshot.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotStep {
    /// A snapshot at the position of this frame is wanted.
    Wanted = 0,
    /// One has been stored and read back.
    Verified = 1,
}

/// A snapshot of the service in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMarker {
    /// Which step.
    pub what: SnapshotStep,
    /// Position of the verified snapshot; 0 when one is wanted.
    pub position: Position,
}

/// Bytes below are given up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TrimFloor {
    /// First position that is kept.
    pub floor: Position,
}

/// Who may use a schema.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaOwner {
    /// A service, for its outputs.
    Service(u32),
    /// A class of sessions, for their messages.
    Class(u16),
}

/// A schema.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its id, above 0.
    pub id: u16,
    /// Its newest version.
    pub version: u16,
    /// Who may use it.
    pub owner: SchemaOwner,
}

/// A service; its id is in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// The version that answers first.
    pub version: u64,
    /// Bytes behind the end of the log beyond which its snapshot holds nothing back.
    pub hold_bytes_max: u64,
    /// It asks for a tick after this long a silence, in nanoseconds; 0 for none.
    pub tick_ns: u64,
    /// Equal outputs that it takes to admit one; at least 1.
    pub agree: u16,
    /// Its name: 1 to 64 bytes of UTF-8.
    pub name: &'a str,
}

/// Another version takes over; service and epoch are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Promote {
    /// The version.
    pub version: u64,
    /// Where; the frame's own position if that is later.
    pub at: Position,
}

/// The version before takes over again; service and epoch are in the header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Where; the frame's own position if that is later.
    pub at: Position,
}

/// What the log must keep.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The archive holds everything below.
    Archived {
        /// The position.
        to: Position,
    },
    /// A reader needs the log from a position on.
    Pin {
        /// Its name.
        id: u64,
        /// The position.
        position: Position,
        /// Bytes behind the end of the log beyond which it holds nothing back.
        bytes_max: u64,
    },
    /// A reader needs nothing any more.
    Unpin {
        /// Its name.
        id: u64,
    },
}

impl Body<'_> {
    /// The kind of frame that it is the payload of.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Body::NewTerm(_) => FrameKind::NewTerm,
            Body::Message(_) => FrameKind::Message,
            Body::Query(_) => FrameKind::SequencedQuery,
            Body::Output(_) => FrameKind::Output,
            Body::OutputEnd => FrameKind::OutputEnd,
            Body::Progress(_) => FrameKind::Progress,
            Body::Divergence(_) => FrameKind::DivergenceReport,
            Body::Skip => FrameKind::Skip,
            Body::SessionOpen(_) => FrameKind::SessionOpen,
            Body::SessionClose(_) => FrameKind::SessionClose,
            Body::Tick => FrameKind::Tick,
            Body::RoleGranted(_) => FrameKind::RoleGranted,
            Body::SnapshotMarker(_) => FrameKind::SnapshotMarker,
            Body::Membership(_) => FrameKind::Membership,
            Body::TrimFloor(_) => FrameKind::TrimFloor,
            Body::Schema(_) => FrameKind::SchemaRegistration,
            Body::Service(_) => FrameKind::ServiceRegistration,
            Body::Promote(_) => FrameKind::Promote,
            Body::Cancel => FrameKind::Cancel,
            Body::Rollback(_) => FrameKind::Rollback,
            Body::ClusterVersion(_) => FrameKind::ClusterVersion,
            Body::Retention(_) => FrameKind::Retention,
        }
    }
}
