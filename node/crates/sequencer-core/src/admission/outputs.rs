//! Rules of services' outputs: in order, once, by the right epoch, for the right causes, and by enough replicas.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Body, FrameKind, Position, SchemaOwner};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Head, Ruling};
use crate::answer::Outcome;
use crate::core::Core;
use crate::event::Now;
use crate::leadership::VOTES_AHEAD_MAX;
use crate::ledger::ServiceState;
use crate::refusal::Refusal;
use crate::request::{Output, OutputEnd, Progress};

/// What is compared of an output where replicas must agree.
#[derive(Debug, Clone, Copy)]
struct Claimed<'a> {
    service: u32,
    epoch: u32,
    k: u64,
    replica: u32,
    head: &'a Head,
    payload: &'a [u8],
}

impl Core {
    pub(super) fn admit_output(&mut self, output: &Output<'_>, now: Now) -> Ruling {
        let service = output.service;
        let state = self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })?;
        if let Some(repeat) = check_order(state, service, output.epoch, output.k)? {
            return Ok(repeat);
        }
        check_cause(state, output, self.commit)?;
        let needed = state.agree;
        let is_early = output.k > state.last_k + 1;
        self.check_schema(output.schema_id, output.schema_version, SchemaOwner::Service(service))?;
        self.check_room(output.payload.len(), true)?;
        let head = Head {
            kind: FrameKind::Output,
            source_id: service,
            sequence: output.k,
            epoch: output.epoch,
            cause: output.cause,
            schema_id: output.schema_id,
            schema_version: output.schema_version,
        };
        let Output { epoch, k, replica, payload, .. } = *output;
        if needed > 1 {
            let claimed = Claimed { service, epoch, k, replica, head: &head, payload };
            let votes = self.count_votes(&claimed, is_early);
            if votes < needed || is_early {
                return Ok(Outcome::Voted { votes, needed });
            }
        }
        let (at, timestamp_ns) = self.append(&head, payload, now);
        self.ledger.record_output(service, k, output.cause, at);
        if needed > 1 {
            self.admit_kept(service, now);
        }
        Ok(Outcome::Admitted { at, timestamp_ns })
    }

    /// Admits the outputs that waited for the one just admitted, as far as enough replicas agree on them.
    fn admit_kept(&mut self, service: u32, now: Now) {
        while let Some(state) = self.ledger.services.get(&service) {
            let (epoch, k, needed) = (state.current.epoch, state.last_k + 1, state.agree);
            let until = state.current_until();
            let Some(kept) = self.leadership.take_agreed(service, epoch, k, needed) else { return };
            let cause = kept.head.cause;
            // A switch may have come since it was sent. Without room it is sent again.
            let is_due = match kept.head.kind {
                FrameKind::OutputEnd => until == Some(cause),
                _ => until.is_none_or(|until| cause < until),
            };
            if !is_due || self.check_room(kept.payload.len(), true).is_err() {
                return;
            }
            if kept.head.kind == FrameKind::OutputEnd {
                let ended = self.append_control(&kept.head, &Body::OutputEnd, true, now);
                if ended.is_err() {
                    return;
                }
            } else {
                let (at, _) = self.append(&kept.head, &kept.payload, now);
                self.ledger.record_output(service, k, cause, at);
            }
        }
    }

    pub(super) fn admit_output_end(&mut self, end: &OutputEnd, now: Now) -> Ruling {
        let OutputEnd { service, epoch, k, at, replica } = *end;
        let state = self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })?;
        if let Some(repeat) = check_order(state, service, epoch, k)? {
            return Ok(repeat);
        }
        if state.current_until() != Some(at) {
            return Err(Refusal::NoSwitch { service, epoch: epoch + 1 });
        }
        check_committed(at, self.commit)?;
        let needed = state.agree;
        let is_early = k > state.last_k + 1;
        let head = Head { sequence: k, epoch, cause: at, ..Head::of(FrameKind::OutputEnd, service) };
        self.check_room(0, true)?;
        if needed > 1 {
            let claimed = Claimed { service, epoch, k, replica, head: &head, payload: &[] };
            let votes = self.count_votes(&claimed, is_early);
            if votes < needed || is_early {
                return Ok(Outcome::Voted { votes, needed });
            }
        }
        self.append_control(&head, &Body::OutputEnd, true, now)
    }

    /// How many replicas have sent the same. What comes too early is kept, to be admitted after those before it.
    fn count_votes(&mut self, claimed: &Claimed<'_>, is_early: bool) -> u16 {
        let Claimed { service, epoch, k, replica, head, payload } = *claimed;
        let salt =
            [head.kind as u64, head.cause.0, u64::from(head.schema_id), u64::from(head.schema_version)];
        let seed = salt.iter().fold(0, |seed, part| xxh3_64_with_seed(&part.to_le_bytes(), seed));
        let hash = xxh3_64_with_seed(payload, seed);
        let next = self.ledger.services.get(&service).map_or(1, |state| state.last_k + 1);
        let votes = self.leadership.vote(service, epoch, k, next, replica, hash);
        if is_early {
            self.leadership.keep(hash, head, payload);
        }
        votes
    }

    pub(super) fn admit_progress(&mut self, progress: &Progress, now: Now) -> Ruling {
        let Progress { service, epoch, applied, k, digest } = *progress;
        let state = self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })?;
        check_epoch(state, service, epoch)?;
        let last = state.progress;
        if last.epoch == epoch && applied <= last.applied {
            return Ok(Outcome::AlreadyAdmitted { last: last.applied.0 });
        }
        check_committed(Position(applied.0.saturating_sub(1)), self.commit)?;
        let head = Head { sequence: k, epoch, cause: applied, ..Head::of(FrameKind::Progress, service) };
        self.append_control(&head, &Body::Progress(sequencer_wire::Progress { digest }), true, now)
    }
}

/// Whether the epoch is the one that is admitted.
fn check_epoch(state: &ServiceState, service: u32, epoch: u32) -> Result<(), Refusal> {
    let current = state.current.epoch;
    if epoch < current {
        return Err(Refusal::EpochOver { service, found: epoch, current });
    }
    if epoch > current {
        return Err(Refusal::EpochNotOpen { service, found: epoch, current });
    }
    Ok(())
}

/// Whether output `k` is the next one; a repeat is an outcome of its own.
fn check_order(state: &ServiceState, service: u32, epoch: u32, k: u64) -> Result<Option<Outcome>, Refusal> {
    if teeth::is_active(Bug::AdmitBeforeEnd) && state.switches.iter().any(|switch| switch.epoch == epoch) {
        return Ok(None);
    }
    // What ended is dropped like a repeat: a replica that is behind sends it, and the log holds it already.
    check_epoch(state, service, epoch)?;
    if k <= state.last_k {
        return Ok(Some(Outcome::AlreadyAdmitted { last: state.last_k }));
    }
    let expected = state.last_k + 1;
    let may_wait = state.agree > 1 && k - expected < VOTES_AHEAD_MAX;
    if k > expected && !may_wait && !teeth::is_active(Bug::AdmitOutputGap) {
        return Err(Refusal::OutputGap { service, epoch, found: k, expected });
    }
    Ok(None)
}

fn check_cause(state: &ServiceState, output: &Output<'_>, committed: Position) -> Result<(), Refusal> {
    let Output { service, epoch, cause, .. } = *output;
    if teeth::is_active(Bug::AdmitBeforeEnd) && epoch != state.current.epoch {
        return Ok(());
    }
    let (from, until) = (state.current.at, state.current_until());
    let is_too_late =
        until.is_some_and(|until| cause >= until) && !teeth::is_active(Bug::AdmitCauseAfterSwitch);
    if cause < from || is_too_late {
        return Err(Refusal::CauseOutside { service, epoch, cause, from, until });
    }
    if cause < state.last_cause {
        return Err(Refusal::CauseBackward { cause, last: state.last_cause });
    }
    check_committed(cause, committed)
}

/// Whether the frame at `position` is committed.
fn check_committed(position: Position, committed: Position) -> Result<(), Refusal> {
    if position < committed { Ok(()) } else { Err(Refusal::NotCommitted { position, committed }) }
}
