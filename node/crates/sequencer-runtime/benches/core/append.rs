//! The append path: a leader admits messages, encodes, sends, writes and commits them, all in one thread.
//!
//! Memory durability. Everything that such a leader does is in the time, new segments and reading the clock included; the
//! sync of full segments runs on its own thread, as always.
//!
//! Each run has a log of its own, which is removed before the next run. So all runs use the same memory as page cache. With
//! fresh memory for each run, a virtual machine would show how fast its host hands out pages, several times slower.

use sequencer_core::{Now, Refusal};
use sequencer_runtime::Replica;
use sequencer_storage::{Durability, FileDisk, SEGMENT_BYTES_DEFAULT};
use sequencer_wire::frame_bytes;

use crate::clock::Clock;
use crate::common::followers::Followers;
use crate::common::{open, proposal, settings};
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample, Target, Watch};

/// Bytes that one run appends: three segments.
pub(crate) const RUN_BYTES: u64 = 192 << 20;
const TURNS_MAX: u64 = 200_000;
/// No pause of the machine may end a leadership during a measurement.
const ELECTION_TIMEOUT_NS: u64 = 60_000_000_000;
/// Payloads taken in turn: they fit into the second-level cache, as what has just come from a socket does.
const PAYLOADS: usize = 64;

/// A leader over real files and the followers that it believes in.
pub(crate) struct BenchLeader {
    pub(crate) replica: Replica<FileDisk>,
    pub(crate) followers: Followers,
    pub(crate) clock: Clock,
    payloads: Vec<[u8; PAYLOAD_BYTES]>,
    pub(crate) number: u64,
}

impl BenchLeader {
    /// The leader of a new cluster of `voters`, in an empty directory, in the second segment of its log.
    pub(crate) fn new(disk: FileDisk, voters: u32, durability: Durability) -> Self {
        let mut clock = Clock::new();
        let mut settings = settings(1, voters, durability, SEGMENT_BYTES_DEFAULT);
        settings.core.election_timeout_ns = ELECTION_TIMEOUT_NS;
        let (mut replica, _) = open(disk, &settings, clock.now());
        let mut followers = Followers::new(1, voters);
        clock.skip(2 * ELECTION_TIMEOUT_NS);
        followers.elect(&mut replica, clock.now());
        let payloads = (0..PAYLOADS).map(|index| [index as u8; PAYLOAD_BYTES]).collect();
        let mut leader = Self { replica, followers, clock, payloads, number: 0 };
        leader.fill_first_segment();
        leader
    }

    /// Hands in `batch` messages, or fewer when too many wait to be committed.
    #[inline]
    pub(crate) fn admit(&mut self, batch: u64, now: Now) -> u64 {
        let before = self.number;
        for _ in 0..batch {
            let payload = &self.payloads[self.number as usize % PAYLOADS];
            match self.replica.propose(&proposal(self.number, payload), now) {
                Ok(_) => self.number += 1,
                Err(Refusal::Backpressure { .. }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        self.number - before
    }

    /// Opening a log reads its last segment, so the first one is in the page cache and not like those that follow it.
    fn fill_first_segment(&mut self) {
        while self.replica.core().readable_end().0 < SEGMENT_BYTES_DEFAULT {
            let now = self.clock.now();
            self.admit(256, now);
            self.end_turn(now);
        }
    }

    /// Ends a turn; the followers' answers arrive at its end.
    pub(crate) fn end_turn(&mut self, now: Now) {
        self.replica.turn(now, &mut self.followers).expect("the disk works");
        self.followers.deliver(&mut self.replica, now);
    }
}

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    for voters in [1, 3] {
        for batch in [1, 16, 64, 256] {
            let name = format!("append, leader of {voters}, batches of {batch}");
            if !plan.wants(&name) {
                continue;
            }
            let batch_bytes = batch * frame_bytes(PAYLOAD_BYTES) as u64;
            let turns = plan.units((RUN_BYTES / batch_bytes).min(TURNS_MAX));
            let samples = plan.samples(|| run(plan, voters, batch, turns));
            let target = (batch == 256).then_some(Target::UnitsPerSecond(5e6));
            report.add(&Measure { name, unit: "frame", samples, target });
        }
    }
}

fn run(plan: &Plan, voters: u32, batch: u64, turns: u64) -> Sample {
    let directory = plan.directory();
    let disk = FileDisk::open(directory.path()).expect("the directory is free");
    let mut leader = BenchLeader::new(disk, voters, Durability::Memory);
    let before = leader.replica.core().readable_end();
    let watch = Watch::start();
    for _ in 0..turns {
        let now = leader.clock.now();
        let admitted = leader.admit(batch, now);
        assert!(admitted == batch, "what came before is committed");
        leader.end_turn(now);
    }
    let bytes = turns * batch * frame_bytes(PAYLOAD_BYTES) as u64;
    let sample = watch.stop(turns * batch, bytes);
    let committed = leader.replica.core().readable_end();
    // The leader's own frames, such as the list of members, come on top.
    assert!(committed >= before.advanced(bytes), "everything that was counted is committed");
    sample
}
