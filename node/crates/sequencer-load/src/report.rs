//! What was measured.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Round trips above this are recorded as this.
const RTT_NS_MAX: u64 = 60_000_000_000;

/// Figures of one measured phase; the names are those of the peers' harness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Messages that should have been sent by the end.
    pub due: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back, also after the measured seconds.
    pub received: u64,
    /// Messages that came back out of order or changed.
    pub damaged: u64,
    /// Messages that came back within the measured seconds, per second.
    pub throughput_per_s: f64,
    /// Round trips, from the intended send time.
    pub rtt_us: RoundTrip,
    /// Longest time without anything coming back while something was under way, in milliseconds.
    pub longest_gap_ms: f64,
    /// Times that a connection was lost or the leader changed.
    pub interruptions: u64,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RoundTrip {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, RTT_NS_MAX, 3).expect("the bounds are valid")
}

impl RoundTrip {
    pub(crate) fn of(rtt_ns: &Histogram<u64>) -> Self {
        let us = |quantile| rtt_ns.value_at_quantile(quantile) as f64 / 1e3;
        Self { p50: us(0.5), p90: us(0.9), p99: us(0.99), p999: us(0.999), max: rtt_ns.max() as f64 / 1e3 }
    }
}
