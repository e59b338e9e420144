"""One bad trace or more for each rule: a good beginning, and a last line that breaks the rule."""

from bad_answers import of_answers, of_claims
from bad_bounds import of_damage, of_halting, of_memory
from bad_stories import (
    NOTHING,
    Bad,
    ask_pre_vote,
    backwards,
    campaigning,
    claiming,
    elected_behind,
    heartbeat,
    moved_on,
    older_term_replicated,
    overtaken,
    rewritten,
    sends_bytes,
    told_to_campaign,
    two_candidates,
    unsynced,
)
from raft_checker import Rule
from story import Pair, cluster, committed, forked, led, replicated


def of_trace() -> list[Bad]:
    """Rules on the trace itself."""
    r = Rule.TRACE_FORM
    head = {"term": 2, "vote": None, "claim": None}
    return [
        Bad(r, "unknown event", committed().add(1, "snapshot")),
        Bad(r, "unknown message", committed().send(1, 2, "install", 1)),
        Bad(r, "unknown role", committed().role(1, "observer", 1)),
        Bad(r, "missing field", committed().add(1, "durable")),
        Bad(r, "wrong type", committed().add(1, "durable", to="end")),
        Bad(r, "time goes back", backwards()),
        Bad(r, "acts while down", committed().add(1, "crash").role(1, "follower", 1)),
        Bad(r, "starts twice", committed().start(1, 1, 1)),
        Bad(r, "impossible term table", cluster([1]).start(2, terms=[(2, 0), (1, 50)], end=100)),
        Bad(r, "end of another term", cluster([1]).add(2, "start", **head, terms=[(1, 0)], end=(2, 100))),
        Bad(
            Rule.RECEIVED_WAS_SENT,
            "invented vote",
            campaigning().add(1, "receive", from_=2, m={"kind": "vote_response", "term": 1, "granted": True}),
        ),
    ]


def of_votes() -> list[Bad]:
    """Rules on terms and votes."""
    granted = {"granted": True}
    asked = cluster().role(1, "pre_candidate", 0).pass_(1, 2, "pre_vote_request", 1, last=NOTHING)
    uninvited = led().append(1, 3, 1, (1, 100), 100).hard(3, 1, 1).send(3, 1, "vote_response", 1, **granted)
    below_claim = told_to_campaign(claiming(), (1, 100)).send(2, 3, "vote_response", 2, **granted)
    up_to_date = told_to_campaign(committed()).send(2, 3, "vote_response", 2, **granted)
    behind = ask_pre_vote(3, 2, NOTHING).send(2, 3, "pre_vote_response", 2, **granted)
    return [
        Bad(Rule.TERM_MONOTONE, "saved", led().hard(2, 0)),
        Bad(Rule.TERM_MONOTONE, "role", led().role(2, "follower", 0)),
        Bad(Rule.TERM_MONOTONE, "forgotten in a crash", led().restart(2, 0)),
        Bad(Rule.TERM_HAS_CAUSE, "out of nothing", cluster().hard(2, 1)),
        Bad(Rule.TERM_HAS_CAUSE, "leap", cluster().pre_vote(1, [2], 0, NOTHING).hard(1, 2, 1)),
        Bad(Rule.PRE_VOTE_KEEPS_TERM, "the asked", asked.hard(2, 1)),
        Bad(Rule.PRE_VOTE_KEEPS_TERM, "the asker", cluster().role(1, "pre_candidate", 1)),
        Bad(Rule.ONE_VOTE, "changed", led().hard(2, 1, 3)),
        Bad(Rule.ONE_VOTE, "dropped", led().hard(2, 1)),
        Bad(Rule.ONE_VOTE, "forgotten in a crash", led().restart(2, 1)),
        Bad(Rule.MESSAGE_TERM, "above", campaigning().send(2, 1, "vote_response", 2, granted=False)),
        Bad(Rule.MESSAGE_TERM, "below", campaigning().send(2, 1, "vote_response", 0, granted=False)),
        Bad(Rule.MESSAGE_TERM, "pre-vote", cluster().send(1, 2, "pre_vote_request", 2, last=NOTHING)),
        Bad(Rule.MESSAGE_TERM, "own pre-vote", cluster().send(1, 2, "pre_vote_request", 0, last=NOTHING)),
        Bad(Rule.VOTE_DURABLE, "not saved", campaigning().send(2, 1, "vote_response", 1, **granted)),
        Bad(Rule.VOTE_UP_TO_DATE, "candidate behind", up_to_date),
        Bad(Rule.VOTE_UP_TO_DATE, "never asked", uninvited),
        Bad(Rule.VOTE_RESPECTS_CLAIM, "own end is lower", below_claim),
        Bad(Rule.PRE_VOTE_UP_TO_DATE, "asker behind", behind),
    ]


def of_elections() -> list[Bad]:
    """Rules on campaigns and elections."""
    again = campaigning().pre_vote(1, [2], 1, NOTHING).role(1, "candidate", 1)
    not_durable = claiming().append(1, 2, 1, NOTHING, 100, [(1, 0)]).grow(2, 0, 100, [(1, 0)], durable=False)
    told = claiming().pass_(1, 2, "timeout_now", 1, end=100).role(2, "candidate", 2)
    won = cluster().pre_vote(1, [2], 0, NOTHING)
    no_vote = cluster().pre_vote(1, [2], 0, NOTHING).role(1, "candidate", 1).hard(1, 1)
    in_flight = campaigning().hard(2, 1, 1).send(2, 1, "vote_response", 1, granted=True).role(1, "leader", 1)
    stranger = campaigning().start(4).vote(1, 4, 1, NOTHING).role(1, "leader", 1)
    request = {"last": NOTHING, "transfer": False}
    return [
        Bad(Rule.CLAIM_KEEPS_QUIET, "pre-candidate", claiming().role(2, "pre_candidate", 1)),
        Bad(Rule.CLAIM_KEEPS_QUIET, "candidate", told),
        Bad(Rule.CLAIM_KEPT, "dropped", claiming().hard(2, 1, 1)),
        Bad(Rule.CLAIM_KEPT, "dropped before durable", not_durable.hard(2, 1, 1)),
        Bad(Rule.CLAIM_KEPT, "lost in a crash", claiming().restart(2, 1, 1)),
        Bad(Rule.CAMPAIGN_NEW_TERM, "same term again", again),
        Bad(Rule.CAMPAIGN_NEW_TERM, "after a crash", campaigning().restart(1, 1, 1).role(1, "candidate", 1)),
        Bad(Rule.CAMPAIGN_NEW_TERM, "leap", won.role(1, "candidate", 2)),
        Bad(Rule.CAMPAIGN_AFTER_PRE_VOTE, "no pre-vote", cluster().campaign(1, 1)),
        Bad(
            Rule.TRANSFER_WAS_ASKED,
            "not told",
            campaigning().send(1, 3, "vote_request", 1, last=NOTHING, transfer=True),
        ),
        Bad(Rule.CANDIDATE_SELF_VOTE, "no vote saved", no_vote.send(1, 2, "vote_request", 1, **request)),
        Bad(Rule.CANDIDATE_SELF_VOTE, "follower", campaigning().send(2, 1, "vote_request", 1, **request)),
        Bad(
            Rule.REQUEST_LAST_TRUE,
            "more than it has",
            campaigning().send(1, 3, "vote_request", 1, last=(1, 8), transfer=False),
        ),
        Bad(
            Rule.REQUEST_LAST_TRUE,
            "not durable",
            unsynced().role(2, "pre_candidate", 1).send(2, 3, "pre_vote_request", 2, last=(1, 100)),
        ),
        Bad(Rule.LEADER_BY_MAJORITY, "no answer", campaigning().role(1, "leader", 1)),
        Bad(Rule.LEADER_BY_MAJORITY, "vote under way", in_flight),
        Bad(Rule.LEADER_BY_MAJORITY, "vote of a stranger", stranger),
        Bad(Rule.LEADER_BY_MAJORITY, "no candidate", led().role(2, "leader", 1)),
        Bad(
            Rule.ONE_LEADER,
            "voter voted twice",
            two_candidates().role(3, "leader", 1),
            frozenset({Rule.ONE_VOTE}),
        ),
        Bad(
            Rule.LEADER_COMPLETENESS,
            "elected behind",
            elected_behind().role(3, "leader", 2),
            frozenset({Rule.VOTE_UP_TO_DATE}),
        ),
        Bad(
            Rule.LEADER_COMPLETENESS,
            "committed past a later leader",
            overtaken().add(1, "commit", to=100),
            frozenset({Rule.VOTE_UP_TO_DATE}),
        ),
    ]


def of_logs() -> list[Bad]:
    """Rules on how logs change."""
    elected = committed().elect(2, [3], 2, (1, 100))
    half = led().append(1, 2, 1, NOTHING, 50, [(1, 0)])
    gap = led().append(1, 2, 1, (1, 50), 100)
    handing_over = replicated(election_timeout_ns=1000).pass_(1, 2, "timeout_now", 1, end=100)
    accepted = {"matched": 100, "durable": 0, "round": 0}
    not_appended = led().append(1, 2, 1, NOTHING, 100, [(1, 0)])
    of_old_term = moved_on().send(2, 3, "append_accepted", 2, **accepted)
    return [
        Bad(Rule.APPEND_AT_END, "gap", led().add(1, "append", from_=120, to=150, terms=[])),
        Bad(Rule.APPEND_AT_END, "nothing", led().add(1, "append", from_=100, to=100, terms=[])),
        Bad(Rule.APPEND_AT_END, "lower term", forked().add(2, "append", from_=130, to=140, terms=[(1, 130)])),
        Bad(Rule.APPEND_AT_END, "no term", cluster().add(1, "append", from_=0, to=10, terms=[])),
        Bad(Rule.LEADER_APPEND_ONLY, "cut", committed().grow(1, 100, 150).add(1, "cut", to=100)),
        Bad(Rule.LEADER_OWN_TERM, "no frame", elected.add(2, "append", from_=100, to=120, terms=[])),
        Bad(Rule.LEADER_OWN_TERM, "later term", led().add(1, "append", from_=100, to=120, terms=[(2, 100)])),
        Bad(
            Rule.ONLY_LEADER_CREATES,
            "term without leader",
            replicated().add(2, "append", from_=100, to=120, terms=[(2, 100)]),
        ),
        Bad(Rule.ONLY_LEADER_CREATES, "more", replicated().add(2, "append", from_=100, to=120, terms=[])),
        Bad(Rule.LOG_MATCHING, "elsewhere", forked().add(1, "append", from_=150, to=180, terms=[(2, 150)])),
        Bad(Rule.LOG_MATCHING, "at restart", forked().restart(1, 2, terms=[(1, 0), (2, 90)], end=120)),
        Bad(
            Rule.TRANSFER_STOPS_APPENDS,
            "too early",
            handing_over.add(1, "append", from_=100, to=120, terms=[]),
        ),
        Bad(Rule.FOLLOWER_APPEND, "beyond", half.add(2, "append", from_=0, to=100, terms=[(1, 0)])),
        Bad(Rule.FOLLOWER_APPEND, "no prefix", gap.add(2, "append", from_=0, to=50, terms=[(1, 0)])),
        Bad(Rule.FOLLOWER_APPEND, "old term", moved_on().add(2, "append", from_=0, to=100, terms=[(1, 0)])),
        Bad(Rule.FOLLOWER_APPEND, "nothing received", led().add(2, "append", from_=0, to=9, terms=[(1, 0)])),
        Bad(Rule.CUT_ON_CONFLICT, "no conflict", replicated().add(2, "cut", to=50)),
        Bad(Rule.CUT_ON_CONFLICT, "elsewhere", forked().add(1, "cut", to=120)),
        Bad(Rule.CUT_KEEPS_COMMITTED, "below", committed().add(2, "cut", to=50)),
        Bad(Rule.DURABLE_WITHIN_LOG, "beyond", led().add(1, "durable", to=120)),
        Bad(Rule.DURABLE_WITHIN_LOG, "back", led().add(1, "durable", to=50)),
        Bad(Rule.ACCEPTED_MATCHED, "no append", not_appended.send(2, 1, "append_accepted", 1, **accepted)),
        Bad(
            Rule.ACCEPTED_MATCHED,
            "own old tail",
            forked().send(1, 2, "append_accepted", 2, matched=150, durable=150, round=0),
        ),
        Bad(Rule.ACCEPTED_MATCHED, "of an old term", of_old_term),
        Bad(
            Rule.ACCEPTED_DURABLE,
            "in memory only",
            unsynced().send(2, 1, "append_accepted", 1, matched=100, durable=100, round=0),
        ),
    ]


def of_messages() -> list[Bad]:
    """Rules on what a leader sends."""
    return [
        Bad(Rule.ONLY_LEADER_SENDS, "append", heartbeat(replicated(), 2, 3, (1, 100))),
        Bad(Rule.ONLY_LEADER_SENDS, "hand over", replicated().send(2, 3, "timeout_now", 1, end=100)),
        Bad(Rule.APPEND_MESSAGE_TRUE, "beyond its log", sends_bytes(led(), NOTHING, 120, [(1, 0)])),
        Bad(Rule.APPEND_MESSAGE_TRUE, "wrong terms", sends_bytes(led(), NOTHING, 100, [(1, 0), (2, 50)])),
        Bad(Rule.APPEND_MESSAGE_TRUE, "no terms", sends_bytes(led(), NOTHING, 100, [])),
        Bad(Rule.APPEND_MESSAGE_TRUE, "wrong previous", sends_bytes(led(), (2, 50), 100, [])),
        Bad(Rule.APPEND_MESSAGE_TRUE, "gap", sends_bytes(led(), NOTHING, 100, [], from_=50)),
        Bad(Rule.APPEND_COMMIT_TRUE, "above its own", heartbeat(replicated(), 1, 2, (1, 100), commit=100)),
    ]


def of_commits() -> list[Bad]:
    """Rules on commit positions."""
    answer = {"matched": 100, "durable": 100, "round": 0}
    follower_holds = led().append(1, 2, 1, NOTHING, 100, [(1, 0)]).grow(2, 0, 100, [(1, 0)])
    under_way = follower_holds.send(2, 1, "append_accepted", 1, **answer)
    own = replicated().grow(1, 100, 150, durable=False).append(1, 2, 1, (1, 100), 150).grow(2, 100, 150)
    unverified = committed().restart(2, 1, 1, terms=[(1, 0)], end=100).append(1, 2, 1, NOTHING, 0, commit=100)
    broken = frozenset({Rule.VOTE_UP_TO_DATE, Rule.LEADER_COMPLETENESS})
    in_memory = unsynced().accepted(2, 1, 1, 100, 0)
    return [
        Bad(Rule.COMMIT_MONOTONE, "back", committed().add(2, "commit", to=90)),
        Bad(Rule.COMMIT_WITHIN_LOG, "beyond", replicated().add(1, "commit", to=120)),
        Bad(Rule.LEADER_COMMIT_MAJORITY, "alone", led().add(1, "commit", to=100)),
        Bad(Rule.LEADER_COMMIT_MAJORITY, "answer under way", under_way.add(1, "commit", to=100)),
        Bad(Rule.LEADER_COMMIT_MAJORITY, "follower not durable", in_memory.add(1, "commit", to=100)),
        Bad(
            Rule.LEADER_COMMIT_MAJORITY,
            "itself not durable",
            own.accepted(2, 1, 1, 150, 150).add(1, "commit", to=150),
        ),
        Bad(Rule.LEADER_COMMIT_OWN_TERM, "by count", older_term_replicated().add(2, "commit", to=100)),
        Bad(
            Rule.FOLLOWER_COMMIT_TOLD,
            "not told",
            replicated().add(1, "commit", to=100).add(2, "commit", to=100),
        ),
        Bad(Rule.FOLLOWER_COMMIT_MATCHED, "own log unverified", unverified.add(2, "commit", to=100)),
        Bad(Rule.STATE_MACHINE_SAFETY, "other bytes", rewritten().add(3, "commit", to=50), broken),
    ]


def of_restarts() -> list[Bad]:
    """Rules on what a crash may take."""
    half: list[Pair] = [(1, 0)]
    low_claim = replicated().restart(2, 1, 1, claim=(1, 90), terms=half, end=50)
    return [
        Bad(Rule.RESTART_NOTHING_NEW, "bytes it never had", committed().restart(3, terms=half, end=50)),
        Bad(Rule.RESTART_KEEPS_PROMISE, "follower", replicated().restart(2, 1, 1, terms=half, end=50)),
        Bad(Rule.RESTART_KEEPS_PROMISE, "leader", committed().restart(1, 1, 1, terms=half, end=50)),
        Bad(Rule.RESTART_KEEPS_PROMISE, "claim too low", low_claim),
    ]


def all_bad() -> list[Bad]:
    """Every bad trace."""
    return [
        *of_trace(), *of_votes(), *of_elections(), *of_logs(), *of_messages(), *of_commits(), *of_restarts(),
        *of_claims(), *of_answers(), *of_damage(), *of_halting(), *of_memory(),
    ]  # fmt: skip
