//! What may happen under one seed: the size of the cluster, its load, and which faults strike how often.
//!
//! Each seed switches every kind of fault on or off by itself. A world in which everything goes wrong at once explores
//! less than many worlds in which a few things go wrong often (swarm testing: Groce et al., ISSTA 2012).

use sequencer_storage::{Durability, SplitMix64};

use crate::network::Weather;

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// Shortest election time-out of the simulated clusters, in nanoseconds.
pub(crate) const ELECTION_TIMEOUT_NS: u64 = 100 * MS;
/// Heartbeat interval of the simulated clusters, in nanoseconds.
pub(crate) const HEARTBEAT_NS: u64 = 20 * MS;

/// Kinds of fault, each with a mean interval over the whole cluster when it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(crate) enum Fault {
    /// The process dies, the page cache stays.
    CrashProcess,
    /// The machine loses power: unsynced sectors and names are lost at random.
    LosePower,
    /// All machines lose power at once.
    LoseAllPower,
    /// The process dies in the middle of one of its next disk operations.
    StopInOperation,
    /// A clean stop and start.
    CleanRestart,
    /// The network falls into two parts.
    Partition,
    /// Messages from one node to another get lost, not those the other way.
    OneWayPartition,
    /// One node is cut off, mostly the leader.
    Isolate,
    /// Loss, delay, duplication and reordering change.
    Weather,
    /// Bits of messages on the way flip for a while.
    DamageMessages,
    /// A process stands still and then goes on.
    Pause,
    /// The wall clock of a node jumps.
    ClockJump,
    /// The syncs of a node take long for a while.
    SlowDisk,
    /// The leader is asked to hand over.
    Transfer,
    /// A disk has no room for another segment.
    FullDisk,
    /// A disk operation fails with an I/O error.
    DiskError,
    /// A disk is lost, and a new one is put in its place under the same id.
    LoseDisk,
    /// A bit of a file flips, in the cache and on the disk.
    FlipBit,
    /// A process dies and a bit of what it acknowledged last flips: damage that looks like a torn tail.
    DamageTail,
}

impl Fault {
    pub(crate) const ALL: [Fault; 19] = [
        Fault::CrashProcess,
        Fault::LosePower,
        Fault::LoseAllPower,
        Fault::StopInOperation,
        Fault::CleanRestart,
        Fault::Partition,
        Fault::OneWayPartition,
        Fault::Isolate,
        Fault::Weather,
        Fault::DamageMessages,
        Fault::Pause,
        Fault::ClockJump,
        Fault::SlowDisk,
        Fault::Transfer,
        Fault::FullDisk,
        Fault::DiskError,
        Fault::LoseDisk,
        Fault::FlipBit,
        Fault::DamageTail,
    ];

    /// How likely a seed has this fault at all, in percent.
    fn percent(self) -> u64 {
        match self {
            Fault::FlipBit | Fault::DamageTail | Fault::FullDisk | Fault::DiskError => 25,
            Fault::LoseAllPower | Fault::LoseDisk => 35,
            _ => 50,
        }
    }
}

/// A moment in a node's work at which a fault is most likely to hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It has just won an election.
    Elected,
    /// It cuts its log.
    Cut,
    /// It saves term and vote.
    HardStateSaved,
}

/// A fault that waits for a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ambush {
    pub(crate) moment: Moment,
    /// How often it strikes when the moment comes, in percent.
    pub(crate) percent: u64,
    /// It strikes up to this much later, in nanoseconds.
    pub(crate) delay_ns_max: u64,
}

/// See the module's description.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Voters in the cluster.
    pub voters: usize,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Virtual nanoseconds of trouble before everything heals.
    pub trouble_ns: u64,
    /// Who uses the cluster.
    pub(crate) people: People,
    /// Frames without rules that are proposed in bursts to whoever believes that it leads, as fast as it takes them.
    pub(crate) flood: Option<Flood>,
    /// Sessions kept at one time.
    pub(crate) sessions_max: usize,
    /// Bytes of log between two snapshots of the core.
    pub(crate) snapshot_every_bytes: u64,
    pub(crate) snapshot_chunk_bytes: usize,
    /// Mean interval of each fault in virtual nanoseconds; `None` for those that are off.
    pub(crate) intervals: [Option<u64>; Fault::ALL.len()],
    /// How long a leader keeps a commit to itself when it has nothing else to send.
    pub(crate) commit_delay_ns: u64,
    /// Most bytes on the way to one follower.
    pub(crate) inflight_bytes_max: u64,
    pub(crate) ambush: Option<Ambush>,
    /// Each leader is cut off soon after its election and the one before it comes back: leadership goes round while every log
    /// holds something that the others do not (figure 8 of the Raft paper). Little else happens.
    pub(crate) rotates: bool,
    /// All clocks run alike and all messages take the same time, so that nothing but chance breaks a tie.
    pub(crate) is_even: bool,
    even_delay_ns: u64,
    /// All processes are started at one moment when everything heals.
    pub(crate) restarts_all_at_end: bool,
    /// Nodes whose disk may be damaged: a minority.
    pub(crate) victims: Vec<usize>,
}

/// A stream of frames that need no session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    /// Mean virtual nanoseconds between bursts.
    pub(crate) interval_ns: u64,
    pub(crate) burst_max: u64,
    /// Smallest and largest payload. Frames of one size, that of a new-term frame, line up with whatever an earlier history left in
    /// their place.
    pub(crate) payload_bytes: (u64, u64),
}

/// Who uses the cluster under one seed.
#[derive(Debug, Clone)]
pub(crate) struct People {
    /// Clients that open sessions and send messages.
    pub(crate) clients: u64,
    /// Messages are sent in a steady stream of frames of one size, that of a new-term frame: they line up with whatever an earlier
    /// history left in their place.
    pub(crate) even_frames: bool,
    /// Gateways of one group; 0 for none.
    pub(crate) gateways: u64,
    /// Replicas of each service.
    pub(crate) services: Vec<u64>,
    /// The operator promotes, cancels and rolls back.
    pub(crate) promotes: bool,
    /// The operator adds, promotes and removes members, and replaces those that are lost.
    pub(crate) changes_members: bool,
    /// The operator pins and trims.
    pub(crate) trims: bool,
}

impl People {
    fn draw(rng: &mut SplitMix64, is_plain: bool) -> Self {
        let services = match rng.below(100) {
            0..35 => 0,
            35..80 => 1,
            _ => 2,
        };
        Self {
            clients: 1 + rng.below(3),
            even_frames: rng.below(100) < 30,
            gateways: if rng.below(100) < 35 { 2 + rng.below(2) } else { 0 },
            services: (0..services).map(|_| 1 + rng.below(3)).collect(),
            promotes: rng.below(100) < 70,
            changes_members: !is_plain && rng.below(100) < 50,
            trims: rng.below(100) < 60,
        }
    }

    /// Sessions that they have open at one time, the operator's included.
    fn sessions(&self) -> usize {
        (self.clients + self.gateways) as usize + 1
    }
}

impl Profile {
    /// The profile of a seed.
    pub fn draw(rng: &mut SplitMix64) -> Self {
        let voters = match rng.below(100) {
            0..5 => 1,
            5..12 => 2,
            12..67 => 3,
            67..75 => 4,
            _ => 5,
        };
        let durability = if rng.below(100) < 70 { Durability::Fsync } else { Durability::Memory };
        let mut intervals = [None; Fault::ALL.len()];
        for fault in Fault::ALL {
            let interval = (200 + rng.below(2500)) * MS;
            intervals[fault as usize] = (rng.below(100) < fault.percent()).then_some(interval);
        }
        if durability == Durability::Memory {
            // Losing the memory of a majority loses data by definition; that mode is not for such machines.
            intervals[Fault::LoseAllPower as usize] = None;
        }
        let rotates = rng.below(100) < 15;
        let moment =
            [Moment::Elected, Moment::Elected, Moment::Cut, Moment::HardStateSaved][rng.below(4) as usize];
        let percent = if rotates { 100 } else { 20 + rng.below(80) };
        let ambush = (rotates || rng.below(100) < 50).then(|| Ambush {
            moment: if rotates { Moment::Elected } else { moment },
            percent,
            delay_ns_max: 2 * MS + rng.below(20 * MS),
        });
        if rotates {
            for fault in Fault::ALL {
                let stays = matches!(fault, Fault::CrashProcess | Fault::LosePower | Fault::Weather);
                if !stays {
                    intervals[fault as usize] = None;
                }
            }
        }
        // Disks are slow and what was acknowledged last is damaged again and again: nodes doubt what they hold while others
        // still count on it. Little else happens.
        let doubts = !rotates && voters > 2 && durability == Durability::Fsync && rng.below(100) < 15;
        if doubts {
            intervals = [None; Fault::ALL.len()];
            for fault in [Fault::DamageTail, Fault::SlowDisk, Fault::Isolate, Fault::OneWayPartition] {
                intervals[fault as usize] = Some((100 + rng.below(500)) * MS);
            }
        }
        let people = People::draw(rng, rotates || doubts);
        let is_even = rng.below(100) < 12;
        let minority = (voters - 1) / 2;
        let mut victims: Vec<usize> = (0..voters).collect();
        for index in (1..victims.len()).rev() {
            victims.swap(index, rng.below(index as u64 + 1) as usize);
        }
        victims.truncate(minority);
        Self {
            voters,
            durability,
            trouble_ns: (2_000 + rng.below(5_000)) * MS,
            flood: (rotates || doubts || rng.below(100) < 20).then(|| Flood {
                interval_ns: (1 + rng.below(if rotates { 3 } else { 20 })) * MS,
                burst_max: 1 + rng.below(if rotates { 40 } else { 12 }),
                payload_bytes: if rng.below(100) < 30 { (24, 24) } else { (8, 16 + rng.below(180)) },
            }),
            sessions_max: people.sessions() + rng.below(3) as usize,
            people,
            snapshot_every_bytes: 1024 + rng.below(16 << 10),
            snapshot_chunk_bytes: 64 + rng.below(2000) as usize,
            intervals,
            inflight_bytes_max: (1 + rng.below(if rotates { 1 } else { 4 })) * 1024,
            ambush,
            rotates,
            is_even,
            even_delay_ns: MS / 2 + rng.below(8 * MS),
            restarts_all_at_end: is_even || rng.below(100) < 15,
            victims,
            commit_delay_ns: [0, 0, MS, 10 * MS][rng.below(4) as usize],
        }
    }

    /// The members stay who they are and the log keeps its start.
    pub(crate) fn make_plain(&mut self) {
        self.people.changes_members = false;
        self.people.trims = false;
        self.intervals[Fault::LoseDisk as usize] = None;
    }

    /// The network without faults.
    pub(crate) fn calm_weather(&self) -> Weather {
        if self.is_even { Weather::even(self.even_delay_ns) } else { Weather::calm() }
    }
}
