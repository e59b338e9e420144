//! A client in the steady state allocates nothing: an allocator that counts stands under this test binary.
//!
//! In: a client with a session and a subscription over loopback, a real node on threads of its own. Checked: allocations of the client's thread over
//! many turns, each of which publishes, is acknowledged, and reads frames.

mod kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use kit::Cluster;
use sequencer_client::{Client, Event, Record, SessionSettings, SubscribeAt};
use sequencer_wire::Position;

thread_local! {
    // Counted for each thread, because the node allocates in others.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell without a destructor, so
// reaching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Publishes in bursts until so many more records are acknowledged; returns how many frames' bytes were read.
fn run(client: &mut Client, records: u64) -> u64 {
    let (mut acknowledged, mut read) = (0, 0);
    let mut published = 0;
    let record = Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: &[5; 288] };
    while acknowledged < records {
        while published < records && client.publish(&record).is_ok() {
            published += 1;
        }
        client
            .poll(Some(Duration::from_millis(100)), &mut |event| match event {
                Event::Admitted { positions, .. } => acknowledged += positions.len() as u64,
                Event::Frames { frames, .. } => read += frames.len() as u64,
                _ => {}
            })
            .expect("the poll works");
    }
    read
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn publishing_and_reading_allocate_nothing() {
    let cluster = Cluster::start(1);
    let mut client = Client::new(cluster.settings()).expect("good settings");
    client.open_session(SessionSettings::new("steady")).expect("good settings");
    client.subscribe(Some(Position(0)), SubscribeAt::Any, true);
    run(&mut client, 20_000);
    let before = ALLOCATIONS.get();
    let read = run(&mut client, 50_000);
    let count = ALLOCATIONS.get() - before;
    assert!(read > 1_000_000, "frames were read: {read} bytes");
    assert_eq!(count, 0);
}
