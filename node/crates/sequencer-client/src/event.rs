//! What a client tells its caller.

use sequencer_link::{EndReason, Leader, Positions, Reply};
use sequencer_wire::{NodeId, Position, Term};
use serde_json::{Map, Value};

use crate::error::Disconnect;

/// What one of a client's two connections is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To the leader: session and commands, and the subscription if it was asked for there.
    Leader,
    /// To any node: the subscription.
    Reader,
}

/// Why the cluster did not take something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal<'a> {
    /// Snake-case name, as in `docs/reference`.
    pub kind: &'a str,
    /// One sentence for people.
    pub message: &'a str,
    /// Whether the same may succeed later.
    pub is_retryable: bool,
    /// Facts by name.
    pub facts: &'a Map<String, Value>,
}

/// Something that happened; it borrows what was received.
///
/// Records have a *number*, counted from 1 in the order of [`crate::Client::publish`] over the whole life of the client: none is used twice. It is not
/// the sequence in the log, which depends on what the session sent before, and is told with the acknowledgement. Every number is told of exactly once,
/// in order: by `Admitted`, `Refused`, `OpenRefused`, `SessionLost` or `Fenced`.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection is open.
    Connected {
        /// What for.
        purpose: Purpose,
        /// To whom.
        node: NodeId,
        /// Where.
        address: &'a str,
    },
    /// A connection ended, or did not come about.
    Disconnected {
        /// What for.
        purpose: Purpose,
        /// Where.
        address: &'a str,
        /// Why.
        why: &'a Disconnect,
    },
    /// Who leads, as the node at the other end says.
    Leader {
        /// The connection.
        purpose: Purpose,
        /// What it says.
        leader: Leader<'a>,
    },
    /// The session is open: for the first time, or again after a change of leader. What is not acknowledged is sent again by itself.
    Opened {
        /// Its id.
        session: u32,
        /// Its epoch.
        epoch: u32,
        /// Last sequence of it in the log.
        last_sequence: u64,
        /// Whether it existed before.
        is_resumed: bool,
    },
    /// Records stand in the log for ever.
    Admitted {
        /// Number of the first.
        first: u64,
        /// Its sequence in the session; those of the others follow.
        sequence: u64,
        /// Where each stands; 0 where that is not known any more.
        positions: Positions<'a>,
    },
    /// A record was refused for good. It and all that were published after it are not in the log and will not be; the session goes on.
    Refused {
        /// Number of the record that was refused.
        first: u64,
        /// Records that are given up, this one included; 0 when it was the closing of the session that was refused.
        count: u64,
        /// Why the first was; the others would have left a gap.
        refusal: Refusal<'a>,
    },
    /// The session could not be opened for the first time. Nothing of what was published is in the log.
    OpenRefused {
        /// Number of the first record that is given up.
        first: u64,
        /// How many are.
        count: u64,
        /// Why.
        refusal: Refusal<'a>,
    },
    /// The session is gone for good. These records may be in the log or not; they must not be sent as new ones unless that is known.
    SessionLost {
        /// The session.
        session: u32,
        /// Number of the first record whose fate is not known.
        first: u64,
        /// How many there are.
        count: u64,
        /// Why.
        refusal: Refusal<'a>,
    },
    /// Another process has opened the session's name. This one must stop; its last records may be in the log or not.
    Fenced {
        /// The session.
        session: u32,
        /// The last epoch of this process.
        epoch: u32,
        /// Number of the first record whose fate is not known.
        first: u64,
        /// How many there are.
        count: u64,
    },
    /// The session is closed, as was asked for.
    SessionClosed {
        /// The session.
        session: u32,
    },
    /// The answer to a command.
    Answer {
        /// As [`crate::Client::command`] returned it.
        tag: u32,
        /// What came of it.
        reply: &'a Reply,
    },
    /// The connection ended before a command was answered. It may be in the log or not.
    AnswerLost {
        /// As [`crate::Client::command`] returned it.
        tag: u32,
    },
    /// Committed frames, whole and verified unless asked otherwise; each begins where the last ones ended. There may be none: news of the commit.
    Frames {
        /// Position of the first.
        from: Position,
        /// Term of the frame before it.
        previous: Term,
        /// How far the log is committed, as the node knows.
        commit: Position,
        /// The frames, as `sequencer_wire::Frames` walks them.
        frames: &'a [u8],
    },
    /// The subscription has ended for good.
    SubscriptionEnded {
        /// Why.
        reason: EndReason,
        /// First position there is, or the end of the committed log.
        position: Position,
    },
}
