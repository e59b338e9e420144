//! Counts of what happened, so that a reader sees that the simulator explores.

use std::collections::BTreeMap;

/// Named counts; adding up is all that is done with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    counts: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// Adds `count` to `name`.
    pub fn add(&mut self, name: &'static str, count: u64) {
        *self.counts.entry(name).or_default() += count;
    }

    /// Adds one to `name`.
    pub fn hit(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    /// Adds all of another's counts.
    pub fn merge(&mut self, other: &Stats) {
        for (name, count) in &other.counts {
            self.add(name, *count);
        }
    }

    /// The count of `name`.
    pub fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Names and counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(name, count)| (*name, *count))
    }
}
