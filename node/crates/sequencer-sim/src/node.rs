//! One simulated machine: disk, clocks, and the process on it when it runs.

use sequencer_core::{Answer, Config, Now};
use sequencer_runtime::{Replica, Settings};
use sequencer_storage::{Log, Options, SimDisk, SplitMix64};
use sequencer_wire::{ClusterId, LogEnd, NodeId, Position};

use crate::outside::Traced;
use crate::profile::{ELECTION_TIMEOUT_NS, HEARTBEAT_NS, MS, Profile};

pub(crate) const CLUSTER: ClusterId = ClusterId(*b"simulatedcluster");
pub(crate) const SEGMENT_BYTES: u64 = 16 << 10;
/// A segment and a snapshot still fit below it, so a full disk is sometimes met by the reserve and sometimes for good.
const RESERVE_BYTES: u64 = 24 << 10;

/// Why a node does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// It starts again at some time.
    Restarting,
    /// It must not start again under this id: it lost its memory, or its hard state is damaged.
    ForGood,
}

/// Most nodes that a seed ever has, those that replace others included.
pub(crate) const NODES_MAX: usize = 12;

/// An answer that may not be told yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) actor: usize,
    pub(crate) tag: u64,
    pub(crate) answer: Answer,
}

/// UUID of the data of a founder's first disk.
pub(crate) fn founder_data(id: NodeId) -> [u8; 16] {
    [id.0 as u8; 16]
}

pub(crate) struct SimNode {
    pub(crate) id: NodeId,
    pub(crate) disk: SimDisk,
    pub(crate) replica: Option<Replica<SimDisk>>,
    pub(crate) down: Option<Down>,
    pub(crate) settings: Settings,
    /// Rises with each start and stop; what was scheduled for an earlier life is void.
    pub(crate) life: u64,
    /// Until when the process stands still.
    pub(crate) paused_until_ns: u64,
    /// Messages that arrived meanwhile.
    pub(crate) held: Vec<(usize, [u8; 16], Vec<u8>)>,
    /// Its clocks run this much fast or slow, in parts per million.
    pub(crate) drift_ppm: i64,
    pub(crate) monotonic_base_ns: u64,
    pub(crate) wall_base_ns: i64,
    /// Extra time of each sync while the disk is slow.
    pub(crate) slow_sync_ns: u64,
    pub(crate) slow_until_ns: u64,
    pub(crate) sync_scheduled: bool,
    /// When a wake-up is scheduled.
    pub(crate) wake_at_ns: u64,
    /// End of what the checker has compared in this life.
    pub(crate) checked: Position,
    pub(crate) commit_seen: Position,
    /// Log end when the leader told its successor to campaign.
    pub(crate) handing_over_at: Option<Position>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) traced: Traced,
    /// A bit of one of its files was flipped.
    pub(crate) was_damaged: bool,
    /// It lost its disk and was started again under its old id, which must not work.
    pub(crate) is_impostor: bool,
    pub(crate) data: [u8; 16],
    /// Log end whose digest was compared last.
    pub(crate) digested: LogEnd,
}

impl SimNode {
    /// A machine with a formatted disk whose process has not been started yet.
    pub(crate) fn new(
        id: NodeId,
        data: [u8; 16],
        founders: &[NodeId],
        profile: &Profile,
        rng: &mut SplitMix64,
    ) -> Self {
        let core = Config {
            election_timeout_ns: ELECTION_TIMEOUT_NS,
            heartbeat_ns: HEARTBEAT_NS,
            commit_delay_ns: profile.commit_delay_ns,
            block_bytes: 1024,
            blocks: 16,
            inflight_bytes_max: profile.inflight_bytes_max,
            uncommitted_bytes_max: 4 * 1024,
            identities: founders.iter().map(|id| (*id, founder_data(*id))).collect(),
            sessions_max: profile.sessions_max,
            catch_up_bytes_max: 4 * 1024,
            snapshot_chunk_bytes: profile.snapshot_chunk_bytes,
            ..Config::new(CLUSTER, id, founders.to_vec(), 0)
        };
        let storage = Options {
            cluster: CLUSTER,
            node: id,
            segment_bytes: SEGMENT_BYTES,
            durability: profile.durability,
            boot_id: [0; 16],
            reserve_bytes: RESERVE_BYTES,
        };
        let mut disk = SimDisk::new(rng.next_u64());
        Log::format(&mut disk, &storage, data).expect("an empty disk without faults can be formatted");
        Self {
            id,
            disk,
            replica: None,
            down: Some(Down::Restarting),
            settings: Settings { core, storage, snapshot_every_bytes: profile.snapshot_every_bytes },
            life: 0,
            paused_until_ns: 0,
            held: Vec::new(),
            drift_ppm: if profile.is_even { 0 } else { rng.below(4000) as i64 - 2000 },
            monotonic_base_ns: rng.below(1 << 40),
            wall_base_ns: 1_700_000_000_000_000_000 + rng.below(2_000 * MS) as i64,
            slow_sync_ns: 0,
            slow_until_ns: 0,
            sync_scheduled: false,
            wake_at_ns: u64::MAX,
            checked: Position(0),
            commit_seen: Position(0),
            handing_over_at: None,
            waiting: Vec::new(),
            traced: Traced::default(),
            was_damaged: false,
            is_impostor: false,
            data,
            digested: LogEnd::default(),
        }
    }

    /// It counts for nothing any more, or must be spared, because what it acknowledged may be lost.
    pub(crate) fn is_weak(&self) -> bool {
        self.is_gone() || self.was_damaged || self.settings.storage.boot_id != [0; 16]
    }

    /// It will never take part again.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_impostor || self.down == Some(Down::ForGood)
    }

    /// First and last position of what it serves to readers now.
    pub(crate) fn readable(&self, now_ns: u64) -> Option<(Position, Position)> {
        let replica =
            self.replica.as_ref().filter(|_| self.paused_until_ns <= now_ns && !self.is_impostor)?;
        let start = replica.status().log_start;
        Some((start, replica.core().readable_end().max(start)))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// The node's clocks at a virtual time.
    pub(crate) fn now(&self, global_ns: u64) -> Now {
        let elapsed = global_ns as i64 + global_ns as i64 / 1_000 * self.drift_ppm / 1_000;
        Now {
            monotonic_ns: self.monotonic_base_ns + elapsed as u64,
            wall_ns: (self.wall_base_ns + elapsed).max(0) as u64,
        }
    }

    /// The virtual time by which the node's monotonic clock shows `monotonic_ns`, or a little later.
    pub(crate) fn global_ns(&self, monotonic_ns: u64) -> u64 {
        let elapsed = monotonic_ns.saturating_sub(self.monotonic_base_ns) as i64;
        let slack = elapsed / 1_000_000 + 2_000;
        (elapsed - elapsed / 1_000 * self.drift_ppm / 1_000 + slack).max(0) as u64
    }
}
