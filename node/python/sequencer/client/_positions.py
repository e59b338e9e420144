"""Positions of many messages, at eight bytes each."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from sequencer.types import Position


class Positions(Sequence[Position]):
    """Where messages stand in the log, in the order in which they were published."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values = array("Q")

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Position: ...
    @overload
    def __getitem__(self, index: slice) -> "Positions": ...
    def __getitem__(self, index: int | slice) -> "Position | Positions":
        if isinstance(index, int):
            return Position(self._values[index])
        part = Positions()
        part._values = self._values[index]
        return part

    def __iter__(self) -> Iterator[Position]:
        return map(Position, self._values)

    def __repr__(self) -> str:
        if not self._values:
            return "Positions()"
        return f"Positions({len(self)} from {self._values[0]} to {self._values[-1]})"

    def extend_from(self, data: bytes) -> None:
        """Append numbers of eight bytes each, little endian."""
        if sys.byteorder == "little":
            self._values.frombytes(data)
        else:
            values = array("Q", data)
            values.byteswap()
            self._values.extend(values)
