//! How one connection stands, and whether to keep it, leave it or make a new one.
//!
//! ```text
//! Down --dial--> Dialing --connected--> Greeting --welcome--> Up(no view -> the leader is here | wait for one)
//! ```
//! A connection to the leader is left when its node names another leader, when it knows of none for a second, or when it owes an answer for too long.
//! A leader that was just found to be out of reach is not run after again: the node that names it will be the first to know of the next one.
//! A connection of a reader is left in the last case, and when its node is cut off: it knows no leader for three seconds.

use sequencer_link::{Leader, Welcomed};
use sequencer_wire::{NodeId, Term};

use crate::error::Disconnect;
use crate::event::Purpose;
use crate::router::Router;

/// How long connecting may take, and then the handshake.
const STEP_NS: u64 = 1_000_000_000;
const LEADERLESS_NS: u64 = 1_000_000_000;
const READER_LEADERLESS_NS: u64 = 3_000_000_000;
/// Doublings of the time that a silent node is given.
const FRUITLESS_MAX: u32 = 3;

/// What is known of the leader through this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// It is the node at the other end, and admits.
    Here(Term),
    /// There is none that admits, or nothing was said yet.
    None,
    /// It is another node.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Down,
    Dialing,
    Greeting,
    Up,
}

/// What the driver has to do about a connection.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing.
    Stay,
    /// Connect to this address.
    Dial(String),
    /// Close it.
    Leave(Disconnect),
}

/// An address that could not be reached.
#[derive(Debug)]
struct Failed {
    address: String,
    at_ns: u64,
    /// Newest term that was known then.
    term: Term,
}

/// What an announcement of the leader means for what runs over the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Here,
    Away,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Standing {
    purpose: Purpose,
    pub(crate) router: Router,
    stage: Stage,
    /// Since when it is at that stage, in ns.
    stage_ns: u64,
    pub(crate) address: String,
    node: NodeId,
    view: View,
    view_ns: u64,
    /// Newest term that any node has named.
    term: Term,
    failed: Option<Failed>,
    /// Since when it does what it is for.
    works_ns: Option<u64>,
    /// Since when the node owes an answer, as far as was noticed.
    owes_ns: Option<u64>,
    /// Connections in a row that were left for silence.
    fruitless: u32,
    pub(crate) heard_ns: u64,
    /// A question that any node answers, to see whether it is there.
    pub(crate) ping_tag: Option<u32>,
    leave: Option<Disconnect>,
    answer_timeout_ns: u64,
}

impl Standing {
    pub(crate) fn new(purpose: Purpose, router: Router, answer_timeout_ns: u64) -> Self {
        Self {
            purpose,
            router,
            stage: Stage::Down,
            stage_ns: 0,
            address: String::new(),
            node: NodeId(0),
            view: View::None,
            view_ns: 0,
            term: Term::NONE,
            failed: None,
            works_ns: None,
            owes_ns: None,
            fruitless: 0,
            heard_ns: 0,
            ping_tag: None,
            leave: None,
            answer_timeout_ns,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.stage == Stage::Up && self.leave.is_none()
    }

    /// Whether the leader is at the other end.
    pub(crate) fn is_leader_here(&self) -> bool {
        self.is_up() && matches!(self.view, View::Here(_))
    }

    /// What has to be done now. A dial counts as begun.
    pub(crate) fn plan(&mut self, is_needed: bool, now_ns: u64) -> Plan {
        if self.stage == Stage::Down {
            let address = if is_needed { self.router.candidate(now_ns) } else { None };
            let Some(address) = address else { return Plan::Stay };
            self.enter(Stage::Dialing, now_ns);
            self.address.clone_from(&address);
            return Plan::Dial(address);
        }
        if let Some(why) = self.leave.take() {
            return Plan::Leave(why);
        }
        if !is_needed && self.purpose == Purpose::Reader {
            return Plan::Leave(Disconnect::Unneeded);
        }
        if now_ns < self.limit_ns(is_needed) {
            return Plan::Stay;
        }
        let ms = |since: u64| (now_ns - since) / 1_000_000;
        Plan::Leave(match self.stage {
            Stage::Dialing => Disconnect::Slow { what: "connecting", limit_ms: STEP_NS / 1_000_000 },
            Stage::Greeting => Disconnect::Slow { what: "the handshake", limit_ms: STEP_NS / 1_000_000 },
            _ if now_ns >= self.silence_limit_ns() => {
                self.fruitless += 1;
                Disconnect::Silent { ms: ms(self.owes_ns.unwrap_or(now_ns)) }
            }
            _ => Disconnect::NoLeader { ms: ms(self.view_ns) },
        })
    }

    /// When [`Self::plan`] has something to do by the passing of time alone.
    pub(crate) fn due_ns(&self, is_needed: bool) -> u64 {
        if self.leave.is_some() {
            0
        } else if self.stage == Stage::Down {
            if is_needed { self.router.due_ns() } else { u64::MAX }
        } else {
            self.limit_ns(is_needed)
        }
    }

    /// Until when things may stay as they are.
    fn limit_ns(&self, is_needed: bool) -> u64 {
        match self.stage {
            Stage::Down => u64::MAX,
            Stage::Dialing | Stage::Greeting => self.stage_ns + STEP_NS,
            Stage::Up => {
                let leaderless = match (self.view, self.purpose) {
                    (View::None, Purpose::Leader) if is_needed => self.view_ns + LEADERLESS_NS,
                    (View::None, Purpose::Reader) => self.view_ns + READER_LEADERLESS_NS,
                    _ => u64::MAX,
                };
                leaderless.min(self.silence_limit_ns())
            }
        }
    }

    fn silence_limit_ns(&self) -> u64 {
        let patience = self.answer_timeout_ns << self.fruitless.min(FRUITLESS_MAX);
        self.owes_ns.map_or(u64::MAX, |since| since.saturating_add(patience))
    }

    /// When the node is to be asked whether it is there, if nothing else is heard of it.
    pub(crate) fn ping_due_ns(&self) -> u64 {
        if self.ping_tag.is_some() { u64::MAX } else { self.heard_ns.saturating_add(self.answer_timeout_ns) }
    }

    /// The socket is connected.
    pub(crate) fn greeting(&mut self, now_ns: u64) {
        self.enter(Stage::Greeting, now_ns);
    }

    /// The handshake is done.
    pub(crate) fn welcomed(&mut self, welcomed: &Welcomed, now_ns: u64) {
        self.enter(Stage::Up, now_ns);
        self.node = welcomed.node;
        (self.view, self.view_ns, self.heard_ns) = (View::None, now_ns, now_ns);
        (self.works_ns, self.owes_ns, self.ping_tag) = (None, None, None);
    }

    fn enter(&mut self, stage: Stage, now_ns: u64) {
        (self.stage, self.stage_ns) = (stage, now_ns);
        self.leave = None;
    }

    /// Something was heard.
    #[inline]
    pub(crate) fn heard(&mut self, now_ns: u64) {
        self.heard_ns = now_ns;
        self.owes_ns = None;
    }

    /// It does what it is for.
    #[inline]
    pub(crate) fn works(&mut self, now_ns: u64) {
        if self.works_ns.is_none() {
            self.works_ns = Some(now_ns);
            self.router.arrived();
        }
        self.fruitless = 0;
    }

    /// Whether the node owes an answer; from the first time on it is held to it.
    #[inline]
    pub(crate) fn note_owed(&mut self, is_owed: bool, now_ns: u64) {
        if !is_owed {
            self.owes_ns = None;
        } else if self.owes_ns.is_none() {
            self.owes_ns = Some(now_ns);
        }
    }

    /// The connection is to be left at the next [`Self::plan`].
    pub(crate) fn leave(&mut self, why: Disconnect) {
        if self.stage != Stage::Down && self.leave.is_none() {
            self.leave = Some(why);
        }
    }

    /// Takes in who leads.
    pub(crate) fn on_leader(&mut self, leader: &Leader<'_>, now_ns: u64) -> Change {
        let view = match leader.id {
            _ if leader.is_here => View::Here(leader.term),
            Some(id) if id != self.node && !self.is_out_of_reach(leader, now_ns) => View::Elsewhere,
            _ => View::None,
        };
        self.term = self.term.max(leader.term);
        if view == self.view && view != View::Elsewhere {
            return Change::None;
        }
        (self.view, self.view_ns) = (view, now_ns);
        if self.purpose == Purpose::Reader {
            return Change::None;
        }
        match view {
            View::Here(_) => {
                if self.works_ns.is_none() {
                    self.works_ns = Some(now_ns);
                    self.router.arrived();
                }
                Change::Here
            }
            View::None => Change::Away,
            View::Elsewhere => {
                if !leader.address.is_empty() {
                    self.router.redirected(leader.address, now_ns);
                }
                let id = leader.id.expect("it is named when it is elsewhere");
                self.leave(Disconnect::Redirected { leader: id, term: leader.term });
                Change::Away
            }
        }
    }

    /// Whether this leader could not be reached a moment ago, and nothing was heard of another term since.
    fn is_out_of_reach(&self, leader: &Leader<'_>, now_ns: u64) -> bool {
        self.failed.as_ref().is_some_and(|failed| {
            failed.address == leader.address
                && leader.term <= failed.term
                && now_ns - failed.at_ns < LEADERLESS_NS
        })
    }

    /// The node says that it does not lead, or not for long. Who does it will say by itself.
    pub(crate) fn leader_away(&mut self, now_ns: u64) {
        (self.view, self.view_ns) = (View::None, now_ns);
    }

    /// The connection is gone, or did not come about.
    pub(crate) fn lost(&mut self, why: &Disconnect, now_ns: u64) {
        let is_redirect = matches!(why, Disconnect::Redirected { .. }) && self.router.has_named();
        if !is_redirect && !matches!(why, Disconnect::Unneeded) {
            // What ends for a reason of the node's is a failure, however long it worked: it would only be so again.
            let is_fault =
                !matches!(why, Disconnect::Closed | Disconnect::Broken(_) | Disconnect::Redirected { .. });
            let worked = self.works_ns.filter(|_| !is_fault);
            self.router.lost(now_ns, worked.map(|since| now_ns - since));
        }
        if matches!(self.stage, Stage::Dialing | Stage::Greeting) {
            self.failed = Some(Failed { address: self.address.clone(), at_ns: now_ns, term: self.term });
        }
        self.enter(Stage::Down, now_ns);
        (self.view, self.works_ns, self.owes_ns, self.ping_tag) = (View::None, None, None, None);
    }
}
