//! The thread that makes, saves and closes files for a `FileDisk`: on a busy file system each takes tens of milliseconds, and an append must
//! not wait for them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::disk::{DiskError, Operation};
use crate::file_disk::{FileHandle, make_file};
use crate::sync_thread::io_error;

enum Chore {
    Make {
        name: String,
        path: PathBuf,
        bytes: u64,
    },
    Save(Job),
    /// The last handle of a file that may have been removed: its space is given back now.
    Close(File),
    Stop,
}

/// A file that was made.
pub(crate) type Made = Result<File, DiskError>;

/// Something to be made durable.
pub(crate) enum Job {
    File { temporary: (String, PathBuf), name: (String, PathBuf), bytes: Vec<u8>, directory: Arc<File> },
    Bytes { file: FileHandle, offset: u64, bytes: Vec<u8> },
}

/// What was saved: the file if it is a new one.
pub(crate) type Saved = Result<Option<File>, DiskError>;

impl Job {
    fn run(self) -> Saved {
        match self {
            Self::File { temporary: (temporary, path), name: (name, to), bytes, directory } => {
                let file = make_file(&temporary, &path, bytes.len() as u64)?;
                let failed = |operation| move |error: io::Error| io_error(&name, operation, &error);
                file.write_all_at(&bytes, 0).map_err(failed.clone()(Operation::Write))?;
                file.sync_data().map_err(failed.clone()(Operation::Sync))?;
                std::fs::rename(&path, &to).map_err(failed.clone()(Operation::Rename))?;
                directory.sync_all().map_err(failed(Operation::SyncDir))?;
                Ok(Some(file))
            }
            Self::Bytes { file, offset, bytes } => {
                file.write(offset, &bytes)?;
                file.sync()?;
                Ok(None)
            }
        }
    }
}

/// See the module's description.
pub(crate) struct Chores {
    chores: Sender<Chore>,
    made: Receiver<Made>,
    saved: Receiver<Saved>,
    thread: Option<JoinHandle<()>>,
    is_making: bool,
    is_saving: bool,
}

/// Takes files to be closed.
#[derive(Clone, Debug)]
pub(crate) struct Closer(Sender<Chore>);

impl std::fmt::Debug for Chore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Make { .. } => "Make",
            Self::Save(_) => "Save",
            Self::Close(_) => "Close",
            Self::Stop => "Stop",
        })
    }
}

impl Closer {
    pub(crate) fn close(&self, file: File) {
        // When the thread is gone, the file comes back with the error and is closed here.
        drop(self.0.send(Chore::Close(file)));
    }
}

impl Chores {
    pub(crate) fn start() -> io::Result<Self> {
        let (chores, taken) = channel();
        let (give, made) = channel();
        let (give_saved, saved) = channel();
        let run = move || {
            while let Ok(chore) = taken.recv() {
                match chore {
                    Chore::Make { name, path, bytes } => {
                        if give.send(make_file(&name, &path, bytes)).is_err() {
                            return;
                        }
                    }
                    Chore::Save(job) => {
                        if give_saved.send(job.run()).is_err() {
                            return;
                        }
                    }
                    Chore::Close(file) => drop(file),
                    Chore::Stop => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("log-files".to_owned()).spawn(run)?;
        Ok(Self { chores, made, saved, thread: Some(thread), is_making: false, is_saving: false })
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(self.chores.clone())
    }

    pub(crate) fn make(&mut self, name: &str, path: PathBuf, bytes: u64) {
        assert!(!self.is_making, "one file at a time");
        let sent = self.chores.send(Chore::Make { name: name.to_owned(), path, bytes });
        assert!(sent.is_ok(), "the thread that makes files has died");
        self.is_making = true;
    }

    pub(crate) fn save(&mut self, job: Job) {
        assert!(!self.is_saving, "one thing is saved at a time");
        let sent = self.chores.send(Chore::Save(job));
        assert!(sent.is_ok(), "the thread that saves files has died");
        self.is_saving = true;
    }

    /// What came of it, if it has ended.
    pub(crate) fn poll_saved(&mut self) -> Option<Saved> {
        let saved = self.saved.try_recv().ok()?;
        self.is_saving = false;
        Some(saved)
    }

    /// Blocks until it has ended; `None` when nothing is being saved.
    pub(crate) fn wait_saved(&mut self) -> Option<Saved> {
        if !self.is_saving {
            return None;
        }
        self.is_saving = false;
        Some(self.saved.recv().expect("the thread that saves files has died"))
    }

    /// The file that was asked for, if it is there.
    pub(crate) fn poll(&mut self) -> Option<Made> {
        let made = self.made.try_recv().ok()?;
        self.is_making = false;
        Some(made)
    }

    /// Blocks until it is there; `None` when none was asked for.
    pub(crate) fn wait(&mut self) -> Option<Made> {
        if !self.is_making {
            return None;
        }
        self.is_making = false;
        Some(self.made.recv().expect("the thread that makes files has died"))
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        // Handles that are still open keep the channel; the thread ends all the same.
        drop(self.chores.send(Chore::Stop));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook.
            let _ended = thread.join();
        }
    }
}
