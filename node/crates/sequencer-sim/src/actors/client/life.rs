//! What ends one life of a client's session and begins the next, and the mishaps that lead there.

use sequencer_wire::{Body, Frames};

use super::nonsense::Nonsense;
use super::profile::Mishap;
use super::{Client, PROBE, Probe, Session, Twin, UNHEARD, Window};
use crate::actors::{Asked, Told, View};

impl Client {
    /// What was asked before has no meaning any more. `session` is the new life's, 0 for none yet.
    pub(super) fn begin_life(&mut self, session: u32) {
        self.life += 1;
        self.sessions.push(session);
        self.hint = None;
    }

    /// The connection is gone; the session is opened again, and its old requests may still arrive.
    pub(super) fn reopen(&mut self) {
        self.session = None;
        self.opened_ns = None;
        self.begin_life(0);
    }

    /// The session is gone for good. What was not acknowledged is never sent as something new.
    pub(super) fn give_up(&mut self, view: &mut View<'_>) {
        view.stats.add("messages whose fate is unknown", self.window.forget());
        self.resume = None;
        self.reopen();
    }

    /// The session is said to be gone; the log must say so too.
    pub(super) fn believe_gone(&mut self, view: &mut View<'_>) {
        if let Some(session) = self.session.filter(|session| !is_gone(*session, view)) {
            let got = format!("session {} is gone, and the log holds it", session.id);
            view.told.push(Told::WrongRefusal { expected: "what the log says", got });
        }
        self.give_up(view);
    }

    pub(super) fn suffer(&mut self, mishap: Mishap, session: Session, view: &mut View<'_>) {
        match mishap {
            Mishap::Silence => {
                view.stats.hit("clients that fall silent");
                self.silent_until_ns = view.now_ns + view.rng.below(3 * self.profile.timeout_ns);
            }
            Mishap::Disconnect => {
                view.stats.hit("clients that lose their connection");
                self.reopen();
            }
            Mishap::Restart => self.restart(session, view),
            Mishap::Close => {
                let node = self.target(view);
                view.send(node, UNHEARD, Asked::Close { session: session.id, epoch: session.epoch });
            }
            Mishap::Move => self.change_name(session, view),
            Mishap::Nonsense => {
                let nonsense = Nonsense::draw(view.rng);
                let sequence = self.window.next_sequence();
                let asked = nonsense.ask(session, &self.name(), self.profile.timeout_ns, sequence);
                let node = self.target(view);
                self.probes.send(PROBE, node, Probe::Nonsense { session: session.id, nonsense }, asked, view);
            }
            Mishap::Repeat => {
                let back = view.rng.below(40) as usize;
                let Some(message) = self.window.remembered(back).cloned() else { return };
                let (sequence, number) = (message.sequence, message.number);
                let probe = Probe::Repeat { session: session.id, sequence, number };
                let node = self.target(view);
                self.probes.send(PROBE, node, probe, session.asks(message), view);
            }
        }
    }

    /// The process ends. The next one knows the session's name, perhaps its id, and nothing of what was sent.
    fn restart(&mut self, session: Session, view: &mut View<'_>) {
        view.stats.hit("clients that restart");
        let empty = Window::new(self.profile.window, self.profile.is_careful);
        let window = std::mem::replace(&mut self.window, empty);
        if view.rng.coin() {
            self.twin = Some(Twin::new(session, window, view));
        } else {
            view.stats.add("messages whose fate is unknown", window.len() as u64);
        }
        if view.rng.coin() {
            self.resume = None;
        }
        self.reopen();
    }

    /// Leaves the session as it is and opens another, or one that it left earlier.
    fn change_name(&mut self, session: Session, view: &mut View<'_>) {
        view.stats.hit("clients that change their name");
        view.stats.add("messages whose fate is unknown", self.window.forget());
        if view.rng.coin() {
            let node = self.target(view);
            view.send(node, UNHEARD, Asked::Close { session: session.id, epoch: session.epoch });
        }
        self.left.insert(self.alias, session.id);
        self.alias = (self.alias + 1) % self.profile.names;
        self.resume = self.left.get(&self.alias).copied().filter(|_| view.rng.coin());
        self.reopen();
    }
}

/// Whether the log says that the session has ended.
fn is_gone(session: Session, view: &View<'_>) -> bool {
    let (from, end) = (session.opened_at, view.log.end());
    let bytes = view.log.bytes_between(from, end);
    let mut frames = Frames::new(bytes, from, view.log.terms().term_before(from)).map_while(Result::ok);
    frames.any(|frame| {
        let is_end = |body| matches!(body, Body::SessionClose(close) if close.reason != sequencer_wire::CloseReason::Expired);
        frame.fields.source_id == session.id && frame.body().is_ok_and(is_end)
    })
}
