//! How a client behaves under one seed: its pace, and which mishaps happen to it how often.

use sequencer_storage::SplitMix64;

use crate::profile::MS;

/// What happens to a client, or what it does that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Mishap {
    /// It says nothing for a while, sometimes for longer than its time-out.
    Silence,
    /// Its connection breaks; it opens the session again and goes on.
    Disconnect,
    /// Its process ends and another one opens the session, without memory of what was sent. Sometimes the old one still runs.
    Restart,
    /// It closes its session and goes on as if it had not.
    Close,
    /// It goes on under another name, and perhaps comes back to this one later.
    Move,
    /// It asks for what must be refused.
    Nonsense,
    /// It sends again what is acknowledged.
    Repeat,
}

impl Mishap {
    pub(super) const ALL: [Mishap; 7] = [
        Mishap::Silence,
        Mishap::Disconnect,
        Mishap::Restart,
        Mishap::Close,
        Mishap::Move,
        Mishap::Nonsense,
        Mishap::Repeat,
    ];

    /// How likely a client has it at all in percent, and its shortest mean interval in milliseconds.
    fn rarity(self) -> (u64, u64) {
        match self {
            Mishap::Disconnect => (70, 200),
            Mishap::Restart => (60, 400),
            Mishap::Nonsense => (40, 60),
            Mishap::Repeat => (50, 40),
            Mishap::Silence => (50, 400),
            Mishap::Close | Mishap::Move => (30, 800),
        }
    }
}

/// See the module's description.
#[derive(Debug, Clone)]
pub(super) struct ClientProfile {
    /// Time-out of its sessions.
    pub(super) timeout_ns: u64,
    /// Most unacknowledged messages.
    pub(super) window: usize,
    /// It sends less at a time after a gap.
    pub(super) is_careful: bool,
    /// Most new messages at a time.
    pub(super) burst_max: u64,
    /// Mean time between two bursts.
    pub(super) pause_ns: u64,
    /// Waits so long for an answer.
    pub(super) retry_ns: u64,
    /// Goes where a node that does not lead sends it, instead of where the leader seems to be.
    pub(super) follows_hints: bool,
    /// Most names it goes by.
    pub(super) names: u64,
    intervals: [Option<u64>; Mishap::ALL.len()],
}

impl ClientProfile {
    /// `is_steady`: a stream without bursts.
    pub(super) fn draw(is_steady: bool, rng: &mut SplitMix64) -> Self {
        let window_max = if rng.coin() { 6 } else { 40 };
        let intervals = Mishap::ALL.map(|mishap| {
            let (percent, least_ms) = mishap.rarity();
            let interval = (least_ms + rng.below(5 * least_ms)) * MS;
            (rng.below(100) < percent).then_some(interval)
        });
        Self {
            timeout_ns: (150 + rng.below(1_850)) * MS,
            window: 1 + rng.below(window_max) as usize,
            is_careful: rng.below(4) > 0,
            burst_max: 1 + rng.below(12),
            pause_ns: (1 + rng.below(if is_steady { 4 } else { 20 })) * MS,
            retry_ns: (50 + rng.below(250)) * MS,
            follows_hints: rng.below(3) == 0,
            names: 2 + rng.below(3),
            intervals,
        }
    }

    /// What happens in a span of time, if anything: each mishap by its own mean interval.
    pub(super) fn mishap(&self, elapsed_ns: u64, rng: &mut SplitMix64) -> Option<Mishap> {
        let strikes = |mishap: &Mishap| {
            self.intervals[*mishap as usize].is_some_and(|interval| rng.below(interval) < elapsed_ns)
        };
        Mishap::ALL.into_iter().find(strikes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mishaps_come_about_as_often_as_their_interval_says() {
        let mut rng = SplitMix64::new(5);
        let mut intervals = [None; Mishap::ALL.len()];
        intervals[Mishap::Close as usize] = Some(1_000 * MS);
        let profile = ClientProfile { intervals, ..ClientProfile::draw(false, &mut rng) };
        let count = (0..10_000).filter(|_| profile.mishap(10 * MS, &mut rng) == Some(Mishap::Close)).count();
        assert!((50..200).contains(&count), "{count} in 100 intervals");
    }

    #[test]
    fn profiles_stay_within_what_the_core_allows() {
        let mut rng = SplitMix64::new(6);
        for _ in 0..500 {
            let profile = ClientProfile::draw(rng.coin(), &mut rng);
            assert!((150 * MS..=2_000 * MS).contains(&profile.timeout_ns));
            assert!((1..=40).contains(&profile.window));
        }
    }
}
