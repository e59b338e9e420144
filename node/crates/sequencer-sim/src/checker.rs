//! The rules that must hold whatever happens, checked at every step against the whole history.
//!
//! 1. At most one leader a term; one vote a node and term, over restarts too.
//! 2. Log matching: one content for each (term, position), with one predecessor. A log holds nothing that nobody wrote.
//! 3. Leader completeness: a new leader holds everything that was committed in earlier terms.
//! 4. Committed bytes are the same for all nodes and for ever; commit positions never go back in one life.
//! 5. What is acknowledged to a client stands in the committed log at the place named, once. Nothing else does. Everything that
//!    `docs/internals/exactly-once.md` says of the log holds (see `rules`), and equal logs give equal ledgers.
//! 6. Nobody serves bytes past what is committed anywhere.
//! 7. Timestamps never go back.
//! 8. While leadership is handed over nothing is admitted.
//! 9. A disk that was not damaged is never taken for damaged.
//! 10. Once everything has healed, the cluster serves again within a bound, whoever lags comes nearer all the time, and in the
//!     end all logs are equal (checked by `world`).

mod committed;
mod digests;
mod frames;
mod rules;
mod votes;

use std::fmt;

use sequencer_core::{Core, Effect, Outgoing, Role};
use sequencer_wire::{NodeId, Position, Term};

pub(crate) use committed::Committed;
pub(crate) use digests::Digests;
pub(crate) use frames::FrameRegistry;
pub(crate) use rules::{Rules, hash};
pub(crate) use votes::Votes;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was found.
    pub detail: String,
    /// Virtual time in nanoseconds.
    pub at_ns: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (at {:.3} ms)", self.rule, self.detail, self.at_ns as f64 / 1e6)
    }
}

/// What a rule says: a rule's name and what was found, or nothing.
pub(crate) type Verdict = Result<(), (&'static str, String)>;

/// Knows everything that any node ever did.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) committed: Committed,
    pub(crate) frames: FrameRegistry,
    pub(crate) rules: Rules,
    pub(crate) digests: Digests,
    votes: Votes,
    violation: Option<Violation>,
}

impl Checker {
    pub(crate) fn new(founders: &[NodeId], sessions_max: usize) -> Self {
        Self { rules: Rules::new(founders, sessions_max), ..Self::default() }
    }

    /// Notes the first violation; later ones follow from it.
    pub(crate) fn judge(&mut self, at_ns: u64, verdict: Verdict) {
        if let Err((rule, detail)) = verdict
            && self.violation.is_none()
        {
            self.violation = Some(Violation { rule, detail, at_ns });
        }
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Sees an effect before it is carried out.
    pub(crate) fn on_effect(
        &mut self,
        at_ns: u64,
        node: NodeId,
        is_impostor: bool,
        effect: &Effect,
        core: &Core,
    ) {
        let is_vote = |message: &Outgoing| {
            matches!(message, Outgoing::VoteRequest { .. } | Outgoing::VoteResponse { .. })
        };
        if is_impostor && matches!(effect, Effect::RoleChanged { role: Role::Leader, .. }) {
            let detail = format!("{node} leads with another disk under its old id");
            return self.judge(at_ns, Err(("a node that lost its disk never leads", detail)));
        }
        // A node that lost its disk has forgotten whom it voted for; what counts is that nobody listens to it.
        if is_impostor && matches!(effect, Effect::Send { message, .. } if is_vote(message)) {
            return;
        }
        let verdict = match *effect {
            // A vote counts once it is revealed; one that was lost with a crash before that never was.
            Effect::Send { term, message: Outgoing::VoteRequest { .. }, .. } => {
                self.votes.cast(node, term, node)
            }
            Effect::Send { to, term, message: Outgoing::VoteResponse { granted: true, .. } } => {
                self.votes.cast(node, term, to)
            }
            Effect::Write { from, to } => self.frames.write(node, from, to, core),
            Effect::RoleChanged { role: Role::Leader, term } => self.on_leader(node, term, core),
            _ => Ok(()),
        };
        self.judge(at_ns, verdict);
    }

    fn on_leader(&mut self, node: NodeId, term: Term, core: &Core) -> Verdict {
        self.votes.lead(node, term)?;
        let committed = self.committed.end_before(term);
        let held = core.status().end.position;
        if held < committed {
            return Err((
                "leader completeness",
                format!("{node} leads {term} with a log that ends at {held}, but {committed} is committed"),
            ));
        }
        // Equal starts of all terms below a position mean equal bytes below it, by log matching.
        let parts =
            self.committed.terms().iter().find(|start| {
                start.start < committed && core.terms().starts_at(start.term) != Some(start.start)
            });
        if let Some(start) = parts {
            return Err((
                "leader completeness",
                format!("{node} leads {term} without committed {} at {}", start.term, start.start),
            ));
        }
        let last = self.committed.terms().term_before(committed);
        let last_held = core.terms().end_of(last, held).unwrap_or(Position(0));
        if last_held < committed {
            return Err((
                "leader completeness",
                format!("{node} leads {term} holding {last} to {last_held}, but {committed} is committed"),
            ));
        }
        Ok(())
    }
}
