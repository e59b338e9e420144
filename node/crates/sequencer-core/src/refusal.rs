//! Why something was not put into the log. Each refusal changes nothing and carries what the caller needs to go on.

use sequencer_wire::{BodyError, FrameKind, NodeId, Position, SchemaOwner, Term};
use strum::IntoStaticStr;
use thiserror::Error;

use crate::ledger::Holder;

/// See the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, IntoStaticStr, serde::Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the sentence of each variant says what its fields are")]
pub enum Refusal {
    // Whoever asked may ask again, here or elsewhere.
    #[error("this node does not lead; ask {leader:?}")]
    NotLeader { leader: Option<NodeId> },
    #[error("the leader's term {term} has not committed its first frame yet; try again shortly")]
    NotReady { term: Term },
    #[error("leadership is being handed over to {target}; ask it shortly")]
    HandingOver { target: NodeId },
    #[error(
        "{uncommitted_bytes} bytes wait to be committed and the limit is {limit_bytes}; try again when some are"
    )]
    Backpressure { uncommitted_bytes: u64, limit_bytes: u64 },
    #[error(
        "the disks of too many members have reached their reserve; only closing, trimming and membership go on until space is freed"
    )]
    LogFull,

    // The request is wrong as it stands.
    #[error("a payload of {bytes} bytes exceeds the limit of {limit_bytes}; split the message")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error("frames of kind {kind} cannot be proposed in this way")]
    ReservedKind { kind: FrameKind },
    #[error("the request is malformed: {0}")]
    Malformed(#[serde(skip)] BodyError),
    #[error("{field} is {found}, but must be {least} to {most}")]
    OutOfRange { field: &'static str, found: u64, least: u64, most: u64 },

    // Sessions.
    #[error(
        "session {session} does not exist (any more); open one, and do not send its old messages as new ones"
    )]
    UnknownSession { session: u32 },
    #[error(
        "session {session} is in epoch {current}, but the request bears {found}: another connection has opened it"
    )]
    StaleEpoch { session: u32, found: u32, current: u32 },
    #[error("session {session} was not heard for its time-out and is idle; open it again")]
    SessionExpired { session: u32 },
    #[error("session {session} sent sequence {found}, but {expected} is next; send that one first")]
    SequenceGap { session: u32, found: u64, expected: u64 },
    #[error(
        "the name belongs to session {current:?}, not to {found}: the old session is gone, with what was open in it"
    )]
    SessionLost { found: u32, current: Option<u32> },
    #[error("the name belongs to session {session} of class {class} and group {group}; use another name")]
    NameTaken { session: u32, class: u16, group: u32 },
    #[error("there are {limit} sessions and none is idle; close some or raise the limit")]
    TooManySessions { limit: usize },
    #[error("group {group} has {limit} live sessions, which is the most")]
    GroupFull { group: u32, limit: usize },
    #[error(
        "session {session} does not hold role {group} in epoch {found}; session {holder:?} does in epoch {current}"
    )]
    NotActive { session: u32, group: u32, found: u32, current: u32, holder: Option<u32> },

    // Schemas and services.
    #[error("schema {schema} version {version} is not registered; the newest version is {newest:?}")]
    UnknownSchema { schema: u16, version: u16, newest: Option<u16> },
    #[error("schema {schema} belongs to {owner:?}")]
    NotOwner { schema: u16, owner: SchemaOwner },
    #[error("service {service} is not registered")]
    UnknownService { service: u32 },
    #[error("service {service} is registered under another name")]
    ServiceTaken { service: u32 },
    #[error("there are {limit} services, which is the most")]
    TooManyServices { limit: usize },
    #[error("epoch {found} of service {service} has ended; {current} is open")]
    EpochOver { service: u32, found: u32, current: u32 },
    #[error("epoch {found} of service {service} is not open yet; {current} has not ended")]
    EpochNotOpen { service: u32, found: u32, current: u32 },
    #[error("service {service} sent output {found} of epoch {epoch}, but {expected} is next")]
    OutputGap { service: u32, epoch: u32, found: u64, expected: u64 },
    #[error(
        "the cause {cause} does not belong to epoch {epoch} of service {service}, which answers from {from} to {until:?}"
    )]
    CauseOutside { service: u32, epoch: u32, cause: Position, from: Position, until: Option<Position> },
    #[error("the cause {cause} lies before {last}, the cause of the output before")]
    CauseBackward { cause: Position, last: Position },
    #[error("position {position} is not committed; the log is committed to {committed}")]
    NotCommitted { position: Position, committed: Position },
    #[error("service {service} has no switch to epoch {epoch}, or it lies before the end of the log")]
    NoSwitch { service: u32, epoch: u32 },
    #[error("service {service} is switching to epoch {epoch} at {at}; wait for it, or call it off")]
    SwitchPending { service: u32, epoch: u32, at: Position },
    #[error("position {at} is no longer ahead: the log ends at {end}")]
    PositionPassed { at: Position, end: Position },
    #[error("service {service} has no version before the present one")]
    NothingToRollBack { service: u32 },

    // Room and members.
    #[error("{holder:?} needs the log from {limit} on, so it cannot be trimmed to {floor}")]
    TrimHeld { floor: Position, limit: Position, holder: Holder },
    #[error("there are {limit} pins, which is the most")]
    TooManyPins { limit: usize },
    #[error("a change of membership at {at} is not committed yet; try again when it is")]
    ChangePending { at: Position },
    #[error("id {id} was used before; the next one that is free is {next}")]
    IdUsed { id: NodeId, next: NodeId },
    #[error("{id} is not a {wanted} of this cluster")]
    NotAMember { id: NodeId, wanted: &'static str },
    #[error("{id} leads; hand leadership over before it is removed")]
    LeaderStays { id: NodeId },
    #[error("{id} lags {lag_bytes} bytes behind and may lag {limit_bytes}; try again when it has caught up")]
    NotCaughtUp { id: NodeId, lag_bytes: u64, limit_bytes: u64 },
    #[error("the cluster has {limit} {what}, which is the most")]
    TooManyMembers { what: &'static str, limit: usize },
}

impl Refusal {
    /// The name used in metrics and documents.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Whether the same request may succeed later, here or at another node, without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotLeader { .. }
                | Self::NotReady { .. }
                | Self::HandingOver { .. }
                | Self::Backpressure { .. }
                | Self::LogFull
                | Self::TooManySessions { .. }
                | Self::NotActive { .. }
                | Self::EpochNotOpen { .. }
                | Self::NotCommitted { .. }
                | Self::SwitchPending { .. }
                | Self::TrimHeld { .. }
                | Self::ChangePending { .. }
                | Self::NotCaughtUp { .. }
        )
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Self::Malformed(error)
    }
}
