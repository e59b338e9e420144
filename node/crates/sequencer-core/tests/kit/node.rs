//! One member: a core, a log in memory, and what it sent.

use sequencer_core::{Config, Core, Effect, Effects, Event, FrameSource, HardState, Now, Outgoing, Role};
use sequencer_wire::{
    Envelope, LogEnd, LogHealth, NodeId, PeerMessage, Position, Term, decode_peer, encode_peer, peek_length,
};

use super::{CLUSTER, Image};

/// One encoded message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Mail {
    pub(crate) fn decode(&self) -> (Envelope, PeerMessage<'_>) {
        let (envelope, message, taken) = decode_peer(&self.bytes, CLUSTER).expect("a sent message decodes");
        assert_eq!(taken, self.bytes.len());
        (envelope, message)
    }

    pub(crate) fn message(&self) -> PeerMessage<'_> {
        self.decode().1
    }

    /// Whether it is an append that carries frames.
    pub(crate) fn has_frames(&self) -> bool {
        matches!(self.message(), PeerMessage::Append { frames, .. } if !frames.is_empty())
    }

    /// Flips the last bit, which belongs to the last frame of an append.
    pub(crate) fn damage(&mut self) {
        *self.bytes.last_mut().expect("a message has bytes") ^= 1;
    }
}

/// A read for a follower that the core asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) peer: NodeId,
    pub(crate) id: u64,
    pub(crate) from: Position,
    pub(crate) limit_bytes: usize,
}

/// A core with its disk.
pub(crate) struct Node {
    pub(crate) core: Core,
    pub(crate) config: Config,
    /// The stored log; its first `durable` bytes survive a crash.
    pub(crate) stored: Vec<u8>,
    pub(crate) durable: usize,
    pub(crate) saved: HardState,
    /// Messages not yet taken by the network.
    pub(crate) outbox: Vec<Mail>,
    /// Reads are kept in `reads` instead of being answered after the step.
    pub(crate) holds_reads: bool,
    pub(crate) reads: Vec<Read>,
    /// Highest commit position since the start.
    pub(crate) committed: u64,
    /// Snapshots that replaced the log.
    pub(crate) installed: Vec<(LogEnd, Vec<u8>)>,
    /// Each time it became leader since the start.
    pub(crate) led: Vec<u64>,
    effects: Effects,
}

impl Node {
    /// A member with an empty log at time 0.
    pub(crate) fn new(config: Config) -> Self {
        Self::with(config, &Image::default(), HardState::default(), super::at(0))
    }

    /// A member that starts with this log and hard state.
    pub(crate) fn with(config: Config, image: &Image, hard_state: HardState, now: Now) -> Self {
        let mut restored = image.restored();
        restored.hard_state = hard_state;
        Self {
            core: Core::new(config.clone(), restored, now).expect("the settings are within bounds"),
            config,
            stored: image.bytes.clone(),
            durable: image.bytes.len(),
            saved: hard_state,
            outbox: Vec::new(),
            holds_reads: false,
            reads: Vec::new(),
            committed: 0,
            installed: Vec::new(),
            led: Vec::new(),
            effects: Effects::new(),
        }
    }

    /// A lone leader-to-be among several voters: elected in the term after that of its log by answers made up here.
    pub(crate) fn leader(config: Config, image: &Image, now: Now) -> Self {
        let hard_state = HardState { term: image.end().term, ..HardState::default() };
        let mut node = Self::with(config, image, hard_state, now);
        node.win_election();
        node
    }

    /// Lets the election time-out pass and makes up all voters' grants; returns the effects of becoming leader.
    pub(crate) fn win_election(&mut self) -> Vec<Effect> {
        let now = super::at_ns(self.core.next_deadline_ns());
        let term = self.core.status().term.0 + 1;
        let mut effects = self.step(Event::Tick, now);
        for peer in self.peers() {
            effects.extend(self.hear(peer, term, PeerMessage::PreVoteResponse { granted: true }, now));
        }
        for peer in self.peers() {
            let message = PeerMessage::VoteResponse { granted: true, wall_ns: now.wall_ns };
            effects.extend(self.hear(peer, term, message, now));
        }
        assert_eq!(self.core.status().role, Role::Leader);
        effects
    }

    pub(crate) fn id(&self) -> u32 {
        self.config.id.0
    }

    /// The other voters.
    pub(crate) fn peers(&self) -> Vec<u32> {
        self.config.voters.iter().map(|id| id.0).filter(|id| *id != self.id()).collect()
    }

    /// Takes in an event and carries out what the core asks for; returns the effects.
    pub(crate) fn step(&mut self, event: Event<'_>, now: Now) -> Vec<Effect> {
        self.core.step(event, now, &mut self.effects);
        let frames = if let Event::LogRead { frames, .. } = event { frames } else { &[] };
        self.carry_out(frames, now)
    }

    /// Takes in a message made up by the test.
    pub(crate) fn hear(&mut self, from: u32, term: u64, message: PeerMessage<'_>, now: Now) -> Vec<Effect> {
        let envelope =
            Envelope { cluster: CLUSTER, from: NodeId(from), to: self.config.id, term: Term(term) };
        self.step(Event::Receive { envelope, message }, now)
    }

    /// Takes in a message from the network.
    pub(crate) fn receive(&mut self, mail: &Mail, now: Now) -> Vec<Effect> {
        let (envelope, message) = mail.decode();
        self.step(Event::Receive { envelope, message }, now)
    }

    pub(crate) fn flush(&mut self, now: Now) -> Vec<Effect> {
        self.step(Event::Flush, now)
    }

    /// Makes all that is stored durable and reports it.
    pub(crate) fn sync(&mut self, now: Now) -> Vec<Effect> {
        self.sync_to(self.stored.len(), now)
    }

    /// Makes what is stored below `position` durable and reports it.
    pub(crate) fn sync_to(&mut self, position: usize, now: Now) -> Vec<Effect> {
        assert!(position <= self.stored.len());
        self.durable = self.durable.max(position);
        self.step(Event::Durable { position: Position(self.durable as u64) }, now)
    }

    /// Starts a transfer and carries out what it asks for.
    pub(crate) fn transfer(
        &mut self,
        target: u32,
        now: Now,
    ) -> Result<Vec<Effect>, sequencer_core::TransferError> {
        self.core.transfer_leadership(NodeId(target), now, &mut self.effects)?;
        Ok(self.carry_out(&[], now))
    }

    /// The same member after a crash: what was not durable is gone. `seed` draws its time-outs from here on.
    pub(crate) fn restart(&mut self, seed: u64, now: Now) {
        self.stored.truncate(self.durable);
        self.config.seed = seed;
        *self = Self::with(self.config.clone(), &Image::parse(&self.stored), self.saved, now);
    }

    fn carry_out(&mut self, frames: &[u8], now: Now) -> Vec<Effect> {
        let list = self.effects.as_slice().to_vec();
        self.effects.clear();
        for effect in &list {
            self.act(effect, frames);
        }
        let mut all = list;
        if !self.holds_reads {
            while let Some(read) = self.reads.pop() {
                all.extend(self.answer_read(read, now));
            }
        }
        all
    }

    /// Answers one read that the core asked for.
    pub(crate) fn answer_read(&mut self, read: Read, now: Now) -> Vec<Effect> {
        let Read { peer, id, from, limit_bytes } = read;
        let stored = &self.stored[from.0 as usize..];
        let mut taken = 0;
        while taken < stored.len() {
            let length =
                peek_length(&stored[taken..], Position(from.0 + taken as u64)).expect("a whole frame");
            if taken > 0 && taken + length > limit_bytes {
                break;
            }
            taken += length;
        }
        let frames = stored[..taken].to_vec();
        self.step(Event::LogRead { peer, id, from, frames: &frames }, now)
    }

    fn act(&mut self, effect: &Effect, frames: &[u8]) {
        match *effect {
            Effect::SaveHardState(state) => {
                assert!(state.term >= self.saved.term, "the saved term goes back");
                let is_same_vote = state.vote == self.saved.vote || self.saved.vote.is_none();
                assert!(state.term > self.saved.term || is_same_vote, "a second vote in {}", state.term);
                self.saved = state;
            }
            Effect::Cut { to } => {
                assert!(to.0 >= self.committed, "a cut to {to} below the commit position");
                // What was admitted and never flushed is cut as well; it was never stored.
                self.stored.truncate(to.0 as usize);
                self.durable = self.durable.min(self.stored.len());
            }
            Effect::Write { from, to } => {
                assert_eq!(from.0 as usize, self.stored.len(), "a write does not continue the stored log");
                for bytes in self.core.log_bytes(from, to) {
                    self.stored.extend_from_slice(bytes);
                }
                assert_eq!(to.0 as usize, self.stored.len());
            }
            Effect::Send { to, term, ref message } => self.send(to, term, message, frames),
            Effect::ReadLog { peer, id, from, limit_bytes } => {
                self.reads.push(Read { peer, id, from, limit_bytes });
            }
            Effect::ReadSnapshot { .. } => {}
            Effect::Install { last } => {
                assert!(last.position.0 >= self.committed, "a snapshot replaces committed bytes");
                // What lies before it is not here any more; positions stay what they are.
                self.stored = vec![0; last.position.0 as usize];
                self.durable = self.stored.len();
                self.installed.push((last, self.core.installed_bytes().to_vec()));
            }
            Effect::Committed { position } => {
                assert!(position.0 > self.committed, "the commit position goes back");
                assert!(position <= self.core.status().end.position, "bytes are committed that are not here");
                self.committed = position.0;
            }
            Effect::RoleChanged { role, term } => {
                if role == Role::Leader {
                    self.led.push(term.0);
                }
            }
        }
    }

    fn send(&mut self, to: NodeId, term: Term, message: &Outgoing, frames: &[u8]) {
        self.check_saved(to, term, message);
        let mut read = Vec::new();
        let message = match *message {
            Outgoing::Append { previous, commit, round, from, to, source } => {
                match source {
                    FrameSource::Event => read.extend_from_slice(frames),
                    FrameSource::Buffer if from == to => {}
                    FrameSource::Buffer => {
                        let mut slices = self.core.log_bytes(from, to);
                        read.extend_from_slice(slices.next().expect("an append has bytes"));
                        assert!(slices.next().is_none(), "an append lies within one block");
                    }
                }
                assert_eq!(read.len() as u64, to.0 - from.0);
                assert_eq!(previous.position, from);
                PeerMessage::Append { previous, commit, round, frames: &read }
            }
            ref other => other.with_bytes(frames),
        };
        let envelope = Envelope { cluster: CLUSTER, from: self.config.id, to, term };
        let mut bytes = Vec::new();
        encode_peer(&mut bytes, &envelope, &message);
        self.outbox.push(Mail { from: self.id(), to: to.0, bytes });
    }

    /// Invariant: what a message reveals is saved before.
    fn check_saved(&self, to: NodeId, term: Term, message: &Outgoing) {
        match *message {
            Outgoing::PreVoteRequest { .. } | Outgoing::StatusRequest { .. } => {
                assert_eq!(term.0, self.saved.term.0 + 1);
            }
            Outgoing::PreVoteResponse { granted: true } => assert!(term > self.saved.term),
            Outgoing::VoteResponse { granted: true, .. } => {
                assert_eq!((self.saved.term, self.saved.vote), (term, Some(to)), "a vote is not saved");
            }
            Outgoing::VoteRequest { .. } => {
                assert_eq!((self.saved.term, self.saved.vote), (term, Some(self.config.id)));
            }
            Outgoing::AppendAccepted { durable, .. } => {
                assert!(durable.0 <= self.durable as u64, "bytes are acknowledged that are not durable");
                assert_eq!(self.saved.term, term);
            }
            Outgoing::StatusResponse { health, .. } => {
                let saved = self.saved.claim.map_or(LogHealth::Clean, |claim| {
                    if claim.damaged { LogHealth::Damaged } else { LogHealth::Doubtful }
                });
                assert_eq!(health, saved, "a claim is not saved");
                assert_eq!(self.saved.term, term, "whoever answers has moved to the term of the question");
            }
            _ => assert!(self.saved.term >= term, "term {term} is not saved"),
        }
    }
}
