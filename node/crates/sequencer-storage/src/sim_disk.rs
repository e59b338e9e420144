//! A simulated disk for one thread: deterministic from its seed, and hostile where real disks are.
//!
//! It keeps what the page cache shows apart from what was synced, sector by sector, and directory changes apart from the
//! directory that was synced. The faults are in `sim_faults`; this file is the disk that works.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use crate::disk::{Disk, DiskError, Operation, Save, SyncId};
use crate::sim_file::SimFile;
use crate::sim_state::{Course, DirectoryChange, RunningSync, SimState};

/// What happened to a simulated disk so far.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct SimCounters {
    /// Mutating operations that were tried.
    pub operations: u64,
    /// Writes cut short by a stop.
    pub torn_writes: u64,
    /// Unsynced sectors that survived a loss of power with their newest content.
    pub kept_sectors: u64,
    /// Sectors that came out of a loss of power without their newest content.
    pub lost_sectors: u64,
    /// Directory operations undone by a loss of power.
    pub lost_directory_operations: u64,
    /// Bits flipped.
    pub flips: u64,
    /// Syncs that finished.
    pub syncs: u64,
    /// Operations that were made to fail.
    pub failed_operations: u64,
}

/// Handle of a file; dies with the simulated process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimHandle {
    pub(crate) inode: u64,
    pub(crate) life: u64,
}

/// Simulated disk; clones are handles of the same disk, so a test keeps one while a log owns another.
#[derive(Clone, Debug)]
pub struct SimDisk(Rc<RefCell<SimState>>);

impl SimDisk {
    /// An empty disk without a limit whose asynchronous syncs finish when the test says so.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(SimState::new(seed))))
    }

    /// An independent copy of the whole disk, faults to come included.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.state().clone())))
    }

    pub(crate) fn state(&self) -> RefMut<'_, SimState> {
        self.0.borrow_mut()
    }
}

impl SimDisk {
    fn save(&mut self, save: Save<SimHandle>) -> Result<SimHandle, DiskError> {
        match save {
            Save::File { temporary, name, bytes } => {
                let file = self.create(&temporary, bytes.len() as u64)?;
                self.write_at(&file, 0, &bytes)?;
                self.sync(&file)?;
                self.rename(&temporary, &name)?;
                self.sync_dir()?;
                Ok(file)
            }
            Save::Bytes { file, offset, bytes } => {
                self.write_at(&file, offset, &bytes)?;
                self.sync(&file)?;
                Ok(file)
            }
        }
    }
}

impl Disk for SimDisk {
    type File = SimHandle;

    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        let mut state = self.state();
        state.begin_read("directory", Operation::List)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<SimHandle, DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        if state.names.contains_key(name) {
            return Err(DiskError::Exists { name: name.to_owned() });
        }
        if state.planned_failure(Operation::Create) {
            return Err(state.io_error(name, Operation::Create));
        }
        if let Some(free) = state.free_bytes {
            let left = free.checked_sub(bytes);
            state.free_bytes = Some(left.ok_or_else(|| DiskError::Full { name: name.to_owned(), bytes })?);
        }
        state.inodes += 1;
        let inode = state.inodes;
        state.files.insert(inode, SimFile::new(bytes as usize));
        state.change_on(course, DirectoryChange::Create(name.to_owned(), inode))?;
        Ok(SimHandle { inode, life: state.life })
    }

    fn start_create(&mut self, name: &str, bytes: u64) -> Result<(), DiskError> {
        assert!(self.state().created.is_none(), "one file at a time");
        // It is there at once; its owner must ask for it all the same.
        let created = self.create(name, bytes);
        if created == Err(DiskError::Stopped) {
            return created.map(drop);
        }
        self.state().created = Some(created);
        Ok(())
    }

    fn finished_create(&mut self) -> Result<Option<SimHandle>, DiskError> {
        let created = self.state().created.take();
        created.transpose()
    }

    fn wait_create(&mut self) -> Result<Option<SimHandle>, DiskError> {
        self.finished_create()
    }

    fn start_save(&mut self, save: Save<SimHandle>) -> Result<(), DiskError> {
        let is_late = {
            let mut state = self.state();
            assert!(state.saved.is_none() && state.saving.is_none(), "one thing is saved at a time");
            if state.stopped {
                return Err(DiskError::Stopped);
            }
            state.rng.coin()
        };
        if is_late {
            // It is done when its owner asks for it, after all that happens until then.
            self.state().saving = Some(save);
            return Ok(());
        }
        // It is done at once; its owner must ask for it all the same.
        let saved = self.save(save);
        if saved == Err(DiskError::Stopped) {
            return saved.map(drop);
        }
        self.state().saved = Some(saved);
        Ok(())
    }

    fn finished_save(&mut self) -> Result<Option<SimHandle>, DiskError> {
        let late = self.state().saving.take();
        if let Some(save) = late {
            return self.save(save).map(Some);
        }
        let saved = self.state().saved.take();
        saved.transpose()
    }

    fn wait_save(&mut self) -> Result<Option<SimHandle>, DiskError> {
        self.finished_save()
    }

    fn open(&mut self, name: &str) -> Result<SimHandle, DiskError> {
        let mut state = self.state();
        state.begin_read(name, Operation::Open)?;
        Ok(SimHandle { inode: state.missing(name)?, life: state.life })
    }

    fn size(&mut self, file: &SimHandle) -> Result<u64, DiskError> {
        let mut state = self.state();
        let name = state.name_of(file);
        state.begin_read(&name, Operation::Size)?;
        Ok(state.file(file)?.size() as u64)
    }

    fn free_bytes(&mut self) -> Result<u64, DiskError> {
        let mut state = self.state();
        state.begin_read("directory", Operation::Space)?;
        Ok(state.free_bytes.unwrap_or(u64::MAX))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        state.missing(from)?;
        if state.names.contains_key(to) {
            return Err(DiskError::Exists { name: to.to_owned() });
        }
        if state.planned_failure(Operation::Rename) {
            return Err(state.io_error(from, Operation::Rename));
        }
        state.change_on(course, DirectoryChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        let inode = state.missing(name)?;
        if state.planned_failure(Operation::Remove) {
            return Err(state.io_error(name, Operation::Remove));
        }
        let bytes = state.files.get(&inode).map_or(0, |file| file.size() as u64);
        state.free_bytes = state.free_bytes.map(|free| free + bytes);
        state.change_on(course, DirectoryChange::Remove(name.to_owned()))
    }

    fn read_at(&mut self, file: &SimHandle, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        if state.stopped || !state.fail_next.is_empty() {
            let name = state.name_of(file);
            state.begin_read(&name, Operation::Read)?;
        }
        let offset = state.check_range(file, offset, into.len())?;
        into.copy_from_slice(&state.file(file)?.cached()[offset..offset + into.len()]);
        Ok(())
    }

    fn write_at(&mut self, file: &SimHandle, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        let mut outcome = match state.begin()? {
            Course::Whole => Ok(()),
            Course::Part => Err(DiskError::Stopped),
        };
        let offset = state.check_range(file, offset, bytes.len())?;
        if state.planned_failure(Operation::Write) {
            let name = state.name_of(file);
            outcome = Err(state.io_error(&name, Operation::Write));
        }
        let mut bytes = bytes;
        if outcome.is_err() {
            bytes = &bytes[..state.rng.below(bytes.len() as u64 + 1) as usize];
            state.counters.torn_writes += 1;
        }
        state.writes += 1;
        let (write, keep_all) = (state.writes, state.running.is_some());
        state.file(file)?.write(write, offset, bytes, keep_all);
        outcome
    }

    fn sync(&mut self, file: &SimHandle) -> Result<(), DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        let writes = state.writes;
        if state.planned_failure(Operation::Sync) {
            let mut rng = state.rng.clone();
            state.file(file)?.failed_sync(writes, &mut rng);
            state.rng = rng;
            let name = state.name_of(file);
            let failed = state.io_error(&name, Operation::Sync);
            state.failed = Some(failed.clone());
            return Err(failed);
        }
        let whole = matches!(course, Course::Whole);
        if whole || state.rng.coin() {
            state.file(file)?.synced(writes);
        }
        state.counters.syncs += 1;
        if whole { Ok(()) } else { Err(DiskError::Stopped) }
    }

    fn sync_dir(&mut self) -> Result<(), DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        if state.planned_failure(Operation::SyncDir) {
            let failed = state.io_error("directory", Operation::SyncDir);
            state.failed = Some(failed.clone());
            return Err(failed);
        }
        let pending = state.changes.len() as u64;
        let (count, outcome) = match course {
            Course::Whole => (pending, Ok(())),
            Course::Part => (state.rng.below(pending + 1), Err(DiskError::Stopped)),
        };
        state.settle_directory(count as usize);
        // A running sync counts pending changes from the front.
        if let Some(running) = &mut state.running {
            running.changes = running.changes.saturating_sub(count as usize);
        }
        outcome
    }

    fn start_sync(&mut self, files: &[SimHandle], dir: bool) -> Result<SyncId, DiskError> {
        let mut state = self.state();
        let course = state.begin()?;
        assert!(state.running.is_none() && state.finished.is_none(), "one sync at a time");
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        for file in files {
            state.file(file)?;
        }
        state.syncs += 1;
        let id = SyncId(state.syncs);
        let changes = if dir { state.changes.len() } else { 0 };
        // Both failures are tried, so that the one planned for the directory does not wait for a later sync.
        let fails =
            state.planned_failure(Operation::Sync) | (dir && state.planned_failure(Operation::SyncDir));
        let inodes = files.iter().map(|file| file.inode).collect();
        state.running = Some(RunningSync { id, inodes, writes: state.writes, changes, fails });
        if matches!(course, Course::Part) {
            if state.rng.coin() {
                state.finish_running();
            }
            return Err(DiskError::Stopped);
        }
        if state.auto_sync {
            state.finish_running();
        }
        Ok(id)
    }

    fn finished_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        let mut state = self.state();
        if state.stopped {
            return Err(DiskError::Stopped);
        }
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        Ok(state.finished.take())
    }

    fn wait_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        {
            let mut state = self.state();
            if state.stopped {
                return Err(DiskError::Stopped);
            }
            state.finish_running();
        }
        self.finished_sync()
    }
}
