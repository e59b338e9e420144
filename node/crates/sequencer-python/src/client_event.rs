//! What a client tells, kept while nobody holds the interpreter's lock, and then made into tuples.

use std::ops::Range;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use sequencer_client::{Disconnect, Event, Purpose, Refusal};

/// The events of one turn. What is many bytes is copied into one piece of memory, which is used again.
#[derive(Default)]
pub(crate) struct Heard {
    events: Vec<Told>,
    bytes: Vec<u8>,
}

enum Told {
    Connected { purpose: &'static str, node: u32, address: String },
    Disconnected { purpose: &'static str, address: String, kind: &'static str, message: String },
    Leader { purpose: &'static str, term: u64, node: Option<u32>, address: String, is_here: bool },
    Opened { session: u32, epoch: u32, last_sequence: u64, is_resumed: bool },
    Admitted { first: u64, sequence: u64, positions: Range<usize> },
    Refused { first: u64, count: u64, why: Why },
    OpenRefused { first: u64, count: u64, why: Why },
    SessionLost { session: u32, first: u64, count: u64, why: Why },
    Fenced { session: u32, epoch: u32, first: u64, count: u64 },
    SessionClosed { session: u32 },
    Answer { tag: u32, reply: Range<usize> },
    AnswerLost { tag: u32 },
    Frames { from: u64, previous: u64, commit: u64, frames: Range<usize> },
    SubscriptionEnded { reason: &'static str, position: u64 },
}

struct Why {
    kind: String,
    message: String,
    is_retryable: bool,
    facts: Range<usize>,
}

impl Heard {
    pub(crate) fn note(&mut self, event: &Event<'_>) {
        let told = match *event {
            Event::Connected { purpose, node, address } => {
                Told::Connected { purpose: name(purpose), node: node.0, address: address.to_owned() }
            }
            Event::Disconnected { purpose, address, why } => Told::Disconnected {
                purpose: name(purpose),
                address: address.to_owned(),
                kind: kind(why),
                message: why.to_string(),
            },
            Event::Leader { purpose, leader } => Told::Leader {
                purpose: name(purpose),
                term: leader.term.0,
                node: leader.id.map(|id| id.0),
                address: leader.address.to_owned(),
                is_here: leader.is_here,
            },
            Event::Opened { session, epoch, last_sequence, is_resumed } => {
                Told::Opened { session, epoch, last_sequence, is_resumed }
            }
            Event::Admitted { first, sequence, positions } => {
                Told::Admitted { first, sequence, positions: self.keep(positions.as_bytes()) }
            }
            Event::Refused { first, count, refusal } => {
                Told::Refused { first, count, why: self.why(&refusal) }
            }
            Event::OpenRefused { first, count, refusal } => {
                Told::OpenRefused { first, count, why: self.why(&refusal) }
            }
            Event::SessionLost { session, first, count, refusal } => {
                Told::SessionLost { session, first, count, why: self.why(&refusal) }
            }
            Event::Fenced { session, epoch, first, count } => Told::Fenced { session, epoch, first, count },
            Event::SessionClosed { session } => Told::SessionClosed { session },
            Event::Answer { tag, reply } => {
                let json = serde_json::to_vec(reply).expect("a reply can always be written as JSON");
                Told::Answer { tag, reply: self.keep(&json) }
            }
            Event::AnswerLost { tag } => Told::AnswerLost { tag },
            Event::Frames { from, previous, commit, frames } => Told::Frames {
                from: from.0,
                previous: previous.0,
                commit: commit.0,
                frames: self.keep(frames),
            },
            Event::SubscriptionEnded { reason, position } => {
                Told::SubscriptionEnded { reason: reason.into(), position: position.0 }
            }
        };
        self.events.push(told);
    }

    /// The events as tuples, the name first. They are forgotten.
    pub(crate) fn tell<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let Self { events, bytes } = self;
        let list = PyList::empty(py);
        for told in events.drain(..) {
            list.append(tuple(py, told, bytes)?)?;
        }
        bytes.clear();
        Ok(list)
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn why(&mut self, refusal: &Refusal<'_>) -> Why {
        let facts = serde_json::to_vec(refusal.facts).expect("facts come from JSON");
        Why {
            kind: refusal.kind.to_owned(),
            message: refusal.message.to_owned(),
            is_retryable: refusal.is_retryable,
            facts: self.keep(&facts),
        }
    }
}

fn tuple<'py>(py: Python<'py>, told: Told, kept: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let bytes = |range: Range<usize>| PyBytes::new(py, &kept[range]);
    let why = |why: Why| (why.kind, why.message, why.is_retryable, bytes(why.facts));
    let any = |tuple: PyResult<Bound<'py, pyo3::types::PyTuple>>| tuple.map(Bound::into_any);
    match told {
        Told::Connected { purpose, node, address } => {
            any((intern!(py, "connected"), word(py, purpose), node, address).into_pyobject(py))
        }
        Told::Disconnected { purpose, address, kind, message } => {
            any((intern!(py, "disconnected"), word(py, purpose), address, word(py, kind), message)
                .into_pyobject(py))
        }
        Told::Leader { purpose, term, node, address, is_here } => {
            any((intern!(py, "leader"), word(py, purpose), term, node, address, is_here).into_pyobject(py))
        }
        Told::Opened { session, epoch, last_sequence, is_resumed } => {
            any((intern!(py, "opened"), session, epoch, last_sequence, is_resumed).into_pyobject(py))
        }
        Told::Admitted { first, sequence, positions } => {
            any((intern!(py, "admitted"), first, sequence, bytes(positions)).into_pyobject(py))
        }
        Told::Refused { first, count, why: reason } => {
            any((intern!(py, "refused"), first, count, why(reason)).into_pyobject(py))
        }
        Told::OpenRefused { first, count, why: reason } => {
            any((intern!(py, "open_refused"), first, count, why(reason)).into_pyobject(py))
        }
        Told::SessionLost { session, first, count, why: reason } => {
            any((intern!(py, "session_lost"), session, first, count, why(reason)).into_pyobject(py))
        }
        Told::Fenced { session, epoch, first, count } => {
            any((intern!(py, "fenced"), session, epoch, first, count).into_pyobject(py))
        }
        Told::SessionClosed { session } => any((intern!(py, "session_closed"), session).into_pyobject(py)),
        Told::Answer { tag, reply } => any((intern!(py, "answer"), tag, bytes(reply)).into_pyobject(py)),
        Told::AnswerLost { tag } => any((intern!(py, "answer_lost"), tag).into_pyobject(py)),
        Told::Frames { from, previous, commit, frames } => {
            any((intern!(py, "frames"), from, previous, commit, bytes(frames)).into_pyobject(py))
        }
        Told::SubscriptionEnded { reason, position } => {
            any((intern!(py, "subscription_ended"), word(py, reason), position).into_pyobject(py))
        }
    }
}

fn word<'py>(py: Python<'py>, word: &'static str) -> Bound<'py, PyString> {
    PyString::intern(py, word)
}

fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Leader => "leader",
        Purpose::Reader => "reader",
    }
}

/// The name of a reason.
fn kind(why: &Disconnect) -> &'static str {
    match why {
        Disconnect::Resolve(_) => "not_resolved",
        Disconnect::Connect(_) => "not_reached",
        Disconnect::Broken(_) => "broken",
        Disconnect::Closed => "closed",
        Disconnect::Slow { .. } => "slow",
        Disconnect::Silent { .. } => "silent",
        Disconnect::Refused(refused) => refused.code.into(),
        Disconnect::Protocol(_) | Disconnect::Unexpected { .. } => "protocol",
        Disconnect::Redirected { .. } => "redirected",
        Disconnect::NoLeader { .. } => "no_leader",
        Disconnect::Frame(_) => "damaged",
        Disconnect::Gap { .. } | Disconnect::History { .. } => "other_history",
        Disconnect::NotServed { .. } => "not_served",
        Disconnect::Unneeded => "unneeded",
    }
}
