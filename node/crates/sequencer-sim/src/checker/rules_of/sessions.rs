//! Sessions: one sequence without gap or repeat, epochs that fence, and ends that are due.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{CloseReason, Frame, Position, SessionOpen};

use crate::checker::Verdict;

#[derive(Debug, Default)]
struct Model {
    name: String,
    class: u16,
    group: u32,
    epoch: u32,
    timeout_ns: u64,
    is_live: bool,
    idle_since: Position,
    /// Timestamp of its last frame.
    heard_ns: u64,
    places: Vec<Position>,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    limit: usize,
    models: BTreeMap<u32, Model>,
    /// Where the messages of sessions that are gone stand.
    gone: BTreeMap<u32, Vec<Position>>,
    opens: BTreeMap<Position, (u32, u32, u64)>,
    numbers: BTreeSet<u64>,
    last_id: u32,
    last_term_ns: u64,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn on_new_term(&mut self, frame: &Frame<'_>) -> Verdict {
        self.last_term_ns = frame.fields.timestamp_ns;
        Ok(())
    }

    pub(super) fn class_of(&self, session: u32) -> u16 {
        self.models.get(&session).map_or(0, |model| model.class)
    }

    /// Returns the session's group.
    pub(super) fn on_message(
        &mut self,
        frame: &Frame<'_>,
        payload: &[u8],
    ) -> Result<u32, (&'static str, String)> {
        let (session, sequence) = (frame.fields.source_id, frame.fields.source_sequence);
        let model = self.models.get_mut(&session).filter(|model| model.is_live).ok_or_else(|| {
            ("messages come from open sessions", format!("session {session} at {} is not open", frame.at))
        })?;
        let expected = model.places.len() as u64 + 1;
        if sequence != expected {
            return Err((
                "4. sequences have no gap and no repeat",
                format!("session {session} has {sequence} at {} instead of {expected}", frame.at),
            ));
        }
        if model.group == 0 && frame.fields.epoch != model.epoch {
            return Err((
                "5. messages bear the newest epoch",
                format!("session {session} has {} at {}, not {}", frame.fields.epoch, frame.at, model.epoch),
            ));
        }
        model.places.push(frame.at);
        model.heard_ns = frame.fields.timestamp_ns;
        let number = payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if !number.is_some_and(|number| self.numbers.insert(number)) {
            return Err((
                "a message stands once",
                format!("message {number:?} stands again at {}", frame.at),
            ));
        }
        Ok(model.group)
    }

    pub(super) fn on_open(&mut self, frame: &Frame<'_>, open: &SessionOpen<'_>) -> Verdict {
        let (session, epoch) = (frame.fields.source_id, frame.fields.epoch);
        let other = self.models.iter().find(|(id, model)| **id != session && model.name == open.name);
        if let Some((other, _)) = other {
            return Err(("one name, one session", format!("{} is {session} and {other}", open.name)));
        }
        if !self.models.contains_key(&session) {
            if session <= self.last_id {
                return Err(("7. session ids are never used again", format!("{session} at {}", frame.at)));
            }
            self.last_id = session;
            if self.models.len() >= self.limit {
                return Err((
                    "sessions are bounded",
                    format!("one more than {} at {}", self.limit, frame.at),
                ));
            }
        }
        let model = self.models.entry(session).or_insert_with(|| Model {
            name: open.name.to_owned(),
            class: open.class,
            group: open.group,
            ..Model::default()
        });
        if epoch != model.epoch + 1 || (model.class, model.group) != (open.class, open.group) {
            return Err((
                "5. epochs rise by one",
                format!("session {session} goes from {} to {epoch} at {}", model.epoch, frame.at),
            ));
        }
        model.epoch = epoch;
        model.timeout_ns = open.timeout_ns;
        model.is_live = true;
        model.heard_ns = frame.fields.timestamp_ns;
        self.opens.insert(frame.at, (session, epoch, model.places.len() as u64));
        Ok(())
    }

    pub(super) fn on_close(&mut self, frame: &Frame<'_>, reason: CloseReason) -> Verdict {
        let session = frame.fields.source_id;
        let oldest = self.models.values().filter(|model| !model.is_live).map(|model| model.idle_since).min();
        let Some(model) = self.models.get_mut(&session) else {
            return Err(("only sessions are closed", format!("{session} at {} is none", frame.at)));
        };
        match reason {
            CloseReason::Expired => {
                let silent_ns =
                    frame.fields.timestamp_ns.saturating_sub(model.heard_ns.max(self.last_term_ns));
                if !model.is_live || silent_ns < model.timeout_ns {
                    return Err((
                        "6. a session expires after its time-out",
                        format!("{session} at {} after {silent_ns} of {} ns", frame.at, model.timeout_ns),
                    ));
                }
                model.is_live = false;
                model.idle_since = frame.at;
                return Ok(());
            }
            CloseReason::Evicted if model.is_live || Some(model.idle_since) != oldest => {
                return Err((
                    "the session that is idle longest makes room",
                    format!("{session} was evicted at {}", frame.at),
                ));
            }
            CloseReason::Closed | CloseReason::Evicted | CloseReason::Revoked => {}
        }
        let model = self.models.remove(&session).unwrap_or_default();
        self.gone.insert(session, model.places);
        Ok(())
    }

    pub(super) fn check_admitted(&self, session: u32, sequence: u64, at: Position) -> Verdict {
        let places = self.models.get(&session).map(|model| &model.places).or_else(|| self.gone.get(&session));
        let place = places.and_then(|places| places.get(sequence as usize - 1));
        if place == Some(&at) {
            return Ok(());
        }
        Err((
            "acknowledged means committed",
            format!("session {session} was told that {sequence} is at {at}, the log has it at {place:?}"),
        ))
    }

    pub(super) fn check_opened(&self, session: u32, epoch: u32, last_sequence: u64, at: Position) -> Verdict {
        if self.opens.get(&at) == Some(&(session, epoch, last_sequence)) {
            return Ok(());
        }
        Err((
            "an open answers what the log says",
            format!("{session} epoch {epoch} last {last_sequence} at {at}; log: {:?}", self.opens.get(&at)),
        ))
    }
}
