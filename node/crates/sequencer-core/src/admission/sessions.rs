//! Rules of sessions: who may write, in which order, and how sessions begin and end.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Body, CloseReason, FrameKind, NAME_BYTES_MAX, SchemaOwner, SessionClose, SessionOpen};

use super::{Head, Ruling};
use crate::answer::Outcome;
use crate::core::Core;
use crate::event::Now;
use crate::ledger::{GROUP_SESSIONS_MAX, Hot};
use crate::refusal::Refusal;
use crate::request::{Message, Open};

/// Election time-outs in the shortest time-out of a session that shares a role.
const ROLE_TIMEOUT_ELECTIONS: u64 = 4;

impl Core {
    pub(super) fn admit_message(&mut self, message: &Message<'_>, now: Now) -> Ruling {
        self.admit_session_frame(FrameKind::Message, message, message.payload, now)
    }

    pub(super) fn admit_query(&mut self, service: u32, message: &Message<'_>, now: Now) -> Ruling {
        if !self.ledger.services.contains_key(&service) {
            return Err(Refusal::UnknownService { service });
        }
        let body = Body::Query(sequencer_wire::Query { service, request: message.payload });
        let mut payload = std::mem::take(&mut self.scratch);
        payload.resize(body.payload_bytes(), 0);
        body.encode(&mut payload);
        let ruling = self.admit_session_frame(FrameKind::SequencedQuery, message, &payload, now);
        self.scratch = payload;
        ruling
    }

    #[inline]
    fn admit_session_frame(
        &mut self,
        kind: FrameKind,
        message: &Message<'_>,
        payload: &[u8],
        now: Now,
    ) -> Ruling {
        let (slot, repeat) = self.judge_message(message)?;
        if let Some(repeat) = repeat {
            return Ok(repeat);
        }
        let class = self.ledger.sessions.hot(slot).class;
        self.check_schema(message.schema_id, message.schema_version, SchemaOwner::Class(class))?;
        self.check_room(payload.len(), true)?;
        let head = Head {
            kind,
            source_id: message.session,
            sequence: message.sequence,
            epoch: message.epoch,
            cause: message.cause,
            schema_id: message.schema_id,
            schema_version: message.schema_version,
        };
        let (at, timestamp_ns) = self.append(&head, payload, now);
        self.ledger.record_message(slot, message.sequence, at);
        self.ledger.sessions.hear(slot, timestamp_ns);
        Ok(Outcome::Admitted { at, timestamp_ns })
    }

    /// The session's slot, and where the message stands already if it is a repeat.
    #[inline]
    pub(super) fn judge_message(&self, message: &Message<'_>) -> Result<(usize, Option<Outcome>), Refusal> {
        let session = message.session;
        let slot = self.ledger.sessions.find(session).ok_or(Refusal::UnknownSession { session })?;
        let hot = self.ledger.sessions.hot(slot);
        self.check_writer(hot, message.epoch)?;
        let (last, expected) = (hot.last, hot.last + 1);
        if message.sequence <= last {
            let repeat = match self.ledger.sessions.place_of(slot, message.sequence) {
                Some(first) => Outcome::Repeat { first },
                None => Outcome::AlreadyAdmitted { last },
            };
            return Ok((slot, Some(repeat)));
        }
        if message.sequence > expected && !teeth::is_active(Bug::ForgetWindow) {
            return Err(Refusal::SequenceGap { session, found: message.sequence, expected });
        }
        Ok((slot, None))
    }

    /// Whether the session may write in this epoch.
    #[inline]
    fn check_writer(&self, hot: &Hot, epoch: u32) -> Result<(), Refusal> {
        let session = hot.id;
        if !hot.is_live {
            return Err(Refusal::SessionExpired { session });
        }
        if hot.group == 0 {
            if hot.epoch != epoch && !teeth::is_active(Bug::SkipFencing) {
                return Err(Refusal::StaleEpoch { session, found: epoch, current: hot.epoch });
            }
            return Ok(());
        }
        let group = self.ledger.groups.get(&hot.group);
        let (current, holder) = group.map_or((0, None), |group| (group.epoch, group.holder));
        if (holder == Some(session) && current == epoch) || teeth::is_active(Bug::AdmitOldRole) {
            return Ok(());
        }
        Err(Refusal::NotActive { session, group: hot.group, found: epoch, current, holder })
    }

    /// Whether `user` may use a schema.
    #[inline]
    pub(crate) fn check_schema(&self, schema: u16, version: u16, user: SchemaOwner) -> Result<(), Refusal> {
        if schema == 0 {
            return Ok(());
        }
        match self.ledger.schemas.get(schema) {
            Some((owner, newest)) if version <= newest => {
                if owner == user {
                    Ok(())
                } else {
                    Err(Refusal::NotOwner { schema, owner })
                }
            }
            entry => Err(Refusal::UnknownSchema { schema, version, newest: entry.map(|(_, newest)| newest) }),
        }
    }

    pub(super) fn admit_open(&mut self, open: &Open<'_>, now: Now) -> Ruling {
        let name_bytes = open.name.len() as u64;
        check_range("name bytes", name_bytes, 1, NAME_BYTES_MAX as u64)?;
        let (mut least, most) = (self.config.session_timeout_ns_min, self.config.session_timeout_ns_max);
        if open.group != 0 {
            // A leader that has lost its place may answer for up to an election time-out more. See "Gateways" in the page.
            least = least.max(ROLE_TIMEOUT_ELECTIONS * self.config.election_timeout_ns);
        }
        check_range("timeout_ns", open.timeout_ns, least, most)?;
        let current = self.ledger.sessions.find_name(open.name);
        let slot = current.and_then(|id| self.ledger.sessions.find(id));
        let hot = slot.map(|slot| *self.ledger.sessions.hot(slot));
        if let Some(found) = open.resume.filter(|found| current != Some(*found)) {
            return Err(Refusal::SessionLost { found, current });
        }
        if let Some(hot) = hot.filter(|hot| (hot.class, hot.group) != (open.class, open.group)) {
            return Err(Refusal::NameTaken { session: hot.id, class: hot.class, group: hot.group });
        }
        self.check_group(open.group, current)?;
        // Room for both frames, so that nobody is evicted in vain.
        self.check_room(sequencer_wire::BODY_BYTES_MAX, true)?;
        if slot.is_none() && self.ledger.sessions.count() >= self.config.sessions_max {
            self.evict_one(now)?;
        }
        let session = current.unwrap_or(self.ledger.sessions.next_id);
        let epoch = hot.map_or(0, |hot| hot.epoch) + 1;
        let head = Head { epoch, ..Head::of(FrameKind::SessionOpen, session) };
        let Open { name, class, group, timeout_ns, .. } = *open;
        let body = Body::SessionOpen(SessionOpen { timeout_ns, group, class, name });
        let Outcome::Admitted { at, timestamp_ns } = self.append_control(&head, &body, true, now)? else {
            unreachable!("a control frame is admitted or refused");
        };
        let slot = self.ledger.sessions.find(session).expect("it was just opened");
        self.ledger.sessions.hear(slot, timestamp_ns);
        let last_sequence = self.ledger.sessions.hot(slot).last;
        Ok(Outcome::Opened { session, epoch, last_sequence, is_resumed: hot.is_some(), at })
    }

    fn check_group(&self, group: u32, session: Option<u32>) -> Result<(), Refusal> {
        let Some(state) = self.ledger.groups.get(&group) else { return Ok(()) };
        let is_in = session.is_some_and(|session| state.sessions.contains(&session));
        if !is_in && state.sessions.len() >= GROUP_SESSIONS_MAX {
            return Err(Refusal::GroupFull { group, limit: GROUP_SESSIONS_MAX });
        }
        Ok(())
    }

    /// Makes room for a session: the one that has been idle longest goes.
    fn evict_one(&mut self, now: Now) -> Result<(), Refusal> {
        let oldest = self.ledger.sessions.oldest_idle().or_else(|| {
            teeth::is_active(Bug::EvictActiveSession).then(|| self.ledger.sessions.ids().next()).flatten()
        });
        let session = oldest.ok_or(Refusal::TooManySessions { limit: self.config.sessions_max })?;
        self.close_session(session, CloseReason::Evicted, now).map(|_| ())
    }

    pub(super) fn admit_close(&mut self, session: u32, epoch: u32, now: Now) -> Ruling {
        let slot = self.ledger.sessions.find(session).ok_or(Refusal::UnknownSession { session })?;
        let current = self.ledger.sessions.hot(slot).epoch;
        if current != epoch {
            return Err(Refusal::StaleEpoch { session, found: epoch, current });
        }
        self.close_session(session, CloseReason::Closed, now)
    }

    pub(crate) fn close_session(&mut self, session: u32, reason: CloseReason, now: Now) -> Ruling {
        let slot = self.ledger.sessions.find(session).ok_or(Refusal::UnknownSession { session })?;
        let epoch = self.ledger.sessions.hot(slot).epoch;
        let head = Head { epoch, ..Head::of(FrameKind::SessionClose, session) };
        self.append_control(&head, &Body::SessionClose(SessionClose { reason }), false, now)
    }

    /// A sign of life of a session that sends nothing. The sign itself is not in the log, so a new leader starts all time-outs anew.
    pub(super) fn hear_session(&mut self, session: u32, epoch: u32, now: Now) -> Ruling {
        let slot = self.ledger.sessions.find(session).ok_or(Refusal::UnknownSession { session })?;
        let hot = self.ledger.sessions.hot(slot);
        if !hot.is_live {
            return Err(Refusal::SessionExpired { session });
        }
        if hot.epoch != epoch {
            return Err(Refusal::StaleEpoch { session, found: epoch, current: hot.epoch });
        }
        let timestamp_ns = self.clock.stamp(now);
        self.ledger.sessions.hear(slot, timestamp_ns);
        Ok(Outcome::Alive)
    }
}

pub(super) fn check_range(field: &'static str, found: u64, least: u64, most: u64) -> Result<(), Refusal> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Refusal::OutOfRange { field, found, least, most })
    }
}
