//! Replicas over real files in one thread, with a network in memory and a clock moved by hand.
//!
//! 1. A round delivers what was sent in the round before, then gives each replica a turn.
//! 2. Time passes only when nothing is on its way: no message, and no sync of any disk. So time-outs do not depend on how
//!    fast the disk is, and every wait is for a condition.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use sequencer_core::{Config, Now, Role};
use sequencer_runtime::{Host, Replica};
use sequencer_storage::{Durability, FileDisk, RecoveryReport};
use sequencer_wire::{Frame, FrameKind, Frames, NodeId, Position, Term};
use tempfile::TempDir;

use super::{open, proposal, settings};

/// Rounds within which every condition must come true; about a hundred elections.
const ROUNDS_MAX: usize = 50_000;
/// Messages handed in between two turns.
const BATCH: usize = 50;
/// How long one sync may take.
const SYNC_MAX: Duration = Duration::from_secs(30);
const SEGMENT_BYTES: u64 = 64 << 10;

struct Message {
    from: NodeId,
    to: NodeId,
    bytes: Vec<u8>,
}

/// One member's end of the network.
struct Link<'a> {
    from: NodeId,
    wire: &'a mut VecDeque<Message>,
}

impl Host for Link<'_> {
    fn send(&mut self, to: NodeId, header: &[u8], frames: &[u8]) {
        self.wire.push_back(Message { from: self.from, to, bytes: [header, frames].concat() });
    }
}

struct Member {
    id: NodeId,
    directory: TempDir,
    /// `None` while its process is stopped.
    replica: Option<Replica<FileDisk>>,
    /// Gets a token after each sync.
    synced: Receiver<()>,
    /// Nothing reaches it or leaves it.
    is_cut_off: bool,
}

/// Members are named by index.
pub(crate) struct Cluster {
    durability: Durability,
    members: Vec<Member>,
    wire: VecDeque<Message>,
    now: Now,
}

impl Cluster {
    /// `count` members that have just been formatted and started.
    pub(crate) fn new(count: usize, durability: Durability) -> Self {
        let member = |index: usize| Member {
            id: NodeId(index as u32 + 1),
            directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            replica: None,
            synced: sync_channel(1).1,
            is_cut_off: false,
        };
        let now = Now { monotonic_ns: 5_000_000_000, wall_ns: 1_700_000_000_000_000_000 };
        let members = (0..count).map(member).collect();
        let mut cluster = Self { durability, members, wire: VecDeque::new(), now };
        for index in 0..count {
            cluster.start(index);
        }
        cluster
    }

    /// Starts a stopped member, connected.
    pub(crate) fn start(&mut self, index: usize) -> RecoveryReport {
        let voters = self.members.len() as u32;
        let member = &mut self.members[index];
        assert!(member.replica.is_none(), "it runs already");
        let mut settings = settings(member.id.0, voters, self.durability, SEGMENT_BYTES);
        // So small that a member that was away for a while is served from segments.
        settings.core = Config {
            block_bytes: 8 << 10,
            blocks: 24,
            inflight_bytes_max: 32 << 10,
            uncommitted_bytes_max: 64 << 10,
            ..settings.core
        };
        let (give, synced) = sync_channel(1);
        let wake = move || {
            // A token that is still there says the same.
            let _is_there = give.try_send(());
        };
        let disk = FileDisk::open_with_wake(member.directory.path(), wake).unwrap();
        let (replica, report) = open(disk, &settings, self.now);
        member.replica = Some(replica);
        member.synced = synced;
        member.is_cut_off = false;
        report
    }

    /// Ends a member's process without any goodbye.
    pub(crate) fn kill(&mut self, index: usize) {
        let was_running = self.members[index].replica.take();
        assert!(was_running.is_some(), "it is stopped already");
    }

    /// Stops a member cleanly.
    pub(crate) fn close(&mut self, index: usize) {
        self.members[index].replica.take().expect("it runs").close().unwrap();
    }

    /// Lets nothing reach or leave a member until it is started again.
    pub(crate) fn cut_off(&mut self, index: usize) {
        self.members[index].is_cut_off = true;
    }

    pub(crate) fn replica(&self, index: usize) -> &Replica<FileDisk> {
        self.members[index].replica.as_ref().expect("it runs")
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.members.len()).filter(|index| self.members[*index].replica.is_some())
    }

    /// The connected leader of the highest term, if any.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.running()
            .filter(|index| self.replica(*index).status().role == Role::Leader)
            .filter(|index| !self.members[*index].is_cut_off)
            .max_by_key(|index| self.replica(*index).status().term)
    }

    /// Asks the leader to hand over to `target`.
    pub(crate) fn transfer(&mut self, target: usize) {
        let (target, leader) = (self.members[target].id, self.leader().expect("there is a leader"));
        let (replica, mut link, now) = self.parts(leader);
        replica.transfer_leadership(target, now, &mut link).unwrap().unwrap();
    }

    /// Hands one message in at member `index`, and gives it a turn.
    pub(crate) fn propose_at(&mut self, index: usize, number: u64) -> Position {
        let (replica, mut link, now) = self.parts(index);
        let admitted = replica.propose(&proposal(number, &payload(number)), now).unwrap();
        replica.turn(now, &mut link).unwrap();
        admitted.end
    }

    /// Hands in the messages `numbers`, in order, as fast as the cluster takes them; returns the end of the last.
    ///
    /// The leader must not change meanwhile: what was admitted and lost is not repeated.
    pub(crate) fn propose(&mut self, numbers: std::ops::Range<u64>) -> Position {
        self.run_until("a leader admits", |cluster| {
            cluster.leader().is_some_and(|leader| {
                let status = cluster.replica(leader).status();
                cluster
                    .replica(leader)
                    .core()
                    .terms()
                    .starts_at(status.term)
                    .is_some_and(|at| status.commit > at)
            })
        });
        let (mut next, mut end) = (numbers.start, Position::START);
        for _ in 0..ROUNDS_MAX {
            let leader = self.leader().expect("the leader stays");
            let (replica, _, now) = self.parts(leader);
            for number in (next..numbers.end).take(BATCH) {
                // It may be refused until more is committed.
                let Ok(admitted) = replica.propose(&proposal(number, &payload(number)), now) else { break };
                (next, end) = (number + 1, admitted.end);
            }
            if next == numbers.end {
                return end;
            }
            self.round();
        }
        panic!("after {ROUNDS_MAX} rounds only the messages before {next} were admitted");
    }

    /// Runs until every running member may show everything before `end`.
    pub(crate) fn run_until_all_have(&mut self, end: Position) {
        self.run_until(&format!("all have {end}"), |cluster| {
            cluster.running().all(|index| cluster.replica(index).core().readable_end() >= end)
        });
    }

    /// Runs round after round until `condition` holds.
    pub(crate) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..ROUNDS_MAX {
            if condition(self) {
                return;
            }
            self.round();
        }
        panic!("after {ROUNDS_MAX} rounds still not: {what}");
    }

    /// One round; see the module's description.
    pub(crate) fn round(&mut self) {
        for _ in 0..self.wire.len() {
            let Some(Message { from, to, bytes }) = self.wire.pop_front() else { break };
            let is_cut = |id: NodeId| self.members[id.0 as usize - 1].is_cut_off;
            let to = to.0 as usize - 1;
            if is_cut(from) || self.members[to].is_cut_off || self.members[to].replica.is_none() {
                continue;
            }
            let (replica, mut link, now) = self.parts(to);
            replica.receive(&bytes, now, &mut link).unwrap().unwrap();
        }
        let running: Vec<usize> = self.running().collect();
        for index in &running {
            let (replica, mut link, now) = self.parts(*index);
            replica.turn(now, &mut link).unwrap();
        }
        if !self.wire.is_empty() {
            return;
        }
        let waits = |index: &&usize| {
            let status = self.replica(**index).status();
            status.durable.position < status.end.position
        };
        match running.iter().find(waits) {
            Some(index) => self.members[*index].synced.recv_timeout(SYNC_MAX).expect("a sync ends"),
            None => {
                self.now.monotonic_ns += 1_000_000;
                self.now.wall_ns += 1_000_000;
            }
        }
    }

    /// The committed log of a member: the numbers of its messages, after all frames were verified, and its bytes.
    pub(crate) fn read(&mut self, index: usize) -> (Vec<u64>, Vec<u8>) {
        let end = self.replica(index).core().readable_end();
        let replica = self.members[index].replica.as_mut().expect("it runs");
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < end.0 {
            let added = replica.read_committed(Position(bytes.len() as u64), 10_000, &mut bytes).unwrap();
            assert!(added > 0, "there is more to read");
        }
        assert_eq!(bytes.len() as u64, end.0, "a read went past the committed end");
        let frames =
            Frames::new(&bytes, Position::START, Term::NONE).map(|frame| frame.expect("it verifies"));
        let frames: Vec<Frame<'_>> = frames.collect();
        assert!(frames.is_sorted_by_key(|frame| frame.fields.timestamp_ns), "a timestamp goes back");
        let messages = frames.iter().filter(|frame| frame.fields.kind == FrameKind::ClusterVersion);
        let checked = messages.map(|frame| {
            let number = frame.fields.source_sequence;
            assert_eq!(frame.payload, payload(number), "message {number} is not what was handed in");
            number
        });
        (checked.collect(), bytes)
    }

    fn parts(&mut self, index: usize) -> (&mut Replica<FileDisk>, Link<'_>, Now) {
        let Member { id, replica, .. } = &mut self.members[index];
        let link = Link { from: *id, wire: &mut self.wire };
        (replica.as_mut().expect("it runs"), link, self.now)
    }
}

/// The payload of a message: of any length up to 500 bytes, and told by its number.
fn payload(number: u64) -> Vec<u8> {
    let bytes = (number * 37 % 501) as usize;
    (0..bytes).map(|index| (number as usize * 131 + index) as u8).collect()
}
