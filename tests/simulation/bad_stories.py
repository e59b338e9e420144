"""Beginnings of bad traces: good stories that stop just before something goes wrong."""

from dataclasses import dataclass

from raft_checker import Rule
from story import Pair, Story, cluster, committed, led, replicated

NOTHING: Pair = (0, 0)


@dataclass(frozen=True)
class Bad:
    """A bad trace.

    Attributes:
        rule: The rule that the last line breaks; no line before it breaks any that is not ignored.
        what: What is wrong, for the name of the test.
        story: The trace.
        ignored: Rules passed over. What the other rules imply, as the paper proves, can be seen to fail only
            when one that implies it is out of the way.
    """

    rule: Rule
    what: str
    story: Story
    ignored: frozenset[Rule] = frozenset()


def campaigning() -> Story:
    """Node 1 is candidate of term 1 and has asked node 2, which has taken over the term."""
    return cluster().pre_vote(1, [2], 0, NOTHING).campaign(1, 1).ask(1, 2, 1, NOTHING).hard(2, 1)


def told_to_campaign(story: Story, claim: Pair | None = None) -> Story:
    """Leader 1 tells node 3, which has nothing, to campaign; node 2, asked, has saved its vote for it."""
    story.append(1, 3, 1, (1, 100), 100).hard(3, 1).pass_(1, 3, "timeout_now", 1, end=100)
    return story.campaign(3, 2).ask(3, 2, 2, NOTHING, transfer=True).hard(2, 2, 3, claim)


def claiming() -> Story:
    """Node 2 is back without the bytes that it had reported, and claims them."""
    return replicated().restart(2, 1, 1, claim=(1, 100))


def unsynced() -> Story:
    """Node 2 has the leader's bytes in memory only."""
    return led().append(1, 2, 1, NOTHING, 100, [(1, 0)]).grow(2, 0, 100, [(1, 0)], durable=False)


def elected_behind() -> Story:
    """Node 3, with nothing, has the vote of node 2, which knows what is committed."""
    return told_to_campaign(committed()).pass_(2, 3, "vote_response", 2, granted=True)


def rewritten() -> Story:
    """As `elected_behind`; node 3 leads and replaces the committed bytes at node 2 after its restart."""
    story = elected_behind().role(3, "leader", 2).grow(3, 0, 50, [(2, 0)])
    story.restart(2, 2, 3, terms=[(1, 0)], end=100).append(3, 2, 2, NOTHING, 50, [(2, 0)]).add(2, "cut", to=0)
    return story.grow(2, 0, 50, [(2, 0)]).accepted(2, 3, 2, 50, 50)


def overtaken() -> Story:
    """Node 3 was elected with nothing; only now does leader 1 hear that a majority has its bytes."""
    story = led().append(1, 2, 1, NOTHING, 100, [(1, 0)]).grow(2, 0, 100, [(1, 0)])
    story.send(2, 1, "append_accepted", 1, matched=100, durable=100, round=0)
    late = story.lines[-1]["m"]
    told_to_campaign(story).pass_(2, 3, "vote_response", 2, granted=True).role(3, "leader", 2)
    return story.add(1, "receive", from_=2, m=late)


def two_candidates() -> Story:
    """Nodes 1 and 3 campaign in the same term; node 1 was elected, and node 2 votes for node 3 too."""
    story = cluster().pre_vote(1, [2], 0, NOTHING).pre_vote(3, [2], 0, NOTHING).campaign(1, 1).campaign(3, 1)
    return story.vote(1, 2, 1, NOTHING).role(1, "leader", 1).vote(3, 2, 1, NOTHING)


def older_term_replicated() -> Story:
    """Leader 2 of term 2 has brought node 3 up to the end of term 1, which nobody committed in term 1."""
    story = replicated().elect(2, [3], 2, (1, 100)).grow(2, 100, 130, [(2, 100)])
    return story.append(2, 3, 2, NOTHING, 100, [(1, 0)]).grow(3, 0, 100, [(1, 0)]).accepted(3, 2, 2, 100, 100)


def moved_on() -> Story:
    """Node 2 has received bytes of term 1, and then gone to term 2 before it acted on them."""
    story = led().append(1, 2, 1, NOTHING, 100, [(1, 0)])
    story.append(1, 3, 1, (1, 100), 100).hard(3, 1).pass_(1, 3, "timeout_now", 1, end=100)
    return story.campaign(3, 2).ask(3, 2, 2, NOTHING, transfer=True).hard(2, 2)


def heartbeat(story: Story, source: int, target: int, end: Pair, commit: int = 0) -> Story:
    """A heartbeat is sent."""
    return story.send(
        source,
        target,
        "append",
        end[0],
        previous=end,
        commit=commit,
        round=0,
        from_=end[1],
        to=end[1],
        terms=[],
    )


def sends_bytes(story: Story, previous: Pair, to: int, terms: list[Pair], from_: int | None = None) -> Story:
    """Node 1 sends bytes of term 1 to node 2."""
    start = previous[1] if from_ is None else from_
    return story.send(
        1, 2, "append", 1, previous=previous, commit=0, round=0, from_=start, to=to, terms=terms
    )  # fmt: skip


def ask_pre_vote(node: int, term: int, last: Pair) -> Story:
    """A node of the committed cluster asks node 2 for a pre-vote."""
    story = committed().append(1, 3, 1, (1, 100), 100).hard(3, 1).role(node, "pre_candidate", 1)
    return story.pass_(node, 2, "pre_vote_request", term, last=last)


def backwards() -> Story:
    """A line of the past."""
    story = committed()
    story.now = 3
    return story.add(1, "crash")
