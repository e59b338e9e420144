//! How long a fuzz target runs.

use std::time::Duration;

use bolero::{DefaultEngine, TestTarget};

/// Bounds a target. The environment variable `FUZZ_SECONDS` asks for a time; without it the target runs a
/// fixed number of inputs, so that a plain `cargo test` stays quick.
pub(crate) fn bounded<G, I>(
    target: TestTarget<G, DefaultEngine, I>,
    inputs: usize,
) -> TestTarget<G, DefaultEngine, I> {
    match std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => target.with_test_time(Duration::from_secs(seconds)),
        None => target.with_iterations(inputs),
    }
}
