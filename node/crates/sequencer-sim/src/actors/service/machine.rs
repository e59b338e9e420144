//! A deterministic state machine: counts, remembers, sets timers and answers. What it emits is a function of the log.
//!
//! 1. Every message changes a digest and has 0 to 2 outputs; some set a timer. A query has one output.
//! 2. A timer fires at the first frame whose timestamp reaches its deadline, before that frame is handled, and its output is caused
//!    by that frame. Timers that are due together fire in the order of deadline and age.
//! 3. A poisoned frame cannot be handled: the machine stops in front of it until it is told that the log passes it over.
//!
//! All versions behave alike, but outputs begin with the version that answers, so that one sees who did.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{Body, Frame, Position};

use super::epochs::{Epochs, Place};
use crate::profile::MS;

/// Every so many messages one is poisoned.
const POISON_EVERY: u64 = 97;

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Emitted {
    pub(super) epoch: u32,
    /// The version that answers in this epoch.
    pub(super) version: u64,
    pub(super) k: u64,
    pub(super) cause: Position,
    pub(super) schema_id: u16,
    pub(super) payload: Vec<u8>,
    /// The last one of its epoch; its cause is where the next begins.
    pub(super) is_end: bool,
}

/// See the module's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    service: u32,
    /// End of what it has applied.
    pub(super) applied: Position,
    pub(super) digest: u64,
    /// What a timer was set for, by deadline and age.
    timers: BTreeMap<(u64, u64), u64>,
    next_timer: u64,
    pub(super) epochs: Epochs,
}

/// What a frame asks of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Message(u64),
    Query(u64),
}

impl Input {
    /// The number that no other message of this seed bears.
    fn number(self) -> u64 {
        match self {
            Input::Message(number) | Input::Query(number) => number,
        }
    }

    fn is_poison(self) -> bool {
        self.number().is_multiple_of(POISON_EVERY)
    }
}

/// The number in a message's payload.
fn number_of(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether no replica can handle a frame.
pub(crate) fn is_poison(frame: &Frame<'_>) -> bool {
    match frame.body() {
        Ok(Body::Message(payload)) => Input::Message(number_of(payload)).is_poison(),
        Ok(Body::Query(query)) => Input::Query(number_of(query.request)).is_poison(),
        _ => false,
    }
}

impl Machine {
    pub(super) fn new(service: u32) -> Self {
        Self {
            service,
            applied: Position(0),
            digest: 7,
            timers: BTreeMap::new(),
            next_timer: 0,
            epochs: Epochs::new(service),
        }
    }

    /// The epoch that it is in, and its last output there.
    pub(super) fn current(&self) -> Option<(u32, u64)> {
        self.epochs.current(self.applied)
    }

    /// Applies one frame and appends what it emits to `out`. `skips` are frames that the log passes over. `false` when the frame is
    /// poisoned and not among them; nothing has changed then.
    pub(super) fn apply(
        &mut self,
        frame: &Frame<'_>,
        skips: &BTreeSet<Position>,
        out: &mut Vec<Emitted>,
    ) -> bool {
        // The rules of the checker judge bodies that do not decode.
        let body = frame.body().ok();
        let input = self.input(body.as_ref());
        let is_passed_over = input.is_some_and(Input::is_poison);
        if is_passed_over && !skips.contains(&frame.at) {
            return false;
        }
        self.applied = frame.end();
        if let Some(body) = &body {
            self.epochs.note(frame, body);
        }
        for (place, next) in self.epochs.take_ends(frame.at) {
            let Place { epoch, version, k } = place;
            let payload = Vec::new();
            out.push(Emitted { epoch, version, k, cause: next, schema_id: 0, payload, is_end: true });
        }
        self.fire_timers(frame, out);
        if let Some(input) = input.filter(|_| !is_passed_over) {
            self.handle(frame, input, out);
        }
        true
    }

    /// What a frame asks of this service; nothing does before it is registered.
    fn input(&self, body: Option<&Body<'_>>) -> Option<Input> {
        match body {
            _ if !self.epochs.is_registered() => None,
            Some(Body::Message(payload)) => Some(Input::Message(number_of(payload))),
            Some(Body::Query(query)) if query.service == self.service => {
                Some(Input::Query(number_of(query.request)))
            }
            _ => None,
        }
    }

    fn fire_timers(&mut self, frame: &Frame<'_>, out: &mut Vec<Emitted>) {
        while let Some(timer) = self.timers.first_entry() {
            let (deadline_ns, _) = *timer.key();
            if deadline_ns > frame.fields.timestamp_ns {
                return;
            }
            let number = timer.remove();
            self.emit(frame.at, number, 50, out);
        }
    }

    fn handle(&mut self, frame: &Frame<'_>, input: Input, out: &mut Vec<Emitted>) {
        let number = match input {
            Input::Query(number) => return self.emit(frame.at, number, 99, out),
            Input::Message(number) => number,
        };
        self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        for index in 0..number % 3 {
            self.emit(frame.at, number, index, out);
        }
        if number.is_multiple_of(7) {
            let deadline_ns = frame.fields.timestamp_ns + number % 50 * MS;
            self.timers.insert((deadline_ns, self.next_timer), number);
            self.next_timer += 1;
        }
    }

    fn emit(&mut self, cause: Position, number: u64, index: u64, out: &mut Vec<Emitted>) {
        let Some(Place { epoch, version, k }) = self.epochs.take_place(cause) else { return };
        let words = [version, number, index, self.digest];
        let payload = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let schema_id = if number.is_multiple_of(5) {
            0
        } else {
            crate::actors::operator::output_schema(self.service).id
        };
        out.push(Emitted { epoch, version, k, cause, schema_id, payload, is_end: false });
    }
}
