//! The operator's part that changes the list of members: replaces machines that are lost, and adds and removes others at random.
//!
//! It plans from what is committed and what is lost, and never plans a list whose majority would not be sound. A request that
//! comes to nothing is made again.

use sequencer_core::MemberChange;
use sequencer_wire::{MemberRole, NodeId};

use super::{Asked, Control, Told, View};
use crate::node::NODES_MAX;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Fleet {
    is_active: bool,
    /// Machines set up and not in a list yet.
    waiting: Vec<(NodeId, [u8; 16])>,
}

impl Fleet {
    pub(crate) fn new(is_active: bool) -> Self {
        Self { is_active, waiting: Vec::new() }
    }

    pub(crate) fn act(&mut self, view: &mut View<'_>) {
        if !self.is_active || view.is_healed {
            return;
        }
        let members = view.rules.members();
        let listed = |id: NodeId| members.iter().any(|(other, _, _)| *other == id);
        self.waiting.retain(|(id, _)| !listed(*id));
        let is_gone = |id: NodeId| view.gone.get(id.0 as usize - 1).copied().unwrap_or(false);
        let dead = members
            .iter()
            .find(|(id, role, _)| *role == MemberRole::Voter && is_gone(*id))
            .map(|(id, ..)| *id);
        let learner = members
            .iter()
            .find(|(id, role, _)| *role == MemberRole::Learner && !is_gone(*id))
            .map(|(id, ..)| *id);
        let change = match (dead, learner) {
            // The learner catches up, the dead voter is removed, the learner becomes a voter.
            (Some(dead), Some(_)) => Some(MemberChange::Remove { id: dead }),
            (Some(_), None) => self.next_learner(view),
            (None, Some(learner)) if view.rng.coin() => Some(MemberChange::Promote { id: learner }),
            (None, _) => self.wander(view, &members),
        };
        let Some(change) = change.filter(|change| is_sound(change, &members, view)) else { return };
        if let Some(leader) = view.leader {
            view.send(leader, 0, Asked::Control(Control::Member(change)));
            // Sometimes two changes at once: the second must wait.
            if view.rng.below(4) == 0
                && let Some(second) =
                    self.wander(view, &members).filter(|second| is_sound(second, &members, view))
            {
                view.send(leader, 0, Asked::Control(Control::Member(second)));
            }
        }
    }

    /// Sets up a machine, or names the one that waits.
    fn next_learner(&mut self, view: &mut View<'_>) -> Option<MemberChange> {
        if let Some((id, data)) = self.waiting.first().copied() {
            return Some(MemberChange::AddLearner { id, data });
        }
        let id = NodeId(view.readable.len() as u32 + 1);
        if id.0 as usize > NODES_MAX {
            return None;
        }
        let mut data = [0x11; 16];
        data[..8].copy_from_slice(&view.rng.next_u64().to_le_bytes());
        self.waiting.push((id, data));
        view.told.push(Told::NewNode { id, data });
        None
    }

    /// Something at random.
    fn wander(
        &mut self,
        view: &mut View<'_>,
        members: &[(NodeId, MemberRole, [u8; 16])],
    ) -> Option<MemberChange> {
        let (id, role, _) = members[view.rng.below(members.len() as u64) as usize];
        match view.rng.below(12) {
            0 if members.len() < 6 => self.next_learner(view),
            1 if role == MemberRole::Learner => Some(MemberChange::Promote { id }),
            2 => Some(MemberChange::Remove { id }),
            // An id that was used before.
            3 => Some(MemberChange::AddLearner { id, data: [9; 16] }),
            _ => None,
        }
    }
}

/// Whether a majority of the voters after the change is sound.
fn is_sound(change: &MemberChange, members: &[(NodeId, MemberRole, [u8; 16])], view: &View<'_>) -> bool {
    let voters: Vec<NodeId> = members
        .iter()
        .filter(|(id, role, _)| match change {
            MemberChange::Remove { id: removed } if removed == id => false,
            MemberChange::Promote { id: promoted } if promoted == id => true,
            _ => *role == MemberRole::Voter,
        })
        .map(|(id, ..)| *id)
        .collect();
    let sound = voters.iter().filter(|id| !view.weak.get(id.0 as usize - 1).copied().unwrap_or(true)).count();
    !voters.is_empty() && sound > voters.len() / 2
}
