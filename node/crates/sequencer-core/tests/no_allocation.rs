//! The hot path allocates nothing: an allocator that counts stands under this test binary.
//!
//! In: a leader and two followers as bare cores, in the steady state. Checked: allocations of one round of propose, flush,
//! append, sync and acknowledgement on both sides. Effects are carried out by hand, because the kit allocates.

mod kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kit::desk::{open, output};
use kit::{CLUSTER, Image, Node, at, at_ns, config, message};
use sequencer_core::{Config, Core, Effect, Effects, Event, Now, Outcome, Outgoing, Request, Restored};
use sequencer_wire::{Envelope, NodeId, PeerMessage, Position, Service, Term};

thread_local! {
    // Counted for each thread, because the harness allocates in others.
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

fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

fn settings(id: u32) -> Config {
    Config { block_bytes: 4096, blocks: 16, inflight_bytes_max: 16 << 10, ..config(id, 3) }
}

fn hear(core: &mut Core, from: u32, message: PeerMessage<'_>, now: Now, effects: &mut Effects) {
    let envelope = Envelope { cluster: CLUSTER, from: NodeId(from), to: core.config().id, term: Term(1) };
    core.step(Event::Receive { envelope, message }, now, effects);
}

/// A leader, two followers, and the effects of whoever is at work.
struct Trio {
    leader: Core,
    followers: [Core; 2],
    effects: Effects,
    answers: Effects,
    /// Messages of session 1 and outputs of service 7 so far; 0 until both are there.
    sequence: u64,
}

impl Trio {
    /// A session and a service, whose frames the rounds from here on hold.
    fn begin(&mut self, now: Now) {
        let opened = self.leader.request(&Request::Open(open("session")), now);
        assert!(opened.result.is_ok(), "{opened:?}");
        let service = Service { version: 1, hold_bytes_max: 1 << 40, tick_ns: 0, agree: 1, name: "service" };
        let registered = self.leader.request(&Request::RegisterService { id: 7, service }, now);
        assert!(registered.result.is_ok(), "{registered:?}");
        self.round(now, 0);
        self.sequence = 1;
    }

    /// One frame of each hot kind.
    fn admit(&mut self, now: Now) {
        let Self { leader, sequence, .. } = self;
        leader.propose(&message(&[7; 288]), now).expect("there is room");
        if *sequence > 0 {
            let cause = Position(leader.status().commit.0 - 8);
            let hot = [
                Request::Message(kit::desk::message(1, 1, *sequence)),
                Request::Output(output(7, 1, *sequence, cause)),
            ];
            leader.warm(&hot);
            for request in &hot {
                let answer = leader.request(request, now);
                assert!(matches!(answer.result, Ok(Outcome::Admitted { .. })), "{answer:?}");
            }
            *sequence += 1;
        }
    }

    /// One turn of the leader's loop, in which the followers answer at once.
    fn round(&mut self, now: Now, messages: usize) {
        for _ in 0..messages {
            self.admit(now);
        }
        let Self { leader, followers, effects, answers, .. } = self;
        effects.clear();
        answers.clear();
        if now.monotonic_ns >= leader.next_deadline_ns() {
            leader.step(Event::Tick, now, effects);
        }
        leader.step(Event::Flush, now, effects);
        let mut stored = None;
        for effect in effects.as_slice() {
            match *effect {
                Effect::Write { to, .. } => stored = Some(to),
                Effect::Send {
                    to,
                    message: Outgoing::Append { previous, commit, round, from, to: end, .. },
                    ..
                } => {
                    let follower = &mut followers[to.0 as usize - 2];
                    let frames = leader.log_bytes(from, end).next().unwrap_or(&[]);
                    let append = PeerMessage::Append { previous, commit, round, frames };
                    hear(follower, 1, append, now, answers);
                    let position = follower.status().end.position;
                    follower.step(Event::Durable { position }, now, answers);
                    follower.step(Event::Flush, now, answers);
                }
                _ => {}
            }
        }
        effects.clear();
        for effect in answers.as_slice() {
            if let Effect::Send {
                message: Outgoing::AppendAccepted { matched, durable, round, .. }, ..
            } = *effect
            {
                for from in [2, 3] {
                    hear(
                        leader,
                        from,
                        PeerMessage::AppendAccepted { matched, durable, round, low_space: false },
                        now,
                        effects,
                    );
                }
            }
        }
        if let Some(position) = stored {
            leader.step(Event::Durable { position }, now, effects);
        }
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_round_of_the_steady_state_allocates_nothing_on_either_side() {
    let start = at(0);
    let mut node = Node::leader(settings(1), &Image::default(), start);
    let first = node.stored.len() as u64;
    node.sync(at(600));
    let follower =
        |id| Core::new(settings(id), Restored::default(), start).expect("the settings are within bounds");
    let mut trio = Trio {
        leader: node.core,
        followers: [follower(2), follower(3)],
        effects: Effects::new(),
        answers: Effects::new(),
        sequence: 0,
    };
    // The first append was lost; a heartbeat repeats it.
    trio.round(at_ns(trio.leader.next_deadline_ns()), 0);
    assert_eq!(trio.leader.status().commit, Position(first));
    trio.begin(at(650));
    // One pass through the log buffer, so that its blocks are all in use.
    let mut now_ms = 700;
    for _ in 0..100 {
        now_ms += 1;
        trio.round(at(now_ms), 4);
    }
    let before = trio.leader.status().commit;
    let count = allocations(|| {
        for round in 0..1000 {
            now_ms += 1;
            trio.round(at(now_ms), 1 + round % 8);
        }
    });
    let status = trio.leader.status();
    assert_eq!(status.commit, status.end.position, "all is committed");
    assert!(status.commit.0 - before.0 > 1_000_000, "a round moves the log");
    assert!(trio.followers.iter().all(|follower| follower.status().end == status.end));
    assert_eq!(count, 0);
}
