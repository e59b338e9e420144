//! The simulated network: messages get lost, late, doubled, overtaken and damaged, and links break one way or both.

use sequencer_storage::SplitMix64;

use crate::profile::MS;
use crate::stats::Stats;

/// Rates in parts of 1000; times in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) delay_min_ns: u64,
    pub(crate) delay_spread_ns: u64,
    /// Chance of a much longer delay, which reorders.
    pub(crate) straggling: u64,
    pub(crate) straggling_ns: u64,
    pub(crate) damage: u64,
}

impl Weather {
    pub(crate) fn calm() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            delay_min_ns: MS / 5,
            delay_spread_ns: MS / 2,
            straggling: 0,
            straggling_ns: 0,
            damage: 0,
        }
    }

    /// Calm, and every message takes the same time.
    pub(crate) fn even(delay_ns: u64) -> Self {
        Self { delay_min_ns: delay_ns, delay_spread_ns: 0, ..Self::calm() }
    }

    pub(crate) fn draw(rng: &mut SplitMix64) -> Self {
        let often = |rng: &mut SplitMix64, most: u64| if rng.coin() { rng.below(most) } else { 0 };
        Self {
            loss: often(rng, 250),
            duplication: often(rng, 200),
            delay_min_ns: MS / 10 + rng.below(3 * MS),
            delay_spread_ns: MS / 10 + rng.below(8 * MS),
            straggling: often(rng, 150),
            straggling_ns: rng.below(400 * MS),
            damage: 0,
        }
    }
}

/// Links between nodes, by index.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) weather: Weather,
    nodes: usize,
    /// `blocked[from * nodes + to]`
    blocked: Vec<bool>,
}

impl Network {
    pub(crate) fn new(nodes: usize, weather: Weather) -> Self {
        Self { weather, nodes, blocked: vec![false; nodes * nodes] }
    }

    pub(crate) fn block(&mut self, from: usize, to: usize) {
        self.blocked[from * self.nodes + to] = true;
    }

    pub(crate) fn block_both(&mut self, one: usize, other: usize) {
        self.block(one, other);
        self.block(other, one);
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked[from * self.nodes + to]
    }

    pub(crate) fn unblock_all(&mut self) {
        self.blocked.fill(false);
    }

    /// The delays after which copies of `message` arrive, none when it is lost; may damage it.
    pub(crate) fn pass(
        &self,
        from: usize,
        to: usize,
        message: &mut [u8],
        rng: &mut SplitMix64,
        stats: &mut Stats,
    ) -> [Option<u64>; 2] {
        let weather = &self.weather;
        let happens = |rng: &mut SplitMix64, rate: u64| rate > 0 && rng.below(1000) < rate;
        if self.is_blocked(from, to) {
            stats.hit("messages blocked");
            return [None, None];
        }
        if happens(rng, weather.loss) {
            stats.hit("messages lost");
            return [None, None];
        }
        if happens(rng, weather.damage) {
            stats.hit("messages damaged");
            let byte = rng.below(message.len() as u64) as usize;
            message[byte] ^= 1 << rng.below(8);
        }
        let delay = |rng: &mut SplitMix64, stats: &mut Stats| {
            let mut delay = weather.delay_min_ns + rng.below(weather.delay_spread_ns + 1);
            if happens(rng, weather.straggling) {
                stats.hit("messages reordered");
                delay += rng.below(weather.straggling_ns + 1);
            }
            delay
        };
        let first = delay(rng, stats);
        let second = happens(rng, weather.duplication).then(|| {
            stats.hit("messages doubled");
            delay(rng, stats)
        });
        [Some(first), second]
    }
}
