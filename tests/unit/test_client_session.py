"""A session of the asyncio client, refusals and endings above all: who is told what, and what is still published.

In go events as the native client tells them, and a native client made by hand that takes as much as its window holds.
The event loop and its wake-ups are real.
"""

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from sequencer import _native
from sequencer.client import Positions, Session
from sequencer.client._refusals import Troubles
from sequencer.errors import (
    FencedError,
    LogFullError,
    RejectedError,
    SequencerError,
    SessionClosedError,
    SessionLostError,
    SkippedError,
    UnavailableError,
    WindowFullError,
)

LOG_FULL = ("log_full", "The disks are full.", True, b"{}")
GONE = ("session_unknown", "There is no such session.", False, b"{}")


class FakeNative:
    """A native client that is told what to tell.

    Attributes:
        taken: Payloads that were published and are neither acknowledged nor refused.
    """

    def __init__(self, window: int) -> None:
        self.taken: list[bytes] = []
        self.closings = 0
        self._window = window
        self._next = 1
        self._events: list[tuple[Any, ...]] = []
        self._reader, self._writer = os.pipe()

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def tell(self, *event: object) -> None:
        """Have an event told in the next turn."""
        self._events.append(event)
        os.write(self._writer, b"!")

    def acknowledge(self, count: int) -> None:
        """Acknowledge the oldest; they stand at their number, times eight."""
        first = self._next - len(self.taken)
        del self.taken[:count]
        positions = struct.pack(f"<{count}Q", *(8 * number for number in range(first, first + count)))
        self.tell("admitted", first, first, positions)

    def refuse(self, why: tuple[str, str, bool, bytes]) -> None:
        """Refuse the oldest, and with it all that are under way."""
        first, count = self._next - len(self.taken), len(self.taken)
        self.taken.clear()
        self.tell("refused", first, count, why)

    def fileno(self) -> int:
        """Something to wait for."""
        return self._reader

    def due_s(self) -> float | None:
        """Nothing is ever due."""
        return None

    def poll(self, timeout_s: float | None) -> list[tuple[Any, ...]]:
        """Tell."""
        assert timeout_s == 0.0
        if self._events:
            os.read(self._reader, len(self._events))
        told, self._events = self._events, []
        return told

    def publish(self, payload: bytes, **_fields: int) -> int:
        """Take one."""
        if len(self.taken) == self._window:
            raise WindowFullError("The window is full.", messages=len(self.taken), bytes=0)
        self.taken.append(payload)
        self._next += 1
        return self._next - 1

    def publish_many(self, payloads: Sequence[bytes], *, start: int, **fields: int) -> tuple[int, int]:
        """Take as many as fit."""
        first = self.publish(payloads[start], **fields)
        count = 1
        while start + count < len(payloads) and len(self.taken) < self._window:
            self.publish(payloads[start + count], **fields)
            count += 1
        return first, count

    def close_session(self) -> None:
        """Count how often it was asked to."""
        self.closings += 1


def with_session(body: Callable[[Session, FakeNative], Awaitable[None]], *, window: int = 4) -> list[Session]:
    """Run a test with a session that is open; the sessions that have ended by then."""
    ended: list[Session] = []

    async def run() -> None:
        native = FakeNative(window)
        session = Session(
            cast(_native.Client, native),
            "orders",
            Troubles(["a:1"]),
            on_end=lambda session: ended.append(session),
        )
        native.tell("opened", 7, 2, 40, True)
        await session.opened(5.0)
        async with asyncio.timeout(10.0):
            await body(session, native)
        if session not in ended:
            session.abandon()
            ended.pop()

    asyncio.run(run())
    return ended


def test_what_is_known_of_a_session_that_was_opened() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        assert (session.name, session.id, session.epoch, session.last_sequence) == ("orders", 7, 2, 40)
        native.tell("opened", 7, 3, 44, True)
        await session.flush()
        future = session.publish_nowait(b"x")
        native.acknowledge(1)
        await future
        assert (session.epoch, session.last_sequence) == (3, 44)

    with_session(body)


def test_nothing_of_a_flow_is_published_behind_a_refusal() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        into = Positions()
        payloads = [b"%d" % number for number in range(10)]
        flow = asyncio.create_task(session.publish_many(payloads, into=into))
        await turns()
        assert native.taken == payloads[:4]
        native.acknowledge(2)
        await turns()
        assert native.taken == payloads[2:6]
        # The refusal makes room, for which the rest of the flow waits.
        native.refuse(LOG_FULL)
        with pytest.raises(LogFullError):
            await flow
        assert native.taken == []
        assert list(into) == [8, 16]
        later = session.publish_nowait(b"later")
        native.acknowledge(1)
        assert await later == 56

    with_session(body)


def test_those_behind_a_refusal_are_told_why() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        futures = [session.publish_nowait(b"x") for _ in range(3)]
        native.refuse(LOG_FULL)
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LogFullError, SkippedError, SkippedError]
        assert cast(BaseException, outcomes[1]).__cause__ is outcomes[0]
        assert session.unacknowledged == 0

    with_session(body)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (("session_lost", 7, 1, 2, GONE), SessionLostError),
        (("fenced", 7, 2, 1, 2), FencedError),
    ],
)
def test_the_end_of_a_session_reaches_everybody(
    event: tuple[object, ...], expected: type[SequencerError]
) -> None:
    async def body(session: Session, native: FakeNative) -> None:
        futures = [session.publish_nowait(b"x") for _ in range(2)]
        native.tell(*event)
        for future in futures:
            with pytest.raises(expected) as caught:
                await future
            assert (getattr(caught.value, "first", 0), getattr(caught.value, "count", 0)) == (1, 2)
        with pytest.raises(expected):
            await session.publish(b"late")
        with pytest.raises(expected):
            await session.publish_many([b"late"])
        # It has ended already.
        await session.close()
        session.abandon()
        assert session.id == 7

    assert len(with_session(body)) == 1


def test_whoever_waits_for_room_is_told_of_the_end() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        flow = asyncio.create_task(session.publish_many([b"x"] * 10))
        single = asyncio.create_task(session.publish(b"y"))
        await turns()
        native.tell("fenced", 7, 2, 1, 4)
        for task in (flow, single):
            with pytest.raises(FencedError):
                await task

    with_session(body)


def test_closing_is_asked_for_once_and_again_after_a_refusal() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        closers = [asyncio.create_task(session.close()) for _ in range(2)]
        await turns()
        assert native.closings == 1
        native.tell("refused", 1, 0, ("unavailable", "Not now.", True, b"{}"))
        for closer in closers:
            with pytest.raises(UnavailableError):
                await closer
        closer = asyncio.create_task(session.close())
        await turns()
        closer.cancel()
        again = asyncio.create_task(session.close())
        await turns()
        assert native.closings == 2
        native.tell("session_closed", 7)
        await again
        with pytest.raises(SessionClosedError):
            session.publish_nowait(b"late")

    assert len(with_session(body)) == 1


def test_whoever_came_first_publishes_first() -> None:
    async def body(session: Session, native: FakeNative) -> None:
        tasks = [asyncio.create_task(session.publish(b"%d" % number)) for number in range(8)]
        await turns()
        with pytest.raises(WindowFullError):
            session.publish_nowait(b"in between")
        tasks[5].cancel()
        seen = []
        while native.taken:
            seen.append(native.taken[0])
            native.acknowledge(1)
            await turns()
        assert seen == [b"0", b"1", b"2", b"3", b"4", b"6", b"7"]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(asyncio.CancelledError) == 1

    with_session(body)


def test_a_session_that_is_refused_at_its_opening() -> None:
    async def run() -> None:
        native = FakeNative(4)
        session = Session(cast(_native.Client, native), "orders", Troubles(["a:1"]), on_end=lambda _: None)
        with pytest.raises(SessionClosedError, match="not open yet"):
            assert session.id
        native.tell("open_refused", 1, 0, ("name_taken", "Another class owns it.", False, b"{}"))
        with pytest.raises(RejectedError, match="Another class owns it"):
            await session.opened(5.0)

    asyncio.run(run())


async def turns() -> None:
    """Let the loop take in what is told, and everybody go on who was woken."""
    for _ in range(10):
        await asyncio.sleep(0)
