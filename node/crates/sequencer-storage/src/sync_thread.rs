//! The thread that syncs for a `FileDisk`, so that appends go on while the disk works.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::disk::{DiskError, Operation, SyncId};
use crate::file_disk::FileHandle;

/// One sync, and afterwards its outcome. The job goes back to the owner with its list, so nothing is allocated per sync.
struct Job {
    id: SyncId,
    directory: Option<Arc<File>>,
    files: Vec<FileHandle>,
    outcome: Result<(), DiskError>,
}

/// At most one job is under way, so one place in each channel is enough.
pub(crate) struct SyncThread {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Job>,
    thread: Option<JoinHandle<()>>,
    running: Option<SyncId>,
    files: Vec<FileHandle>,
    next: u64,
}

impl SyncThread {
    /// `wake` is called on the thread after each sync, when its outcome can be had.
    pub(crate) fn start(wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (jobs, taken) = sync_channel::<Job>(1);
        let (give, done) = sync_channel(1);
        let run = move || {
            while let Ok(mut job) = taken.recv() {
                job.outcome = job.run();
                if give.send(job).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = std::thread::Builder::new().name("log-sync".to_owned()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread), running: None, files: Vec::new(), next: 1 })
    }

    pub(crate) fn submit(
        &mut self,
        files: &[FileHandle],
        directory: Option<Arc<File>>,
    ) -> Result<SyncId, DiskError> {
        assert!(self.running.is_none(), "one sync at a time");
        let id = SyncId(self.next);
        let mut list = std::mem::take(&mut self.files);
        list.extend_from_slice(files);
        let job = Job { id, directory, files: list, outcome: Ok(()) };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(thread_died());
        }
        self.next += 1;
        self.running = Some(id);
        Ok(id)
    }

    /// The finished sync, if there is one.
    pub(crate) fn poll(&mut self) -> Result<Option<SyncId>, DiskError> {
        if self.running.is_none() {
            return Ok(None);
        }
        match self.done.try_recv() {
            Ok(job) => self.take(job),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(thread_died()),
        }
    }

    /// Blocks until the running sync has finished.
    pub(crate) fn wait(&mut self) -> Result<Option<SyncId>, DiskError> {
        if self.running.is_none() {
            return Ok(None);
        }
        match self.done.recv() {
            Ok(job) => self.take(job),
            Err(_) => Err(thread_died()),
        }
    }

    fn take(&mut self, job: Job) -> Result<Option<SyncId>, DiskError> {
        self.running = None;
        self.files = job.files;
        self.files.clear();
        job.outcome.map(|()| Some(job.id))
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook; there is nobody left to tell.
            let _ended = thread.join();
        }
    }
}

impl Job {
    fn run(&self) -> Result<(), DiskError> {
        if let Some(directory) = &self.directory {
            directory.sync_all().map_err(|error| io_error("directory", Operation::SyncDir, &error))?;
        }
        self.files.iter().try_for_each(FileHandle::sync)
    }
}

pub(crate) fn io_error(name: &str, operation: Operation, error: &io::Error) -> DiskError {
    DiskError::Io { name: name.to_owned(), operation, kind: error.kind(), code: error.raw_os_error() }
}

fn thread_died() -> DiskError {
    io_error("sync thread", Operation::Sync, &io::Error::from(io::ErrorKind::BrokenPipe))
}
