//! Rules of membership: one change at a time, one voter at a time, ids never used again.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{
    Body, FrameKind, MEMBERS_MAX, Member, MemberRole, Members, Membership, NodeId, VOTERS_MAX,
};

use super::{Head, Ruling};
use crate::core::Core;
use crate::event::Now;
use crate::refusal::Refusal;
use crate::request::MemberChange;

impl Core {
    pub(super) fn admit_member_change(&mut self, change: &MemberChange, now: Now) -> Ruling {
        if self.ledger.is_membership_pending() && !teeth::is_active(Bug::TwoMembershipChanges) {
            return Err(Refusal::ChangePending { at: self.ledger.members_end() });
        }
        let list = self.member_list();
        let next = match *change {
            MemberChange::AddLearner { id, data } => self.with_learner(&list, id, data)?,
            MemberChange::Promote { id } => self.with_voter(&list, id, now)?,
            MemberChange::Remove { id } => self.without(&list, id)?,
        };
        self.append_members(next, now)
    }

    pub(crate) fn append_members(&mut self, list: Membership, now: Now) -> Ruling {
        self.append_control(
            &Head::of(FrameKind::Membership, self.config.id.0),
            &Body::Membership(list),
            false,
            now,
        )
    }

    fn with_learner(&self, list: &Membership, id: NodeId, data: [u8; 16]) -> Result<Membership, Refusal> {
        if id < list.next_id {
            return Err(Refusal::IdUsed { id, next: list.next_id });
        }
        if list.members.len() >= MEMBERS_MAX {
            return Err(Refusal::TooManyMembers { what: "members", limit: MEMBERS_MAX });
        }
        let mut next = *list;
        next.members.push(Member { id, role: MemberRole::Learner, data });
        next.next_id = NodeId(id.0.saturating_add(1));
        Ok(next)
    }

    fn with_voter(&self, list: &Membership, id: NodeId, now: Now) -> Result<Membership, Refusal> {
        let is_learner = list.members.get(id).is_some_and(|member| member.role == MemberRole::Learner);
        if !is_learner {
            return Err(Refusal::NotAMember { id, wanted: "learner" });
        }
        let voters = list.members.as_slice().iter().filter(|member| member.role == MemberRole::Voter).count();
        if voters >= VOTERS_MAX {
            return Err(Refusal::TooManyMembers { what: "voters", limit: VOTERS_MAX });
        }
        let limit_bytes = self.config.catch_up_bytes_max;
        let lag_bytes = self.lag_of(id, now);
        if lag_bytes > limit_bytes {
            return Err(Refusal::NotCaughtUp { id, lag_bytes, limit_bytes });
        }
        Ok(rebuild(list, |member| {
            Some(if member.id == id { Member { role: MemberRole::Voter, ..member } } else { member })
        }))
    }

    fn without(&self, list: &Membership, id: NodeId) -> Result<Membership, Refusal> {
        if list.members.get(id).is_none() {
            return Err(Refusal::NotAMember { id, wanted: "member" });
        }
        if id == self.config.id {
            return Err(Refusal::LeaderStays { id });
        }
        Ok(rebuild(list, |member| (member.id != id).then_some(member)))
    }

    /// Bytes that a member lacks of the leader's log; more than it may lack if it has not answered lately.
    fn lag_of(&self, id: NodeId, now: Now) -> u64 {
        let end = self.log.end().0;
        let Some(index) = self.peer_index(id) else { return u64::MAX };
        let peer = &self.peers[index];
        let silent_ns = now.monotonic_ns.saturating_sub(peer.heard_ns);
        let lag_bytes = end - peer.durable.0.min(end);
        let is_silent = silent_ns > self.config.election_timeout_ns;
        if is_silent { lag_bytes.max(self.config.catch_up_bytes_max.saturating_add(1)) } else { lag_bytes }
    }
}

fn rebuild(list: &Membership, change: impl Fn(Member) -> Option<Member>) -> Membership {
    let mut members = Members::new();
    for member in list.members.as_slice().iter().filter_map(|member| change(*member)) {
        members.push(member);
    }
    Membership { next_id: list.next_id, members }
}
