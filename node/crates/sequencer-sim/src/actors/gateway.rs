//! Gateways: sessions of one group, of which the one that holds the role acts.
//!
//! A gateway reads its grant from the log, acts only while it has a lease (a sign of life that a leader accepted was sent less than half of
//! its time-out ago), and leaves now and then a twin behind that goes on with the old role epoch.

use std::collections::BTreeMap;

use sequencer_core::{Outcome, Refusal};
use sequencer_storage::SplitMix64;
use sequencer_wire::{Body, Frames, Position};

use super::{Actor, Asked, Reply, Told, View};
use crate::checker::Committed;
use crate::profile::MS;

const OPEN: u64 = 1 << 60;
const KEEP_ALIVE: u64 = 2 << 60;
const STALE: u64 = 4 << 60;
const KINDS: u64 = 7 << 60;
const LIFE_SHIFT: u32 = 32;
const CLASS: u16 = 2;

#[derive(Debug, Clone, Copy)]
struct Session {
    id: u32,
    epoch: u32,
    role: Option<u32>,
    next_sequence: u64,
}

/// See the module's description.
pub(crate) struct Gateway {
    name: String,
    group: u32,
    timeout_ns: u64,
    session: Option<Session>,
    resume: Option<u32>,
    /// What it has read of the log.
    read: Position,
    lease_until_ns: u64,
    alive_sent: BTreeMap<u64, u64>,
    /// The message that is not known to be in the log: sequence, payload, when it was sent.
    pending: Option<(u64, Vec<u8>, u64)>,
    asked_ns: u64,
    silent_until_ns: u64,
    life: u64,
    /// A process that was replaced and does not know it, and until when it runs.
    twin: Option<(Session, u64)>,
}

impl Gateway {
    pub(crate) fn new(number: u64, group: u32, rng: &mut SplitMix64) -> Self {
        Self {
            name: format!("gateway-{number}"),
            group,
            timeout_ns: (400 + rng.below(600)) * MS,
            session: None,
            resume: None,
            read: Position(0),
            lease_until_ns: 0,
            alive_sent: BTreeMap::new(),
            pending: None,
            asked_ns: 0,
            silent_until_ns: 0,
            life: 0,
            twin: None,
        }
    }

    fn open(&mut self, view: &mut View<'_>) {
        if view.now_ns < self.asked_ns + 60 * MS && self.asked_ns > 0 {
            return;
        }
        self.asked_ns = view.now_ns;
        let Some(leader) = view.leader else { return };
        let (name, group, timeout_ns, resume) = (self.name.clone(), self.group, self.timeout_ns, self.resume);
        view.send(leader, OPEN | self.life, Asked::Open { name, class: CLASS, group, timeout_ns, resume });
    }

    /// Reads on in the log, from any node, and learns who holds the role.
    fn follow(&mut self, view: &mut View<'_>) {
        let node = view.rng.below(view.readable.len() as u64) as usize;
        let Some((start, end)) = view.readable[node] else { return };
        self.read = self.read.max(start);
        if end <= self.read {
            return;
        }
        let bytes = view.log.bytes_between(self.read, end);
        let term = view.log.terms().term_before(self.read);
        let mut is_fenced = false;
        for frame in Frames::new(bytes, self.read, term).flatten() {
            let Some(session) = &mut self.session else { break };
            let is_own = frame.fields.source_id == session.id;
            match frame.body() {
                Ok(Body::RoleGranted(granted)) if granted.group == self.group => {
                    let is_mine = is_own && granted.session_epoch == session.epoch;
                    session.role = is_mine.then_some(frame.fields.epoch);
                }
                Ok(Body::SessionClose(_)) if is_own && frame.fields.epoch >= session.epoch => {
                    is_fenced = true
                }
                Ok(Body::SessionOpen(_)) if is_own && frame.fields.epoch > session.epoch => is_fenced = true,
                _ => {}
            }
        }
        self.read = end;
        if is_fenced {
            self.restart(false, view);
        }
    }

    fn keep_alive(&mut self, view: &mut View<'_>) {
        let Some(session) = self.session else { return };
        if view.now_ns < self.asked_ns + self.timeout_ns / 8 {
            return;
        }
        self.asked_ns = view.now_ns;
        let Some(leader) = view.leader else { return };
        let tag = KEEP_ALIVE | self.life << LIFE_SHIFT | self.alive_sent.len() as u64;
        self.alive_sent.insert(tag, view.now_ns);
        view.send(leader, tag, Asked::KeepAlive { session: session.id, epoch: session.epoch });
    }

    /// Acts under its role, if it holds it for sure.
    fn perform(&mut self, view: &mut View<'_>) {
        let Some(session) = self.session else { return };
        let Some(role_epoch) = session.role.filter(|_| view.now_ns < self.lease_until_ns) else { return };
        let Some(leader) = view.leader else { return };
        if self.pending.is_none() && !view.is_healed {
            let number = view.next_number();
            view.admitting(number);
            self.pending = Some((session.next_sequence, number.to_le_bytes().to_vec(), 0));
        }
        let Some((sequence, payload, sent_ns)) = &mut self.pending else { return };
        if view.now_ns < *sent_ns + 80 * MS && *sent_ns > 0 {
            return;
        }
        *sent_ns = view.now_ns;
        let message = message(session.id, role_epoch, *sequence, payload.clone());
        let tag = self.life << LIFE_SHIFT | *sequence;
        view.told.push(Told::Acting { group: self.group, session: session.id, role_epoch });
        view.stats.hit("acts of gateways");
        view.send(leader, tag, message);
    }

    /// What a process does that was replaced and does not know it.
    fn haunt(&mut self, view: &mut View<'_>) {
        let Some((twin, until_ns)) = self.twin else { return };
        if view.now_ns > until_ns || view.is_healed {
            self.twin = None;
            return;
        }
        if let (Some(role_epoch), Some(leader)) = (twin.role, view.leader)
            && view.rng.below(3) == 0
        {
            let number = view.next_number();
            view.admitting(number);
            let sequence = twin.next_sequence + view.rng.below(3);
            view.send(leader, STALE, message(twin.id, role_epoch, sequence, number.to_le_bytes().to_vec()));
        }
    }

    /// The process ends, or finds out that it was replaced; a new one opens the session again.
    fn restart(&mut self, leaves_twin: bool, view: &mut View<'_>) {
        let Some(session) = self.session.take() else { return };
        if leaves_twin {
            self.twin = Some((session, view.now_ns + view.rng.below(2_000 * MS)));
        }
        self.resume = Some(session.id);
        self.pending = None;
        self.alive_sent.clear();
        self.lease_until_ns = 0;
        self.asked_ns = 0;
        self.life += 1;
    }
}

fn message(session: u32, epoch: u32, sequence: u64, payload: Vec<u8>) -> Asked {
    Asked::Message { session, epoch, sequence, cause: Position(0), schema_id: 0, schema_version: 0, payload }
}

impl Actor for Gateway {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        self.haunt(view);
        if view.now_ns < self.silent_until_ns && !view.is_healed {
            return 20 * MS;
        }
        if self.session.is_none() {
            self.open(view);
            return 20 * MS;
        }
        self.follow(view);
        self.keep_alive(view);
        self.perform(view);
        if !view.is_healed {
            match view.rng.below(200) {
                0 => self.silent_until_ns = view.now_ns + view.rng.below(4 * self.timeout_ns),
                1 => self.restart(true, view),
                _ => {}
            }
        }
        5 * MS + view.rng.below(20 * MS)
    }

    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        match tag & KINDS {
            OPEN if tag == OPEN | self.life && self.session.is_none() => match reply {
                Ok(Outcome::Opened { session, epoch, last_sequence, at, .. }) => {
                    view.told.push(Told::Opened { session, epoch, last_sequence, at });
                    // What the log says from here on is about this opening.
                    self.read = at;
                    self.resume = Some(session);
                    let next_sequence = last_sequence + 1;
                    self.session = Some(Session { id: session, epoch, role: None, next_sequence });
                }
                Err(Refusal::SessionLost { .. }) => self.resume = None,
                _ => {}
            },
            KEEP_ALIVE
                if tag & !KINDS >> LIFE_SHIFT << LIFE_SHIFT | KEEP_ALIVE
                    == KEEP_ALIVE | self.life << LIFE_SHIFT =>
            {
                match reply {
                    Ok(_) => {
                        if let Some(sent_ns) = self.alive_sent.get(&tag) {
                            self.lease_until_ns = self.lease_until_ns.max(sent_ns + self.timeout_ns / 2);
                        }
                    }
                    Err(
                        Refusal::UnknownSession { .. }
                        | Refusal::StaleEpoch { .. }
                        | Refusal::SessionExpired { .. },
                    ) => {
                        self.restart(false, view);
                    }
                    Err(_) => {}
                }
            }
            0 if tag >> LIFE_SHIFT == self.life => {
                let sequence = tag & u64::from(u32::MAX);
                let Some(session) = &mut self.session else { return };
                let is_pending = self.pending.as_ref().is_some_and(|(pending, ..)| *pending == sequence);
                match reply {
                    Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at }) => {
                        view.told.push(Told::Admitted { session: session.id, sequence, at });
                        if is_pending {
                            self.pending = None;
                            session.next_sequence = sequence + 1;
                        }
                    }
                    Ok(Outcome::AlreadyAdmitted { .. }) if is_pending => {
                        self.pending = None;
                        session.next_sequence = sequence + 1;
                    }
                    // The role is lost; the log will say so.
                    Err(Refusal::NotActive { .. }) => session.role = None,
                    Err(Refusal::SequenceGap { .. }) => self.restart(false, view),
                    Err(Refusal::UnknownSession { .. } | Refusal::SessionExpired { .. }) => {
                        self.restart(false, view);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn describe(&self) -> String {
        format!("{} {:?}", self.name, self.session)
    }

    fn is_done(&self, _log: &Committed) -> bool {
        // A message that nobody acts on any more need not arrive.
        true
    }
}
