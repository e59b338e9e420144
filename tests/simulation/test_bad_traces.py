"""Every rule must have teeth.

What goes in: good traces written by hand, each with one last line that breaks a rule. What is checked: the
checker passes the beginning, and names exactly that rule at exactly that line; and no rule is without such a
trace. What is real: the checker. What is not: no node runs here.
"""

import pytest
from bad_stories import Bad
from bad_traces import all_bad
from raft_checker import Rule, Violation, check_lines
from story import committed

CASES = all_bad()


@pytest.mark.parametrize("bad", CASES, ids=[f"{bad.rule.value.name}: {bad.what}" for bad in CASES])
def test_bad_trace_is_caught(bad: Bad) -> None:
    lines = bad.story.text()
    check_lines(lines[:-1], bad.ignored)
    with pytest.raises(Violation) as caught:
        check_lines(lines, bad.ignored)
    assert caught.value.rule is bad.rule, str(caught.value)
    assert caught.value.line == len(lines)
    assert caught.value.event == lines[-1]


@pytest.mark.parametrize("bad", [bad for bad in CASES if bad.ignored], ids=lambda bad: bad.rule.value.name)
def test_what_is_implied_is_caught_earlier(bad: Bad) -> None:
    with pytest.raises(Violation) as caught:
        check_lines(bad.story.text())
    assert caught.value.rule in bad.ignored


def test_each_rule_has_a_bad_trace() -> None:
    assert {bad.rule for bad in CASES} == set(Rule)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ([], "empty"),
        (["[]"], "object"),
        (["{"], "JSON"),
        (['{"ev": "start"}'], "config"),
        (['{"ev": "config", "seed": 1, "durability": "fsync"}'], "voters"),
        (['{"ev": "config", "seed": 1, "voters": [], "durability": "fsync"}'], "voters"),
        (['{"ev": "config", "seed": 1, "voters": [1], "durability": "tape"}'], "tape"),
        (['{"ev": "config", "seed": "x", "voters": [1], "durability": "fsync"}'], "seed"),
        ([*committed().text(), "torn {"], "JSON"),
    ],
)
def test_unreadable_trace_is_a_violation(head: list[str], part: str) -> None:
    with pytest.raises(Violation, match=part) as caught:
        check_lines(head)
    assert caught.value.rule is Rule.TRACE_FORM
    assert caught.value.line == len(head)
