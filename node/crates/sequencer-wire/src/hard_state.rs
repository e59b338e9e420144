//! What a node must never forget besides its log: the words for it that core and storage share.

use crate::{LogEnd, NodeId, Term};

/// Bytes that this node may have acknowledged and cannot read any more.
///
/// Invariant: whatever the node ever acknowledged ends at or below `max(own durable end, claim end)`.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Claim {
    /// Upper bound of what may have been acknowledged.
    pub end: LogEnd,
    /// Bytes known to have been acknowledged are unreadable. Such a claim is settled only by a leader's log, never by
    /// asking around, because readable bytes may still lie behind the damage.
    pub damaged: bool,
    /// The missing bytes may hold a change of membership, so the answers of the voters known here cannot settle it.
    pub membership: bool,
}

/// The part of the state, besides the log, that must be durable before it is revealed.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct HardState {
    /// Highest term seen.
    pub term: Term,
    /// Who got this node's vote in that term.
    pub vote: Option<NodeId>,
    /// See [`Claim`].
    pub claim: Option<Claim>,
}
