//! One machine that computes everything from the whole log, and what the log must hold by it.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{Body, Frame, FrameKind, Frames, Position};

use super::machine::Machine;
use crate::checker::{Committed, Rules, Verdict, hash};

/// The newest outputs may still be on their way: those whose causes lie this many bytes before the end of the log, or less.
const IN_FLIGHT_BYTES: u64 = 3_000;

/// One output: epoch, k, cause, hash of the payload, and whether it ends the epoch.
pub(super) type Listed = (u32, u64, Position, u64, bool);
/// What a service says of itself at a position: epoch, k, digest.
type Reported = (u32, u64, u64);

/// What a machine is told beside the frames, and what it must agree with.
#[derive(Debug, Default)]
struct Record {
    skips: BTreeSet<Position>,
    /// By applied position.
    progress: BTreeMap<Position, Vec<Reported>>,
}

impl Record {
    fn note(&mut self, service: u32, frame: &Frame<'_>) {
        let fields = frame.fields;
        if fields.source_id != service {
            return;
        }
        if fields.kind == FrameKind::Skip {
            self.skips.insert(fields.cause);
        } else if let (FrameKind::Progress, Ok(Body::Progress(progress))) = (fields.kind, frame.body()) {
            let reported = (fields.epoch, fields.source_sequence, progress.digest);
            self.progress.entry(fields.cause).or_default().push(reported);
        }
    }
}

/// Computes the outputs of a service that follow from `frames`, whose first is not after its registration, and checks what replicas
/// said of their state. Skips count wherever they stand; at a poisoned frame without one everything ends.
pub(super) fn expected_outputs<'a>(
    service: u32,
    frames: impl Iterator<Item = Frame<'a>> + Clone,
) -> Result<Vec<Listed>, (&'static str, String)> {
    let mut record = Record::default();
    frames.clone().for_each(|frame| record.note(service, &frame));
    let mut machine = Machine::new(service);
    let mut emitted = Vec::new();
    for frame in frames {
        if !machine.apply(&frame, &record.skips, &mut emitted) {
            break;
        }
        for reported in record.progress.get(&machine.applied).into_iter().flatten() {
            check_report(service, &machine, *reported)?;
        }
    }
    let listed = emitted.iter();
    Ok(listed.map(|it| (it.epoch, it.k, it.cause, hash(&it.payload), it.is_end)).collect())
}

fn check_report(service: u32, machine: &Machine, (epoch, k, digest): Reported) -> Verdict {
    if machine.current() == Some((epoch, k)) && machine.digest == digest {
        return Ok(());
    }
    let detail = format!(
        "service {service} says that at {} it has come to output {k} of epoch {epoch} with {digest:#x}, not to {:?} with {:#x}",
        machine.applied,
        machine.current(),
        machine.digest
    );
    Err(("progress is what the log makes of a service", detail))
}

/// Compares the outputs in the log with those that one machine computes from the whole log, when all replicas are done.
pub(crate) fn check_outputs(log: &Committed, rules: &Rules, service: u32) -> Verdict {
    // Nothing before its registration is for it.
    let Some(from) = rules.service(service).map(|model| model.registered_at) else { return Ok(()) };
    let bytes = log.bytes_between(from, log.end());
    let frames = Frames::new(bytes, from, log.terms().term_before(from)).map_while(Result::ok);
    let expected = expected_outputs(service, frames)?;
    let in_flight_from = Position(log.end().0.saturating_sub(IN_FLIGHT_BYTES));
    rules.check_outputs(service, &expected, in_flight_from)
}
