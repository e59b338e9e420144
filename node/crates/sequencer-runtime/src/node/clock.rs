//! The two clocks of a node, read once for each turn of the hot loop.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sequencer_core::Now;

/// See the module's description.
pub(crate) struct Clock {
    start: Instant,
    first_ns: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        // Above 0, so that a deadline in the past can be told from none.
        Self { start: Instant::now(), first_ns: 1_000_000_000 }
    }

    pub(crate) fn now(&self) -> Now {
        let monotonic_ns = self.first_ns + self.start.elapsed().as_nanos() as u64;
        // A wall clock before 1970 is as wrong as one that jumps, and is treated so.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic_ns, wall_ns: wall.as_nanos() as u64 }
    }

    pub(crate) fn uptime_ns(&self, now: Now) -> u64 {
        now.monotonic_ns - self.first_ns
    }
}
