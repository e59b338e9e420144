//! Puts a cluster under load and measures what comes back: what `sequencer bench` runs. Nothing here starts a cluster, and nothing judges the figures.
//!
//! A message is `intended send time u64 | number u64 | filler`. It comes back as a frame of the committed log, read at the leader; each must bear
//! the next number and the right checksum, and the whole filler of one in 64 is compared. In an open loop the intended time comes from the schedule, so a cluster that stalls
//! pays for every message that waited (no coordinated omission). Warm-up and phases are those of the peers' harness, so that figures can be compared.

#![forbid(unsafe_code)]

mod echo;
mod load;
mod report;

pub use load::{Idle, Load, LoadError, run};
pub use report::{Report, RoundTrip};
