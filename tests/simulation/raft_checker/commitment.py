"""Rules on commit positions and what follows from them: sections 5.3, 5.4.2 and 5.4.3."""

from raft_checker.cluster import Cluster
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Event


def commit(cluster: Cluster, node: Node, event: Event) -> None:
    """The node regards everything below a position as committed."""
    to = event["to"]
    if to < node.commit:
        cluster.fail(Rule.COMMIT_MONOTONE, f"node {node.id} takes its commit back to {to}", node, to=to)
    if to > node.log.end:
        cluster.fail(Rule.COMMIT_WITHIN_LOG, f"node {node.id} commits {to}, past its log", node, to=to)
        to = node.log.end
    _same_as_committed(cluster, node, to)
    if node.is_leader():
        _leader_commit(cluster, node, to)
    else:
        _follower_commit(cluster, node, to)
    if to > cluster.committed.end:
        first = cluster.committed.end
        cluster.committed.extend(node.log.starts_inside(first, to), to)
    node.commit = max(node.commit, to)
    node.known_commit = max(node.known_commit, to)


def _same_as_committed(cluster: Cluster, node: Node, to: int) -> None:
    """Compare what is newly committed here with what any node committed before."""
    committed = cluster.committed
    stop = min(to, committed.end)
    if stop <= 0:
        return
    start = min(node.commit, stop)
    if node.log.term_before(stop) != committed.term_before(stop) or (
        node.log.starts_inside(start, stop) != committed.starts_inside(start, stop)
    ):
        cluster.fail(
            Rule.STATE_MACHINE_SAFETY,
            f"node {node.id} commits other bytes than another node did",
            node,
            same_to=node.log.common(committed),
            committed=committed.entries()[-6:],
            to=to,
        )


def _leader_commit(cluster: Cluster, node: Node, to: int) -> None:
    holders = {voter for voter, held in node.accepted.items() if held >= to}
    if node.durable >= to:
        holders.add(node.id)
    holders &= cluster.config.voters
    if len(holders) < cluster.config.majority:
        cluster.fail(
            Rule.LEADER_COMMIT_MAJORITY,
            f"node {node.id} commits {to} without a majority that holds it",
            node,
            holders=sorted(holders),
            needed=cluster.config.majority,
            accepted=dict(node.accepted),
            own_durable=node.durable,
        )
    if not 0 <= node.frame_start < to:
        cluster.fail(
            Rule.LEADER_COMMIT_OWN_TERM,
            f"node {node.id} commits {to} by count, before its own term's bytes",
            node,
            term=node.term,
            new_term_frame=node.frame_start if node.frame_start >= 0 else None,
        )
    own = min(node.durable, to)
    if own > node.promised[1]:
        node.promised = node.log.end_at(own)
    cluster.committed_in[node.term] = max(cluster.committed_in.get(node.term, 0), to)
    for term, log in cluster.leader_logs.items():
        # A commit may come after the election of a later leader, which then must hold it already.
        if term > node.term and log.common(node.log) < to:
            cluster.fail(
                Rule.LEADER_COMPLETENESS,
                f"node {node.id} commits {to} in term {node.term} past a later leader",
                node,
                later_term=term,
                later_leader=cluster.leaders[term],
                shared_to=log.common(node.log),
            )


def _follower_commit(cluster: Cluster, node: Node, to: int) -> None:
    # What a newer leader says holds at once: a new term must be saved before an answer, not before a commit.
    heard = node.appends_term >= node.term
    told = node.told_commit if heard else 0
    if to > told:
        cluster.fail(
            Rule.FOLLOWER_COMMIT_TOLD,
            f"node {node.id} commits {to}, having been told of {told} in term {node.term}",
            node,
            told=told,
            messages_of_term=node.appends_term,
        )
    matched = node.learn_match(to) if heard else 0
    if to > matched:
        cluster.fail(
            Rule.FOLLOWER_COMMIT_MATCHED,
            f"node {node.id} commits {to}, past where its log was found to match",
            node,
            found_to_match=matched,
        )
