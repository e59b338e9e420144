//! Sending: outputs, how far a replica has come, and that it is wrong.

use sequencer_core::{OutputEnd, Progress};

use super::machine::Emitted;
use super::{OTHER, REPORT, Replica, Report};
use crate::actors::{Asked, View};

impl Replica {
    /// Says that it is wrong, until somebody has heard it.
    pub(super) fn tell_report(&self, view: &mut View<'_>) {
        if let (Some(report), Some(leader)) = (self.report.filter(|report| !report.is_told), view.leader) {
            let Report { epoch, k, cause, what: report, .. } = report;
            view.send(leader, REPORT, Asked::Divergence { service: self.service, epoch, k, cause, report });
        }
    }

    pub(super) fn send(&mut self, view: &mut View<'_>) {
        let Some(leader) = view.leader else { return };
        let has_changed = self.leader.replace(leader) != Some(leader);
        if has_changed || view.now_ns > self.moved_ns + self.retry_ns {
            // A leader may have been lost with what it had admitted.
            self.outbox.resend();
            self.moved_ns = view.now_ns;
        }
        self.overstep(leader, view);
        let (service, replica, round) = (self.service, self.replica, self.outbox.round());
        for Emitted { epoch, k, cause, schema_id, payload, is_end, .. } in self.outbox.take_due(self.window) {
            let (epoch, k, cause, schema_id) = (*epoch, *k, *cause, *schema_id);
            let asked = if *is_end {
                Asked::OutputEnd(OutputEnd { service, epoch, k, at: cause, replica })
            } else {
                let (schema_version, payload) = (u16::from(schema_id > 0), payload.clone());
                Asked::Output { service, epoch, k, cause, schema_id, schema_version, payload, replica }
            };
            view.send(leader, round, asked);
        }
    }

    /// Sometimes a replica of the old version answers what is not its own any more, just before its end. Nothing may come of it.
    fn overstep(&self, leader: usize, view: &mut View<'_>) {
        let Some(end) = self.outbox.front().filter(|first| first.is_end && !view.is_healed) else { return };
        if view.rng.below(4) == 0 {
            view.stats.hit("outputs beyond a switch");
            let Emitted { epoch, k, cause, .. } = *end;
            let (service, replica, payload) = (self.service, self.replica, vec![9; 8]);
            let (schema_id, schema_version) = (0, 0);
            let beyond =
                Asked::Output { service, epoch, k, cause, schema_id, schema_version, payload, replica };
            view.send(leader, OTHER, beyond);
        }
    }

    pub(super) fn tell_progress(&mut self, view: &mut View<'_>) {
        let Some((epoch, k)) = self.machine.current() else { return };
        let applied = self.machine.applied;
        let answers = self.machine.epochs.version_of(epoch) == Some(self.version);
        if !answers || applied.0 < self.applied_reported.0 + 2_000 {
            return;
        }
        self.applied_reported = applied;
        let progress = Progress { service: self.service, epoch, applied, k, digest: self.machine.digest };
        if let Some(leader) = view.leader {
            view.send(leader, OTHER, Asked::Progress(progress));
        }
    }
}
