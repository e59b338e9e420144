"""How `make test` reports: the table, the names of what failed, and the closing line that a machine reads.

In go outcomes made by hand; no suite is run.
"""

from suites import Outcome, report


def test_all_passed() -> None:
    text = report([Outcome("check", True, 0.5), Outcome("second-opinion", True, 1.25)])
    assert text.splitlines() == [
        "",
        "suite           minutes  result",
        "check              0.50  passed",
        "second-opinion     1.25  passed",
        "total              1.75",
        "2 passed, 0 failed",
    ]


def test_those_that_failed_are_named_before_the_closing_line() -> None:
    lines = report(
        [Outcome("check", False, 0.5), Outcome("sim", True, 1), Outcome("rust", False, 2)]
    ).splitlines()
    assert lines[-2] == "Failed: check, rust. Run one alone with `make check`."
    assert lines[-1] == "1 passed, 2 failed"
