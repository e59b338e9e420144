//! What the rules of admission add to the append path, and what a snapshot of many sessions costs.
//!
//! Batches of session messages and of frames without rules are admitted in turn, through the same leader, each with the turn that
//! follows it; the difference of their times is what admission adds: finding the session, its rules, its window, and the journal. The
//! requests are made before the clock starts. Sessions come in random order, so that each is as far from the cache as it
//! can be.

use std::time::{Duration, Instant};

use sequencer_core::{Message, Open, Outcome, Request};
use sequencer_storage::{Durability, FileDisk, SplitMix64};
use sequencer_wire::Position;

use crate::append::BenchLeader;
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample, Target};

const BATCH: usize = 256;
/// Messages of each session before a snapshot is taken, so that all windows are full.
const FULL_WINDOW: u64 = 16;

/// A leader with open sessions.
struct Admitting {
    leader: BenchLeader,
    /// Id and next sequence.
    sessions: Vec<(u32, u64)>,
    rng: SplitMix64,
    _directory: tempfile::TempDir,
}

impl Admitting {
    fn new(plan: &Plan, count: usize) -> Self {
        let directory = plan.directory();
        let disk = FileDisk::open(directory.path()).expect("the directory is free");
        let leader = BenchLeader::new(disk, 1, Durability::Memory);
        let mut admitting = Self {
            leader,
            sessions: Vec::with_capacity(count),
            rng: SplitMix64::new(7),
            _directory: directory,
        };
        for number in 0..count {
            let now = admitting.leader.clock.now();
            let name = format!("session-{number}");
            let open = Open { name: &name, class: 1, group: 0, timeout_ns: 3_600_000_000_000, resume: None };
            let answer = admitting.leader.replica.request(&Request::Open(open), now);
            let Ok(Outcome::Opened { session, .. }) = answer.result else { panic!("{:?}", answer.result) };
            admitting.sessions.push((session, 1));
            if number % BATCH == 0 {
                admitting.leader.end_turn(now);
            }
        }
        let now = admitting.leader.clock.now();
        admitting.leader.end_turn(now);
        admitting
    }

    /// Time to admit one batch from sessions at random, and to end the turn.
    fn batch(&mut self, payload: &[u8]) -> Duration {
        let sessions = self.sessions.len() as u64;
        let requests: Vec<Request<'_>> = (0..BATCH)
            .map(|_| {
                let (session, next) = &mut self.sessions[self.rng.below(sessions) as usize];
                let message = message(*session, *next, payload);
                *next += 1;
                Request::Message(message)
            })
            .collect();
        let now = self.leader.clock.now();
        let started = Instant::now();
        self.leader.replica.warm(&requests);
        for request in &requests {
            let answer = self.leader.replica.request(request, now);
            assert!(answer.result.is_ok(), "{:?}", answer.result);
        }
        self.leader.end_turn(now);
        started.elapsed()
    }

    /// The same with frames that have no rules.
    fn plain_batch(&mut self) -> Duration {
        let now = self.leader.clock.now();
        let started = Instant::now();
        let admitted = self.leader.admit(BATCH as u64, now);
        self.leader.end_turn(now);
        let elapsed = started.elapsed();
        assert!(admitted == BATCH as u64, "what came before is committed");
        elapsed
    }
}

fn message(session: u32, sequence: u64, payload: &[u8]) -> Message<'_> {
    let cause = Position::START;
    Message { session, epoch: 1, sequence, cause, schema_id: 0, schema_version: 0, payload }
}

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    for (sessions, limit_ns) in [(1_000, 60.0), (100_000, 100.0)] {
        let name = format!("admission adds, {sessions} sessions");
        if plan.wants(&name) {
            let samples = added(plan, sessions);
            let target = Some(Target::UnitsPerSecond(1e9 / limit_ns));
            report.add(&Measure { name, unit: "frame", samples, target });
        }
    }
    let name = "core snapshot of 100000 sessions";
    if plan.wants(name) {
        let samples = snapshot(plan, 100_000);
        // 50 ms each.
        let target = Some(Target::UnitsPerSecond(20.0));
        report.add(&Measure { name: name.to_owned(), unit: "snapshot", samples, target });
    }
}

fn added(plan: &Plan, sessions: usize) -> Vec<Sample> {
    let payload = [3; PAYLOAD_BYTES];
    let mut admitting = Admitting::new(plan, sessions);
    let batches = plan.units(2_000);
    plan.samples(|| {
        let (mut with_rules, mut without) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            without += admitting.plain_batch();
            with_rules += admitting.batch(&payload);
        }
        let elapsed = with_rules.saturating_sub(without);
        Sample { count: batches * BATCH as u64, bytes: 0, elapsed, on_cpu: None }
    })
}

fn snapshot(plan: &Plan, sessions: usize) -> Vec<Sample> {
    let mut admitting = Admitting::new(plan, sessions);
    for _ in 0..FULL_WINDOW {
        for index in 0..sessions {
            let (session, next) = &mut admitting.sessions[index];
            let now = admitting.leader.clock.now();
            let answer = admitting
                .leader
                .replica
                .request(&Request::Message(message(*session, *next, b"12345678")), now);
            assert!(answer.result.is_ok(), "{:?}", answer.result);
            *next += 1;
            if index % BATCH == 0 {
                admitting.leader.end_turn(now);
            }
        }
    }
    let now = admitting.leader.clock.now();
    admitting.leader.end_turn(now);
    plan.samples(|| {
        let started = Instant::now();
        let (_, bytes) = admitting.leader.replica.core().encode_snapshot();
        let elapsed = started.elapsed();
        assert!(bytes.len() < 20_000_000, "a snapshot of {sessions} sessions has {} bytes", bytes.len());
        Sample { count: 1, bytes: bytes.len() as u64, elapsed, on_cpu: None }
    })
}
