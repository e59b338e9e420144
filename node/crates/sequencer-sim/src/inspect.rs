//! Comparing a node's state with the rules after each of its turns, and the whole cluster's once everything has healed.

use sequencer_core::Role;
use sequencer_runtime::Replica;
use sequencer_wire::Position;

use crate::checker::Verdict;
use crate::node::Down;
use crate::world::World;

impl World {
    /// Compares a node's state with the rules.
    pub(crate) fn inspect(&mut self, node: usize) {
        let verdict = self.inspect_commit(node).and_then(|()| self.inspect_handover(node));
        self.checker.judge(self.now_ns, verdict);
        self.acknowledge(node);
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
            self.checker.committed.check(state.id, term, state.checked, &bytes)?;
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
        for node in self.nodes.iter().filter(|node| node.down != Some(Down::ForGood)) {
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
        let commits = self.nodes.iter().filter_map(|node| Some(node.replica.as_ref()?.status().commit.0));
        commits.map(|commit| end - commit).max().unwrap_or(end)
    }

    /// The bound has passed. That is right only if no election can succeed without risking acknowledged bytes.
    pub(crate) fn judge_not_serving(&mut self) -> Verdict {
        let statuses: Vec<_> =
            self.nodes.iter().filter_map(|node| node.replica.as_ref().map(Replica::status)).collect();
        let majority = self.profile.voters / 2 + 1;
        let can_lead = statuses.iter().any(|candidate| {
            let last = candidate.durable;
            let voters = statuses.iter().filter(|voter| {
                voter.claim.map_or(voter.durable, |claim| claim.end.max(voter.durable)) <= last
            });
            candidate.claim.is_none() && voters.count() >= majority
        });
        let all_voters_up = statuses.len() == self.profile.voters;
        let is_damaged = statuses.iter().any(|status| status.claim.is_some_and(|claim| claim.damaged));
        if statuses.len() < majority || (!can_lead && (is_damaged || !all_voters_up)) {
            self.stats.hit("clusters that stopped rather than risk loss");
            return Ok(());
        }
        let summary: Vec<String> = statuses
            .iter()
            .map(|status| {
                let claim = status.claim.map(|claim| claim.end.to_string());
                format!(
                    "{:?} term {} end {} durable {} commit {} claim {claim:?}",
                    status.role, status.term, status.end, status.durable, status.commit
                )
            })
            .collect();
        Err(("serves again after healing", summary.join("; ")))
    }
}
