//! Gateways: sessions of one group, of which the one that holds the role acts.
//!
//! A gateway's process reads its grant from the log, and acts only while it has a lease (a sign of life that a leader accepted was sent
//! less than half of its time-out ago). Processes stand still with messages in their hands, lose their connection, end, and are replaced
//! while they still run.

mod process;
mod profile;
mod role;

use sequencer_core::{Outcome, Refusal};
use sequencer_storage::SplitMix64;

use super::client::probe::{is_for_opens, tell_admitted};
use super::client::window::Window;
use super::{Actor, Asked, Reply, Told, View};
use crate::checker::Committed;
use crate::profile::MS;
use process::{End, Opened, Process};
use profile::{GatewayProfile, Manner, Mishap};

const KINDS: u64 = 7 << 60;
const OPEN: u64 = 1 << 60;
const KEEP_ALIVE: u64 = 2 << 60;
const MESSAGE: u64 = 3 << 60;
const LIFE_SHIFT: u32 = 32;

/// Class of the sessions of all gateways, and the schema that belongs to it.
pub(super) const CLASS: u16 = 2;
pub(super) const SCHEMA: u16 = 2;

/// See the module's description.
pub(crate) struct Gateway {
    name: String,
    group: u32,
    profile: GatewayProfile,
    process: Option<Process>,
    /// A process that was replaced, and until when it runs.
    twin: Option<(Process, u64)>,
    /// The session that it had and wants back, and what it remembers of it.
    resume: Option<u32>,
    memory: Window,
    /// Rises with each process; the session of each.
    life: u64,
    sessions: Vec<u32>,
    opened_ns: Option<u64>,
    acted_ns: u64,
    down_until_ns: u64,
}

impl Gateway {
    pub(crate) fn new(number: u64, group: u32, rng: &mut SplitMix64) -> Self {
        let profile = GatewayProfile::draw(rng);
        Self {
            name: format!("gateway-{number}"),
            group,
            memory: Window::new(profile.window, true),
            profile,
            process: None,
            twin: None,
            resume: None,
            life: 0,
            sessions: vec![0],
            opened_ns: None,
            acted_ns: 0,
            down_until_ns: 0,
        }
    }

    fn open(&mut self, view: &mut View<'_>) {
        if self.opened_ns.is_some_and(|opened_ns| view.now_ns < opened_ns + self.profile.retry_ns) {
            return;
        }
        self.opened_ns = Some(view.now_ns);
        let Some(leader) = view.leader else { return };
        let (name, group, resume) = (self.name.clone(), self.group, self.resume);
        let timeout_ns = self.profile.timeout_ns;
        let asked = Asked::Open { name, class: CLASS, group, timeout_ns, resume };
        view.send(leader, OPEN | self.life << LIFE_SHIFT, asked);
    }

    fn on_opened(&mut self, opened: Opened, last_sequence: u64) {
        let asked_for = self.resume;
        assert!(
            asked_for.is_none_or(|id| id == opened.session),
            "{asked_for:?} was asked for, not {opened:?}"
        );
        self.resume = Some(opened.session);
        self.sessions[self.life as usize] = opened.session;
        let mut window = std::mem::replace(&mut self.memory, Window::new(self.profile.window, true));
        window.resume_after(last_sequence);
        let first = window.first();
        assert!(
            first == last_sequence + 1,
            "the log holds {last_sequence}, and {first} is the first that it may lack"
        );
        self.process = Some(Process::new(self.life, self.group, opened, window, &self.profile));
    }

    /// Asks for its session again, in another process or over another connection.
    fn reopen(&mut self) {
        self.opened_ns = None;
        self.life += 1;
        self.sessions.push(0);
    }

    /// What a process found out about its end.
    fn on_end(&mut self, end: End, view: &mut View<'_>) {
        let Some(process) = self.process.take() else { return };
        self.memory = process.into_window();
        if end == End::Lost {
            self.forget(view);
            self.resume = None;
        }
        self.reopen();
    }

    fn forget(&mut self, view: &mut View<'_>) {
        view.stats.add("messages whose fate is unknown", self.memory.forget());
    }

    fn suffer(&mut self, mishap: Mishap, view: &mut View<'_>) {
        let Some(mut process) = self.process.take() else { return };
        match mishap {
            Mishap::Pause | Mishap::CutOff => {
                if mishap == Mishap::Pause {
                    process.pause(view)
                } else {
                    process.cut_off(view)
                }
                self.process = Some(process);
                return;
            }
            Mishap::Disconnect => self.memory = process.into_window(),
            Mishap::Crash => {
                view.stats.hit("crashes of gateways");
                self.memory = process.into_window();
                self.forget(view);
                self.down_until_ns = view.now_ns + view.rng.below(2 * self.profile.timeout_ns);
            }
            Mishap::Replace => {
                view.stats.hit("twins left behind");
                let manners = [Manner::Sound, Manner::Blind, Manner::Reckless];
                process.manner = manners[view.rng.below(manners.len() as u64) as usize];
                if view.rng.coin() {
                    process.cut_off(view);
                }
                self.twin = Some((process, view.now_ns + view.rng.below(3_000 * MS)));
            }
        }
        self.reopen();
    }

    fn haunt(&mut self, view: &mut View<'_>) {
        let Some((mut twin, until_ns)) = self.twin.take() else { return };
        if view.now_ns < until_ns && !view.is_healed && twin.act(view).is_ok() {
            self.twin = Some((twin, until_ns));
        }
    }
}

impl Actor for Gateway {
    fn act(&mut self, view: &mut View<'_>) -> u64 {
        let elapsed_ns = view.now_ns - self.acted_ns;
        self.acted_ns = view.now_ns;
        self.haunt(view);
        let pause = 1 + view.rng.below(2 * self.profile.pause_ns);
        if view.now_ns < self.down_until_ns && !view.is_healed {
            return pause;
        }
        match &mut self.process {
            None => self.open(view),
            Some(process) => {
                if let Err(end) = process.act(view) {
                    self.on_end(end, view);
                }
            }
        }
        if !view.is_healed
            && let Some(mishap) = self.profile.mishap(elapsed_ns, view.rng)
        {
            self.suffer(mishap, view);
        }
        pause
    }

    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        let life = (tag & !KINDS) >> LIFE_SHIFT;
        if tag & KINDS == OPEN {
            return self.on_open_reply(life, &reply, view);
        }
        if let Some(process) = self.process.as_mut().filter(|process| process.is_of(life)) {
            if let Err(end) = process.reply(tag, reply, view) {
                self.on_end(end, view);
            }
        } else if let Some((twin, _)) = self.twin.as_mut().filter(|(twin, _)| twin.is_of(life)) {
            if twin.reply(tag, reply, view).is_err() {
                self.twin = None;
            }
        } else if let (MESSAGE, Ok(Outcome::Admitted { at, .. } | Outcome::Repeat { first: at })) =
            (tag & KINDS, reply)
        {
            // Nobody waits for it any more, but it is as true as ever.
            let session = self.sessions.get(life as usize).copied().unwrap_or_default();
            tell_admitted(session, tag & u64::from(u32::MAX), at, None, view);
        }
    }

    fn describe(&self) -> String {
        let process = self.process.as_ref().map(Process::describe);
        format!("{} {}", self.name, process.as_deref().unwrap_or("without a session"))
    }

    fn is_done(&self, _log: &Committed) -> bool {
        // A message that waits for a role need not arrive; but somebody must get the role.
        self.process.as_ref().is_some_and(Process::is_done)
    }
}

impl Gateway {
    fn on_open_reply(&mut self, life: u64, reply: &Reply, view: &mut View<'_>) {
        match *reply {
            Ok(Outcome::Opened { session, epoch, last_sequence, at, .. }) => {
                view.told.push(Told::Opened { session, epoch, last_sequence, at });
                if life == self.life && self.process.is_none() {
                    self.on_opened(Opened { session, epoch, at }, last_sequence);
                }
            }
            Err(Refusal::SessionLost { .. }) if life == self.life && self.process.is_none() => {
                self.forget(view);
                self.resume = None;
                self.reopen();
            }
            Err(refusal) if !is_for_opens(&refusal) => {
                let got = refusal.to_string();
                view.told.push(Told::WrongRefusal { expected: "a refusal of what is well formed", got });
            }
            _ => {}
        }
    }
}
