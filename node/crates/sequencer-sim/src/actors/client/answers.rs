//! What a client concludes from the answers to its own requests.

use sequencer_core::Refusal;
use sequencer_wire::{NodeId, Position};

use super::probe::tell_admitted;
use super::{Client, Session};
use crate::actors::{Told, View};

impl Client {
    pub(super) fn acknowledge(
        &mut self,
        life: u64,
        sequence: u64,
        place: Option<Position>,
        view: &mut View<'_>,
    ) {
        let Some(asked_of) = self.sessions.get(life as usize).copied().filter(|session| *session > 0) else {
            return;
        };
        // An answer of an earlier life is as true as ever, but its sequence may be of another session.
        let message = if self.resume == Some(asked_of) { self.window.acknowledge(sequence) } else { None };
        let number = message.map(|message| message.number);
        if number.is_some() {
            view.stats.hit("messages acknowledged");
        }
        if let Some(at) = place {
            tell_admitted(asked_of, sequence, at, number, view);
        }
    }

    pub(super) fn on_opened(&mut self, session: Session, last_sequence: u64, view: &mut View<'_>) {
        assert!(
            self.resume.is_none_or(|id| id == session.id),
            "{:?} was asked for, not {session:?}",
            self.resume
        );
        self.begin_life(session.id);
        self.resume = Some(session.id);
        self.session = Some(session);
        let found = self.window.resume_after(last_sequence);
        view.stats.add("messages found in the log by an open", found);
        let first = self.window.first();
        assert!(
            first == last_sequence + 1,
            "the log holds {last_sequence}, and {first} is the first that it may lack"
        );
    }

    fn on_refusal(&mut self, refusal: &Refusal, view: &mut View<'_>) {
        match *refusal {
            Refusal::NotLeader { leader } if self.profile.follows_hints => {
                let known = |leader: NodeId| (leader.0 as usize) <= view.readable.len();
                self.hint = leader.filter(|leader| known(*leader)).map(|leader| leader.0 as usize - 1);
            }
            Refusal::SequenceGap { expected, .. } => self.window.go_back(expected, view.now_ns),
            Refusal::StaleEpoch { .. } | Refusal::SessionExpired { .. } => self.reopen(),
            Refusal::UnknownSession { .. } | Refusal::SessionLost { .. } => self.believe_gone(view),
            Refusal::NameTaken { .. } => {
                self.renamed += 1;
                self.give_up(view);
            }
            // It asks again after a while.
            _ => {}
        }
    }

    /// Something was refused that is well formed.
    pub(super) fn on_refused(&mut self, life: u64, refusal: &Refusal, is_right: bool, view: &mut View<'_>) {
        if !is_right {
            let got = refusal.to_string();
            view.told.push(Told::WrongRefusal { expected: "a refusal of what is well formed", got });
        } else if life == self.life {
            self.on_refusal(refusal, view);
        }
    }
}
