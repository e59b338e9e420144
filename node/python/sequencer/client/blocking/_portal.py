"""A thread that runs an event loop, and the way for other threads to have something done there."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sequencer.errors import RejectedError, SessionClosedError

T = TypeVar("T")


class Portal:
    """See the module's description.

    Whoever waits and is interrupted, by Ctrl-C for instance, has what it waits for cancelled; the portal goes on.

    Args:
        name: Name of the thread.
        on_stop: Awaited in the loop before it ends.
    """

    def __init__(self, name: str, *, on_stop: Callable[[], Awaitable[None]]) -> None:
        self._on_stop = on_stop
        # A finalizer that stops the portal may run wherever memory is asked for, also where the lock is held.
        self._lock = threading.RLock()
        self._is_open = True
        started: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
        started = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self._thread.start()
        self._loop, self._stopping = started.result()

    @property
    def is_open(self) -> bool:
        """Whether something can be done there; never in a process that was forked from the one that made it."""
        return self._is_open and self._thread.is_alive()

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Begin something in the loop.

        Raises:
            SessionClosedError: The portal was stopped.
            RejectedError: The caller is in the loop's thread, which must not wait for itself.
        """
        try:
            if threading.current_thread() is self._thread:
                raise RejectedError(
                    "A callback of the client must not use it; hand the work to a thread of yours."
                )
            with self._lock:
                if not self.is_open:
                    raise _closed()
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException:
            work.close()
            raise

    def wait(self, future: "concurrent.futures.Future[T]") -> T:
        """Wait for what was begun; whoever is interrupted cancels it."""
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise _closed() from None
        except BaseException:
            future.cancel()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done in the loop, and wait for what comes of it.

        Raises:
            As `submit`, and whatever the work raises.
        """
        return self.wait(self.submit(work))

    def call(self, work: Callable[[], T]) -> T:
        """Call a function in the loop, and return what it returns."""

        async def once() -> T:
            return work()

        return self.run(once())

    def tell(self, work: Callable[[], object]) -> None:
        """Have a function called in the loop some time soon; nothing happens when the portal was stopped."""
        with self._lock:
            if self.is_open:
                self._loop.call_soon_threadsafe(work)

    def stop(self) -> None:
        """End the loop and its thread. What is waited for is cancelled."""
        with self._lock:
            if self.is_open:
                self._is_open = False
                self._loop.call_soon_threadsafe(self._stopping.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(
        self, started: "concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]"
    ) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(
        self, started: "concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]"
    ) -> None:
        stopping = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), stopping))
        await stopping.wait()
        await self._on_stop()


def _closed() -> SessionClosedError:
    return SessionClosedError("The client is closed.")
