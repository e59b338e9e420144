"""The checker against a small Raft that runs, sound or with a known bug.

What goes in: runs of `small_raft` from many seeds. What is checked: sound runs pass and exercise the rules,
each bug is found within a bounded number of seeds, and a trace of 100 000 lines is checked fast. What is
real: the checker. What is not: the project's core has no part in this.
"""

import time

import pytest
from raft_checker import Rule, Violation, check_lines
from small_raft import BUGS, SmallRaft

SEEDS_TO_FIND_A_BUG = 30
CHECK_LIMIT_S = 5.0
"""Generous, since the machine may be shared; the aim is below 1 s."""


def broken_rule(seed: int, bug: str) -> Rule | None:
    """The rule that a run with the bug breaks, if it breaks one."""
    try:
        check_lines(SmallRaft(seed, 4000, rough=0.2, bug=bug).lines)
    except Violation as violation:
        return violation.rule
    return None


@pytest.mark.parametrize("members", [2, 3, 5])
@pytest.mark.parametrize("rough", [0.0, 0.1, 0.4])
def test_sound_runs_pass(members: int, rough: float) -> None:
    committed = 0
    for seed in range(6):
        committed += check_lines(SmallRaft(seed, 2500, members, rough=rough).lines).committed
    assert committed > 0


def test_sound_runs_exercise_the_rules() -> None:
    seen: set[str] = set()
    for seed in range(10):
        seen |= check_lines(SmallRaft(seed, 4000, rough=0.2).lines).events.keys()
    assert {"cut", "commit", "crash", "send append_rejected", "receive append_accepted"} <= seen


@pytest.mark.parametrize("bug", BUGS)
def test_bug_is_found(bug: str) -> None:
    assert any(broken_rule(seed, bug) for seed in range(SEEDS_TO_FIND_A_BUG))


def test_long_trace_is_checked_fast() -> None:
    run = SmallRaft(1, 80_000, rough=0.02)
    lines = run.lines[:100_000]
    assert len(lines) == 100_000
    begun = time.perf_counter()
    summary = check_lines(lines)
    taken_s = time.perf_counter() - begun
    assert summary.committed > 0
    assert taken_s < CHECK_LIMIT_S, f"{summary.lines} lines took {taken_s:.2f} s"
