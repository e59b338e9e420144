"""The simulator's runs, judged by the second opinion.

What goes in: traces of whole simulated clusters, one for each seed, written by the simulator. What is
checked: every rule of `raft_checker` on every line, and that the seeds together exercised elections, commits,
cuts and restarts. What is real: the core and the storage code that run inside the simulator. What is not:
network, disks and clocks.

Settings:
    SEQUENCER_SIM: Path of the simulator's binary; without it cargo builds and runs it in node/.
    SECOND_OPINION_SEEDS: How many seeds, counted from 0 (default 40).
    SECOND_OPINION_FIRST_SEED: The first seed (default 0).
"""

import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from raft_checker import Summary, Violation, check_lines

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = int(os.environ.get("SECOND_OPINION_FIRST_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("SECOND_OPINION_SEEDS", "40")))
if not SEEDS:
    raise ValueError("SECOND_OPINION_SEEDS must be at least 1, or nothing would be checked")
RUN_LIMIT_S = 120
"""A trace takes about a second; a simulator that has not ended by then hangs."""
BUILD_LIMIT_S = 1800

EXERCISED = (
    "role", "append", "cut", "crash", "start", "commit", "durable", "hard_state",
    "receive pre_vote_request", "receive vote_request", "receive vote_response", "receive append",
    "receive append_accepted", "receive append_rejected",
)  # fmt: skip
"""What must occur in the seeds together, or their good result would say little."""
JUDGED_SEEDS = 20
"""Fewer seeds than this may well miss something of EXERCISED by chance."""


def _run(command: Sequence[str], limit_s: int) -> str:
    """Run a command in node/ and return its standard output.

    Raises:
        pytest.fail.Exception: It cannot be run, fails, or takes longer than the limit.
    """
    shown = " ".join(command)
    advice = "Build the simulator, or name its binary in SEQUENCER_SIM."
    try:
        done = subprocess.run(
            command, cwd=ROOT / "node", capture_output=True, text=True, check=False, timeout=limit_s
        )
    except OSError as error:
        pytest.fail(f"The simulator cannot be run: `{shown}`: {error}. {advice}", pytrace=False)
    except subprocess.TimeoutExpired:
        pytest.fail(f"The simulator has not ended after {limit_s} s: `{shown}`.", pytrace=False)
    if done.returncode != 0:
        tail = done.stderr.strip()[-2000:]
        pytest.fail(f"`{shown}` ended with status {done.returncode}. {advice}\n{tail}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="module")
def simulator() -> list[str]:
    """The beginning of the command that runs the simulator, built once if need be."""
    given = os.environ.get("SEQUENCER_SIM")
    if given:
        return [str(Path(given).resolve())]
    of_package = ["--quiet", "--profile", "sim", "-p", "sequencer-sim", "--bin", "sequencer-sim"]
    _run(["cargo", "build", *of_package], BUILD_LIMIT_S)
    return ["cargo", "run", *of_package, "--"]


@pytest.fixture(scope="module")
def summaries() -> dict[int, Summary]:
    """What each good trace of this session held, by seed."""
    return {}


@pytest.mark.parametrize("seed", SEEDS)
def test_trace_keeps_every_rule(seed: int, simulator: list[str], summaries: dict[int, Summary]) -> None:
    command = [*simulator, "trace", "--seed", str(seed), "--json", "--plain"]
    trace = _run(command, RUN_LIMIT_S)
    try:
        summary = check_lines(trace.splitlines())
    except Violation as violation:
        pytest.fail(
            f"seed {seed} breaks a rule; see it again with `{' '.join(command)}`\n{violation}", pytrace=False
        )
    assert summary.lines > 1, f"the trace of seed {seed} holds nothing but its configuration"
    summaries[seed] = summary


def test_seeds_exercise_the_rules(summaries: dict[int, Summary]) -> None:
    """Good traces that hold nothing worth checking are no good result."""
    if len(SEEDS) < JUDGED_SEEDS:
        pytest.skip(f"{len(SEEDS)} seeds are too few to judge what they exercise; ask for {JUDGED_SEEDS}")
    total: Counter[str] = Counter()
    for summary in summaries.values():
        total.update(summary.events)
    missing = [name for name in EXERCISED if not total[name]]
    assert not missing, f"none of {len(summaries)} good traces holds {missing}"
    assert any(summary.leaders > 1 for summary in summaries.values()), "no trace elects a second leader"
    assert any(summary.committed > 0 for summary in summaries.values()), "no trace commits anything"
