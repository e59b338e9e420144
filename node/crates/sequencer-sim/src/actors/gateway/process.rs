//! One process of a gateway: reads the log, keeps its session alive, and acts while it holds the role and its lease.
//!
//! To act is to do something to the world outside, which the cluster cannot take back, and to write a message about it. A process that
//! is cut off from the cluster still acts until its lease ends; that this is early enough is what the lease is for.

use sequencer_core::{Outcome, Refusal};
use sequencer_wire::{Frames, Position};

use super::profile::{GatewayProfile, Manner};
use super::role::{Lease, RoleView};
use super::{KEEP_ALIVE, LIFE_SHIFT, MESSAGE, SCHEMA};
use crate::actors::client::probe::{is_for_messages, tell_admitted};
use crate::actors::client::window::{Message, Window};
use crate::actors::{Asked, Reply, Told, View};

/// A session as it was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) session: u32,
    pub(super) epoch: u32,
    pub(super) at: Position,
}

/// Why a process has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its session must be opened again.
    Fenced,
    /// Its session does not exist any more.
    Lost,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) opened: Opened,
    /// Part of the tags of what it asks.
    life: u64,
    group: u32,
    profile: GatewayProfile,
    role: RoleView,
    lease: Lease,
    /// What it has read of the log.
    read: Position,
    window: Window,
    /// When it sends the next sign of life.
    alive_ns: u64,
    stands_until_ns: u64,
    /// What it was about to send when it began to stand still, and what has arrived meanwhile.
    in_hand: Vec<(u64, Asked)>,
    held: Vec<(u64, Reply)>,
    /// Until when nothing gets from it to the cluster or back.
    cut_off_until_ns: u64,
    pub(super) manner: Manner,
}

impl Process {
    /// A process that has just been told that its session is open; `window` is what it remembers.
    pub(super) fn new(
        life: u64,
        group: u32,
        opened: Opened,
        window: Window,
        profile: &GatewayProfile,
    ) -> Self {
        let Opened { session, epoch, at } = opened;
        Self {
            opened,
            life,
            group,
            profile: profile.clone(),
            role: RoleView::new(group, session, epoch),
            lease: Lease::new(profile.timeout_ns, profile.drift_ppm),
            read: at,
            window,
            alive_ns: 0,
            stands_until_ns: 0,
            in_hand: Vec::new(),
            held: Vec::new(),
            cut_off_until_ns: 0,
            manner: Manner::Sound,
        }
    }

    pub(super) fn is_of(&self, life: u64) -> bool {
        self.life == life
    }

    /// What it waits for.
    pub(super) fn describe(&self) -> String {
        let (role, is_vacant) = (self.role.role(), self.role.is_vacant());
        let waiting = self.window.len();
        format!(
            "{:?} role {role:?} vacant {is_vacant}: {waiting} unacknowledged, read to {}",
            self.opened, self.read
        )
    }

    pub(super) fn into_window(self) -> Window {
        self.window
    }

    /// Nothing is open that the cluster must still bring to an end.
    pub(super) fn is_done(&self) -> bool {
        !self.role.is_vacant() && (self.role.role().is_none() || self.window.is_empty())
    }

    pub(super) fn act(&mut self, view: &mut View<'_>) -> Result<(), End> {
        if self.stands_still(view) {
            return Ok(());
        }
        if self.is_cut_off(view) {
            self.affect_outside(view);
            return Ok(());
        }
        // It knows nothing of the time that has passed.
        for (tag, asked) in std::mem::take(&mut self.in_hand) {
            view.stats.hit("messages that gateways held while they stood still");
            let node = target(view);
            view.send(node, tag, asked);
        }
        for (tag, reply) in std::mem::take(&mut self.held) {
            self.take_in(tag, &reply, view)?;
        }
        if self.manner == Manner::Sound {
            self.follow(view)?;
        }
        self.keep_alive(view);
        self.perform(view);
        Ok(())
    }

    fn stands_still(&self, view: &View<'_>) -> bool {
        view.now_ns < self.stands_until_ns && !view.is_healed
    }

    fn is_cut_off(&self, view: &View<'_>) -> bool {
        view.now_ns < self.cut_off_until_ns && !view.is_healed
    }

    /// Runs from here on without a connection to the cluster.
    pub(super) fn cut_off(&mut self, view: &mut View<'_>) {
        view.stats.hit("gateways that are cut off");
        self.cut_off_until_ns = view.now_ns + view.rng.below(3 * self.profile.timeout_ns);
    }

    /// Stands still from here on, right after it has looked at its lease.
    pub(super) fn pause(&mut self, view: &mut View<'_>) {
        view.stats.hit("pauses of gateways");
        self.in_hand = self.next_messages(view);
        self.stands_until_ns = view.now_ns + view.rng.below(3 * self.profile.timeout_ns);
    }

    /// Reads on in the log, from any node, and not always all of it.
    fn follow(&mut self, view: &mut View<'_>) -> Result<(), End> {
        let node = view.rng.below(view.readable.len() as u64) as usize;
        let Some((start, end)) = view.readable[node] else { return Ok(()) };
        if start > self.read {
            // What it has not read is trimmed there; if it is trimmed everywhere, it cannot know its role any more.
            let is_lost = view.readable.iter().flatten().all(|(start, _)| *start > self.read);
            return if is_lost { Err(End::Fenced) } else { Ok(()) };
        }
        let lags = !view.is_healed && view.rng.below(4) == 0;
        let to = if lags { Position(self.read.0 + view.rng.below(1_000)).min(end) } else { end };
        if to <= self.read {
            return Ok(());
        }
        let had_role = self.role.role();
        let bytes = view.log.bytes_between(self.read, to);
        let term = view.log.terms().term_before(self.read);
        for frame in Frames::new(bytes, self.read, term).map_while(Result::ok) {
            self.role.read(&frame);
            self.read = frame.end();
        }
        if had_role.is_none() && self.role.role().is_some() {
            view.stats.hit("roles taken up");
        }
        if self.role.fenced_at().is_some() { Err(End::Fenced) } else { Ok(()) }
    }

    fn keep_alive(&mut self, view: &mut View<'_>) {
        if view.now_ns < self.alive_ns {
            return;
        }
        self.alive_ns = view.now_ns + self.profile.timeout_ns / 8;
        let tag = KEEP_ALIVE | self.life << LIFE_SHIFT | self.lease.ask(view.now_ns);
        let node = target(view);
        view.send(node, tag, Asked::KeepAlive { session: self.opened.session, epoch: self.opened.epoch });
    }

    /// Acts on the world outside, if it holds the role for sure.
    fn affect_outside(&mut self, view: &mut View<'_>) {
        if let Some(role_epoch) = self.role.role().filter(|_| self.lease.holds(view.now_ns)) {
            view.told.push(Told::Acting { group: self.group, session: self.opened.session, role_epoch });
            view.stats.hit("acts of gateways");
        }
    }

    /// Acts under its role, if it may, and writes about it.
    fn perform(&mut self, view: &mut View<'_>) {
        self.affect_outside(view);
        if !self.lease.holds(view.now_ns) && self.manner != Manner::Reckless {
            return;
        }
        for (tag, asked) in self.next_messages(view) {
            let node = target(view);
            view.send(node, tag, asked);
        }
    }

    /// What it would send now, with tags; empty when it has no role.
    fn next_messages(&mut self, view: &mut View<'_>) -> Vec<(u64, Asked)> {
        let Some(epoch) = self.role.role() else { return Vec::new() };
        if self.window.has_room() && !view.is_healed {
            let number = view.next_number();
            view.admitting(number);
            let schema = if view.rng.below(3) == 0 { (SCHEMA, 1) } else { (0, 0) };
            self.window.push(Message::new(number, None, schema, 8));
        }
        let session = self.opened.session;
        let (due, _) = self.window.take_due(view.now_ns, self.profile.retry_ns);
        let ask = |message: Message| {
            let Message { sequence, schema: (schema_id, schema_version), payload, .. } = message;
            let cause = Position(0);
            let asked =
                Asked::Message { session, epoch, sequence, cause, schema_id, schema_version, payload };
            (MESSAGE | self.life << LIFE_SHIFT | sequence, asked)
        };
        due.into_iter().map(ask).collect()
    }

    pub(super) fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) -> Result<(), End> {
        if self.stands_still(view) {
            self.held.push((tag, reply));
            return Ok(());
        }
        if self.is_cut_off(view) {
            return Ok(());
        }
        self.take_in(tag, &reply, view)
    }

    fn take_in(&mut self, tag: u64, reply: &Reply, view: &mut View<'_>) -> Result<(), End> {
        let number = tag & u64::from(u32::MAX);
        if tag & super::KINDS == KEEP_ALIVE {
            return match reply {
                Ok(_) => {
                    self.lease.accept(number);
                    Ok(())
                }
                Err(refusal) => self.on_refusal(refusal, view),
            };
        }
        match reply {
            Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at }) => {
                let message = self.window.acknowledge(number).map(|message| message.number);
                tell_admitted(self.opened.session, number, *at, message, view);
                Ok(())
            }
            Ok(Outcome::AlreadyAdmitted { .. }) => {
                self.window.acknowledge(number);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(refusal) => self.on_refusal(refusal, view),
        }
    }

    fn on_refusal(&mut self, refusal: &Refusal, view: &mut View<'_>) -> Result<(), End> {
        if !is_for_messages(refusal) {
            let got = refusal.to_string();
            view.told.push(Told::WrongRefusal { expected: "a refusal of what is well formed", got });
            return Ok(());
        }
        match *refusal {
            Refusal::NotActive { found, current, .. } => {
                view.stats.hit("messages of gateways that came too late");
                if self.manner != Manner::Reckless {
                    self.role.doubt(found, current);
                }
                Ok(())
            }
            Refusal::SequenceGap { expected, .. } => {
                self.window.go_back(expected, view.now_ns);
                Ok(())
            }
            _ if self.manner == Manner::Reckless => Ok(()),
            Refusal::StaleEpoch { .. } | Refusal::SessionExpired { .. } => Err(End::Fenced),
            Refusal::UnknownSession { .. } => Err(End::Lost),
            _ => Ok(()),
        }
    }
}

/// Mostly the leader, sometimes anybody.
fn target(view: &mut View<'_>) -> usize {
    let anybody = view.rng.below(view.readable.len() as u64) as usize;
    view.leader.filter(|_| view.rng.below(20) > 0).unwrap_or(anybody)
}
