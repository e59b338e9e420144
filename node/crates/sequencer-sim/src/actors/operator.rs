//! The operator: registers schemas and services, promotes and rolls back, passes poison over, keeps and trims, and asks for nonsense.
//! Changes of membership are in `fleet`.
//!
//! It sees the committed log and which machines are lost, and asks again whatever has not come to pass.

use sequencer_core::Outcome;
use sequencer_storage::SplitMix64;
use sequencer_wire::{FrameKind, Position, Retention, Schema, SchemaOwner};

use super::service::is_poison;
use super::{Actor, Asked, Control, Reply, Told, View, client, fleet::Fleet};
use crate::checker::Committed;
use crate::profile::{MS, People};

/// Versions of each service that run; the first one answers first.
pub(crate) const VERSIONS: u64 = 3;
/// Class of the operator's own session.
const CLASS: u16 = 900;
const PROBE: u64 = 1;
const OPEN: u64 = 2;
const OTHER: u64 = 0;

/// See the module's description.
pub(crate) struct Operator {
    /// Services to run: id, and how many replicas must agree.
    services: Vec<(u32, u16)>,
    promotes: bool,
    trims: bool,
    fleet: Fleet,
    /// Frames up to here were searched for poison.
    searched: Position,
    poison: Vec<Position>,
    /// Its own session, opened when all has healed, to show that the cluster serves.
    session: Option<(u32, u32, u64)>,
    probe: Option<u64>,
    has_probed: bool,
}

impl Operator {
    pub(crate) fn new(people: &People, rng: &mut SplitMix64) -> Self {
        let services = people.services.iter().enumerate().map(|(index, replicas)| {
            let agree = if *replicas >= 2 && rng.below(3) == 0 { 2 } else { 1 };
            (index as u32 + 1, agree)
        });
        Self {
            services: services.collect(),
            promotes: people.promotes,
            trims: people.trims,
            fleet: Fleet::new(people.changes_members),
            searched: Position(0),
            poison: Vec::new(),
            session: None,
            probe: None,
            has_probed: false,
        }
    }

    /// How many replicas of each service must agree.
    pub(crate) fn agreements(&self) -> &[(u32, u16)] {
        &self.services
    }

    fn ask(&self, control: Control, view: &mut View<'_>) {
        if let Some(leader) = view.leader {
            view.send(leader, OTHER, Asked::Control(control));
        }
    }

    fn register(&self, view: &mut View<'_>) {
        for (id, agree) in &self.services {
            if view.rules.service(*id).is_none() {
                let tick_ns = if view.rng.coin() { 30 * MS } else { 0 };
                let hold_bytes_max = 1 << 40;
                let name = format!("service-{id}");
                let agree = *agree;
                self.ask(
                    Control::RegisterService { id: *id, name, version: 1, hold_bytes_max, tick_ns, agree },
                    view,
                );
                return;
            }
        }
        for schema in client::schemas(self.services.len() as u32) {
            if view.rules.schema_owner(schema.id).is_none() {
                self.ask(Control::RegisterSchema(schema), view);
                return;
            }
        }
    }

    fn switch(&self, view: &mut View<'_>) {
        let Some((service, _)) = pick(&self.services, view.rng) else { return };
        let Some(model) = view.rules.service(service) else { return };
        let end = view.log.end();
        let ahead = Position(end.0 + 8 * view.rng.below(400));
        let at = if view.rng.coin() { Position(0) } else { ahead };
        let pending = model.pending();
        let control = match view.rng.below(10) {
            0..4 => Control::Promote { service, version: 1 + view.rng.below(VERSIONS), at },
            4..7 => Control::Rollback { service, at },
            _ => match pending.last() {
                Some((epoch, _)) => Control::Cancel { service, epoch: *epoch },
                None => Control::Cancel { service, epoch: 1 + view.rng.below(9) as u32 },
            },
        };
        self.ask(control, view);
    }

    /// Finds poison in the log and has it passed over, after a while.
    fn cure(&mut self, view: &mut View<'_>) {
        let end = view.log.end();
        if self.searched < end {
            let bytes = view.log.bytes_between(self.searched, end);
            let term = view.log.terms().term_before(self.searched);
            for frame in sequencer_wire::Frames::new(bytes, self.searched, term).flatten() {
                if is_poison(&frame) {
                    self.poison.push(frame.at);
                }
            }
            self.searched = end;
        }
        for index in 0..self.services.len() {
            let (service, _) = self.services[index];
            let open = self.poison.iter().find(|at| !view.rules.is_skipped(service, **at)).copied();
            if let Some(position) = open
                && (view.is_healed || view.rng.below(4) == 0)
            {
                self.ask(Control::Skip { service, position }, view);
            }
        }
    }

    fn keep_and_trim(&self, view: &mut View<'_>) {
        let end = view.log.end();
        let somewhere = Position(view.rng.below(end.0 + 1) / 8 * 8);
        let id = view.rng.below(3);
        let control = match view.rng.below(10) {
            0 => {
                Control::Retain(Retention::Pin { id, position: somewhere, bytes_max: view.rng.below(20_000) })
            }
            1..3 => Control::Retain(Retention::Unpin { id }),
            3 if view.rng.below(4) == 0 => Control::Retain(Retention::Archived { to: somewhere }),
            _ => Control::Trim { floor: somewhere },
        };
        self.ask(control, view);
    }

    fn ask_nonsense(&self, view: &mut View<'_>) {
        let kinds = [FrameKind::Membership, FrameKind::SessionOpen, FrameKind::Retention, FrameKind::Promote];
        let kind = kinds[view.rng.below(kinds.len() as u64) as usize];
        let body = (0..view.rng.below(40)).map(|_| view.rng.below(256) as u8).collect();
        self.ask(Control::Encoded { kind, source_id: 77, body }, view);
    }

    /// Shows that the cluster serves: a session of its own, and one message in it.
    fn prove(&mut self, view: &mut View<'_>) {
        let Some(leader) = view.leader else { return };
        let Some((session, epoch, sequence)) = self.session else {
            let open = Asked::Open {
                name: "operator".into(),
                class: CLASS,
                group: 0,
                timeout_ns: 2_000 * MS,
                resume: None,
            };
            return view.send(leader, OPEN, open);
        };
        let number = match self.probe {
            Some(number) => number,
            None => view.next_number(),
        };
        self.probe = Some(number);
        view.admitting(number);
        let payload = number.to_le_bytes().to_vec();
        let message = Asked::Message {
            session,
            epoch,
            sequence,
            cause: Position(0),
            schema_id: 0,
            schema_version: 0,
            payload,
        };
        view.send(leader, PROBE, message);
    }
}

impl Actor for Operator {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        self.register(view);
        self.cure(view);
        self.fleet.act(view);
        if view.is_healed {
            if !self.has_probed {
                self.prove(view);
            }
            return 20 * MS + view.rng.below(30 * MS);
        }
        match view.rng.below(10) {
            0..3 if self.promotes => self.switch(view),
            3..6 if self.trims => self.keep_and_trim(view),
            6 => self.ask_nonsense(view),
            7 if view.rng.below(20) == 0 => {
                let session = 1 + view.rng.below(8) as u32;
                self.ask(Control::Revoke { session }, view);
            }
            _ => {}
        }
        10 * MS + view.rng.below(120 * MS)
    }

    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        match (tag, reply) {
            (OPEN, Ok(Outcome::Opened { session, epoch, last_sequence, .. })) => {
                self.session = Some((session, epoch, last_sequence + 1));
            }
            (PROBE, Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at })) => {
                let Some((session, _, sequence)) = self.session else { return };
                self.has_probed = true;
                view.told.push(Told::Admitted { session, sequence, at });
            }
            (PROBE, Err(refusal)) if !refusal.is_retryable() => {
                self.session = None;
                self.probe = None;
            }
            _ => {}
        }
    }

    fn describe(&self) -> String {
        format!("operator {:?}: probe {:?}", self.session, self.probe)
    }

    fn is_done(&self, log: &Committed) -> bool {
        let _ = log;
        self.has_probed
    }
}

fn pick<T: Copy>(items: &[T], rng: &mut SplitMix64) -> Option<T> {
    let index = rng.below(items.len().max(1) as u64) as usize;
    items.get(index).copied()
}

/// The schema that a service's outputs bear.
pub(crate) fn output_schema(service: u32) -> Schema {
    Schema { id: 100 + service as u16, version: 1, owner: SchemaOwner::Service(service) }
}
