"""A session: publishes each message once and in order, whatever happens to nodes and connections."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sequencer._native import Client as NativeClient
from sequencer.client._pending import Flow
from sequencer.client._positions import Positions
from sequencer.client._refusals import Troubles
from sequencer.client._standing import Standing
from sequencer.errors import SequencerError, SessionClosedError, WindowFullError
from sequencer.types import Position

if TYPE_CHECKING:
    from sequencer._native import _Payload as Payload

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

    def __init__(
        self, native: NativeClient, name: str, troubles: Troubles, *, on_end: "Callable[[Session], None]"
    ) -> None:
        self._standing = Standing(native, name, troubles, on_end=lambda: on_end(self))

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
        return self._standing.name

    @property
    def id(self) -> int:
        """Its id, which frames of its messages bear as `source_id`."""
        return self._standing.identity[0]

    @property
    def epoch(self) -> int:
        """Its epoch, which rises with each opening, also with those after a change of leader."""
        return self._standing.identity[1]

    @property
    def last_sequence(self) -> int:
        """Sequence of its last message in the log when it was last opened, 0 if there was none.

        A process that goes on where another one was killed learns so how far that one came.
        """
        return self._standing.identity[2]

    @property
    def unacknowledged(self) -> int:
        """Messages that are published and not acknowledged."""
        return len(self._standing.pending)

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
        if not self._standing.room.queued:
            try:
                future = self.publish_nowait(
                    payload, schema_id=schema_id, schema_version=schema_version, cause=cause
                )
            except WindowFullError:
                pass
            else:
                return await future
        async with self._standing.room.turn():
            number = await self._standing.with_room(
                lambda native: native.publish(
                    payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
                )
            )
            future = self._standing.expect(number)
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
        native = self._standing.usable()
        if self._standing.room.queued:
            text = f"{self._standing.room.queued} callers wait for room in the window already."
            raise WindowFullError(text, messages=len(self._standing.pending), bytes=0)
        number = native.publish(payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0)
        return self._standing.expect(number)

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
        try:
            for part in chunks(payloads, _CHUNK_MESSAGES):
                await self.publish_part(
                    part, flow, schema_id=schema_id, schema_version=schema_version, cause=cause
                )
                if flow.error is not None:
                    break
                # What was published leaves now, and others have their turn.
                await asyncio.sleep(0)
        except SequencerError:
            # What comes of the messages before is told first.
            await flow.finish()
            raise
        await flow.finish()
        return flow.positions

    async def publish_part(
        self,
        payloads: "Sequence[Payload]",
        flow: Flow,
        *,
        schema_id: int,
        schema_version: int,
        cause: Position | None,
    ) -> None:
        """Publish messages of a flow as the window has room, for both clients; the flow waits for them.

        None is published once one of the flow was given up.
        """
        start = 0

        def publish(native: NativeClient) -> tuple[int, int]:
            # There may be room because one before these was refused; then they must not stand alone.
            if flow.error is not None:
                return 0, 0
            return native.publish_many(
                payloads, start=start, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
            )

        async with self._standing.room.turn():
            while start < len(payloads) and flow.error is None:
                first, taken = await self._standing.with_room(publish)
                if taken:
                    self._standing.expect_many(first, taken, flow)
                    start += taken

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
        async with self._standing.room.turn():
            number = await self._standing.with_room(
                lambda native: native.query(
                    service, payload, schema_id=schema_id, schema_version=schema_version, cause=cause or 0
                )
            )
            future = self._standing.expect(number)
        return await future

    async def flush(self) -> None:
        """Wait until all that was published is acknowledged or given up."""
        await self._standing.pending.empty()

    async def close(self) -> None:
        """Wait until all that was published is acknowledged, and end the session: its name is free for a new one.

        Nothing happens when the session has ended already.

        Raises:
            RetryableError: The cluster refused; the session goes on.
        """
        await self._standing.close()

    def abandon(self) -> None:
        """Let the connection go, and leave the session as it is: whoever opens the name goes on with it.

        Messages that are not acknowledged may be in the log or not; who waits for them gets a `SessionClosedError`.
        """
        count = self.unacknowledged
        text = f"Session {self.name!r} was abandoned"
        if count:
            text += f" while {count} messages were not acknowledged; they may be in the log or not"
        self._standing.give_up_all(lambda: SessionClosedError(text + "."))

    async def opened(self, timeout_s: float | None) -> None:
        """Wait until the session is open for the first time.

        Raises:
            RejectedError: The cluster refused, or every node refuses the connection.
            UnavailableError: It took longer than `timeout_s`.
        """
        await self._standing.opened(timeout_s)


def chunks(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """Cut a stream into lists of that many items; the last may have fewer."""
    iterator = iter(items)
    while chunk := list(islice(iterator, count)):
        yield chunk
