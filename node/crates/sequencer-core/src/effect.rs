//! What the core asks its caller to do.

use sequencer_wire::{HardState, LogEnd, LogHealth, NodeId, PeerMessage, Position, Term, TermStarts};

use crate::status::Role;

/// One act. The caller carries effects out in the order given.
///
/// Invariant: an effect takes place only after all that stand before it are done; in particular a
/// [`Effect::SaveHardState`] is durable before a later [`Effect::Send`] leaves the node. The caller may batch, but never
/// moves an effect across another.
#[expect(
    clippy::large_enum_variant,
    reason = "rejections carry their terms inline so that no step allocates"
)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Make term, vote and claim durable; blocks what follows.
    SaveHardState(HardState),
    /// Remove the log's bytes from `to` on, durably, before anything is written there again. What a deposed leader admitted and
    /// never flushed is cut too, though storage was never handed it: the stored log may then end at or before `to`.
    Cut {
        /// The new end of the log.
        to: Position,
    },
    /// Append the bytes `from..to` of the log buffer to the stored log. It need not be durable before later effects:
    /// [`crate::Event::Durable`] reports that.
    Write {
        /// Old end of the stored log.
        from: Position,
        /// New end of the stored log.
        to: Position,
    },
    /// Send a message to a peer. Delivery is not guaranteed and need not be in order.
    Send {
        /// The receiver.
        to: NodeId,
        /// The sender's term.
        term: Term,
        /// The message.
        message: Outgoing,
    },
    /// Read whole frames from the stored log and answer with [`crate::Event::LogRead`].
    ReadLog {
        /// The follower that needs them.
        peer: NodeId,
        /// Repeated by the answer; never used twice in one life.
        id: u64,
        /// First position wanted.
        from: Position,
        /// Upper bound in bytes; at least one frame is read.
        limit_bytes: usize,
    },
    /// Read a piece of the saved snapshot and answer with [`crate::Event::SnapshotRead`].
    ReadSnapshot {
        /// The follower that needs it.
        peer: NodeId,
        /// Repeated by the answer; never used twice in one life.
        id: u64,
        /// First byte wanted.
        offset: u64,
        /// Upper bound in bytes.
        limit_bytes: usize,
    },
    /// Replace the whole stored log by the snapshot in [`crate::Core::installed_bytes`], durably, before anything that follows. The log
    /// then starts and ends at its position.
    Install {
        /// The log end that the snapshot is of.
        last: LogEnd,
    },
    /// Everything below is committed: it will never change and may be shown to anyone.
    Committed {
        /// The commit position.
        position: Position,
    },
    /// The node's part in the cluster changed.
    RoleChanged {
        /// The new role.
        role: Role,
        /// The current term.
        term: Term,
    },
}

/// A message to a peer, with frames named by range instead of carried.
#[expect(
    clippy::large_enum_variant,
    reason = "rejections carry their terms inline so that no step allocates"
)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outgoing {
    /// Would the receiver vote for the sender?
    PreVoteRequest {
        /// Durable end of the sender's log.
        last: LogEnd,
    },
    /// Answer to a pre-vote request.
    PreVoteResponse {
        /// Whether it would.
        granted: bool,
    },
    /// A vote is asked for.
    VoteRequest {
        /// Durable end of the sender's log.
        last: LogEnd,
        /// The leader itself told the sender to campaign.
        transfer: bool,
    },
    /// Answer to a vote request.
    VoteResponse {
        /// Whether the vote was given.
        granted: bool,
        /// The voter's wall clock, which bounds the new leader's.
        wall_ns: u64,
    },
    /// Frames `from..to`; an empty range is a heartbeat or a probe.
    Append {
        /// The log's end before `from`.
        previous: LogEnd,
        /// The leader's commit position.
        commit: Position,
        /// The leader's round, echoed by the answer.
        round: u64,
        /// First byte.
        from: Position,
        /// End of the last byte.
        to: Position,
        /// Where the bytes are.
        source: FrameSource,
    },
    /// The receiver's log matches.
    AppendAccepted {
        /// End of what matches the leader's log.
        matched: Position,
        /// End of what matches and is durable.
        durable: Position,
        /// The round of the append answered.
        round: u64,
        /// The sender's disk has reached its reserve.
        low_space: bool,
    },
    /// The receiver's log does not match at `previous`.
    AppendRejected {
        /// The position that was refused.
        previous: Position,
        /// End of the receiver's log.
        end: Position,
        /// The round of the append answered.
        round: u64,
        /// The receiver's newest terms that start below `previous`.
        terms: TermStarts,
    },
    /// The receiver shall campaign at once.
    TimeoutNow {
        /// End of the leader's log.
        end: LogEnd,
    },
    /// Ask for the receiver's log end, to settle a doubt.
    StatusRequest {
        /// Echoed by the answer.
        nonce: u64,
    },
    /// A piece of the snapshot, from the [`crate::Event::SnapshotRead`] being handled.
    SnapshotChunk {
        /// The log end that the snapshot is of.
        last: LogEnd,
        /// Its size.
        total_bytes: u64,
        /// Where the piece begins.
        offset: u64,
        /// The leader's round.
        round: u64,
        /// Bytes in the piece.
        length: usize,
    },
    /// How much of a snapshot has arrived.
    SnapshotReceived {
        /// Position of the snapshot.
        position: Position,
        /// Bytes from its start that are there.
        offset: u64,
        /// The round of the piece answered.
        round: u64,
    },
    /// The sender's log end.
    StatusResponse {
        /// Of the request.
        nonce: u64,
        /// Whether the log is whole.
        health: LogHealth,
        /// Durable valid end.
        last: LogEnd,
    },
}

impl Outgoing {
    /// The message to encode. `bytes` are an append's frames or a piece of a snapshot; the others have none.
    pub fn with_bytes<'a>(&self, bytes: &'a [u8]) -> PeerMessage<'a> {
        match *self {
            Self::PreVoteRequest { last } => PeerMessage::PreVoteRequest { last },
            Self::PreVoteResponse { granted } => PeerMessage::PreVoteResponse { granted },
            Self::VoteRequest { last, transfer } => PeerMessage::VoteRequest { last, transfer },
            Self::VoteResponse { granted, wall_ns } => PeerMessage::VoteResponse { granted, wall_ns },
            Self::Append { previous, commit, round, .. } => {
                PeerMessage::Append { previous, commit, round, frames: bytes }
            }
            Self::SnapshotChunk { last, total_bytes, offset, round, .. } => {
                PeerMessage::SnapshotChunk { last, total_bytes, offset, round, bytes }
            }
            Self::SnapshotReceived { position, offset, round } => {
                PeerMessage::SnapshotReceived { position, offset, round }
            }
            Self::AppendAccepted { matched, durable, round, low_space } => {
                PeerMessage::AppendAccepted { matched, durable, round, low_space }
            }
            Self::AppendRejected { previous, end, round, terms } => {
                PeerMessage::AppendRejected { previous, end, round, terms }
            }
            Self::TimeoutNow { end } => PeerMessage::TimeoutNow { end },
            Self::StatusRequest { nonce } => PeerMessage::StatusRequest { nonce },
            Self::StatusResponse { nonce, health, last } => {
                PeerMessage::StatusResponse { nonce, health, last }
            }
        }
    }
}

/// Where the frames of an [`Outgoing::Append`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameSource {
    /// In the core's log buffer.
    Buffer,
    /// In the [`crate::Event::LogRead`] being handled.
    Event,
}

/// The effects of one step, in order. Reused, so that steps allocate nothing in the steady state. Ranges of the log buffer that
/// they name must be carried out before the next step or proposal.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// An empty list with room for one busy step.
    pub fn new() -> Self {
        Self { list: Vec::with_capacity(64) }
    }

    /// The effects so far, oldest first.
    pub fn as_slice(&self) -> &[Effect] {
        &self.list
    }

    /// Forgets the effects; keeps the room.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
}
