//! The seam between the log and the world: one flat directory of files.
//!
//! What a `Disk` promises, and what the log builds on:
//! 1. Reads see every earlier write, synced or not.
//! 2. A finished `sync` makes every write to that file that was made before it started survive a loss of power.
//! 3. A finished `sync_dir` makes every earlier create, rename and remove survive; without it they may be lost,
//!    but only the newest of them, in order. The size of a created file is as durable as its name.
//! 4. A sector of 512 aligned bytes is written whole or not at all when power is lost.
//! 5. A sync that failed is final: the disk never says later that those bytes are safe.

use std::io;

use thiserror::Error;

/// Unit the disk writes atomically, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// Names one asynchronous sync; later ones are greater.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(pub u64);

/// What was being done when the disk refused; also names the operations a simulated disk can be told to fail.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Listing the directory.
    List,
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Asking for the size of a file.
    Size,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Syncing a file, blocking or not.
    Sync,
    /// Syncing the directory.
    SyncDir,
    /// Asking for free space.
    Space,
    /// Taking the directory's lock.
    Lock,
}

/// Why the disk refused an operation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DiskError {
    /// There is no room; nothing was left behind.
    #[error("no room for {bytes} bytes of {name}; free space on the log's disk")]
    Full {
        /// File that was to be created.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// The operating system reported an error.
    #[error(
        "{operation:?} of {name} failed: {kind} (os code {code:?}); check the disk before starting again"
    )]
    Io {
        /// File, or the directory.
        name: String,
        /// What was tried.
        operation: Operation,
        /// Class of the error.
        kind: io::ErrorKind,
        /// The operating system's number, where there is one.
        code: Option<i32>,
    },
    /// No file has this name.
    #[error("{name} does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// A file has this name already.
    #[error("{name} exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The name could leave the directory or collides with the lock.
    #[error("{name:?} is not a usable file name; use lower-case letters, digits, '-', '_' and '.'")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The range lies outside of the file; files never grow.
    #[error("bytes {offset}..{end} lie outside of {name}, which has {size} bytes")]
    OutOfRange {
        /// File.
        name: String,
        /// First byte asked for.
        offset: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Size of the file.
        size: u64,
    },
    /// Another process, or another part of this one, uses the directory.
    #[error("{directory} is in use by another process; stop it, or give this node a directory of its own")]
    Locked {
        /// The directory.
        directory: String,
    },
    /// The simulated process was stopped in the middle of an operation, or its handles are of an earlier life.
    #[error("the simulated process has stopped; restart it and open the disk again")]
    Stopped,
}

/// What is made durable in the background.
#[derive(Clone, Debug)]
pub enum Save<F> {
    /// A new file that holds these bytes: written under a temporary name, synced, given its name, and the directory synced.
    File {
        /// Its name until it is durable; must be free.
        temporary: String,
        /// Its name; must be free.
        name: String,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// A part of a file that exists, written and synced.
    Bytes {
        /// The file.
        file: F,
        /// Where the part begins.
        offset: u64,
        /// The part.
        bytes: Vec<u8>,
    },
}

/// One directory of preallocated files, used by one owner on one thread.
pub trait Disk {
    /// Cheap handle of an open file.
    type File: Clone;

    /// Names of all files, sorted.
    fn list(&mut self) -> Result<Vec<String>, DiskError>;

    /// Creates a file of `bytes` bytes with its space reserved; it reads as zeros. Nothing is left behind on an error.
    /// The name lasts only after the directory was synced.
    fn create(&mut self, name: &str, bytes: u64) -> Result<Self::File, DiskError>;

    /// Starts to create a file, as [`Disk::create`] does, and returns at once.
    ///
    /// # Panics
    /// When one is being created already.
    fn start_create(&mut self, name: &str, bytes: u64) -> Result<(), DiskError>;

    /// The file whose creation was started, without blocking; `None` while it is not there.
    fn finished_create(&mut self) -> Result<Option<Self::File>, DiskError>;

    /// Blocks until the file is there; `None` when none is being created.
    fn wait_create(&mut self) -> Result<Option<Self::File>, DiskError>;

    /// Starts to save something, and returns at once. Nothing is left behind when there is no room.
    ///
    /// # Panics
    /// When something is being saved already.
    fn start_save(&mut self, save: Save<Self::File>) -> Result<(), DiskError>;

    /// The file of what was saved, once it is durable, without blocking; `None` until then. Its error is returned here.
    fn finished_save(&mut self) -> Result<Option<Self::File>, DiskError>;

    /// Blocks until it is durable; `None` when nothing is being saved.
    fn wait_save(&mut self) -> Result<Option<Self::File>, DiskError>;

    /// Opens a file that exists.
    fn open(&mut self, name: &str) -> Result<Self::File, DiskError>;

    /// Size in bytes.
    fn size(&mut self, file: &Self::File) -> Result<u64, DiskError>;

    /// Bytes that new files may still take.
    fn free_bytes(&mut self) -> Result<u64, DiskError>;

    /// Gives a file another name, which must be free.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;

    /// Fills `into` from `offset` on; an error when the file is too short.
    fn read_at(&mut self, file: &Self::File, offset: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Writes all of `bytes` at `offset`, inside of the file's size.
    fn write_at(&mut self, file: &Self::File, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes the file's earlier writes durable before it returns.
    fn sync(&mut self, file: &Self::File) -> Result<(), DiskError>;

    /// Makes earlier creates, renames and removes durable before it returns.
    fn sync_dir(&mut self) -> Result<(), DiskError>;

    /// Starts to sync the directory (when asked), then `files` in the given order, and returns at once.
    ///
    /// # Panics
    /// When a sync is running already: its owner would not know what either of them covers.
    fn start_sync(&mut self, files: &[Self::File], dir: bool) -> Result<SyncId, DiskError>;

    /// The newest finished sync not yet reported, without blocking. The error of a sync is returned here, is final, and is
    /// returned again by every later sync.
    fn finished_sync(&mut self) -> Result<Option<SyncId>, DiskError>;

    /// Blocks until the running sync is done and reports it; `None` when none is running.
    fn wait_sync(&mut self) -> Result<Option<SyncId>, DiskError>;
}
