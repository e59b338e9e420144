//! How many cases a property is checked with, and where failing ones are kept.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The number of cases that the environment variable `PROPTEST_CASES` asks for, or proptest's own. A case
/// that failed is kept in a file beside the test and tried first from then on.
pub(crate) fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

/// A quarter of the cases, for properties that try every bit of each.
pub(crate) fn config_for_slow() -> ProptestConfig {
    let config = config();
    ProptestConfig { cases: config.cases.div_ceil(4), ..config }
}
