"""Who waits for which message's acknowledgement.

The native client numbers messages in the order in which they are published and tells of every number once, in order. So
those who wait stand in a queue, and what is told is always about its front.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from struct import unpack_from

from sequencer.client._positions import Positions
from sequencer.errors import SequencerError
from sequencer.types import Position

_POSITION_BYTES = 8


class Flow:
    """Many messages that one caller waits for together.

    Attributes:
        positions: Where those stand that are acknowledged.
        error: Why the first that is not was given up.
    """

    __slots__ = ("_waiter", "error", "positions", "waiting")

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.error: SequencerError | None = None
        self.waiting = 0
        self._waiter: asyncio.Future[None] | None = None

    def settle(self) -> None:
        """Wake the caller if there is nothing more to wait for."""
        if self._waiter is not None and not self._waiter.done() and not self.waiting:
            self._waiter.set_result(None)

    async def finish(self) -> None:
        """Wait until each message is acknowledged or given up.

        Raises:
            SequencerError: Why the first was given up.
        """
        if self.waiting:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.error is not None:
            raise self.error


class Pending:
    """The queue of those who wait."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, asyncio.Future[Position] | Flow]] = deque()
        self._next = 1
        self._end = 1
        self._idle: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return self._end - self._next

    def expect(self, number: int, future: "asyncio.Future[Position]") -> None:
        """Someone waits for one message."""
        self._queue.append((number, future))
        self._end = number + 1

    def expect_many(self, first: int, count: int, flow: Flow) -> None:
        """Someone waits for several."""
        flow.waiting += count
        self._end = first + count
        self._queue.append((self._end - 1, flow))

    def acknowledge(self, positions: bytes) -> None:
        """The oldest messages stand in the log, at these positions of eight bytes each."""
        queue = self._queue
        offset, end = 0, len(positions)
        while offset < end:
            last, target = queue[0]
            if isinstance(target, Flow):
                count = min(last + 1 - self._next, (end - offset) // _POSITION_BYTES)
                upto = offset + count * _POSITION_BYTES
                target.positions.extend_from(positions[offset:upto])
                target.waiting -= count
                offset = upto
                self._next += count
                if self._next > last:
                    queue.popleft()
                target.settle()
                continue
            queue.popleft()
            if not target.done():
                target.set_result(unpack_from("<Q", positions, offset)[0])
            offset += _POSITION_BYTES
            self._next += 1
        self._settle()

    def give_up(self, count: int, error: Callable[[int], SequencerError]) -> None:
        """The oldest `count` messages are given up; `error` makes the error for the one with this index."""
        end = self._next + count
        index = 0
        while self._next < end:
            last, target = self._queue[0]
            upto = min(last + 1, end)
            if isinstance(target, Flow):
                target.error = target.error or error(index)
                target.waiting -= upto - self._next
                target.settle()
            elif not target.done():
                target.set_exception(error(index))
            index += upto - self._next
            self._next = upto
            if upto > last:
                self._queue.popleft()
        self._settle()

    async def empty(self) -> None:
        """Wait until nobody waits."""
        if self._queue:
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter

    def _settle(self) -> None:
        if self._idle and not self._queue:
            for waiter in self._idle:
                if not waiter.done():
                    waiter.set_result(None)
            self._idle.clear()
