//! What can happen to the core.

use sequencer_wire::{Envelope, LogEnd, NodeId, PeerMessage, Position};

/// The two clocks as the caller read them just before the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since an arbitrary start; never goes back. All time-outs are measured on it.
    pub monotonic_ns: u64,
    /// Nanoseconds since the Unix epoch; may jump either way. Only timestamps of frames are derived from it.
    pub wall_ns: u64,
}

/// One thing that happened, handed to [`crate::Core::step`].
#[expect(
    clippy::large_enum_variant,
    reason = "rejections carry their terms inline so that no step allocates"
)]
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Time has passed. At the latest due when [`crate::Core::next_deadline_ns`] is reached.
    Tick,
    /// A peer's message arrived; decoded and of this cluster.
    Receive {
        /// Who sent it, to whom, in which term.
        envelope: Envelope,
        /// What it says.
        message: PeerMessage<'a>,
    },
    /// What has been admitted since the last flush is to be sent and written: the end of one turn of the caller's loop.
    Flush,
    /// The own log is durable up to here, as the cluster's durability defines it.
    Durable {
        /// End of the durable part; a frame boundary.
        position: Position,
    },
    /// The answer to [`crate::Effect::ReadLog`].
    LogRead {
        /// The follower the bytes were read for.
        peer: NodeId,
        /// Of the read that this answers.
        id: u64,
        /// Position of the first byte.
        from: Position,
        /// Whole verified frames.
        frames: &'a [u8],
    },
    /// The answer to [`crate::Effect::ReadSnapshot`].
    SnapshotRead {
        /// The follower the bytes were read for.
        peer: NodeId,
        /// Of the read that this answers.
        id: u64,
        /// The log end that the saved snapshot is of.
        last: LogEnd,
        /// Its size.
        total_bytes: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        bytes: &'a [u8],
    },
    /// The own disk failed for good. A leader hands over as well as it can; the core takes part in nothing afterwards.
    StorageFailed,
}
