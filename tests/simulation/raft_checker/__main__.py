"""Check one trace: `PYTHONPATH=tests/simulation python -m raft_checker FILE` from the repository's root.

Exit status: 0 the trace keeps every rule, 1 it breaks one (which is printed), 2 it cannot be read.
"""

import argparse
import sys
from pathlib import Path

from raft_checker import Rule, Violation, check_path


def main() -> int:
    """Read the arguments, check the trace, print what was found."""
    names = {rule.value.name: rule for rule in Rule}
    parser = argparse.ArgumentParser(prog="raft_checker", description="Hold a trace against the Raft paper.")
    parser.add_argument("file", type=Path, help="JSON Lines trace, or - for standard input")
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        choices=sorted(names),
        metavar="RULE",
        help="pass over one rule, to see what follows from it; may be repeated",
    )
    arguments = parser.parse_args()
    try:
        summary = check_path(arguments.file, frozenset(names[name] for name in arguments.ignore))
    except OSError as error:
        print(f"cannot read {arguments.file}: {error}", file=sys.stderr)
        return 2
    except Violation as violation:
        print(violation)
        return 1
    events = ", ".join(f"{count} {name}" for name, count in sorted(summary.events.items()))
    print(f"events: {events}")
    print(
        f"ok: {summary.lines} lines, {summary.leaders} leaders elected, {summary.committed} bytes committed"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
