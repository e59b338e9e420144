//! Services: outputs in order, once, by the epoch that has to answer; what replicas report and what snapshots hold.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{Body, Frame, Position, SnapshotStep};

use super::switches::Switches;
use crate::checker::Verdict;

/// One output: epoch, k, cause, hash of the payload, and whether it ends the epoch.
pub(crate) type Listed = (u32, u64, Position, u64, bool);

/// One service as the log shows it.
#[derive(Debug, Clone)]
pub(crate) struct ServiceModel {
    /// Position of the frame that registered it.
    pub(crate) registered_at: Position,
    switches: Switches,
    outputs: Vec<Listed>,
    /// Last k of the current epoch, and the cause of the last output.
    last_k: u64,
    last_cause: Position,
    /// Applied position and k of the newest progress in each epoch.
    progress: BTreeMap<u32, (Position, u64)>,
    /// Epoch and replica of each divergence report.
    reports: BTreeSet<(u32, u32)>,
    skips: BTreeSet<Position>,
    /// Last verified snapshot; without one everything from the registration on is needed.
    verified: Position,
    hold_bytes_max: u64,
}

impl ServiceModel {
    /// Epochs that have not begun to answer, with their positions.
    pub(crate) fn pending(&self) -> Vec<(u32, Position)> {
        self.switches.waiting().iter().map(|epoch| (epoch.number, epoch.from)).collect()
    }

    pub(super) fn is_skipped(&self, position: Position) -> bool {
        self.skips.contains(&position)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    models: BTreeMap<u32, ServiceModel>,
    /// Where every frame starts, in order, with the one that is being judged.
    starts: Vec<Position>,
}

impl Services {
    /// A frame at this position is going to be judged.
    pub(super) fn at_frame(&mut self, at: Position) {
        self.starts.push(at);
    }

    pub(super) fn get(&self, id: u32) -> Option<&ServiceModel> {
        self.models.get(&id)
    }

    pub(super) fn check_known(&self, id: u32, frame: &Frame<'_>) -> Verdict {
        if self.models.contains_key(&id) {
            return Ok(());
        }
        Err(("services are registered first", format!("{id} at {} is not", frame.at)))
    }

    /// What each service needs of the log that ends at `at`, with its id.
    pub(super) fn holds(&self, at: Position) -> Vec<(u32, Position)> {
        let hold =
            |model: &ServiceModel| model.verified.max(Position(at.0.saturating_sub(model.hold_bytes_max)));
        self.models.iter().map(|(id, model)| (*id, hold(model))).collect()
    }

    fn is_frame_before(&self, position: Position, at: Position) -> bool {
        position < at && self.starts.binary_search(&position).is_ok()
    }

    pub(super) fn on_output(&mut self, frame: &Frame<'_>, payload: &[u8]) -> Verdict {
        self.check_known(frame.fields.source_id, frame)?;
        let fields = frame.fields;
        if !self.is_frame_before(fields.cause, frame.at) {
            return Err((
                "8. the cause of an output is a frame before it",
                format!("service {} at {} answers {}", fields.source_id, frame.at, fields.cause),
            ));
        }
        let Some(model) = self.models.get_mut(&fields.source_id) else { return Ok(()) };
        model.check_next(frame)?;
        let due = model.switches.answers(fields.cause)?;
        if due.number != fields.epoch {
            return Err((
                "10. each cause is answered by its own epoch",
                format!(
                    "epoch {} answers {} at {}, which {due:?} has to",
                    fields.epoch, fields.cause, frame.at
                ),
            ));
        }
        model.note(frame, hash(payload), false);
        Ok(())
    }

    fn on_end(&mut self, frame: &Frame<'_>) -> Verdict {
        let Some(model) = self.models.get_mut(&frame.fields.source_id) else { return Ok(()) };
        model.check_next(frame)?;
        model.switches.end(frame.fields.cause)?;
        model.note(frame, hash(&[]), true);
        model.last_k = 0;
        Ok(())
    }

    /// Every frame that concerns a service, but outputs and queries.
    pub(super) fn on_frame(&mut self, frame: &Frame<'_>, body: &Body<'_>) -> Verdict {
        let fields = frame.fields;
        let (id, epoch, at) = (fields.source_id, fields.epoch, frame.at);
        if let Body::Service(service) = body {
            let model = self.models.entry(id).or_insert_with(|| ServiceModel::new(service.version, at));
            model.hold_bytes_max = service.hold_bytes_max;
            return Ok(());
        }
        self.check_known(id, frame)?;
        let names_frame = self.is_frame_before(fields.cause, at);
        let Some(model) = self.models.get_mut(&id) else { return Ok(()) };
        match body {
            Body::OutputEnd => self.on_end(frame),
            Body::Promote(promote) => model.switches.promote(epoch, promote.version, promote.at, at),
            Body::Rollback(rollback) => model.switches.rollback(epoch, rollback.at, at),
            Body::Cancel => model.switches.cancel(epoch, at),
            Body::Progress(_) => model.on_progress(frame),
            Body::Divergence(report) => model.on_report(frame, report.replica),
            Body::Skip if !names_frame => Err((
                "a skip names a frame before it",
                format!("service {id} at {at} passes {} over", fields.cause),
            )),
            Body::Skip => {
                model.skips.insert(fields.cause);
                Ok(())
            }
            Body::SnapshotMarker(marker) if marker.what == SnapshotStep::Verified => {
                if marker.position <= model.verified || marker.position > at {
                    return Err((
                        "verified snapshots go forward",
                        format!("service {id} at {at}: {} after {}", marker.position, model.verified),
                    ));
                }
                model.verified = marker.position;
                Ok(())
            }
            Body::SnapshotMarker(_) => Ok(()),
            other => Err(("every kind is judged", format!("service {id} at {at}: {other:?}"))),
        }
    }

    pub(super) fn check_outputs(&self, id: u32, expected: &[Listed], in_flight_from: Position) -> Verdict {
        let found: &[Listed] = self.models.get(&id).map_or(&[], |model| &model.outputs);
        let rule = "11. every output is in the log, once";
        for (index, wanted) in expected.iter().enumerate() {
            match found.get(index) {
                Some(actual) if actual == wanted => {}
                None if wanted.2 >= in_flight_from => return Ok(()),
                actual => {
                    let detail = format!("service {id} has {actual:?} as number {index}, not {wanted:?}");
                    return Err((rule, detail));
                }
            }
        }
        match found.get(expected.len()) {
            None => Ok(()),
            Some(extra) => Err((rule, format!("service {id} has {extra:?} too much"))),
        }
    }
}

impl ServiceModel {
    fn new(version: u64, at: Position) -> Self {
        Self {
            registered_at: at,
            switches: Switches::new(version, at),
            outputs: Vec::new(),
            last_k: 0,
            last_cause: at,
            progress: BTreeMap::new(),
            reports: BTreeSet::new(),
            skips: BTreeSet::new(),
            verified: at,
            hold_bytes_max: 0,
        }
    }

    /// An output, or the end of an epoch, is the next one.
    fn check_next(&self, frame: &Frame<'_>) -> Verdict {
        let fields = frame.fields;
        let (id, epoch, current) = (fields.source_id, fields.epoch, self.switches.current());
        if epoch != current.number {
            return Err((
                "10. an epoch begins after the end of the one before",
                format!("service {id} answers in epoch {epoch} at {} during {current:?}", frame.at),
            ));
        }
        let expected = self.last_k + 1;
        if fields.source_sequence != expected {
            return Err((
                "8. outputs have no gap and no repeat",
                format!("service {id} has {} at {} instead of {expected}", fields.source_sequence, frame.at),
            ));
        }
        if fields.cause < self.last_cause || fields.cause >= frame.at {
            return Err((
                "8. causes never go back",
                format!("service {id} answers {} at {} after {}", fields.cause, frame.at, self.last_cause),
            ));
        }
        Ok(())
    }

    fn note(&mut self, frame: &Frame<'_>, hash: u64, is_end: bool) {
        let fields = frame.fields;
        self.last_k = fields.source_sequence;
        self.last_cause = fields.cause;
        self.outputs.push((fields.epoch, fields.source_sequence, fields.cause, hash, is_end));
    }

    fn on_progress(&mut self, frame: &Frame<'_>) -> Verdict {
        let fields = frame.fields;
        let (epoch, applied, k) = (fields.epoch, fields.cause, fields.source_sequence);
        let current = self.switches.current();
        let before = self.progress.get(&epoch);
        let is_further = before.is_none_or(|(last, last_k)| applied > *last && k >= *last_k);
        if epoch != current.number || !is_further || applied > frame.at {
            return Err((
                "progress goes forward",
                format!(
                    "service {} at {} is at {applied} with k {k} in epoch {epoch}, after {before:?}, {current:?}",
                    fields.source_id, frame.at
                ),
            ));
        }
        self.progress.insert(epoch, (applied, k));
        Ok(())
    }

    fn on_report(&mut self, frame: &Frame<'_>, replica: u32) -> Verdict {
        let (id, epoch) = (frame.fields.source_id, frame.fields.epoch);
        if epoch == 0 || epoch > self.switches.newest() {
            return Err((
                "a replica reports on an epoch that there is",
                format!("replica {replica} of service {id} on {epoch} at {}", frame.at),
            ));
        }
        if !self.reports.insert((epoch, replica)) {
            return Err((
                "a replica reports once an epoch",
                format!("replica {replica} of service {id} on {epoch} again at {}", frame.at),
            ));
        }
        Ok(())
    }
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
