//! The faults of the simulated disk and the controls a test holds.

use crate::disk::{DiskError, Operation};
use crate::sim_disk::{SimCounters, SimDisk};
use crate::sim_state::SimState;
use crate::splitmix::SplitMix64;

/// Where a bit was flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// File.
    pub name: String,
    /// Byte of the file.
    pub byte: u64,
    /// Bit of the byte, 0 to 7.
    pub bit: u8,
}

impl SimDisk {
    /// The process dies and its handles with it; everything written stays in the page cache. Ends a stop.
    pub fn crash_process(&self) {
        self.state().end_life();
    }

    /// The machine loses power: of every sector any one of its unsynced contents, or the synced one, survives, and of the
    /// unsynced directory changes a random first part. Ends a stop.
    pub fn lose_power(&self, rng: &mut SplitMix64) {
        let mut state = self.state();
        state.end_life();
        let kept = rng.below(state.changes.len() as u64 + 1) as usize;
        let lost = state.changes.len() - kept;
        state.settle_directory(kept);
        state.changes.clear();
        state.names = state.synced_names.clone();
        state.drop_unnamed();
        state.counters.lost_directory_operations += lost as u64;
        let (mut kept_sectors, mut lost_sectors) = (0, 0);
        for file in state.files.values_mut() {
            let (kept, lost) = file.lose_power(rng);
            kept_sectors += kept;
            lost_sectors += lost;
        }
        state.counters.kept_sectors += kept_sectors;
        state.counters.lost_sectors += lost_sectors;
    }

    /// The `operations`-th following mutating operation (1 is the next) does a random part of its work and reports
    /// `DiskError::Stopped`, and so does everything after it until `restart`, `crash_process` or `lose_power`.
    pub fn stop_after(&self, operations: u64) {
        self.state().stop_in = Some(operations.max(1));
    }

    /// True between a stop and what ends it.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// A stopped process starts again with the page cache as it is; old handles stay dead.
    pub fn restart(&self) {
        self.state().end_life();
    }

    /// Flips one bit of a file, in the cache and on the platters alike; false when there is no such file or byte.
    pub fn flip_bit(&self, name: &str, byte: u64, bit: u8) -> bool {
        let mut state = self.state();
        let Some(&inode) = state.names.get(name) else { return false };
        let Some(file) = state.files.get_mut(&inode).filter(|file| byte < file.size() as u64) else {
            return false;
        };
        file.flip(byte as usize, bit);
        state.counters.flips += 1;
        true
    }

    /// Flips a random bit below the highest byte ever written of a random file whose name passes; `None` when none does.
    pub fn flip_random_bit(&self, rng: &mut SplitMix64, names: impl Fn(&str) -> bool) -> Option<Flip> {
        let candidates: Vec<(String, u64)> = {
            let state = self.state();
            let written = |inode: &u64| state.files.get(inode).map_or(0, |file| file.written() as u64);
            let passing = state.names.iter().filter(|(name, _)| names(name));
            passing
                .map(|(name, inode)| (name.clone(), written(inode)))
                .filter(|(_, bytes)| *bytes > 0)
                .collect()
        };
        let (name, bytes) = candidates.get(rng.below(candidates.len() as u64) as usize)?.clone();
        let flip = Flip { name, byte: rng.below(bytes), bit: rng.below(8) as u8 };
        self.flip_bit(&flip.name, flip.byte, flip.bit);
        Some(flip)
    }

    /// Limits what `create` can still take; removing a file gives its bytes back. `None` lifts the limit.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.state().free_bytes = bytes;
    }

    /// The next operation of this kind fails with `DiskError::Io`: a write after a random part of it, a sync after giving up a
    /// random part of what it covers. A failed sync is final until the process starts again.
    pub fn fail_next(&self, operation: Operation) {
        self.state().fail_next.push(operation);
    }

    /// True while an asynchronous sync waits to be completed.
    pub fn pending_sync(&self) -> bool {
        self.state().running.is_some()
    }

    /// Completes the running asynchronous sync; false when there is none or the process has stopped.
    pub fn complete_sync(&self) -> bool {
        let mut state = self.state();
        if state.stopped || state.running.is_none() {
            return false;
        }
        state.finish_running();
        true
    }

    /// When on, asynchronous syncs are complete as soon as they start.
    pub fn set_auto_sync(&self, on: bool) {
        self.state().auto_sync = on;
    }

    /// What happened so far.
    pub fn counters(&self) -> SimCounters {
        self.state().counters
    }

    /// Content of a file as reads see it; `None` when there is no such file.
    pub fn file_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(name)?;
        state.files.get(inode).map(|file| file.cached().to_vec())
    }

    /// Makes `name` a file with exactly this content, cached and synced alike, whether it existed or not.
    pub fn set_file_bytes(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let inode = match state.names.get(name) {
            Some(inode) => *inode,
            None => {
                state.inodes += 1;
                state.inodes
            }
        };
        let mut file = crate::sim_file::SimFile::new(0);
        file.replace(bytes);
        state.files.insert(inode, file);
        state.names.insert(name.to_owned(), inode);
        state.synced_names.insert(name.to_owned(), inode);
    }

    /// Takes a file away, cached and synced alike, as an operator's mistake would.
    pub fn lose_file(&self, name: &str) -> Result<(), DiskError> {
        let mut state = self.state();
        state.synced_names.remove(name);
        let lost = state.names.remove(name);
        lost.map(|_| ()).ok_or_else(|| DiskError::NotFound { name: name.to_owned() })
    }
}

impl SimState {
    fn end_life(&mut self) {
        self.life += 1;
        self.created = None;
        self.saving = None;
        self.saved = None;
        self.stopped = false;
        self.stop_in = None;
        self.fail_next.clear();
        self.running = None;
        self.finished = None;
        self.failed = None;
    }
}
