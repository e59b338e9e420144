//! The thread that makes and closes files for a `FileDisk`: on a busy file system both take tens of milliseconds, and an append must not wait for them.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::disk::DiskError;
use crate::file_disk::make_file;

enum Chore {
    Make {
        name: String,
        path: PathBuf,
        bytes: u64,
    },
    /// The last handle of a file that may have been removed: its space is given back now.
    Close(File),
    Stop,
}

/// A file that was made.
pub(crate) type Made = Result<File, DiskError>;

/// See the module's description.
pub(crate) struct Chores {
    chores: Sender<Chore>,
    made: Receiver<Made>,
    thread: Option<JoinHandle<()>>,
    is_making: bool,
}

/// Takes files to be closed.
#[derive(Clone, Debug)]
pub(crate) struct Closer(Sender<Chore>);

impl std::fmt::Debug for Chore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Make { .. } => "Make",
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
        let run = move || {
            while let Ok(chore) = taken.recv() {
                match chore {
                    Chore::Make { name, path, bytes } => {
                        if give.send(make_file(&name, &path, bytes)).is_err() {
                            return;
                        }
                    }
                    Chore::Close(file) => drop(file),
                    Chore::Stop => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("log-files".to_owned()).spawn(run)?;
        Ok(Self { chores, made, thread: Some(thread), is_making: false })
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
