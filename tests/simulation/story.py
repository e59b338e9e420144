"""Writes traces by hand: one short call for each line, or for the few lines that always come together."""

import json
from collections.abc import Iterable, Sequence

Pair = Sequence[int]
Line = dict[str, object]


class Story:
    """A trace under construction. Names that Python reserves take an underscore: `from_`.

    Attributes:
        lines: The events so far, the configuration first.
        now: Time of the next line in ns; each line takes 1.
    """

    def __init__(self, voters: Sequence[int] = (1, 2, 3), **config: object) -> None:
        head: Line = {"ev": "config", "seed": 0, "voters": list(voters), "durability": "fsync"}
        self.lines: list[Line] = [head | config]
        self.now = 0

    def add(self, node: int, ev: str, **fields: object) -> "Story":
        """Write one line."""
        self.now += 1
        line: Line = {"t": self.now, "node": node, "ev": ev}
        self.lines.append(line | {name.rstrip("_"): value for name, value in fields.items()})
        return self

    def at_once(self) -> "Story":
        """The next line is of the same time as the last one, as part of one step."""
        self.now -= 1
        return self

    def text(self) -> list[str]:
        """The trace as JSON lines."""
        return [json.dumps(line) for line in self.lines]

    def start(
        self, node: int, term: int = 0, vote: int | None = None, claim: Pair | None = None,
        terms: Sequence[Pair] = (), end: int = 0,
    ) -> "Story":  # fmt: skip
        """A node starts."""
        return self.add(node, "start", term=term, vote=vote, claim=claim, terms=list(terms), end=end)

    def restart(
        self, node: int, term: int = 0, vote: int | None = None, claim: Pair | None = None,
        terms: Sequence[Pair] = (), end: int = 0,
    ) -> "Story":  # fmt: skip
        """A node crashes and starts."""
        return self.add(node, "crash").start(node, term, vote, claim, terms, end)

    def hard(self, node: int, term: int, vote: int | None = None, claim: Pair | None = None) -> "Story":
        """Term, vote and claim are saved."""
        return self.add(node, "hard_state", term=term, vote=vote, claim=claim)

    def role(self, node: int, role: str, term: int) -> "Story":
        """A node takes a role."""
        return self.add(node, "role", role=role, term=term)

    def grow(
        self, node: int, start: int, to: int, terms: Sequence[Pair] = (), durable: bool = True
    ) -> "Story":
        """A log grows and, unless told otherwise, is durable."""
        self.add(node, "append", from_=start, to=to, terms=list(terms))
        return self.add(node, "durable", to=to) if durable else self

    def send(self, source: int, target: int, kind: str, term: int, **fields: object) -> "Story":
        """A message is sent and, so far, lost."""
        m = {"kind": kind, "term": term} | {name.rstrip("_"): value for name, value in fields.items()}
        return self.add(source, "send", to=target, m=m)

    def deliver(self) -> "Story":
        """The message of the last line arrives."""
        sent = self.lines[-1]
        target = sent["to"]
        assert isinstance(target, int), f"the last line sends nothing: {sent}"
        return self.add(target, "receive", from_=sent["node"], m=sent["m"])

    def pass_(self, source: int, target: int, kind: str, term: int, **fields: object) -> "Story":
        """A message is sent and arrives."""
        return self.send(source, target, kind, term, **fields).deliver()

    def pre_vote(self, node: int, voters: Iterable[int], term: int, last: Pair) -> "Story":
        """A node asks for pre-votes in its term and gets them."""
        self.role(node, "pre_candidate", term)
        for voter in voters:
            self.pass_(node, voter, "pre_vote_request", term + 1, last=last)
            self.pass_(voter, node, "pre_vote_response", term + 1, granted=True)
        return self

    def campaign(self, node: int, term: int) -> "Story":
        """A node saves its own vote and becomes candidate."""
        return self.hard(node, term, node).role(node, "candidate", term)

    def ask(self, node: int, voter: int, term: int, last: Pair, transfer: bool = False) -> "Story":
        """A candidate asks a voter."""
        return self.pass_(node, voter, "vote_request", term, last=last, transfer=transfer)

    def vote(self, node: int, voter: int, term: int, last: Pair, transfer: bool = False) -> "Story":
        """A candidate asks a voter, which grants its vote."""
        self.ask(node, voter, term, last, transfer).hard(voter, term, node)
        return self.pass_(voter, node, "vote_response", term, granted=True)

    def elect(self, node: int, voters: Sequence[int], term: int, last: Pair) -> "Story":
        """A node wins the election of a term."""
        self.pre_vote(node, voters, term - 1, last).campaign(node, term)
        for voter in voters:
            self.vote(node, voter, term, last)
        return self.role(node, "leader", term)

    def append(
        self, source: int, target: int, term: int, previous: Pair, to: int, terms: Sequence[Pair] = (),
        commit: int = 0,
    ) -> "Story":  # fmt: skip
        """An append message arrives; where it equals `to`, it is a heartbeat."""
        return self.pass_(
            source, target, "append", term, previous=previous, commit=commit, round=0, from_=previous[1],
            to=to, terms=list(terms),
        )  # fmt: skip

    def answer(
        self, source: int, target: int, nonce: int, last: Pair, term: int, health: str = "clean"
    ) -> "Story":
        """A node tells another how it stands; this is sent and, so far, lost."""
        return self.send(source, target, "status_response", term, nonce=nonce, health=health, last=last)

    def status(
        self, node: int, other: int, nonce: int, last: Pair, term: int = 2, health: str = "clean",
        claim: Pair | None = None,
    ) -> "Story":  # fmt: skip
        """A node asks another how it stands; that goes to the question's term, keeps its claim, and answers."""
        self.pass_(node, other, "status_request", term, nonce=nonce).hard(other, term, None, claim)
        return self.answer(other, node, nonce, last, term, health).deliver()

    def accepted(self, source: int, target: int, term: int, matched: int, durable: int) -> "Story":
        """An append_accepted arrives."""
        return self.pass_(source, target, "append_accepted", term, matched=matched, durable=durable, round=0)


def cluster(voters: Sequence[int] = (1, 2, 3), **config: object) -> Story:
    """All voters have started with nothing."""
    story = Story(voters, **config)
    for voter in voters:
        story.start(voter)
    return story


def led(election_timeout_ns: int | None = None) -> Story:
    """Node 1 leads term 1 by the votes of 1 and 2, and has created the bytes [0, 100), durable at itself."""
    return cluster(election_timeout_ns=election_timeout_ns).elect(1, [2], 1, (0, 0)).grow(1, 0, 100, [(1, 0)])


def replicated(election_timeout_ns: int | None = None) -> Story:
    """As `led`; node 2 has all 100 bytes and has said so, and nothing is committed yet."""
    story = led(election_timeout_ns).append(1, 2, 1, (0, 0), 100, [(1, 0)]).grow(2, 0, 100, [(1, 0)])
    return story.accepted(2, 1, 1, 100, 100)


def committed() -> Story:
    """As `replicated`; the leader has committed all, node 2 knows, node 3 has heard nothing."""
    story = replicated().add(1, "commit", to=100)
    return story.append(1, 2, 1, (1, 100), 100, commit=100).add(2, "commit", to=100)


def forked() -> Story:
    """As `committed`; then node 1 has 50 bytes more of term 1, and node 2 leads term 2 with 30 of its own.

    Node 1 is a follower of term 2 and has received node 2's bytes, but has not acted on them.
    """
    story = committed().grow(1, 100, 150).elect(2, [3], 2, (1, 100)).grow(2, 100, 130, [(2, 100)])
    story.append(2, 1, 2, (1, 100), 130, [(2, 100)])
    return story.hard(1, 2).role(1, "follower", 2)


def claiming_more() -> Story:
    """As `replicated`; node 2 is back with half of the bytes and claims more than anyone holds; nobody leads."""
    story = replicated().role(1, "follower", 1)
    return story.restart(2, 1, 1, claim=(1, 200), terms=[(1, 0)], end=50)


def informed() -> Story:
    """As `claiming_more`; all others have answered node 2, in term 2: node 1 with 100 bytes, node 3 with none."""
    return claiming_more().status(2, 1, 7, (1, 100)).status(2, 3, 7, (0, 0)).hard(2, 2, None, (1, 200))


def caught_up(story: Story, to: int, claim: Pair) -> Story:
    """Node 1 is elected in term 3, after `informed`; node 2, at 50 bytes, takes its log up to `to`."""
    story.elect(1, [3], 3, (1, 100)).grow(1, 100, 130, [(3, 100)])
    terms = [(3, 100)] if to > 100 else []
    return story.append(1, 2, 3, (1, 50), to, terms).hard(2, 3, None, claim).grow(2, 50, to, terms)


def told_by_newer(previous: Pair = (1, 100)) -> Story:
    """Node 1 of term 1 has heard of a commit from node 2, leader of term 2, whose term it has not yet saved."""
    story = committed().elect(2, [3], 2, (1, 100)).grow(2, 100, 130, [(2, 100)])
    terms = [(2, 100)] if previous == (1, 100) else []
    return story.restart(1, 1, 1, terms=[(1, 0)], end=100).append(2, 1, 2, previous, 130, terms, commit=100)
