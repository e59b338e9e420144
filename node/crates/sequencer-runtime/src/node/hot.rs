//! The hot loop: one thread that owns the log, the sockets and the decisions.
//!
//! A turn:
//! 1. wait for something, as the idle strategy says, at most until the core's next deadline;
//! 2. take in what arrived: peers' messages, clients' requests, finished reads, commands;
//! 3. [`Replica::turn`]: what was admitted goes to the followers and to the disk in one batch;
//! 4. tell what may be told, send committed frames to subscribers, let everything leave; before 3 when there is little to tell and nothing
//!    was admitted.
//!
//! Batches form by themselves from what came while the last turn ran; nobody waits to fill one.
//!
//! Cost of a message on the leader, beside the core's part: its share of one read, of two writes to followers, of one to the file, of one to the
//! client; eight bytes in a queue. No allocation, no lock, no system call of its own.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Poll, Token, Waker};
use sequencer_core::{Now, Request, Role};
use sequencer_link::{Keys, Leader, Refused, Tell, encode_tell};
use sequencer_storage::FileDisk;
use sequencer_wire::{NodeId, Position, Term, peek_peer_length};

use crate::error::ReplicaError;
use crate::node::answers::Answers;
use crate::node::clock::Clock;
use crate::node::config::{Idle, NodeConfig};
use crate::node::control::{self, Control};
use crate::node::counters::Counters;
use crate::node::egress::Egress;
use crate::node::ingress::{self, Intake};
use crate::node::links::{FIRST_TOKEN, Links, ReadOutcome, Stage};
use crate::node::peers::Peers;
use crate::replica::Replica;

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
/// Between two looks at what need not be looked at in each turn.
const HOUSEKEEPING_NS: u64 = 20_000_000;
const EVENTS_MAX: usize = 1024;
/// A loop that yields goes to sleep after this long without work: on a machine with fewer cores than loops, the others need the core more.
const YIELD_NS: u64 = 100_000;
/// Up to so much is told at once. With more under way a little later is better: it makes larger batches.
const LIGHT_BYTES: u64 = 16 << 10;
/// A stop that hands leadership over waits this many election time-outs for it.
const HAND_OVER_ELECTIONS: u64 = 3;

/// See the module's description.
pub(crate) struct Hot {
    pub(crate) config: NodeConfig,
    pub(crate) replica: Replica<FileDisk>,
    pub(crate) poll: Poll,
    pub(crate) listener: TcpListener,
    pub(crate) links: Links,
    pub(crate) peers: Peers,
    pub(crate) keys: Keys,
    pub(crate) answers: Answers,
    pub(crate) egress: Egress,
    pub(crate) controls: Receiver<Control>,
    pub(crate) counters: Counters,
    pub(crate) clock: Clock,
    pub(crate) payload_bytes_max: u32,
    pub(crate) leader_told: (Term, Option<NodeId>, bool),
    /// Up to where clients were told.
    pub(crate) told: Position,
    pub(crate) housekeeping_at_ns: u64,
    pub(crate) stop_at_ns: Option<u64>,
    pub(crate) turns: u64,
    pub(crate) disk: (u64, bool),
    /// The catch-up thread and the sync thread end a wait with it.
    pub(crate) _waker: Arc<Waker>,
}

impl Hot {
    /// Runs until it is told to stop, or fails.
    pub(crate) fn run(mut self) -> Result<(), ReplicaError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut wants_more = false;
        let mut now = self.clock.now();
        // When there was last something to do.
        let mut busy_ns = now.monotonic_ns;
        loop {
            let may_sleep = match self.config.idle {
                Idle::Wait => !wants_more,
                Idle::Yield => !wants_more && now.monotonic_ns - busy_ns > YIELD_NS,
                Idle::Spin => false,
            };
            let is_busy = wants_more | self.wait(&mut events, may_sleep);
            now = self.clock.now();
            let took = self.take_in(&events, now)?;
            if self.replica.core().is_flushed() && self.untold_bytes() <= LIGHT_BYTES {
                // Nothing new for the followers: who waits for an answer comes before those who are told of the commit.
                self.tell();
            }
            self.replica.turn(now, &mut self.links)?;
            wants_more = self.tell() | took.wants_more;
            self.turns += 1;
            if now.monotonic_ns >= self.housekeeping_at_ns {
                self.keep_house(now)?;
            }
            if self.is_over(now)? {
                return self.replica.close();
            }
            if is_busy || took.did {
                busy_ns = now.monotonic_ns;
            } else {
                match self.config.idle {
                    Idle::Wait => {}
                    Idle::Yield => std::thread::yield_now(),
                    Idle::Spin => std::hint::spin_loop(),
                }
            }
        }
    }

    /// Committed bytes that were not told of.
    fn untold_bytes(&self) -> u64 {
        self.replica.core().readable_end().0.saturating_sub(self.told.0)
    }

    /// Tells clients what may be told, and lets it leave; true when a subscriber wants more at once.
    fn tell(&mut self) -> bool {
        self.answers.tell(self.replica.core(), &mut self.links);
        self.told = self.replica.core().readable_end();
        self.tell_leader();
        let wants_more = self.egress.serve(&self.replica, &mut self.links);
        self.links.flush();
        wants_more
    }

    /// Waits for events; true when there are any.
    fn wait(&mut self, events: &mut Events, may_sleep: bool) -> bool {
        let timeout = if !may_sleep {
            Duration::ZERO
        } else {
            let now = self.clock.now().monotonic_ns;
            let due = self
                .replica
                .next_deadline_ns()
                .min(self.housekeeping_at_ns)
                .min(self.peers.next_try_ns(&self.links));
            Duration::from_nanos(due.saturating_sub(now))
        };
        match self.poll.poll(events, Some(timeout)) {
            Ok(()) => !events.is_empty(),
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) => panic!("the poll of the hot loop failed, which only a bug can cause: {error}"),
        }
    }

    fn take_in(&mut self, events: &Events, now: Now) -> Result<Took, ReplicaError> {
        let mut is_woken = false;
        for event in events {
            match event.token() {
                LISTENER => self.accept(now),
                WAKER => is_woken = true,
                Token(token) => {
                    if let Some(link) = self.links.get(token - FIRST_TOKEN) {
                        link.on_ready(event.is_readable() || event.is_read_closed(), event.is_writable());
                    }
                }
            }
        }
        let mut took = Took::default();
        for index in self.links.places() {
            if self.links.get(index).is_some_and(|link| link.is_readable || link.is_held) {
                took.did = true;
                self.read(index, now)?;
                took.wants_more |=
                    self.links.get(index).is_some_and(|link| link.is_readable && !link.is_held);
            }
        }
        // A thread that has finished wakes a loop that sleeps; one that does not sleep looks by itself.
        if is_woken || self.config.idle != Idle::Wait {
            self.egress.take(&self.replica, &mut self.links);
            self.obey(now)?;
        }
        Ok(took)
    }

    /// Reads what a connection has, and takes in the whole messages.
    fn read(&mut self, index: usize, now: Now) -> Result<(), ReplicaError> {
        let is_held = self.links.get(index).is_some_and(|link| link.is_held);
        if !is_held && self.links.read(index) == ReadOutcome::Closed {
            // What arrived before the end counts.
            self.take_messages(index, now)?;
            self.links.close(index);
            return Ok(());
        }
        self.take_messages(index, now)
    }

    pub(super) fn take_messages(&mut self, index: usize, now: Now) -> Result<(), ReplicaError> {
        let Some(link) = self.links.get(index) else { return Ok(()) };
        if link.is_closing {
            return Ok(());
        }
        match &link.stage {
            Stage::Peer => self.take_peer_messages(index, now),
            Stage::Client(_) => {
                let outcome = ingress::take_in(index, link, &mut self.replica, &mut self.answers, now);
                match outcome {
                    Ok(Intake::Done | Intake::Held) => {}
                    Err(error) => self.refuse(index, &Refused::from(error)),
                }
                Ok(())
            }
            Stage::Accepted { .. } | Stage::Dialing { .. } => self.take_greetings(index, now),
        }
    }

    fn take_peer_messages(&mut self, index: usize, now: Now) -> Result<(), ReplicaError> {
        let Some(link) = self.links.get(index) else { return Ok(()) };
        let generation = link.generation;
        let mut input = std::mem::replace(&mut link.input, sequencer_link::InputBuffer::new(0));
        let mut is_sound = true;
        while is_sound && input.len() >= 4 {
            let Ok(bytes) = peek_peer_length(input.bytes()) else {
                is_sound = false;
                break;
            };
            if bytes > input.len() {
                break;
            }
            let outcome = self.replica.receive(&input.bytes()[..bytes], now, &mut self.links)?;
            is_sound = outcome.is_ok();
            input.consume(bytes);
        }
        // The connection may have been replaced by a newer one of the same member.
        if let Some(link) = self.links.get_same(index, generation) {
            link.input = input;
        }
        if !is_sound {
            // Damaged under way: nothing behind it can be trusted. Members connect again by themselves.
            self.links.close(index);
        }
        Ok(())
    }

    /// Tells every client when another leads, or when this node begins or ceases to admit.
    fn tell_leader(&mut self) {
        let (term, id) = self.replica.core().leader();
        let now = (term, id, self.replica.core().admits());
        if now == self.leader_told {
            return;
        }
        self.leader_told = now;
        let tell = self.leader();
        for index in self.links.places() {
            if let Some(link) = self.links.get(index)
                && matches!(link.stage, Stage::Client(_))
            {
                tell.encode(link.tail());
            }
        }
    }

    pub(super) fn leader(&self) -> LeaderTold {
        let (term, id) = self.replica.core().leader();
        let address = id.map_or("", |id| self.peers.address_of(id)).to_owned();
        LeaderTold { term, id, address, is_here: self.replica.core().admits() }
    }

    /// Does what the process around asks.
    fn obey(&mut self, now: Now) -> Result<(), ReplicaError> {
        loop {
            match self.controls.try_recv() {
                Ok(Control::Status(reply)) => {
                    let json = control::status(
                        &self.config,
                        &self.replica,
                        &self.peers,
                        &self.links,
                        self.disk,
                        self.clock.uptime_ns(now),
                    );
                    let _gone = reply.try_send(json);
                }
                Ok(Control::Command(command, reply)) => {
                    control::carry_out(
                        &command,
                        reply,
                        &mut self.replica,
                        &mut self.answers,
                        &mut self.links,
                        now,
                    )?;
                }
                Ok(Control::Stop { hand_over }) => self.begin_stop(hand_over, now)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return self.begin_stop(false, now),
            }
        }
    }

    fn begin_stop(&mut self, hand_over: bool, now: Now) -> Result<(), ReplicaError> {
        let election_ns = self.replica.core().config().election_timeout_ns;
        let mut patience_ns = 0;
        if hand_over
            && self.replica.status().role == Role::Leader
            && let Some(target) = control::heir(&self.replica)
        {
            patience_ns = HAND_OVER_ELECTIONS * election_ns;
            // A transfer that is under way already serves as well.
            let _under_way = self.replica.transfer_leadership(target, now, &mut self.links)?;
        }
        self.stop_at_ns.get_or_insert(now.monotonic_ns + patience_ns);
        Ok(())
    }

    fn is_over(&mut self, now: Now) -> Result<bool, ReplicaError> {
        let Some(stop_at_ns) = self.stop_at_ns else { return Ok(false) };
        // The new leader needs this node's vote, so it stays until somebody leads.
        let status = self.replica.status();
        let is_handed_over = status.role != Role::Leader && status.leader.is_some();
        Ok(now.monotonic_ns >= stop_at_ns || is_handed_over)
    }

    fn keep_house(&mut self, now: Now) -> Result<(), ReplicaError> {
        self.housekeeping_at_ns = now.monotonic_ns + HOUSEKEEPING_NS;
        self.replica.maintain(now, &mut self.links)?;
        let space = self.replica.space()?;
        self.disk = (space.free_bytes, space.is_low);
        self.retain(now);
        self.peers.dial(&mut self.links, &mut nonce, now);
        for index in self.links.places() {
            let Some(link) = self.links.get(index) else { continue };
            let is_late = match &link.stage {
                Stage::Accepted { deadline_ns, .. } => now.monotonic_ns >= *deadline_ns,
                Stage::Dialing { deadline_ns, .. } => now.monotonic_ns >= *deadline_ns || link.has_failed(),
                Stage::Peer | Stage::Client(_) => false,
            };
            if is_late {
                self.links.close(index);
            }
        }
        self.show_counters();
        Ok(())
    }

    /// Trims what lies further back than is to be kept, as far as nothing else needs it.
    fn retain(&mut self, now: Now) {
        let keep = self.config.limits.retain_bytes;
        let status = self.replica.status();
        if keep == 0 || !self.replica.core().admits() {
            return;
        }
        let floor = Position(status.commit.0.saturating_sub(keep)).min(status.snapshot);
        // Not for a few bytes: each trim is a frame.
        if floor.0 > self.replica.core().ledger().retention().floor.0 + keep / 4 {
            let _held_by_others = self.replica.request(&Request::Trim { floor }, now);
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Took {
    /// Something was taken in.
    did: bool,
    /// There is more to read at once.
    wants_more: bool,
}

pub(super) struct LeaderTold {
    term: Term,
    id: Option<NodeId>,
    address: String,
    is_here: bool,
}

impl LeaderTold {
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let leader = Leader { term: self.term, id: self.id, address: &self.address, is_here: self.is_here };
        encode_tell(into, 0, &Tell::Leader(leader));
    }
}

/// Fresh random bytes.
pub(crate) fn nonce() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
