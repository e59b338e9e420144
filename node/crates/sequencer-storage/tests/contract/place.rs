//! Where a suite's logs live, and what the tests do with them again and again.

pub(crate) use crate::common::*;
pub(crate) use sequencer_storage::{
    Claim, Disk, Durability, FileDisk, HardState, Log, Options, SimDisk, StorageError,
};
pub(crate) use sequencer_wire::{LogEnd, LogHealth, NodeId, Position, Term};

/// Where a suite's logs live.
pub(crate) trait Place {
    type Disk: Disk;
    /// The disk as a new process finds it; the one before must have been dropped.
    fn disk(&self) -> Self::Disk;
    /// Names of the files there.
    fn names(&self) -> Vec<String>;
}

pub(crate) struct Simulated(SimDisk);

impl Place for Simulated {
    type Disk = SimDisk;

    fn disk(&self) -> SimDisk {
        self.0.crash_process();
        self.0.set_auto_sync(true);
        self.0.clone()
    }

    fn names(&self) -> Vec<String> {
        self.0.clone().list().unwrap()
    }
}

pub(crate) struct Real(tempfile::TempDir);

impl Place for Real {
    type Disk = FileDisk;

    fn disk(&self) -> FileDisk {
        FileDisk::open(self.0.path()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Makes each function a test on either disk.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod simulated {
            $(#[test]
            fn $name() {
                super::$name(&crate::place::simulated());
            })*
        }

        mod real {
            $(#[test]
            fn $name() {
                super::$name(&crate::place::real());
            })*
        }
    };
}
pub(crate) use contract;

pub(crate) fn simulated() -> Simulated {
    Simulated(SimDisk::new(11))
}

pub(crate) fn real() -> Real {
    Real(tempfile::tempdir().unwrap())
}

pub(crate) fn formatted<P: Place>(place: &P, options: &Options) -> Log<P::Disk> {
    Log::format(&mut place.disk(), options, UUID).unwrap();
    open(place, options)
}

pub(crate) fn open<P: Place>(place: &P, options: &Options) -> Log<P::Disk> {
    Log::open(place.disk(), options.clone()).unwrap().0
}

pub(crate) fn refusal<P: Place>(place: &P, options: &Options) -> StorageError {
    Log::open(place.disk(), options.clone()).err().expect("the log must not open")
}

/// A log of one term with `count` messages, all durable, and its bytes.
pub(crate) fn filled<P: Place>(place: &P, options: &Options, count: usize) -> (Log<P::Disk>, Vec<u8>) {
    let mut log = formatted(place, options);
    let mut bytes = new_term(Position::START, Term::NONE, Term(1));
    bytes.extend(messages(Position(bytes.len() as u64), Term(1), count, 288, 3));
    log.append(&[&bytes]).unwrap();
    assert_eq!(log.wait_durable().unwrap(), log.end());
    assert_eq!(log.end().0, bytes.len() as u64);
    (log, bytes)
}

pub(crate) fn read_all<D: Disk>(log: &mut Log<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < log.end().0 {
        assert!(log.read(Position(bytes.len() as u64), 5000, &mut bytes).unwrap() > 0);
    }
    bytes
}

pub(crate) fn fsync() -> Options {
    options(Durability::Fsync)
}

/// Overwrites bytes of the log behind the log's back.
pub(crate) fn damage<P: Place>(place: &P, segment: &str, offset: u64, bytes: &[u8]) {
    let mut disk = place.disk();
    let file = disk.open(segment).unwrap();
    disk.write_at(&file, offset, bytes).unwrap();
    disk.sync(&file).unwrap();
}
