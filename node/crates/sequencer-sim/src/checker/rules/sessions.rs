//! Sessions: one sequence without gap or repeat, epochs that fence, ends that are due, and a bound on how many are kept.

use std::collections::BTreeMap;

use sequencer_wire::{CloseReason, Frame, Position, SessionOpen};

use super::Broken;
use crate::checker::Verdict;

/// What a session is at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may send.
    Live,
    /// It expired at this position and can be opened again.
    Idle(Position),
    /// It was closed, evicted or revoked: its id means nothing any more.
    Gone,
}

#[derive(Debug, Clone)]
struct Session {
    name: String,
    class: u16,
    group: u32,
    epoch: u32,
    timeout_ns: u64,
    state: State,
    /// Position of its newest open.
    opened_at: Position,
    /// Timestamp of its newest frame.
    heard_ns: u64,
    /// Where its messages stand: sequence 1 first.
    places: Vec<Position>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sessions {
    limit: usize,
    /// Every session that there ever was.
    all: BTreeMap<u32, Session>,
    /// What each open said: session, epoch, last sequence.
    opens: BTreeMap<Position, (u32, u32, u64)>,
    /// Where each message stands, by its number.
    numbers: BTreeMap<u64, Position>,
    /// Timestamp of the newest leader's start.
    led_ns: u64,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// A new leader starts all time-outs anew.
    pub(super) fn on_new_term(&mut self, frame: &Frame<'_>) {
        self.led_ns = frame.fields.timestamp_ns;
    }

    pub(super) fn class_of(&self, id: u32) -> u16 {
        self.all.get(&id).map_or(0, |session| session.class)
    }

    /// Group and time-out of a session; group 0 for none.
    pub(super) fn group_of(&self, id: u32) -> (u32, u64) {
        self.all.get(&id).map_or((0, 0), |session| (session.group, session.timeout_ns))
    }

    /// The live session of a group that has been open longest, and its epoch.
    pub(super) fn longest_open(&self, group: u32) -> Option<(u32, u32)> {
        let of_group = self.all.iter().filter(|(_, session)| session.group == group);
        let live = of_group.filter(|(_, session)| session.state == State::Live);
        live.min_by_key(|(_, session)| session.opened_at).map(|(id, session)| (*id, session.epoch))
    }

    /// Sessions that are live or idle.
    fn kept(&self) -> usize {
        self.all.values().filter(|session| session.state != State::Gone).count()
    }

    /// Returns the session's group.
    pub(super) fn on_message(&mut self, frame: &Frame<'_>, payload: &[u8]) -> Result<u32, Broken> {
        let (id, sequence, epoch) =
            (frame.fields.source_id, frame.fields.source_sequence, frame.fields.epoch);
        let what = frame.fields.kind.name();
        let session = match self.all.get_mut(&id) {
            Some(session) if session.state == State::Live => session,
            other => {
                let state = other.map(|session| session.state);
                return Err((
                    "messages come from open sessions",
                    format!("a {what} of session {id} at {}, which is {state:?}", frame.at),
                ));
            }
        };
        let expected = session.places.len() as u64 + 1;
        if sequence != expected {
            return Err((
                "4. sequences have no gap and no repeat",
                format!("session {id} has {sequence} at {} instead of {expected}", frame.at),
            ));
        }
        // What a session in a group sends bears the epoch of the role; `roles` judges that.
        if session.group == 0 && epoch != session.epoch {
            return Err((
                "5. messages bear the newest epoch",
                format!("session {id} sends in epoch {epoch} at {}, opened in {}", frame.at, session.epoch),
            ));
        }
        let Some(number) = payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
            return Err((
                "messages have a number",
                format!("a {what} of session {id} at {} has none", frame.at),
            ));
        };
        if let Some(first) = self.numbers.get(&number) {
            return Err((
                "a message stands once",
                format!("message {number} stands at {first} and at {}", frame.at),
            ));
        }
        self.numbers.insert(number, frame.at);
        session.places.push(frame.at);
        session.heard_ns = frame.fields.timestamp_ns;
        Ok(session.group)
    }

    pub(super) fn on_open(&mut self, frame: &Frame<'_>, open: &SessionOpen<'_>) -> Verdict {
        let (id, epoch, at) = (frame.fields.source_id, frame.fields.epoch, frame.at);
        let has_name = |session: &Session| session.state != State::Gone && session.name == open.name;
        if let Some((other, _)) = self.all.iter().find(|(other, session)| **other != id && has_name(session))
        {
            return Err(("one name, one session", format!("{} is {other} and {id} at {at}", open.name)));
        }
        let kept = self.kept();
        let known = self.all.get_mut(&id);
        match &known {
            None if kept >= self.limit => {
                return Err((
                    "sessions are bounded",
                    format!("session {id} at {at} comes to {kept} others, the bound is {}", self.limit),
                ));
            }
            Some(session) if session.state == State::Gone => {
                return Err(("7. session ids are never used again", format!("{id} comes back at {at}")));
            }
            Some(session) if session.name != open.name => {
                let detail = format!("{id} at {at} is {} and {}", session.name, open.name);
                return Err(("one name, one session", detail));
            }
            Some(session) if (session.class, session.group) != (open.class, open.group) => {
                return Err((
                    "a session keeps its class and its group",
                    format!("{id} at {at} opens as {open:?}, not {session:?}"),
                ));
            }
            _ => {}
        }
        let before = known.as_ref().map_or(0, |session| session.epoch);
        if id == 0 || epoch != before + 1 {
            return Err((
                "5. epochs rise by one",
                format!("session {id} goes from {before} to {epoch} at {at}"),
            ));
        }
        let places = known.map(|session| std::mem::take(&mut session.places)).unwrap_or_default();
        self.opens.insert(at, (id, epoch, places.len() as u64));
        let session = Session {
            name: open.name.to_owned(),
            class: open.class,
            group: open.group,
            epoch,
            timeout_ns: open.timeout_ns,
            state: State::Live,
            opened_at: at,
            heard_ns: frame.fields.timestamp_ns,
            places,
        };
        self.all.insert(id, session);
        Ok(())
    }

    pub(super) fn on_close(&mut self, frame: &Frame<'_>, reason: CloseReason) -> Verdict {
        let (id, epoch, at) = (frame.fields.source_id, frame.fields.epoch, frame.at);
        let idle = |session: &Session| match session.state {
            State::Idle(since) => Some(since),
            State::Live | State::Gone => None,
        };
        let longest_idle = self.all.values().filter_map(idle).min();
        let (kept, limit, led_ns) = (self.kept(), self.limit, self.led_ns);
        let Some(session) = self.all.get_mut(&id).filter(|session| session.state != State::Gone) else {
            return Err(("only sessions are closed", format!("{id} at {at} is none")));
        };
        if epoch != session.epoch {
            return Err((
                "5. messages bear the newest epoch",
                format!("session {id} is {reason} in epoch {epoch} at {at}, opened in {}", session.epoch),
            ));
        }
        match reason {
            CloseReason::Expired => {
                let silent_ns = frame.fields.timestamp_ns.saturating_sub(session.heard_ns.max(led_ns));
                if session.state != State::Live || silent_ns < session.timeout_ns {
                    return Err((
                        "6. a session expires after its time-out",
                        format!(
                            "{id}, {:?}, at {at} after {silent_ns} of {} ns",
                            session.state, session.timeout_ns
                        ),
                    ));
                }
                session.state = State::Idle(at);
            }
            CloseReason::Evicted => {
                if idle(session).is_none() || idle(session) != longest_idle {
                    return Err((
                        "the session that is idle longest makes room",
                        format!("{id}, {:?}, at {at}; longest is {longest_idle:?}", session.state),
                    ));
                }
                if kept < limit {
                    return Err((
                        "a session makes room only when there is none",
                        format!("{id} at {at} with {kept} of {limit}"),
                    ));
                }
                session.state = State::Gone;
            }
            CloseReason::Closed | CloseReason::Revoked => session.state = State::Gone,
        }
        Ok(())
    }

    pub(super) fn check_admitted(&self, id: u32, sequence: u64, at: Position) -> Verdict {
        let index = sequence.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let place = self.all.get(&id).zip(index).and_then(|(session, index)| session.places.get(index));
        if place == Some(&at) {
            return Ok(());
        }
        Err((
            "acknowledged means committed",
            format!("session {id} was told that {sequence} is at {at}, the log has it at {place:?}"),
        ))
    }

    pub(super) fn check_opened(&self, id: u32, epoch: u32, last_sequence: u64, at: Position) -> Verdict {
        let said = self.opens.get(&at);
        if said == Some(&(id, epoch, last_sequence)) {
            return Ok(());
        }
        Err((
            "an open answers what the log says",
            format!("session {id} epoch {epoch} last {last_sequence} at {at}; the log says {said:?}"),
        ))
    }
}
