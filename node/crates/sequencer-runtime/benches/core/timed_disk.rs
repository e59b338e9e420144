//! A disk that notes when it was first written to: recovery changes nothing before it has scanned everything.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use sequencer_storage::{Disk, DiskError, Save, SyncId};

/// Passes everything on to another disk.
pub(crate) struct TimedDisk<D> {
    inner: D,
    first_write: Rc<Cell<Option<Instant>>>,
}

impl<D: Disk> TimedDisk<D> {
    /// The disk, and where the time of its first write or sync will be.
    pub(crate) fn new(inner: D) -> (Self, Rc<Cell<Option<Instant>>>) {
        let first_write = Rc::new(Cell::new(None));
        (Self { inner, first_write: Rc::clone(&first_write) }, first_write)
    }

    fn note(&self) {
        if self.first_write.get().is_none() {
            self.first_write.set(Some(Instant::now()));
        }
    }
}

impl<D: Disk> Disk for TimedDisk<D> {
    type File = D::File;

    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        self.inner.list()
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<D::File, DiskError> {
        self.note();
        self.inner.create(name, bytes)
    }

    fn start_create(&mut self, name: &str, bytes: u64) -> Result<(), DiskError> {
        self.note();
        self.inner.start_create(name, bytes)
    }

    fn finished_create(&mut self) -> Result<Option<D::File>, DiskError> {
        self.note();
        self.inner.finished_create()
    }

    fn wait_create(&mut self) -> Result<Option<D::File>, DiskError> {
        self.note();
        self.inner.wait_create()
    }

    fn start_save(&mut self, save: Save<D::File>) -> Result<(), DiskError> {
        self.note();
        self.inner.start_save(save)
    }

    fn finished_save(&mut self) -> Result<Option<D::File>, DiskError> {
        self.note();
        self.inner.finished_save()
    }

    fn wait_save(&mut self) -> Result<Option<D::File>, DiskError> {
        self.note();
        self.inner.wait_save()
    }

    fn open(&mut self, name: &str) -> Result<D::File, DiskError> {
        self.inner.open(name)
    }

    fn size(&mut self, file: &D::File) -> Result<u64, DiskError> {
        self.inner.size(file)
    }

    fn free_bytes(&mut self) -> Result<u64, DiskError> {
        self.note();
        self.inner.free_bytes()
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.note();
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.note();
        self.inner.remove(name)
    }

    fn read_at(&mut self, file: &D::File, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.inner.read_at(file, offset, into)
    }

    fn write_at(&mut self, file: &D::File, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.note();
        self.inner.write_at(file, offset, bytes)
    }

    fn sync(&mut self, file: &D::File) -> Result<(), DiskError> {
        self.note();
        self.inner.sync(file)
    }

    fn sync_dir(&mut self) -> Result<(), DiskError> {
        self.note();
        self.inner.sync_dir()
    }

    fn start_sync(&mut self, files: &[D::File], dir: bool) -> Result<SyncId, DiskError> {
        self.note();
        self.inner.start_sync(files, dir)
    }

    fn finished_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        self.inner.finished_sync()
    }

    fn wait_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        self.inner.wait_sync()
    }
}
