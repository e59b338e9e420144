//! A log on a simulated disk beside a slow obvious twin: the bytes that were appended, what was acknowledged, and the hard
//! state that was saved. After every opening the log is held against the twin.
//!
//! What must be true after any series of calls, stops, crashes, losses of power and (when allowed) flipped bits:
//! 1. The log is a prefix of what was appended, whole frames only, with the same term table.
//! 2. Everything acknowledged is there; with flips, else a claim reaches at least as far.
//! 3. The hard state is the last one saved, or the one whose saving was interrupted.
//! 4. A claim is kept until the log has reached it, and a log that is not clean has one that covers its intent.

use sequencer_storage::{
    DiskError, Durability, HardState, Log, Options, Recovered, SimDisk, SplitMix64, StorageError,
};
use sequencer_wire::{Frames, LogEnd, LogHealth, NodeId, Position, Term, TermTable};

use super::{UUID, message, new_term, options};

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
}

pub(crate) struct Model {
    pub(crate) disk: SimDisk,
    log: Option<Log<SimDisk>>,
    options: Options,
    flips_allowed: bool,
    flips: u64,
    rng: SplitMix64,
    /// What the log holds.
    content: Vec<u8>,
    /// What it held when acknowledged bytes were lost: a peer repairs it with this.
    peer: Option<Vec<u8>>,
    acknowledged: LogEnd,
    hard_state: HardState,
    pending: Pending,
    /// The node refused to start, rightly.
    pub(crate) refused: bool,
    /// Openings that ended doubtful or damaged.
    pub(crate) not_clean: u64,
    /// After a stop, leave the crash and the opening to the caller.
    pub(crate) stay_down: bool,
}

type Checked = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

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
            peer: None,
            acknowledged: LogEnd::default(),
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
        match step.kind % 100 {
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
            _ => self.close(),
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
        }
    }

    fn batch(&mut self) -> Vec<u8> {
        let start = self.content.len();
        if let Some(peer) = &self.peer {
            // The repair sends the same frames again.
            let ends = table(peer).1;
            let from = ends.partition_point(|end| *end <= start);
            let to = (from + self.rng.below(6) as usize).min(ends.len() - 1);
            return peer[start..ends.get(to).copied().unwrap_or(start).max(start)].to_vec();
        }
        let mut term = table(&self.content).0.last_term();
        let mut bytes = Vec::new();
        for _ in 0..=self.rng.below(6) {
            let at = Position((start + bytes.len()) as u64);
            if term == Term::NONE || self.rng.below(20) == 0 {
                let next = Term(term.0.max(self.hard_state.term.0) + 1 + self.rng.below(3));
                bytes.extend(new_term(at, term, next));
                term = next;
            } else {
                let largest = if self.rng.below(12) == 0 { 12_000 } else { 700 };
                let payload = vec![self.rng.next_u64() as u8; self.rng.below(largest) as usize];
                bytes.extend(message(at, term, &payload));
            }
        }
        bytes
    }

    fn append(&mut self) -> Checked {
        let bytes = self.batch();
        let ends = if self.peer.is_some() { vec![0] } else { table(&[&self.content[..], &bytes].concat()).1 };
        // Two slices, split between two frames.
        let split = ends[self.rng.below(ends.len() as u64) as usize].saturating_sub(self.content.len());
        self.pending = Pending::Append(bytes.clone());
        let (first, second) = bytes.split_at(split.min(bytes.len()));
        if self.call(|log| log.append(&[first, second]))? {
            self.pending = Pending::Nothing;
            self.content.extend_from_slice(&bytes);
            self.repaired();
            let end = self.log.as_ref().map_or(0, |log| log.end().0);
            ensure!(end == self.content.len() as u64, "end {end} after an append to {}", self.content.len());
        }
        Ok(())
    }

    fn repaired(&mut self) {
        if self.content.len() as u64 >= self.acknowledged.position.0 {
            self.peer = None;
        }
    }

    fn cut(&mut self) -> Checked {
        let ends = table(&self.content).1;
        // Most cuts take little, some take all.
        let most = if self.rng.coin() { 5 } else { ends.len() as u64 };
        let back = self.rng.below(most) as usize;
        let to = ends[ends.len().saturating_sub(1 + back)];
        if self.peer.is_none() && (to as u64) < self.acknowledged.position.0 {
            // Only what is not committed is cut, so what was acknowledged past the cut counts no more.
            let position = Position(to as u64);
            self.acknowledged = LogEnd { term: table(&self.content).0.term_before(position), position };
        }
        if self.call(|log| log.cut(Position(to as u64)))? {
            self.content.truncate(to);
        }
        Ok(())
    }

    fn save(&mut self) -> Checked {
        let vote = (self.rng.below(3) > 0).then(|| NodeId(self.rng.below(5) as u32));
        let term = Term(self.hard_state.term.0 + self.rng.below(2));
        let next = HardState { term, vote, ..self.hard_state };
        self.pending = Pending::Save(next);
        if self.call(|log| log.save_hard_state(&next))? {
            self.pending = Pending::Nothing;
            self.hard_state = next;
        }
        Ok(())
    }

    fn read(&mut self) -> Checked {
        let ends = table(&self.content).1;
        let from = ends[self.rng.below(ends.len() as u64) as usize];
        let limit = self.rng.below(40_000) as usize;
        let mut into = Vec::new();
        if self.call(|log| log.read(Position(from as u64), limit, &mut into).map(drop))? {
            ensure!(self.content[from..].starts_with(&into), "a read from {from} returns other bytes");
            ensure!(into.is_empty() == (from == self.content.len()), "a read from {from} returns nothing");
        }
        Ok(())
    }

    fn flip(&mut self) -> Checked {
        if self.flips_allowed && self.disk.flip_random_bit(&mut self.rng, |_| true).is_some() {
            self.flips += 1;
        }
        Ok(())
    }

    fn close(&mut self) -> Checked {
        if let Some(log) = self.log.take() {
            match log.close() {
                Ok(_) => {
                    // A clean stop loses nothing, whatever happens to the machine.
                    self.acknowledged = LogEnd {
                        term: table(&self.content).0.last_term(),
                        position: Position(self.content.len() as u64),
                    }
                    .max(self.acknowledged);
                    self.disk.lose_power(&mut self.rng);
                }
                Err(StorageError::Disk(DiskError::Stopped)) if self.stay_down => return Ok(()),
                Err(StorageError::Disk(DiskError::Stopped)) => self.disk.crash_process(),
                Err(error) => return Err(format!("unexpected error: {error:?}")),
            }
        }
        self.reopen()
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
