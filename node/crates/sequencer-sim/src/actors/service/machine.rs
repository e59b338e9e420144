//! A deterministic state machine: counts, remembers, sets timers and answers. What it emits is a function of the log.
//!
//! It keeps its own table of epochs, derived from the log. Outputs carry the version that answers, so that one sees who did.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{Body, Frame, FrameKind, Position};

use crate::profile::MS;

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emitted {
    pub(crate) epoch: u32,
    pub(crate) k: u64,
    pub(crate) cause: Position,
    pub(crate) schema_id: u16,
    pub(crate) payload: Vec<u8>,
    /// The last one of its epoch.
    pub(crate) is_end: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Epoch {
    epoch: u32,
    version: u64,
    from: Position,
    k: u64,
    has_ended: bool,
}

/// See the module's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    service: u32,
    /// End of what it has applied.
    pub(crate) applied: Position,
    pub(crate) digest: u64,
    timers: BTreeMap<(u64, u64), u64>,
    next_timer: u64,
    epochs: Vec<Epoch>,
}

/// The number in a message's payload.
fn number_of(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether no replica can handle a frame.
pub(crate) fn is_poison(frame: &Frame<'_>) -> bool {
    frame.fields.kind == FrameKind::Message && number_of(frame.payload).is_multiple_of(97)
}

impl Machine {
    pub(crate) fn new(service: u32) -> Self {
        Self {
            service,
            applied: Position(0),
            digest: 7,
            timers: BTreeMap::new(),
            next_timer: 0,
            epochs: Vec::new(),
        }
    }

    /// Whether the log has named the service yet.
    pub(crate) fn is_registered(&self) -> bool {
        !self.epochs.is_empty()
    }

    /// Version that answers for an epoch.
    pub(crate) fn version_of(&self, epoch: u32) -> Option<u64> {
        self.epochs.iter().find(|known| known.epoch == epoch).map(|known| known.version)
    }

    /// The epoch that answers now, and its last output.
    pub(crate) fn current(&self) -> Option<(u32, u64)> {
        let begun = self.epochs.iter().rev().find(|epoch| epoch.from < self.applied)?;
        Some((begun.epoch, begun.k))
    }

    /// Applies one frame; `false` when it cannot be handled and no skip names it, and then nothing has changed.
    pub(crate) fn apply(
        &mut self,
        frame: &Frame<'_>,
        skips: &BTreeSet<Position>,
        out: &mut Vec<Emitted>,
    ) -> bool {
        // What came before its registration is not for it.
        let is_poison = is_poison(frame) && self.is_registered();
        let is_skipped = is_poison && skips.contains(&frame.at);
        if is_poison && !is_skipped {
            return false;
        }
        self.applied = frame.end();
        let body = frame.body();
        if let Ok(body) = &body {
            self.note_epochs(frame, body);
        }
        self.end_epochs(frame.at, out);
        self.fire_timers(frame, out);
        match body {
            Ok(Body::Message(payload)) if !is_skipped && self.is_registered() => {
                self.handle(frame, number_of(payload), out)
            }
            Ok(Body::Query(query)) if query.service == self.service => {
                self.emit(frame.at, number_of(query.request), 99, out);
            }
            _ => {}
        }
        true
    }

    fn note_epochs(&mut self, frame: &Frame<'_>, body: &Body<'_>) {
        if frame.fields.source_id != self.service {
            return;
        }
        let epoch = frame.fields.epoch;
        match body {
            Body::Service(service) if self.epochs.is_empty() => self.begin(1, service.version, frame.at),
            Body::Promote(promote) => self.begin(epoch, promote.version, promote.at.max(frame.at)),
            Body::Rollback(rollback) => {
                if let Some(before) = self.epochs.len().checked_sub(2) {
                    let version = self.epochs[before].version;
                    self.begin(epoch, version, rollback.at.max(frame.at));
                }
            }
            Body::Cancel => self.epochs.retain(|known| known.epoch != epoch),
            _ => {}
        }
    }

    fn begin(&mut self, epoch: u32, version: u64, from: Position) {
        self.epochs.push(Epoch { epoch, version, from, k: 0, has_ended: false });
    }

    /// Everything before `at` has been applied, so epochs whose successor begins by then have emitted all they will.
    fn end_epochs(&mut self, at: Position, out: &mut Vec<Emitted>) {
        for index in 1..self.epochs.len() {
            let from = self.epochs[index].from;
            let before = &mut self.epochs[index - 1];
            if from <= at && !before.has_ended {
                before.has_ended = true;
                before.k += 1;
                let (epoch, k) = (before.epoch, before.k);
                out.push(Emitted { epoch, k, cause: from, schema_id: 0, payload: Vec::new(), is_end: true });
            }
        }
    }

    fn fire_timers(&mut self, frame: &Frame<'_>, out: &mut Vec<Emitted>) {
        while let Some((key, number)) = self.timers.first_key_value().map(|(key, number)| (*key, *number)) {
            if key.0 > frame.fields.timestamp_ns {
                return;
            }
            self.timers.remove(&key);
            self.emit(frame.at, number, 50, out);
        }
    }

    fn handle(&mut self, frame: &Frame<'_>, number: u64, out: &mut Vec<Emitted>) {
        self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        for index in 0..number % 3 {
            self.emit(frame.at, number, index, out);
        }
        if number.is_multiple_of(7) {
            let deadline = frame.fields.timestamp_ns + number % 50 * MS;
            self.timers.insert((deadline, self.next_timer), number);
            self.next_timer += 1;
        }
    }

    fn emit(&mut self, cause: Position, number: u64, index: u64, out: &mut Vec<Emitted>) {
        let Some(epoch) = self.epochs.iter_mut().rev().find(|epoch| epoch.from <= cause) else { return };
        epoch.k += 1;
        let words = [epoch.version, number, index, self.digest];
        let payload = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let schema_id = if number.is_multiple_of(5) { 0 } else { 100 + self.service as u16 };
        out.push(Emitted { epoch: epoch.epoch, k: epoch.k, cause, schema_id, payload, is_end: false });
    }
}
