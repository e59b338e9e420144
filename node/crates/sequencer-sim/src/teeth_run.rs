//! Proof that the simulator bites: each known bug must be found within a bounded number of seeds.

use sequencer_wire::teeth::{self, Bug};

use crate::checker::Violation;
use crate::seeds::run_seeds;

/// How a bug was found, or that it was not.
#[derive(Debug)]
pub struct TeethOutcome {
    /// The bug.
    pub bug: Bug,
    /// Seeds that ran.
    pub seeds: u64,
    /// The first seed that found it, and the rule it broke.
    pub found: Option<(u64, Violation)>,
}

/// Runs up to `bound` seeds with one bug switched on, until one finds it.
pub fn run_teeth(bug: Bug, first: u64, bound: u64, jobs: usize) -> TeethOutcome {
    let mut totals = run_seeds(first, bound, jobs, true, || teeth::activate(Some(bug)));
    let found = (!totals.failures.is_empty()).then(|| totals.failures.swap_remove(0));
    let found = found.and_then(|outcome| outcome.violation.map(|violation| (outcome.seed, violation)));
    TeethOutcome { bug, seeds: totals.seeds, found }
}
