"""The term table against a slow, obvious twin: a list with the term of every byte.

What goes in: small logs made by hypothesis. What is checked: all questions that the rules ask of a table.
Nothing here is real but the table.
"""

from hypothesis import given
from hypothesis import strategies as st
from raft_checker.log import TermTable
from raft_checker.node import Node
from raft_checker.trace import Message

Bytes = list[int]
logs = st.lists(st.integers(1, 4), max_size=12).map(sorted)


def starts(log: Bytes, first: int, stop: int) -> list[tuple[int, int]]:
    """Term starts in [first, stop)."""
    return [(log[at], at) for at in range(first, stop) if at == 0 or log[at - 1] != log[at]]


def table(log: Bytes) -> TermTable:
    """The table of a log."""
    return TermTable.of(starts(log, 0, len(log)), len(log))


def shared(a: Bytes, b: Bytes) -> int:
    """Length of the common beginning."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@given(logs, st.integers(0, 12), st.integers(0, 12))
def test_questions(log: Bytes, a: int, b: int) -> None:
    low, high = sorted((min(a, len(log)), min(b, len(log))))
    built = table(log)
    assert built.last() == ((log[-1], len(log)) if log else (0, 0))
    assert built.term_before(high) == (log[high - 1] if high else 0)
    assert built.starts_inside(low, high) == starts(log, low, high)
    assert built.holds((log[high - 1] if high else 0, high))
    assert not built.holds((9, high)) and not built.holds((1, len(log) + 1))


@given(logs, logs, st.integers(0, 12))
def test_changes_and_comparison(log: Bytes, other: Bytes, to: int) -> None:
    built, to = table(log), min(to, len(log))
    assert built.common(table(other)) == shared(log, other)
    copy = built.copy()
    built.cut(to)
    assert (built.entries(), built.end) == (starts(log, 0, to), to)
    built.extend(starts(log, to, len(log)), len(log))
    assert (built.entries(), built.end) == (copy.entries(), copy.end)


@given(logs, logs, st.integers(0, 12))
def test_conflict_with_a_message(mine: Bytes, leader: Bytes, start: int) -> None:
    start = min(start, shared(mine, leader))
    node = Node(1, log=table(mine))
    m: Message = {
        "previous": [leader[start - 1] if start else 0, start],
        "from": start,
        "to": len(leader),
        "terms": [list(pair) for pair in starts(leader, start, len(leader))],
    }
    same = shared(mine, leader)
    assert node.conflict(m) == (same if same < min(len(mine), len(leader)) else None)
    assert node.match_extent(m) == same
