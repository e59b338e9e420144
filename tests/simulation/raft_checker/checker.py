"""Replays a trace, one event after the other, and stops at the first broken rule.

1. The first line tells the configuration.
2. Each later line is handed to the one function that knows its event; it checks the event against the model
   of the node and the cluster as they were, and then changes the model.
3. Messages are checked when sent, against the sender; a receive only teaches what the receiver now knows.

Properties: one pass, no look-ahead; no event that broke a rule changes the model, unless the rule is ignored;
the time for a line does not grow with the trace, except where logs are compared at elections and restarts.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from raft_checker import claims, commitment, elections, replication, restarts
from raft_checker.cluster import Cluster
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Event, Message, parse_config, parse_event, read_lines
from raft_checker.violation import Violation

_EVENTS: dict[str, Callable[[Cluster, Node, Event], None]] = {
    "start": restarts.start,
    "crash": restarts.crash,
    "hard_state": elections.hard_state,
    "role": elections.role,
    "append": replication.append,
    "cut": replication.cut,
    "durable": replication.durable,
    "commit": commitment.commit,
}

_NOTES = frozenset({"fault", "heal", "flip", "read_log", "control"})
"""What the simulator did to the world, and reads. It excuses nothing, so no rule looks at it."""


def _nothing_to_send(cluster: Cluster, node: Node, to: int, m: Message) -> None:
    """No rule beyond the message's term."""


def _nothing_to_learn(node: Node, source: int, m: Message) -> None:
    """The model needs nothing of it."""


_SENDS: dict[str, Callable[[Cluster, Node, int, Message], None]] = {
    "pre_vote_request": elections.send_pre_vote_request,
    "pre_vote_response": elections.send_pre_vote_response,
    "vote_request": elections.send_vote_request,
    "vote_response": elections.send_vote_response,
    "append": replication.send_append,
    "append_accepted": replication.send_append_accepted,
    "append_rejected": _nothing_to_send,
    "timeout_now": replication.send_timeout_now,
    "status_request": claims.send_status_request,
    "status_response": claims.send_status_response,
}
_RECEIVES: dict[str, Callable[[Node, int, Message], None]] = {
    "pre_vote_request": elections.receive_pre_vote_request,
    "pre_vote_response": elections.receive_pre_vote_response,
    "vote_request": elections.receive_vote_request,
    "vote_response": elections.receive_vote_response,
    "append": replication.receive_append,
    "append_accepted": replication.receive_append_accepted,
    "append_rejected": _nothing_to_learn,
    "timeout_now": elections.receive_timeout_now,
    "status_request": claims.receive_status_request,
    "status_response": claims.receive_status_response,
}


def _term_in_order(node: Node, kind: str, term: int) -> bool:
    """Whether a message may carry this term: the sender's own, with two exceptions.

    A pre-vote request names the term it would campaign in, and its answer may repeat that. A status request
    names the term that others shall have reached before they answer. Neither moves its sender.
    """
    match kind:
        case "pre_vote_request" | "status_request":
            return term == node.term + 1
        case "pre_vote_response":
            return True
        case _:
            return term == node.term


@dataclass(slots=True)
class Summary:
    """What a good trace held, so that a run that exercised nothing is seen.

    Attributes:
        lines: Lines read, the configuration included.
        events: How often each event occurred; sends and receives by message kind, as "send append".
        leaders: How many leaders were elected.
        committed: Highest committed position, in bytes.
    """

    lines: int = 0
    events: Counter[str] = field(default_factory=Counter)
    leaders: int = 0
    committed: int = 0


class _Checker:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen: Counter[str] = Counter()

    def step(self, event: Event) -> None:
        cluster = self.cluster
        if event["t"] < cluster.now:
            cluster.malformed("time goes back", before=cluster.now, after=event["t"])
        cluster.now = event["t"]
        name = event["ev"]
        if name in _NOTES:
            self.seen[name] += 1
            return
        number = event["node"]
        node = cluster.nodes.get(number)
        if node is None:
            node = cluster.nodes[number] = Node(number)
        if not node.up and name not in ("start", "crash"):
            cluster.malformed(f"node {node.id} acts while it is down", node)
        if node.role == "halted" and name not in ("start", "crash", "receive"):
            if name in ("append", "cut") and cluster.now == node.halted_at:
                return  # The halting step did this in memory, for nobody to see; it is lost with the rest.
            cluster.fail(Rule.HALTED_IS_SILENT, f"node {node.id} has halted and goes on with {name}", node)
        if name == "send":
            self._send(node, event["to"], event["m"])
        elif name == "receive":
            self._receive(node, event["from"], event["m"])
        else:
            handle = _EVENTS.get(name)
            if handle is None:
                cluster.malformed(f"unknown event {name!r}")
            handle(cluster, node, event)
            self.seen[name] += 1
        node.last_event = name

    def _send(self, node: Node, to: int, m: Message) -> None:
        kind, term = m["kind"], m["term"]
        handle = _SENDS.get(kind)
        if handle is None:
            self.cluster.malformed(f"unknown message kind {kind!r}")
        if not _term_in_order(node, kind, term):
            self.cluster.fail(
                Rule.MESSAGE_TERM, f"node {node.id} sends {kind} of term {term} in term {node.term}", node
            )
        handle(self.cluster, node, to, m)
        self.cluster.remember_sent(node.id, to, m)
        self.seen["send " + kind] += 1

    def _receive(self, node: Node, source: int, m: Message) -> None:
        kind, term = m["kind"], m["term"]
        handle = _RECEIVES.get(kind)
        if handle is None:
            self.cluster.malformed(f"unknown message kind {kind!r}")
        if not self.cluster.was_sent(source, node.id, m):
            self.cluster.fail(
                Rule.RECEIVED_WAS_SENT,
                f"node {node.id} receives from node {source} what that never sent to it",
                node,
            )
        # A refused pre-vote tells of a term that its sender has reached; any other only of a wish.
        wish = kind == "pre_vote_request" or (
            kind == "pre_vote_response" and (m["granted"] or term > self.cluster.nodes[source].term)
        )
        if wish:
            node.pre_vote_terms.add(term)
        elif kind != "status_request" or node.role != "leader":  # A question moves all but those who lead.
            node.heard_terms.add(term)
        handle(node, source, m)
        self.seen["receive " + kind] += 1


def check_lines(lines: Iterable[str], ignored: frozenset[Rule] = frozenset()) -> Summary:
    """Check a whole trace.

    Args:
        lines: JSON Lines, the configuration first; blank lines are passed over.
        ignored: Rules to pass over. What is found after an ignored violation may be its consequence.

    Returns:
        What the trace held.

    Raises:
        Violation: The first broken rule, or a trace that cannot be read.
    """
    checker: _Checker | None = None
    number = 0
    for line in lines:
        number += 1
        if line.isspace():
            continue
        try:
            if checker is None:
                checker = _Checker(Cluster(parse_config(line), ignored))
                continue
            checker.cluster.line = number
            checker.step(parse_event(line))
        except Violation as violation:
            violation.event = line.strip()
            raise
        except (KeyError, TypeError, ValueError, IndexError) as error:
            sentence = f"the line does not have the form of its event: {type(error).__name__}: {error}"
            raise Violation(Rule.TRACE_FORM, number, sentence, {}, line.strip()) from error
    if checker is None:
        raise Violation(Rule.TRACE_FORM, number, "the trace is empty", {})
    cluster = checker.cluster
    return Summary(number, checker.seen, len(cluster.leaders), cluster.committed.end)


def check_path(path: Path, ignored: frozenset[Rule] = frozenset()) -> Summary:
    """Check a trace file; `-` is standard input. As `check_lines`.

    Raises:
        OSError: The file cannot be read.
    """
    return check_lines(read_lines(path), ignored)
