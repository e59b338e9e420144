//! Why a replica could not start or go on.

use sequencer_core::{ConfigError, ReplayError, SnapshotError};
use sequencer_storage::StorageError;
use thiserror::Error;

/// A replica that returns one of these takes part in nothing any more; drop it, mend the cause and open it again.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// A setting is out of bounds.
    #[error("the configuration is refused: {0}")]
    Config(#[from] ConfigError),
    /// The log could not be opened, written, synced or read.
    #[error("the log failed: {0}")]
    Storage(#[from] StorageError),
    /// The saved snapshot of the core cannot be read.
    #[error("the saved snapshot failed: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The own log cannot be replayed.
    #[error("the log failed: {0}")]
    Replay(#[from] ReplayError),
    /// It failed before.
    #[error("this replica has failed before and was not opened again")]
    Failed,
}
