//! Equal logs give equal ledgers: the digest at each log end, as the first node that had it computed it.

use std::collections::BTreeMap;

use sequencer_wire::{LogEnd, NodeId};

use super::Verdict;

#[derive(Debug, Default)]
pub(crate) struct Digests {
    known: BTreeMap<LogEnd, (u64, NodeId)>,
}

impl Digests {
    /// A node's log ends at `end` and its ledger there has this digest.
    pub(crate) fn check(&mut self, node: NodeId, end: LogEnd, digest: u64) -> Verdict {
        let (known, first) = *self.known.entry(end).or_insert((digest, node));
        if known == digest {
            return Ok(());
        }
        Err((
            "equal logs give equal ledgers",
            format!("{node} has digest {digest:016x} at the {end}, where {first} has {known:016x}"),
        ))
    }
}
