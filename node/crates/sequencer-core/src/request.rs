//! What may be asked of a leader.

use sequencer_wire::{Divergence, FrameKind, NodeId, Position, Retention, Schema, Service, SnapshotMarker};

/// One request to put something into the log. The answer is an [`crate::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The next message of a session.
    Message(Message<'a>),
    /// The next message of a session, as a question that a service answers at exactly its position.
    Query {
        /// The service that is asked.
        service: u32,
        /// The message; its payload is the question.
        message: Message<'a>,
    },
    /// Opens a session, for the first time or again.
    Open(Open<'a>),
    /// Ends a session for good: its name and window are forgotten.
    Close {
        /// The session.
        session: u32,
        /// Its epoch.
        epoch: u32,
    },
    /// A sign of life of a session that has nothing to send.
    KeepAlive {
        /// The session.
        session: u32,
        /// Its epoch.
        epoch: u32,
    },
    /// Ends any session, by an operator's decision.
    Revoke {
        /// The session.
        session: u32,
    },
    /// An output of a service.
    Output(Output<'a>),
    /// The last output of an epoch.
    OutputEnd(OutputEnd),
    /// How far a service has come.
    Progress(Progress),
    /// A replica disagrees with the log.
    Divergence {
        /// The service.
        service: u32,
        /// The replica's epoch.
        epoch: u32,
        /// Output that differs, or the last one before the digest that does.
        k: u64,
        /// The frame that caused it.
        cause: Position,
        /// What differs.
        report: Divergence,
    },
    /// Makes a schema known, raises its version, or gives it to another owner.
    RegisterSchema(Schema),
    /// Makes a service known, or changes its settings.
    RegisterService {
        /// Its id, above 0.
        id: u32,
        /// Name and settings.
        service: Service<'a>,
    },
    /// Another version takes over.
    Promote {
        /// The service.
        service: u32,
        /// The new version.
        version: u64,
        /// Where; the frame's own position if that is later.
        at: Position,
    },
    /// Calls a promotion off before its position is reached.
    Cancel {
        /// The service.
        service: u32,
        /// The epoch that shall not begin.
        epoch: u32,
    },
    /// The version before takes over again.
    Rollback {
        /// The service.
        service: u32,
        /// Where; the frame's own position if that is later.
        at: Position,
    },
    /// Every replica of a service passes a frame over.
    Skip {
        /// The service.
        service: u32,
        /// The frame.
        position: Position,
    },
    /// Wants a snapshot of a service at the frame's position, or says that one has been verified.
    Snapshot {
        /// The service.
        service: u32,
        /// Which of the two.
        marker: SnapshotMarker,
    },
    /// Changes what the log must keep.
    Retain(Retention),
    /// Gives up the bytes below a position.
    Trim {
        /// The position.
        floor: Position,
    },
    /// Changes the list of members.
    Member(MemberChange),
    /// Any of the above but members and outputs with the body still encoded, as a tool sends it.
    Encoded {
        /// Kind of the frame.
        kind: FrameKind,
        /// Source id of the frame.
        source_id: u32,
        /// Epoch of the frame.
        epoch: u32,
        /// Cause of the frame.
        cause: Position,
        /// The body.
        body: &'a [u8],
    },
}

/// A message of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The session.
    pub session: u32,
    /// Its epoch; for a session in a role group the epoch of the role.
    pub epoch: u32,
    /// One more than the last one.
    pub sequence: u64,
    /// The frame it answers; 0 if none.
    pub cause: Position,
    /// Schema of the payload; 0 if none.
    pub schema_id: u16,
    /// Version of that schema.
    pub schema_version: u16,
    /// Opaque bytes.
    pub payload: &'a [u8],
}

/// The opening of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// Names the session; 1 to 64 bytes.
    pub name: &'a str,
    /// From the caller's credentials; owns schemas.
    pub class: u16,
    /// Role group; 0 for none.
    pub group: u32,
    /// Log time without a word from it after which it is idle.
    pub timeout_ns: u64,
    /// The id that the caller had; the open is refused if that is not the name's session any more.
    pub resume: Option<u32>,
}

/// An output of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The service.
    pub service: u32,
    /// The epoch that it answers for.
    pub epoch: u32,
    /// Its number in the epoch, from 1.
    pub k: u64,
    /// The frame that caused it.
    pub cause: Position,
    /// Schema of the payload; 0 if none.
    pub schema_id: u16,
    /// Version of that schema.
    pub schema_version: u16,
    /// Opaque bytes.
    pub payload: &'a [u8],
    /// The replica that sends it, as its connection vouches for; distinguishes votes where several must agree.
    pub replica: u32,
}

/// The last output of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputEnd {
    /// The service.
    pub service: u32,
    /// The epoch that ends.
    pub epoch: u32,
    /// One more than the last output.
    pub k: u64,
    /// Where the next epoch begins.
    pub at: Position,
    /// The replica that sends it.
    pub replica: u32,
}

/// How far a service has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The service.
    pub service: u32,
    /// The epoch.
    pub epoch: u32,
    /// End of what was applied.
    pub applied: Position,
    /// Last output computed by then.
    pub k: u64,
    /// Digest of the state there.
    pub digest: u64,
}

/// One step from one list of members to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// A new node follows the log without a vote.
    AddLearner {
        /// Its id, never used before.
        id: NodeId,
        /// The UUID of its data.
        data: [u8; 16],
    },
    /// A learner that has caught up becomes a voter.
    Promote {
        /// The learner.
        id: NodeId,
    },
    /// A voter or learner leaves for good.
    Remove {
        /// The member; not the leader.
        id: NodeId,
    },
}
