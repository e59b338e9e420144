"""The model of one node: what the paper says its state must be, rebuilt from the trace alone."""

from dataclasses import dataclass, field

from raft_checker.log import NOTHING, End, TermTable, new_starts
from raft_checker.trace import Message


@dataclass(slots=True)
class Inquiry:
    """A question about their status that a node has put to others, and what came back.

    Attributes:
        term: The term it was asked in; an answer of an older term does not count.
        answers: The highest durable end that each voter answered.
        damaged: An answer told of a damaged log.
    """

    term: int
    answers: dict[int, End] = field(default_factory=dict)
    damaged: bool = False


@dataclass(slots=True)
class Node:
    """One node. The first group of fields survives a crash, the second starts anew with each restart."""

    id: int
    term: int = 0
    vote: int | None = None
    claim: End = NOTHING
    log: TermTable = field(default_factory=TermTable)
    durable: int = 0
    """Own report: the log is durable below this position."""
    promised: End = NOTHING
    """The highest log end others may have relied on, by a sent append_accepted or by a leader's own count."""
    uncut: list[TermTable] = field(default_factory=list)
    """The log before each cut that no `durable` has followed: a crash may bring these bytes back."""
    campaigns: set[int] = field(default_factory=set)
    damaged: bool = False
    """The node has said that its log is damaged, and its claim is not gone since."""
    started: bool = False

    up: bool = False
    commit: int = 0
    known_commit: int = 0
    """The highest commit position of any of its lives."""
    role: str = "follower"
    role_term: int = 0
    halted_at: int = -1
    """When the node halted (ns), or -1."""
    last_event: str = ""
    saved_at: int = -1
    """When term, vote and claim were saved last (ns), and what they were before that: `saved_before`."""
    saved_before: tuple[int, int | None, End] = (0, None, NOTHING)
    heard_terms: set[int] = field(default_factory=set)
    """Terms of messages received that may raise the own term."""
    pre_vote_terms: set[int] = field(default_factory=set)
    """Terms of pre-vote messages received, which may not."""
    pre_votes: set[int] = field(default_factory=set)
    votes: dict[int, set[int]] = field(default_factory=dict)
    """Granted votes received, by term."""
    vote_requests: dict[tuple[int, int], End] = field(default_factory=dict)
    """The highest log end claimed to this node, by (candidate, term)."""
    pre_vote_requests: dict[int, End] = field(default_factory=dict)
    """The log end claimed last, by asker."""
    transfer_terms: set[int] = field(default_factory=set)
    """Terms of the TimeoutNow messages received."""
    appends: list[Message] = field(default_factory=list)
    """Append messages received of `appends_term`, the highest term seen in one."""
    appends_term: int = -1
    told_commit: int = 0
    matched: int = 0
    """The log is known to match the log of the leader of `appends_term` up to here."""
    accepted: dict[int, int] = field(default_factory=dict)
    """As leader: what each follower reported both matched and durable in this term."""
    frame_start: int = -1
    """As leader: where the own new-term frame starts; -1 before it is created."""
    inquiries: dict[int, Inquiry] = field(default_factory=dict)
    """The own questions, by nonce."""
    questions: dict[tuple[int, int], int] = field(default_factory=dict)
    """The term of the status request received last, by (asker, nonce)."""
    lowered_by_answers: bool = False
    """The claim was lowered because of answers, not because the durable log had reached it."""
    transfer_since: int = -1
    """As leader: since when a transfer may be under way (ns), or -1."""
    appended_at: int = -1
    """As leader: when it was elected or last appended (ns)."""

    def is_leader(self) -> bool:
        """Whether the node leads its current term."""
        return self.role == "leader" and self.role_term == self.term

    def halt(self, now: int) -> None:
        """The node has found itself unfit. Where it halted instead of saving, what it had is saved or is not."""
        self.halted_at = now
        if self.last_event == "hard_state" and self.saved_at == now:
            self.term, self.vote, claim = self.saved_before
            self.claim = min(self.claim, claim)

    def durable_last(self) -> End:
        """The end of the durable part of the log."""
        return self.log.end_at(self.durable)

    def restart(self) -> None:
        """Forget all that lives in memory only."""
        self.up, self.started = True, True
        self.role, self.role_term = "follower", self.term
        self.uncut.clear()
        self.heard_terms.clear()
        self.pre_vote_terms.clear()
        self.pre_votes.clear()
        self.votes.clear()
        self.vote_requests.clear()
        self.pre_vote_requests.clear()
        self.transfer_terms.clear()
        self.hear_leader(-1)
        self.accepted.clear()
        self.inquiries.clear()
        self.questions.clear()
        self.lowered_by_answers = False
        self.frame_start, self.transfer_since, self.halted_at = -1, -1, -1

    def hear_leader(self, term: int) -> None:
        """Forget what earlier leaders said; from now on the leader of `term` speaks."""
        self.appends = []
        self.appends_term, self.told_commit, self.matched = term, 0, 0

    def conflict(self, m: Message) -> int | None:
        """The first position where this log and the message's range differ in term; None where they agree.

        The message's previous end must match.
        """
        start, stop = m["from"], min(m["to"], self.log.end)
        if stop <= start:
            return None
        mine = self.log.starts_inside(start, stop)
        if not mine and not m["terms"]:
            return None
        theirs = [pair for pair in new_starts(m["terms"], start, m["previous"][0]) if pair[1] < stop]
        for index in range(max(len(mine), len(theirs))):
            if index >= len(mine):
                return theirs[index][1]
            if index >= len(theirs):
                return mine[index][1]
            if mine[index] != theirs[index]:
                return min(mine[index][1], theirs[index][1])
        return None

    def match_extent(self, m: Message) -> int:
        """How far the message shows this log to match the leader's; 0 where its previous end does not."""
        if not self.log.holds(m["previous"]):
            return 0
        conflict = self.conflict(m)
        # A heartbeat past the log's end cannot occur here: `previous` matched, so `from` lies within the log.
        return min(m["to"], self.log.end) if conflict is None else conflict

    def learn_match(self, wanted: int) -> int:
        """Bring `matched` up to `wanted` if messages show it, the newest first."""
        for m in reversed(self.appends):
            if self.matched >= wanted:
                break
            self.matched = max(self.matched, self.match_extent(m))
        return self.matched

    def describe(self) -> str:
        """One line for a report."""
        vote = "none" if self.vote is None else self.vote
        state = "up" if self.up else "down"
        return (
            f"node {self.id} ({state}): term {self.term}, vote {vote}, {self.role} of term {self.role_term}, "
            f"log end {self.log.last()}, durable {self.durable}, commit {self.commit}, "
            f"claim {self.claim if self.claim != NOTHING else 'none'}, terms {self.log.entries()[-6:]}"
        )
