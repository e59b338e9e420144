//! Why the log refuses or stops.

use sequencer_wire::{ClusterId, NodeId, Position, WireError};
use thiserror::Error;

use crate::disk::DiskError;

/// What is wrong with bytes that were once written whole.
#[derive(Copy, Clone, Debug, Error, PartialEq, Eq)]
pub enum CorruptionCause {
    /// Both copies of a record fail their checksum.
    #[error("both copies of the record are damaged")]
    BothCopies,
    /// A record that must exist was never written or is gone.
    #[error("the record is missing")]
    MissingRecord,
    /// A file that must exist is gone.
    #[error("the file is missing")]
    MissingFile,
    /// A file is too short for what it must hold.
    #[error("the file is cut short to {0} bytes")]
    ShortFile(u64),
    /// The header of a segment is damaged or missing.
    #[error("the segment header is damaged")]
    Header,
    /// The header of a segment does not continue the segments before it.
    #[error("the segment header does not continue the log before it")]
    HeaderChain,
    /// No snapshot that reaches the start of the log is sound.
    #[error("the snapshot that the log rests on is damaged")]
    Snapshot,
    /// A frame does not verify.
    #[error(transparent)]
    Frame(WireError),
}

/// Errors of the log. After `Disk` (but not `Full`) the log is poisoned; no other error changes it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StorageError {
    /// The disk failed; the log is poisoned from here on, since a failed sync must never be tried again.
    #[error("the log's disk failed and the log has stopped: {0}")]
    Disk(#[source] DiskError),
    /// No room for a new segment. Nothing changed; the call may be repeated when there is room.
    #[error("no room for the new file {name} of {bytes} bytes; free space, then try again")]
    Full {
        /// File that was to be created.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// An earlier disk error stopped the log.
    #[error("the log stopped after an earlier disk error; check the disk and start the node again")]
    Poisoned,
    /// The directory holds no log.
    #[error("the directory holds no log; format it if this is a new node")]
    NotFormatted,
    /// The directory holds a log already.
    #[error("the directory holds a log already; give the new node a directory of its own")]
    AlreadyFormatted,
    /// The directory holds files that are not a log's.
    #[error("the directory holds {name} but no log; give the node an empty directory")]
    NotEmpty {
        /// The first file found.
        name: String,
    },
    /// The directory or a file in it is of another cluster.
    #[error(
        "{file} belongs to cluster {found}, not to {expected}; check which directory this node was given"
    )]
    WrongCluster {
        /// File that says so.
        file: String,
        /// The configured cluster.
        expected: ClusterId,
        /// The cluster in the file.
        found: ClusterId,
    },
    /// The directory is of another node.
    #[error(
        "{file} belongs to node {found}, not to node {expected}; check which directory this node was given"
    )]
    WrongNode {
        /// File that says so.
        file: String,
        /// The configured node.
        expected: NodeId,
        /// The node in the file.
        found: NodeId,
    },
    /// A file was written by a newer version of this software.
    #[error("{file} has format version {version}, this software reads {supported}; upgrade it")]
    UnsupportedFormat {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
        /// The version this software reads.
        supported: u32,
    },
    /// A whole frame that this software does not understand stands in the log; nothing was changed.
    #[error("{file} holds a whole frame that this software cannot read; upgrade it: {source}")]
    Unsupported {
        /// The segment.
        file: String,
        /// Which frame and why.
        source: WireError,
    },
    /// Bytes needed to go on are damaged; the node must not start, or must stop.
    #[error(
        "{file} is damaged at byte {offset}: {cause}; do not go on with it, repair this node from its peers"
    )]
    Corruption {
        /// The file.
        file: String,
        /// Byte of the file.
        offset: u64,
        /// What is wrong there.
        cause: CorruptionCause,
    },
    /// A frame of the log no longer verifies when it is read.
    #[error("{file} is damaged at position {position}: {cause}; stop and repair this node from its peers")]
    DamagedFrame {
        /// The segment.
        file: String,
        /// Where in the log.
        position: Position,
        /// What is wrong there.
        cause: WireError,
    },
    /// The node ran with memory durability and the machine restarted, so acknowledged bytes are lost.
    #[error(
        "node {node} kept acknowledged bytes in memory only and its machine restarted; add it to the cluster anew, under a new id"
    )]
    MemoryLost {
        /// The node.
        node: NodeId,
    },
    /// The segment size cannot be used.
    #[error("a segment of {segment_bytes} bytes is not possible; use a multiple of 512, at least {min}")]
    SegmentBytes {
        /// The configured size.
        segment_bytes: u64,
        /// Smallest size.
        min: u64,
    },
    /// The frame does not fit into an empty segment.
    #[error(
        "the frame at position {at} has {bytes} bytes, a segment holds {room}; use larger segments or smaller messages"
    )]
    FrameTooLarge {
        /// Where it was to stand.
        at: Position,
        /// Its padded size.
        bytes: u64,
        /// Room in an empty segment.
        room: u64,
    },
    /// What was to be appended is not a series of whole frames.
    #[error("the bytes to append are not whole frames: {0}")]
    NotFrames(#[source] WireError),
    /// A snapshot is not of the durable log, or not newer than the present one.
    #[error(
        "a snapshot at {position} cannot be saved: it must be a frame boundary from {least} to {most}, in the log's term there"
    )]
    SnapshotPosition {
        /// Position of the snapshot.
        position: Position,
        /// Lowest position possible.
        least: Position,
        /// Highest position possible.
        most: Position,
    },
    /// No snapshot is saved.
    #[error("no snapshot is saved; save one first")]
    NoSnapshot,
    /// The position lies before the log's first byte.
    #[error(
        "position {from} lies before the start of the log at {start}; take it from a snapshot or the archive"
    )]
    BelowStart {
        /// Position asked for.
        from: Position,
        /// First position of the log.
        start: Position,
    },
    /// The position lies past the log's end.
    #[error("position {from} lies past the end of the log at {end}")]
    PastEnd {
        /// Position asked for.
        from: Position,
        /// End of the log.
        end: Position,
    },
}

impl From<DiskError> for StorageError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Full { name, bytes } => Self::Full { name, bytes },
            other => Self::Disk(other),
        }
    }
}
