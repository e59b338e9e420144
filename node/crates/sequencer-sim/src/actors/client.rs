//! Clients: sessions with a window of unacknowledged messages, which they send again until they know what became of them.
//!
//! They restart, fall silent, leave a twin behind that goes on with the old epoch, and ask for nonsense, whose refusal they check.

mod nonsense;

use std::collections::VecDeque;

use sequencer_core::{Outcome, Refusal};
use sequencer_storage::SplitMix64;
use sequencer_wire::{Position, Schema, SchemaOwner};

use super::operator::output_schema;
use super::{Actor, Asked, Reply, Told, View};
use crate::checker::Committed;
use crate::profile::MS;

/// Tags of replies: what was asked, and for messages the sequence.
const OPEN: u64 = 1 << 60;
const KEEP_ALIVE: u64 = 2 << 60;
const NONSENSE: u64 = 3 << 60;
/// A request of an earlier life of the session.
const STALE: u64 = 4 << 60;
const KINDS: u64 = 7 << 60;
/// Replies to an earlier life are not looked at.
const LIFE_SHIFT: u32 = 32;

/// Class of the sessions of all clients; each has a schema of its own class too.
const CLASS: u16 = 1;
const INPUT_SCHEMA: u16 = 1;

/// All schemas that clients and services use.
pub(crate) fn schemas(services: u32) -> Vec<Schema> {
    let mut schemas = vec![Schema { id: INPUT_SCHEMA, version: 3, owner: SchemaOwner::Class(CLASS) }];
    schemas.extend((1..=services).map(output_schema));
    schemas
}

/// A message that is not known to be in the log.
#[derive(Debug, Clone)]
struct Pending {
    sequence: u64,
    number: u64,
    is_query: bool,
    schema_id: u16,
    payload: Vec<u8>,
    sent_ns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    id: u32,
    epoch: u32,
}

/// See the module's description.
pub(crate) struct Client {
    name: String,
    timeout_ns: u64,
    /// Most unacknowledged messages.
    window: u64,
    burst_max: u64,
    pause_ns: u64,
    retry_ns: u64,
    services: u32,
    even_frames: bool,
    is_rude: bool,
    session: Option<Session>,
    /// The session that it had and wants back.
    resume: Option<u32>,
    next_sequence: u64,
    pending: VecDeque<Pending>,
    silent_until_ns: u64,
    asked_ns: u64,
    life: u64,
    /// Nonsense that was asked and what must be said to it.
    nonsense: Option<(u64, &'static str)>,
}

impl Client {
    pub(crate) fn new(number: u64, even_frames: bool, services: u32, rng: &mut SplitMix64) -> Self {
        let window_max = if rng.coin() { 6 } else { 40 };
        Self {
            name: format!("client-{number}"),
            timeout_ns: (150 + rng.below(1_850)) * MS,
            window: 1 + rng.below(window_max),
            burst_max: 1 + rng.below(12),
            pause_ns: (1 + rng.below(if even_frames { 4 } else { 20 })) * MS,
            retry_ns: (50 + rng.below(250)) * MS,
            services,
            even_frames,
            is_rude: rng.below(3) == 0,
            session: None,
            resume: None,
            next_sequence: 1,
            pending: VecDeque::new(),
            silent_until_ns: 0,
            asked_ns: 0,
            life: 0,
            nonsense: None,
        }
    }

    /// Mostly the leader that it believes in, sometimes anybody.
    fn target(view: &mut View<'_>) -> usize {
        let anybody = view.rng.below(view.readable.len() as u64) as usize;
        match view.leader {
            Some(leader) if view.rng.below(20) > 0 => leader,
            _ => anybody,
        }
    }

    fn open(&mut self, view: &mut View<'_>) {
        if view.now_ns < self.asked_ns + self.retry_ns && self.asked_ns > 0 {
            return;
        }
        self.asked_ns = view.now_ns;
        let node = Self::target(view);
        let (name, timeout_ns, resume) = (self.name.clone(), self.timeout_ns, self.resume);
        view.send(node, OPEN | self.life, Asked::Open { name, class: CLASS, group: 0, timeout_ns, resume });
    }

    fn make(&mut self, view: &mut View<'_>) {
        let number = view.next_number();
        view.admitting(number);
        let bytes = if self.even_frames { 24 } else { 8 + view.rng.below(190) as usize };
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(bytes, number as u8);
        let is_query = !self.even_frames && self.services > 0 && view.rng.below(10) == 0;
        let schema_id = if !is_query && view.rng.below(4) == 0 { INPUT_SCHEMA } else { 0 };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.pending.push_back(Pending { sequence, number, is_query, schema_id, payload, sent_ns: 0 });
    }

    fn send(&mut self, index: usize, view: &mut View<'_>) {
        let Some(Session { id: session, epoch }) = self.session else { return };
        let message = &mut self.pending[index];
        message.sent_ns = view.now_ns;
        let (sequence, payload) = (message.sequence, message.payload.clone());
        let asked = if message.is_query {
            let service = 1 + (message.number % u64::from(self.services)) as u32;
            Asked::Query { service, session, epoch, sequence, payload }
        } else {
            let (schema_id, schema_version) = (message.schema_id, u16::from(message.schema_id != 0));
            Asked::Message {
                session,
                epoch,
                sequence,
                cause: Position(0),
                schema_id,
                schema_version,
                payload,
            }
        };
        let node = Self::target(view);
        view.send(node, self.life << LIFE_SHIFT | sequence, asked);
    }

    /// Sends what is new, and again what has waited too long.
    fn pump(&mut self, view: &mut View<'_>) {
        if !view.is_healed {
            for _ in 0..1 + view.rng.below(self.burst_max) {
                if (self.pending.len() as u64) < self.window {
                    self.make(view);
                }
            }
        }
        for index in 0..self.pending.len() {
            let sent_ns = self.pending[index].sent_ns;
            if sent_ns == 0 || view.now_ns > sent_ns + self.retry_ns {
                self.send(index, view);
            }
        }
    }

    /// The connection is gone; the session is opened again, and its old requests may still arrive.
    fn reopen(&mut self) {
        self.resume = self.session.take().map(|session| session.id).or(self.resume);
        self.asked_ns = 0;
        self.life += 1;
    }

    /// The session is gone for good, and with it what was not acknowledged.
    fn give_up(&mut self, view: &mut View<'_>) {
        view.stats.add("messages whose fate is unknown", self.pending.len() as u64);
        self.pending.clear();
        self.next_sequence = 1;
        self.session = None;
        self.resume = None;
        self.asked_ns = 0;
        self.life += 1;
    }

    fn acknowledge(&mut self, sequence: u64, place: Option<Position>, view: &mut View<'_>) {
        let before = self.pending.len();
        self.pending.retain(|message| message.sequence != sequence);
        if self.pending.len() < before {
            view.stats.hit("messages acknowledged");
        }
        if let (Some(at), Some(session)) = (place, self.session) {
            view.told.push(Told::Admitted { session: session.id, sequence, at });
        }
    }

    fn on_opened(&mut self, session: u32, epoch: u32, last_sequence: u64, at: Position, view: &mut View<'_>) {
        view.told.push(Told::Opened { session, epoch, last_sequence, at });
        if self.resume != Some(session) {
            // A session that it has not known: its own sequences are of another one.
            self.give_up(view);
            self.next_sequence = last_sequence + 1;
        }
        self.resume = Some(session);
        self.session = Some(Session { id: session, epoch });
        self.pending.retain(|message| message.sequence > last_sequence);
        for message in &mut self.pending {
            message.sent_ns = 0;
        }
        let first = self.pending.front().map_or(self.next_sequence, |message| message.sequence);
        assert!(
            first == last_sequence + 1,
            "the log holds {last_sequence}, and {first} is the first that it may lack"
        );
    }

    fn on_refusal(&mut self, refusal: &Refusal, view: &mut View<'_>) {
        match *refusal {
            Refusal::SequenceGap { expected, .. } => {
                for message in self.pending.iter_mut().filter(|message| message.sequence >= expected) {
                    message.sent_ns = 0;
                }
            }
            Refusal::StaleEpoch { .. } | Refusal::SessionExpired { .. } => self.reopen(),
            Refusal::UnknownSession { .. } | Refusal::SessionLost { .. } => self.give_up(view),
            // The schema or the service may not be registered yet.
            _ => {}
        }
    }
}

impl Actor for Client {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        let pause = if view.is_healed { 20 * MS } else { 1 + view.rng.below(2 * self.pause_ns) };
        if view.now_ns < self.silent_until_ns && !view.is_healed {
            return pause;
        }
        let Some(session) = self.session else {
            self.open(view);
            return pause + 5 * MS;
        };
        self.pump(view);
        if view.now_ns > self.asked_ns + self.timeout_ns / 4 {
            self.asked_ns = view.now_ns;
            let node = Self::target(view);
            let alive = Asked::KeepAlive { session: session.id, epoch: session.epoch };
            view.send(node, KEEP_ALIVE | self.life, alive);
        }
        if view.is_healed {
            return pause;
        }
        match view.rng.below(600) {
            0 => self.silent_until_ns = view.now_ns + view.rng.below(3 * self.timeout_ns),
            1..4 => {
                // Its twin's requests are still on their way, or sent now.
                for index in 0..self.pending.len().min(3) {
                    self.send(index, view);
                    if let Some(sent) = view.sent.last_mut() {
                        sent.tag |= STALE;
                    }
                }
                self.reopen();
            }
            4 => {
                // A new session under another name; the old one expires and has to make room in the end.
                self.name.push('+');
                self.name.truncate(40);
                self.give_up(view);
            }
            5 => {
                let node = Self::target(view);
                view.send(node, STALE, Asked::Close { session: session.id, epoch: session.epoch });
            }
            6..20 if self.is_rude => self.ask_nonsense(session.id, session.epoch, view),
            _ => {}
        }
        pause
    }

    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        match tag & KINDS {
            OPEN => {
                if let Ok(Outcome::Opened { session, epoch, last_sequence, at, .. }) = reply
                    && tag == OPEN | self.life
                    && self.session.is_none()
                {
                    self.on_opened(session, epoch, last_sequence, at, view);
                } else if tag == OPEN | self.life {
                    match reply {
                        Err(Refusal::SessionLost { .. }) => self.give_up(view),
                        Err(Refusal::NameTaken { .. }) => {
                            self.name.push('+');
                            self.give_up(view);
                        }
                        _ => {}
                    }
                }
            }
            KEEP_ALIVE => {
                if let Err(refusal) = &reply
                    && tag == KEEP_ALIVE | self.life
                {
                    self.on_refusal(refusal, view);
                }
            }
            NONSENSE => self.judge_nonsense(tag, reply, view),
            STALE => {}
            _ if tag >> LIFE_SHIFT != self.life => {}
            _ => match reply {
                Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at }) => {
                    self.acknowledge(tag & u64::from(u32::MAX), Some(at), view);
                }
                Ok(Outcome::AlreadyAdmitted { .. }) => {
                    self.acknowledge(tag & u64::from(u32::MAX), None, view)
                }
                Ok(_) => {}
                Err(refusal) => self.on_refusal(&refusal, view),
            },
        }
    }

    fn describe(&self) -> String {
        let first = self.pending.front().map(|message| message.sequence);
        format!("{} {:?}: {} unacknowledged from {first:?}", self.name, self.session, self.pending.len())
    }

    fn is_done(&self, _log: &Committed) -> bool {
        self.pending.is_empty()
    }
}
