//! Consensus on one log of bytes, without any input or output of its own: elections, replication, commit and leader transfer.
//!
//! What belongs here: decisions. [`Core::step`] takes an event and the time and returns ordered [`Effects`]; the same
//! events in the same order give the same effects for ever. What does not: sockets, files, threads, clocks and global
//! randomness, which live in `sequencer-runtime` and `sequencer-storage`, and the meaning of payloads.
//!
//! Reading order: `docs/internals/consensus.md`, then [`Event`], [`Effect`], `campaign`, `voter`, `follower`, `leader`, `claim`.

mod admission;
mod campaign;
mod claim;
mod config;
mod core;
mod effect;
mod event;
mod follower;
mod leader;
mod log_buffer;
mod log_clock;
mod peer;
mod random;
mod state;
mod status;
mod transfer;
mod voter;

pub use crate::admission::{Admitted, Proposal, Refusal};
pub use crate::claim::ClaimMismatch;
pub use crate::config::{Config, ConfigError, VOTERS_MAX};
pub use crate::core::Core;
pub use crate::effect::{Effect, Effects, FrameSource, Outgoing};
pub use crate::event::{Event, Now};
pub use crate::log_buffer::{LogBuffer, Slices};
pub use crate::log_clock::{CLOCK_SKEW_NS_MAX, LogClock};
pub use crate::state::Restored;
pub use crate::status::{Counters, Role, Status};
pub use crate::transfer::TransferError;
pub use sequencer_wire::{Claim, HardState};
