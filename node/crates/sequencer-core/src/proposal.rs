//! Frames without rules of their own: opaque to the core, asked for by operators and tools.

use sequencer_wire::{FrameKind, Position, Term};

use crate::admission::Head;
use crate::core::Core;
use crate::event::Now;
use crate::refusal::Refusal;

/// A frame to be put into the log as it is.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// What kind of frame; only [`FrameKind::ClusterVersion`] has no rules so far.
    pub kind: FrameKind,
    /// Where it comes from.
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

/// Where an admitted frame stands. It is committed once the commit position reaches `end` while this node still leads
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

impl Core {
    /// Appends one frame to the leader's log. It leaves the node with the next [`crate::Event::Flush`].
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    pub fn propose(&mut self, proposal: &Proposal<'_>, now: Now) -> Result<Admitted, Refusal> {
        self.check_leading()?;
        if proposal.kind != FrameKind::ClusterVersion {
            return Err(Refusal::ReservedKind { kind: proposal.kind });
        }
        self.check_room(proposal.payload.len(), true)?;
        let head = Head {
            kind: proposal.kind,
            source_id: proposal.source_id,
            sequence: proposal.source_sequence,
            epoch: 0,
            cause: proposal.cause,
            schema_id: proposal.schema_id,
            schema_version: proposal.schema_version,
        };
        let (at, timestamp_ns) = self.append(&head, proposal.payload, now);
        Ok(Admitted { term: self.term, at, end: self.log.end(), timestamp_ns })
    }
}
