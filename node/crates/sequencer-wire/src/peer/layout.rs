//! Sizes, offsets and the checksum of peer messages.

use std::fmt;

use crate::{TERM_STARTS_MAX, bytes};

/// Bytes of the envelope before the body.
pub const ENVELOPE_BYTES: usize = 48;
/// Most bytes of one message: 4 MiB of frames, and room for envelope and body. Bounds what a connection must
/// hold before it can decode.
pub const PEER_MESSAGE_BYTES_MAX: usize = (4 << 20) + (1 << 10);
/// Most bytes of frames in one append.
pub const APPEND_FRAMES_BYTES_MAX: usize = PEER_MESSAGE_BYTES_MAX - ENVELOPE_BYTES - APPEND_BODY_BYTES;
/// Most bytes of a snapshot in one message.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 1 << 20;
/// The version this code writes, and the only one it reads.
pub const PEER_VERSION: u8 = 1;

pub(super) const LENGTH_AT: usize = 0;
pub(super) const CRC_AT: usize = 4;
pub(super) const VERSION_AT: usize = 8;
pub(super) const KIND_AT: usize = 9;
pub(super) const FLAGS_AT: usize = 10;
pub(super) const FROM_AT: usize = 12;
pub(super) const TO_AT: usize = 16;
pub(super) const RESERVED_AT: usize = 20;
pub(super) const CLUSTER_AT: usize = 24;
pub(super) const TERM_AT: usize = 40;
const COVERED_FROM: usize = 8;

pub(super) const APPEND_BODY_BYTES: usize = 32;
pub(super) const CHUNK_BODY_BYTES: usize = 40;
pub(super) const REJECTED_BODY_BYTES: usize = 32;
pub(super) const TERM_START_BYTES: usize = 16;
// Invariant: the longest body other than an append's fits in the room beside the frames.
const _: () = assert!(ENVELOPE_BYTES + REJECTED_BODY_BYTES + TERM_STARTS_MAX * TERM_START_BYTES <= 1 << 10);

/// What a peer message is. The number is the kind byte of the envelope and never changes its meaning.
#[repr(u8)]
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum PeerKind {
    /// Would you vote for me?
    PreVoteRequest = 1,
    /// The answer to that.
    PreVoteResponse = 2,
    /// Vote for me.
    VoteRequest = 3,
    /// The answer to that.
    VoteResponse = 4,
    /// Frames, or a heartbeat.
    Append = 5,
    /// The log agrees.
    AppendAccepted = 6,
    /// The log does not have what the append follows.
    AppendRejected = 7,
    /// Campaign now.
    TimeoutNow = 8,
    /// How is your log?
    StatusRequest = 9,
    /// The answer to that.
    StatusResponse = 10,
    /// A piece of a snapshot.
    SnapshotChunk = 11,
    /// The answer to that.
    SnapshotReceived = 12,
}

impl PeerKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [PeerKind; 12] = [
        PeerKind::PreVoteRequest,
        PeerKind::PreVoteResponse,
        PeerKind::VoteRequest,
        PeerKind::VoteResponse,
        PeerKind::Append,
        PeerKind::AppendAccepted,
        PeerKind::AppendRejected,
        PeerKind::TimeoutNow,
        PeerKind::StatusRequest,
        PeerKind::StatusResponse,
        PeerKind::SnapshotChunk,
        PeerKind::SnapshotReceived,
    ];

    /// The name used in logs, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PeerKind::PreVoteRequest => "pre_vote_request",
            PeerKind::PreVoteResponse => "pre_vote_response",
            PeerKind::VoteRequest => "vote_request",
            PeerKind::VoteResponse => "vote_response",
            PeerKind::Append => "append",
            PeerKind::AppendAccepted => "append_accepted",
            PeerKind::AppendRejected => "append_rejected",
            PeerKind::TimeoutNow => "timeout_now",
            PeerKind::StatusRequest => "status_request",
            PeerKind::StatusResponse => "status_response",
            PeerKind::SnapshotChunk => "snapshot_chunk",
            PeerKind::SnapshotReceived => "snapshot_received",
        }
    }

    /// Bytes of the body without what varies: an append's frames, a rejection's term starts, the piece
    /// of a snapshot.
    pub(super) const fn body_bytes(self) -> usize {
        match self {
            PeerKind::PreVoteRequest | PeerKind::TimeoutNow | PeerKind::VoteResponse => 16,
            PeerKind::PreVoteResponse | PeerKind::StatusRequest => 8,
            PeerKind::VoteRequest | PeerKind::SnapshotReceived => 24,
            PeerKind::SnapshotChunk => CHUNK_BODY_BYTES,
            PeerKind::Append => APPEND_BODY_BYTES,
            PeerKind::AppendRejected => REJECTED_BODY_BYTES,
            PeerKind::StatusResponse | PeerKind::AppendAccepted => 32,
        }
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<u8> for PeerKind {
    /// The byte itself: no kind has that number.
    type Error = u8;

    fn try_from(byte: u8) -> Result<PeerKind, u8> {
        // The numbers run from 1 without a gap, so the table is indexed by them.
        PeerKind::ALL.get(usize::from(byte).wrapping_sub(1)).copied().ok_or(byte)
    }
}

/// CRC32C over the length as 8 bytes and then over the covered bytes: the whole message after the checksum,
/// but for an append not its frames, which carry their own. An unknown kind is covered whole, so that a newer
/// kind can be told from damage.
///
/// `message` holds at least the envelope and what is covered of the body; `length` is that of the whole
/// message.
pub(super) fn checksum(length: usize, message: &[u8]) -> u32 {
    let is_append = message[KIND_AT] == PeerKind::Append as u8;
    let covered_to = if is_append { length.min(ENVELOPE_BYTES + APPEND_BODY_BYTES) } else { length };
    let mut seed = [0; 8];
    bytes::put(&mut seed, 0, (length as u64).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), &message[COVERED_FROM..covered_to])
}
