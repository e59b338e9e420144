//! Admitting messages: the hot path of a leader.
//!
//! Cost of one message: one copy into the log buffer and one checksum over it. No allocation, no system call; the bytes
//! leave the node with the next [`crate::Event::Flush`], together with all that was admitted before it.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{FrameFields, FrameKind, NodeId, Position, Term, encode_frame, frame_bytes};
use thiserror::Error;

use crate::core::Core;
use crate::event::Now;
use crate::status::Role;

/// A message to be put into the log.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// What kind of frame; a new-term frame cannot be proposed.
    pub kind: FrameKind,
    /// The session or service it comes from.
    pub source_id: u32,
    /// Its number there.
    pub source_sequence: u64,
    /// Position of the frame that caused it; 0 if none.
    pub cause: Position,
    /// Schema of the payload.
    pub schema_id: u16,
    /// Version of that schema.
    pub schema_version: u16,
    /// Opaque bytes.
    pub payload: &'a [u8],
}

/// Where an admitted message stands. It is committed once the commit position reaches `end` while this node still leads
/// in `term`; until then it may be cut, and nobody outside may be told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The term it was admitted in.
    pub term: Term,
    /// Position of its frame.
    pub at: Position,
    /// End of its frame.
    pub end: Position,
    /// Its timestamp, nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
}

/// Why a message was not admitted. Nothing has changed; all but the last two may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another node leads, or none.
    #[error("this node does not lead; ask {leader:?}")]
    NotLeader {
        /// The leader, if known.
        leader: Option<NodeId>,
    },
    /// The first frame of this leader's term is not committed yet.
    #[error("the leader's term {term} has not committed its first frame yet; try again shortly")]
    NotReady {
        /// The leader's term.
        term: Term,
    },
    /// Leadership is being handed over.
    #[error("leadership is being handed over to {target}; ask it shortly")]
    HandingOver {
        /// The coming leader.
        target: NodeId,
    },
    /// Too much is admitted and not committed.
    #[error(
        "{uncommitted_bytes} bytes wait to be committed and the limit is {limit_bytes}; try again when some are"
    )]
    Backpressure {
        /// Bytes that are not committed, or not yet handed to the own disk.
        uncommitted_bytes: u64,
        /// The configured limit.
        limit_bytes: u64,
    },
    /// The message exceeds the largest frame this node takes.
    #[error("a payload of {bytes} bytes exceeds the limit of {limit_bytes}; split the message")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// Frames of this kind are written by the core alone.
    #[error("frames of kind {kind:?} are written by the leader itself and cannot be proposed")]
    ReservedKind {
        /// The kind asked for.
        kind: FrameKind,
    },
}

impl Core {
    /// Appends one message to the leader's log. It leaves the node with the next [`crate::Event::Flush`].
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    pub fn propose(&mut self, proposal: &Proposal<'_>, now: Now) -> Result<Admitted, Refusal> {
        self.check_admission(proposal)?;
        let at = self.log.end();
        let timestamp_ns = self.clock.stamp(now);
        let fields = FrameFields {
            kind: proposal.kind,
            flags: 0,
            source_id: proposal.source_id,
            source_sequence: proposal.source_sequence,
            timestamp_ns,
            cause: proposal.cause,
            schema_id: proposal.schema_id,
            schema_version: proposal.schema_version,
        };
        let room = self.log.reserve(frame_bytes(proposal.payload.len()), self.written);
        let bytes = encode_frame(room, at, self.term, &fields, proposal.payload)
            .expect("the size was checked and the room reserved");
        self.log.advance(bytes);
        Ok(Admitted { term: self.term, at, end: self.log.end(), timestamp_ns })
    }

    fn check_admission(&self, proposal: &Proposal<'_>) -> Result<(), Refusal> {
        if self.role != Role::Leader {
            return Err(Refusal::NotLeader { leader: self.leader });
        }
        if proposal.kind == FrameKind::NewTerm {
            return Err(Refusal::ReservedKind { kind: proposal.kind });
        }
        let limit_bytes = self.config.block_bytes - frame_bytes(0);
        if proposal.payload.len() > limit_bytes {
            return Err(Refusal::TooLarge { bytes: proposal.payload.len(), limit_bytes });
        }
        if self.commit <= self.term_start {
            return Err(Refusal::NotReady { term: self.term });
        }
        if let Some(transfer) = &self.transfer
            && !teeth::is_active(Bug::TransferWithoutStop)
        {
            return Err(Refusal::HandingOver { target: transfer.target });
        }
        // Bytes that followers committed before this node's own disk was handed them stay in the log buffer all the same.
        let uncommitted_bytes = self.log.end().0 - self.commit.min(self.written).0;
        let limit_bytes = self.config.uncommitted_bytes_max;
        if uncommitted_bytes + frame_bytes(proposal.payload.len()) as u64 > limit_bytes {
            return Err(Refusal::Backpressure { uncommitted_bytes, limit_bytes });
        }
        Ok(())
    }
}
