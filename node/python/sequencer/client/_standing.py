"""How a session stands: what waits for acknowledgement, what has become of it, and how it ends.

`Session` says what a caller may ask for; here the events of the native client are taken in.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sequencer._native import Client as NativeClient
from sequencer.client._driver import Driver
from sequencer.client._pending import Flow, Pending
from sequencer.client._refusals import Troubles, refusal_error
from sequencer.client._room import Room
from sequencer.errors import (
    FencedError,
    SequencerError,
    SessionClosedError,
    SessionLostError,
    SkippedError,
    UnavailableError,
    WindowFullError,
)
from sequencer.types import Position

if TYPE_CHECKING:
    from sequencer._native import _Event as NativeEvent
    from sequencer._native import _Why as Why

T = TypeVar("T")


class Standing:
    """See the module's description.

    Args:
        native: A client that is opening a session.
        on_end: Called once, when the session has ended.

    Attributes:
        name: Name of the session.
        pending: Who waits for acknowledgements.
        room: Who waits for room in the window.
    """

    def __init__(
        self, native: NativeClient, name: str, troubles: Troubles, *, on_end: Callable[[], None]
    ) -> None:
        self.name = name
        self.pending = Pending()
        self.room = Room()
        self._native: NativeClient | None = native
        self._troubles = troubles
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._identity: tuple[int, int, int] | None = None
        self._is_closing = False
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._end: Callable[[], SequencerError] | None = None
        self._driver = Driver(native, on_event=self._on_event, on_failure=self._fail)

    @property
    def identity(self) -> tuple[int, int, int]:
        """Id, epoch and last sequence, as of its last opening.

        Raises:
            SessionClosedError: It was never opened.
        """
        if self._identity is None:
            raise SessionClosedError(f"Session {self.name!r} is not open yet.")
        return self._identity

    def usable(self) -> NativeClient:
        """The native client, to publish with.

        Raises:
            SequencerError: The session has ended, for this reason.
        """
        if self._end is not None:
            raise self._end()
        assert self._native is not None  # noqa: S101  # it goes together with the end
        return self._native

    async def with_room(self, publish: Callable[[NativeClient], T]) -> T:
        """Publish as soon as there is room; only whose turn it is may."""
        while True:
            try:
                return publish(self.usable())
            except WindowFullError:
                await self.room.wait()

    def expect(self, number: int) -> "asyncio.Future[Position]":
        """What can be waited for of a message that was published just now."""
        future: asyncio.Future[Position] = self._loop.create_future()
        self.pending.expect(number, future)
        self._driver.wake()
        return future

    def expect_many(self, first: int, count: int, flow: Flow) -> None:
        """A flow waits for messages that were published just now."""
        self.pending.expect_many(first, count, flow)
        self._driver.wake()

    async def opened(self, timeout_s: float | None) -> None:
        """Wait until the session is open for the first time.

        Raises:
            RejectedError: The cluster refused, or every node refuses the connection.
            UnavailableError: It took longer than `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._opened
        except TimeoutError:
            text = f"Session {self.name!r} could not be opened within {timeout_s} s: {self._troubles.describe()}."
            raise UnavailableError(text, retry_after_s=1.0) from None

    async def close(self) -> None:
        """Close the session once all is acknowledged; whoever asks while it is being closed waits as well.

        Raises:
            RetryableError: The cluster refused; the session goes on.
        """
        if self._native is None:
            return
        if not self._is_closing:
            self._native.close_session()
            self._is_closing = True
            self._driver.wake()
        await asyncio.shield(self._closed)

    def give_up_all(self, end: Callable[[], SequencerError]) -> None:
        """The session has ended, for this reason; nothing happens when it has already."""
        if self._end is not None:
            return
        self._end = end
        self._driver.close()
        # The connection ends now, not when nobody remembers the session any more.
        self._native = None
        self.pending.give_up(len(self.pending), lambda _: end())
        if not self._opened.done():
            self._opened.set_exception(end())
        if not self._closed.done():
            self._closed.set_exception(end())
            # Only whoever closes it wants to know.
            self._closed.exception()
        self.room.tell()
        self._on_end()

    def _on_event(self, event: "NativeEvent") -> None:
        match event:
            case ("admitted", _, _, positions):
                self.pending.acknowledge(positions)
            case ("refused", _, 0, why):
                self._refuse_closing(why)
            case ("refused", _, count, why):
                self._refuse(count, why)
            case ("open_refused", _, _, why):
                self.give_up_all(lambda: refusal_error(why))
            case ("session_lost", session, first, count, (kind, message, _, _)):
                text = f"Session {self.name!r} is gone: {message} ({kind}). The fate of {count} messages is unknown."
                self.give_up_all(
                    lambda: SessionLostError(text, session=session, first=first, count=count, kind=kind)
                )
            case ("fenced", session, epoch, first, count):
                fenced = (
                    f"Another process has opened session {self.name!r}; this one must stop. "
                    f"The fate of {count} messages is unknown."
                )
                self.give_up_all(
                    lambda: FencedError(fenced, session=session, epoch=epoch, first=first, count=count)
                )
            case ("opened", session, epoch, last_sequence, _):
                self._identity = (session, epoch, last_sequence)
                if not self._opened.done():
                    self._opened.set_result(None)
            case ("session_closed", _):
                if not self._closed.done():
                    self._closed.set_result(None)
                self.give_up_all(lambda: SessionClosedError(f"Session {self.name!r} is closed."))
            case ("connected", _, _, address):
                self._troubles.connected(address)
            case ("disconnected", _, address, kind, message):
                self._on_disconnected(address, kind, message)
            case _:
                pass
        self.room.tell()

    def _on_disconnected(self, address: str, kind: str, message: str) -> None:
        self._troubles.note(address, kind, message)
        lasting = self._troubles.lasting()
        # Once it was open, credentials may be being changed: it goes on trying.
        if lasting is not None and not self._opened.done():
            self.give_up_all(lambda: lasting)

    def _refuse(self, count: int, why: "Why") -> None:
        refusal = refusal_error(why)

        def error(index: int) -> SequencerError:
            if index == 0:
                return refusal
            text = f"A message before this one was refused, so this one was not taken: {refusal}"
            skipped = SkippedError(text, retry_after_s=0.0)
            skipped.__cause__ = refusal
            return skipped

        self.pending.give_up(count, error)

    def _refuse_closing(self, why: "Why") -> None:
        if not self._closed.done():
            self._closed.set_exception(refusal_error(why))
        self._closed = self._loop.create_future()
        self._is_closing = False

    def _fail(self, error: SequencerError) -> None:
        self.give_up_all(lambda: error)
