//! What is asked besides the client's own messages, and what may be said to it: nonsense, repeats, and what a twin sends.

use std::collections::BTreeMap;

use sequencer_core::{Outcome, Refusal};
use sequencer_wire::{Body, Frames, Position};

use super::nonsense::{Nonsense, Verdict};
use crate::actors::{Asked, Reply, Told, View};

/// Answers that are waited for; older ones do not come any more.
const WAITING_MAX: usize = 64;

/// Something asked to see what is said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::actors) enum Probe {
    /// Something that must be refused, asked by a session.
    Nonsense { session: u32, nonsense: Nonsense },
    /// A message that is acknowledged already.
    Repeat { session: u32, sequence: u64, number: u64 },
    /// A message of a process that was replaced; `fenced_at` is where, if that was known when it was sent.
    Twin { session: u32, sequence: u64, number: u64, fenced_at: Option<Position> },
}

/// Everything that was asked in this way and not answered.
#[derive(Debug, Default)]
pub(in crate::actors) struct Probes {
    waiting: BTreeMap<u64, Probe>,
    count: u64,
}

impl Probes {
    /// Sends a probe. `kind` is what the tags of probes begin with.
    pub(in crate::actors) fn send(
        &mut self,
        kind: u64,
        node: usize,
        probe: Probe,
        asked: Asked,
        view: &mut View<'_>,
    ) {
        self.count += 1;
        let tag = kind | self.count;
        self.waiting.insert(tag, probe);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
        view.send(node, tag, asked);
    }

    /// Judges an answer. A request may come twice, and so may its answer; the first counts.
    pub(in crate::actors) fn judge(&mut self, tag: u64, reply: &Reply, view: &mut View<'_>) {
        match self.waiting.remove(&tag) {
            Some(Probe::Nonsense { session, nonsense }) => match nonsense.judge(session, reply) {
                Verdict::Right => view.stats.hit("nonsense refused"),
                Verdict::Unsaid => {}
                Verdict::Wrong(got) => {
                    view.told.push(Told::WrongRefusal { expected: nonsense.expected(), got })
                }
            },
            Some(Probe::Repeat { session, sequence, number }) => match reply {
                Ok(Outcome::Repeat { first }) => {
                    view.stats.hit("repeats answered with the first place");
                    tell_admitted(session, sequence, *first, Some(number), view);
                }
                Ok(Outcome::AlreadyAdmitted { .. }) => view.stats.hit("repeats known as such"),
                Ok(outcome) => {
                    let got = format!("{outcome:?} for sequence {sequence} of session {session}");
                    view.told.push(Told::WrongRefusal { expected: "repeat", got });
                }
                Err(_) => {}
            },
            Some(Probe::Twin { session, sequence, number, fenced_at }) => match (reply, fenced_at) {
                (Ok(Outcome::Admitted { at, .. }), Some(fenced_at)) if *at > fenced_at => {
                    let got =
                        format!("sequence {sequence} of session {session} at {at}, fenced at {fenced_at}");
                    view.told.push(Told::WrongRefusal { expected: "a refusal of what was replaced", got });
                }
                (Ok(Outcome::Admitted { at, .. }), _) => {
                    tell_admitted(session, sequence, *at, Some(number), view)
                }
                (Err(Refusal::StaleEpoch { .. } | Refusal::NotActive { .. }), _) => {
                    view.stats.hit("twins refused")
                }
                (Err(refusal), _) if !is_for_messages(refusal) => {
                    let got = refusal.to_string();
                    view.told.push(Told::WrongRefusal { expected: "a refusal of what was replaced", got });
                }
                _ => {}
            },
            None => {}
        }
    }
}

/// What may be said to a message that is well formed.
pub(in crate::actors) fn is_for_messages(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotLeader { .. }
            | Refusal::NotReady { .. }
            | Refusal::HandingOver { .. }
            | Refusal::Backpressure { .. }
            | Refusal::LogFull
            | Refusal::UnknownSession { .. }
            | Refusal::StaleEpoch { .. }
            | Refusal::SessionExpired { .. }
            | Refusal::SequenceGap { .. }
            | Refusal::NotActive { .. }
            // Not registered yet.
            | Refusal::UnknownSchema { .. }
            | Refusal::UnknownService { .. }
    )
}

/// What may be said to an open that is well formed.
pub(in crate::actors) fn is_for_opens(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotLeader { .. }
            | Refusal::NotReady { .. }
            | Refusal::HandingOver { .. }
            | Refusal::Backpressure { .. }
            | Refusal::LogFull
            | Refusal::SessionLost { .. }
            | Refusal::NameTaken { .. }
            | Refusal::TooManySessions { .. }
    )
}

/// Says that a message is in the log, and looks whether it is that one.
pub(in crate::actors) fn tell_admitted(
    session: u32,
    sequence: u64,
    at: Position,
    number: Option<u64>,
    view: &mut View<'_>,
) {
    view.told.push(Told::Admitted { session, sequence, at });
    if let Some(number) = number
        && at < view.log.end()
    {
        let found = number_at(at, view);
        assert!(
            found == Some(number),
            "session {session} was told that its sequence {sequence}, message {number}, is at {at}, where {found:?} stands"
        );
    }
}

/// The number of the message at a position.
fn number_at(at: Position, view: &View<'_>) -> Option<u64> {
    let bytes = view.log.bytes_between(at, view.log.end());
    let frame = Frames::new(bytes, at, view.log.terms().term_before(at)).next()?.ok()?;
    let payload = match frame.body().ok()? {
        Body::Message(payload) => payload,
        Body::Query(query) => query.request,
        _ => return None,
    };
    payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
