//! The disk of a real node: one directory, plain files, positioned reads and writes, and a thread that syncs.
//!
//! Every file is opened once by its name in a directory that this process has locked, so names mean what they meant a moment
//! ago. A failed sync is remembered and returned by every later one: the kernel may have dropped the pages it could not
//! write, so trying again would report success for bytes that are lost.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use crate::chores::{Chores, Closer, Job, Made, Saved};
use crate::disk::{Disk, DiskError, Operation, Save, SyncId};
use crate::sync_thread::{SyncThread, io_error};

/// Held locked while the directory is in use; not part of the log.
const LOCK_FILE: &str = "lock";
const NAME_BYTES_MAX: usize = 64;
/// Unit of writing zeros where the file system cannot reserve space.
const ZERO_BLOCK_BYTES: usize = 1 << 20;

/// A directory on a local file system.
pub struct FileDisk {
    directory: PathBuf,
    directory_file: Arc<File>,
    syncs: SyncThread,
    chores: Chores,
    /// Name and size of the file that is being made.
    making: Option<(String, u64)>,
    /// What is being saved.
    saving: Option<Saving>,
    /// The first error of a sync; final.
    failed: Option<DiskError>,
    /// Locked as long as it is open. Fields are dropped in order: the sync thread ends before the lock goes.
    _lock: File,
}

enum Saving {
    New { name: String, bytes: u64 },
    Old(FileHandle),
}

/// Handle of an open file.
#[derive(Clone, Debug)]
pub struct FileHandle(Arc<OpenFile>);

#[derive(Debug)]
struct OpenFile {
    name: Box<str>,
    /// `None` only while it is dropped.
    file: Option<File>,
    /// Files never change their size.
    size: u64,
    closer: Closer,
}

impl OpenFile {
    fn file(&self) -> &File {
        self.file.as_ref().expect("it is open until it is dropped")
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.closer.close(file);
        }
    }
}

impl FileHandle {
    fn new(name: &str, file: File, size: u64, closer: Closer) -> Self {
        Self(Arc::new(OpenFile { name: name.into(), file: Some(file), size, closer }))
    }

    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.0.file().sync_data().map_err(|error| io_error(&self.0.name, Operation::Sync, &error))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.check_range(offset, bytes.len())?;
        let written = self.0.file().write_all_at(bytes, offset);
        written.map_err(|error| io_error(&self.0.name, Operation::Write, &error))
    }

    /// Refuses an access that would read or write past the end.
    fn check_range(&self, offset: u64, length: usize) -> Result<(), DiskError> {
        let OpenFile { name, size, .. } = &*self.0;
        match offset.checked_add(length as u64) {
            Some(end) if end <= *size => Ok(()),
            end => {
                let end = end.unwrap_or(u64::MAX);
                Err(DiskError::OutOfRange { name: name.to_string(), offset, end, size: *size })
            }
        }
    }
}

impl FileDisk {
    /// Opens a directory, creating it when it does not exist, and locks it.
    ///
    /// # Errors
    /// `Locked` when another `FileDisk`, of this process or another one, uses the directory.
    pub fn open(directory: &Path) -> Result<Self, DiskError> {
        Self::open_with_wake(directory, || {})
    }

    /// As `open`; `wake` is called on the sync thread each time `finished_sync` has something to return.
    pub fn open_with_wake(directory: &Path, wake: impl Fn() + Send + 'static) -> Result<Self, DiskError> {
        let shown = directory.display().to_string();
        let failed = |operation| move |error: io::Error| io_error(&shown, operation, &error);
        let existed = directory.is_dir();
        fs::create_dir_all(directory).map_err(failed.clone()(Operation::Create))?;
        if !existed {
            // The directory's own name must last as well. A parent that cannot be opened belongs to somebody else.
            let parent = directory.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
            if let Some(parent) = parent.and_then(|parent| File::open(parent).ok()) {
                parent.sync_all().map_err(failed.clone()(Operation::SyncDir))?;
            }
        }
        let lock_path = directory.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock_path);
        let lock = lock.map_err(failed.clone()(Operation::Lock))?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                rustix::io::Errno::WOULDBLOCK => {
                    DiskError::Locked { directory: directory.display().to_string() }
                }
                other => failed(Operation::Lock)(other.into()),
            });
        }
        let directory_file = Arc::new(File::open(directory).map_err(failed.clone()(Operation::Open))?);
        let syncs = SyncThread::start(wake).map_err(failed.clone()(Operation::Sync))?;
        let chores = Chores::start().map_err(failed(Operation::Create))?;
        Ok(Self {
            directory: directory.to_owned(),
            directory_file,
            syncs,
            chores,
            making: None,
            saving: None,
            failed: None,
            _lock: lock,
        })
    }

    fn path(&self, name: &str) -> Result<PathBuf, DiskError> {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        let usable = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.starts_with('.')
            && name != LOCK_FILE
            && name.bytes().all(plain);
        if usable {
            Ok(self.directory.join(name))
        } else {
            Err(DiskError::InvalidName { name: name.to_owned() })
        }
    }

    /// Remembers the first failed sync and keeps returning it.
    fn final_error<T>(&mut self, outcome: Result<T, DiskError>) -> Result<T, DiskError> {
        if let Err(error) = &outcome {
            self.failed.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    fn take_made(&mut self, made: Option<Made>) -> Result<Option<FileHandle>, DiskError> {
        let Some(made) = made else { return Ok(None) };
        let (name, bytes) = self.making.take().expect("what was made had been asked for");
        Ok(Some(FileHandle::new(&name, made?, bytes, self.chores.closer())))
    }

    fn take_saved(&mut self, saved: Option<Saved>) -> Result<Option<FileHandle>, DiskError> {
        let Some(saved) = saved else { return Ok(None) };
        let saving = self.saving.take().expect("what was saved had been asked for");
        let is_sync =
            matches!(saved, Err(DiskError::Io { operation: Operation::Sync | Operation::SyncDir, .. }));
        let saved = if is_sync { self.final_error(saved) } else { saved };
        Ok(Some(match (saved?, saving) {
            (Some(file), Saving::New { name, bytes }) => {
                FileHandle::new(&name, file, bytes, self.chores.closer())
            }
            (None, Saving::Old(file)) => file,
            _ => unreachable!("a new file comes back as one"),
        }))
    }

    fn check_failed(&self) -> Result<(), DiskError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

/// Makes a file of this size with its space reserved. Nothing is left behind on an error.
pub(crate) fn make_file(name: &str, path: &Path, bytes: u64) -> Made {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let full =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let refused = |error: &io::Error| {
        if full(error) {
            DiskError::Full { name: name.to_owned(), bytes }
        } else {
            name_error(name, Operation::Create, error)
        }
    };
    let file = file.map_err(|error| refused(&error))?;
    if let Err(error) = reserve(&file, bytes) {
        drop(file);
        // When even this fails, the file is found as a leftover by the next open.
        let _removed = fs::remove_file(path);
        return Err(refused(&error));
    }
    Ok(file)
}

/// Reserves the file's space and makes its size durable.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                write_zeros(file, bytes)?;
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    file.sync_all()
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_BLOCK_BYTES.min(bytes as usize)];
    let mut at = 0;
    while at < bytes {
        let block = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..block as usize], at)?;
        at += block;
    }
    Ok(())
}

fn name_error(name: &str, operation: Operation, error: &io::Error) -> DiskError {
    match error.kind() {
        io::ErrorKind::NotFound => DiskError::NotFound { name: name.to_owned() },
        io::ErrorKind::AlreadyExists => DiskError::Exists { name: name.to_owned() },
        _ => io_error(name, operation, error),
    }
}

impl Disk for FileDisk {
    type File = FileHandle;

    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        let failed = |error: io::Error| io_error("directory", Operation::List, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Directories and names that this disk could not have made are not the log's.
            let is_file = entry.file_type().map_err(failed)?.is_file();
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string())
                && self.path(&name).is_ok()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&mut self, name: &str, bytes: u64) -> Result<FileHandle, DiskError> {
        let made = make_file(name, &self.path(name)?, bytes)?;
        Ok(FileHandle::new(name, made, bytes, self.chores.closer()))
    }

    fn start_create(&mut self, name: &str, bytes: u64) -> Result<(), DiskError> {
        let path = self.path(name)?;
        self.chores.make(name, path, bytes);
        self.making = Some((name.to_owned(), bytes));
        Ok(())
    }

    fn finished_create(&mut self) -> Result<Option<FileHandle>, DiskError> {
        let made = self.chores.poll();
        self.take_made(made)
    }

    fn wait_create(&mut self) -> Result<Option<FileHandle>, DiskError> {
        let made = self.chores.wait();
        self.take_made(made)
    }

    fn start_save(&mut self, save: Save<FileHandle>) -> Result<(), DiskError> {
        self.check_failed()?;
        let (job, saving) = match save {
            Save::File { temporary, name, bytes } => {
                let (temporary_path, path) = (self.path(&temporary)?, self.path(&name)?);
                let saving = Saving::New { name: name.clone(), bytes: bytes.len() as u64 };
                let directory = Arc::clone(&self.directory_file);
                let job = Job::File {
                    temporary: (temporary, temporary_path),
                    name: (name, path),
                    bytes,
                    directory,
                };
                (job, saving)
            }
            Save::Bytes { file, offset, bytes } => {
                file.check_range(offset, bytes.len())?;
                (Job::Bytes { file: file.clone(), offset, bytes }, Saving::Old(file))
            }
        };
        self.chores.save(job);
        self.saving = Some(saving);
        Ok(())
    }

    fn finished_save(&mut self) -> Result<Option<FileHandle>, DiskError> {
        let saved = self.chores.poll_saved();
        self.take_saved(saved)
    }

    fn wait_save(&mut self) -> Result<Option<FileHandle>, DiskError> {
        let saved = self.chores.wait_saved();
        self.take_saved(saved)
    }

    fn open(&mut self, name: &str) -> Result<FileHandle, DiskError> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name)?);
        let file = file.map_err(|error| name_error(name, Operation::Open, &error))?;
        let metadata = file.metadata().map_err(|error| io_error(name, Operation::Size, &error))?;
        Ok(FileHandle::new(name, file, metadata.len(), self.chores.closer()))
    }

    fn size(&mut self, file: &FileHandle) -> Result<u64, DiskError> {
        Ok(file.0.size)
    }

    fn free_bytes(&mut self) -> Result<u64, DiskError> {
        let space = rustix::fs::fstatvfs(&*self.directory_file).map_err(|error| {
            io_error(&self.directory.display().to_string(), Operation::Space, &error.into())
        })?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let (from_path, to_path) = (self.path(from)?, self.path(to)?);
        // Nobody else writes into a locked directory, so the name stays free.
        if to_path.exists() {
            return Err(DiskError::Exists { name: to.to_owned() });
        }
        fs::rename(from_path, to_path).map_err(|error| name_error(from, Operation::Rename, &error))
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        fs::remove_file(self.path(name)?).map_err(|error| name_error(name, Operation::Remove, &error))
    }

    fn read_at(&mut self, file: &FileHandle, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        file.check_range(offset, into.len())?;
        let read = file.0.file().read_exact_at(into, offset);
        read.map_err(|error| io_error(&file.0.name, Operation::Read, &error))
    }

    fn write_at(&mut self, file: &FileHandle, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        file.write(offset, bytes)
    }

    fn sync(&mut self, file: &FileHandle) -> Result<(), DiskError> {
        self.check_failed()?;
        let outcome = file.sync();
        self.final_error(outcome)
    }

    fn sync_dir(&mut self) -> Result<(), DiskError> {
        self.check_failed()?;
        let outcome = self.directory_file.sync_all();
        self.final_error(outcome.map_err(|error| io_error("directory", Operation::SyncDir, &error)))
    }

    fn start_sync(&mut self, files: &[FileHandle], dir: bool) -> Result<SyncId, DiskError> {
        self.check_failed()?;
        let directory = dir.then(|| Arc::clone(&self.directory_file));
        let outcome = self.syncs.submit(files, directory);
        self.final_error(outcome)
    }

    fn finished_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        self.check_failed()?;
        let outcome = self.syncs.poll();
        self.final_error(outcome)
    }

    fn wait_sync(&mut self) -> Result<Option<SyncId>, DiskError> {
        self.check_failed()?;
        let outcome = self.syncs.wait();
        self.final_error(outcome)
    }
}
