//! Replicas of services: each reads the committed log, applies it to its own machine, and sends what the log does not hold yet.
//!
//! They lag, die and start again from snapshots; some have a replica that goes wrong, which reports itself and stops.
//!
//! 1. A replica reads from any node, a part at a time. What its machine emits waits in its outbox if its version answers for it, and
//!    leaves when it is read in the log. All versions apply everything, so that they can take over.
//! 2. The outbox is sent in order, a window at a time; again from where the leader misses something, and all of it when the leader
//!    changes, when the epoch before has ended, or when nothing has moved for a while.
//! 3. A snapshot holds machine and outbox. Whoever starts again takes one, or reads from the start of the log if that is there.

mod epochs;
mod follow;
mod machine;
mod outbox;
mod reference;
mod send;
mod store;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sequencer_core::Refusal;
use sequencer_storage::SplitMix64;
use sequencer_wire::{Divergence, Position, SnapshotMarker, SnapshotStep};

use super::{Actor, Asked, Control, Reply, View};
use crate::checker::Committed;
use crate::profile::MS;
use machine::Machine;
pub(crate) use machine::is_poison;
use outbox::Outbox;
pub(crate) use reference::check_outputs;
use store::Saved;
pub(crate) use store::Store;

/// Bytes of the log read at one time, at most.
const READ_BYTES: u64 = 8 << 10;
/// Tag of a report, and of what needs no reply; outputs bear the number of their round.
const REPORT: u64 = u64::MAX;
const OTHER: u64 = 0;

/// What a replica reports when it has found itself wrong.
#[derive(Debug, Clone, Copy)]
struct Report {
    epoch: u32,
    k: u64,
    cause: Position,
    what: Divergence,
    is_told: bool,
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
    outbox: Outbox,
    /// Who led when it last sent something.
    leader: Option<usize>,
    /// When something last moved.
    moved_ns: u64,
    retry_ns: u64,
    /// Outputs on their way at one time. Requests overtake each other, so the more there are, the more are refused for a gap.
    window: usize,
    pace_bytes: u64,
    /// Frames that it passes over, and how far it has looked for them.
    skips: BTreeSet<Position>,
    searched: Position,
    is_stuck: bool,
    /// It is dead until then.
    dead_until_ns: Option<u64>,
    /// It goes wrong once it has emitted so many outputs.
    wrong_after: Option<u64>,
    emitted: u64,
    report: Option<Report>,
    applied_reported: Position,
}

impl Replica {
    /// A replica of (service, version, its own number among all replicas of the service). `versions` of the service keep snapshots in
    /// `store`. One that `goes_wrong` does so at a moment that `rng` chooses.
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
            outbox: Outbox::default(),
            leader: None,
            moved_ns: 0,
            retry_ns: (50 + rng.below(150)) * MS,
            window: 2 << rng.below(4),
            pace_bytes: 256 + rng.below(READ_BYTES),
            skips: BTreeSet::new(),
            searched: Position(0),
            is_stuck: false,
            dead_until_ns: None,
            wrong_after: goes_wrong.then(|| rng.below(60)),
            emitted: 0,
            report: None,
            applied_reported: Position(0),
        }
    }

    /// Saves a snapshot; mostly says up to where no version needs the log any more.
    fn save(&self, view: &mut View<'_>) {
        view.stats.hit("snapshots of services");
        let mut store = self.store.borrow_mut();
        store.save(self.version, &self.machine, &self.outbox);
        let needed_from = store.needed_from(self.versions).filter(|_| view.rng.below(4) > 0);
        if let (Some(position), Some(leader)) = (needed_from, view.leader) {
            let marker = SnapshotMarker { what: SnapshotStep::Verified, position };
            view.send(leader, OTHER, Asked::Control(Control::Snapshot { service: self.service, marker }));
        }
    }

    /// Starts again after it has died: mostly from its version's newest snapshot, else from any that will do, or from the beginning.
    fn restart(&mut self, view: &mut View<'_>) {
        view.stats.hit("services restored");
        let starts = || view.readable.iter().flatten().map(|(start, _)| *start);
        let registered_at = view.rules.service(self.service).map(|model| model.registered_at);
        let has_all = registered_at.is_none_or(|registered_at| starts().all(|start| start <= registered_at));
        let store = self.store.borrow();
        let newest = || store.newest(self.version);
        let saved = match view.rng.below(8) {
            0 if has_all => {
                view.stats.hit("services that started from the beginning");
                None
            }
            1..4 => {
                let start = starts().min().unwrap_or(Position(0));
                store.any(self.version, start, view.rng).or_else(newest)
            }
            _ => newest(),
        };
        drop(store);
        self.start_from(saved);
    }

    /// Forgets everything but what a snapshot holds.
    fn start_from(&mut self, saved: Option<Saved>) {
        let new = || Saved { machine: Machine::new(self.service), outbox: Outbox::default() };
        let Saved { machine, outbox } = saved.unwrap_or_else(new);
        self.machine = machine;
        self.outbox.restore(outbox);
        self.skips.clear();
        self.searched = Position(0);
        self.is_stuck = false;
        self.applied_reported = self.machine.applied;
    }

    /// What it does now and then while there is trouble.
    fn live(&mut self, view: &mut View<'_>) {
        match view.rng.below(100) {
            // What has gone wrong is not kept; a snapshot is verified before it counts.
            0..4 if self.wrong_after.is_none() => self.save(view),
            4..10 => self.tell_progress(view),
            10..12 => {
                view.stats.hit("crashes of services");
                self.dead_until_ns = Some(view.now_ns + view.rng.below(300 * MS));
            }
            _ => {}
        }
    }
}

impl Actor for Replica {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        if self.report.is_some() {
            self.tell_report(view);
            return 50 * MS;
        }
        if let Some(until_ns) = self.dead_until_ns {
            if view.now_ns < until_ns && !view.is_healed {
                return 50 * MS;
            }
            self.dead_until_ns = None;
            self.restart(view);
        }
        self.follow(view);
        self.send(view);
        if view.is_healed {
            return 5 * MS + view.rng.below(10 * MS);
        }
        self.live(view);
        5 * MS + view.rng.below(20 * MS)
    }

    fn reply(&mut self, tag: u64, reply: Reply, _view: &mut View<'_>) {
        // What was admitted is read in the log; what was lost is sent again when nothing moves. A gap is mended at once.
        match reply {
            Ok(_) if tag == REPORT => {
                if let Some(report) = &mut self.report {
                    report.is_told = true;
                }
            }
            Err(Refusal::OutputGap { epoch, expected, .. }) => self.outbox.resend_from(tag, epoch, expected),
            _ => {}
        }
    }

    fn describe(&self) -> String {
        let first = self.outbox.front().map(|output| (output.epoch, output.k, output.cause, output.is_end));
        let (applied, waiting) = (self.machine.applied, self.outbox.len());
        format!(
            "service {} version {} replica {} at {applied}, stuck {}, report {:?}: {waiting} outputs from {first:?}",
            self.service, self.version, self.replica, self.is_stuck, self.report
        )
    }

    fn is_done(&self, log: &Committed) -> bool {
        let is_near = self.machine.applied.0 + 2_000 >= log.end().0;
        let has_answered =
            self.dead_until_ns.is_none() && self.outbox.is_empty() && is_near && !self.is_stuck;
        self.report.map_or(has_answered, |report| report.is_told)
    }
}
