//! The object store of one service: snapshots of its replicas, by version and position. It outlives them all.

use std::collections::BTreeMap;

use sequencer_storage::SplitMix64;
use sequencer_wire::Position;
use sequencer_wire::teeth::{self, Bug};

use super::machine::Machine;
use super::outbox::Outbox;

/// Snapshots of each version that are kept.
const KEPT: usize = 4;

/// A snapshot of one replica.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) machine: Machine,
    pub(super) outbox: Outbox,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Store {
    snapshots: BTreeMap<u64, BTreeMap<Position, Saved>>,
}

impl Store {
    /// Keeps a snapshot, and what the replica has emitted and not read in the log.
    pub(super) fn save(&mut self, version: u64, machine: &Machine, outbox: &Outbox) {
        let outbox = if teeth::is_active(Bug::DropOutbox) { Outbox::default() } else { outbox.clone() };
        let kept = self.snapshots.entry(version).or_default();
        kept.insert(machine.applied, Saved { machine: machine.clone(), outbox });
        while kept.len() > KEPT {
            kept.pop_first();
        }
    }

    /// Where the newest snapshot of that version stands which is the furthest behind: nobody needs the log before it. `None` as long
    /// as one of `versions` has none.
    pub(super) fn needed_from(&self, versions: u64) -> Option<Position> {
        let newest = |kept: &BTreeMap<Position, Saved>| kept.last_key_value().map(|(position, _)| *position);
        if self.snapshots.len() as u64 != versions {
            return None;
        }
        self.snapshots.values().filter_map(newest).min()
    }

    /// The newest snapshot of a version.
    pub(super) fn newest(&self, version: u64) -> Option<Saved> {
        self.snapshots.get(&version)?.last_key_value().map(|(_, saved)| saved.clone())
    }

    /// Any snapshot from which a replica of a version may start while the log is still there from `start` on.
    pub(super) fn any(&self, version: u64, start: Position, rng: &mut SplitMix64) -> Option<Saved> {
        let mut good = Vec::new();
        for (of, kept) in &self.snapshots {
            for saved in kept.range(start..).map(|(_, saved)| saved) {
                if *of == version {
                    good.push((&saved.machine, Some(&saved.outbox)));
                } else if !saved.machine.epochs.owes(version) {
                    // It comes without what this version emitted before it, but the log holds all of that.
                    good.push((&saved.machine, None));
                }
            }
        }
        let (machine, outbox) = good.get(rng.below(good.len().max(1) as u64) as usize)?;
        Some(Saved { machine: (*machine).clone(), outbox: outbox.cloned().unwrap_or_default() })
    }
}
