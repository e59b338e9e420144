//! A process that was replaced and does not know it: goes on with the old epoch until it is stopped.

use sequencer_wire::Position;

use super::probe::{Probe, Probes};
use super::window::Window;
use super::{PROBE, Session};
use crate::actors::View;
use crate::profile::MS;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Twin {
    session: Session,
    window: Window,
    until_ns: u64,
}

impl Twin {
    pub(super) fn new(session: Session, window: Window, view: &mut View<'_>) -> Self {
        view.stats.hit("twins left behind");
        Self { session, window, until_ns: view.now_ns + view.rng.below(1_500 * MS) }
    }

    /// Sends what it has in hand and something new. `successor` is the session that its successor has been told of. Returns
    /// false when it is stopped.
    pub(super) fn act(
        &mut self,
        successor: Option<Session>,
        probes: &mut Probes,
        view: &mut View<'_>,
    ) -> bool {
        if view.is_healed || view.now_ns > self.until_ns {
            return false;
        }
        if view.rng.coin() {
            return true;
        }
        if self.window.has_room() {
            let number = view.next_number();
            view.admitting(number);
            self.window.push(super::window::Message::new(number, None, (0, 0), 16));
        }
        let replaced = successor
            .filter(|successor| successor.id == self.session.id && successor.epoch > self.session.epoch);
        let fenced_at: Option<Position> = replaced.map(|successor| successor.opened_at);
        let (due, _) = self.window.take_due(view.now_ns, 60 * MS);
        for message in due.into_iter().take(4) {
            let Session { id: session, .. } = self.session;
            let (sequence, number) = (message.sequence, message.number);
            let probe = Probe::Twin { session, sequence, number, fenced_at };
            let node = view.leader.unwrap_or(0);
            probes.send(PROBE, node, probe, self.session.asks(message), view);
        }
        true
    }
}
