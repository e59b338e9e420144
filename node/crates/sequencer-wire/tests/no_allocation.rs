//! The hot path allocates nothing: an allocator that counts stands under this test binary.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sequencer_wire::{
    Body, Frames, NewTerm, NodeId, Position, Term, TermTable, decode_frame, decode_peer, encode_frame,
    encode_new_term, encode_peer, frame_bytes,
};
use support::body_examples;
use support::build::{self, CLUSTER, envelope, message_fields};

thread_local! {
    // Counted for each thread, because the harness allocates in others.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell without a
// destructor, so reaching it allocates nothing.
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

/// How many allocations `run` makes in this thread.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn frames_are_written_and_read_without_allocating() {
    let mut buffer = vec![0; 72 + 100 * frame_bytes(288)];
    let (payload, fields) = ([7; 288], message_fields());
    let mut table = TermTable::new();
    let count = allocations(|| {
        let start = NewTerm { term: Term(1), previous: Term::NONE, leader: NodeId(1) };
        let mut written = encode_new_term(&mut buffer, Position::START, start, 1).unwrap_or_default();
        while written < buffer.len() {
            let at = Position(written as u64);
            written += encode_frame(&mut buffer[written..], at, Term(1), &fields, &payload)
                .unwrap_or(usize::MAX >> 1);
        }
        assert_eq!(written, buffer.len());
        let mut found = 0;
        for frame in Frames::new(&buffer, Position::START, Term::NONE).flatten() {
            table.record(&frame);
            found += 1;
        }
        assert_eq!(found, 101);
    });
    assert_eq!(count, 0);
}

#[test]
fn refused_frames_allocate_nothing() {
    let bytes = build::frame(0, 1, &message_fields(), b"payload");
    let count = allocations(|| {
        assert!(decode_frame(&bytes, Position(8), Term(1)).is_err());
        assert!(decode_frame(&bytes[..20], Position(0), Term(1)).is_err());
        assert!(encode_frame(&mut [], Position(0), Term(1), &message_fields(), &[]).is_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn peer_messages_are_written_into_room_and_read_without_allocating() {
    let mut buffer = Vec::with_capacity(1 << 16);
    let (steps, frames) = ([(1, 1); 32], [3; 336]);
    let count = allocations(|| {
        for kind in 0..12 {
            encode_peer(&mut buffer, &envelope(1, 2, 3), &build::peer(kind, [1, 2, 3, 4], &steps, &frames));
        }
        let mut rest = &buffer[..];
        while let Ok((_, _, taken)) = decode_peer(rest, CLUSTER) {
            rest = &rest[taken..];
        }
        assert!(rest.is_empty());
    });
    assert_eq!(count, 0);
}

#[test]
fn bodies_are_written_and_read_without_allocating() {
    let (good, mut buffer) = (body_examples::good(), [0; 1024]);
    let count = allocations(|| {
        for (_, body) in &good {
            let bytes = &mut buffer[..body.payload_bytes()];
            body.encode(bytes);
            assert_eq!(Body::decode(body.kind(), bytes).as_ref(), Ok(body));
            let end = bytes.len().saturating_sub(1);
            std::hint::black_box(Body::decode(body.kind(), &bytes[..end]).is_err());
        }
    });
    assert_eq!(count, 0);
}
