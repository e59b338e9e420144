"""Bad traces that show how far each allowance goes: damage on the way, halting, memory."""

from bad_stories import NOTHING, Bad
from raft_checker import Rule
from story import Story, cluster, committed, forked, led, replicated, told_by_newer

APPEND: dict[str, object] = {
    "kind": "append",
    "term": 1,
    "previous": NOTHING,
    "commit": 0,
    "round": 0,
    "from": 0,
}


def told_by_older() -> Story:
    """Leader 1 of term 1 has told node 2 of a commit; then node 2 went to term 2 for candidate 3."""
    story = replicated().add(1, "commit", to=100).append(1, 2, 1, (1, 100), 100, commit=100)
    story.append(1, 3, 1, (1, 100), 100).hard(3, 1).pass_(1, 3, "timeout_now", 1, end=(1, 100))
    return story.campaign(3, 2).ask(3, 2, 2, NOTHING, transfer=True).hard(2, 2)


def of_damage() -> list[Bad]:
    """Of a message damaged on the way only a true beginning arrives."""
    sent = led().send(1, 2, "append", 1, previous=NOTHING, commit=0, round=0, from_=0, to=100, terms=[(1, 0)])
    beginning = APPEND | {"to": 50, "terms": [[1, 0]]}

    def arrives(**other: object) -> Story:
        story = led()
        story.lines, story.now = sent.lines[:], sent.now
        return story.add(2, "receive", from_=1, m=beginning | other)

    return [
        Bad(Rule.RECEIVED_WAS_SENT, "more bytes than sent", arrives(to=120)),
        Bad(Rule.RECEIVED_WAS_SENT, "other terms", arrives(terms=[[1, 0], [2, 40]])),
        Bad(Rule.RECEIVED_WAS_SENT, "other header", arrives(commit=50)),
    ]


def of_halting() -> list[Bad]:
    """A node that halts does nothing more, and only what it was saving when it halted may be lost."""
    asked = cluster().pre_vote(1, [2], 0, NOTHING).campaign(1, 1).ask(1, 2, 1, NOTHING)
    answered = cluster().pre_vote(1, [2], 0, NOTHING).campaign(1, 1).ask(1, 2, 1, NOTHING).hard(2, 1, 1)
    answered.send(2, 1, "vote_response", 1, granted=True).at_once().role(2, "halted", 1)
    lost = led().append(1, 2, 1, NOTHING, 100, [(1, 0)]).role(2, "halted", 1)
    kept = led().append(1, 2, 1, NOTHING, 100, [(1, 0)]).role(2, "halted", 1).at_once()
    kept.add(2, "append", from_=0, to=100, terms=[(1, 0)])
    halted = led().role(1, "halted", 1)
    return [
        Bad(Rule.HALTED_IS_SILENT, "sends", halted.at_once().send(1, 2, "status_request", 2, nonce=1)),
        Bad(Rule.HALTED_IS_SILENT, "appends later", lost.add(2, "append", from_=0, to=100, terms=[(1, 0)])),
        Bad(Rule.HALTED_IS_SILENT, "cuts later", forked().role(1, "halted", 2).add(1, "cut", to=100)),
        Bad(Rule.HALTED_IS_SILENT, "role", led().role(2, "halted", 1).role(2, "follower", 1)),
        Bad(Rule.RESTART_NOTHING_NEW, "halted in memory", kept.restart(2, 1, 1, terms=[(1, 0)], end=100)),
        Bad(Rule.ONE_VOTE, "answered before it halted", answered.restart(2, 1)),
        Bad(Rule.TERM_MONOTONE, "halted later", asked.hard(2, 1, 1).role(2, "halted", 1).restart(2, 0)),
    ]


def of_memory() -> list[Bad]:
    """A newer leader is believed before its term is saved, an older one never; and a transfer has its time."""
    again = replicated(election_timeout_ns=1000).pass_(1, 2, "timeout_now", 1, end=(1, 100))
    again.now += 1000
    again.grow(1, 100, 120).pass_(1, 2, "timeout_now", 1, end=(1, 120))
    again.now += 900
    unknown = told_by_newer().restart(1, 1, 1, terms=[(1, 0)], end=100)
    heartbeat = committed().elect(2, [3], 2, (1, 100)).grow(2, 100, 130, [(2, 100)])
    heartbeat.restart(1, 1, 1, terms=[(1, 0)], end=100).append(2, 1, 2, (2, 130), 130, commit=100)
    return [
        Bad(Rule.FOLLOWER_COMMIT_TOLD, "not told by the newer leader", unknown.add(1, "commit", to=100)),
        Bad(Rule.FOLLOWER_COMMIT_MATCHED, "newer leader, unverified", heartbeat.add(1, "commit", to=100)),
        Bad(
            Rule.FOLLOWER_APPEND, "newer term not saved", told_by_newer().grow(1, 100, 130, [(2, 100)], False)
        ),
        Bad(Rule.FOLLOWER_COMMIT_TOLD, "of an older leader", told_by_older().add(2, "commit", to=100)),
        Bad(
            Rule.TRANSFER_STOPS_APPENDS,
            "second transfer",
            again.add(1, "append", from_=120, to=130, terms=[]),
        ),
    ]
