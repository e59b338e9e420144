//! A whole cluster in one thread: the real core and storage code over a simulated disk, network and clock, from one seed.
//!
//! What belongs here: faults, the world they happen in, and the rules that must hold whatever happens. What does not: any
//! behaviour of the product; what a real node does, it does here through the same `sequencer_runtime::Replica`.
//!
//! Reading order: `profile` (what may happen), `world` (how time passes), `faults`, `checker`.

mod actors;
mod checker;
mod faults;
mod ingress;
mod inspect;
mod life;
mod network;
mod node;
mod outside;
mod profile;
mod report;
mod seeds;
mod stats;
#[cfg(feature = "teeth")]
mod teeth_run;
mod trace;
mod world;

pub use crate::checker::Violation;
pub use crate::profile::Profile;
pub use crate::report::print_report;
pub use crate::seeds::{Outcome, Totals, run_plain_seed, run_seed, run_seeds};
pub use crate::stats::Stats;
#[cfg(feature = "teeth")]
pub use crate::teeth_run::{TeethOutcome, run_teeth};
pub use crate::trace::{Trace, TraceFormat};
