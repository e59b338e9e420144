"""A session: publishes each message once and in order, whatever happens to nodes and connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sequencer._native import Client as NativeClient
from sequencer.client._driver import Driver
from sequencer.client._pending import Flow, Pending
from sequencer.client._positions import Positions
from sequencer.client._refusals import Troubles, refusal_error
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
    from sequencer._native import _Payload as Payload
    from sequencer._native import _Why as Why

_CHUNK_MESSAGES = 512
"""Messages that `publish_many` publishes before others have their turn, and before they leave."""

T = TypeVar("T")


class Session:
    """One named session; `Client.open_session` makes it.

    Messages stand in the log in the order in which the methods below were called. What is published while there is no
    leader waits in the window, and leaves when there is one again. Leaving `async with` waits until everything is
    acknowledged and closes the session.

    A message whose awaiting is cancelled is published all the same.
    """

    def __init__(self, native: NativeClient, name: str, troubles: Troubles) -> None:
        self._native = native
        self._name = name
        self._troubles = troubles
        self._loop = asyncio.get_running_loop()
        self._pending = Pending()
        self._turnstile = asyncio.Lock()
        self._queued = 0
        self._room: asyncio.Future[None] | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._end: Callable[[], SequencerError] | None = None
        self._driver = Driver(native, on_event=self._on_event, on_failure=self._fail)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abandon()

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def id(self) -> int:
        """Its id, which frames of its messages bear as `source_id`."""
        return self._identity()[0]

    @property
    def epoch(self) -> int:
        """Its epoch, which rises with each opening, also with those after a change of leader."""
        return self._identity()[1]

    @property
    def unacknowledged(self) -> int:
        """Messages that are published and not acknowledged."""
        return len(self._pending)

    async def publish(
        self,
        payload: "Payload",
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> Position:
        """Publish a message, as soon as there is room in the window, and wait until it stands in the log for ever.

        Args:
            payload: Copied before this returns the first time.
            schema_id: Schema of the payload; 0 for none.
            schema_version: Version of that schema.
            cause: The frame that the message answers.

        Returns:
            Where it stands; 0 when it was sent again after a failure so late that the leader cannot say where the first
            one stands.

        Raises:
            RetryableError: It was refused, and is not in the log.
            RejectedError: It was refused for good, and is not in the log.
            SessionLostError: It may be in the log or not, as with `FencedError`.
        """
        if not self._queued:
            try:
                future = self.publish_nowait(
                    payload, schema_id=schema_id, schema_version=schema_version, cause=cause
                )
            except WindowFullError:
                pass
            else:
                return await future
        async with self._turn():
            number = await self._with_room(
                lambda: self._native.publish(
                    payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
                )
            )
            future = self._expect(number)
        return await future

    def publish_nowait(
        self,
        payload: "Payload",
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> "asyncio.Future[Position]":
        """Publish a message, and return at once what can be awaited later, with the results of `publish`.

        Raises:
            WindowFullError: Nothing was taken; wait for something that was published before.
            TooLargeError: The payload can never be sent.
            SessionClosedError: The session has ended.
        """
        self._check()
        if self._queued:
            text = f"{self._queued} callers wait for room in the window already."
            raise WindowFullError(text, messages=len(self._pending), bytes=0)
        number = self._native.publish(
            payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
        )
        return self._expect(number)

    async def publish_many(
        self,
        payloads: "Iterable[Payload]",
        *,
        into: Positions | None = None,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> Positions:
        """Publish messages as fast as the window has room, and wait until all of them stand in the log.

        Messages of other callers may come between these.

        Args:
            into: Where positions are put as they become known, so that they can be read when this call ends early.

        Returns:
            `into`, or new positions, one for each.

        Raises:
            As `publish`, about the first message that is not acknowledged; those after it are not in the log either,
            but for a `SessionLostError` or a `FencedError`, which say what is not known.
        """
        flow = Flow(Positions() if into is None else into)
        for chunk in _chunks(payloads):
            async with self._turn():
                start = 0
                while start < len(chunk) and flow.error is None:
                    first, taken = await self._with_room(
                        lambda: self._native.publish_many(
                            chunk,  # noqa: B023  # it is called before the loop goes on
                            start=start,  # noqa: B023
                            schema_id=schema_id,
                            schema_version=schema_version,
                            cause=cause or 0,
                        )
                    )
                    self._pending.expect_many(first, taken, flow)
                    self._driver.wake()
                    start += taken
            if flow.error is not None:
                break
            # What was published leaves now, and others have their turn.
            await asyncio.sleep(0)
        await flow.finish()
        return flow.positions

    async def query(
        self,
        service: int,
        payload: "Payload",
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> Position:
        """Publish a question that a service answers in the log, as of exactly the position that is returned.

        Raises:
            As `publish`.
        """
        async with self._turn():
            number = await self._with_room(
                lambda: self._native.query(
                    service, payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
                )
            )
            future = self._expect(number)
        return await future

    async def flush(self) -> None:
        """Wait until all that was published is acknowledged or given up."""
        await self._pending.empty()

    async def close(self) -> None:
        """Wait until all that was published is acknowledged, and end the session: its name is free for a new one.

        Nothing happens when the session has ended already.

        Raises:
            RetryableError: The cluster refused; the session goes on.
        """
        if self._end is not None:
            return
        self._native.close_session()
        self._driver.wake()
        await asyncio.shield(self._closed)

    def abandon(self) -> None:
        """Let the connection go, and leave the session as it is: whoever opens the name goes on with it.

        Messages that are not acknowledged may be in the log or not; who waits for them gets a `SessionClosedError`.
        """
        count = self.unacknowledged
        text = f"Session {self._name!r} was abandoned"
        if count:
            text += f" while {count} messages were not acknowledged; they may be in the log or not"
        self._give_up_all(lambda: SessionClosedError(text + "."))

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
            text = f"Session {self._name!r} could not be opened within {timeout_s} s: {self._troubles.describe()}."
            raise UnavailableError(text, retry_after_s=1.0) from None

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one's turn to wait for room: who came first publishes first."""
        self._queued += 1
        try:
            async with self._turnstile:
                yield
        finally:
            self._queued -= 1

    async def _with_room(self, publish: Callable[[], T]) -> T:
        """Publish as soon as there is room; only whose turn it is may."""
        while True:
            self._check()
            try:
                return publish()
            except WindowFullError:
                self._room = self._loop.create_future()
                await self._room

    def _expect(self, number: int) -> "asyncio.Future[Position]":
        future: asyncio.Future[Position] = self._loop.create_future()
        self._pending.expect(number, future)
        self._driver.wake()
        return future

    def _check(self) -> None:
        if self._end is not None:
            raise self._end()

    def _identity(self) -> tuple[int, int]:
        found = self._native.session
        if found is None:
            raise SessionClosedError(f"Session {self._name!r} is not open yet.")
        return found

    def _on_event(self, event: "NativeEvent") -> None:
        match event:
            case ("admitted", _, _, positions):
                self._pending.acknowledge(positions)
            case ("refused", _, 0, why):
                self._refuse_closing(why)
            case ("refused", _, count, why):
                self._refuse(count, why)
            case ("open_refused", _, _, why):
                self._give_up_all(lambda: refusal_error(why))
            case ("session_lost", session, first, count, (kind, message, _, _)):
                text = f"Session {self._name!r} is gone: {message} ({kind}). The fate of {count} messages is unknown."
                self._give_up_all(
                    lambda: SessionLostError(text, session=session, first=first, count=count, kind=kind)
                )
            case ("fenced", session, epoch, first, count):
                fenced = (
                    f"Another process has opened session {self._name!r}; this one must stop. "
                    f"The fate of {count} messages is unknown."
                )
                self._give_up_all(
                    lambda: FencedError(fenced, session=session, epoch=epoch, first=first, count=count)
                )
            case ("opened", *_):
                if not self._opened.done():
                    self._opened.set_result(None)
            case ("session_closed", _):
                if not self._closed.done():
                    self._closed.set_result(None)
                self._give_up_all(lambda: SessionClosedError(f"Session {self._name!r} is closed."))
            case ("connected", _, _, address):
                self._troubles.connected(address)
            case ("disconnected", _, address, kind, message):
                self._on_disconnected(address, kind, message)
            case _:
                pass
        self._tell_of_room()

    def _on_disconnected(self, address: str, kind: str, message: str) -> None:
        self._troubles.note(address, kind, message)
        lasting = self._troubles.lasting()
        # Once it was open, credentials may be being changed: it goes on trying.
        if lasting is not None and not self._opened.done():
            self._give_up_all(lambda: lasting)

    def _refuse(self, count: int, why: "Why") -> None:
        refusal = refusal_error(why)

        def error(index: int) -> SequencerError:
            if index == 0:
                return refusal
            text = f"A message before this one was refused, so this one was not taken: {refusal}"
            skipped = SkippedError(text, retry_after_s=0.0)
            skipped.__cause__ = refusal
            return skipped

        self._pending.give_up(count, error)

    def _refuse_closing(self, why: "Why") -> None:
        if not self._closed.done():
            self._closed.set_exception(refusal_error(why))
        self._closed = self._loop.create_future()

    def _fail(self, error: SequencerError) -> None:
        self._give_up_all(lambda: error)

    def _give_up_all(self, end: Callable[[], SequencerError]) -> None:
        """The session has ended, for this reason."""
        if self._end is not None:
            return
        self._end = end
        self._driver.close()
        self._pending.give_up(len(self._pending), lambda _: end())
        if not self._opened.done():
            self._opened.set_exception(end())
        if not self._closed.done():
            self._closed.set_exception(end())
            # Only whoever closes it wants to know.
            self._closed.exception()
        self._tell_of_room()

    def _tell_of_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK_MESSAGES)):
        yield chunk
