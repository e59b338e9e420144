//! Services: outputs in order, once, by one epoch; switches; what replicas report.

use std::collections::BTreeMap;

use sequencer_wire::{Body, Frame, Position, SnapshotStep};

use crate::checker::Verdict;

/// One service as the log shows it.
#[derive(Debug, Default)]
pub(crate) struct ServiceModel {
    /// The epoch whose outputs are due, where its causes begin, and its version.
    pub(crate) epoch: u32,
    from: Position,
    /// Position of the frame that registered it.
    pub(crate) registered_at: Position,
    pub(crate) version: u64,
    before: Option<u64>,
    /// Epochs to come: epoch, position, version.
    queue: Vec<(u32, Position, u64)>,
    newest: u32,
    last_k: u64,
    last_cause: Position,
    applied: (u32, Position),
    reports: Vec<(u32, u32)>,
    pub(crate) skips: Vec<Position>,
    verified: Position,
    hold_bytes_max: u64,
    pub(crate) outputs: Vec<(u32, u64, Position, u64, bool)>,
}

impl ServiceModel {
    /// Epochs that have not begun, with their positions.
    pub(crate) fn pending(&self) -> Vec<(u32, Position)> {
        self.queue.iter().map(|(epoch, at, _)| (*epoch, *at)).collect()
    }

    fn version_before_newest(&self) -> Option<u64> {
        let mut versions: Vec<u64> = self.before.into_iter().collect();
        versions.push(self.version);
        versions.extend(self.queue.iter().map(|(_, _, version)| *version));
        versions.len().checked_sub(2).map(|index| versions[index])
    }
}

#[derive(Debug, Default)]
pub(super) struct Services {
    models: BTreeMap<u32, ServiceModel>,
}

impl Services {
    pub(super) fn get(&self, id: u32) -> Option<&ServiceModel> {
        self.models.get(&id)
    }

    pub(super) fn known(&self, id: u32, frame: &Frame<'_>) -> Verdict {
        match self.models.get(&id) {
            Some(_) => Ok(()),
            None => Err(("services are registered first", format!("{id} at {} is not", frame.at))),
        }
    }

    /// The lowest position that a service holds the log at.
    pub(super) fn lowest_hold(&self, at: Position) -> Option<Position> {
        let bounded =
            |model: &ServiceModel| model.verified.max(Position(at.0.saturating_sub(model.hold_bytes_max)));
        self.models.values().map(bounded).min()
    }

    pub(super) fn on_output(&mut self, frame: &Frame<'_>, payload: &[u8]) -> Verdict {
        self.check_output(frame)?;
        let fields = frame.fields;
        let model = self.models.entry(fields.source_id).or_default();
        if model.queue.first().is_some_and(|(_, until, _)| fields.cause >= *until)
            || fields.cause < model.from
        {
            return Err((
                "10. each cause is answered by its own epoch",
                format!("epoch {} answers {} at {}", fields.epoch, fields.cause, frame.at),
            ));
        }
        model.outputs.push((fields.epoch, fields.source_sequence, fields.cause, hash(payload), false));
        Ok(())
    }

    fn check_output(&mut self, frame: &Frame<'_>) -> Verdict {
        self.known(frame.fields.source_id, frame)?;
        let fields = frame.fields;
        let model = self.models.entry(fields.source_id).or_default();
        if fields.epoch != model.epoch {
            return Err((
                "10. an epoch begins after the end of the one before",
                format!("an output of epoch {} at {} in epoch {}", fields.epoch, frame.at, model.epoch),
            ));
        }
        let expected = model.last_k + 1;
        if fields.source_sequence != expected || fields.cause < model.last_cause || fields.cause >= frame.at {
            return Err((
                "8. outputs have no gap and no repeat",
                format!(
                    "k {} instead of {expected}, cause {} after {} at {}",
                    fields.source_sequence, fields.cause, model.last_cause, frame.at
                ),
            ));
        }
        model.last_k = expected;
        model.last_cause = fields.cause;
        Ok(())
    }

    /// Every other frame that concerns a service.
    pub(super) fn on_frame(&mut self, frame: &Frame<'_>, body: &Body<'_>) -> Verdict {
        let fields = frame.fields;
        let (id, epoch, at) = (fields.source_id, fields.epoch, frame.at);
        if let Body::Service(service) = body {
            let model = self.models.entry(id).or_insert_with(|| ServiceModel {
                epoch: 1,
                newest: 1,
                from: at,
                registered_at: at,
                version: service.version,
                verified: at,
                ..ServiceModel::default()
            });
            model.hold_bytes_max = service.hold_bytes_max;
            return Ok(());
        }
        self.known(id, frame)?;
        if *body == Body::OutputEnd {
            return self.on_end(frame);
        }
        let model = self.models.entry(id).or_default();
        let wrong =
            |rule: &'static str, detail: String| Err((rule, format!("service {id} at {at}: {detail}")));
        match body {
            Body::Promote(promote) => {
                if epoch != model.newest + 1 || !model.queue.is_empty() {
                    return wrong(
                        "switches come one after another",
                        format!("promote to {epoch}: {model:?}"),
                    );
                }
                model.newest = epoch;
                model.queue.push((epoch, promote.at.max(at), promote.version));
            }
            Body::Rollback(rollback) => {
                let version = model.version_before_newest();
                let is_passed = model.queue.last().is_none_or(|(_, start, _)| *start < at);
                let Some(version) = version.filter(|_| epoch == model.newest + 1 && is_passed) else {
                    return wrong(
                        "switches come one after another",
                        format!("rollback to {epoch}: {model:?}"),
                    );
                };
                model.newest = epoch;
                model.queue.push((epoch, rollback.at.max(at), version));
            }
            Body::Cancel => match model.queue.last() {
                Some((last, start, _)) if *last == epoch && *start > at => {
                    model.queue.pop();
                }
                _ => {
                    return wrong("a switch is cancelled before its position", format!("{epoch}: {model:?}"));
                }
            },
            Body::Progress(_) => {
                if epoch != model.epoch || (model.applied.0 == epoch && fields.cause <= model.applied.1) {
                    return wrong("progress goes forward", format!("{epoch} to {}", fields.cause));
                }
                model.applied = (epoch, fields.cause);
            }
            Body::Divergence(report) => {
                if model.reports.contains(&(epoch, report.replica)) {
                    return wrong("a replica reports once an epoch", format!("{} again", report.replica));
                }
                model.reports.push((epoch, report.replica));
            }
            Body::Skip => model.skips.push(fields.cause),
            Body::SnapshotMarker(marker) => {
                if marker.what == SnapshotStep::Verified {
                    if marker.position <= model.verified {
                        return wrong("verified snapshots go forward", format!("{}", marker.position));
                    }
                    model.verified = marker.position;
                }
            }
            other => return wrong("every kind is judged", format!("{other:?}")),
        }
        Ok(())
    }

    fn on_end(&mut self, frame: &Frame<'_>) -> Verdict {
        self.check_output(frame)?;
        let fields = frame.fields;
        let model = self.models.entry(fields.source_id).or_default();
        let next = (!model.queue.is_empty()).then(|| model.queue.remove(0));
        let Some((epoch, from, version)) = next.filter(|(_, from, _)| *from == fields.cause) else {
            return Err((
                "10. an epoch ends where the next begins",
                format!("epoch {} ends at {} for {}", fields.epoch, frame.at, fields.cause),
            ));
        };
        model.outputs.push((fields.epoch, fields.source_sequence, fields.cause, hash(&[]), true));
        model.before = Some(model.version);
        (model.epoch, model.from, model.version) = (epoch, from, version);
        (model.last_k, model.last_cause) = (0, from);
        Ok(())
    }
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
