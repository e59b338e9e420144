//! What a call can be refused for, and why a connection ended.

use std::io;

use sequencer_link::{EndReason, LinkError, Refused};
use sequencer_wire::{NodeId, Position, Term, WireError};
use thiserror::Error;

/// Why a call did nothing. The client is as it was before.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A setting is out of bounds.
    #[error("{field} is {found}, but must be {least} to {most}")]
    Setting {
        /// Which.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Least.
        least: u64,
        /// Most.
        most: u64,
    },
    /// As much as the window holds is under way. Poll until something is acknowledged, and publish again.
    #[error(
        "{messages} records of {bytes} bytes wait to be acknowledged, and the window holds {limit_messages} and {limit_bytes}; poll, then publish again"
    )]
    WindowFull {
        /// Records under way.
        messages: usize,
        /// Their bytes.
        bytes: usize,
        /// Most records.
        limit_messages: usize,
        /// Most bytes.
        limit_bytes: usize,
    },
    /// The payload can never be sent.
    #[error(
        "a payload of {bytes} bytes exceeds the limit of {limit_bytes}; split it, or open the session with a larger window"
    )]
    TooLarge {
        /// Bytes of the payload.
        bytes: usize,
        /// What the node, or the window, takes.
        limit_bytes: usize,
    },
    /// No session was opened, or the last one has ended.
    #[error("there is no session; open one")]
    NoSession,
    /// There is a session; a client has one at a time.
    #[error("session {name:?} is open; close it before another one is opened")]
    SessionOpen {
        /// Its name.
        name: String,
    },
    /// The session is being closed.
    #[error("the session is being closed; wait until it is, and open another one")]
    Closing,
    /// Another process has opened the session's name.
    #[error(
        "session {session} was opened by another process after epoch {epoch}; this one must stop, or open it again and fence the other off"
    )]
    Fenced {
        /// The session.
        session: u32,
        /// The last epoch of this process.
        epoch: u32,
    },
    /// The session shares a role and does not hold it.
    #[error(
        "the session belongs to group {group} and does not hold its role; publish after set_role with the epoch that was granted"
    )]
    NoRole {
        /// The group.
        group: u32,
    },
    /// The operating system refused something that the client cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Its error.
        source: io::Error,
    },
}

/// Why a connection ended, or did not come about. The client goes on by itself.
#[derive(Debug, Error)]
pub enum Disconnect {
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// Nobody listens there, or it cannot be reached.
    #[error("it cannot be reached: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The other side closed it.
    #[error("the node closed the connection")]
    Closed,
    /// Connecting or the handshake took too long.
    #[error("{what} took longer than {limit_ms} ms")]
    Slow {
        /// Which of the two.
        what: &'static str,
        /// What was allowed.
        limit_ms: u64,
    },
    /// The node owes an answer.
    #[error("the node has not said anything for {ms} ms, though it owes an answer")]
    Silent {
        /// How long.
        ms: u64,
    },
    /// The handshake failed.
    #[error("the handshake was refused: {0}")]
    Refused(#[source] Refused),
    /// Bytes that are no message.
    #[error("the node does not keep to the protocol: {0}")]
    Protocol(#[source] LinkError),
    /// A message that does not fit what was asked.
    #[error("the node does not keep to the protocol: {what} is {found}, and {expected} was expected")]
    Unexpected {
        /// What was wrong.
        what: &'static str,
        /// What it was.
        found: u64,
        /// What it should have been.
        expected: u64,
    },
    /// Another node leads.
    #[error("node {leader} leads in term {term}")]
    Redirected {
        /// Which.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
    /// The node knows of no leader, or does not admit anything.
    #[error("the node has known no leader that admits for {ms} ms")]
    NoLeader {
        /// How long.
        ms: u64,
    },
    /// A frame of the log is damaged.
    #[error("the node sent a frame that does not verify: {0}")]
    Frame(#[source] WireError),
    /// Frames do not follow those before.
    #[error("the node sent frames from {found} on, and {expected} is next")]
    Gap {
        /// First position that was sent.
        found: Position,
        /// What should have been.
        expected: Position,
    },
    /// Frames follow others than those before.
    #[error(
        "at {at} the node says that term {found} came before, and it was {expected}: it has another history"
    )]
    History {
        /// Where.
        at: Position,
        /// What it says.
        found: Term,
        /// What was read.
        expected: Term,
    },
    /// The node cannot serve the position now.
    #[error("the node cannot serve frames from {position} on: {}", <&'static str>::from(*.reason))]
    NotServed {
        /// Why.
        reason: EndReason,
        /// The position wanted.
        position: Position,
    },
    /// Nobody needs it any more.
    #[error("nothing needs the connection")]
    Unneeded,
}
