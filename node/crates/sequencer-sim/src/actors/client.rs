//! Clients: sessions with a window of unacknowledged messages, which they send again until they know what became of them.
//!
//! They restart, fall silent, leave a twin behind that goes on with the old epoch, and ask for nonsense, whose refusal they check.

mod answers;
mod life;
mod nonsense;
pub(super) mod probe;
mod profile;
mod twin;
pub(super) mod window;

use std::collections::BTreeMap;

use sequencer_core::Outcome;
use sequencer_storage::SplitMix64;
use sequencer_wire::{Position, Schema, SchemaOwner};

use super::operator::output_schema;
use super::{Actor, Asked, Reply, Told, View, gateway};
use crate::checker::Committed;
use crate::profile::MS;
use probe::{Probe, Probes, is_for_messages, is_for_opens};
use profile::ClientProfile;
use twin::Twin;
use window::{Message, Window};

/// Tags of replies: what was asked, the life in which it was asked, and for messages the sequence.
const KINDS: u64 = 7 << 60;
const OPEN: u64 = 1 << 60;
const KEEP_ALIVE: u64 = 2 << 60;
const MESSAGE: u64 = 3 << 60;
const PROBE: u64 = 4 << 60;
/// Whatever is said to it is of no interest.
const UNHEARD: u64 = 5 << 60;
const LIFE_SHIFT: u32 = 32;

/// Class of the sessions of all clients.
const CLASS: u16 = 1;
const INPUT_SCHEMA: u16 = 1;
const INPUT_VERSION: u16 = 3;
const GATEWAY_SCHEMA: u16 = 2;

/// All schemas that clients, gateways and services use.
pub(crate) fn schemas(services: u32) -> Vec<Schema> {
    let of_class = |id, version, class| Schema { id, version, owner: SchemaOwner::Class(class) };
    let inputs = [of_class(INPUT_SCHEMA, INPUT_VERSION, CLASS), of_class(GATEWAY_SCHEMA, 1, gateway::CLASS)];
    inputs.into_iter().chain((1..=services).map(output_schema)).collect()
}

/// An open session.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: u32,
    epoch: u32,
    opened_at: Position,
}

impl Session {
    /// The request that brings a message into the log.
    fn asks(&self, message: Message) -> Asked {
        let Session { id: session, epoch, .. } = *self;
        let Message { sequence, service, schema: (schema_id, schema_version), payload, .. } = message;
        match service {
            Some(service) => Asked::Query { service, session, epoch, sequence, payload },
            None => {
                let cause = Position(0);
                Asked::Message { session, epoch, sequence, cause, schema_id, schema_version, payload }
            }
        }
    }
}

/// See the module's description.
pub(crate) struct Client {
    profile: ClientProfile,
    number: u64,
    /// How often it has changed its name for good, and under which of its names it goes.
    renamed: usize,
    alias: u64,
    /// The sessions that it left under its other names.
    left: BTreeMap<u64, u32>,
    services: u32,
    is_steady: bool,
    session: Option<Session>,
    /// The session that it had and wants back.
    resume: Option<u32>,
    window: Window,
    /// Rises whenever what was asked before has lost its meaning; the session of each life.
    life: u64,
    sessions: Vec<u32>,
    opened_ns: Option<u64>,
    alive_ns: u64,
    acted_ns: u64,
    silent_until_ns: u64,
    /// Who leads, by a node's word.
    hint: Option<usize>,
    twin: Option<Twin>,
    probes: Probes,
}

impl Client {
    pub(crate) fn new(number: u64, even_frames: bool, services: u32, rng: &mut SplitMix64) -> Self {
        let profile = ClientProfile::draw(even_frames, rng);
        Self {
            window: Window::new(profile.window, profile.is_careful),
            profile,
            number,
            renamed: 0,
            alias: 0,
            left: BTreeMap::new(),
            services,
            is_steady: even_frames,
            session: None,
            resume: None,
            life: 0,
            sessions: vec![0],
            opened_ns: None,
            alive_ns: 0,
            acted_ns: 0,
            silent_until_ns: 0,
            hint: None,
            twin: None,
            probes: Probes::default(),
        }
    }

    fn name(&self) -> String {
        format!("client-{}-{}{}", self.number, self.alias, "+".repeat(self.renamed))
    }

    /// Mostly the leader that it believes in, sometimes anybody.
    fn target(&self, view: &mut View<'_>) -> usize {
        let anybody = view.rng.below(view.readable.len() as u64) as usize;
        match self.hint.or(view.leader) {
            Some(leader) if view.rng.below(20) > 0 => leader,
            _ => anybody,
        }
    }

    fn tag(&self, kind: u64, sequence: u64) -> u64 {
        kind | self.life << LIFE_SHIFT | sequence
    }

    fn open(&mut self, view: &mut View<'_>) {
        if self.opened_ns.is_some_and(|opened_ns| view.now_ns < opened_ns + self.profile.retry_ns) {
            return;
        }
        if self.opened_ns.is_some() {
            self.hint = None;
        }
        self.opened_ns = Some(view.now_ns);
        let node = self.target(view);
        let (name, timeout_ns, resume) = (self.name(), self.profile.timeout_ns, self.resume);
        view.send(node, self.tag(OPEN, 0), Asked::Open { name, class: CLASS, group: 0, timeout_ns, resume });
    }

    fn make(&mut self, view: &mut View<'_>) {
        let number = view.next_number();
        view.admitting(number);
        let bytes = if self.is_steady { 24 } else { 8 + view.rng.below(190) as usize };
        let is_query = !self.is_steady && self.services > 0 && view.rng.below(10) == 0;
        let service = is_query.then(|| 1 + view.rng.below(u64::from(self.services)) as u32);
        let has_schema = !is_query && view.rng.below(4) == 0;
        let version = 1 + view.rng.below(u64::from(INPUT_VERSION)) as u16;
        let schema = if has_schema { (INPUT_SCHEMA, version) } else { (0, 0) };
        self.window.push(Message::new(number, service, schema, bytes));
    }

    /// Sends what is new, and again what has waited too long.
    fn pump(&mut self, session: Session, view: &mut View<'_>) {
        if !view.is_healed {
            for _ in 0..1 + view.rng.below(self.profile.burst_max) {
                if self.window.has_room() {
                    self.make(view);
                }
            }
        }
        let (mut due, again) = self.window.take_due(view.now_ns, self.profile.retry_ns);
        if again > 0 {
            // Whom it asked says nothing.
            self.hint = None;
        }
        if due.len() > 1 && view.rng.below(16) == 0 {
            due.reverse();
        }
        for message in due {
            let tag = self.tag(MESSAGE, message.sequence);
            let node = self.target(view);
            if view.rng.below(50) == 0 {
                let other = view.rng.below(view.readable.len() as u64) as usize;
                view.send(other, tag, session.asks(message.clone()));
            }
            view.send(node, tag, session.asks(message));
        }
    }

    fn keep_alive(&mut self, session: Session, view: &mut View<'_>) {
        if view.now_ns > self.alive_ns + self.profile.timeout_ns / 4 {
            self.alive_ns = view.now_ns;
            let node = self.target(view);
            let alive = Asked::KeepAlive { session: session.id, epoch: session.epoch };
            view.send(node, self.tag(KEEP_ALIVE, 0), alive);
        }
    }
}

impl Actor for Client {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        let elapsed_ns = view.now_ns - self.acted_ns;
        self.acted_ns = view.now_ns;
        let pause = if view.is_healed { 20 * MS } else { 1 + view.rng.below(2 * self.profile.pause_ns) };
        if let Some(mut twin) = self.twin.take() {
            let goes_on = twin.act(self.session, &mut self.probes, view);
            self.twin = goes_on.then_some(twin);
        }
        if view.now_ns < self.silent_until_ns && !view.is_healed {
            return pause;
        }
        let Some(session) = self.session else {
            self.open(view);
            return pause + 5 * MS;
        };
        self.pump(session, view);
        self.keep_alive(session, view);
        if !view.is_healed
            && let Some(mishap) = self.profile.mishap(elapsed_ns, view.rng)
        {
            self.suffer(mishap, session, view);
        }
        pause
    }

    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        let (life, sequence) = ((tag & !KINDS) >> LIFE_SHIFT, tag & u64::from(u32::MAX));
        match (tag & KINDS, reply) {
            (OPEN, Ok(Outcome::Opened { session: id, epoch, last_sequence, at, .. })) => {
                view.told.push(Told::Opened { session: id, epoch, last_sequence, at });
                let is_news = self.session.is_none_or(|session| session.id == id && session.epoch < epoch);
                if life == self.life && is_news {
                    self.on_opened(Session { id, epoch, opened_at: at }, last_sequence, view);
                }
            }
            (OPEN, Err(refusal)) => {
                // An open that was answered says no more.
                let life = if self.session.is_some() { u64::MAX } else { life };
                self.on_refused(life, &refusal, is_for_opens(&refusal), view);
            }
            (KEEP_ALIVE, Err(refusal)) => {
                self.on_refused(life, &refusal, is_for_messages(&refusal), view);
            }
            (MESSAGE, Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at })) => {
                self.acknowledge(life, sequence, Some(at), view);
            }
            (MESSAGE, Ok(Outcome::AlreadyAdmitted { .. })) => self.acknowledge(life, sequence, None, view),
            (MESSAGE, Err(refusal)) => self.on_refused(life, &refusal, is_for_messages(&refusal), view),
            (PROBE, reply) => self.probes.judge(tag, &reply, view),
            _ => {}
        }
    }

    fn describe(&self) -> String {
        let (name, waiting, first) = (self.name(), self.window.len(), self.window.first());
        format!("{name} {:?}: {waiting} unacknowledged from {first}", self.session)
    }

    fn is_done(&self, _log: &Committed) -> bool {
        self.window.is_empty()
    }
}
