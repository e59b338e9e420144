"""The rules, each with the place it comes from. Each is broken by at least one bad trace in the tests."""

from dataclasses import dataclass
from enum import Enum

RAFT = "Ongaro & Ousterhout 2014"
THESIS = "Ongaro 2014 (dissertation)"


@dataclass(frozen=True)
class RuleText:
    """Name as reported, source in the literature, and the rule in one sentence."""

    name: str
    source: str
    sentence: str


def _raft(name: str, section: str, sentence: str) -> RuleText:
    return RuleText(name, f"{RAFT}, {section}", sentence)


def _thesis(name: str, section: str, sentence: str) -> RuleText:
    return RuleText(name, f"{THESIS}, {section}", sentence)


def _bytes(name: str, sentence: str) -> RuleText:
    return RuleText(name, "what the trace says of itself", sentence)


class Rule(Enum):
    """Every rule that a trace can break."""

    # The trace itself.
    TRACE_FORM = _bytes(
        "trace-form",
        "each line is a known event with its fields, times never go back, a node acts only while up",
    )
    RECEIVED_WAS_SENT = _bytes(
        "received-was-sent",
        "a message received was sent before by that node to this one, unchanged, or the beginning of an append",
    )
    HALTED_IS_SILENT = _bytes("halted-is-silent", "a halted node does nothing more until it starts again")

    # Terms and votes.
    TERM_MONOTONE = _raft(
        "term-monotone", "section 5.1", "a node's current term never goes back, also over crashes"
    )
    TERM_HAS_CAUSE = _raft(
        "term-has-cause",
        "figure 2",
        "a term rises by one for a campaign, or to the term of a message received, of which a status request"
        " moves no leader",
    )
    PRE_VOTE_KEEPS_TERM = _thesis(
        "pre-vote-keeps-term",
        "section 9.6",
        "a pre-vote changes no term, neither the asker's nor the asked's",
    )
    ONE_VOTE = _raft(
        "one-vote-per-term",
        "section 5.2",
        "a vote once saved in a term is neither changed nor forgotten, also over crashes",
    )
    MESSAGE_TERM = _raft(
        "message-term",
        "figure 2",
        "a message carries the sender's current term, saved before it is sent; a pre-vote or status request the"
        " term after it",
    )
    VOTE_DURABLE = _raft(
        "vote-durable",
        "figure 2",
        "a granting response is sent only after the vote for that candidate is saved",
    )
    VOTE_UP_TO_DATE = _raft(
        "vote-up-to-date",
        "section 5.4.1",
        "a vote goes only to a candidate that asked and whose log is as up to date as the voter's",
    )
    VOTE_RESPECTS_CLAIM = _raft(
        "vote-respects-claim",
        "section 5.4.1",
        "a voter that may have lost bytes judges candidates by what it may have acknowledged",
    )
    PRE_VOTE_UP_TO_DATE = _thesis(
        "pre-vote-up-to-date",
        "section 9.6",
        "a pre-vote is granted only where a vote could be: the asker's log is as up to date",
    )

    # Campaigns and elections.
    CLAIM_KEEPS_QUIET = _raft(
        "claim-keeps-quiet", "section 5.4.1", "a node whose log ends below its claim does not campaign"
    )
    CLAIM_KEPT = _raft(
        "claim-kept",
        "section 5.4.1",
        "a claim is lowered only to what the durable log, or a whole round of sound status answers of the"
        " question's term or later, reaches",
    )
    STATUS_ANSWER_TRUE = _raft(
        "status-answer-true",
        "section 5.4.1",
        "a status answer comes from no leader, in a term not before the question's, and names exactly the"
        " durable end; and a damaged log stays damaged while its claim stands",
    )
    CAMPAIGN_NEW_TERM = _raft(
        "campaign-new-term", "figure 2", "each campaign is in a term of its own, one above the term before"
    )
    CAMPAIGN_AFTER_PRE_VOTE = _thesis(
        "campaign-after-pre-vote",
        "sections 9.6 and 3.10",
        "a campaign follows a majority of pre-votes or a TimeoutNow of the term before",
    )
    TRANSFER_WAS_ASKED = _thesis(
        "transfer-was-asked",
        "section 3.10",
        "a vote request says transfer only after a TimeoutNow of the term before",
    )
    CANDIDATE_SELF_VOTE = _raft(
        "candidate-self-vote", "section 5.2", "a candidate saves the vote for itself before it asks for votes"
    )
    REQUEST_LAST_TRUE = _raft(
        "request-last-true",
        "section 5.4.1",
        "a request names the end of the sender's own durable log, no more and no less",
    )
    LEADER_BY_MAJORITY = _raft(
        "leader-by-majority",
        "section 5.2",
        "a candidate leads only with granted votes received from a majority in that term",
    )
    ONE_LEADER = _raft(
        "one-leader-per-term",
        "section 5.2, election safety",
        "a term has at most one leader, and it is elected once",
    )

    # Logs.
    APPEND_AT_END = _raft(
        "append-at-end", "section 5.3", "a log grows only at its end, and its terms never decrease"
    )
    LEADER_APPEND_ONLY = _raft("leader-append-only", "section 5.3", "a leader never cuts its own log")
    LEADER_OWN_TERM = _raft(
        "leader-own-term",
        "section 5.3",
        "a leader creates bytes of its own term only, the new-term frame first and once",
    )
    ONLY_LEADER_CREATES = _raft(
        "only-leader-creates",
        "section 5.3",
        "bytes of a term exist only where the leader of that term created them before",
    )
    LOG_MATCHING = _raft(
        "log-matching", "section 5.3", "the same term at the same position means the same log up to there"
    )
    TRANSFER_STOPS_APPENDS = _thesis(
        "transfer-stops-appends",
        "section 3.10",
        "a leader that has sent TimeoutNow appends nothing until an election timeout after its append before",
    )
    ONLY_LEADER_SENDS = _raft(
        "only-leader-sends",
        "section 5.3",
        "append and TimeoutNow messages come from the leader of their term only",
    )
    APPEND_MESSAGE_TRUE = _raft(
        "append-message-true", "section 5.3", "an append message tells the leader's log as it is when sent"
    )
    APPEND_COMMIT_TRUE = _raft(
        "append-commit-true",
        "figure 2",
        "an append message carries no commit position above the leader's own",
    )
    FOLLOWER_APPEND = _raft(
        "follower-append",
        "section 5.3",
        "a follower appends only what a message of its term carried, once its previous end matched",
    )
    CUT_ON_CONFLICT = _raft(
        "cut-on-conflict",
        "section 5.3",
        "a log is cut only where a message of the current term conflicts with it, and exactly there",
    )
    CUT_KEEPS_COMMITTED = _raft(
        "cut-keeps-committed", "section 5.4", "a node never cuts below its commit position"
    )
    DURABLE_WITHIN_LOG = _bytes(
        "durable-within-log",
        "a node reports its log durable no further than the log reaches, and never takes that back",
    )
    ACCEPTED_MATCHED = _raft(
        "accepted-matched",
        "section 5.3",
        "append_accepted says matched only as far as messages of that term were found to match",
    )
    ACCEPTED_DURABLE = _raft(
        "accepted-durable", "figure 2", "append_accepted says durable only what is durable at the sender"
    )

    # Commit.
    COMMIT_MONOTONE = _raft(
        "commit-monotone", "figure 2", "a commit position never goes back between restarts"
    )
    COMMIT_WITHIN_LOG = _raft(
        "commit-within-log", "section 5.3", "a node commits nothing past the end of its own log"
    )
    LEADER_COMMIT_MAJORITY = _raft(
        "leader-commit-majority",
        "section 5.3",
        "a leader commits what a majority has told it to hold durably, itself counted by its own durable end",
    )
    LEADER_COMMIT_OWN_TERM = _raft(
        "leader-commit-own-term",
        "section 5.4.2",
        "a leader counts replicas only for positions in its own term",
    )
    FOLLOWER_COMMIT_TOLD = _raft(
        "follower-commit-told", "figure 2", "a follower commits no further than a leader of its term told it"
    )
    FOLLOWER_COMMIT_MATCHED = _raft(
        "follower-commit-matched",
        "figure 2",
        "a follower commits no further than its log was found to match that leader's",
    )
    LEADER_COMPLETENESS = _raft(
        "leader-completeness",
        "section 5.4.3",
        "what was committed in a term is in the log of every leader of a later term",
    )
    STATE_MACHINE_SAFETY = _raft(
        "state-machine-safety",
        "section 5.4.3",
        "a committed position has the same term at every node, for ever",
    )

    # Restarts.
    RESTART_NOTHING_NEW = _raft(
        "restart-nothing-new",
        "figure 2",
        "a restart brings back a beginning of the log that was there, nothing else",
    )
    RESTART_KEEPS_PROMISE = _raft(
        "restart-keeps-promise",
        "figure 2",
        "a restart keeps all that was reported durable, or claims at least as much",
    )
