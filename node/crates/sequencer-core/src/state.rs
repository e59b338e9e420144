//! What a node finds when it starts, and how its ledger is brought to the end of its log.

use sequencer_wire::{BodyError, Frames, HardState, LogEnd, Position, Term, TermTable, WireError};
use thiserror::Error;

use crate::ledger::{Ledger, SnapshotError, decode_snapshot};

/// The core's state at one committed log end, as a snapshot holds it; or the beginning of everything.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The log end.
    pub end: LogEnd,
    /// Timestamp of the last frame, 0 in an empty log.
    pub last_timestamp_ns: u64,
    /// All terms that start below the end.
    pub terms: TermTable,
    /// The ledger there.
    pub ledger: Ledger,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { end: LogEnd::default(), last_timestamp_ns: 0, terms: TermTable::new(), ledger: Ledger::new() }
    }
}

impl Snapshot {
    /// Reads a snapshot that [`crate::Core::ready_snapshot`] once gave.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are damaged, cut short, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        decode_snapshot(bytes)
    }
}

/// What storage recovered at start, and the ledger that belongs to it.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Term, vote and claim.
    pub hard_state: HardState,
    /// All terms of the log, also those that start below the stored part.
    pub terms: TermTable,
    /// First position of the stored log.
    pub start: Position,
    /// End of the valid log; all of it is durable.
    pub end: Position,
    /// Timestamp of the last frame, 0 in an empty log.
    pub last_timestamp_ns: u64,
    /// Everything below is known to be committed.
    pub committed: Position,
    /// Position of the saved snapshot, 0 if there is none.
    pub snapshot: Position,
    /// The ledger at `end`.
    pub ledger: Ledger,
}

/// A frame of the own log cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// It does not verify.
    #[error("the own log cannot be replayed: {0}")]
    Frame(#[from] WireError),
    /// Its body is of a layout that this software does not know.
    #[error("the frame at {at} cannot be replayed: {error}; run the version that wrote it, or a later one")]
    Body {
        /// Where it stands.
        at: Position,
        /// What is wrong.
        error: BodyError,
    },
}

impl Ledger {
    /// Frames below `committed` will not be taken back, so applying them need not be remembered.
    pub fn note_committed(&mut self, committed: Position) {
        self.commit(committed);
    }

    /// Applies the frames in `bytes`, which start at `from`, after a frame of term `previous`.
    ///
    /// # Errors
    /// [`ReplayError`]; the frames before the one named are applied.
    pub fn replay(&mut self, bytes: &[u8], from: Position, previous: Term) -> Result<(), ReplayError> {
        for frame in Frames::new(bytes, from, previous) {
            let frame = frame?;
            self.apply(&frame).map_err(|error| ReplayError::Body { at: frame.at, error })?;
        }
        Ok(())
    }
}
