"""Bad traces about inquiries: whom a doubtful node may believe, and what others may tell it."""

from bad_stories import NOTHING, Bad, unsynced
from raft_checker import Rule
from story import Story, caught_up, claiming_more, cluster, informed, led, replicated

CLAIM = (1, 200)
"""What node 2 claims in `claiming_more`; the highest answer to it reaches (1, 100)."""


def two_questions() -> Story:
    """Node 2 asked everyone twice; each answered once, and not to the same question."""
    story = claiming_more()
    for nonce in (7, 8):
        story.send(2, 1, "status_request", 2, nonce=nonce).send(2, 3, "status_request", 2, nonce=nonce)
    return story.status(2, 1, 7, (1, 100)).status(2, 3, 8, NOTHING)


def asked_again() -> Story:
    """Node 2 asks in term 2, then anew in term 3; node 3's answer is still that of term 2."""
    story = claiming_more().pass_(2, 3, "status_request", 2, nonce=7).hard(3, 2).answer(3, 2, 7, NOTHING, 2)
    late = story.lines[-1]["m"]
    story.status(2, 1, 7, (1, 100)).hard(2, 2, None, CLAIM).status(2, 1, 7, (1, 100), term=3)
    return story.send(2, 3, "status_request", 3, nonce=7).add(2, "receive", from_=3, m=late)


def sick_itself() -> Story:
    """Node 2, which claims, has told node 1 in term 2 that its own log is damaged."""
    return claiming_more().status(1, 2, 1, (1, 50), health="damaged", claim=CLAIM)


def asked() -> Story:
    """Node 3, of term 0, asks node 2, which has said that 100 bytes of term 1 are durable there."""
    return replicated().pass_(3, 2, "status_request", 1, nonce=1)


def of_claims() -> list[Bad]:
    """A claim is lowered by answers only as far as a whole round of sound ones reaches."""

    def again(story: Story) -> Story:
        return story.restart(2, 2, None, claim=CLAIM, terms=[(1, 0)], end=50)

    def all_answer(story: Story) -> Story:
        return story.status(2, 1, 7, (1, 100), term=3).status(2, 3, 7, NOTHING, term=3)

    sick_peer = claiming_more().status(2, 3, 7, NOTHING).status(2, 3, 7, NOTHING, health="damaged")
    sick_peer.status(2, 1, 7, (1, 100))
    lost_since = claiming_more().status(2, 3, 7, NOTHING).status(2, 1, 7, (1, 100))
    lost_since.restart(1, 2, None, claim=(1, 100), terms=[(1, 0)], end=50)
    lost_since.status(2, 1, 7, (1, 50), claim=(1, 100))
    lone = cluster([1]).campaign(1, 1).role(1, "leader", 1).grow(1, 0, 10, [(1, 0)])
    lone.restart(1, 1, 1, claim=(1, 90), terms=[(1, 0)], end=10)
    short = caught_up(informed().hard(2, 2, None, (1, 100)), 90, (1, 100))
    late = informed().hard(2, 2, None, (1, 100)).pass_(1, 2, "status_request", 3, nonce=1)
    late.hard(2, 3, None, (1, 100)).answer(2, 1, 1, (1, 50), 3, health="damaged")
    raised = informed().hard(2, 2, None, (2, 10))
    r, sunk = Rule.CLAIM_KEPT, (2, 2, None, (1, 100))
    return [
        Bad(r, "below an answer", informed().hard(2, 2, None, (1, 90))),
        Bad(r, "dropped below an answer", informed().hard(2, 2)),
        Bad(r, "dropped before durable, after answers", short.hard(2, 3)),
        Bad(r, "one answer missing", claiming_more().status(2, 1, 7, (1, 100)).hard(*sunk)),
        Bad(r, "answers to two questions", two_questions().hard(*sunk)),
        Bad(r, "answers of an earlier life", again(informed()).hard(*sunk)),
        Bad(r, "answers before another loss", raised.hard(*sunk)),
        Bad(r, "answer of an older term", asked_again().hard(*sunk)),
        Bad(r, "the lower of two answers", lost_since.hard(2, 2, None, (1, 50))),
        Bad(r, "damaged peer", sick_peer.hard(*sunk)),
        Bad(r, "damaged itself", all_answer(sick_itself()).hard(*sunk)),
        Bad(r, "damaged before a crash", all_answer(again(sick_itself())).hard(*sunk)),
        Bad(r, "says that it is damaged only later", late),
        Bad(r, "lone voter, below its own end", lone.hard(1, 1, 1, (1, 5))),
    ]


def of_answers() -> list[Bad]:
    """A question is put in the next term, and answered in a saved one, by no leader, with the durable end."""
    to_leader = led().pass_(3, 1, "status_request", 1, nonce=1)
    next_to_leader = replicated().pass_(2, 1, "status_request", 2, nonce=1)
    in_memory = unsynced().pass_(3, 2, "status_request", 1, nonce=1)
    lossy = claiming_more().pass_(3, 2, "status_request", 1, nonce=1)
    forgotten = asked().restart(2, 1, 1, terms=[(1, 0)], end=100)
    unsaved = claiming_more().pass_(2, 3, "status_request", 2, nonce=1)
    behind = claiming_more().pass_(2, 3, "status_request", 2, nonce=1)
    by_itself = claiming_more().send(2, 3, "status_request", 2, nonce=1)
    r, term = Rule.STATUS_ANSWER_TRUE, Rule.MESSAGE_TERM
    return [
        Bad(term, "question of the own term", claiming_more().send(2, 3, "status_request", 1, nonce=1)),
        Bad(term, "question of a later term", claiming_more().send(2, 3, "status_request", 3, nonce=1)),
        Bad(term, "answer of a term not saved", unsaved.answer(3, 2, 1, NOTHING, 2)),
        Bad(term, "answer of a term left", asked().answer(2, 3, 1, (1, 100), 0)),
        Bad(Rule.TERM_HAS_CAUSE, "own question", by_itself.hard(2, 2, None, CLAIM)),
        Bad(Rule.TERM_HAS_CAUSE, "question deposes a leader", next_to_leader.hard(1, 2)),
        Bad(r, "by a leader", to_leader.answer(1, 3, 1, (1, 100), 1)),
        Bad(r, "of a term before the question", behind.answer(3, 2, 1, NOTHING, 0)),
        Bad(r, "not asked", replicated().answer(2, 3, 1, (1, 100), 1)),
        Bad(r, "asked in an earlier life", forgotten.answer(2, 3, 1, (1, 100), 1)),
        Bad(r, "less than durable", asked().answer(2, 3, 1, (1, 90), 1)),
        Bad(r, "in memory only", in_memory.answer(2, 3, 1, (1, 100), 1)),
        Bad(r, "more than it has", lossy.answer(2, 3, 1, (1, 100), 1)),
        Bad(r, "damage forgotten", sick_itself().answer(2, 1, 1, (1, 50), 2, health="doubtful")),
        Bad(Rule.TRACE_FORM, "unknown health", asked().answer(2, 3, 1, (1, 100), 1, health="ill")),
    ]
