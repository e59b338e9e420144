//! A node of one voter: a real core with a log in memory, and its clients' connections. `service` takes in what they ask.

use std::collections::VecDeque;

use sequencer_core::{
    Answer, Config, Core, Effect, Effects, Event, HardState, Ledger, Now, Outcome, Refusal, Restored,
};
use sequencer_wire::{ClusterId, FrameFields, Frames, NodeId, Position, Term, TermTable};

pub(super) const MS: u64 = 1_000_000;
const WALL_NS: u64 = 1_700_000_000_000_000_000;
pub(super) const NODE: NodeId = NodeId(1);

/// A frame of the log, without its bytes.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) at: u64,
    pub(super) fields: FrameFields,
    pub(super) payload: Vec<u8>,
}

pub(super) enum What {
    Admitted { session: u32, epoch: u32, first: u64, places: Vec<u64> },
    Reply { result: Result<Outcome, Refusal>, sequence: Option<u64> },
}

pub(super) struct Waiting {
    pub(super) connection: u64,
    pub(super) tag: u32,
    pub(super) answer: Answer,
    pub(super) what: What,
}

/// One connection of a client.
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    pub(super) taken: usize,
    pub(super) subscription: Option<(u32, Position)>,
    pub(super) told: Option<(Term, bool)>,
}

pub(super) struct ModelNode {
    pub(super) core: Core,
    config: Config,
    pub(super) stored: Vec<u8>,
    durable: usize,
    hard_state: HardState,
    effects: Effects,
    pub(super) connections: Vec<Connection>,
    pub(super) commits: VecDeque<Waiting>,
    pub(super) rounds: VecDeque<Waiting>,
    next_connection: u64,
    pub(super) now_ns: u64,
}

pub(super) fn at(now_ns: u64) -> Now {
    Now { monotonic_ns: now_ns, wall_ns: WALL_NS + now_ns }
}

fn start(config: &Config, stored: &[u8], hard_state: HardState, now_ns: u64) -> Core {
    let mut ledger = Ledger::new();
    ledger.replay(stored, Position(0), Term::NONE).expect("a stored log can be replayed");
    let (mut terms, mut last_timestamp_ns) = (TermTable::new(), 0);
    for frame in Frames::new(stored, Position(0), Term::NONE) {
        let frame = frame.expect("a stored frame verifies");
        terms.record(&frame);
        last_timestamp_ns = frame.fields.timestamp_ns;
    }
    let end = Position(stored.len() as u64);
    let restored = Restored { hard_state, terms, end, last_timestamp_ns, ledger, ..Restored::default() };
    Core::new(config.clone(), restored, at(now_ns)).expect("the settings are within bounds")
}

impl ModelNode {
    /// A node with an empty log, which leads and admits.
    pub(super) fn new() -> Self {
        let mut config = Config::new(ClusterId(*b"client test node"), NODE, vec![NODE], 7);
        config.block_bytes = 4096;
        config.blocks = 16;
        config.uncommitted_bytes_max = 4096;
        config.inflight_bytes_max = 4096;
        let mut node = Self {
            core: start(&config, &[], HardState::default(), 0),
            config,
            stored: Vec::new(),
            durable: 0,
            hard_state: HardState::default(),
            effects: Effects::new(),
            connections: Vec::new(),
            commits: VecDeque::new(),
            rounds: VecDeque::new(),
            next_connection: 1,
            now_ns: 0,
        };
        node.pass(1000 * MS);
        node.sync();
        assert!(node.core.admits());
        node
    }

    /// Time passes; the core acts when it is due.
    pub(super) fn pass(&mut self, to_ns: u64) {
        loop {
            let due = self.core.next_deadline_ns().max(self.now_ns);
            if due > to_ns {
                break;
            }
            self.now_ns = due;
            self.step(Event::Tick);
        }
        self.now_ns = self.now_ns.max(to_ns);
        self.step(Event::Flush);
    }

    fn step(&mut self, event: Event<'_>) {
        let now = at(self.now_ns);
        self.core.step(event, now, &mut self.effects);
        for effect in self.effects.as_slice() {
            match *effect {
                Effect::SaveHardState(state) => self.hard_state = state,
                Effect::Write { from, to } => {
                    assert_eq!(from.0 as usize, self.stored.len());
                    for bytes in self.core.log_bytes(from, to) {
                        self.stored.extend_from_slice(bytes);
                    }
                }
                Effect::Committed { .. } | Effect::RoleChanged { .. } => {}
                ref other => panic!("a lone voter does not ask for {other:?}"),
            }
        }
        self.effects.clear();
    }

    /// What was admitted becomes durable, is committed, and is answered.
    pub(super) fn sync(&mut self) {
        self.step(Event::Flush);
        self.durable = self.stored.len();
        self.step(Event::Durable { position: Position(self.durable as u64) });
        self.take_all();
        self.tell();
    }

    /// The process ends and starts again: what was not durable is gone, and so is every connection.
    pub(super) fn crash(&mut self) {
        self.stored.truncate(self.durable);
        self.connections.clear();
        self.commits.clear();
        self.rounds.clear();
        self.config.seed += 1;
        self.core = start(&self.config, &self.stored, self.hard_state, self.now_ns);
    }

    pub(super) fn connect(&mut self) -> u64 {
        let id = self.next_connection;
        self.next_connection += 1;
        self.connections.push(Connection {
            id,
            input: Vec::new(),
            output: Vec::new(),
            taken: 0,
            subscription: None,
            told: None,
        });
        self.tell();
        id
    }

    pub(super) fn disconnect(&mut self, id: u64) {
        self.connections.retain(|connection| connection.id != id);
    }

    /// Bytes arrive; those that come after are taken in by and by even if the client has gone.
    pub(super) fn receive(&mut self, id: u64, bytes: &[u8]) {
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) {
            connection.input.extend_from_slice(bytes);
        }
        self.take_all();
        self.tell();
    }

    /// What has been said to a client so far.
    pub(super) fn said(&mut self, id: u64) -> Option<Vec<u8>> {
        let connection = self.connections.iter_mut().find(|connection| connection.id == id)?;
        Some(std::mem::take(&mut connection.output))
    }

    /// The committed log.
    pub(super) fn committed(&self) -> &[u8] {
        &self.stored[..self.core.readable_end().0 as usize]
    }

    pub(super) fn frames(&self) -> Vec<Held> {
        Frames::new(self.committed(), Position(0), Term::NONE)
            .map(|frame| {
                let frame = frame.expect("a committed frame verifies");
                Held { at: frame.at.0, fields: frame.fields, payload: frame.payload.to_vec() }
            })
            .collect()
    }
}
