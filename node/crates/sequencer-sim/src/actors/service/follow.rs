//! Reading: a replica applies the log and learns what it need not send any more.

use sequencer_wire::{Diverged, Divergence, Frame, FrameKind, Frames, Position};

use super::epochs::is_output_of;
use super::machine::Emitted;
use super::outbox::Seen;
use super::{Replica, Report};
use crate::actors::View;
use crate::checker::{Committed, hash};

impl Replica {
    /// Reads and applies the next part of the log, from any node that has it.
    pub(super) fn follow(&mut self, view: &mut View<'_>) {
        let node = view.rng.below(view.readable.len() as u64) as usize;
        let Some((start, end)) = view.readable[node] else { return };
        if !self.machine.epochs.is_registered() {
            // Nothing before the registration is for it, and the log holds that as long as the service has no snapshot.
            let Some(model) = view.rules.service(self.service) else { return };
            self.machine.applied = self.machine.applied.max(model.registered_at);
        }
        let from = self.machine.applied;
        if from < start {
            // This node has trimmed what it needs; another may have it, or a snapshot.
            if view.readable.iter().flatten().all(|(start, _)| from < *start) {
                view.stats.hit("services that fell behind the log");
                let newest = self.store.borrow().newest(self.version);
                self.start_from(newest);
            }
            return;
        }
        let to =
            if view.is_healed { end } else { Position(end.0.min(from.0 + view.rng.below(self.pace_bytes))) };
        if to <= from {
            return;
        }
        let bytes = view.log.bytes_between(from, to);
        let mut emitted = Vec::new();
        for frame in Frames::new(bytes, from, view.log.terms().term_before(from)).map_while(Result::ok) {
            if !self.machine.apply(&frame, &self.skips, &mut emitted) {
                if !self.is_stuck {
                    view.stats.hit("services stuck on poison");
                }
                self.is_stuck = true;
                self.look_ahead(end, view.log);
                break;
            }
            self.is_stuck = false;
            self.see(&frame, view.now_ns);
            for output in emitted.drain(..) {
                self.take(output);
            }
            if self.report.is_some() {
                view.stats.hit("divergences reported");
                break;
            }
        }
    }

    /// Learns of skips that stand further on.
    fn look_ahead(&mut self, end: Position, log: &Committed) {
        let from = self.searched.max(self.machine.applied);
        if from >= end {
            return;
        }
        let bytes = log.bytes_between(from, end);
        for frame in Frames::new(bytes, from, log.terms().term_before(from)).map_while(Result::ok) {
            if frame.fields.kind == FrameKind::Skip && frame.fields.source_id == self.service {
                self.skips.insert(frame.fields.cause);
            }
        }
        self.searched = end;
    }

    /// What its machine emits goes out if its version answers for it.
    fn take(&mut self, mut output: Emitted) {
        if output.version != self.version {
            return;
        }
        self.emitted += 1;
        if self.wrong_after.is_some_and(|after| self.emitted > after) {
            output.payload.push(0xbd);
        }
        self.outbox.push(output);
    }

    /// An output that it reads in the log need not be sent any more; one that differs is a divergence.
    fn see(&mut self, frame: &Frame<'_>, now_ns: u64) {
        if !is_output_of(self.service, frame) {
            return;
        }
        match self.outbox.see(frame) {
            Seen::Other => {}
            Seen::Own => self.moved_ns = now_ns,
            Seen::Differs(Emitted { epoch, k, cause, payload, .. }) => {
                let (expected, actual) = (hash(&payload), hash(frame.payload));
                let what = Divergence { replica: self.replica, what: Diverged::Output, expected, actual };
                self.report = Some(Report { epoch, k, cause, what, is_told: false });
            }
        }
        if frame.fields.kind == FrameKind::OutputEnd {
            // What was refused because the epoch before had not ended goes out at once.
            self.outbox.resend();
        }
    }
}
