"""Runs the test suites one after another and prints what each took.

A suite is a target of the Makefile. All of them run, even when one fails, so that one run shows everything there
is to mend. The exit status is 0 when all passed; the last line printed counts them.
"""

import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How one suite ended."""

    suite: str
    passed: bool
    minutes: float


def run(make: str, suite: str) -> Outcome:
    """Run one target of the Makefile, its output going straight through."""
    print(f"\n=== {suite} ===", flush=True)
    start = time.monotonic()
    status = subprocess.run([make, "--no-print-directory", suite], stdin=subprocess.DEVNULL, check=False)
    return Outcome(suite, status.returncode == 0, (time.monotonic() - start) / 60)


def report(outcomes: list[Outcome]) -> str:
    """Render the table of suites, a total, the names of those that failed, and the line that counts them."""
    width = max(len("suite"), *(len(outcome.suite) for outcome in outcomes))
    lines = ["", f"{'suite':<{width}}  minutes  result"]
    lines += [f"{o.suite:<{width}}  {o.minutes:7.2f}  {'passed' if o.passed else 'FAILED'}" for o in outcomes]
    lines.append(f"{'total':<{width}}  {sum(o.minutes for o in outcomes):7.2f}")
    failed = [outcome.suite for outcome in outcomes if not outcome.passed]
    if failed:
        lines.append(f"Failed: {', '.join(failed)}. Run one alone with `make {failed[0]}`.")
    lines.append(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return "\n".join(lines)


def main(make: str, suites: list[str]) -> int:
    """Run `suites` in order; 0 when every one passed, 1 otherwise."""
    outcomes = [run(make, suite) for suite in suites]
    print(report(outcomes), flush=True)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: suites.py MAKE SUITE...")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
