"""A small, slow Raft that runs against a rough network and writes a trace: food for the checker's own tests.

It follows figure 2 with frames of FRAME_BYTES each, and can be given one of BUGS, which the checker must
find. It shares nothing with the checker but the form of the trace, and nothing at all with the project's
core.

1. At each step chance picks: deliver, lose or double a message, a time-out, new frames, a heartbeat, a sync,
a crash. 2. A node handles what comes as the paper says; `durable` follows `append` only at the next sync.
3. A crash takes frames that no sync has covered; term and vote stay.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

FRAME_BYTES = 16
BUGS = (
    "acknowledge before durable",
    "commit an old term by count",
    "commit past what matched",
    "count itself before durable",
    "cut without conflict",
    "forget the vote in a crash",
    "lead without a majority",
    "lose durable frames in a crash",
    "skip the prefix check",
    "vote without looking at the log",
)

Fields = dict[str, Any]


@dataclass
class Member:
    """One node. A log is the list of its frames' terms; lengths count frames."""

    id: int
    term: int = 0
    vote: int | None = None
    log: list[int] = field(default_factory=list)
    durable: int = 0
    up: bool = True
    role: str = "follower"
    commit: int = 0
    granted: set[int] = field(default_factory=set)
    next: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    matched: int = 0

    def end(self, frames: int) -> list[int]:
        """The log end after so many frames, as [term, position]."""
        return [self.log[frames - 1], frames * FRAME_BYTES] if frames else [0, 0]

    def starts(self, first: int, stop: int) -> list[list[int]]:
        """Term starts among the frames [first, stop)."""
        return [
            [self.log[at], at * FRAME_BYTES]
            for at in range(first, stop)
            if at == 0 or self.log[at] != self.log[at - 1]
        ]


class SmallRaft:
    """A run from one seed; `lines` is its trace."""

    def __init__(
        self, seed: int, steps: int, members: int = 3, bug: str | None = None, rough: float = 0.1
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a seed must give one run
        self.bug, self.rough, self.now = bug, rough, 0
        self.members = {number: Member(number) for number in range(1, members + 1)}
        self.network: list[tuple[int, int, Fields]] = []
        voters = list(self.members)
        self.lines = [json.dumps({"ev": "config", "seed": seed, "voters": voters, "durability": "fsync"})]
        for member in self.members.values():
            self.write(member, "start", term=0, vote=None, claim=None, terms=[], end=0)
        for _ in range(steps):
            self.step()

    @property
    def majority(self) -> int:
        """How many make a majority."""
        return len(self.members) // 2 + 1

    def write(self, member: Member, ev: str, **fields: object) -> None:
        """Write one line."""
        self.now += 1
        line = {"t": self.now, "node": member.id, "ev": ev}
        self.lines.append(json.dumps(line | {name.rstrip("_"): value for name, value in fields.items()}))

    def send(self, member: Member, target: int, kind: str, term: int, **fields: object) -> None:
        """Send one message."""
        m = {"kind": kind, "term": term} | {name.rstrip("_"): value for name, value in fields.items()}
        self.write(member, "send", to=target, m=m)
        self.network.append((member.id, target, m))

    def peers(self, member: Member) -> list[int]:
        """All others."""
        return [other for other in self.members if other != member.id]

    def save(self, member: Member, term: int, vote: int | None) -> None:
        """Save term and vote."""
        if (term, vote) != (member.term, member.vote):
            member.term, member.vote = term, vote
            self.write(member, "hard_state", term=term, vote=vote, claim=None)

    def take_role(self, member: Member, role: str) -> None:
        """Change the role."""
        if (member.role, role) != ("follower", "follower"):
            self.write(member, "role", role=role, term=member.term)
        member.role = role
        member.granted = {member.id}

    def adopt(self, member: Member, term: int) -> None:
        """Go to a higher term."""
        self.save(member, term, None)
        member.matched = 0
        self.take_role(member, "follower")

    def step(self) -> None:
        """Let one thing happen."""
        chance, rough = self.random.random(), self.rough
        member = self.random.choice(list(self.members.values()))
        if self.network and chance < 0.75:
            at = self.random.randrange(len(self.network)) if self.random.random() < rough else 0
            source, to, m = self.network[at]
            if self.random.random() >= rough / 4:
                del self.network[at]
            if self.random.random() >= rough and self.members[to].up:
                self.write(self.members[to], "receive", from_=source, m=m)
                self.handle(self.members[to], source, m)
        elif not member.up:
            self.restart(member)
        elif chance > 1 - rough / 40:
            self.crash(member)
        elif chance > 0.97 and member.role != "leader":
            self.time_out(member)
        elif member.role == "leader" and chance < 0.9:
            if self.random.random() < 0.5:
                self.create(member, self.random.randint(1, 4))
            for peer in self.peers(member):
                self.replicate(member, peer)
        else:
            self.sync(member)

    def sync(self, member: Member) -> None:
        """Make the log durable."""
        if member.durable < len(member.log):
            member.durable = len(member.log)
            self.write(member, "durable", to=member.durable * FRAME_BYTES)
            if member.role == "leader":
                self.advance(member)

    def crash(self, member: Member) -> None:
        """Lose what lives in memory."""
        self.write(member, "crash")
        keep = self.random.randint(member.durable, len(member.log))
        if self.bug == "lose durable frames in a crash":
            keep = max(0, member.durable - 2)
        member.log, member.durable = member.log[:keep], keep
        member.up, member.role, member.commit, member.matched = False, "follower", 0, 0
        if self.bug == "forget the vote in a crash":
            member.vote = None

    def restart(self, member: Member) -> None:
        """Come back."""
        member.up = True
        self.write(
            member, "start", term=member.term, vote=member.vote, claim=None,
            terms=member.starts(0, len(member.log)), end=len(member.log) * FRAME_BYTES,
        )  # fmt: skip

    def time_out(self, member: Member) -> None:
        """Ask for pre-votes."""
        self.take_role(member, "pre_candidate")
        for peer in self.peers(member):
            self.send(member, peer, "pre_vote_request", member.term + 1, last=member.end(member.durable))

    def campaign(self, member: Member) -> None:
        """Ask for votes."""
        self.save(member, member.term + 1, member.id)
        member.matched = 0
        self.take_role(member, "candidate")
        for peer in self.peers(member):
            last = member.end(member.durable)
            self.send(member, peer, "vote_request", member.term, last=last, transfer=False)
        if self.bug == "lead without a majority":
            self.lead(member)

    def lead(self, member: Member) -> None:
        """Create the new-term frame and begin to replicate."""
        self.take_role(member, "leader")
        member.next = dict.fromkeys(self.peers(member), len(member.log))
        member.held = dict.fromkeys(self.peers(member), 0)
        self.create(member, 1)

    def create(self, member: Member, frames: int) -> None:
        """Append own frames."""
        self.extend(member, [member.term] * frames)

    def extend(self, member: Member, terms: list[int]) -> None:
        """Append frames in memory."""
        first = len(member.log)
        member.log += terms
        start, stop = first * FRAME_BYTES, len(member.log) * FRAME_BYTES
        self.write(member, "append", from_=start, to=stop, terms=member.starts(first, len(member.log)))

    def replicate(self, member: Member, peer: int) -> None:
        """Send what the peer may lack, up to eight frames."""
        first = member.next[peer]
        stop = min(len(member.log), first + 8)
        self.send(
            member, peer, "append", member.term, previous=member.end(first), commit=member.commit *
            FRAME_BYTES, round=self.now, from_=first * FRAME_BYTES, to=stop * FRAME_BYTES,
        terms=member.starts(first, stop), )  # fmt: skip

    def advance(self, member: Member) -> None:
        """Commit what a majority holds, if it is of the own term."""
        own = len(member.log) if self.bug == "count itself before durable" else member.durable
        held = sorted([*member.held.values(), own], reverse=True)[self.majority - 1]
        old = self.bug == "commit an old term by count"
        if held > member.commit and (old or member.log[held - 1] == member.term):
            self.commit(member, held)

    def commit(self, member: Member, frames: int) -> None:
        """Regard frames as committed."""
        if frames > member.commit:
            member.commit = frames
            self.write(member, "commit", to=frames * FRAME_BYTES)

    def handle(self, member: Member, source: int, m: Fields) -> None:
        """Handle one message."""
        kind, term = m["kind"], m["term"]
        wish = kind == "pre_vote_request" or (kind == "pre_vote_response" and m["granted"])
        if term > member.term and not wish:
            self.adopt(member, term)
        up_to_date = "last" in m and m["last"] >= member.end(member.durable)
        match kind:
            case "pre_vote_request":
                granted = term > member.term and up_to_date
                answer = term if granted else member.term
                self.send(member, source, "pre_vote_response", answer, granted=granted)
            case "pre_vote_response":
                if m["granted"] and member.role == "pre_candidate" and term == member.term + 1:
                    member.granted.add(source)
                    if len(member.granted) == self.majority:
                        self.campaign(member)
            case "vote_request":
                free = member.vote in (None, source)
                careless = self.bug == "vote without looking at the log"
                granted = term == member.term and free and (up_to_date or careless)
                if granted:
                    self.save(member, term, source)
                self.send(member, source, "vote_response", member.term, granted=granted)
            case "vote_response":
                if m["granted"] and (member.role, member.term) == ("candidate", term):
                    member.granted.add(source)
                    if len(member.granted) == self.majority:
                        self.lead(member)
            case "append":
                if term == member.term:
                    self.take(member, source, m)
            case _:
                if (member.role, member.term) == ("leader", term):
                    self.hear(member, source, m)

    def hear(self, member: Member, source: int, m: Fields) -> None:
        """A leader hears how a follower stands."""
        if m["kind"] == "append_rejected":
            member.next[source] = min(m["end"] // FRAME_BYTES, max(0, member.next[source] - 3))
            return
        member.next[source] = max(member.next[source], m["matched"] // FRAME_BYTES)
        member.held[source] = max(member.held[source], min(m["matched"], m["durable"]) // FRAME_BYTES)
        self.advance(member)

    def take(self, member: Member, source: int, m: Fields) -> None:
        """A follower takes what an append message carries."""
        if member.role != "follower":
            self.take_role(member, "follower")
        first, stop, (before, _) = m["from"] // FRAME_BYTES, m["to"] // FRAME_BYTES, m["previous"]
        holds = first <= len(member.log) and member.end(first) == m["previous"]
        if not holds and not (self.bug == "skip the prefix check" and first <= len(member.log)):
            self.send(
                member, source, "append_rejected", member.term, previous=m["previous"], round=m["round"],
                end=len(member.log) * FRAME_BYTES, terms=member.starts(0, len(member.log)),
            )  # fmt: skip
            return
        news = [before] * (stop - first)
        for term, start in m["terms"]:
            at = start // FRAME_BYTES - first
            news[at:] = [term] * (len(news) - at)
        have = 0
        while have < len(news) and first + have < len(member.log) and member.log[first + have] == news[have]:
            have += 1
        conflict = have < len(news) and first + have < len(member.log)
        if conflict or (self.bug == "cut without conflict" and stop < len(member.log)):
            del member.log[first + have :]
            member.durable = min(member.durable, first + have)
            self.write(member, "cut", to=(first + have) * FRAME_BYTES)
        if have < len(news):
            self.extend(member, news[have:])
        if self.random.random() < 0.5:
            self.sync(member)
        member.matched = max(member.matched, stop)
        careless = self.bug == "commit past what matched"
        self.commit(member, min(m["commit"] // FRAME_BYTES, len(member.log) if careless else member.matched))
        durable = len(member.log) if self.bug == "acknowledge before durable" else member.durable
        self.send(
            member, source, "append_accepted", member.term, matched=member.matched * FRAME_BYTES,
            durable=durable * FRAME_BYTES, round=m["round"],
        )  # fmt: skip
