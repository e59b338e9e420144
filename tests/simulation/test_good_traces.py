"""Traces that keep every rule must pass.

What goes in: short traces written by hand. What is checked: no rule finds fault, and the summary counts what
was there. What is real: the checker. What is not: no node runs here; the traces say what a correct one would
do.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from raft_checker import check_lines
from story import (
    Story,
    caught_up,
    claiming_more,
    cluster,
    committed,
    forked,
    informed,
    led,
    replicated,
    told_by_newer,
)

HERE = Path(__file__).parent


def conflict_resolved() -> Story:
    """A follower cuts what conflicts, takes the new leader's bytes, and all is committed."""
    story = forked().add(1, "cut", to=100).grow(1, 100, 130, [(2, 100)]).accepted(1, 2, 2, 130, 130)
    story.add(2, "commit", to=130).append(2, 1, 2, (2, 130), 130, commit=130)
    return story.add(1, "commit", to=130)


def late_leader() -> Story:
    """Votes that arrive late make a leader of an old term while a newer one commits; that is allowed."""
    story = cluster().pre_vote(1, [2], 0, (0, 0)).campaign(1, 1).ask(1, 2, 1, (0, 0)).hard(2, 1, 1)
    story.send(2, 1, "vote_response", 1, granted=True)
    answer = story.lines[-1]["m"]
    story.ask(1, 3, 1, (0, 0)).hard(3, 1)
    story.elect(2, [3], 2, (0, 0)).grow(2, 0, 40, [(2, 0)]).append(2, 3, 2, (0, 0), 40, [(2, 0)])
    story.grow(3, 0, 40, [(2, 0)]).accepted(3, 2, 2, 40, 40).add(2, "commit", to=40)
    return story.add(1, "receive", from_=2, m=answer).role(1, "leader", 1).grow(1, 0, 20, [(1, 0)])


def lost_with_claim() -> Story:
    """A node loses what it reported, says so, is quiet, catches up and drops the claim."""
    story = committed().restart(2, 1, 1, claim=(1, 100)).append(1, 2, 1, (0, 0), 100, [(1, 0)], commit=100)
    return story.grow(2, 0, 100, [(1, 0)]).hard(2, 1, 1).pre_vote(2, [3], 1, (1, 100))


def cut_undone() -> Story:
    """A cut that no durable report has followed may be undone by a crash."""
    return forked().add(1, "cut", to=100).restart(1, 2, None, terms=[(1, 0)], end=150)


def unsynced_lost() -> Story:
    """Bytes never reported durable may be lost without a claim, and power may be lost while down."""
    story = led().grow(1, 100, 200, durable=False).add(1, "crash").restart(1, 1, 1, terms=[(1, 0)], end=100)
    return story.hard(1, 1, 1)


def transfer() -> Story:
    """A leader hands over to node 2, which campaigns without pre-votes."""
    story = replicated(election_timeout_ns=1000).pass_(1, 2, "timeout_now", 1, end=100)
    story.campaign(2, 2).vote(2, 1, 2, (1, 100), transfer=True)
    return story.role(2, "leader", 2).grow(2, 100, 110, [(2, 100)])


def transfer_failed() -> Story:
    """Nobody took over: after an election timeout the leader goes on."""
    story = replicated(election_timeout_ns=1000).pass_(1, 2, "timeout_now", 1, end=100)
    story.now += 1000
    return story.grow(1, 100, 120)


def overlap() -> Story:
    """A follower that has a part appends the rest; a pair that repeats the running term says nothing."""
    story = replicated().grow(1, 100, 160, [(1, 100)]).append(1, 2, 1, (0, 0), 160, [(1, 0)])
    return story.grow(2, 100, 160).accepted(2, 1, 1, 160, 160)


def single_voter() -> Story:
    """One voter is its own majority."""
    story = cluster([1]).campaign(1, 1).role(1, "leader", 1).grow(1, 0, 10, [(1, 0)])
    return story.add(1, "commit", to=10)


def transfer_asked_before() -> Story:
    """The time of a transfer counts from when the leader stopped appending, not from TimeoutNow."""
    story = replicated(election_timeout_ns=1000)
    story.now += 900
    story.pass_(1, 2, "timeout_now", 1, end=(1, 100))
    story.now += 100
    return story.grow(1, 100, 120)


def claim_lowered() -> Story:
    """All others have answered, one of them twice: the claim may sink to the highest answer, then be reached."""
    story = informed().add(2, "receive", from_=3, m=informed().lines[-2]["m"]).hard(2, 2, None, (1, 100))
    return caught_up(story, 100, (1, 100)).hard(2, 3)


def claim_dropped() -> Story:
    """The node itself has as much as the highest answer, so nobody has what it may have lost."""
    story = replicated().role(1, "follower", 1).restart(2, 1, 1, claim=(1, 200), terms=[(1, 0)], end=100)
    story.status(2, 1, 7, (1, 100)).status(2, 3, 7, (0, 0))
    return story.hard(2, 2).pre_vote(2, [3], 2, (1, 100))


def answered_later() -> Story:
    """The others have reached newer terms than the question's: they need not save, and answer in those."""
    story = claiming_more().pre_vote(1, [3], 1, (1, 100)).campaign(1, 2).ask(1, 3, 2, (1, 100)).hard(3, 2)
    story.pre_vote(1, [3], 2, (1, 100)).campaign(1, 3).role(1, "follower", 3)
    for voter, last, term in ((1, (1, 100), 3), (3, (0, 0), 2)):
        story.pass_(2, voter, "status_request", 2, nonce=7).answer(voter, 2, 7, last, term).deliver()
    return story.hard(2, 3, None, (1, 200)).hard(2, 3, None, (1, 100))


def damaged_catches_up() -> Story:
    """What was damaged may be fetched again; then there is no claim left, and the log is sound."""
    story = claiming_more().status(1, 2, 1, (1, 50), health="damaged", claim=(1, 200)).hard(1, 2)
    caught_up(story, 130, (1, 200)).hard(2, 3)
    return story.role(1, "follower", 3).status(1, 2, 2, (3, 130), term=4)


def lone_claim() -> Story:
    """A lone voter has nobody to ask."""
    story = single_voter().restart(1, 1, 1, claim=(1, 90), terms=[(1, 0)], end=10)
    return story.hard(1, 1, 1).role(1, "pre_candidate", 1)


def damaged_on_the_way() -> Story:
    """Of an append message only a beginning arrives, and is taken."""
    story = led().send(1, 2, "append", 1, previous=(0, 0), commit=0, round=0, from_=0, to=100, terms=[(1, 0)])
    m = {"kind": "append", "term": 1, "previous": (0, 0), "commit": 0, "round": 0, "from": 0, "to": 50}
    story.add(2, "receive", from_=1, m=m | {"terms": [(1, 0)]}).grow(2, 0, 50, [(1, 0)])
    story.accepted(2, 1, 1, 50, 50)
    return story.add(2, "receive", from_=1, m=m | {"to": 0, "terms": []})


def commit_before_save() -> Story:
    """A newer leader's commit is true before its term is saved; the answer comes after."""
    return told_by_newer().add(1, "commit", to=100).hard(1, 2).grow(1, 100, 130, [(2, 100)]).accepted(
        1, 2, 2, 130, 130
    )  # fmt: skip


def halted_leader() -> Story:
    """A leader whose disk fails hands over and halts; what it had in memory only is lost."""
    story = replicated().pass_(1, 2, "timeout_now", 1, end=(1, 100)).role(1, "halted", 1).at_once()
    story.add(1, "append", from_=100, to=150, terms=[])
    return story.restart(1, 1, 1, terms=[(1, 0)], end=100)


def halted_while_saving() -> Story:
    """A node that halts while it saves its vote has saved it or has not."""
    story = cluster().pre_vote(1, [2, 3], 0, (0, 0)).campaign(1, 1)
    for voter in (2, 3):
        story.ask(1, voter, 1, (0, 0)).hard(voter, 1).hard(voter, 1, 1).at_once().role(voter, "halted", 1)
    return story.restart(2, 1, 1).restart(3, 1)


def end_as_pair() -> Story:
    """The end of a recovered log may be told with its term."""
    story = cluster().add(4, "start", term=1, vote=None, claim=None, terms=[(1, 0)], end=(1, 100))
    return story.add(5, "start", term=0, vote=None, claim=None, terms=[], end=(0, 0))


def other_messages() -> Story:
    """A note, a question that the leader leaves unanswered, and a message of which only the term is checked."""
    story = committed().pass_(2, 1, "status_request", 2, nonce=1)
    story.lines.append({"t": story.now, "ev": "fault", "kind": "Pause"})
    story.append(1, 3, 1, (1, 100), 100, commit=100).hard(3, 1)
    return story.pass_(3, 1, "append_rejected", 1, previous=(1, 100), end=0, round=0, terms=[])


@pytest.mark.parametrize(
    "story",
    [
        cluster, led, replicated, committed, forked, conflict_resolved, late_leader, lost_with_claim,
        cut_undone, unsynced_lost, transfer, transfer_failed, overlap, single_voter, end_as_pair, other_messages,
        transfer_asked_before, claim_lowered, claim_dropped, answered_later, damaged_catches_up, lone_claim,
        damaged_on_the_way, commit_before_save, halted_leader, halted_while_saving,
    ],
)  # fmt: skip
def test_good_trace_passes(story: object) -> None:
    assert callable(story)
    written = story()
    assert check_lines(written.text()).lines == len(written.lines)


def test_summary_counts_what_was_there() -> None:
    summary = check_lines(conflict_resolved().text())
    assert (summary.leaders, summary.committed, summary.events["cut"]) == (2, 130, 1)
    assert summary.events["send append"] == summary.events["receive append"] == 4


def test_command_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("\n".join(committed().text()))
    bad.write_text("\n".join(committed().add(1, "commit", to=90).text()))
    command = [sys.executable, "-m", "raft_checker"]

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*command, *arguments], cwd=HERE, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run(str(good))[0] == 0
    status, text = run(str(bad))
    assert status == 1
    assert "commit-monotone" in text and "figure 2" in text and '"to": 90' in text
    assert run(str(bad), "--ignore", "commit-monotone", "--ignore", "leader-commit-own-term")[0] == 0
    assert run(str(tmp_path / "none"))[0] == 2
