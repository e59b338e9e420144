//! How a log is configured.

use sequencer_wire::{ClusterId, NodeId};

use crate::error::StorageError;
use crate::segment::SEGMENT_BYTES_MIN;

/// Default size of a segment, in bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// When bytes count as durable.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When they are synced to the disk.
    Fsync,
    /// When they are in the page cache: they survive the process, not the machine.
    Memory,
}

/// Settings of one node's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Cluster that the log belongs to.
    pub cluster: ClusterId,
    /// Node that owns this copy of it.
    pub node: NodeId,
    /// Size of new segments, in bytes: a multiple of 512, at least 16 KiB. Existing segments keep theirs.
    pub segment_bytes: u64,
    /// When bytes count as durable.
    pub durability: Durability,
    /// Free bytes of the disk below which the log says that space is low; 0 for never.
    pub reserve_bytes: u64,
    /// Changes when the machine restarts, never otherwise.
    pub boot_id: [u8; 16],
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        let segment_bytes = self.segment_bytes;
        if segment_bytes < SEGMENT_BYTES_MIN || !segment_bytes.is_multiple_of(512) {
            return Err(StorageError::SegmentBytes { segment_bytes, min: SEGMENT_BYTES_MIN });
        }
        Ok(())
    }
}
