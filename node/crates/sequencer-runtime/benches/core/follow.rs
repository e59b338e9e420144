//! The path of a follower: an append of about 64 KiB arrives, is verified, copied, written and acknowledged.

use std::time::{Duration, Instant};

use sequencer_storage::{Durability, FileDisk, SEGMENT_BYTES_DEFAULT};
use sequencer_wire::frame_bytes;

use crate::append::RUN_BYTES;
use crate::clock::Clock;
use crate::common::leader::{Deaf, Leader};
use crate::common::{open, settings};
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample};

const FRAME_BYTES: usize = frame_bytes(PAYLOAD_BYTES);
const FRAMES: usize = (64 << 10) / FRAME_BYTES;

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    let name = format!("follow, appends of {FRAMES} frames");
    if !plan.wants(&name) {
        return;
    }
    let appends = plan.units(RUN_BYTES / (FRAMES * FRAME_BYTES) as u64);
    let samples = plan.samples(|| run(plan, appends));
    report.add(&Measure { name, unit: "frame", samples, target: None });
}

fn run(plan: &Plan, appends: u64) -> Sample {
    let directory = plan.directory();
    let disk = FileDisk::open(directory.path()).expect("the directory is free");
    let clock = Clock::new();
    let settings = settings(2, 3, Durability::Memory, SEGMENT_BYTES_DEFAULT);
    let (mut replica, _) = open(disk, &settings, clock.now());
    let mut leader = Leader::new(1, 2, FRAMES * FRAME_BYTES);
    let mut host = Deaf::default();
    let now = clock.now();
    let received = replica.receive(leader.new_term(now), now, &mut host).expect("the disk works");
    received.expect("the append is well formed");
    let mut elapsed = Duration::ZERO;
    let mut timed = 0;
    while timed < appends {
        let now = clock.now();
        // Making the message is the leader's work; afterwards it is in the cache, as if just read from a socket.
        let message = leader.messages(FRAMES, &[6; PAYLOAD_BYTES], now);
        let started = Instant::now();
        let received = replica.receive(message, now, &mut host).expect("the disk works");
        received.expect("the append is well formed");
        replica.turn(now, &mut host).expect("the disk works");
        // As in `append`, the first segment does not count.
        if leader.end().0 > SEGMENT_BYTES_DEFAULT {
            elapsed += started.elapsed();
            timed += 1;
        }
    }
    assert!(replica.status().durable.position == leader.end(), "everything that was counted was taken in");
    let count = appends * FRAMES as u64;
    Sample { count, bytes: count * FRAME_BYTES as u64, elapsed, on_cpu: None }
}
