//! What can be wrong with bytes from a disk or a peer.

use crate::{ClusterId, FrameKind, NodeId, PeerKind, Position, Term};

/// Why bytes were refused. Frame errors carry the position `at` of the frame; peer messages have none.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the frame does.
    #[error(
        "The frame at position {at} needs {needed} bytes and {available} are there; \
         read more or end the log here."
    )]
    Truncated {
        /// Position of the frame.
        at: Position,
        /// Bytes that the frame needs at least.
        needed: usize,
        /// Bytes given.
        available: usize,
    },
    /// The length field holds a number that no frame has.
    #[error(
        "The frame at position {at} says it is {length} bytes long, outside of {min} to {max}; \
         no frame was written here, or its length is damaged."
    )]
    LengthOutOfRange {
        /// Position of the frame.
        at: Position,
        /// The length field.
        length: u32,
        /// Least length of a frame.
        min: usize,
        /// Most length of a frame.
        max: usize,
    },
    /// The frame would reach past the last 64-bit position.
    #[error(
        "A frame of {bytes} bytes at position {at} would end past the last position; \
         the position it was read for is wrong."
    )]
    PositionOutOfRange {
        /// Position of the frame.
        at: Position,
        /// Bytes of the frame with padding.
        bytes: usize,
    },
    /// The checksum is not that of these bytes at this position in this term.
    #[error(
        "The frame at position {at} has checksum {found:#010x} where {expected:#010x} is right for \
         term {term}; it is damaged or belongs to another place: repair it from a peer."
    )]
    Checksum {
        /// Position of the frame.
        at: Position,
        /// The term that the checksum was seeded with.
        term: Term,
        /// The checksum of the bytes.
        expected: u32,
        /// The checksum in the header.
        found: u32,
    },
    /// The frame is intact and of a version that this software does not know.
    #[error("The frame at position {at} has version {version}, this software reads {known}; upgrade it.")]
    UnsupportedVersion {
        /// Position of the frame.
        at: Position,
        /// The version in the header.
        version: u8,
        /// The version that can be read.
        known: u8,
    },
    /// The frame is intact and of a kind that this software does not know.
    #[error("The frame at position {at} has the unknown kind {kind}; upgrade this software.")]
    UnsupportedKind {
        /// Position of the frame.
        at: Position,
        /// The kind byte.
        kind: u8,
    },
    /// The frame is intact and carries flags that this software does not know.
    #[error("The frame at position {at} carries unknown flags {flags:#06x}; upgrade this software.")]
    UnsupportedFlags {
        /// Position of the frame.
        at: Position,
        /// The flags of the header.
        flags: u16,
    },
    /// The frame is intact and its reserved bytes are not zero.
    #[error(
        "The frame at position {at} has {reserved:#010x} in reserved bytes; \
         upgrade this software or report its writer."
    )]
    NonZeroReserved {
        /// Position of the frame.
        at: Position,
        /// What the reserved bytes hold.
        reserved: u32,
    },
    /// The frame is intact and its padding is not zero.
    #[error(
        "The frame at position {at} has {padding} bytes of padding that are not all zero; report its writer."
    )]
    NonZeroPadding {
        /// Position of the frame.
        at: Position,
        /// Bytes of padding.
        padding: usize,
    },
    /// The frame is intact and its payload has a size that its kind does not allow.
    #[error(
        "The {kind} frame at position {at} has {bytes} bytes of payload where {expected} are right; \
         report its writer."
    )]
    PayloadLength {
        /// Position of the frame.
        at: Position,
        /// Kind of the frame.
        kind: FrameKind,
        /// Bytes of payload.
        bytes: usize,
        /// Bytes that the kind has.
        expected: usize,
    },
    /// A new-term frame does not follow the frame before it.
    #[error(
        "The frame at position {at} starts term {term} after term {previous}, but the frame before \
         belongs to term {found}; it is left over from another history of the log."
    )]
    BrokenChain {
        /// Position of the frame.
        at: Position,
        /// The term that the frame starts.
        term: Term,
        /// The term that the frame says it follows.
        previous: Term,
        /// The term of the frame before it.
        found: Term,
    },
    /// The first frame of a log does not start a term.
    #[error(
        "The frame at position {at} has kind byte {kind} and no term before it; \
         a log starts with a new-term frame."
    )]
    NoTerm {
        /// Position of the frame.
        at: Position,
        /// The kind byte.
        kind: u8,
    },
    /// A payload to be written is larger than a frame may hold.
    #[error("A payload of {bytes} bytes for position {at} is over the limit of {max}; send it in parts.")]
    PayloadTooLarge {
        /// Position that the frame was meant for.
        at: Position,
        /// Bytes of the payload.
        bytes: usize,
        /// Most bytes of a payload.
        max: usize,
    },
    /// The buffer to write a frame into has too little room.
    #[error(
        "The frame for position {at} needs {needed} bytes and the buffer has {available}; give it more room."
    )]
    BufferTooSmall {
        /// Position that the frame was meant for.
        at: Position,
        /// Bytes that the frame takes with padding.
        needed: usize,
        /// Bytes of the buffer.
        available: usize,
    },
    /// The bytes end before the peer message does.
    #[error("The peer message needs {needed} bytes and {available} are there; read more.")]
    PeerTruncated {
        /// Bytes that the message needs at least.
        needed: usize,
        /// Bytes given.
        available: usize,
    },
    /// The length field holds a number that no peer message has.
    #[error(
        "The peer message says it is {length} bytes long, outside of {min} to {max}; close the connection."
    )]
    PeerLengthOutOfRange {
        /// The length field.
        length: u32,
        /// Least length of a message.
        min: usize,
        /// Most length of a message.
        max: usize,
    },
    /// The checksum is not that of this peer message.
    #[error(
        "The peer message has checksum {found:#010x} where {expected:#010x} is right; close the connection."
    )]
    PeerChecksum {
        /// The checksum of the bytes.
        expected: u32,
        /// The checksum in the envelope.
        found: u32,
    },
    /// The peer message is intact and of a version that this software does not know.
    #[error("A peer message has version {version}, this software reads {known}; upgrade the older node.")]
    UnsupportedPeerVersion {
        /// The version in the envelope.
        version: u8,
        /// The version that can be read.
        known: u8,
    },
    /// The peer message is intact and of a kind that this software does not know.
    #[error("A peer message has the unknown kind {kind}; upgrade this node.")]
    UnsupportedPeerKind {
        /// The kind byte.
        kind: u8,
    },
    /// The peer message is intact and carries flags that this software does not know.
    #[error("A peer message carries unknown flags {flags:#06x}; upgrade this node.")]
    UnsupportedPeerFlags {
        /// The flags of the envelope.
        flags: u16,
    },
    /// The peer message is intact and its reserved bytes are not zero.
    #[error(
        "A peer message has bytes that are not zero in the {bytes} reserved ones at {offset}; \
         upgrade this node or report the sender."
    )]
    PeerNonZeroReserved {
        /// Where the reserved bytes start in the message.
        offset: usize,
        /// How many bytes are reserved there.
        bytes: usize,
    },
    /// A piece of a snapshot is too long, or lies outside of the snapshot.
    #[error(
        "A snapshot of {total_bytes} bytes comes with a piece of {bytes} bytes at {offset}; report the sender."
    )]
    PeerChunkOutOfRange {
        /// Where the piece begins.
        offset: u64,
        /// Bytes in the piece.
        bytes: usize,
        /// Size of the whole snapshot.
        total_bytes: u64,
    },
    /// The sender belongs to another cluster.
    #[error(
        "Node {from} belongs to cluster {found}, this node to {expected}; \
         correct the peer addresses of one of them."
    )]
    WrongCluster {
        /// The sender.
        from: NodeId,
        /// The cluster of this node.
        expected: ClusterId,
        /// The cluster in the envelope.
        found: ClusterId,
    },
    /// The body has a size that the kind of message does not allow.
    #[error(
        "A peer message of kind {kind} has {bytes} bytes of body where {expected} are right; \
         report the sender."
    )]
    PeerBodyLength {
        /// Kind of the message.
        kind: PeerKind,
        /// Bytes of the body.
        bytes: usize,
        /// Bytes that the kind has.
        expected: usize,
    },
    /// A byte of the body holds a number without a meaning.
    #[error(
        "A peer message of kind {kind} holds {value} in {field}, which has no such value; report the sender."
    )]
    PeerValue {
        /// Kind of the message.
        kind: PeerKind,
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: u8,
    },
    /// A position of the body is not one at which a frame can start.
    #[error(
        "A peer message of kind {kind} holds {field} {position}, not a multiple of 8; report the sender."
    )]
    PeerMisaligned {
        /// Kind of the message.
        kind: PeerKind,
        /// Name of the field.
        field: &'static str,
        /// The position.
        position: Position,
    },
    /// A list of term starts is longer than any node sends.
    #[error("A peer message lists {count} term starts, the limit is {max}; report the sender.")]
    TooManyTermStarts {
        /// Entries listed.
        count: u32,
        /// Most entries of a list.
        max: usize,
    },
    /// A list of term starts does not ascend in term and position.
    #[error(
        "Entry {index} of the term starts in a peer message does not follow the one before; \
         report the sender."
    )]
    TermStartsNotAscending {
        /// The first entry out of order, counted from 0. Entry 0 is out of order when its term is 0.
        index: usize,
    },
}

impl WireError {
    /// Whether a torn, lost or flipped write could explain the error, so that recovery may take it for the
    /// end of what is readable. False means that the bytes are as their writer meant them, or that the caller
    /// asked for something impossible: then nothing may be cut, and the node stops.
    ///
    /// `BrokenChain` counts as damage although the checksum was right. A new-term frame is verified in the
    /// term that it names itself, so one left over in reused space can verify, and only the chain tells that
    /// it is not of this log.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        use WireError::*;
        match self {
            Truncated { .. }
            | LengthOutOfRange { .. }
            | Checksum { .. }
            | BrokenChain { .. }
            | NoTerm { .. } => true,
            PeerTruncated { .. } | PeerLengthOutOfRange { .. } | PeerChecksum { .. } => true,
            PositionOutOfRange { .. }
            | UnsupportedVersion { .. }
            | UnsupportedKind { .. }
            | UnsupportedFlags { .. }
            | NonZeroReserved { .. }
            | NonZeroPadding { .. }
            | PayloadLength { .. }
            | PayloadTooLarge { .. }
            | BufferTooSmall { .. } => false,
            UnsupportedPeerVersion { .. }
            | UnsupportedPeerKind { .. }
            | UnsupportedPeerFlags { .. }
            | PeerNonZeroReserved { .. }
            | WrongCluster { .. }
            | PeerBodyLength { .. }
            | PeerValue { .. }
            | PeerMisaligned { .. }
            | PeerChunkOutOfRange { .. }
            | TooManyTermStarts { .. }
            | TermStartsNotAscending { .. } => false,
        }
    }
}
