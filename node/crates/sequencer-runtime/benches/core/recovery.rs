//! Opening a log that was closed cleanly and is still in the page cache: the scan, and the whole opening.
//!
//! The scan ends where recovery first writes; what follows stores that the log is open, and syncs.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use sequencer_storage::{Durability, FileDisk, Log, SEGMENT_BYTES_DEFAULT};
use sequencer_wire::frame_bytes;

use crate::append::BenchLeader;
use crate::common::settings;
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample, Target};
use crate::timed_disk::TimedDisk;

const LOG_BYTES: u64 = 1 << 30;
const BATCH: u64 = 256;

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    let (scan_name, total_name) = ("recovery, scan", "recovery, whole opening");
    if !plan.wants(scan_name) && !plan.wants(total_name) {
        return;
    }
    let directory = plan.directory();
    let disk = || FileDisk::open(directory.path()).expect("the directory is free");
    let mut leader = BenchLeader::new(disk(), 1, Durability::Memory);
    for _ in 0..plan.units(LOG_BYTES / (BATCH * frame_bytes(PAYLOAD_BYTES) as u64)) {
        let now = leader.clock.now();
        leader.admit(BATCH, now);
        leader.end_turn(now);
    }
    leader.replica.close().expect("the disk works");

    let options = settings(1, 1, Durability::Memory, SEGMENT_BYTES_DEFAULT).storage;
    let mut scans = Vec::new();
    let mut totals = plan.samples(|| {
        let (disk, first_write): (_, Rc<Cell<Option<Instant>>>) = TimedDisk::new(disk());
        let started = Instant::now();
        let (log, recovered) = Log::open(disk, options.clone()).expect("the log opens");
        let elapsed = started.elapsed();
        let (count, bytes) = (recovered.report.scanned_frames, recovered.report.scanned_bytes);
        let scanned = first_write.get().expect("an opening is stored").duration_since(started);
        scans.push(Sample { count, bytes, elapsed: scanned, on_cpu: None });
        log.close().expect("the disk works");
        Sample { count, bytes, elapsed, on_cpu: None }
    });
    // The warm-up run does not count here either.
    scans.remove(0);
    let mut add = |name: &str, samples: &mut Vec<Sample>, target| {
        if plan.wants(name) {
            let samples = std::mem::take(samples);
            report.add(&Measure { name: name.to_owned(), unit: "frame", samples, target });
        }
    };
    add(scan_name, &mut scans, Some(Target::BytesPerSecond(2e9)));
    add(total_name, &mut totals, None);
}
