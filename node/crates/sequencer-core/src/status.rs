//! What the core tells about itself.

use sequencer_wire::{Claim, LogEnd, NodeId, Position, Term};

/// The node's part in the current term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether a campaign could succeed, without touching its term.
    PreCandidate,
    /// Asks for votes in a term of its own.
    Candidate,
    /// Admits messages and replicates them.
    Leader,
    /// Takes part in nothing after a storage failure.
    Halted,
}

/// A snapshot of the core's state for operators, metrics and checkers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// The node's part.
    pub role: Role,
    /// Current term.
    pub term: Term,
    /// The vote of that term.
    pub vote: Option<NodeId>,
    /// The leader it follows, itself included.
    pub leader: Option<NodeId>,
    /// End of the log in memory.
    pub end: LogEnd,
    /// End of the durable log.
    pub durable: LogEnd,
    /// Commit position known here.
    pub commit: Position,
    /// What it may have acknowledged and lost.
    pub claim: Option<Claim>,
    /// Whether it has a vote by the newest list of members.
    pub is_voter: bool,
    /// First position of the stored log.
    pub log_start: Position,
    /// Position of the newest saved snapshot, 0 if there is none.
    pub snapshot: Position,
    /// Set once a leader has told its successor to campaign: admission is closed.
    pub handing_over_to: Option<NodeId>,
    /// Nanoseconds by which the leader's timestamps are held back from its wall clock.
    pub clock_held_back_ns: u64,
    /// Nanoseconds by which they are ahead of it, because an earlier leader's clock was.
    pub clock_ahead_ns: u64,
    /// What happened so far.
    pub counters: Counters,
}

/// Counts since the start; they only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Rounds of pre-votes started.
    pub pre_votes: u64,
    /// Campaigns started.
    pub campaigns: u64,
    /// Elections won.
    pub elections_won: u64,
    /// Times a leader gave up because it heard no majority.
    pub quorum_lost: u64,
    /// Cuts of an uncommitted tail.
    pub cuts: u64,
    /// Leadership transfers started.
    pub transfers: u64,
    /// Transfers that ran into their time-out, after which admission resumed.
    pub transfers_timed_out: u64,
    /// Reads from segments for followers behind the log buffer.
    pub catch_up_reads: u64,
    /// Appends whose frames did not verify; the valid frames before the damage were kept.
    pub damaged_appends: u64,
    /// Frames in appends that exceed the own block: this node's `block_bytes` is too small for the log it follows.
    pub frames_too_large: u64,
    /// Frames in appends of a kind or version this software does not know: upgrade it.
    pub frames_unsupported: u64,
    /// Messages from nodes outside the cluster, or that make no sense in the state they met.
    pub dropped_messages: u64,
    /// Snapshots sent, from the first piece.
    pub installs_started: u64,
    /// Snapshots that replaced the own log.
    pub installs: u64,
    /// Snapshots that arrived and were not sound.
    pub snapshots_damaged: u64,
    /// Snapshots offered that exceed what this node takes.
    pub snapshots_too_large: u64,
    /// Claims settled by a leader's log.
    pub claims_repaired: u64,
    /// Claims settled because all voters said what they hold.
    pub claims_settled: u64,
    /// Claims given up by an operator's decision.
    pub claims_given_up: u64,
    /// Jumps of the wall clock against the monotonic clock beyond the bound.
    pub clock_jumps: u64,
}
