//! One file of the simulated disk: what the cache holds, what the platters hold, and the sector writes in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::SECTOR_BYTES;
use crate::splitmix::SplitMix64;

type Sector = [u8; SECTOR_BYTES];

/// More versions of one sector than this add nothing that a test could find, and would grow without bound in a file that is
/// rewritten and never synced.
const VERSIONS_MAX: usize = 8;

/// Invariant: `cached` and `synced` differ only inside of the sectors named by `unsynced` and `forgotten`.
#[derive(Clone, Debug)]
pub(crate) struct SimFile {
    /// What reads see.
    cached: Vec<u8>,
    /// What a loss of power cannot take.
    synced: Vec<u8>,
    /// Sector number to its unsynced contents, oldest first, each with the number of the write that made it.
    unsynced: BTreeMap<usize, Vec<(u64, Sector)>>,
    /// Sectors that a failed sync gave up: the cache shows them, the platters never got them, and no later sync writes them.
    forgotten: BTreeSet<usize>,
    /// One past the highest byte ever written: random flips stay below it.
    written: usize,
}

impl SimFile {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            cached: vec![0; bytes],
            synced: vec![0; bytes],
            unsynced: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            written: 0,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.cached.len()
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }

    pub(crate) fn cached(&self) -> &[u8] {
        &self.cached
    }

    /// Range of the file's bytes that sector `sector` holds; the last one may be short.
    fn range(&self, sector: usize) -> std::ops::Range<usize> {
        sector * SECTOR_BYTES..self.cached.len().min((sector + 1) * SECTOR_BYTES)
    }

    /// `keep_all` is set while a sync is running: the version that it must write may not be merged away.
    pub(crate) fn write(&mut self, write: u64, offset: usize, bytes: &[u8], keep_all: bool) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        self.cached[offset..end].copy_from_slice(bytes);
        self.written = self.written.max(end);
        for sector in offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES {
            let range = self.range(sector);
            let mut content = [0; SECTOR_BYTES];
            content[..range.len()].copy_from_slice(&self.cached[range]);
            self.forgotten.remove(&sector);
            let versions = self.unsynced.entry(sector).or_default();
            if versions.len() >= VERSIONS_MAX && !keep_all {
                versions.remove(VERSIONS_MAX / 2);
            }
            versions.push((write, content));
        }
    }

    /// A sync that started after write `upto` has finished.
    pub(crate) fn synced(&mut self, upto: u64) {
        let Self { cached, synced, unsynced, .. } = self;
        unsynced.retain(|&sector, versions| {
            let covered = versions.partition_point(|(write, _)| *write <= upto);
            if covered > 0 {
                store(synced, cached.len(), sector, &versions[covered - 1].1);
                versions.drain(..covered);
            }
            !versions.is_empty()
        });
    }

    /// A sync that started after write `upto` has failed: each sector was written or given up.
    pub(crate) fn failed_sync(&mut self, upto: u64, rng: &mut SplitMix64) {
        let Self { cached, synced, unsynced, forgotten, .. } = self;
        unsynced.retain(|&sector, versions| {
            let covered = versions.partition_point(|(write, _)| *write <= upto);
            if covered > 0 {
                if rng.coin() {
                    store(synced, cached.len(), sector, &versions[covered - 1].1);
                } else {
                    forgotten.insert(sector);
                }
                versions.drain(..covered);
            }
            !versions.is_empty()
        });
    }

    /// Power is lost: every sector keeps what was synced or any one of its later contents. Returns (kept, lost) sectors, where
    /// a sector that ends with anything but its newest content counts as lost.
    pub(crate) fn lose_power(&mut self, rng: &mut SplitMix64) -> (u64, u64) {
        let (mut kept, mut lost) = (0, 0);
        let bytes = self.cached.len();
        for sector in std::mem::take(&mut self.forgotten) {
            let range = self.range(sector);
            self.cached[range.clone()].copy_from_slice(&self.synced[range]);
            lost += 1;
        }
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            let choice = rng.below(versions.len() as u64 + 1) as usize;
            if choice == versions.len() {
                kept += 1;
            } else {
                lost += 1;
            }
            if choice > 0 {
                store(&mut self.synced, bytes, sector, &versions[choice - 1].1);
            }
            let range = self.range(sector);
            self.cached[range.clone()].copy_from_slice(&self.synced[range]);
        }
        (kept, lost)
    }

    /// Flips one bit wherever this byte is held.
    pub(crate) fn flip(&mut self, byte: usize, bit: u8) {
        let mask = 1 << (bit & 7);
        self.cached[byte] ^= mask;
        self.synced[byte] ^= mask;
        for (_, content) in self.unsynced.get_mut(&(byte / SECTOR_BYTES)).into_iter().flatten() {
            content[byte % SECTOR_BYTES] ^= mask;
        }
    }

    /// Replaces the whole content, cached and synced alike.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        *self = Self::new(bytes.len());
        self.cached.copy_from_slice(bytes);
        self.synced.copy_from_slice(bytes);
        self.written = bytes.len();
    }
}

fn store(synced: &mut [u8], bytes: usize, sector: usize, content: &Sector) {
    let range = sector * SECTOR_BYTES..bytes.min((sector + 1) * SECTOR_BYTES);
    let length = range.len();
    synced[range].copy_from_slice(&content[..length]);
}
