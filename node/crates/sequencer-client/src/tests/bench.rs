//! An engine on a bench: it is told what the test says, and what it says is taken down.

use std::time::Duration;

use sequencer_link::{
    Ask, Done, Leader, Positions, Record, Reply, Tell, Welcomed, decode_ask, encode_tell, peek_message,
};
use sequencer_wire::{NodeId, Position, Term};
use serde_json::{Map, Value};

use super::node::MS;
use super::world::Told;
use crate::engine::Engine;
use crate::error::Disconnect;
use crate::event::{Event, Purpose};
use crate::settings::SessionSettings;
use crate::standing::Plan;

/// What was asked, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Open { resume: u32 },
    Batch { epoch: u32, first: u64, count: u32, extra: u32 },
    KeepAlive { session: u32 },
    Close,
    Subscribe { from: u64 },
    Unsubscribe,
    Command,
}

pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now_ns: u64,
    pub(super) told: Vec<Told>,
    pub(super) raw: Vec<String>,
    pub(super) last_tag: u32,
}

impl Bench {
    pub(super) fn new() -> Self {
        let engine = Engine::new(vec!["a".to_owned(), "b".to_owned()], 2000 * MS, 1);
        Self { engine, now_ns: 0, told: Vec::new(), raw: Vec::new(), last_tag: 0 }
    }

    /// A client whose session 5 is open in epoch 1, with nothing sent.
    pub(super) fn open() -> Self {
        let mut bench = Self::new();
        bench.engine.open_session(settings(0)).expect("good settings");
        bench.connect(Purpose::Leader);
        bench.leader(1, 1, "", true);
        assert_eq!(bench.say(), [Asked::Open { resume: 0 }]);
        bench.opened(1, 0);
        assert_eq!(bench.take(), [Told::Opened { epoch: 1 }]);
        bench
    }

    pub(super) fn connect(&mut self, purpose: Purpose) -> String {
        let Plan::Dial(address) = self.engine.plan(purpose, self.now_ns) else { panic!("no dial") };
        self.engine.greeting(purpose, self.now_ns);
        let welcomed = Welcomed { node: NodeId(1), data: [0; 16], payload_bytes_max: 1000 };
        self.engine.connected(purpose, &welcomed, self.now_ns, &mut |_| {});
        address
    }

    pub(super) fn cut(&mut self, purpose: Purpose) {
        let Self { engine, told, raw, now_ns, .. } = self;
        engine.lost(purpose, &Disconnect::Closed, *now_ns, &mut |event| note(&event, told, raw));
    }

    pub(super) fn hear(&mut self, purpose: Purpose, tag: u32, tell: &Tell<'_>) -> Result<(), Disconnect> {
        let mut bytes = Vec::new();
        encode_tell(&mut bytes, tag, tell);
        let Self { engine, told, raw, now_ns, .. } = self;
        engine.receive(purpose, &bytes, *now_ns, &mut |event| note(&event, told, raw))
    }

    pub(super) fn leader(&mut self, term: u64, id: u32, address: &str, is_here: bool) {
        let leader = Leader { term: Term(term), id: (id > 0).then_some(NodeId(id)), address, is_here };
        self.hear(Purpose::Leader, 0, &Tell::Leader(leader)).expect("it makes sense");
    }

    pub(super) fn answer(&mut self, tag: u32, reply: &Reply) {
        let json = serde_json::to_vec(reply).expect("it can be said");
        self.hear(Purpose::Leader, tag, &Tell::Answer { json: &json }).expect("it makes sense");
    }

    pub(super) fn opened(&mut self, epoch: u32, last_sequence: u64) {
        let is_resumed = epoch > 1;
        let done = Done::Opened { session: 5, epoch, last_sequence, is_resumed, position: 8 };
        self.answer(self.last_tag, &Reply::Done(done));
    }

    pub(super) fn refuse(&mut self, tag: u32, kind: &str, sequence: Option<u64>) {
        self.refuse_with(tag, kind, sequence, Map::new());
    }

    pub(super) fn refuse_with(
        &mut self,
        tag: u32,
        kind: &str,
        sequence: Option<u64>,
        facts: Map<String, Value>,
    ) {
        let is_retryable = matches!(kind, "log_full" | "too_many_sessions");
        let (refusal, message) = (kind.to_owned(), String::new());
        self.answer(tag, &Reply::Refused { refusal, message, is_retryable, sequence, facts });
    }

    pub(super) fn admitted(&mut self, epoch: u32, first: u64, positions: &[u64]) -> Result<(), Disconnect> {
        let bytes: Vec<u8> = positions.iter().flat_map(|position| position.to_le_bytes()).collect();
        let positions = Positions::new(&bytes);
        self.hear(Purpose::Leader, 0, &Tell::Admitted { session: 5, epoch, first, positions })
    }

    /// What the engine says now on the leader's connection.
    pub(super) fn say(&mut self) -> Vec<Asked> {
        self.say_on(Purpose::Leader)
    }

    pub(super) fn say_on(&mut self, purpose: Purpose) -> Vec<Asked> {
        let mut bytes = Vec::new();
        let Self { engine, told, raw, now_ns, .. } = self;
        engine.ask(purpose, *now_ns, &mut bytes, &mut |event| note(&event, told, raw));
        while purpose == Purpose::Leader
            && let Some(batch) = engine.next_batch(*now_ns)
        {
            bytes.extend_from_slice(&batch.head);
            bytes.extend(batch.pieces.concat());
        }
        engine.end_turn(*now_ns);
        let mut asked = Vec::new();
        let mut rest = &bytes[..];
        while let Some(message) = peek_message(rest).expect("a good length") {
            let (head, ask) = decode_ask(message).expect("a good message");
            self.last_tag = head.tag;
            asked.push(match ask {
                Ask::Open(open) => Asked::Open { resume: open.resume },
                Ask::Batch(batch) => {
                    let (epoch, first, count, extra) = (batch.epoch, batch.first, batch.count, batch.extra);
                    Asked::Batch { epoch, first, count, extra }
                }
                Ask::KeepAlive { session, .. } => Asked::KeepAlive { session },
                Ask::Close { .. } => Asked::Close,
                Ask::Subscribe { from } => Asked::Subscribe { from: from.0 },
                Ask::Unsubscribe => Asked::Unsubscribe,
                Ask::Command(_) => Asked::Command,
            });
            rest = &rest[message.len()..];
        }
        asked
    }

    pub(super) fn publish(&mut self, count: u64) -> Vec<u64> {
        (0..count).map(|_| self.engine.publish(&record(), 0).expect("there is room")).collect()
    }

    pub(super) fn take(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told).into_iter().filter(|told| *told != Told::Other).collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now_ns += ms * MS;
    }

    pub(super) fn plan(&mut self) -> Plan {
        self.engine.plan(Purpose::Leader, self.now_ns)
    }
}

pub(super) fn note(event: &Event<'_>, told: &mut Vec<Told>, raw: &mut Vec<String>) {
    told.push(Told::of(event));
    raw.push(format!("{event:?}"));
}

pub(super) fn settings(group: u32) -> SessionSettings {
    let timeout = Duration::from_millis(900);
    SessionSettings { group, timeout, window_messages: 8, window_bytes: 4096, ..SessionSettings::new("name") }
}

pub(super) fn record() -> Record<'static> {
    Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: b"payload" }
}

pub(super) fn batch(epoch: u32, first: u64, count: u32) -> Asked {
    Asked::Batch { epoch, first, count, extra: 0 }
}

pub(super) fn admitted(first: u64, sequence: u64, positions: &[u64]) -> Told {
    Told::Admitted { first, sequence, positions: positions.to_vec() }
}

pub(super) fn refused(first: u64, count: u64, kind: &str) -> Told {
    Told::Refused { first, count, kind: kind.to_owned() }
}
