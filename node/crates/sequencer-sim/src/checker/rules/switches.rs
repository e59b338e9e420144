//! The epochs of one service: which version answers from where, which switches are to come, and which were called off.

use sequencer_wire::Position;

use super::Broken;
use crate::checker::Verdict;

/// Most switches that wait for the end of the epoch before them.
const WAITING_MAX: usize = 4;

/// One version answers causes from a position on, up to where the next epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) number: u32,
    pub(super) version: u64,
    pub(super) from: Position,
}

/// Every epoch that was not called off, in order.
///
/// Invariant: numbers and positions ascend strictly.
#[derive(Debug, Clone)]
pub(super) struct Switches {
    epochs: Vec<Epoch>,
    /// Index of the one whose outputs are due.
    current: usize,
    /// Highest number ever given, also to one that was called off.
    newest: u32,
}

impl Switches {
    pub(super) fn new(version: u64, from: Position) -> Self {
        Self { epochs: vec![Epoch { number: 1, version, from }], current: 0, newest: 1 }
    }

    /// The epoch whose outputs are due.
    pub(super) fn current(&self) -> Epoch {
        self.epochs[self.current]
    }

    /// Epochs whose predecessor has not ended.
    pub(super) fn waiting(&self) -> &[Epoch] {
        &self.epochs[self.current + 1..]
    }

    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// Another version takes over at the later of `wanted` and the position of the frame.
    pub(super) fn promote(&mut self, number: u32, version: u64, wanted: Position, at: Position) -> Verdict {
        self.begin(Epoch { number, version, from: wanted.max(at) }, at)
    }

    /// The version before the newest takes over again.
    pub(super) fn rollback(&mut self, number: u32, wanted: Position, at: Position) -> Verdict {
        let before = self.epochs.len().checked_sub(2).map(|index| self.epochs[index].version);
        let Some(version) = before else {
            return Err((
                "a rollback needs a version before",
                format!("epoch {number} at {at} follows {:?}", self.epochs),
            ));
        };
        self.begin(Epoch { number, version, from: wanted.max(at) }, at)
    }

    fn begin(&mut self, epoch: Epoch, at: Position) -> Verdict {
        let last = self.epochs[self.epochs.len() - 1];
        if epoch.number != self.newest + 1 {
            return Err((
                "epochs of a service rise by one and never come again",
                format!("epoch {} at {at} follows {}", epoch.number, self.newest),
            ));
        }
        if epoch.from <= last.from {
            return Err((
                "switches come one after another",
                format!("{epoch:?} at {at} does not come after {last:?}"),
            ));
        }
        if self.waiting().len() >= WAITING_MAX {
            return Err((
                "at most four switches wait",
                format!("{epoch:?} at {at} comes to {:?}", self.waiting()),
            ));
        }
        self.newest = epoch.number;
        self.epochs.push(epoch);
        Ok(())
    }

    /// A switch is called off before its position.
    pub(super) fn cancel(&mut self, number: u32, at: Position) -> Verdict {
        let waiting = self.waiting().iter().find(|epoch| epoch.number == number);
        if waiting.is_none_or(|epoch| epoch.from <= at) {
            return Err((
                "a switch is cancelled before its position",
                format!("epoch {number} at {at}, waiting are {:?}", self.waiting()),
            ));
        }
        self.epochs.retain(|epoch| epoch.number != number);
        Ok(())
    }

    /// An epoch answers this cause: which epoch has to?
    pub(super) fn answers(&self, cause: Position) -> Result<Epoch, Broken> {
        let due = self.epochs.iter().rev().find(|epoch| epoch.from <= cause);
        due.copied().ok_or_else(|| {
            ("10. each cause is answered by its own epoch", format!("{cause} is before {:?}", self.epochs))
        })
    }

    /// The current epoch ends, for the next one that begins at `at`.
    pub(super) fn end(&mut self, at: Position) -> Verdict {
        match self.waiting().first() {
            Some(next) if next.from == at => {
                self.current += 1;
                Ok(())
            }
            next => Err((
                "10. an epoch ends where the next begins",
                format!("{:?} ends for {at}, the next is {next:?}", self.current()),
            )),
        }
    }
}
