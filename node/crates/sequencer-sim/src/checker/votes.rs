//! One vote a node and term, one leader a term.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sequencer_wire::{NodeId, Term};

use super::Verdict;

#[derive(Debug, Default)]
pub(crate) struct Votes {
    votes: BTreeMap<(NodeId, Term), NodeId>,
    leaders: BTreeMap<Term, NodeId>,
}

impl Votes {
    pub(crate) fn cast(&mut self, node: NodeId, term: Term, candidate: NodeId) -> Verdict {
        match self.votes.entry((node, term)) {
            Entry::Vacant(entry) => {
                entry.insert(candidate);
                Ok(())
            }
            Entry::Occupied(entry) if *entry.get() == candidate => Ok(()),
            Entry::Occupied(entry) => Err((
                "one vote a term",
                format!("{node} votes for {candidate} in {term} after voting for {}", entry.get()),
            )),
        }
    }

    pub(crate) fn lead(&mut self, node: NodeId, term: Term) -> Verdict {
        match self.leaders.insert(term, node) {
            Some(other) if other != node => {
                Err(("one leader a term", format!("{node} and {other} both lead {term}")))
            }
            Some(_) => Err(("one leader a term", format!("{node} leads {term} twice"))),
            None => Ok(()),
        }
    }
}
