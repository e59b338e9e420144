//! What a node's effects meet: the network, the checker, the trace, and those who wait for a delicate moment.

use sequencer_core::{Core, Effect, Role};
use sequencer_runtime::Host;
use sequencer_wire::{NodeId, Position};
use serde_json::json;

use crate::checker::Checker;
use crate::profile::Moment;
use crate::stats::Stats;
use crate::trace::{self, Trace};

/// How far a node's log has been traced.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traced {
    pub(crate) end: Position,
    pub(crate) durable: Position,
}

/// The world as one node's process acts on it during one event.
pub(crate) struct Outside<'a> {
    pub(crate) node: NodeId,
    pub(crate) is_impostor: bool,
    pub(crate) at_ns: u64,
    pub(crate) checker: &'a mut Checker,
    pub(crate) stats: &'a mut Stats,
    pub(crate) trace: &'a mut Trace,
    pub(crate) traced: &'a mut Traced,
    pub(crate) outbox: Vec<(NodeId, Vec<u8>)>,
    pub(crate) moments: Vec<Moment>,
}

impl Host for Outside<'_> {
    fn send(&mut self, to: NodeId, header: &[u8], frames: &[u8]) {
        self.outbox.push((to, [header, frames].concat()));
    }

    fn observe(&mut self, effect: &Effect, core: &Core) {
        self.checker.on_effect(self.at_ns, self.node, self.is_impostor, effect, core);
        match effect {
            Effect::Cut { .. } => {
                self.stats.hit("cuts of the tail");
                self.moments.push(Moment::Cut);
            }
            Effect::RoleChanged { role: Role::Leader, .. } => {
                self.stats.hit("elections won");
                self.moments.push(Moment::Elected);
            }
            Effect::RoleChanged { role: Role::Candidate, .. } => self.stats.hit("campaigns"),
            Effect::SaveHardState(_) => self.moments.push(Moment::HardStateSaved),
            Effect::ReadLog { .. } => self.stats.hit("catch-up reads"),
            Effect::Install { .. } => {
                self.stats.hit("snapshots installed");
                self.moments.push(Moment::Cut);
            }
            _ => {}
        }
        if self.trace.is_on() {
            self.trace_effect(effect, core);
        }
    }
}

impl Outside<'_> {
    /// Traces an effect after what led to it: the log grows in memory, and becomes durable, before anything is done about it.
    fn trace_effect(&mut self, effect: &Effect, core: &Core) {
        let (name, fields) = trace::describe_effect(effect, core);
        if let Effect::Install { last } = *effect {
            self.trace.event(self.at_ns, Some(self.node.0), name, || fields);
            self.traced.end = last.position;
            self.traced.durable = last.position;
            return;
        }
        if let Effect::Cut { to } = *effect {
            self.trace.event(self.at_ns, Some(self.node.0), name, || fields);
            self.traced.end = to;
            self.traced.durable = self.traced.durable.min(to);
            return;
        }
        self.trace_durable(core);
        // These two come before the cut of the same step, if there is one.
        if !matches!(effect, Effect::SaveHardState(_) | Effect::RoleChanged { .. }) {
            self.trace_growth(core);
        }
        if !matches!(effect, Effect::Write { .. }) {
            self.trace.event(self.at_ns, Some(self.node.0), name, || fields);
        }
    }

    pub(crate) fn trace_growth(&mut self, core: &Core) {
        let (from, to) = (self.traced.end, core.status().end.position);
        if self.trace.is_on() && from < to {
            let terms = trace::terms_within(core.terms(), from, to);
            self.trace.event(
                self.at_ns,
                Some(self.node.0),
                "append",
                || json!({"from": from.0, "to": to.0, "terms": terms}),
            );
            self.traced.end = to;
        }
    }

    pub(crate) fn trace_durable(&mut self, core: &Core) {
        let durable = core.status().durable.position;
        if self.trace.is_on() && self.traced.durable < durable {
            self.trace_growth(core);
            self.traced.durable = durable;
            self.trace.event(self.at_ns, Some(self.node.0), "durable", || json!({"to": durable.0}));
        }
    }
}
