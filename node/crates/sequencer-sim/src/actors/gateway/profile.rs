//! How a gateway behaves under one seed: its time-out, its clock, and what happens to it how often.

use sequencer_storage::SplitMix64;

use crate::profile::{ELECTION_TIMEOUT_NS, MS};

/// What happens to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Mishap {
    /// The process stands still, with what it was about to send in its hands, and goes on as if no time had passed.
    Pause,
    /// It runs on, but for a while nothing gets from it to the cluster or back.
    CutOff,
    /// Its connection breaks; it opens the session again and goes on with what it remembers.
    Disconnect,
    /// The process ends, and another one starts after a while without memory.
    Crash,
    /// Another process opens the session while this one still runs.
    Replace,
}

impl Mishap {
    pub(super) const ALL: [Mishap; 5] =
        [Mishap::Pause, Mishap::CutOff, Mishap::Disconnect, Mishap::Crash, Mishap::Replace];
}

/// What a process does that was replaced by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It follows all rules.
    Sound,
    /// It does not read the log, so that it learns only from refusals.
    Blind,
    /// It neither reads the log nor listens to refusals, and sends without a look at its lease.
    Reckless,
}

/// See the module's description.
#[derive(Debug, Clone)]
pub(super) struct GatewayProfile {
    pub(super) timeout_ns: u64,
    /// Its clock runs this much fast or slow, in parts per million.
    pub(super) drift_ppm: i64,
    /// Most unacknowledged messages.
    pub(super) window: usize,
    /// Waits so long for an answer.
    pub(super) retry_ns: u64,
    /// Mean time between two looks at the log.
    pub(super) pause_ns: u64,
    intervals: [Option<u64>; Mishap::ALL.len()],
}

impl GatewayProfile {
    pub(super) fn draw(rng: &mut SplitMix64) -> Self {
        let intervals = Mishap::ALL.map(|_| {
            let interval = (300 + rng.below(2_500)) * MS;
            (rng.below(100) < 60).then_some(interval)
        });
        // Short ones let the role go round more often. The core allows no less than four election time-outs.
        let spread_ms = if rng.coin() { 60 } else { 600 };
        Self {
            timeout_ns: 4 * ELECTION_TIMEOUT_NS + rng.below(spread_ms) * MS,
            drift_ppm: rng.below(4_001) as i64 - 2_000,
            window: 1 + rng.below(4) as usize,
            retry_ns: (60 + rng.below(100)) * MS,
            pause_ns: (5 + rng.below(15)) * MS,
            intervals,
        }
    }

    /// What happens in a span of time, if anything.
    pub(super) fn mishap(&self, elapsed_ns: u64, rng: &mut SplitMix64) -> Option<Mishap> {
        let strikes = |mishap: &Mishap| {
            self.intervals[*mishap as usize].is_some_and(|interval| rng.below(interval) < elapsed_ns)
        };
        Mishap::ALL.into_iter().find(strikes)
    }
}
