"""Rules on what survives a crash: figure 2 (persistent state) and what a claim stands for."""

from raft_checker.cluster import Cluster
from raft_checker.elections import check_term_and_vote
from raft_checker.log import NOTHING, TermTable, as_end
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Event


def start(cluster: Cluster, node: Node, event: Event) -> None:
    """The node starts with what it found on its disk."""
    if node.up:
        cluster.malformed(f"node {node.id} starts without having crashed", node)
    try:
        found = _found_log(event)
    except ValueError as error:
        cluster.malformed(str(error), node)
    claim = as_end(event["claim"])
    commit = event.get("commit", 0)
    if commit > min(node.known_commit, found.end):
        cluster.fail(
            Rule.RESTART_NOTHING_NEW,
            f"node {node.id} comes back knowing of commits that it did not know of, or does not hold",
            node,
            known=node.known_commit,
            found=commit,
            found_end=found.end,
        )
    if node.started:
        _check_restart(cluster, node, event, found)
    node.term, node.vote, node.claim = event["term"], event["vote"], claim
    node.log, node.durable = found, found.end
    node.damaged = node.damaged and claim != NOTHING
    if not found.holds(node.promised):
        # What is missing is the claim's to guard from now on.
        node.promised = found.last()
    if not node.started:
        cluster.adopt_lineage(node)
    node.restart()
    # What was committed is so for ever: a node may remember it.
    node.commit = commit


def _found_log(event: Event) -> TermTable:
    """The log of a start event, whose end may be told as a position or as a [term, position] log end."""
    end = event["end"]
    if isinstance(end, int):
        return TermTable.of(event["terms"], end)
    found = TermTable.of(event["terms"], end[1])
    if found.last() != as_end(end):
        raise ValueError(f"the log end {end} is not that of the terms {event['terms']}")
    return found


def _check_restart(cluster: Cluster, node: Node, event: Event, found: TermTable) -> None:
    claim = as_end(event["claim"])
    check_term_and_vote(cluster, node, event["term"], event["vote"])
    cluster.check_lineage(node, found.entries(), 0, found.end)
    if found.end > max(log.common(found) for log in (node.log, *node.uncut)):
        cluster.fail(
            Rule.RESTART_NOTHING_NEW,
            f"node {node.id} comes back with a log that it did not have",
            node,
            found=found.entries(),
            found_end=found.end,
        )
    if not found.holds(node.promised) and claim < node.promised:
        cluster.fail(
            Rule.RESTART_KEEPS_PROMISE,
            f"node {node.id} comes back without bytes it had reported durable",
            node,
            reported=node.promised,
            found=found.last(),
            claim=event["claim"],
        )
    if max(claim, found.last()) < node.claim:
        cluster.fail(
            Rule.CLAIM_KEPT,
            f"node {node.id} comes back with less than its claim before",
            node,
            before=node.claim,
            after=event["claim"],
            found=found.last(),
        )


def crash(cluster: Cluster, node: Node, event: Event) -> None:
    """The node stops at once; a node that is down already may lose power all the same."""
    node.up = False
