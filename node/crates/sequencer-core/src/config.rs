//! The core's settings, with their bounds.

use sequencer_wire::{ClusterId, FRAME_BYTES_MAX, NodeId};
use thiserror::Error;

/// Most voters in a cluster. More would slow each commit and help nobody; fixed arrays on the hot path hold this many.
pub const VOTERS_MAX: usize = 9;

/// Longest election time-out: longer ones are a mistake in the unit.
const ELECTION_TIMEOUT_NS_MAX: u64 = 3_600_000_000_000;
/// Largest log buffer; it is taken from memory at start.
const BUFFER_BYTES_MAX: u64 = 16 << 30;

/// Settings of one member. All members of a cluster use the same time-outs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The own id; one of `voters`.
    pub id: NodeId,
    /// All voters, in any order, each once; at most [`VOTERS_MAX`]. Learners and changes of membership come as frames.
    pub voters: Vec<NodeId>,
    /// Nanoseconds without a leader before a follower campaigns; each wait is drawn anew from one to two times this.
    pub election_timeout_ns: u64,
    /// Nanoseconds between heartbeats of a leader; at most a third of the election time-out.
    pub heartbeat_ns: u64,
    /// Bytes of one block of the log buffer, and so of the largest frame and append message. The same on all members: a member
    /// with smaller blocks could never take a larger frame from its leader.
    pub block_bytes: usize,
    /// Blocks in the log buffer. A follower further behind than this is served from segments.
    pub blocks: usize,
    /// Bytes sent to a follower and not yet acknowledged above which it is sent nothing more, give or take one block.
    pub inflight_bytes_max: u64,
    /// Bytes admitted and not yet committed above which the leader refuses more.
    pub uncommitted_bytes_max: u64,
    /// Seed for election time-outs; different on each node and each start.
    pub seed: u64,
}

/// A setting outside its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path} is {found}, but {expected}")]
pub struct ConfigError {
    /// The field.
    pub path: &'static str,
    /// Its value.
    pub found: u64,
    /// What it must be.
    pub expected: &'static str,
}

impl Config {
    /// Settings for a cluster on a local network: 300 ms election time-out, 50 ms heartbeats, 32 MiB log buffer.
    pub fn new(cluster: ClusterId, id: NodeId, voters: Vec<NodeId>, seed: u64) -> Self {
        Self {
            cluster,
            id,
            voters,
            election_timeout_ns: 300_000_000,
            heartbeat_ns: 50_000_000,
            block_bytes: FRAME_BYTES_MAX,
            blocks: 32,
            inflight_bytes_max: 8 << 20,
            uncommitted_bytes_max: 8 << 20,
            seed,
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is out of bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |holds: bool, path, found, expected| {
            if holds { Ok(()) } else { Err(ConfigError { path, found, expected }) }
        };
        let voters = self.voters.len();
        check((1..=VOTERS_MAX).contains(&voters), "voters", voters as u64, "a cluster has 1 to 9 voters")?;
        let mut sorted = self.voters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        check(sorted.len() == voters, "voters", voters as u64, "each voter is named once")?;
        check(sorted.contains(&self.id), "id", u64::from(self.id.0), "it must be one of the voters")?;
        check(self.heartbeat_ns > 0, "heartbeat_ns", self.heartbeat_ns, "it must be above 0")?;
        check(
            self.heartbeat_ns <= self.election_timeout_ns / 3,
            "heartbeat_ns",
            self.heartbeat_ns,
            "it must be at most a third of election_timeout_ns, or one lost heartbeat starts an election",
        )?;
        check(
            self.election_timeout_ns <= ELECTION_TIMEOUT_NS_MAX,
            "election_timeout_ns",
            self.election_timeout_ns,
            "it must be at most an hour",
        )?;
        let block = self.block_bytes as u64;
        check(
            (256..=FRAME_BYTES_MAX as u64).contains(&block) && block.is_multiple_of(8),
            "block_bytes",
            block,
            "it must be a multiple of 8 from 256 to the largest frame",
        )?;
        check(
            block.saturating_mul(self.blocks as u64) <= BUFFER_BYTES_MAX,
            "blocks",
            self.blocks as u64,
            "blocks * block_bytes must be at most 16 GiB",
        )?;
        check(
            self.buffer_bytes_sure() >= self.uncommitted_bytes_max.saturating_add(2 * block),
            "blocks",
            self.blocks as u64,
            "half of the blocks must hold uncommitted_bytes_max and two blocks more",
        )?;
        check(
            self.uncommitted_bytes_max >= block,
            "uncommitted_bytes_max",
            self.uncommitted_bytes_max,
            "it must hold at least one block",
        )?;
        check(
            self.inflight_bytes_max >= block,
            "inflight_bytes_max",
            self.inflight_bytes_max,
            "it must hold at least one block",
        )
    }

    /// Bytes that fit into the log buffer however the frames fall: two blocks together always hold more than one block's
    /// worth, because the first frame of the second did not fit into the first.
    pub(crate) fn buffer_bytes_sure(&self) -> u64 {
        (self.blocks as u64 / 2).saturating_mul(self.block_bytes as u64)
    }

    /// Nodes that make a majority of the voters.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}
