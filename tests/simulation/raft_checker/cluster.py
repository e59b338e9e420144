"""What is known of all nodes together: who led which term, where its bytes began, what is committed."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NoReturn

from raft_checker.log import TermTable
from raft_checker.node import Node
from raft_checker.rule import Rule
from raft_checker.trace import Config, Message
from raft_checker.violation import Violation


@dataclass(slots=True)
class Origin:
    """Where the bytes of a term come from: created from `start` on, after `previous_term`, to `end` so far.

    `leader` is None for bytes that a node held at its first start in the trace.
    """

    leader: int | None
    start: int
    previous_term: int
    end: int


@dataclass(slots=True)
class Cluster:
    """The model of the whole run.

    Attributes:
        ignored: Rules whose violations are passed over, to see what follows from them.
        line: Number of the line being checked.
        now: Its time in ns.
        leaders: The leader of each term.
        leader_logs: The log of each leader when it was elected.
        committed: The longest committed log seen at any node.
        committed_in: Highest position committed by the leader of each term.
        sent: Text of all messages sent, by (sender, receiver).
        sent_appends: The append messages among them, by (sender, receiver, term, from).
    """

    config: Config
    ignored: frozenset[Rule] = frozenset()
    line: int = 1
    now: int = 0
    nodes: dict[int, Node] = field(default_factory=dict)
    origins: dict[int, Origin] = field(default_factory=dict)
    leaders: dict[int, int] = field(default_factory=dict)
    leader_logs: dict[int, TermTable] = field(default_factory=dict)
    committed: TermTable = field(default_factory=TermTable)
    committed_in: dict[int, int] = field(default_factory=dict)
    sent: defaultdict[tuple[int, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    sent_appends: defaultdict[tuple[int, int, int, int], list[Message]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def remember_sent(self, source: int, target: int, m: Message) -> None:
        """A message is under way; the network may lose, double, delay or damage it."""
        self.sent[source, target].add(repr(m))
        if m["kind"] == "append":
            self.sent_appends[source, target, m["term"], m["from"]].append(m)

    def was_sent(self, source: int, target: int, m: Message) -> bool:
        """Whether the message was sent, or its header with more bytes, of which only a beginning verified."""
        if repr(m) in self.sent[source, target]:
            return True
        return m["kind"] == "append" and any(
            m["from"] <= m["to"] <= whole["to"]
            and m == whole | {"to": m["to"], "terms": [pair for pair in whole["terms"] if pair[1] < m["to"]]}
            for whole in self.sent_appends[source, target, m["term"], m["from"]]
        )

    def fail(self, rule: Rule, sentence: str, *nodes: Node, **facts: object) -> None:
        """Report a broken rule, unless it is ignored.

        Raises:
            Violation: The rule is not ignored.
        """
        if rule not in self.ignored:
            raise Violation(rule, self.line, sentence, facts, states=tuple(node.describe() for node in nodes))

    def malformed(self, sentence: str, *nodes: Node, **facts: object) -> NoReturn:
        """Report a trace that cannot be followed any further, which no setting can pass over."""
        raise Violation(
            Rule.TRACE_FORM, self.line, sentence, facts, states=tuple(node.describe() for node in nodes)
        )

    def check_lineage(self, node: Node, table: list[tuple[int, int]], term_before: int, to: int) -> None:
        """Check bytes that appear in a log against where each term's bytes came from.

        Args:
            table: Term starts inside the new range.
            term_before: Term of the byte just before the range.
            to: End of the range.
        """
        previous = term_before
        for term, start in table:
            origin = self.origins.get(term)
            if origin is None:
                self.fail(
                    Rule.ONLY_LEADER_CREATES,
                    f"node {node.id} has bytes of term {term}, which no leader created",
                    node,
                    term=term,
                    start=start,
                )
                return
            if origin.start != start or origin.previous_term != previous:
                self.fail(
                    Rule.LOG_MATCHING,
                    f"node {node.id} has term {term} at another place than its leader",
                    node,
                    start=start,
                    after_term=previous,
                    leader=origin.leader,
                    leader_start=origin.start,
                    leader_after_term=origin.previous_term,
                )
                return
            previous = term
        origin = self.origins.get(previous)
        if origin is not None and to > origin.end:
            self.fail(
                Rule.ONLY_LEADER_CREATES,
                f"node {node.id} has bytes of term {previous} that its leader never created",
                node,
                to=to,
                leader=origin.leader,
                created_to=origin.end,
            )

    def adopt_lineage(self, node: Node) -> None:
        """Take a node's first log as given: register terms that nothing before explains, check the others."""
        entries = node.log.entries()
        previous = 0
        for index, (term, start) in enumerate(entries):
            stop = entries[index + 1][1] if index + 1 < len(entries) else node.log.end
            origin = self.origins.setdefault(term, Origin(None, start, previous, stop))
            if origin.leader is None:
                origin.end = max(origin.end, stop)
            previous = term
        self.check_lineage(node, entries, 0, node.log.end)
