//! What clients ask and what a node tells them.
//!
//! ```text
//! head, 16 bytes:  0 u32 bytes of the whole message, a multiple of 8 | 4 u32 crc32c of what follows | 8 u8 kind | 9 three zeros | 12 u32 tag
//! ```
//! The checksum covers everything from byte 8 on, but for the frames of a `frames` message, each of which bears its own.
//! A tag is chosen by whoever asks, and the answer repeats it.

use sequencer_wire::{NodeId, Position, Term, bytes::u64_at};

use crate::batch::Batch;

/// Bytes of the head of every message.
pub const HEAD_BYTES: usize = 16;
/// Bytes of the largest message.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// What a message is; the numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::FromRepr)]
#[repr(u8)]
pub enum Kind {
    /// The initiator of a connection introduces itself.
    Hello = 1,
    /// The acceptor answers with a challenge.
    Challenge = 2,
    /// The initiator proves that it holds the secret.
    Proof = 3,
    /// The acceptor proves the same; the connection is open.
    Welcome = 4,
    /// The connection is refused.
    Refused = 5,

    /// Messages of a session.
    Publish = 16,
    /// Outputs of a service.
    Outputs = 17,
    /// Opens a session.
    Open = 18,
    /// Ends one for good.
    Close = 19,
    /// A sign of life of a session.
    KeepAlive = 20,
    /// A frame of any other kind that may be proposed.
    Command = 21,
    /// Wants the committed log from a position on.
    Subscribe = 22,
    /// Wants no more of it.
    Unsubscribe = 23,

    /// Messages were admitted and are committed.
    Admitted = 64,
    /// The answer to anything else, or a refusal.
    Answer = 65,
    /// Committed frames.
    Frames = 66,
    /// Who leads.
    Leader = 67,
    /// A subscription has ended.
    Ended = 68,
}

/// What a client asks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Messages, queries or outputs in order.
    Batch(Batch<'a>),
    /// Opens a session.
    Open(Open<'a>),
    /// Ends a session for good.
    Close {
        /// The session.
        session: u32,
        /// Its epoch.
        epoch: u32,
    },
    /// A sign of life.
    KeepAlive {
        /// The session.
        session: u32,
        /// Its epoch.
        epoch: u32,
    },
    /// Something that stands in the log in a frame of its own.
    Command(Command<'a>),
    /// Wants committed frames from here on, for ever. One subscription a connection; another one takes its place.
    Subscribe {
        /// A frame boundary.
        from: Position,
    },
    /// Wants no more of them.
    Unsubscribe,
}

/// The opening of a session; its class comes from the connection's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// Names the session; 1 to 64 bytes.
    pub name: &'a str,
    /// Role group; 0 for none.
    pub group: u32,
    /// Log time in ns without a word from it after which it is idle.
    pub timeout_ns: u64,
    /// The id that the caller had; 0 for none.
    pub resume: u32,
}

/// A frame that a tool or a replica wants in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// Kind of the frame.
    pub kind: u8,
    /// Its source.
    pub source_id: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub sequence: u64,
    /// Its cause.
    pub cause: Position,
    /// The replica that sends it; 0 where that says nothing.
    pub replica: u32,
    /// Its payload.
    pub body: &'a [u8],
}

/// What a node tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell<'a> {
    /// These messages of a session stand in the log for ever.
    Admitted {
        /// The session.
        session: u32,
        /// The epoch they were sent in.
        epoch: u32,
        /// Sequence of the first.
        first: u64,
        /// Where each stands; 0 where that is not known any more.
        positions: Positions<'a>,
    },
    /// The answer to what bore this message's tag: [`Reply`] in JSON.
    Answer {
        /// The text.
        json: &'a [u8],
    },
    /// Committed whole frames.
    Frames {
        /// Position of the first.
        from: Position,
        /// Term of the frame before it.
        previous: Term,
        /// How far the log is committed, as this node knows.
        commit: Position,
        /// The frames, as `sequencer_wire::Frames` walks them.
        frames: &'a [u8],
    },
    /// Who leads, told after the welcome and whenever it changes.
    Leader(Leader<'a>),
    /// The subscription has ended.
    Ended {
        /// Why.
        reason: EndReason,
        /// First position there is, or the end of the committed log.
        position: Position,
    },
}

/// Who leads, as one node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader<'a> {
    /// The term.
    pub term: Term,
    /// The leader; `None` while there is none.
    pub id: Option<NodeId>,
    /// Where it listens; empty if this node does not know.
    pub address: &'a str,
    /// Whether it is the node that says so, and admits.
    pub is_here: bool,
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::FromRepr, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum EndReason {
    /// The log begins above the position that was asked for.
    Trimmed = 1,
    /// The position is past what is committed, or no frame begins there.
    NoSuchPosition = 2,
    /// The node cannot read its log.
    Damaged = 3,
}

/// Positions in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions<'a>(pub(crate) &'a [u8]);

impl<'a> Positions<'a> {
    /// Of little-endian numbers of 8 bytes.
    ///
    /// # Panics
    /// When the length is not a multiple of 8.
    pub fn new(bytes: &'a [u8]) -> Self {
        assert!(bytes.len().is_multiple_of(8), "positions have 8 bytes each");
        Self(bytes)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Position> + use<'a> {
        self.0.chunks_exact(8).map(|bytes| Position(u64_at(bytes, 0)))
    }

    /// As they stand in the message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The content of an answer. In JSON: `{"outcome": "opened", ...}` or `{"refusal": "session_lost", "message": ..., "is_retryable": ..., "facts": {...}}`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// It was taken.
    Done(Done),
    /// It was not.
    Refused {
        /// Snake-case name of the refusal.
        refusal: String,
        /// One sentence for people.
        message: String,
        /// Whether the same may succeed later, here or elsewhere.
        is_retryable: bool,
        /// For messages and outputs the first of the batch that was not taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
        /// Facts by name.
        #[serde(default)]
        facts: serde_json::Map<String, serde_json::Value>,
    },
}

/// What came of a request that was taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Done {
    /// A frame stands in the log.
    Admitted {
        /// Where.
        position: u64,
        /// Its timestamp, nanoseconds since the Unix epoch.
        timestamp_ns: u64,
    },
    /// The session is open.
    Opened {
        /// Its id.
        session: u32,
        /// Its epoch.
        epoch: u32,
        /// Last sequence of it in the log.
        last_sequence: u64,
        /// Whether it existed before.
        is_resumed: bool,
        /// Position of the frame.
        position: u64,
    },
    /// The same was taken before.
    AlreadyAdmitted {
        /// The last one taken.
        last: u64,
    },
    /// The session is alive.
    Alive,
    /// Other replicas must agree first.
    Voted {
        /// Replicas that have sent the same so far.
        votes: u16,
        /// How many it takes.
        needed: u16,
    },
}
