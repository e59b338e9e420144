//! Who belongs to the cluster: voters, learners, and whom to listen to.
//!
//! 1. The newest list in the log counts from the moment it is appended, and no longer when it is cut. Without a list in the log the voters are
//!    those of the configuration.
//! 2. Elections are decided by the newest list. Commits are counted by the newest list that is durable on the leader's own disk, so
//!    that whatever a list counts was held by a voter of the list before it (see `docs/internals/exactly-once.md`).
//! 3. A member is its id together with the UUID of its data. Another UUID under a known id is a member that lost its disk; it is
//!    not listened to, because it has forgotten what it voted for and acknowledged.
//!
//! Invariant: two lists that are in use at one time differ by at most one voter, so their majorities overlap.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Member, MemberRole, Members, Membership, NodeId, Position};
use thiserror::Error;

use crate::config::VOTERS_MAX;
use crate::core::Core;
use crate::peer::Peer;

/// Why a node is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PeerRefusal {
    /// It is known with other data.
    #[error(
        "{id} is known with data {expected:02x?} and comes with {found:02x?}: it has lost its disk; add it as a learner under a new id"
    )]
    WrongData {
        /// Its id.
        id: NodeId,
        /// As the list of members says.
        expected: [u8; 16],
        /// As it says.
        found: [u8; 16],
    },
    /// It was a member once.
    #[error("{id} was removed from this cluster; ids are never used again, so give it a new one")]
    Retired {
        /// Its id.
        id: NodeId,
    },
}

/// The voters of one list, on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Voters {
    ids: [NodeId; VOTERS_MAX],
    count: usize,
}

impl Voters {
    fn of(list: &Members) -> Self {
        let mut voters = Self::default();
        for member in list.as_slice().iter().filter(|member| is_counted(member)) {
            if voters.count < VOTERS_MAX {
                voters.ids[voters.count] = member.id;
                voters.count += 1;
            }
        }
        voters
    }

    pub(crate) fn as_slice(&self) -> &[NodeId] {
        &self.ids[..self.count]
    }

    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.as_slice().contains(&id)
    }

    pub(crate) fn majority(&self) -> usize {
        self.count / 2 + 1
    }
}

fn is_counted(member: &Member) -> bool {
    member.role == MemberRole::Voter || teeth::is_active(Bug::CountLearners)
}

impl Core {
    /// Whether a connection from `id` with these data may be listened to. The runtime asks it at each handshake, and again when the list
    /// of members changes.
    ///
    /// # Errors
    /// [`PeerRefusal`] says why not.
    pub fn check_peer(&mut self, id: NodeId, data: [u8; 16]) -> Result<(), PeerRefusal> {
        if teeth::is_active(Bug::ReuseNodeId) {
            return Ok(());
        }
        match self.listed(id) {
            Some(member) if member.data != data && member.data != [0; 16] => {
                Err(PeerRefusal::WrongData { id, expected: member.data, found: data })
            }
            Some(_) => {
                if let Some(index) = self.peer_index(id) {
                    self.peers[index].data = data;
                }
                Ok(())
            }
            // It may have been added where this node has not read yet; then its id is one that is free here.
            None if id >= self.next_member_id() => Ok(()),
            None => Err(PeerRefusal::Retired { id }),
        }
    }

    /// What a list says of a member: the newest one, or one that counts again when the log is cut. A node that has appended a removal which
    /// was never committed must go on listening to whom it wanted to remove: that one may lead.
    fn listed(&self, id: NodeId) -> Option<Member> {
        let founder = || self.founders.members.get(id).copied().filter(|_| self.ledger.may_lose_lists());
        self.ledger.listed(id).or_else(founder)
    }

    /// Whether a node was a member once and can never be one again.
    pub(crate) fn is_retired(&self, id: NodeId) -> bool {
        id < self.next_member_id() && self.listed(id).is_none()
    }

    /// The newest list, as a frame would hold it.
    pub(crate) fn member_list(&self) -> Membership {
        self.ledger.members().copied().unwrap_or(self.founders)
    }

    /// The lowest id that no member ever had, by the newest list.
    pub(crate) fn next_member_id(&self) -> NodeId {
        self.ledger.members().map_or(self.founders.next_id, |list| list.next_id)
    }

    /// Members of the newest list.
    pub fn members(&self) -> Members {
        self.member_list().members
    }

    /// Whether this node has a vote by the newest list. One whose data are not those in the list has none: it lost its disk, and
    /// must not found a cluster of its own on the empty one.
    pub fn is_voter(&self) -> bool {
        self.has_vote
    }

    /// Voters that make a majority by the newest list.
    pub(crate) fn majority(&self) -> usize {
        self.voters.majority()
    }

    /// The voters that commits are counted by.
    pub(crate) fn counting_voters(&mut self) -> Voters {
        if self.ledger.members_end() <= self.durable {
            return self.voters;
        }
        match self.ledger.members_by(self.durable) {
            Some(list) => Voters::of(&list.members),
            None => Voters::of(&self.founders.members),
        }
    }

    /// Brings what is derived from the list up to date after frames were appended or cut.
    #[inline]
    pub(crate) fn follow_members(&mut self) {
        if self.members_version != self.ledger.members_version() {
            self.take_members();
        }
    }

    /// Derives voters and peers from the newest list. Peers that stay keep what is known of them.
    pub(crate) fn take_members(&mut self) {
        self.members_version = self.ledger.members_version();
        let list = self.members();
        self.voters = Voters::of(&list);
        let own = self.config.id;
        let is_other = |listed: &[u8; 16]| {
            *listed != self.config.data && *listed != [0; 16] && self.config.data != [0; 16]
        };
        let has_other_data = list.get(own).is_some_and(|member| is_other(&member.data));
        self.has_vote = self.voters.contains(own) && (!has_other_data || teeth::is_active(Bug::ReuseNodeId));
        let mut known = std::mem::take(&mut self.peers);
        for member in list.as_slice().iter().filter(|member| member.id != own) {
            let index = known.iter().position(|peer| peer.id == member.id);
            let mut peer = index.map_or_else(
                || {
                    let mut peer = Peer::new(member.id);
                    peer.start_leadership(self.log.end(), 0);
                    peer
                },
                |index| known.swap_remove(index),
            );
            peer.is_voter = self.voters.contains(member.id);
            self.peers.push(peer);
        }
    }

    /// Puts UUIDs that the founders have shown into the list, once all are known and no change is under way. The list then stands in
    /// the log, for members that come later.
    pub(crate) fn record_identities(&mut self, now: crate::event::Now) {
        if self.ledger.members().is_some() {
            return;
        }
        let mut list = self.founders;
        let mut members = Members::new();
        for member in list.members.as_slice() {
            let shown = self.peer_index(member.id).map_or(self.config.data, |index| self.peers[index].data);
            let data = if member.data == [0; 16] { shown } else { member.data };
            if data == [0; 16] {
                return;
            }
            members.push(Member { data, ..*member });
        }
        list.members = members;
        // Without room it is tried again with the next heartbeat.
        let _ = self.append_members(list, now);
    }

    /// End of what is durable on a majority of `voters`.
    pub(crate) fn majority_durable(&self, voters: &Voters, own: Position) -> Position {
        let mut held = [Position(0); VOTERS_MAX];
        for (slot, id) in held.iter_mut().zip(voters.as_slice()) {
            *slot = if *id == self.config.id {
                own
            } else {
                self.peer_index(*id).map_or(Position(0), |index| self.peers[index].durable)
            };
        }
        let held = &mut held[..voters.as_slice().len()];
        held.sort_unstable();
        held.len().checked_sub(voters.majority()).map_or(Position(0), |index| held[index])
    }
}
