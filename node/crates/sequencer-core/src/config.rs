//! The core's settings, with their bounds.

pub use sequencer_wire::VOTERS_MAX;
use sequencer_wire::{
    ClusterId, FRAME_BYTES_MAX, HEADER_BYTES, Member, MemberRole, Members, Membership, NodeId,
};
use thiserror::Error;

/// Longest election time-out: longer ones are a mistake in the unit.
const ELECTION_TIMEOUT_NS_MAX: u64 = 3_600_000_000_000;
/// Most sessions that can be configured.
const SESSIONS_MAX: usize = 16_000_000;
/// Largest log buffer; it is taken from memory at start.
const BUFFER_BYTES_MAX: u64 = 16 << 30;

/// Settings of one member. All members of a cluster use the same time-outs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The own id.
    pub id: NodeId,
    /// UUID of the own data; zeros if it is not known.
    pub data: [u8; 16],
    /// The voters that the cluster was founded with, in any order, each once; at most [`VOTERS_MAX`]. The same on all founders. They count until a
    /// membership frame is in the log; a node that joins later need not know them.
    pub voters: Vec<NodeId>,
    /// UUIDs of their data, as far as they are known. While one is not, a founder that lost its disk is not recognised.
    pub identities: Vec<(NodeId, [u8; 16])>,
    /// Nanoseconds without a leader before a follower campaigns; each wait is drawn anew from one to two times this.
    pub election_timeout_ns: u64,
    /// Nanoseconds between heartbeats of a leader; at most a third of the election time-out.
    pub heartbeat_ns: u64,
    /// Nanoseconds that a leader waits for something to send before it tells followers of a commit with a message of its own; at most a heartbeat.
    pub commit_delay_ns: u64,
    /// Bytes of one block of the log buffer, and so of the largest frame and append message. The same on all members: a member
    /// with smaller blocks could never take a larger frame from its leader.
    pub block_bytes: usize,
    /// Blocks in the log buffer. A follower further behind than this is served from segments.
    pub blocks: usize,
    /// Bytes sent to a follower and not yet acknowledged above which it is sent nothing more, give or take one block.
    pub inflight_bytes_max: u64,
    /// Bytes admitted and not yet committed above which the leader refuses more.
    pub uncommitted_bytes_max: u64,
    /// Sessions kept at one time, idle ones included.
    pub sessions_max: usize,
    /// Shortest time-out of a session, in nanoseconds.
    pub session_timeout_ns_min: u64,
    /// Longest time-out of a session, in nanoseconds.
    pub session_timeout_ns_max: u64,
    /// Bytes that a learner may lag behind to become a voter.
    pub catch_up_bytes_max: u64,
    /// Bytes of a snapshot in one message.
    pub snapshot_chunk_bytes: usize,
    /// Largest snapshot that is taken from a leader; it is held in memory until it is whole.
    pub snapshot_bytes_max: u64,
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
            commit_delay_ns: 0,
            block_bytes: FRAME_BYTES_MAX,
            blocks: 32,
            inflight_bytes_max: 8 << 20,
            uncommitted_bytes_max: 8 << 20,
            data: [0; 16],
            identities: Vec::new(),
            sessions_max: 100_000,
            session_timeout_ns_min: 100_000_000,
            session_timeout_ns_max: 3_600_000_000_000,
            catch_up_bytes_max: 1 << 20,
            snapshot_chunk_bytes: 256 << 10,
            snapshot_bytes_max: 256 << 20,
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
        check(voters <= VOTERS_MAX, "voters", voters as u64, "a cluster has at most 9 voters")?;
        let mut sorted = self.voters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        check(sorted.len() == voters, "voters", voters as u64, "each voter is named once")?;
        let is_zero = |id: &NodeId| id.0 == 0 || id.0 == u32::MAX;
        check(!is_zero(&self.id), "id", u64::from(self.id.0), "ids go from 1 to 4294967294")?;
        check(!sorted.iter().any(is_zero), "voters", voters as u64, "ids go from 1 to 4294967294")?;
        check(
            self.session_timeout_ns_min > 0 && self.session_timeout_ns_min <= self.session_timeout_ns_max,
            "session_timeout_ns_min",
            self.session_timeout_ns_min,
            "it must be above 0 and at most session_timeout_ns_max",
        )?;
        check(
            (1..=SESSIONS_MAX).contains(&self.sessions_max),
            "sessions_max",
            self.sessions_max as u64,
            "it must be 1 to 16 million",
        )?;
        check(
            (1..=sequencer_wire::SNAPSHOT_CHUNK_BYTES_MAX).contains(&self.snapshot_chunk_bytes),
            "snapshot_chunk_bytes",
            self.snapshot_chunk_bytes as u64,
            "it must be 1 byte to 1 MiB",
        )?;
        check(self.heartbeat_ns > 0, "heartbeat_ns", self.heartbeat_ns, "it must be above 0")?;
        check(
            self.heartbeat_ns <= self.election_timeout_ns / 3,
            "heartbeat_ns",
            self.heartbeat_ns,
            "it must be at most a third of election_timeout_ns, or one lost heartbeat starts an election",
        )?;
        check(
            self.commit_delay_ns <= self.heartbeat_ns,
            "commit_delay_ns",
            self.commit_delay_ns,
            "it must be at most heartbeat_ns",
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

    /// Frames that may be uncommitted at one time, a few more or less.
    pub(crate) fn journal_entries(&self) -> usize {
        self.uncommitted_bytes_max as usize / HEADER_BYTES + 64
    }

    /// The list of members that counts until one is in the log.
    pub(crate) fn founders(&self) -> Membership {
        let mut ids = self.voters.clone();
        ids.sort_unstable();
        let mut members = Members::new();
        for id in &ids {
            let known = self.identities.iter().find(|(known, _)| known == id);
            let data = known.map_or([0; 16], |(_, data)| *data);
            members.push(Member { id: *id, role: MemberRole::Voter, data });
        }
        Membership { next_id: NodeId(ids.last().map_or(1, |last| last.0 + 1)), members }
    }
}
