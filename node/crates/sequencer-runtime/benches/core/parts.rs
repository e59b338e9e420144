//! Parts of the append path by themselves, so that one sees where its time goes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use sequencer_storage::{Disk, Durability, FileDisk, SEGMENT_BYTES_DEFAULT};
use sequencer_wire::{FrameFields, FrameKind, Position, Term, encode_frame, frame_bytes};

use crate::append::BenchLeader;
use crate::measure::{Measure, PAYLOAD_BYTES, Plan, Report, Sample, Watch};

const BATCH: usize = 256;
const BATCH_BYTES: usize = BATCH * frame_bytes(PAYLOAD_BYTES);
/// Whole batches in one segment.
const BATCHES: u64 = SEGMENT_BYTES_DEFAULT / BATCH_BYTES as u64;
const WATERMARK_BYTES: usize = 1024;

pub(crate) fn measure(plan: &Plan, report: &mut Report) {
    let mut add = |name: &str, unit, samples: &dyn Fn() -> Vec<Sample>| {
        if plan.wants(name) {
            report.add(&Measure { name: name.to_owned(), unit, samples: samples(), target: None });
        }
    };
    add("part: encode a frame", "frame", &|| encode(plan));
    add("part: admit a frame, batches of 256", "frame", &|| admit(plan));
    add("part: write 256 frames, new pages", "frame", &|| write(plan, true));
    add("part: write 256 frames, pages in cache", "frame", &|| write(plan, false));
    add("part: write a watermark", "write", &|| watermark(plan));
    add("part: create a segment of 64 MiB", "segment", &|| create(plan));
}

fn encode_batch(into: &mut [u8], payload: &[u8]) {
    let mut fields = FrameFields {
        kind: FrameKind::ClusterVersion,
        flags: 0,
        source_id: 7,
        source_sequence: 0,
        timestamp_ns: 1,
        cause: Position::START,
        schema_id: 1,
        schema_version: 1,
        epoch: 0,
    };
    for frame in into.chunks_exact_mut(frame_bytes(PAYLOAD_BYTES)) {
        fields.source_sequence += 1;
        encode_frame(frame, Position(fields.source_sequence * 8), Term(1), &fields, payload)
            .expect("there is room");
    }
}

fn encode(plan: &Plan) -> Vec<Sample> {
    let mut buffer = vec![0; BATCH_BYTES];
    let batches = plan.units(4000);
    plan.samples(|| {
        let watch = Watch::start();
        for number in 0..batches {
            encode_batch(&mut buffer, &[number as u8; PAYLOAD_BYTES]);
            std::hint::black_box(&mut buffer);
        }
        watch.stop(batches * BATCH as u64, batches * BATCH_BYTES as u64)
    })
}

/// Without the turn that follows each batch: the core's checks, the encoding, and the log buffer that is not in the cache.
fn admit(plan: &Plan) -> Vec<Sample> {
    let directory = plan.directory();
    let disk = FileDisk::open(directory.path()).expect("the directory is free");
    let mut leader = BenchLeader::new(disk, 1, Durability::Memory);
    let batches = plan.units(1000);
    plan.samples(|| {
        let mut elapsed = Duration::ZERO;
        for _ in 0..batches {
            let now = leader.clock.now();
            let started = Instant::now();
            leader.admit(BATCH as u64, now);
            elapsed += started.elapsed();
            leader.end_turn(now);
        }
        Sample { count: batches * BATCH as u64, bytes: batches * BATCH_BYTES as u64, elapsed, on_cpu: None }
    })
}

/// A file as a segment is: its space reserved, nothing written.
fn reserved_file(disk: &mut FileDisk, directory: &tempfile::TempDir, name: &str) -> File {
    disk.create(name, SEGMENT_BYTES_DEFAULT).expect("there is room for a segment");
    let path = directory.path().join(name);
    OpenOptions::new().read(true).write(true).open(path).expect("the file was just created")
}

/// Writes one segment in batches, with plain system calls.
fn write(plan: &Plan, is_new: bool) -> Vec<Sample> {
    let directory = plan.directory();
    let mut disk = FileDisk::open(directory.path()).expect("the directory is free");
    let mut buffer = vec![0; BATCH_BYTES];
    encode_batch(&mut buffer, &[5; PAYLOAD_BYTES]);
    let mut file = reserved_file(&mut disk, &directory, "file");
    plan.samples(|| {
        if is_new {
            disk.remove("file").expect("the file is there");
            file = reserved_file(&mut disk, &directory, "file");
        }
        let watch = Watch::start();
        for number in 0..BATCHES {
            file.write_all_at(&buffer, number * BATCH_BYTES as u64).expect("the disk works");
        }
        watch.stop(BATCHES * BATCH as u64, BATCHES * BATCH_BYTES as u64)
    })
}

fn watermark(plan: &Plan) -> Vec<Sample> {
    let directory = plan.directory();
    let mut disk = FileDisk::open(directory.path()).expect("the directory is free");
    let file = reserved_file(&mut disk, &directory, "file");
    let count = plan.units(200_000);
    plan.samples(|| {
        let watch = Watch::start();
        for number in 0..count {
            let offset = 512 + (number & 1) * WATERMARK_BYTES as u64;
            file.write_all_at(&[number as u8; WATERMARK_BYTES], offset).expect("the disk works");
        }
        watch.stop(count, count * WATERMARK_BYTES as u64)
    })
}

/// What an append waits for when no segment was prepared.
fn create(plan: &Plan) -> Vec<Sample> {
    let directory = plan.directory();
    let mut disk = FileDisk::open(directory.path()).expect("the directory is free");
    plan.samples(|| {
        let watch = Watch::start();
        disk.create("file", SEGMENT_BYTES_DEFAULT).expect("there is room for a segment");
        let sample = watch.stop(1, 0);
        disk.remove("file").expect("the file is there");
        sample
    })
}
