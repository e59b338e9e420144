//! The clock of a benchmark: the machine's, which can be moved on to make an election due.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sequencer_core::Now;

/// Read once a turn, as the owner of a replica does.
pub(crate) struct Clock {
    started: Instant,
    skipped_ns: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), skipped_ns: 0 }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic_ns: self.started.elapsed().as_nanos() as u64 + self.skipped_ns,
            wall_ns: wall.as_nanos() as u64,
        }
    }

    /// Moves the monotonic clock on.
    pub(crate) fn skip(&mut self, nanoseconds: u64) {
        self.skipped_ns += nanoseconds;
    }
}
