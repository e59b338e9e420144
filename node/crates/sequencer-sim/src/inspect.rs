//! Comparing a node's state with the rules after each of its turns, and the whole cluster's once everything has healed.

use sequencer_core::Role;
use sequencer_runtime::Replica;
use sequencer_storage::SimDisk;
use sequencer_wire::{MemberRole, NodeId, Position};

use crate::checker::{Checker, Verdict};
use crate::world::World;

impl World {
    /// Compares a node's state with the rules.
    pub(crate) fn inspect(&mut self, node: usize) {
        let verdict = self
            .inspect_commit(node)
            .and_then(|()| self.inspect_handover(node))
            .and_then(|()| self.inspect_start(node))
            .and_then(|()| self.inspect_lists(node))
            .and_then(|()| self.inspect_ledger(node));
        self.checker.judge(self.now_ns, verdict);
        self.tell(node);
    }

    /// At most one change of membership is under way.
    fn inspect_lists(&mut self, node: usize) -> Verdict {
        let state = &self.nodes[node];
        let Some(replica) = &state.replica else { return Ok(()) };
        let committed = self.checker.committed.end();
        let count = replica.core().ledger().lists_after(committed);
        if replica.status().role != Role::Leader || count <= 1 {
            return Ok(());
        }
        Err((
            "15. one change of membership at a time",
            format!("{} leads with {count} after {committed}", state.id),
        ))
    }

    /// Every member has what the trim floor promises.
    fn inspect_start(&mut self, node: usize) -> Verdict {
        let state = &self.nodes[node];
        let Some(replica) = state.replica.as_ref().filter(|_| !state.was_damaged) else { return Ok(()) };
        let (start, floor) = (replica.status().log_start, self.checker.rules.floor());
        if start <= floor {
            return Ok(());
        }
        Err((
            "members have the log from the floor on",
            format!("{} starts at {start}, the floor is {floor}", state.id),
        ))
    }

    /// The ledger is a function of the log: equal log ends, equal digests.
    fn inspect_ledger(&mut self, node: usize) -> Verdict {
        let state = &mut self.nodes[node];
        let Some(replica) = &state.replica else { return Ok(()) };
        let end = replica.status().end;
        if end == state.digested {
            return Ok(());
        }
        state.digested = end;
        let ledger = replica.core().ledger();
        if ledger.oddities() > 0 {
            let count = ledger.oddities();
            return Err((
                "frames make sense after those before",
                format!("{} met {count} that did not", state.id),
            ));
        }
        self.checker.digests.check(state.id, end, ledger.digest())
    }

    fn inspect_commit(&mut self, node: usize) -> Verdict {
        let state = &mut self.nodes[node];
        let Some(replica) = state.replica.as_mut() else { return Ok(()) };
        let (term, commit) = (replica.status().term, replica.status().commit);
        if commit < state.commit_seen {
            return Err((
                "commit never goes back",
                format!("{} went from {} to {commit}", state.id, state.commit_seen),
            ));
        }
        state.commit_seen = commit;
        let mut bytes = Vec::new();
        // An installed snapshot stands for what lies before it.
        state.checked = state.checked.max(replica.status().log_start);
        while state.checked < commit {
            bytes.clear();
            let limit = (commit.0 - state.checked.0).min(64 << 10) as usize;
            match replica.read_committed(state.checked, limit, &mut bytes) {
                Ok(0) => {
                    return Err((
                        "committed bytes can be read",
                        format!("{} has nothing at {} below {commit}", state.id, state.checked),
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    self.on_failure(node, &error);
                    return Ok(());
                }
            }
            let Checker { committed, rules, .. } = &mut self.checker;
            committed.check(state.id, term, state.checked, &bytes, rules)?;
            state.checked = Position(state.checked.0 + bytes.len() as u64);
        }
        let readable = replica.core().readable_end();
        if readable > self.checker.committed.end() {
            return Err((
                "only committed bytes are served",
                format!(
                    "{} serves up to {readable}; {} is committed",
                    state.id,
                    self.checker.committed.end()
                ),
            ));
        }
        Ok(())
    }

    fn inspect_handover(&mut self, node: usize) -> Verdict {
        let state = &mut self.nodes[node];
        let Some(replica) = &state.replica else { return Ok(()) };
        let status = replica.status();
        let told = status.handing_over_to.filter(|_| status.role == Role::Leader);
        match (told, state.handing_over_at) {
            (None, _) => state.handing_over_at = None,
            (Some(_), None) => state.handing_over_at = Some(status.end.position),
            (Some(target), Some(end)) if status.end.position != end => {
                return Err((
                    "nothing is admitted during a handover",
                    format!(
                        "{} grew from {end} to {} while handing over to {target}",
                        state.id, status.end.position
                    ),
                ));
            }
            (Some(_), Some(_)) => {}
        }
        Ok(())
    }

    /// All nodes that can run do, agree on one leader, and hold the same committed log.
    pub(crate) fn is_converged(&self) -> bool {
        let end = self.checker.committed.end();
        let mut leaders = 0;
        for node in self.nodes.iter().filter(|node| !node.is_gone()) {
            if !self.checker.rules.is_member(node.id) {
                // Nobody sends to it any more.
                continue;
            }
            let Some(replica) = &node.replica else { return false };
            let status = replica.status();
            if status.commit != end || status.claim.is_some() {
                return false;
            }
            leaders += usize::from(status.role == Role::Leader);
        }
        leaders == 1
    }

    /// Bytes between what is committed and what the node furthest behind knows to be.
    pub(crate) fn longest_lag(&self) -> u64 {
        let end = self.checker.committed.end().0;
        let members =
            self.nodes.iter().filter(|node| !node.is_gone() && self.checker.rules.is_member(node.id));
        let commits = members.filter_map(|node| Some(node.replica.as_ref()?.status().commit.0));
        commits.map(|commit| end - commit).max().unwrap_or(end)
    }

    /// The bound has passed. That is right only if no election can succeed without risking acknowledged bytes.
    pub(crate) fn judge_not_serving(&mut self) -> Verdict {
        let up: Vec<_> = self
            .nodes
            .iter()
            .filter(|node| !node.is_gone())
            .filter_map(|node| node.replica.as_ref())
            .collect();
        let could_vote = |candidate: &Replica<SimDisk>| {
            let (last, voters) = (candidate.status().durable, voters_of(candidate));
            let willing = up.iter().filter(|voter| {
                let status = voter.status();
                let claimed = status.claim.map_or(status.durable, |claim| claim.end.max(status.durable));
                voters.contains(&voter.core().config().id) && claimed <= last
            });
            candidate.status().claim.is_none()
                && candidate.core().is_voter()
                && willing.count() > voters.len() / 2
        };
        let can_lead = up.iter().any(|candidate| could_vote(candidate));
        let statuses: Vec<_> = up.iter().map(|replica| replica.status()).collect();
        let is_stuck =
            statuses.iter().any(|status| status.claim.is_some_and(|claim| claim.damaged || claim.membership));
        let all_voters_up = up.iter().all(|replica| {
            let has_all = |id: &NodeId| up.iter().any(|other| other.core().config().id == *id);
            voters_of(replica).iter().all(has_all)
        });
        if !can_lead && (is_stuck || !all_voters_up) {
            self.stats.hit("clusters that stopped rather than risk loss");
            return Ok(());
        }
        let summary: Vec<String> = up
            .iter()
            .map(|replica| {
                let status = replica.status();
                let claim = status.claim.map(|claim| claim.end.to_string());
                format!(
                    "{} {:?} term {} end {} durable {} commit {} start {} claim {claim:?} voters {:?}",
                    replica.core().config().id,
                    status.role,
                    status.term,
                    status.end,
                    status.durable,
                    status.commit,
                    status.log_start,
                    voters_of(replica)
                )
            })
            .collect();
        let waiting = self.actors.iter().filter(|actor| !actor.is_done(&self.checker.committed));
        let waiting: Vec<String> = waiting.map(|actor| actor.describe()).collect();
        Err(("serves again after healing", format!("{}; not done: {waiting:?}", summary.join("; "))))
    }
}

/// Ids of the voters by a node's newest list.
pub(crate) fn voters_of(replica: &Replica<SimDisk>) -> Vec<NodeId> {
    let members = replica.core().members();
    let voters = members.as_slice().iter().filter(|member| member.role == MemberRole::Voter);
    voters.map(|member| member.id).collect()
}
