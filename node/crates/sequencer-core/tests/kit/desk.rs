//! A lone leader at whose desk requests are made, one after another, each committed before the next unless a test wants it otherwise.

use sequencer_core::{Answer, Message, Open, Outcome, Output, Refusal, Request, Telling};
use sequencer_wire::{Position, Service};

use super::{Node, at, config};

/// See the module's description.
pub(crate) struct Desk {
    pub(crate) node: Node,
    pub(crate) now_ms: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let mut node = Node::new(config(1, 1));
        node.win_election();
        node.sync(at(600));
        Self { node, now_ms: 600 }
    }

    /// Makes a request; what it appends is not committed yet.
    pub(crate) fn ask(&mut self, request: Request<'_>) -> Answer {
        self.node.core.request(&request, at(self.now_ms))
    }

    /// Commits all that was admitted.
    pub(crate) fn commit(&mut self) {
        let now = at(self.now_ms);
        self.node.flush(now);
        self.node.sync(now);
    }

    /// Makes a request, commits it, and returns what came of it, which may be told then.
    pub(crate) fn get(&mut self, request: Request<'_>) -> Result<Outcome, Refusal> {
        let answer = self.ask(request);
        self.commit();
        assert_eq!(self.node.core.telling(&answer), Telling::Now, "{answer:?}");
        answer.result
    }

    /// Opens a session of class 1; returns its id and epoch.
    pub(crate) fn open(&mut self, name: &str) -> (u32, u32) {
        match self.get(Request::Open(open(name))) {
            Ok(Outcome::Opened { session, epoch, .. }) => (session, epoch),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a message; returns its position.
    pub(crate) fn send(&mut self, session: u32, epoch: u32, sequence: u64) -> Position {
        match self.get(Request::Message(message(session, epoch, sequence))) {
            Ok(Outcome::Admitted { at, .. }) => at,
            other => panic!("{other:?}"),
        }
    }

    /// Registers a service of version 1.
    pub(crate) fn register(&mut self, id: u32, agree: u16) -> Position {
        let service = Service { version: 1, hold_bytes_max: 1 << 40, tick_ns: 0, agree, name: "service" };
        match self.get(Request::RegisterService { id, service }) {
            Ok(Outcome::Admitted { at, .. }) => at,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, with a tick at each heartbeat.
    pub(crate) fn wait(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += 10;
            self.node.step(sequencer_core::Event::Tick, at(self.now_ms));
            self.commit();
        }
    }
}

pub(crate) fn open(name: &str) -> Open<'_> {
    Open { name, class: 1, group: 0, timeout_ns: 1_000_000_000, resume: None }
}

pub(crate) fn message(session: u32, epoch: u32, sequence: u64) -> Message<'static> {
    let cause = Position(0);
    Message { session, epoch, sequence, cause, schema_id: 0, schema_version: 0, payload: b"message" }
}

pub(crate) fn output(service: u32, epoch: u32, k: u64, cause: Position) -> Output<'static> {
    Output { service, epoch, k, cause, schema_id: 0, schema_version: 0, payload: b"output", replica: 1 }
}
