"""Subscriptions as plain iterators: batches wait in a bounded queue between the loop's thread and the caller's."""

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from sequencer._native import Frame
from sequencer.client._batch import Batch
from sequencer.client.blocking._portal import Portal
from sequencer.types import FrameKind

if TYPE_CHECKING:
    from sequencer.client.blocking._client import Client

READ_AHEAD_BYTES = 4 << 20
"""Bytes that wait to be taken above which nothing more is asked for."""

T = TypeVar("T")


class Handoff:
    """The queue. `put` and `end` are for the loop's thread, `take` for any other."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._changed = threading.Condition()
        self._batches: deque[Batch] = deque()
        self._bytes = 0
        self._room: asyncio.Future[None] | None = None
        self._is_over = False
        self._error: BaseException | None = None

    async def put(self, batch: Batch) -> None:
        """Hand a batch over; returns when there is room for the next."""
        with self._changed:
            if self._is_over:
                return
            self._batches.append(batch)
            self._bytes += len(batch.bytes)
            self._changed.notify()
            if self._bytes < READ_AHEAD_BYTES:
                return
            self._room = room = asyncio.get_running_loop().create_future()
        await room

    def end(self, error: BaseException | None) -> None:
        """There will be no more; whoever has taken all gets the error, if there is one."""
        with self._changed:
            self._is_over, self._error = True, error
            self._changed.notify_all()

    def drop(self) -> None:
        """Nobody wants any more."""
        with self._changed:
            self._batches.clear()
            self._is_over = True
            self._changed.notify_all()

    def take(self) -> Batch | None:
        """Wait for the next batch; None when there is none. Whoever is interrupted loses nothing."""
        with self._changed:
            while not self._batches:
                if self._is_over:
                    if self._error is not None:
                        raise self._error
                    return None
                self._changed.wait()
            batch = self._batches.popleft()
            self._bytes -= len(batch.bytes)
            room = self._room
            if room is None or self._bytes >= READ_AHEAD_BYTES:
                return batch
            self._room = None
        self._portal.tell(lambda: _settle(room))
        return batch


class _Subscription(Generic[T]):
    """What both kinds have in common: an iterator that can be closed, and ends with the client."""

    def __init__(
        self, client: "Client", portal: Portal, batches: Callable[[], AsyncGenerator[Batch]]
    ) -> None:
        # As long as somebody reads, the client stays.
        self._client = client
        self._handoff = Handoff(portal)
        task = portal.call(lambda: asyncio.create_task(_feed(batches(), self._handoff)))
        self._end = weakref.finalize(self, _end, portal, task, self._handoff)

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; iterators end as well."""
        self._end()


class Batches(_Subscription[Batch]):
    """Batches of the committed log, in order and without a gap; `Client.subscribe_batches` makes it."""

    def __next__(self) -> Batch:
        batch = self._handoff.take()
        if batch is None:
            raise StopIteration
        return batch


class Frames(_Subscription[Frame]):
    """Frames of the committed log, in order and without a gap; `Client.subscribe` makes it."""

    def __init__(
        self,
        client: "Client",
        portal: Portal,
        batches: Callable[[], AsyncGenerator[Batch]],
        kinds: Collection[FrameKind] | None,
    ) -> None:
        super().__init__(client, portal, batches)
        self._kinds = None if kinds is None else frozenset(kinds)
        self._frames: Iterator[Frame] = iter(())

    def __next__(self) -> Frame:
        while True:
            for frame in self._frames:
                if self._kinds is None or frame.kind in self._kinds:
                    return frame
            batch = self._handoff.take()
            if batch is None:
                raise StopIteration
            self._frames = iter(batch.frames())

    def close(self) -> None:
        """End it; iterators end as well."""
        super().close()
        self._frames = iter(())


async def _feed(batches: AsyncGenerator[Batch], handoff: Handoff) -> None:
    """Read batches and hand them over, until there are none or the task is cancelled."""
    try:
        async with contextlib.aclosing(batches):
            async for batch in batches:
                await handoff.put(batch)
    except asyncio.CancelledError:
        handoff.end(None)
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the other thread is to have it
        handoff.end(error)
    else:
        handoff.end(None)


def _settle(room: "asyncio.Future[None]") -> None:
    # Whoever waited may have been cancelled meanwhile.
    if not room.done():
        room.set_result(None)


def _end(portal: Portal, task: "asyncio.Task[None]", handoff: Handoff) -> None:
    handoff.drop()
    portal.tell(task.cancel)
