//! What happened, line by line: for people, or as JSON for a checker that shares no code with the simulator.
//!
//! The fields are described in `tests/simulation/README.md`.

use std::io::Write;

use sequencer_core::{Core, Effect, Outgoing, Role};
use sequencer_wire::{LogEnd, LogHealth, PeerMessage, Position, Term, TermStart, TermTable};
use serde_json::{Value, json};

use crate::profile::MS;

/// How a trace is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFormat {
    /// A line a person reads for each event.
    Text,
    /// Only what changes the course of things: starts and crashes, leaders, cuts, faults.
    Story,
    /// JSON Lines.
    Json,
}

/// Receives events, if anyone wants them.
pub struct Trace {
    sink: Option<(TraceFormat, Box<dyn Write>)>,
}

impl Trace {
    /// Nobody listens; events cost nothing.
    pub fn off() -> Self {
        Self { sink: None }
    }

    /// Events are written to `sink`.
    pub fn to(format: TraceFormat, sink: Box<dyn Write>) -> Self {
        Self { sink: Some((format, sink)) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Writes one event; `fields` is called only when somebody listens.
    pub(crate) fn event(&mut self, at_ns: u64, node: Option<u32>, ev: &str, fields: impl FnOnce() -> Value) {
        let Some((format, sink)) = &mut self.sink else { return };
        let fields = fields();
        let line = match format {
            TraceFormat::Story if !is_turning_point(ev, &fields) => return,
            TraceFormat::Text | TraceFormat::Story => as_text(at_ns, node, ev, &fields),
            TraceFormat::Json => as_json(at_ns, node, ev, fields),
        };
        // A reader that has seen enough closes the pipe; the run goes on without it.
        if writeln!(sink, "{line}").is_err() {
            self.sink = None;
        }
    }
}

fn as_json(at_ns: u64, node: Option<u32>, ev: &str, fields: Value) -> String {
    let mut line = json!({"t": at_ns, "ev": ev});
    let object = line.as_object_mut().expect("the literal above is an object");
    if let Some(node) = node {
        object.insert("node".into(), node.into());
    }
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    line.to_string()
}

fn is_turning_point(ev: &str, fields: &Value) -> bool {
    match ev {
        "config" | "start" | "crash" | "cut" | "fault" | "flip" | "heal" | "install" | "members"
        | "control" => true,
        "role" => fields["role"] == role_name(Role::Leader),
        _ => false,
    }
}

fn as_text(at_ns: u64, node: Option<u32>, ev: &str, fields: &Value) -> String {
    let mut line = format!(
        "{:>10.3} ms  {:<3} {ev:<11}",
        at_ns as f64 / MS as f64,
        node.map_or("-".into(), |id| format!("n{id}"))
    );
    if let Value::Object(fields) = fields {
        for (name, value) in fields {
            match value {
                Value::Object(message) => {
                    for (name, value) in message {
                        line.push_str(&format!(" {name}={}", plain(value)));
                    }
                }
                _ => line.push_str(&format!(" {name}={}", plain(value))),
            }
        }
    }
    line
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn log_end(end: LogEnd) -> Value {
    json!([end.term.0, end.position.0])
}

pub(crate) fn term_starts<'a>(starts: impl Iterator<Item = &'a TermStart>) -> Value {
    starts.map(|start| json!([start.term.0, start.start.0])).collect()
}

/// Term starts inside of `from..to`.
pub(crate) fn terms_within(terms: &TermTable, from: Position, to: Position) -> Value {
    term_starts(terms.iter().filter(|start| from <= start.start && start.start < to))
}

fn health_name(health: LogHealth) -> &'static str {
    match health {
        LogHealth::Clean => "clean",
        LogHealth::Doubtful => "doubtful",
        LogHealth::Damaged => "damaged",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre_candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Halted => "halted",
    }
}

/// Name and fields of the event that an effect is.
pub(crate) fn describe_effect(effect: &Effect, core: &Core) -> (&'static str, Value) {
    match *effect {
        Effect::SaveHardState(state) => (
            "hard_state",
            json!({
                "term": state.term.0,
                "vote": state.vote.map(|node| node.0),
                "claim": state.claim.map(|claim| log_end(claim.end)),
            }),
        ),
        Effect::Cut { to } => ("cut", json!({"to": to.0})),
        Effect::Write { from, to } => {
            ("append", json!({"from": from.0, "to": to.0, "terms": terms_within(core.terms(), from, to)}))
        }
        Effect::Send { to, term, ref message } => {
            ("send", json!({"to": to.0, "m": describe_outgoing(term, message, core)}))
        }
        Effect::ReadLog { peer, from, limit_bytes, .. } => {
            ("read_log", json!({"peer": peer.0, "from": from.0, "limit_bytes": limit_bytes}))
        }
        Effect::ReadSnapshot { peer, offset, limit_bytes, .. } => {
            ("read_snapshot", json!({"peer": peer.0, "offset": offset, "limit_bytes": limit_bytes}))
        }
        Effect::Install { last } => {
            let terms = term_starts(core.terms().iter());
            ("install", json!({"last": log_end(last), "terms": terms}))
        }
        Effect::Committed { position } => ("commit", json!({"to": position.0})),
        Effect::RoleChanged { role, term } => ("role", json!({"role": role_name(role), "term": term.0})),
    }
}

fn describe_outgoing(term: Term, message: &Outgoing, core: &Core) -> Value {
    if let Outgoing::Append { previous, commit, round, from, to, .. } = *message {
        return json!({
            "kind": "append", "term": term.0, "previous": log_end(previous), "commit": commit.0, "round": round,
            "from": from.0, "to": to.0, "terms": terms_within(core.terms(), from, to),
        });
    }
    describe_message(term, &message.with_bytes(&[]))
}

/// The fields of a message as it arrives.
pub(crate) fn describe_message(term: Term, message: &PeerMessage<'_>) -> Value {
    let term = term.0;
    match *message {
        PeerMessage::PreVoteRequest { last } => {
            json!({"kind": "pre_vote_request", "term": term, "last": log_end(last)})
        }
        PeerMessage::PreVoteResponse { granted } => {
            json!({"kind": "pre_vote_response", "term": term, "granted": granted})
        }
        PeerMessage::VoteRequest { last, transfer } => {
            json!({"kind": "vote_request", "term": term, "last": log_end(last), "transfer": transfer})
        }
        PeerMessage::VoteResponse { granted, .. } => {
            json!({"kind": "vote_response", "term": term, "granted": granted})
        }
        PeerMessage::Append { previous, commit, round, frames } => {
            // Frames that were damaged on the way, and those after them, do not count as received.
            let mut terms = TermTable::new();
            let mut to = previous.position;
            let walk = sequencer_wire::Frames::new(frames, previous.position, previous.term);
            for frame in walk.map_while(Result::ok) {
                to = frame.end();
                if frame.fields.kind == sequencer_wire::FrameKind::NewTerm {
                    terms.push(TermStart { term: frame.term, start: frame.at });
                }
            }
            json!({
                "kind": "append", "term": term, "previous": log_end(previous), "commit": commit.0, "round": round,
                "from": previous.position.0, "to": to.0,
                "terms": term_starts(terms.iter()),
            })
        }
        PeerMessage::SnapshotChunk { last, total_bytes, offset, round, .. } => json!({
            "kind": "snapshot_chunk", "term": term, "last": log_end(last), "total": total_bytes, "offset": offset,
            "round": round,
        }),
        PeerMessage::SnapshotReceived { position, offset, round } => json!({
            "kind": "snapshot_received", "term": term, "position": position.0, "offset": offset, "round": round,
        }),
        PeerMessage::AppendAccepted { matched, durable, round, .. } => json!({
            "kind": "append_accepted", "term": term, "matched": matched.0, "durable": durable.0, "round": round,
        }),
        PeerMessage::AppendRejected { previous, end, round, ref terms } => json!({
            "kind": "append_rejected", "term": term, "previous": previous.0, "end": end.0, "round": round,
            "terms": term_starts(terms.as_slice().iter()),
        }),
        PeerMessage::TimeoutNow { end } => json!({"kind": "timeout_now", "term": term, "end": log_end(end)}),
        PeerMessage::StatusRequest { nonce } => {
            json!({"kind": "status_request", "term": term, "nonce": nonce})
        }
        PeerMessage::StatusResponse { nonce, health, last } => json!({
            "kind": "status_response", "term": term, "nonce": nonce, "health": health_name(health),
            "last": log_end(last),
        }),
    }
}
