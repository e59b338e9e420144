//! In the steady state a replica allocates nothing: not for a message, not for a turn, not for a sync.
//!
//! Real: core, log and files, and the thread that syncs. Not real: the peers, which answer at once, and the clock.
//! Counted: every allocation of the thread that drives the replica and of its sync thread, within one segment and after a
//! warm-up, heartbeats and the reuse of the log buffer's blocks included. A new segment may allocate, and is not part of it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::followers::Followers;
use common::leader::{Deaf, Leader};
use common::{open, proposal, settings};
use sequencer_core::{Config, Now, Refusal, Status};
use sequencer_runtime::{Host, Replica, Settings};
use sequencer_storage::{Durability, FileDisk};
use sequencer_wire::{Position, frame_bytes};

const BATCH: u64 = 64;
const PAYLOAD: [u8; 288] = [5; 288];
const WARM_UP_TURNS: u64 = 300;
const TURNS: u64 = 400;
/// After so many turns the own disk may catch up.
const TURNS_BETWEEN_WAITS: u64 = 40;
const SEGMENT_BYTES: u64 = 32 << 20;
/// How long the disk may take to make room for more.
const STALL_MAX: Duration = Duration::from_secs(30);

const _: () =
    assert!((WARM_UP_TURNS + TURNS) * BATCH * (frame_bytes(PAYLOAD.len()) as u64) < SEGMENT_BYTES / 2);

thread_local! {
    /// Where this thread's allocations are counted, if anywhere.
    static COUNTER: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    COUNTER.with(|counter| {
        if let Some(counter) = counter.get() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
}

// SAFETY: every call goes on to the system's allocator unchanged. Counting allocates nothing: the counter is a constant
// thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, bytes) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters of one test's threads.
struct Counts {
    own: AtomicU64,
    sync_thread: AtomicU64,
    /// Syncs that have finished, to know that the thread was watched at work.
    syncs: AtomicU64,
}

impl Counts {
    const fn new() -> Self {
        Self { own: AtomicU64::new(0), sync_thread: AtomicU64::new(0), syncs: AtomicU64::new(0) }
    }

    fn read(&self) -> (u64, u64) {
        (self.own.load(Ordering::Relaxed), self.sync_thread.load(Ordering::Relaxed))
    }
}

/// A clock moved by hand: one millisecond a turn, so that heartbeats fall due.
struct Clock(Now);

impl Clock {
    fn new() -> Self {
        Self(Now { monotonic_ns: 1_000_000_000, wall_ns: 1_700_000_000_000_000_000 })
    }

    fn pass(&mut self, milliseconds: u64) -> Now {
        self.0.monotonic_ns += milliseconds * 1_000_000;
        self.0.wall_ns += milliseconds * 1_000_000;
        self.0
    }
}

/// A small log buffer, whose blocks are used several times over during the measurement.
fn small_buffer(mut settings: Settings) -> Settings {
    settings.core = Config {
        block_bytes: 64 << 10,
        blocks: 64,
        inflight_bytes_max: 1 << 20,
        uncommitted_bytes_max: 1 << 20,
        ..settings.core
    };
    settings
}

fn replica(
    directory: &tempfile::TempDir,
    settings: &Settings,
    now: Now,
    counts: &'static Counts,
) -> Replica<FileDisk> {
    let wake = || {
        COUNTER.set(Some(&counts.sync_thread));
        counts.syncs.fetch_add(1, Ordering::Relaxed);
    };
    let disk = FileDisk::open_with_wake(directory.path(), wake).unwrap();
    open(disk, settings, now).0
}

/// Runs `turn` for a warm-up and then counted, and expects no allocation in either thread.
fn expect_none(counts: &'static Counts, durability: Durability, mut turn: impl FnMut()) {
    (0..WARM_UP_TURNS).for_each(|_| turn());
    let syncs_before = counts.syncs.load(Ordering::Relaxed);
    COUNTER.set(Some(&counts.own));
    let before = counts.read();
    (0..TURNS).for_each(|_| turn());
    let after = counts.read();
    COUNTER.set(None);
    let syncs = counts.syncs.load(Ordering::Relaxed) - syncs_before;
    // A leader of three commits by its followers' disks, and one sync of its own may take many turns.
    let syncs_min = TURNS / TURNS_BETWEEN_WAITS;
    assert!(durability == Durability::Memory || syncs >= syncs_min, "only {syncs} syncs were watched");
    let (own, sync_thread) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(
        (own, sync_thread),
        (0, 0),
        "{TURNS} turns with {BATCH} messages each: {own} allocations by the replica, {sync_thread} by its sync thread"
    );
}

/// Every so many turns, goes on turning until all that was written is durable.
fn wait_at_times(replica: &mut Replica<FileDisk>, turns: u64, now: Now, host: &mut impl Host) {
    let started = Instant::now();
    let is_behind = |status: Status| status.durable.position < status.end.position;
    while turns.is_multiple_of(TURNS_BETWEEN_WAITS) && is_behind(replica.status()) {
        assert!(started.elapsed() < STALL_MAX, "the disk has stood still for {STALL_MAX:?}");
        std::thread::yield_now();
        replica.turn(now, host).unwrap();
    }
}

fn leader_allocates_nothing(voters: u32, durability: Durability, counts: &'static Counts) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut clock = Clock::new();
    let settings = small_buffer(settings(1, voters, durability, SEGMENT_BYTES));
    let mut replica = replica(&directory, &settings, clock.0, counts);
    let mut followers = Followers::new(1, voters);
    followers.elect(&mut replica, clock.pass(1000));
    let mut number = 0;
    expect_none(counts, durability, || {
        let now = clock.pass(1);
        let started = Instant::now();
        let goal = number + BATCH;
        while number < goal {
            match replica.propose(&proposal(number, &PAYLOAD), now) {
                Ok(_) => number += 1,
                Err(Refusal::Backpressure { .. }) => {
                    assert!(started.elapsed() < STALL_MAX, "the disk has stood still for {STALL_MAX:?}");
                    std::thread::yield_now();
                    replica.turn(now, &mut followers).unwrap();
                }
                Err(other) => panic!("{other}"),
            }
        }
        replica.turn(now, &mut followers).unwrap();
        followers.deliver(&mut replica, now);
        wait_at_times(&mut replica, number / BATCH, now, &mut followers);
    });
    assert_eq!(number, (WARM_UP_TURNS + TURNS) * BATCH);
    let sent_bytes = number * frame_bytes(PAYLOAD.len()) as u64 * u64::from(voters - 1);
    assert!(followers.sent_bytes >= sent_bytes / 2, "the followers were sent what was admitted");
    let status = replica.status();
    assert!(status.commit.0 + (1 << 20) >= status.end.position.0 && status.counters.campaigns == 1);
}

fn follower_allocates_nothing(durability: Durability, counts: &'static Counts) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut clock = Clock::new();
    let settings = small_buffer(settings(2, 3, durability, SEGMENT_BYTES));
    let mut replica = replica(&directory, &settings, clock.0, counts);
    let mut leader = Leader::new(1, 2, 64 << 10);
    let mut nobody = Deaf::default();
    let now = clock.pass(1);
    replica.receive(leader.new_term(now), now, &mut nobody).unwrap().unwrap();
    let mut turns = 0;
    expect_none(counts, durability, || {
        let now = clock.pass(1);
        let message = leader.messages(BATCH as usize, &PAYLOAD, now);
        replica.receive(message, now, &mut nobody).unwrap().unwrap();
        replica.turn(now, &mut nobody).unwrap();
        turns += 1;
        wait_at_times(&mut replica, turns, now, &mut nobody);
    });
    let status = replica.status();
    assert_eq!(status.end.position, leader.end());
    assert!(status.commit > Position::START && status.counters.pre_votes == 0);
    assert!(nobody.sent_bytes > 0, "the follower acknowledged what became durable");
}

#[test]
fn what_is_allocated_is_counted() {
    static COUNTS: Counts = Counts::new();
    COUNTER.set(Some(&COUNTS.own));
    let mut list = Vec::with_capacity(1);
    list.extend([1, 2, 3]);
    COUNTER.set(None);
    assert_eq!(list, [1, 2, 3]);
    assert_eq!(COUNTS.read(), (2, 0));
}

#[test]
fn a_leader_of_one_allocates_nothing_with_memory_durability() {
    static COUNTS: Counts = Counts::new();
    leader_allocates_nothing(1, Durability::Memory, &COUNTS);
}

#[test]
fn a_leader_of_one_allocates_nothing_with_fsync_durability() {
    static COUNTS: Counts = Counts::new();
    leader_allocates_nothing(1, Durability::Fsync, &COUNTS);
}

#[test]
fn a_leader_of_three_allocates_nothing_with_memory_durability() {
    static COUNTS: Counts = Counts::new();
    leader_allocates_nothing(3, Durability::Memory, &COUNTS);
}

#[test]
fn a_leader_of_three_allocates_nothing_with_fsync_durability() {
    static COUNTS: Counts = Counts::new();
    leader_allocates_nothing(3, Durability::Fsync, &COUNTS);
}

#[test]
fn a_follower_allocates_nothing_with_memory_durability() {
    static COUNTS: Counts = Counts::new();
    follower_allocates_nothing(Durability::Memory, &COUNTS);
}

#[test]
fn a_follower_allocates_nothing_with_fsync_durability() {
    static COUNTS: Counts = Counts::new();
    follower_allocates_nothing(Durability::Fsync, &COUNTS);
}
