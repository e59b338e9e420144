//! Which version answers which causes: a table that a machine derives from the log alone, without a line of the core's ledger.
//!
//! 1. The registration begins epoch 1. A promotion begins the next epoch at the later of its own position and the one it names; a
//!    rollback does the same for the version of the epoch before the newest.
//! 2. A cancellation takes back what has not begun. Numbers are the log's; none comes twice.
//! 3. Once everything before the begin of the next epoch has been applied, an epoch emits its end, and nothing after that.

use sequencer_wire::{Body, Frame, FrameKind, Position};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Epoch {
    number: u32,
    version: u64,
    /// Causes at or past this are its own, up to the begin of the next.
    from: Position,
    /// Outputs emitted in it, its end included.
    emitted: u64,
    /// The last one that was read in the log.
    admitted: u64,
    has_ended: bool,
}

/// The place of an output in the history of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u32,
    pub(super) version: u64,
    pub(super) k: u64,
}

/// See the module's description.
///
/// Invariant: positions ascend strictly, and so do numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Epochs {
    service: u32,
    known: Vec<Epoch>,
}

impl Epochs {
    pub(super) fn new(service: u32) -> Self {
        Self { service, known: Vec::new() }
    }

    /// Whether the log has named the service yet.
    pub(super) fn is_registered(&self) -> bool {
        !self.known.is_empty()
    }

    /// Takes in what a frame says about epochs and about outputs that are in the log.
    pub(super) fn note(&mut self, frame: &Frame<'_>, body: &Body<'_>) {
        if frame.fields.source_id != self.service {
            return;
        }
        let number = frame.fields.epoch;
        match body {
            Body::Service(service) if self.known.is_empty() => self.begin(1, service.version, frame.at),
            Body::Promote(promote) => self.begin(number, promote.version, promote.at.max(frame.at)),
            Body::Rollback(rollback) => {
                if let [.., before, _] = self.known.as_slice() {
                    self.begin(number, before.version, rollback.at.max(frame.at));
                }
            }
            Body::Cancel => self.known.retain(|epoch| epoch.number != number || epoch.from <= frame.at),
            Body::Output(_) | Body::OutputEnd => {
                if let Some(epoch) = self.known.iter_mut().find(|epoch| epoch.number == number) {
                    epoch.admitted = epoch.admitted.max(frame.fields.source_sequence);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, number: u32, version: u64, from: Position) {
        self.known.push(Epoch { number, version, from, emitted: 0, admitted: 0, has_ended: false });
    }

    /// Epochs whose end is due once everything before `at` has been applied: the place of each end, and where the next begins.
    pub(super) fn take_ends(&mut self, at: Position) -> Vec<(Place, Position)> {
        let mut ends = Vec::new();
        let begins: Vec<Position> = self.known.iter().skip(1).map(|next| next.from).collect();
        for (epoch, next) in self.known.iter_mut().zip(begins) {
            if next <= at && !epoch.has_ended {
                epoch.has_ended = true;
                ends.push((epoch.emit(), next));
            }
        }
        ends
    }

    /// The place of the next output that `cause` has; `None` before the service is registered.
    pub(super) fn take_place(&mut self, cause: Position) -> Option<Place> {
        self.known.iter_mut().rev().find(|epoch| epoch.from <= cause).map(Epoch::emit)
    }

    /// The version that answers in an epoch.
    pub(super) fn version_of(&self, number: u32) -> Option<u64> {
        self.known.iter().find(|epoch| epoch.number == number).map(|epoch| epoch.version)
    }

    /// The epoch that a machine is in when it has applied everything before `applied`, and its last output.
    pub(super) fn current(&self, applied: Position) -> Option<(u32, u64)> {
        let begun = self.known.iter().rev().find(|epoch| epoch.from < applied)?;
        Some((begun.number, begun.emitted))
    }

    /// Whether outputs of a version have been emitted and not been read in the log.
    pub(super) fn owes(&self, version: u64) -> bool {
        self.known.iter().any(|epoch| epoch.version == version && epoch.admitted < epoch.emitted)
    }
}

impl Epoch {
    fn emit(&mut self) -> Place {
        self.emitted += 1;
        Place { epoch: self.number, version: self.version, k: self.emitted }
    }
}

/// Whether a frame is an output of a service, or the end of one of its epochs.
pub(super) fn is_output_of(service: u32, frame: &Frame<'_>) -> bool {
    matches!(frame.fields.kind, FrameKind::Output | FrameKind::OutputEnd) && frame.fields.source_id == service
}
