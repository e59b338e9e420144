//! Requests on their way to a node, and answers on their way back.
//!
//! A request may get lost, come twice, or come so late that the one who asked has given it up. An answer is told only when the core
//! says so; whatever ends the node's process or its leadership before that ends the answer too.

use sequencer_core::{Proposal, Role, Telling};
use sequencer_wire::{FrameKind, Position};

use crate::actors::{Asked, Reply, Sent, Told, View};
use crate::checker::{Checker, Verdict};
use crate::node::{SimNode, Waiting};
use crate::profile::MS;
use crate::world::{Action, World};

impl World {
    /// Lets an inhabitant act, or take in a reply; sends what it sends and judges what it was told.
    pub(crate) fn with_view<T>(
        &mut self,
        actor: usize,
        act: impl FnOnce(&mut dyn crate::actors::Actor, &mut View<'_>) -> T,
    ) -> T {
        // A node that was removed serves nobody: it no longer hears what is committed.
        let serves = |node: &&SimNode| self.checker.rules.is_member(node.id);
        let readable: Vec<_> =
            self.nodes.iter().map(|node| Some(node).filter(serves)?.readable(self.now_ns)).collect();
        let weak: Vec<bool> = self.nodes.iter().map(SimNode::is_weak).collect();
        let gone: Vec<bool> = self.nodes.iter().map(SimNode::is_gone).collect();
        let leader = self.leader();
        let Checker { committed, rules, .. } = &mut self.checker;
        let mut view = View {
            now_ns: self.now_ns,
            rng: &mut self.rng,
            stats: &mut self.stats,
            log: committed,
            rules,
            readable: &readable,
            weak: &weak,
            gone: &gone,
            leader,
            is_healed: self.healed.is_some(),
            next_number: &mut self.next_message,
            sent: Vec::new(),
            told: Vec::new(),
        };
        let outcome = act(self.actors[actor].as_mut(), &mut view);
        let View { sent, told, .. } = view;
        for Sent { node, tag, asked } in sent {
            self.post_request(actor, node, tag, asked);
        }
        for told in told {
            let verdict = self.judge_told(&told);
            self.checker.judge(self.now_ns, verdict);
        }
        outcome
    }

    fn judge_told(&mut self, told: &Told) -> Verdict {
        if let Told::NewNode { id, data } = *told {
            self.add_node(id, data);
            return Ok(());
        }
        if let Told::Admitted { at, .. } = *told
            && self.healed.is_some_and(|healed| at >= healed)
        {
            self.served_after_healing = true;
        }
        self.checker.rules.check_told(told)
    }

    pub(crate) fn act_for(&mut self, actor: usize) {
        let delay = self.with_view(actor, |actor, view| actor.act(view));
        self.schedule(delay.max(1_000), Action::Act { actor });
    }

    fn post_request(&mut self, actor: usize, node: usize, tag: u64, asked: Asked) {
        if node >= self.nodes.len() {
            return;
        }
        self.stats.hit("requests sent");
        let copies = if self.rng.below(50) == 0 { 2 } else { 1 };
        // While two believe that they lead, a request often reaches the one that is wrong as well.
        if let Some(other) = self.deposed_leader(node).filter(|_| self.rng.coin())
            && let Some(delay) = self.client_delay()
        {
            self.stats.hit("requests to a leader that was deposed");
            self.schedule(delay, Action::Ask { actor, node: other, tag, asked: Box::new(asked.clone()) });
        }
        for _ in 0..copies {
            if let Some(delay) = self.client_delay() {
                self.schedule(delay, Action::Ask { actor, node, tag, asked: Box::new(asked.clone()) });
            }
        }
    }

    /// Another node than `node` that believes that it leads.
    fn deposed_leader(&self, node: usize) -> Option<usize> {
        let leads = |other: &usize| {
            let replica = self.nodes[*other].replica.as_ref();
            *other != node && replica.is_some_and(|replica| replica.status().role == Role::Leader)
        };
        let is_one = self.nodes.get(node)?.replica.as_ref()?.status().role == Role::Leader;
        (0..self.nodes.len()).find(leads).filter(|_| is_one)
    }

    /// How long a request or a reply is under way; `None` when it gets lost.
    fn client_delay(&mut self) -> Option<u64> {
        let weather = &self.network.weather;
        if weather.loss > 0 && self.rng.below(1000) < weather.loss / 2 {
            return None;
        }
        let straggles = weather.straggling > 0 && self.rng.below(1000) < weather.straggling;
        let extra = if straggles { self.rng.below(weather.straggling_ns + 1) } else { 0 };
        Some(weather.delay_min_ns + self.rng.below(weather.delay_spread_ns + 1) + extra)
    }

    /// A request arrives at a node.
    pub(crate) fn ask(&mut self, actor: usize, node: usize, tag: u64, asked: &Asked) {
        let state = &mut self.nodes[node];
        if state.paused_until_ns > self.now_ns {
            self.stats.hit("requests to a process that stands still");
            return;
        }
        let now = state.now(self.now_ns);
        let Some(replica) = state.replica.as_mut() else { return };
        let answer = replica.request(&asked.as_request(), now);
        match &answer.result {
            Ok(_) => self.stats.hit("requests granted"),
            Err(refusal) => self.stats.hit(refusal_name(refusal.kind())),
        }
        self.trace_control(node, asked, &answer);
        self.nodes[node].waiting.push(Waiting { actor, tag, answer });
        self.with_replica(node, |replica, _, outside| outside.trace_growth(replica.core()));
        // Sometimes the turn comes later, with whatever wakes the node next.
        if self.rng.below(4) > 0 {
            self.turn(node);
        } else {
            self.tell(node);
        }
    }

    fn trace_control(&mut self, node: usize, asked: &Asked, answer: &sequencer_core::Answer) {
        if let Asked::Control(control) = asked
            && self.trace.is_on()
        {
            let id = self.nodes[node].id.0;
            let (asked, answer) = (format!("{control:?}"), format!("{:?}", answer.result));
            self.trace.event(
                self.now_ns,
                Some(id),
                "control",
                || serde_json::json!({"asked": asked, "answer": answer}),
            );
        }
    }

    /// Tells what may be told now; drops what never may.
    pub(crate) fn tell(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let Some(replica) = &state.replica else { return };
        let core = replica.core();
        let mut told = Vec::new();
        let mut void = 0;
        state.waiting.retain(|waiting| match core.telling(&waiting.answer) {
            Telling::Wait => true,
            Telling::Void => {
                void += 1;
                false
            }
            Telling::Now => {
                told.push((waiting.actor, waiting.tag, waiting.answer.result));
                false
            }
        });
        self.stats.add("answers that became void", void);
        for (actor, tag, reply) in told {
            if let Some(delay) = self.client_delay() {
                self.schedule(delay, Action::Reply { actor, tag, reply: Box::new(reply) });
            }
        }
    }

    pub(crate) fn deliver_reply(&mut self, actor: usize, tag: u64, reply: Reply) {
        self.with_view(actor, |actor, view| actor.reply(tag, reply, view));
    }

    /// Proposes a burst of frames to every node that believes it leads.
    pub(crate) fn flood(&mut self) {
        let Some(flood) = self.profile.flood.filter(|_| !self.is_healed()) else { return };
        let burst = 1 + self.rng.below(flood.burst_max);
        for node in 0..self.nodes.len() {
            let state = &self.nodes[node];
            let leads = state.replica.as_ref().is_some_and(|replica| replica.status().role == Role::Leader);
            if !leads || state.paused_until_ns > self.now_ns {
                continue;
            }
            for _ in 0..burst {
                let (least, most) = flood.payload_bytes;
                let payload =
                    vec![self.rng.below(256) as u8; (least + self.rng.below(most - least + 1)) as usize];
                let proposal = Proposal {
                    kind: FrameKind::ClusterVersion,
                    source_id: 0,
                    source_sequence: 0,
                    cause: Position(0),
                    schema_id: 0,
                    schema_version: 0,
                    payload: &payload,
                };
                self.with_replica(node, |replica, now, outside| {
                    // Whatever does not get in is not missed.
                    let _ = replica.propose(&proposal, now);
                    outside.trace_growth(replica.core());
                });
            }
            if self.rng.below(4) > 0 {
                self.turn(node);
            }
        }
        let delay = self.rng.below(2 * flood.interval_ns) + 1;
        self.schedule(delay, Action::Flood);
    }

    /// Inhabitants begin at different moments.
    pub(crate) fn wake_people(&mut self) {
        for actor in 0..self.actors.len() {
            let delay = self.rng.below(50 * MS) + 1;
            self.schedule(delay, Action::Act { actor });
        }
    }
}

/// Statistics have names that live for ever.
fn refusal_name(kind: &'static str) -> &'static str {
    match kind {
        "not_leader" | "not_ready" | "handing_over" => "refused: no leader here",
        "backpressure" => "refused: backpressure",
        "log_full" => "refused: log full",
        "unknown_session" => "refused: unknown session",
        "stale_epoch" => "refused: stale epoch",
        "session_expired" => "refused: session expired",
        "sequence_gap" => "refused: sequence gap",
        "session_lost" => "refused: session lost",
        "too_many_sessions" => "refused: too many sessions",
        "not_active" => "refused: role not held",
        "not_owner" => "refused: schema of another owner",
        "epoch_over" => "refused: epoch over",
        "epoch_not_open" => "refused: epoch not open",
        "output_gap" => "refused: output gap",
        "cause_outside" => "refused: cause outside of the epoch",
        "trim_held" => "refused: trim held",
        "change_pending" => "refused: change of membership pending",
        "not_caught_up" => "refused: learner not caught up",
        _ => "refused: other reasons",
    }
}
