"""A log without its bytes: where each term starts and where the log ends.

One leader creates all bytes of a term, in order, so the term at a position says which bytes are there as
long as the rules hold. So a table of term starts is enough to compare logs (section 5.3, log matching).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

End = tuple[int, int]
"""A log end (term of the last byte, position); ordered as votes compare it. (0, 0) is an empty log."""

NOTHING: End = (0, 0)


def as_end(pair: Sequence[int] | None) -> End:
    """A log end or claim of the trace in comparable form; none at all is the empty log."""
    return NOTHING if pair is None else (pair[0], pair[1])


class TermTable:
    """The terms of a log from position 0 to `end` (bytes).

    Invariant: `starts` begins with 0 unless the log is empty; `terms` and `starts` both strictly increase;
    the last start is below `end`.
    """

    __slots__ = ("end", "starts", "terms")

    def __init__(self) -> None:
        self.terms: list[int] = []
        self.starts: list[int] = []
        self.end = 0

    @staticmethod
    def of(entries: Sequence[Sequence[int]], end: int) -> "TermTable":
        """Build a table from [term, start] pairs.

        Raises:
            ValueError: The pairs cannot be the term table of a log with that end.
        """
        table = TermTable()
        table.terms = [term for term, _ in entries]
        table.starts = [start for _, start in entries]
        table.end = end
        rising = all(a < b for a, b in pairwise(table.terms))
        placed = all(a < b for a, b in pairwise([*table.starts, end]))
        begins = (table.starts[0] == 0 and table.terms[0] > 0) if table.starts else end == 0
        if not (rising and placed and begins):
            raise ValueError(f"terms {list(entries)} cannot be the term table of a log that ends at {end}")
        return table

    def entries(self) -> list[End]:
        """The (term, start) pairs."""
        return list(zip(self.terms, self.starts, strict=True))

    def last(self) -> End:
        """The log end, as votes compare it."""
        return (self.terms[-1], self.end) if self.terms else NOTHING

    def term_before(self, position: int) -> int:
        """Term of the byte that ends at `position`, which must lie within the log; 0 at position 0."""
        if position <= 0:
            return 0
        if position > self.starts[-1]:
            return self.terms[-1]
        return self.terms[bisect_left(self.starts, position) - 1]

    def end_at(self, position: int) -> End:
        """The log end that a cut to `position` would leave."""
        return (self.term_before(position), position) if position else NOTHING

    def holds(self, end: Sequence[int]) -> bool:
        """Whether the log reaches the position and has that term just before it: the consistency check."""
        term, position = end
        return 0 <= position <= self.end and self.term_before(position) == term

    def starts_inside(self, start: int, stop: int) -> list[End]:
        """The (term, start) pairs whose start lies in [start, stop)."""
        if not self.starts or self.starts[-1] < start:
            return []
        low, high = bisect_left(self.starts, start), bisect_left(self.starts, stop)
        return list(zip(self.terms[low:high], self.starts[low:high], strict=True))

    def extend(self, entries: Sequence[End], to: int) -> None:
        """Grow to `to`, with the term starts inside the new range."""
        for term, start in entries:
            self.terms.append(term)
            self.starts.append(start)
        self.end = to

    def cut(self, to: int) -> None:
        """Drop all bytes from `to` on."""
        keep = bisect_left(self.starts, to)
        del self.terms[keep:], self.starts[keep:]
        self.end = to

    def copy(self) -> "TermTable":
        """A table of its own with the same content."""
        twin = TermTable()
        twin.terms, twin.starts, twin.end = self.terms[:], self.starts[:], self.end
        return twin

    def common(self, other: "TermTable") -> int:
        """Length in bytes of the longest beginning that both logs share."""
        shared = 0
        for mine, theirs in zip(self.entries(), other.entries(), strict=False):
            if mine != theirs:
                break
            shared += 1
        if shared == 0:
            return 0
        mine_end = self.starts[shared] if shared < len(self.starts) else self.end
        their_end = other.starts[shared] if shared < len(other.starts) else other.end
        return min(mine_end, their_end)


def new_starts(entries: Sequence[Sequence[int]], start: int, term_before: int) -> list[End]:
    """The term starts of a range, without a first pair that only repeats the term going on at `start`."""
    pairs = [(term, position) for term, position in entries]
    if pairs and pairs[0] == (term_before, start):
        del pairs[0]
    return pairs
