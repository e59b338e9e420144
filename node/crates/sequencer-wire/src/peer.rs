//! The messages of the consensus protocol between cluster members: a 48-byte envelope, a body of fixed layout
//! for each kind, and for an append the frames themselves.
//!
//! ```text
//!  0 length u32 | 4 crc32c u32 | 8 version u8 | 9 kind u8 | 10 flags u16 | 12 from u32
//! 16 to u32 | 20 reserved u32 | 24 cluster 16 bytes | 40 term u64 | 48 body
//! ```

mod decode;
mod encode;
mod layout;

pub use decode::{decode_peer, peek_peer_length};
pub use encode::{encode_append_header, encode_peer};
pub use layout::{
    APPEND_FRAMES_BYTES_MAX, ENVELOPE_BYTES, PEER_MESSAGE_BYTES_MAX, PEER_VERSION, PeerKind,
    SNAPSHOT_CHUNK_BYTES_MAX,
};

use crate::{ClusterId, LogEnd, NodeId, Position, Term, TermStarts};

/// What every message starts with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The cluster of the sender.
    pub cluster: ClusterId,
    /// The sender.
    pub from: NodeId,
    /// The node that the message is meant for.
    pub to: NodeId,
    /// The sender's term; in a pre-vote request the term that it would campaign in.
    pub term: Term,
}

/// How far a node trusts its own log after it has read it back from disk.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum LogHealth {
    /// Everything that was acknowledged is there.
    #[default]
    Clean = 0,
    /// The last batch is missing; whether it was acknowledged is not known.
    Doubtful = 1,
    /// Acknowledged bytes cannot be read.
    Damaged = 2,
}

impl LogHealth {
    /// The name used in logs, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogHealth::Clean => "clean",
            LogHealth::Doubtful => "doubtful",
            LogHealth::Damaged => "damaged",
        }
    }
}

impl std::fmt::Display for LogHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<u8> for LogHealth {
    /// The byte itself: no state has that number.
    type Error = u8;

    fn try_from(byte: u8) -> Result<LogHealth, u8> {
        match byte {
            0 => Ok(LogHealth::Clean),
            1 => Ok(LogHealth::Doubtful),
            2 => Ok(LogHealth::Damaged),
            other => Err(other),
        }
    }
}

/// What one cluster member says to another. All positions are multiples of `ALIGNMENT`.
#[expect(
    clippy::large_enum_variant,
    reason = "messages are values on the stack; a box would allocate for each"
)]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage<'a> {
    /// Would you vote for me? Changes nobody's term.
    PreVoteRequest {
        /// The end of the sender's log.
        last: LogEnd,
    },
    /// The answer to a pre-vote request.
    PreVoteResponse {
        /// Whether the sender would vote for the one that asked.
        granted: bool,
    },
    /// Vote for me in the term of the envelope.
    VoteRequest {
        /// The end of the sender's log.
        last: LogEnd,
        /// The leader asked the sender to take over, so a live leader is no reason to refuse.
        transfer: bool,
    },
    /// The answer to a vote request.
    VoteResponse {
        /// Whether the sender voted for the one that asked.
        granted: bool,
        /// The sender's wall clock, in ns since the Unix epoch; shows skew between nodes.
        wall_ns: u64,
    },
    /// The leader's log goes on like this. Without frames it is a heartbeat.
    Append {
        /// The end of the log that the frames follow.
        previous: LogEnd,
        /// The leader's commit position.
        commit: Position,
        /// Counts the leader's rounds of heartbeats; the answer repeats it.
        round: u64,
        /// Whole frames, not verified by `decode_peer`: each carries its own checksum.
        frames: &'a [u8],
    },
    /// The sender's log agrees with the leader's.
    AppendAccepted {
        /// The log agrees up to here.
        matched: Position,
        /// The part of it up to here is on disk.
        durable: Position,
        /// The round of the append that is answered.
        round: u64,
        /// The sender's disk has reached its reserve.
        low_space: bool,
    },
    /// The sender's log does not have what the append follows.
    AppendRejected {
        /// The position that the append wanted to follow.
        previous: Position,
        /// The end of the sender's log.
        end: Position,
        /// The round of the append that is answered.
        round: u64,
        /// The last terms of the sender's log, for the leader to find the last one that both have.
        terms: TermStarts,
    },
    /// Campaign now: the leader hands over.
    TimeoutNow {
        /// The end of the leader's log, which the receiver must have.
        end: LogEnd,
    },
    /// How is your log?
    StatusRequest {
        /// The answer repeats it.
        nonce: u64,
    },
    /// The answer to a status request.
    StatusResponse {
        /// That of the request.
        nonce: u64,
        /// How far the sender trusts its log.
        health: LogHealth,
        /// The end of the sender's log.
        last: LogEnd,
    },
    /// A piece of the leader's snapshot, for a follower that needs bytes which the leader no longer has.
    SnapshotChunk {
        /// The log end that the snapshot is of.
        last: LogEnd,
        /// Size of the whole snapshot.
        total_bytes: u64,
        /// Where the piece begins.
        offset: u64,
        /// The leader's round; the answer repeats it.
        round: u64,
        /// The piece, at most `SNAPSHOT_CHUNK_BYTES_MAX`.
        bytes: &'a [u8],
    },
    /// The answer to a piece.
    SnapshotReceived {
        /// Position of the snapshot.
        position: Position,
        /// Bytes from its start that the sender holds.
        offset: u64,
        /// The round of the piece that is answered.
        round: u64,
    },
}

impl PeerMessage<'_> {
    /// The kind byte that the message is sent with.
    #[must_use]
    pub const fn kind(&self) -> PeerKind {
        match self {
            PeerMessage::PreVoteRequest { .. } => PeerKind::PreVoteRequest,
            PeerMessage::PreVoteResponse { .. } => PeerKind::PreVoteResponse,
            PeerMessage::VoteRequest { .. } => PeerKind::VoteRequest,
            PeerMessage::VoteResponse { .. } => PeerKind::VoteResponse,
            PeerMessage::Append { .. } => PeerKind::Append,
            PeerMessage::AppendAccepted { .. } => PeerKind::AppendAccepted,
            PeerMessage::AppendRejected { .. } => PeerKind::AppendRejected,
            PeerMessage::TimeoutNow { .. } => PeerKind::TimeoutNow,
            PeerMessage::StatusRequest { .. } => PeerKind::StatusRequest,
            PeerMessage::StatusResponse { .. } => PeerKind::StatusResponse,
            PeerMessage::SnapshotChunk { .. } => PeerKind::SnapshotChunk,
            PeerMessage::SnapshotReceived { .. } => PeerKind::SnapshotReceived,
        }
    }
}
