//! Replicas of services: each reads the committed log, applies it to its own machine, and sends what the log does not hold yet.
//!
//! They lag, die and start again from snapshots; some have a replica that goes wrong, which reports itself and stops.

mod machine;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use sequencer_core::{OutputEnd, Progress, Refusal};
use sequencer_storage::SplitMix64;
use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{
    Diverged, Divergence, Frame, FrameKind, Frames, Position, SnapshotMarker, SnapshotStep, Term,
};

use super::{Actor, Asked, Control, Reply, View};
use crate::checker::{Committed, Rules, Verdict, hash};
use crate::profile::MS;
pub(crate) use machine::is_poison;
use machine::{Emitted, Machine};

/// Outputs on their way at one time.
const WINDOW: usize = 16;
/// Frames of the log read at one time, at most.
const READ_BYTES: u64 = 8 << 10;

/// A snapshot of one replica: its machine, and what it has emitted and not read in the log.
#[derive(Debug, Clone)]
struct Saved {
    machine: Machine,
    outbox: VecDeque<Emitted>,
}

/// The object store of one service: snapshots by version and position.
#[derive(Debug, Default)]
pub(crate) struct Store {
    snapshots: BTreeMap<u64, BTreeMap<Position, Saved>>,
}

/// See the module's description.
pub(crate) struct Replica {
    service: u32,
    version: u64,
    /// Versions whose snapshots the log must be kept for.
    versions: u64,
    replica: u32,
    store: Rc<RefCell<Store>>,
    machine: Machine,
    /// What the log does not hold yet, and how much of it is on its way.
    outbox: VecDeque<Emitted>,
    sent: usize,
    /// When something last moved.
    moved_ns: u64,
    retry_ns: u64,
    pace_bytes: u64,
    skips: BTreeSet<Position>,
    searched: Position,
    dead_until_ns: u64,
    /// It goes wrong once it has emitted so many outputs.
    wrong_after: Option<u64>,
    emitted: u64,
    has_diverged: bool,
    is_stuck: bool,
    applied_reported: Position,
}

impl Replica {
    pub(crate) fn new(
        (service, version, replica): (u32, u64, u32),
        versions: u64,
        goes_wrong: bool,
        store: Rc<RefCell<Store>>,
        rng: &mut SplitMix64,
    ) -> Self {
        Self {
            service,
            version,
            versions,
            replica,
            store,
            machine: Machine::new(service),
            outbox: VecDeque::new(),
            sent: 0,
            moved_ns: 0,
            retry_ns: (50 + rng.below(150)) * MS,
            pace_bytes: 256 + rng.below(READ_BYTES),
            skips: BTreeSet::new(),
            searched: Position(0),
            dead_until_ns: 0,
            wrong_after: goes_wrong.then(|| rng.below(60)),
            emitted: 0,
            has_diverged: false,
            is_stuck: false,
            applied_reported: Position(0),
        }
    }

    /// Reads and applies the next part of the log, from any node that has it.
    fn follow(&mut self, view: &mut View<'_>) {
        let node = view.rng.below(view.readable.len() as u64) as usize;
        let Some((start, end)) = view.readable[node] else { return };
        if !self.machine.is_registered() {
            // Nothing before the registration is for it, and the log holds that as long as the service has no snapshot.
            let Some(model) = view.rules.service(self.service) else { return };
            self.machine.applied = self.machine.applied.max(model.registered_at);
        }
        let from = self.machine.applied;
        if from < start {
            // This node has trimmed what it needs; another may have it, or a snapshot.
            if view.readable.iter().flatten().all(|(start, _)| from < *start) {
                view.stats.hit("services that fell behind the log");
                self.restore(view);
            }
            return;
        }
        self.look_ahead(end, view);
        let to =
            if view.is_healed { end } else { Position(end.0.min(from.0 + view.rng.below(self.pace_bytes))) };
        if to <= from {
            return;
        }
        let bytes = view.log.bytes_between(from, to);
        let mut emitted = Vec::new();
        self.is_stuck = false;
        for frame in Frames::new(bytes, from, view.log.terms().term_before(from)).map_while(Result::ok) {
            self.confirm(&frame, view.now_ns);
            if !self.machine.apply(&frame, &self.skips, &mut emitted) {
                view.stats.hit("services stuck on poison");
                self.is_stuck = true;
                break;
            }
            for output in emitted.drain(..) {
                self.take(output);
            }
        }
        if self.has_diverged {
            self.report(view);
        }
    }

    /// Learns of skips that stand further on.
    fn look_ahead(&mut self, end: Position, view: &View<'_>) {
        let from = self.searched.max(self.machine.applied);
        if from >= end {
            return;
        }
        let bytes = view.log.bytes_between(from, end);
        for frame in Frames::new(bytes, from, view.log.terms().term_before(from)).flatten() {
            if frame.fields.kind == FrameKind::Skip && frame.fields.source_id == self.service {
                self.skips.insert(frame.fields.cause);
            }
        }
        self.searched = end;
    }

    /// What its machine emits goes out if its version answers for that epoch.
    fn take(&mut self, mut output: Emitted) {
        if self.machine.version_of(output.epoch) != Some(self.version) {
            return;
        }
        self.emitted += 1;
        if self.wrong_after.is_some_and(|after| self.emitted > after) {
            output.payload.push(0xbd);
        }
        self.outbox.push_back(output);
    }

    /// An output that it reads in the log need not be sent any more; one that differs is a divergence.
    fn confirm(&mut self, frame: &Frame<'_>, now_ns: u64) {
        let fields = frame.fields;
        let is_output = matches!(fields.kind, FrameKind::Output | FrameKind::OutputEnd);
        if !is_output || fields.source_id != self.service {
            return;
        }
        let Some(first) = self.outbox.front() else { return };
        if (first.epoch, first.k) == (fields.epoch, fields.source_sequence) {
            self.has_diverged |= first.payload != frame.payload;
            self.outbox.pop_front();
            self.sent = self.sent.saturating_sub(1);
            self.moved_ns = now_ns;
        }
    }

    fn report(&mut self, view: &mut View<'_>) {
        view.stats.hit("divergences reported");
        let (epoch, k) = self.machine.current().unwrap_or_default();
        let report = Divergence { replica: self.replica, what: Diverged::Output, expected: 1, actual: 2 };
        let (service, cause) = (self.service, self.machine.applied);
        if let Some(leader) = view.leader {
            view.send(leader, 0, Asked::Divergence { service, epoch, k, cause, report });
        }
    }

    fn send(&mut self, view: &mut View<'_>) {
        if view.now_ns > self.moved_ns + self.retry_ns {
            // A leader may have been lost with what it had admitted.
            self.sent = 0;
            self.moved_ns = view.now_ns;
        }
        let Some(leader) = view.leader else { return };
        self.overstep(leader, view);
        while self.sent < self.outbox.len().min(WINDOW) {
            let Emitted { epoch, k, cause, schema_id, ref payload, is_end } = self.outbox[self.sent];
            let (service, replica, schema_version) = (self.service, self.replica, u16::from(schema_id > 0));
            let asked = if is_end {
                Asked::OutputEnd(OutputEnd { service, epoch, k, at: cause, replica })
            } else {
                let payload = payload.clone();
                Asked::Output { service, epoch, k, cause, schema_id, schema_version, payload, replica }
            };
            view.send(leader, k, asked);
            self.sent += 1;
        }
    }

    /// Sometimes a replica of the old version answers what is not its own any more, just before its end. Nothing may come of it.
    fn overstep(&self, leader: usize, view: &mut View<'_>) {
        let Some(end) = self.outbox.front().filter(|first| first.is_end && !view.is_healed) else { return };
        if view.rng.below(4) == 0 {
            view.stats.hit("outputs beyond a switch");
            let Emitted { epoch, k, cause, .. } = *end;
            let (service, replica, payload) = (self.service, self.replica, vec![9; 8]);
            let (schema_id, schema_version) = (0, 0);
            view.send(
                leader,
                0,
                Asked::Output { service, epoch, k, cause, schema_id, schema_version, payload, replica },
            );
        }
    }

    fn tell_progress(&mut self, view: &mut View<'_>) {
        let Some((epoch, k)) = self.machine.current() else { return };
        let applied = self.machine.applied;
        if self.machine.version_of(epoch) != Some(self.version) || applied.0 < self.applied_reported.0 + 2_000
        {
            return;
        }
        self.applied_reported = applied;
        let progress = Progress { service: self.service, epoch, applied, k, digest: self.machine.digest };
        if let Some(leader) = view.leader {
            view.send(leader, 0, Asked::Progress(progress));
        }
    }

    /// Saves a snapshot; sometimes says up to where no version needs the log any more.
    fn save(&mut self, view: &mut View<'_>) {
        view.stats.hit("snapshots of services");
        let mut outbox = self.outbox.clone();
        if teeth::is_active(Bug::DropOutbox) {
            outbox.clear();
        }
        let saved = Saved { machine: self.machine.clone(), outbox };
        let mut store = self.store.borrow_mut();
        store.snapshots.entry(self.version).or_default().insert(self.machine.applied, saved);
        if store.snapshots.len() as u64 == self.versions {
            let newest =
                store.snapshots.values().filter_map(|of| of.last_key_value().map(|(position, _)| *position));
            let position = newest.min().unwrap_or(Position(0));
            let marker = SnapshotMarker { what: SnapshotStep::Verified, position };
            if let Some(leader) = view.leader {
                view.send(leader, 0, Asked::Control(Control::Snapshot { service: self.service, marker }));
            }
        }
    }

    /// Starts again from a snapshot, or from the beginning if the log is still there.
    fn restore(&mut self, view: &mut View<'_>) {
        view.stats.hit("services restored");
        let store = self.store.borrow();
        let newest = store.snapshots.get(&self.version).and_then(|of| of.last_key_value());
        let registered_at = view.rules.service(self.service).map_or(Position(0), |model| model.registered_at);
        let has_start = view.readable.iter().flatten().all(|(start, _)| *start <= registered_at);
        let from_start = has_start && view.rng.below(8) == 0;
        let saved = newest.map(|(_, saved)| saved.clone()).filter(|_| !from_start);
        let Saved { machine, outbox } =
            saved.unwrap_or_else(|| Saved { machine: Machine::new(self.service), outbox: VecDeque::new() });
        self.machine = machine;
        self.outbox = outbox;
        self.sent = 0;
        self.searched = Position(0);
        self.skips.clear();
        self.applied_reported = self.machine.applied;
    }
}

impl Actor for Replica {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        if self.has_diverged || (view.now_ns < self.dead_until_ns && !view.is_healed) {
            return 50 * MS;
        }
        self.follow(view);
        self.send(view);
        if view.is_healed {
            return 5 * MS + view.rng.below(10 * MS);
        }
        match view.rng.below(100) {
            // What has gone wrong is not kept; a snapshot is verified before it counts.
            0..4 if self.wrong_after.is_none() => self.save(view),
            4..10 => self.tell_progress(view),
            10..12 => {
                view.stats.hit("crashes of services");
                self.restore(view);
                self.dead_until_ns = view.now_ns + view.rng.below(300 * MS);
            }
            _ => {}
        }
        5 * MS + view.rng.below(20 * MS)
    }

    fn reply(&mut self, _tag: u64, reply: Reply, _view: &mut View<'_>) {
        // What was admitted is read in the log; what was lost is sent again when nothing moves. A gap is mended at once.
        if let Err(Refusal::OutputGap { .. }) = reply {
            self.sent = 0;
        }
    }

    fn describe(&self) -> String {
        let first = self.outbox.front().map(|output| (output.epoch, output.k, output.cause, output.is_end));
        let (applied, waiting) = (self.machine.applied, self.outbox.len());
        format!(
            "service {} version {} replica {} diverged {} at {applied}, stuck {}: {waiting} outputs from {first:?}",
            self.service, self.version, self.replica, self.has_diverged, self.is_stuck
        )
    }

    fn is_done(&self, log: &Committed) -> bool {
        let is_near = self.machine.applied.0 + 2_000 >= log.end().0;
        self.has_diverged || (self.outbox.is_empty() && is_near && !self.is_stuck)
    }
}

/// Compares the outputs in the log with those that one machine computes from the whole log, when all replicas are done.
pub(crate) fn check_outputs(log: &Committed, rules: &Rules, service: u32) -> Verdict {
    let bytes = log.bytes_between(Position(0), log.end());
    let frames = || Frames::new(bytes, Position(0), Term::NONE).map_while(Result::ok);
    let is_skip =
        |frame: &Frame<'_>| frame.fields.kind == FrameKind::Skip && frame.fields.source_id == service;
    let skips: BTreeSet<Position> = frames().filter(is_skip).map(|frame| frame.fields.cause).collect();
    let mut machine = Machine::new(service);
    let mut emitted = Vec::new();
    for frame in frames() {
        if !machine.apply(&frame, &skips, &mut emitted) {
            break;
        }
    }
    let found = rules.outputs(service);
    for (index, output) in emitted.iter().enumerate() {
        let expected = (output.epoch, output.k, output.cause, hash(&output.payload), output.is_end);
        match found.get(index) {
            Some(actual) if *actual == expected => {}
            // The newest may still be on their way.
            None if output.cause.0 + 3_000 >= log.end().0 => break,
            actual => {
                return Err((
                    "11. every output is in the log, once",
                    format!("service {service} has {actual:?} as number {index} instead of {expected:?}"),
                ));
            }
        }
    }
    if found.len() > emitted.len() {
        let extra = &found[emitted.len()];
        return Err((
            "11. every output is in the log, once",
            format!("service {service} has {extra:?} too much"),
        ));
    }
    Ok(())
}
