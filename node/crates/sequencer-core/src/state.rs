//! What a node finds when it starts.

use sequencer_wire::{HardState, Position, TermTable};

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
