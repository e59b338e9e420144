//! Consensus on one log of bytes and the rules of what may get into it, without any input or output of its own: elections,
//! replication, commit, leader transfer, membership; sessions, outputs, epochs, roles, retention.
//!
//! What belongs here: decisions. [`Core::step`] takes an event and the time and returns ordered [`Effects`]; the same
//! events in the same order give the same effects for ever. What does not: sockets, files, threads, clocks and global
//! randomness, which live in `sequencer-runtime` and `sequencer-storage`, and the meaning of payloads.
//!
//! Reading order: `docs/internals/consensus.md`, then [`Event`], [`Effect`], `campaign`, `voter`, `follower`, `leader`, `claim`;
//! `docs/internals/exactly-once.md`, then [`Request`], [`Answer`], [`Ledger`], `admission`, `leadership`, `membership`, `install`.

mod admission;
mod answer;
mod bytes;
mod campaign;
mod claim;
mod config;
mod core;
mod effect;
mod event;
mod follower;
mod install;
mod leader;
mod leadership;
mod ledger;
mod log_buffer;
mod log_clock;
mod membership;
mod peer;
mod proposal;
mod random;
mod refusal;
mod request;
mod state;
mod status;
mod transfer;
mod voter;

pub use crate::answer::{Answer, Outcome, Telling};
pub use crate::claim::ClaimMismatch;
pub use crate::config::{Config, ConfigError, VOTERS_MAX};
pub use crate::core::Core;
pub use crate::effect::{Effect, Effects, FrameSource, Outgoing};
pub use crate::event::{Event, Now};
pub use crate::ledger::{
    GROUP_SESSIONS_MAX, Group, Holder, Ledger, PINS_MAX, Pin, Retention, SCHEMA_ID_MAX, SWITCHES_MAX,
    ServiceProgress, ServiceState, SnapshotError, Switch, WINDOW,
};
pub use crate::log_buffer::{LogBuffer, Slices};
pub use crate::log_clock::{CLOCK_SKEW_NS_MAX, LogClock};
pub use crate::membership::PeerRefusal;
pub use crate::proposal::{Admitted, Proposal};
pub use crate::refusal::Refusal;
pub use crate::request::{MemberChange, Message, Open, Output, OutputEnd, Progress, Request};
pub use crate::state::{ReplayError, Restored, Snapshot};
pub use crate::status::{Counters, Role, Status};
pub use crate::transfer::TransferError;
pub use sequencer_wire::{Claim, HardState};
