//! Settings of one member, and that its parts agree.

use sequencer_core::{Config, ConfigError};
use sequencer_storage::{Options, frame_room};

/// Settings of one member. Cluster and id must be the same in both parts, and a segment must hold the largest frame.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Consensus.
    pub core: Config,
    /// The log on disk.
    pub storage: Options,
    /// Bytes of log after which another snapshot of the core is taken; replay after a start is about that long at most.
    pub snapshot_every_bytes: u64,
}

impl Settings {
    /// Checks every bound, and that the parts fit together.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.core.validate()?;
        let refuse = |path, found: u64, expected| Err(ConfigError { path, found, expected });
        if self.storage.cluster != self.core.cluster {
            return refuse("storage.cluster", 0, "it must be the cluster of the core");
        }
        if self.storage.node != self.core.id {
            return refuse("storage.node", u64::from(self.storage.node.0), "it must be the id of the core");
        }
        if self.snapshot_every_bytes == 0 {
            return refuse("snapshot_every_bytes", 0, "it must be above 0");
        }
        if self.core.block_bytes as u64 > frame_room(self.storage.segment_bytes) {
            // Otherwise one message could be admitted that no node can store.
            let block_bytes = self.core.block_bytes as u64;
            return refuse("core.block_bytes", block_bytes, "a segment must hold a frame of that size");
        }
        Ok(())
    }
}
