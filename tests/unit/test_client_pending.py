"""Who waits for which acknowledgement, and the positions that come with it.

In go numbers and bytes by hand, as the native client tells them; the queue and the event loop are real.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
from sequencer.client import Positions
from sequencer.client._pending import Flow, Pending
from sequencer.errors import SequencerError, SkippedError
from sequencer.types import Position

T = TypeVar("T")


def packed(positions: Sequence[int]) -> bytes:
    """Positions as the native client tells them."""
    return struct.pack(f"<{len(positions)}Q", *positions)


def in_loop(body: Callable[[], Awaitable[T]]) -> T:
    """Run a test in an event loop."""

    async def run() -> T:
        return await body()

    return asyncio.run(run())


def refused(index: int) -> SequencerError:
    """Make the error of a message that was given up."""
    return SkippedError(f"message {index}", retry_after_s=0.0)


def test_acknowledgements_reach_those_who_wait_in_their_order() -> None:
    async def body() -> None:
        pending, flow = Pending(), Flow(Positions())
        loop = asyncio.get_running_loop()
        before, after = loop.create_future(), loop.create_future()
        pending.expect(1, before)
        pending.expect_many(2, 3, flow)
        pending.expect(5, after)
        assert len(pending) == 5
        # An answer may end in the middle of what one caller waits for.
        pending.acknowledge(packed([80, 160]))
        assert (await before, list(flow.positions), len(pending)) == (80, [160], 3)
        pending.acknowledge(packed([240, 320, 400]))
        await flow.finish()
        assert (list(flow.positions), await after, len(pending)) == ([160, 240, 320], 400, 0)
        await pending.empty()

    in_loop(body)


def test_what_is_given_up_raises_and_the_rest_goes_on() -> None:
    async def body() -> None:
        pending, flow = Pending(), Flow(Positions())
        single: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        pending.expect_many(1, 3, flow)
        pending.expect(4, single)
        pending.acknowledge(packed([80]))
        pending.give_up(3, refused)
        with pytest.raises(SkippedError, match="message 0"):
            await flow.finish()
        with pytest.raises(SkippedError, match="message 2"):
            await single
        assert list(flow.positions) == [80]
        later: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        pending.expect(5, later)
        pending.acknowledge(packed([160]))
        assert await later == 160

    in_loop(body)


def test_a_caller_that_was_cancelled_keeps_its_place() -> None:
    async def body() -> None:
        pending = Pending()
        loop = asyncio.get_running_loop()
        gone, waiting = loop.create_future(), loop.create_future()
        pending.expect(1, gone)
        pending.expect(2, waiting)
        gone.cancel()
        pending.acknowledge(packed([80, 160]))
        assert await waiting == 160

    in_loop(body)


def test_positions_are_a_sequence() -> None:
    positions = Positions()
    assert (list(positions), repr(positions)) == ([], "Positions()")
    positions.extend_from(packed([8, 2**64 - 8]))
    positions.extend_from(packed([16]))
    assert list(positions) == [8, 2**64 - 8, 16]
    assert (positions[0], positions[-1], len(positions)) == (8, 16, 3)
    assert list(positions[1:]) == [2**64 - 8, 16]
    assert repr(positions[:1]) == "Positions(1 from 8 to 8)"
