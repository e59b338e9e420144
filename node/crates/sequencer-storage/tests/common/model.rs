//! A log on a simulated disk beside a slow obvious twin: the bytes that were appended, what was acknowledged, and the hard
//! state that was saved. After every opening the log is held against the twin.
//!
//! What must be true after any series of calls, stops, crashes, losses of power and (when allowed) flipped bits:
//! 1. The log is a prefix of what was appended or installed, from its start on, whole frames only, with the same term table.
//! 2. Everything acknowledged is there; with flips, else a claim reaches at least as far, and it says so when a change of
//!    membership is among what is missing.
//! 3. The hard state is the last one saved, or the one whose saving was interrupted.
//! 4. A claim is kept until the log has reached it, and a log that is not clean has one that covers its intent.
//! 5. The log starts where it was last trimmed to or installed at, or as it did before the call that was interrupted.
//! 6. The newest snapshot comes back as it was saved; with flips, else an older one, or the log begins at 0.
//! 7. Nothing is called committed that was not, and everything before a snapshot is.

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

mod checks;
mod snapshots;
mod steps;

use sequencer_storage::{DiskError, Durability, HardState, Log, Options, SimDisk, SplitMix64, StorageError};
use sequencer_wire::{Frames, LogEnd, Position, Term, TermTable};

use super::{UUID, options};

/// Kinds of steps, for those who draw one.
pub(crate) const STEP_KINDS: u8 = 112;

/// One step: what to do, and a seed for how.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: u8,
    pub(crate) seed: u64,
}

/// What the next opening may find done or not done.
#[derive(Clone, Debug)]
enum Pending {
    Nothing,
    Append(Vec<u8>),
    Save(HardState),
    Snapshot(LogEnd),
    Trim,
    /// What the snapshot stands for: everything before its position.
    Install(Vec<u8>),
}

pub(crate) struct Model {
    pub(crate) disk: SimDisk,
    log: Option<Log<SimDisk>>,
    options: Options,
    flips_allowed: bool,
    flips: u64,
    rng: SplitMix64,
    /// The history up to the log's end; the log holds it from `start` on.
    content: Vec<u8>,
    start: usize,
    /// Ends of the snapshots that were saved and not trimmed, ascending; the log may have thinned those in the middle.
    snapshots: Vec<LogEnd>,
    /// Nothing before this is ever cut.
    committed: usize,
    /// What it held when acknowledged bytes were lost: a peer repairs it with this.
    peer: Option<Vec<u8>>,
    acknowledged: LogEnd,
    /// While acknowledged bytes are missing: a cut to here said that what follows is not committed.
    cut_to: usize,
    hard_state: HardState,
    pending: Pending,
    /// The last opening was clean.
    clean: bool,
    /// The node refused to start, rightly.
    pub(crate) refused: bool,
    /// Openings that ended doubtful or damaged.
    pub(crate) not_clean: u64,
    /// After a stop, leave the crash and the opening to the caller.
    pub(crate) stay_down: bool,
}

type Checked = Result<(), String>;

fn table(bytes: &[u8]) -> (TermTable, Vec<usize>) {
    let (mut terms, mut ends) = (TermTable::new(), vec![0]);
    for frame in Frames::new(bytes, Position::START, Term::NONE) {
        let frame = frame.expect("the twin holds whole frames");
        terms.record(&frame);
        ends.push(frame.end().0 as usize);
    }
    (terms, ends)
}

impl Model {
    pub(crate) fn new(seed: u64, durability: Durability, flips_allowed: bool) -> Self {
        let disk = SimDisk::new(seed);
        let options = options(durability);
        Log::format(&mut disk.clone(), &options, UUID).unwrap();
        let (log, _) = Log::open(disk.clone(), options.clone()).unwrap();
        Self {
            disk,
            log: Some(log),
            options,
            flips_allowed,
            flips: 0,
            rng: SplitMix64::new(seed ^ 0x5eed),
            content: Vec::new(),
            start: 0,
            snapshots: Vec::new(),
            committed: 0,
            clean: true,
            peer: None,
            acknowledged: LogEnd::default(),
            cut_to: usize::MAX,
            hard_state: HardState::default(),
            pending: Pending::Nothing,
            refused: false,
            not_clean: 0,
            stay_down: false,
        }
    }

    /// An independent copy in the state after a crash.
    pub(crate) fn fork(&self) -> Self {
        Self {
            disk: self.disk.fork(),
            log: None,
            options: self.options.clone(),
            rng: self.rng.clone(),
            content: self.content.clone(),
            snapshots: self.snapshots.clone(),
            peer: self.peer.clone(),
            pending: self.pending.clone(),
            ..*self
        }
    }

    /// True after a stop that the caller is to deal with.
    pub(crate) fn is_down(&self) -> bool {
        self.log.is_none()
    }

    /// What follows by chance follows from this seed.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.rng = SplitMix64::new(seed);
    }

    pub(crate) fn step(&mut self, step: Step) -> Checked {
        if self.refused {
            return Ok(());
        }
        self.rng = SplitMix64::new(step.seed);
        match step.kind % STEP_KINDS {
            0..=34 => self.append(),
            35..=46 => self.try_step(|log| log.start_sync().map(drop)),
            47..=60 => {
                self.disk.complete_sync();
                self.try_step(|log| log.poll_sync().map(drop))
            }
            61..=66 => self.try_step(|log| log.wait_durable().map(drop)),
            67..=72 => self.cut(),
            73..=78 => self.save(),
            79..=80 => self.read(),
            81..=83 => self.crash(false),
            84..=88 => self.crash(true),
            89..=92 => {
                self.disk.stop_after(1 + self.rng.below(12));
                Ok(())
            }
            93..=95 => self.flip(),
            96..=98 => self.try_step(Log::maintain),
            99 => self.close(),
            100..=103 => self.save_snapshot(),
            104..=106 => self.trim(),
            107..=109 => self.install(),
            _ => self.note_commit(),
        }
    }

    /// Runs a call; a stop ends in a crash and an opening, anything else unexpected is an error. Returns whether it was done.
    fn call(
        &mut self,
        call: impl FnOnce(&mut Log<SimDisk>) -> Result<(), StorageError>,
    ) -> Result<bool, String> {
        let mut log = self.log.take().expect("a log is open between steps");
        match call(&mut log) {
            Ok(()) => {
                self.log = Some(log);
                self.acknowledge();
                Ok(true)
            }
            Err(StorageError::Disk(DiskError::Stopped)) => {
                let after = log.append(&[&[1, 2, 3]]);
                ensure!(after == Err(StorageError::Poisoned), "after a disk error: {after:?}");
                drop(log);
                if self.stay_down {
                    return Ok(false);
                }
                let power = self.options.durability == Durability::Fsync && self.rng.coin();
                self.crash(power)?;
                Ok(false)
            }
            Err(StorageError::DamagedFrame { .. }) if self.flips > 0 => {
                self.log = Some(log);
                Ok(false)
            }
            Err(error) => Err(format!("unexpected error: {error:?}")),
        }
    }

    fn try_step(&mut self, call: impl FnOnce(&mut Log<SimDisk>) -> Result<(), StorageError>) -> Checked {
        self.call(call).map(drop)
    }

    fn acknowledge(&mut self) {
        if let Some(log) = &self.log
            && log.durable() > self.acknowledged.position
        {
            let position = log.durable();
            self.acknowledged = LogEnd { term: log.terms().term_before(position), position };
            self.cut_to = usize::MAX;
        }
    }

    pub(crate) fn crash(&mut self, power: bool) -> Checked {
        self.log = None;
        if power && self.options.durability == Durability::Memory {
            self.disk.lose_power(&mut self.rng);
            let rebooted = Options { boot_id: super::OTHER_BOOT, ..self.options.clone() };
            let outcome = Log::open(self.disk.clone(), rebooted).map(drop);
            let expected = Err(StorageError::MemoryLost { node: self.options.node });
            ensure!(outcome == expected || self.flips > 0, "after a reboot in memory mode: {outcome:?}");
            self.refused = true;
            return Ok(());
        }
        self.fall(power);
        self.reopen()
    }

    /// Crashes without opening.
    pub(crate) fn fall(&mut self, power: bool) {
        self.log = None;
        if power {
            self.disk.lose_power(&mut self.rng);
        } else {
            self.disk.crash_process();
        }
    }
}
