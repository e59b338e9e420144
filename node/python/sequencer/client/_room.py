"""Who waits for room in a session's window: whoever came first publishes first."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Room:
    """A queue for room.

    Attributes:
        queued: How many stand in it, whoever has the turn included.
    """

    def __init__(self) -> None:
        self.queued = 0
        self._turnstile = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn to wait for room."""
        self.queued += 1
        try:
            async with self._turnstile:
                yield
        finally:
            self.queued -= 1

    async def wait(self) -> None:
        """Wait until something has changed; only whose turn it is may."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def tell(self) -> None:
        """There may be room now, or never again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
