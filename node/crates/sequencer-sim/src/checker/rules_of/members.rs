//! Membership, and how far the log may be trimmed.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, MemberRole, Membership, NodeId, Position, Retention};

use crate::checker::Verdict;
use crate::node::founder_data;

type Listed = (NodeId, MemberRole, [u8; 16]);

#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Listed>,
    next_id: u32,
    /// Data of every id that was ever in a list.
    known: BTreeMap<NodeId, [u8; 16]>,
    pub(super) floor: Position,
    archived: Option<Position>,
    pins: BTreeMap<u64, (Position, u64)>,
}

impl Members {
    pub(super) fn new(founders: &[NodeId]) -> Self {
        let list: Vec<Listed> =
            founders.iter().map(|id| (*id, MemberRole::Voter, founder_data(*id))).collect();
        let known = list.iter().map(|(id, _, data)| (*id, *data)).collect();
        let next_id = founders.iter().map(|id| id.0).max().unwrap_or(0) + 1;
        Self { list, next_id, known, ..Self::default() }
    }

    pub(super) fn list(&self) -> &[Listed] {
        &self.list
    }

    pub(super) fn on_list(&mut self, frame: &Frame<'_>, list: &Membership) -> Verdict {
        let next: Vec<Listed> =
            list.members.as_slice().iter().map(|member| (member.id, member.role, member.data)).collect();
        let voters = |list: &[Listed]| -> Vec<NodeId> {
            list.iter().filter(|(_, role, _)| *role == MemberRole::Voter).map(|(id, ..)| *id).collect()
        };
        let (before, after) = (voters(&self.list), voters(&next));
        let changed = before.iter().filter(|id| !after.contains(id)).count()
            + after.iter().filter(|id| !before.contains(id)).count();
        if changed > 1 {
            return Err(("one voter at a time", format!("{before:?} becomes {after:?} at {}", frame.at)));
        }
        for (id, _, data) in &next {
            let is_new = !self.known.contains_key(id);
            let is_listed = self.list.iter().any(|(listed, ..)| listed == id);
            if (is_new && id.0 < self.next_id) || (!is_new && (self.known[id] != *data || !is_listed)) {
                return Err(("14. no id is used twice", format!("{id} comes back at {}", frame.at)));
            }
            self.known.insert(*id, *data);
        }
        if list.next_id.0 < self.next_id {
            return Err((
                "14. no id is used twice",
                format!("the next id falls to {} at {}", list.next_id, frame.at),
            ));
        }
        self.next_id = list.next_id.0;
        self.list = next;
        Ok(())
    }

    pub(super) fn on_hold(&mut self, hold: &Retention) {
        match *hold {
            Retention::Archived { to } => self.archived = Some(to),
            Retention::Pin { id, position, bytes_max } => {
                self.pins.insert(id, (position, bytes_max));
            }
            Retention::Unpin { id } => {
                self.pins.remove(&id);
            }
        }
    }

    pub(super) fn on_floor(
        &mut self,
        frame: &Frame<'_>,
        floor: Position,
        service: Option<Position>,
    ) -> Verdict {
        let bounded = |(position, bytes): &(Position, u64)| {
            (*position).max(Position(frame.at.0.saturating_sub(*bytes)))
        };
        let holds = self.pins.values().map(bounded).chain(self.archived).chain(service);
        let limit = holds.min().unwrap_or(frame.at);
        if floor > limit || floor <= self.floor {
            return Err((
                "16. nothing above a hold is trimmed",
                format!("to {floor} at {}, where {limit} is held and {} was the floor", frame.at, self.floor),
            ));
        }
        self.floor = floor;
        Ok(())
    }
}
