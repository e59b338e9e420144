//! Counters in memory that others may look into: a file that is mapped by the node and read by `sequencer stat`, also when the node is dead.
//!
//! ```text
//! 0 "SEQCNTR1" | 8 u32 version, 1 | 12 u32 count | 16 u64 pid | 24 u64 start, ns since the Unix epoch | 32 u64 names at | 40 u64 values at
//! names: 48 bytes each, filled up with zeros | values: u64 each, little-endian
//! ```
//! The hot loop counts in its own memory; from time to time the figures are copied here.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapMut;

use crate::node::error::NodeError;

/// Name of the file.
pub(crate) const COUNTERS_FILE: &str = "counters";
const NAME_BYTES: usize = 48;
const HEAD_BYTES: usize = 64;

/// See the module's description.
pub(crate) struct Counters {
    map: MmapMut,
    count: usize,
}

impl Counters {
    /// Makes the file anew: figures of an earlier life are not added to.
    pub(crate) fn create(directory: &Path, names: &[&str], start_ns: u64) -> Result<Self, NodeError> {
        let path = directory.join(COUNTERS_FILE);
        let failed = |source| NodeError::Io { what: path.display().to_string(), source };
        let temporary = directory.join(format!("{COUNTERS_FILE}-new"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(failed)?;
        let bytes = HEAD_BYTES + names.len() * (NAME_BYTES + 8);
        file.set_len(bytes as u64).map_err(failed)?;
        // SAFETY: the file was made just now and nobody shortens it: it is renamed over an old one, and readers only read.
        let mut map = unsafe { MmapMut::map_mut(&file) }.map_err(failed)?;
        map[..8].copy_from_slice(b"SEQCNTR1");
        map[8..12].copy_from_slice(&1_u32.to_le_bytes());
        map[12..16].copy_from_slice(&(names.len() as u32).to_le_bytes());
        map[16..24].copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
        map[24..32].copy_from_slice(&start_ns.to_le_bytes());
        map[32..40].copy_from_slice(&(HEAD_BYTES as u64).to_le_bytes());
        map[40..48].copy_from_slice(&((HEAD_BYTES + names.len() * NAME_BYTES) as u64).to_le_bytes());
        for (index, name) in names.iter().enumerate() {
            let at = HEAD_BYTES + index * NAME_BYTES;
            map[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        std::fs::rename(&temporary, &path).map_err(failed)?;
        Ok(Self { map, count: names.len() })
    }

    /// Shows these figures, in the order of the names.
    pub(crate) fn show(&mut self, values: &[u64]) {
        assert!(values.len() == self.count, "one figure for each name");
        let start = HEAD_BYTES + self.count * NAME_BYTES;
        for (place, value) in self.map[start..].chunks_exact_mut(8).zip(values) {
            // SAFETY: the place is 8 bytes of the map, at an address that is a multiple of 8, because the map begins at a page; this process
            // reads and writes it only here.
            let place = unsafe { AtomicU64::from_ptr(place.as_mut_ptr().cast()) };
            place.store(value.to_le(), Ordering::Relaxed);
        }
    }
}
