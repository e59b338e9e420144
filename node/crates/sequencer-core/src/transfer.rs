//! Handing leadership over without an election time-out.
//!
//! 1. The leader stops admitting.
//! 2. When the target holds the whole log durably, it is told to campaign at once; voters waive their loyalty to the
//!    leader for this campaign.
//! 3. If no higher term arrives within an election time-out, the leader admits again.
//!
//! Invariant: between telling the target and the time-out the leader's log does not grow, so nothing that it admitted is
//! lost by the transfer.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{NodeId, Position};
use thiserror::Error;

use crate::core::Core;
use crate::effect::{Effects, Outgoing};
use crate::event::Now;
use crate::status::Role;

#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) target: NodeId,
    pub(crate) deadline_ns: u64,
    pub(crate) told: bool,
}

/// Why a transfer was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransferError {
    /// Only the leader can hand over.
    #[error("this node does not lead; ask {leader:?}")]
    NotLeader {
        /// The leader, if known.
        leader: Option<NodeId>,
    },
    /// The target is not another voter.
    #[error("{target} is not another voter of this cluster")]
    NotAVoter {
        /// The node named.
        target: NodeId,
    },
    /// One transfer at a time.
    #[error("leadership is already being handed over to {target}; wait for it to end")]
    UnderWay {
        /// The target of the transfer under way.
        target: NodeId,
    },
}

impl Core {
    /// Starts handing leadership to `target`. Watch [`crate::Status`] for the outcome: a new term, or admission again.
    ///
    /// # Errors
    /// [`TransferError`]; nothing has changed.
    pub fn transfer_leadership(
        &mut self,
        target: NodeId,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), TransferError> {
        if self.role != Role::Leader {
            return Err(TransferError::NotLeader { leader: self.leader });
        }
        if !self.peer_index(target).is_some_and(|index| self.peers[index].is_voter) {
            return Err(TransferError::NotAVoter { target });
        }
        if let Some(transfer) = &self.transfer {
            return Err(TransferError::UnderWay { target: transfer.target });
        }
        self.counters.transfers += 1;
        let deadline_ns = now.monotonic_ns + self.config.election_timeout_ns;
        self.transfer = Some(Transfer { target, deadline_ns, told: false });
        self.flush(now, effects);
        self.try_hand_over(effects);
        Ok(())
    }

    /// Tells the target once it holds everything.
    pub(crate) fn try_hand_over(&mut self, effects: &mut Effects) {
        let end = self.end();
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| !transfer.told) else { return };
        let target = transfer.target;
        let holds_all = self.peers.iter().any(|peer| peer.id == target && peer.durable == end.position);
        if holds_all || teeth::is_active(Bug::TransferWithoutStop) {
            transfer.told = true;
            self.send(target, Outgoing::TimeoutNow { end }, effects);
        }
    }

    pub(crate) fn expire_transfer(&mut self, now: Now) {
        if self.transfer.as_ref().is_some_and(|transfer| now.monotonic_ns >= transfer.deadline_ns) {
            self.transfer = None;
            self.counters.transfers_timed_out += 1;
        }
    }

    /// A leader that cannot go on tells the follower that is furthest ahead to take over.
    pub(crate) fn abdicate(&mut self, effects: &mut Effects) {
        let heir = self
            .peers
            .iter()
            .filter(|peer| peer.is_voter)
            .max_by_key(|peer| peer.durable)
            .filter(|peer| peer.durable > Position(0));
        if let Some(heir) = heir {
            let (id, end) = (heir.id, self.log_end_at(heir.durable.min(self.log.end())));
            self.send(id, Outgoing::TimeoutNow { end }, effects);
        }
    }
}
