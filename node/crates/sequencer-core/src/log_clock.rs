//! The clock of the log: timestamps that never go back and are never led astray by one wrong wall clock.
//!
//! 1. A new leader starts from its wall clock, but at most a bounded skew ahead of the clocks of the voters that elected it.
//! 2. It never starts before the last timestamp in its log.
//! 3. From then on time advances with the monotonic clock, an eighth faster or slower until it meets the wall clock again.
//!    A jump of the wall clock therefore never shows as a jump in the log; it is counted.

use sequencer_wire::teeth::{self, Bug};

use crate::event::Now;

/// How far a new leader's clock may be ahead of those of its voters, in nanoseconds.
pub const CLOCK_SKEW_NS_MAX: u64 = 1_000_000_000;

/// Timestamps for a leader's frames.
///
/// Invariant: `stamp` never returns less than it did before, nor less than any timestamp in the log.
#[derive(Debug, Clone, Default)]
pub struct LogClock {
    last_ns: u64,
    /// Readings at which `last_ns` was last advanced.
    monotonic_ns: u64,
    wall_ns: u64,
    jumps: u64,
}

impl LogClock {
    /// A clock for a log whose last frame bears `last_timestamp_ns`.
    pub fn new(last_timestamp_ns: u64) -> Self {
        Self { last_ns: last_timestamp_ns, ..Self::default() }
    }

    /// Takes note of a frame of another leader.
    pub fn observe(&mut self, timestamp_ns: u64) {
        self.last_ns = self.last_ns.max(timestamp_ns);
    }

    /// Starts a leadership; `voters_wall_ns_max` is the latest clock among the other voters that elected it, if any.
    pub fn lead(&mut self, now: Now, voters_wall_ns_max: Option<u64>) {
        let bound = voters_wall_ns_max.map_or(u64::MAX, |wall| wall.saturating_add(CLOCK_SKEW_NS_MAX));
        let start = now.wall_ns.min(bound);
        self.last_ns =
            if teeth::is_active(Bug::TimestampFromClock) { now.wall_ns } else { self.last_ns.max(start) };
        self.monotonic_ns = now.monotonic_ns;
        self.wall_ns = now.wall_ns;
    }

    /// The timestamp for a frame admitted now.
    pub fn stamp(&mut self, now: Now) -> u64 {
        let elapsed = now.monotonic_ns.saturating_sub(self.monotonic_ns);
        if elapsed > 0 {
            let wall_elapsed = i128::from(now.wall_ns) - i128::from(self.wall_ns);
            if (wall_elapsed - i128::from(elapsed)).unsigned_abs() > u128::from(CLOCK_SKEW_NS_MAX) {
                self.jumps += 1;
            }
            let steady = self.last_ns.saturating_add(elapsed);
            let slew = elapsed / 8;
            self.last_ns = if now.wall_ns > steady {
                now.wall_ns.min(steady.saturating_add(slew))
            } else {
                now.wall_ns.max(steady - slew)
            };
            self.monotonic_ns = now.monotonic_ns;
            self.wall_ns = now.wall_ns;
        }
        self.last_ns
    }

    /// The newest timestamp.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Nanoseconds by which timestamps are behind the wall clock.
    pub fn held_back_ns(&self) -> u64 {
        self.wall_ns.saturating_sub(self.last_ns)
    }

    /// Nanoseconds by which timestamps are ahead of the wall clock.
    pub fn ahead_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.wall_ns)
    }

    /// Jumps of the wall clock against the monotonic clock that exceeded [`CLOCK_SKEW_NS_MAX`].
    pub fn jumps(&self) -> u64 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(monotonic_ns: u64, wall_ns: u64) -> Now {
        Now { monotonic_ns, wall_ns }
    }

    #[test]
    fn a_leader_starts_from_the_last_timestamp_when_its_clock_is_behind() {
        let mut clock = LogClock::new(100 * SECOND);
        clock.lead(at(0, 40 * SECOND), None);
        assert_eq!(clock.stamp(at(0, 40 * SECOND)), 100 * SECOND);
        assert_eq!(clock.ahead_ns(), 60 * SECOND);
        // It goes on slower than time until the wall clock has caught up, but never back.
        assert_eq!(clock.stamp(at(8 * SECOND, 48 * SECOND)), 107 * SECOND);
    }

    #[test]
    fn a_clock_far_ahead_is_bounded_by_the_voters() {
        let mut clock = LogClock::new(0);
        clock.lead(at(0, 9_000 * SECOND), Some(100 * SECOND));
        assert_eq!(clock.stamp(at(0, 9_000 * SECOND)), 101 * SECOND);
        assert_eq!(clock.stamp(at(8 * SECOND, 9_008 * SECOND)), 110 * SECOND);
        assert_eq!(clock.held_back_ns(), 8_898 * SECOND);
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_slewed_and_counted() {
        let mut clock = LogClock::new(0);
        clock.lead(at(0, 100 * SECOND), None);
        assert_eq!(clock.stamp(at(8 * SECOND, 5_000 * SECOND)), 109 * SECOND);
        assert_eq!(clock.jumps(), 1);
        assert_eq!(clock.stamp(at(16 * SECOND, 50 * SECOND)), 116 * SECOND);
        assert_eq!(clock.jumps(), 2);
    }

    #[test]
    fn timestamps_follow_a_steady_wall_clock() {
        let mut clock = LogClock::new(0);
        clock.lead(at(5, 100 * SECOND), Some(100 * SECOND));
        for second in 1..10 {
            assert_eq!(
                clock.stamp(at(5 + second * SECOND, (100 + second) * SECOND)),
                (100 + second) * SECOND
            );
        }
        assert_eq!(clock.jumps(), 0);
    }
}
