//! The hot path allocates nothing: a counting allocator around a log on a real directory, in the steady state of appends and
//! syncs within one segment. Counts this thread only; the sync thread is the disk's.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::*;
use sequencer_storage::{Durability, FileDisk, Log, Options};
use sequencer_wire::{Position, Term};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches a plain cell of this thread only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _counted = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is the system allocator's too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn appends_and_syncs_in_the_steady_state_allocate_nothing() {
    for durability in [Durability::Fsync, Durability::Memory] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 4 << 20, ..options(durability) };
        Log::format(&mut FileDisk::open(directory.path()).unwrap(), &options, UUID).unwrap();
        let (mut log, _) = Log::open(FileDisk::open(directory.path()).unwrap(), options).unwrap();
        log.append(&[&new_term(Position::START, Term::NONE, Term(1))]).unwrap();
        let mut at = log.end();
        let batches: Vec<(Vec<u8>, Vec<u8>)> = (0..200)
            .map(|number| {
                let first = messages(at, Term(1), 8, 288, number);
                let second = messages(at.advanced(first.len() as u64), Term(1), 8, 288, number);
                at = at.advanced((first.len() + second.len()) as u64);
                (first, second)
            })
            .collect();
        let mut counted = 0;
        for (number, (first, second)) in batches.iter().enumerate() {
            let before = ALLOCATIONS.get();
            log.append(&[first, second]).unwrap();
            log.start_sync().unwrap();
            log.poll_sync().unwrap();
            if number % 10 == 0 {
                log.wait_durable().unwrap();
            }
            // The first rounds fill what is kept for its memory.
            if number >= 20 {
                counted += ALLOCATIONS.get() - before;
            }
        }
        assert_eq!(counted, 0, "{durability:?}");
    }
}
