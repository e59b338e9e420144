//! `fsync` durability: a lone leader whose next batch gathers while the sync of the last one runs.
//!
//! Two loads. A window of two batches: one is being synced and one gathers, so each sync covers one batch. And as much as the
//! core admits: each sync covers all that came in during the one before.

use std::time::{Duration, Instant};

use sequencer_storage::{Durability, FileDisk};
use sequencer_wire::frame_bytes;

use crate::append::BenchLeader;
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample};

const BATCH: u64 = 256;
const FRAME_BYTES: u64 = frame_bytes(PAYLOAD_BYTES) as u64;
const RUN: Duration = Duration::from_secs(1);
const QUICK_RUN: Duration = Duration::from_millis(150);
/// All runs of a measure together stay below 4 GiB.
const RUN_BYTES_MAX: u64 = 600 << 20;
/// A sync that takes longer than this is polled for.
const WAKE_MAX: Duration = Duration::from_millis(100);

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    for (load, window) in [("a window of 2 batches", 2 * BATCH), ("all that is admitted", u64::MAX)] {
        let names = ["syncs", "frames"].map(|what| format!("fsync, batches of 256, {load}: {what}"));
        if !names.iter().any(|name| plan.wants(name)) {
            continue;
        }
        let mut syncs = Vec::new();
        let frames = plan.samples(|| {
            let (sync, frame) = run(plan, window);
            syncs.push(sync);
            frame
        });
        // The warm-up run does not count here either.
        syncs.remove(0);
        for (name, unit, samples) in [(&names[0], "sync", syncs), (&names[1], "frame", frames)] {
            if plan.wants(name) {
                report.add(&Measure { name: name.clone(), unit, samples, target: None });
            }
        }
    }
}

/// Syncs and committed frames of one run, which starts and ends with nothing under way.
fn run(plan: &Plan, window: u64) -> (Sample, Sample) {
    let directory = plan.directory();
    let owner = std::thread::current();
    let disk = FileDisk::open_with_wake(directory.path(), move || owner.unpark());
    let mut leader = BenchLeader::new(disk.expect("the directory is free"), 1, Durability::Fsync);
    let limit = if plan.quick { QUICK_RUN } else { RUN };
    let first = leader.replica.core().readable_end();
    let mut committed = first;
    let mut syncs = 0;
    let started = Instant::now();
    loop {
        let now = leader.clock.now();
        let is_over = started.elapsed() >= limit || committed.0 - first.0 >= RUN_BYTES_MAX;
        let waiting = (leader.replica.status().end.position.0 - committed.0) / FRAME_BYTES;
        let wanted = if is_over { 0 } else { window.saturating_sub(waiting).min(BATCH) };
        let admitted = leader.admit(wanted, now);
        leader.end_turn(now);
        let end = leader.replica.core().readable_end();
        syncs += u64::from(end > committed);
        let has_moved = end > committed;
        committed = end;
        if is_over && committed == leader.replica.status().end.position {
            break;
        }
        if admitted == 0 && !has_moved {
            std::thread::park_timeout(WAKE_MAX);
        }
    }
    let (bytes, elapsed) = (committed.0 - first.0, started.elapsed());
    (
        Sample { count: syncs, bytes, elapsed, on_cpu: None },
        Sample { count: bytes / FRAME_BYTES, bytes, elapsed, on_cpu: None },
    )
}
