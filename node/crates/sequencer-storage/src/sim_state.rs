//! What a simulated disk holds, and how its operations change it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::disk::{DiskError, Operation, Save, SyncId};
use crate::sim_disk::{SimCounters, SimHandle};
use crate::sim_file::SimFile;
use crate::splitmix::SplitMix64;

#[derive(Clone, Debug)]
pub(crate) enum DirectoryChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

impl DirectoryChange {
    pub(crate) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RunningSync {
    pub(crate) id: SyncId,
    pub(crate) inodes: Vec<u64>,
    /// The sync covers writes up to this number.
    pub(crate) writes: u64,
    /// The sync covers this many pending directory changes.
    pub(crate) changes: usize,
    pub(crate) fails: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SimState {
    pub(crate) rng: SplitMix64,
    pub(crate) files: BTreeMap<u64, SimFile>,
    pub(crate) names: BTreeMap<String, u64>,
    pub(crate) synced_names: BTreeMap<String, u64>,
    pub(crate) changes: Vec<DirectoryChange>,
    pub(crate) inodes: u64,
    pub(crate) writes: u64,
    pub(crate) life: u64,
    pub(crate) stopped: bool,
    pub(crate) stop_in: Option<u64>,
    pub(crate) fail_next: Vec<Operation>,
    pub(crate) free_bytes: Option<u64>,
    pub(crate) auto_sync: bool,
    pub(crate) syncs: u64,
    pub(crate) running: Option<RunningSync>,
    pub(crate) finished: Option<SyncId>,
    /// What came of the creation that was started.
    pub(crate) created: Option<Result<SimHandle, DiskError>>,
    /// What is to be saved.
    pub(crate) saving: Option<Save<SimHandle>>,
    /// What came of what was to be saved.
    pub(crate) saved: Option<Result<SimHandle, DiskError>>,
    /// A sync that failed; every later one fails with the same error.
    pub(crate) failed: Option<DiskError>,
    pub(crate) counters: SimCounters,
}

/// What a mutating operation is to do.
pub(crate) enum Course {
    Whole,
    /// Do a random part, then report `Stopped`.
    Part,
}

impl SimState {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: SplitMix64::new(seed),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            inodes: 0,
            writes: 0,
            life: 0,
            created: None,
            saving: None,
            saved: None,
            stopped: false,
            stop_in: None,
            fail_next: Vec::new(),
            free_bytes: None,
            auto_sync: false,
            syncs: 0,
            running: None,
            finished: None,
            failed: None,
            counters: SimCounters::default(),
        }
    }

    pub(crate) fn io_error(&mut self, name: &str, operation: Operation) -> DiskError {
        self.counters.failed_operations += 1;
        DiskError::Io { name: name.to_owned(), operation, kind: io::ErrorKind::Other, code: None }
    }

    pub(crate) fn planned_failure(&mut self, operation: Operation) -> bool {
        match self.fail_next.iter().position(|planned| *planned == operation) {
            Some(at) => {
                self.fail_next.remove(at);
                true
            }
            None => false,
        }
    }

    pub(crate) fn begin_read(&mut self, name: &str, operation: Operation) -> Result<(), DiskError> {
        if self.stopped {
            return Err(DiskError::Stopped);
        }
        if self.planned_failure(operation) { Err(self.io_error(name, operation)) } else { Ok(()) }
    }

    /// Counts a mutating operation down to the planned stop.
    pub(crate) fn begin(&mut self) -> Result<Course, DiskError> {
        if self.stopped {
            return Err(DiskError::Stopped);
        }
        self.counters.operations += 1;
        match &mut self.stop_in {
            Some(0 | 1) => {
                self.stop_in = None;
                self.stopped = true;
                Ok(Course::Part)
            }
            Some(left) => {
                *left -= 1;
                Ok(Course::Whole)
            }
            None => Ok(Course::Whole),
        }
    }

    pub(crate) fn file(&mut self, handle: &SimHandle) -> Result<&mut SimFile, DiskError> {
        if handle.life != self.life {
            return Err(DiskError::Stopped);
        }
        self.files.get_mut(&handle.inode).ok_or(DiskError::Stopped)
    }

    pub(crate) fn name_of(&self, handle: &SimHandle) -> String {
        let named = self.names.iter().find(|(_, inode)| **inode == handle.inode);
        named.map_or_else(|| format!("removed file {}", handle.inode), |(name, _)| name.clone())
    }

    fn change(&mut self, change: DirectoryChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    /// Makes the first `count` pending directory changes durable.
    pub(crate) fn settle_directory(&mut self, count: usize) {
        for change in self.changes.drain(..count) {
            change.apply(&mut self.synced_names);
        }
        if self.changes.is_empty() {
            self.drop_unnamed();
        }
    }

    /// Frees files that no name leads to, now or after a loss of power. A handle keeps nothing alive: the log drops its own
    /// handles of a file before it removes it.
    pub(crate) fn drop_unnamed(&mut self) {
        if self.files.len() > self.names.len() {
            let named: BTreeSet<u64> =
                self.names.values().chain(self.synced_names.values()).copied().collect();
            self.files.retain(|inode, _| named.contains(inode));
        }
    }

    pub(crate) fn finish_running(&mut self) {
        let Some(running) = self.running.take() else { return };
        if running.fails {
            let mut rng = self.rng.clone();
            for inode in &running.inodes {
                if let Some(file) = self.files.get_mut(inode) {
                    file.failed_sync(running.writes, &mut rng);
                }
            }
            self.rng = rng;
            let name = running.inodes.last().map_or_else(String::new, |inode| {
                self.name_of(&SimHandle { inode: *inode, life: self.life })
            });
            self.failed = Some(self.io_error(&name, Operation::Sync));
            return;
        }
        self.settle_directory(running.changes);
        for inode in &running.inodes {
            if let Some(file) = self.files.get_mut(inode) {
                file.synced(running.writes);
            }
        }
        self.counters.syncs += 1;
        self.finished = Some(running.id);
    }

    pub(crate) fn check_range(
        &mut self,
        handle: &SimHandle,
        offset: u64,
        length: usize,
    ) -> Result<usize, DiskError> {
        let size = self.file(handle)?.size() as u64;
        match offset.checked_add(length as u64) {
            Some(end) if end <= size => Ok(offset as usize),
            end => {
                let (name, end) = (self.name_of(handle), end.unwrap_or(u64::MAX));
                Err(DiskError::OutOfRange { name, offset, end, size })
            }
        }
    }

    pub(crate) fn missing(&self, name: &str) -> Result<u64, DiskError> {
        self.names.get(name).copied().ok_or_else(|| DiskError::NotFound { name: name.to_owned() })
    }

    /// Applies a directory change, or on a stop perhaps not.
    pub(crate) fn change_on(&mut self, course: Course, change: DirectoryChange) -> Result<(), DiskError> {
        match course {
            Course::Whole => {
                self.change(change);
                Ok(())
            }
            Course::Part => {
                if self.rng.coin() {
                    self.change(change);
                }
                Err(DiskError::Stopped)
            }
        }
    }
}
