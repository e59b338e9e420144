//! What a node keeps across restarts, and what it finds when it starts.

use sequencer_wire::{LogEnd, NodeId, Position, Term, TermTable};

/// Bytes that this node may have acknowledged and cannot read any more.
///
/// Invariant: whatever the node ever acknowledged ends at or below `max(own durable end, claim end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Upper bound of what may have been acknowledged.
    pub end: LogEnd,
    /// Bytes known to have been acknowledged are unreadable. Such a claim is settled only by a leader's log, never by
    /// asking around, because readable bytes may still lie behind the damage.
    pub damaged: bool,
}

/// The part of the state, besides the log, that must be durable before it is revealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// Highest term seen.
    pub term: Term,
    /// Who got this node's vote in that term.
    pub vote: Option<NodeId>,
    /// See [`Claim`].
    pub claim: Option<Claim>,
}

/// What storage recovered at start.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Term, vote and claim.
    pub hard_state: HardState,
    /// Derived from the new-term frames of the log.
    pub terms: TermTable,
    /// End of the valid log; all of it is durable.
    pub end: Position,
    /// Timestamp of the last frame, 0 in an empty log.
    pub last_timestamp_ns: u64,
}
