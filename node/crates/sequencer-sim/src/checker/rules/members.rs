//! Membership: one change at a time, ids that are never used for two disks, and leaders that vote.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, MemberRole, Membership, NodeId};

use crate::checker::Verdict;
use crate::node::founder_data;

/// Id, role and data UUID of a member.
type Listed = (NodeId, MemberRole, [u8; 16]);

const ONE_CHANGE: &str = "members change one at a time";
const NO_ID_TWICE: &str = "14. no id is used twice";

#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    list: Vec<Listed>,
    next_id: NodeId,
    /// Data of every id that was ever in a list.
    known: BTreeMap<NodeId, [u8; 16]>,
    /// Whether a list is in the log, or only in the configuration.
    is_written: bool,
    /// Leader of the newest term.
    leader: Option<NodeId>,
}

impl Members {
    /// A log without a list means the voters of the configuration.
    pub(super) fn new(founders: &[NodeId]) -> Self {
        let list: Vec<Listed> =
            founders.iter().map(|id| (*id, MemberRole::Voter, founder_data(*id))).collect();
        let known = list.iter().map(|(id, _, data)| (*id, *data)).collect();
        let next_id = NodeId(founders.iter().map(|id| id.0).max().unwrap_or(0) + 1);
        Self { list, next_id, known, ..Self::default() }
    }

    pub(super) fn list(&self) -> &[Listed] {
        &self.list
    }

    /// Whoever leads has applied all lists before its own first frame, and votes by the newest of them.
    pub(super) fn on_new_term(&mut self, frame: &Frame<'_>, leader: NodeId) -> Verdict {
        if !self.list.iter().any(|(id, role, _)| *id == leader && *role == MemberRole::Voter) {
            return Err((
                "only voters lead",
                format!("{leader} leads {} at {}, the list is {:?}", frame.term, frame.at, self.list),
            ));
        }
        self.leader = Some(leader);
        Ok(())
    }

    pub(super) fn on_list(&mut self, frame: &Frame<'_>, list: &Membership) -> Verdict {
        let members = list.members.as_slice().iter();
        let next: Vec<Listed> = members.map(|member| (member.id, member.role, member.data)).collect();
        let has = |list: &[Listed], id: NodeId| list.iter().any(|(other, ..)| *other == id);
        for (id, _, data) in &next {
            if self.known.get(id).is_some_and(|known| known != data) {
                return Err((NO_ID_TWICE, format!("{id} has other data, {data:02x?}, at {}", frame.at)));
            }
        }
        let added: Vec<&Listed> = next.iter().filter(|(id, ..)| !has(&self.list, *id)).collect();
        let removed: Vec<&Listed> = self.list.iter().filter(|(id, ..)| !has(&next, *id)).collect();
        let changed: Vec<&Listed> =
            next.iter().filter(|member| has(&self.list, member.0) && !self.list.contains(member)).collect();
        let is_one_step = match (&added[..], &removed[..], &changed[..]) {
            ([(_, role, _)], [], []) => *role == MemberRole::Learner,
            ([], [_], []) => true,
            // Data is the same, so the role differs: a learner has become a voter.
            ([], [], [(_, role, _)]) => *role == MemberRole::Voter,
            // The first list writes down what the configuration says.
            ([], [], []) => !self.is_written,
            _ => false,
        };
        if !is_one_step {
            return Err((
                ONE_CHANGE,
                format!("at {} come {added:?}, go {removed:?}, change {changed:?}", frame.at),
            ));
        }
        if removed.iter().any(|(id, ..)| Some(*id) == self.leader) {
            return Err(("the leader stays a member", format!("{removed:?} go at {}", frame.at)));
        }
        // Every id that was ever in a list is below the next one, so none of them comes back.
        let is_new_id = added.iter().all(|(id, ..)| *id >= self.next_id);
        if !is_new_id || list.next_id < self.next_id {
            return Err((
                NO_ID_TWICE,
                format!(
                    "the next id goes from {} to {} at {}, {added:?} come",
                    self.next_id, list.next_id, frame.at
                ),
            ));
        }
        self.known.extend(next.iter().map(|(id, _, data)| (*id, *data)));
        self.is_written = true;
        self.next_id = list.next_id;
        self.list = next;
        Ok(())
    }
}
