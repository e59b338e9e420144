//! Many seeds on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::checker::Violation;
use crate::stats::Stats;
use crate::trace::Trace;
use crate::world::World;

/// What one seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first rule it broke.
    pub violation: Option<Violation>,
    /// What happened.
    pub stats: Stats,
}

/// What many seeds came to.
#[derive(Debug)]
pub struct Totals {
    /// Seeds that ran.
    pub seeds: u64,
    /// Those that broke a rule, by seed.
    pub failures: Vec<Outcome>,
    /// What happened in all of them.
    pub stats: Stats,
    /// Time it took.
    pub elapsed: Duration,
}

/// Runs one seed. A panic inside of the product is a violation like any other.
pub fn run_seed(seed: u64, trace: Trace) -> Outcome {
    run(seed, false, trace)
}

/// Runs one seed in a world whose members stay who they are and whose log keeps its start.
pub fn run_plain_seed(seed: u64, trace: Trace) -> Outcome {
    run(seed, true, trace)
}

fn run(seed: u64, is_plain: bool, trace: Trace) -> Outcome {
    let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, is_plain, trace).run()));
    match run {
        Ok((violation, stats)) => Outcome { seed, violation, stats },
        Err(panic) => {
            let detail = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "a panic without text".to_owned());
            let violation = Violation { rule: "no assertion fails", detail, at_ns: 0 };
            Outcome { seed, violation: Some(violation), stats: Stats::default() }
        }
    }
}

/// Runs `count` seeds from `first` on with `jobs` threads; stops early after the first failure when asked.
pub fn run_seeds(
    first: u64,
    count: u64,
    jobs: usize,
    stop_at_failure: bool,
    prepare: impl Fn() + Sync,
) -> Totals {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let totals = Mutex::new((0u64, Vec::new(), Stats::default()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                prepare();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = run_seed(first + index, Trace::off());
                    let mut totals = totals.lock().expect("no thread panics while it holds the lock");
                    totals.0 += 1;
                    totals.2.merge(&outcome.stats);
                    if outcome.violation.is_some() {
                        totals.1.push(outcome);
                        stop.fetch_or(stop_at_failure, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (seeds, mut failures, stats) = totals.into_inner().expect("no thread panics while it holds the lock");
    failures.sort_by_key(|outcome: &Outcome| outcome.seed);
    Totals { seeds, failures, stats, elapsed: started.elapsed() }
}
