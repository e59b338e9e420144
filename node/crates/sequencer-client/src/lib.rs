//! The client's side of a cluster: a session that publishes each record once and in order, and a subscription that reads the committed log, both
//! over connections that are made again by themselves. What is decided is decided from values and the time given in (`Engine` and below); sockets,
//! the clock and randomness are in [`Client`] alone. Bytes on the wire belong to `sequencer-link`, rules of admission to `sequencer-core`.

#![forbid(unsafe_code)]

mod acknowledgement;
mod client;
mod commands;
mod engine;
mod error;
mod event;
mod incoming;
mod link;
mod opening;
mod refusals;
mod router;
mod session;
mod settings;
mod standing;
mod subscription;
#[cfg(test)]
mod tests;
mod window;

pub use client::Client;
pub use error::{ClientError, Disconnect};
pub use event::{Event, Purpose, Refusal};
pub use settings::{SESSION_WINDOW_BYTES_MAX, SessionSettings, Settings, SubscribeAt};

// What a caller needs of the protocol.
pub use sequencer_link::{Command, Done, EndReason, Leader, Positions, Record, Reply, Role};
