//! A client's engine, a node, and two wires between them that deliver as the test says.
//!
//! Checked at every event: numbers are told of once and in order; what is acknowledged stands in the committed log, at its position, with its sequence;
//! frames continue those before and are those of the committed log.

use std::collections::BTreeMap;
use std::time::Duration;

use sequencer_link::{Record, Welcomed, peek_message};
use sequencer_wire::{FrameKind, Position};

use super::node::{MS, ModelNode, NODE};
use crate::engine::{Engine, PURPOSES};
use crate::error::{ClientError, Disconnect};
use crate::event::{Event, Purpose};
use crate::settings::{SessionSettings, SubscribeAt};
use crate::standing::Plan;

/// A schema that nobody has registered: records that bear it are refused for good.
pub(super) const BAD_SCHEMA: u16 = 9;

/// How long bytes may be under way after their connection was given up.
const LATE_NS: u64 = 5000 * MS;

/// What was told, without borrowed parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Opened { epoch: u32 },
    Admitted { first: u64, sequence: u64, positions: Vec<u64> },
    Refused { first: u64, count: u64, kind: String },
    Lost { first: u64, count: u64, kind: String },
    Fenced { first: u64, count: u64 },
    Closed,
    Frames { from: u64, bytes: Vec<u8> },
    Other,
}

impl Told {
    pub(super) fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Opened { epoch, .. } => Self::Opened { epoch: *epoch },
            Event::Admitted { first, sequence, positions } => {
                let positions = positions.iter().map(|position| position.0).collect();
                Self::Admitted { first: *first, sequence: *sequence, positions }
            }
            Event::Refused { first, count, refusal } | Event::OpenRefused { first, count, refusal } => {
                Self::Refused { first: *first, count: *count, kind: refusal.kind.to_owned() }
            }
            Event::SessionLost { first, count, refusal, .. } => {
                Self::Lost { first: *first, count: *count, kind: refusal.kind.to_owned() }
            }
            Event::Fenced { first, count, .. } => Self::Fenced { first: *first, count: *count },
            Event::SessionClosed { .. } => Self::Closed,
            Event::Frames { from, frames, .. } => Self::Frames { from: from.0, bytes: frames.to_vec() },
            _ => Self::Other,
        }
    }
}

/// Both directions of one connection.
struct Wire {
    connection: u64,
    to_node: Vec<u8>,
    to_client: Vec<u8>,
    received: Vec<u8>,
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) node: ModelNode,
    wires: [Option<Wire>; 2],
    /// Bytes of connections that the client has given up, still on their way.
    late: Vec<(u64, Vec<u8>)>,
    /// When they arrive at the latest.
    late_ns: u64,
    pub(super) now_ns: u64,
    /// Number of the record that is told of next.
    next_told: u64,
    /// What became of each record: its position, 0 if that is not known, or `None` when it was refused.
    pub(super) fates: BTreeMap<u64, Option<u64>>,
    pub(super) published: u64,
    pub(super) read: Vec<u8>,
    pub(super) openings: u32,
}

impl World {
    pub(super) fn new(seed: u64, window_messages: usize, at: SubscribeAt) -> Self {
        let node = ModelNode::new();
        let mut engine = Engine::new(vec!["node".to_owned()], 2000 * MS, seed);
        let now_ns = 1000 * MS;
        let settings = SessionSettings {
            timeout: Duration::from_secs(1),
            window_messages,
            window_bytes: 4096,
            ..SessionSettings::new("session")
        };
        engine.open_session(settings).expect("good settings");
        engine.subscribe(Some(Position(0)), at, true);
        Self {
            engine,
            node,
            wires: [None, None],
            late: Vec::new(),
            late_ns: u64::MAX,
            now_ns,
            next_told: 1,
            fates: BTreeMap::new(),
            published: 0,
            read: Vec::new(),
            openings: 0,
        }
    }

    /// Publishes a record whose payload tells its number; false when the window is full.
    pub(super) fn publish(&mut self, schema_id: u16) -> bool {
        let number = self.published + 1;
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(8 + (number as usize * 7) % 50, number as u8);
        let record = Record { schema_id, schema_version: 1, cause: Position(0), payload: &payload };
        match self.engine.publish(&record, 0) {
            Ok(found) => {
                assert_eq!(found, number);
                self.published = number;
                true
            }
            Err(ClientError::WindowFull { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// What the driver does in turns without reading, until nothing is due.
    pub(super) fn turn(&mut self) {
        for _ in 0..4 {
            self.turn_once();
            if self.engine.due_ns(self.now_ns) > self.now_ns {
                return;
            }
        }
        panic!("the client would never rest");
    }

    fn turn_once(&mut self) {
        let mut told = Vec::new();
        for purpose in PURPOSES {
            match self.engine.plan(purpose, self.now_ns) {
                Plan::Stay => {}
                Plan::Dial(_) => {
                    let connection = self.node.connect();
                    let wire =
                        Wire { connection, to_node: Vec::new(), to_client: Vec::new(), received: Vec::new() };
                    self.wires[purpose as usize] = Some(wire);
                    self.engine.greeting(purpose, self.now_ns);
                    let welcomed = Welcomed { node: NODE, data: [0; 16], payload_bytes_max: 1 << 20 };
                    self.engine
                        .connected(purpose, &welcomed, self.now_ns, &mut |event| told.push(Told::of(&event)));
                }
                Plan::Leave(why) => self.drop_wire(purpose, &why, true, &mut told),
            }
            let Some(wire) = &mut self.wires[purpose as usize] else { continue };
            self.engine
                .ask(purpose, self.now_ns, &mut wire.to_node, &mut |event| told.push(Told::of(&event)));
            if purpose == Purpose::Leader {
                while let Some(batch) = self.engine.next_batch(self.now_ns) {
                    wire.to_node.extend_from_slice(&batch.head);
                    wire.to_node.extend(batch.pieces.concat());
                }
            }
        }
        self.engine.end_turn(self.now_ns);
        self.judge(told);
    }

    fn drop_wire(&mut self, purpose: Purpose, why: &Disconnect, arrives: bool, told: &mut Vec<Told>) {
        let Some(wire) = self.wires[purpose as usize].take() else { return };
        if arrives {
            self.late.push((wire.connection, wire.to_node));
            self.late_ns = self.late_ns.min(self.now_ns + LATE_NS);
        } else {
            self.node.disconnect(wire.connection);
        }
        self.engine.lost(purpose, why, self.now_ns, &mut |event| told.push(Told::of(&event)));
    }

    /// A connection breaks. What the client has sent may still `arrive` at some time; what the node has sent does not.
    pub(super) fn cut(&mut self, purpose: Purpose, arrives: bool) {
        let mut told = Vec::new();
        self.drop_wire(purpose, &Disconnect::Closed, arrives, &mut told);
        self.judge(told);
    }

    /// What was sent on connections that are gone arrives.
    pub(super) fn deliver_late(&mut self) {
        self.late_ns = u64::MAX;
        for (connection, bytes) in std::mem::take(&mut self.late) {
            self.node.receive(connection, &bytes);
            if self.wires.iter().flatten().all(|wire| wire.connection != connection) {
                self.node.said(connection);
            }
        }
    }

    /// Up to so many bytes arrive at the node.
    pub(super) fn arrive_at_node(&mut self, purpose: Purpose, bytes: usize) {
        if let Some(wire) = &mut self.wires[purpose as usize] {
            let some: Vec<u8> = wire.to_node.drain(..bytes.min(wire.to_node.len())).collect();
            self.node.receive(wire.connection, &some);
        }
    }

    /// Up to so many bytes arrive at the client.
    pub(super) fn arrive_at_client(&mut self, purpose: Purpose, bytes: usize) {
        let Some(wire) = &mut self.wires[purpose as usize] else { return };
        wire.to_client.extend(self.node.said(wire.connection).unwrap_or_default());
        let some = wire.to_client.drain(..bytes.min(wire.to_client.len()));
        wire.received.extend(some);
        let mut told = Vec::new();
        let received = std::mem::take(&mut wire.received);
        let mut used = 0;
        while let Some(message) = peek_message(&received[used..]).expect("a good length") {
            let taken =
                self.engine.receive(purpose, message, self.now_ns, &mut |event| told.push(Told::of(&event)));
            match taken {
                Ok(()) => {}
                // It has started again and does not know yet how far its log is committed.
                Err(why @ Disconnect::NotServed { .. }) => {
                    self.drop_wire(purpose, &why, true, &mut told);
                    return self.judge(told);
                }
                Err(why) => panic!("the client does not understand the node: {why}"),
            }
            used += message.len();
        }
        wire.received = received[used..].to_vec();
        self.judge(told);
    }

    pub(super) fn crash(&mut self) {
        self.node.crash();
        let mut told = Vec::new();
        for purpose in PURPOSES {
            self.drop_wire(purpose, &Disconnect::Closed, false, &mut told);
        }
        self.late.clear();
        self.judge(told);
    }

    pub(super) fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        self.node.pass(self.now_ns);
        if self.now_ns >= self.late_ns {
            self.deliver_late();
        }
    }

    /// Everything works from here on, until nothing is under way.
    pub(super) fn heal(&mut self) {
        for _ in 0..5000 {
            self.turn();
            for purpose in PURPOSES {
                self.arrive_at_node(purpose, usize::MAX);
            }
            self.deliver_late();
            self.node.sync();
            for purpose in PURPOSES {
                self.arrive_at_client(purpose, usize::MAX);
            }
            let is_done =
                self.next_told == self.published + 1 && self.read.len() == self.node.committed().len();
            if is_done && self.late.is_empty() && self.node.core.admits() {
                return;
            }
            self.pass(5 * MS);
        }
        panic!("records are told of up to {} of {}", self.next_told - 1, self.published);
    }

    fn judge(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::Admitted { first, sequence, positions } => {
                    assert_eq!(first, self.next_told, "told of once and in order");
                    for (position, index) in positions.into_iter().zip(0..) {
                        self.check_place(first + index, sequence + index, position);
                        self.fates.insert(first + index, Some(position));
                        self.next_told += 1;
                    }
                    assert!(self.next_told <= self.published + 1);
                }
                Told::Refused { first, count, kind } => {
                    assert_eq!((first, kind.as_str()), (self.next_told, "unknown_schema"));
                    self.fates.extend((first..first + count).map(|number| (number, None)));
                    self.next_told += count;
                }
                Told::Frames { from, bytes } => {
                    assert_eq!(from as usize, self.read.len(), "frames continue those before");
                    self.read.extend(bytes);
                    assert!(self.node.committed().starts_with(&self.read), "what was read is committed");
                }
                Told::Opened { .. } => self.openings += 1,
                Told::Lost { .. } | Told::Fenced { .. } | Told::Closed => panic!("{told:?}"),
                Told::Other => {}
            }
        }
    }

    fn check_place(&self, number: u64, sequence: u64, position: u64) {
        let frames = self.node.frames();
        let frame = frames
            .iter()
            .find(|frame| frame.fields.kind == FrameKind::Message && frame.fields.source_sequence == sequence)
            .unwrap_or_else(|| panic!("record {number} is acknowledged and not in the log"));
        assert_eq!(frame.payload[..8], number.to_le_bytes(), "its sequence is another record's");
        assert!(position == 0 || position == frame.at, "it stands at {}, not at {position}", frame.at);
    }

    /// The log holds what was acknowledged, once and in order, and nothing else.
    pub(super) fn check_log(&self) {
        let messages: Vec<_> =
            self.node.frames().into_iter().filter(|frame| frame.fields.kind == FrameKind::Message).collect();
        let numbers: Vec<u64> = messages
            .iter()
            .map(|frame| u64::from_le_bytes(frame.payload[..8].try_into().expect("8 bytes")))
            .collect();
        let admitted: Vec<u64> =
            self.fates.iter().filter(|(_, fate)| fate.is_some()).map(|(number, _)| *number).collect();
        assert_eq!(numbers, admitted);
        assert!(messages.iter().zip(1..).all(|(frame, sequence)| frame.fields.source_sequence == sequence));
    }
}
