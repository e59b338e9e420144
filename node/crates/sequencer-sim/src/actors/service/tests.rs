//! The machine, its epochs and timers, its replicas and what they keep, on logs written by hand.

mod log;
mod machine;
mod reference;
mod replica;
mod stage;
mod switches;

use std::collections::BTreeSet;

use sequencer_wire::Position;

use super::machine::{Emitted, Machine};
use log::{SERVICE, TestLog};

/// A machine that has applied the whole log, with the skips named, and what it emitted.
fn run(log: &TestLog, skips: &[Position]) -> (Machine, Vec<Emitted>) {
    let skips: BTreeSet<Position> = skips.iter().copied().collect();
    let mut machine = Machine::new(SERVICE);
    let mut emitted = Vec::new();
    for frame in log.frames() {
        assert!(machine.apply(&frame, &skips, &mut emitted), "stuck at {}", frame.at);
    }
    (machine, emitted)
}

/// Epoch, k, cause, version and whether it is an end, of each output.
fn places(emitted: &[Emitted]) -> Vec<(u32, u64, Position, u64, bool)> {
    emitted.iter().map(|it| (it.epoch, it.k, it.cause, it.version, it.is_end)).collect()
}
