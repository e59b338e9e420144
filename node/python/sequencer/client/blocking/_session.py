"""A session for callers that wait; see `sequencer.client.Session`."""

import asyncio
import concurrent.futures
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sequencer.client._pending import Flow
from sequencer.client._positions import Positions
from sequencer.client._session import Session as AsyncSession
from sequencer.client._session import chunks
from sequencer.client.blocking._portal import Portal
from sequencer.errors import SequencerError
from sequencer.types import Position

if TYPE_CHECKING:
    from sequencer._native import _Payload as Payload
    from sequencer.client.blocking._client import Client

_CHUNK_MESSAGES = 2048
"""Messages that `publish_many` hands to the other thread at a time."""


class Session:
    """One named session; `Client.open_session` makes it.

    Messages stand in the log in the order in which the methods below were called. Leaving `with` waits until everything
    is acknowledged and closes the session.

    Whoever is interrupted while waiting, by Ctrl-C for instance, may go on with the session; a message that was
    published by then is published all the same.
    """

    def __init__(self, client: "Client", portal: Portal, inner: AsyncSession) -> None:
        # As long as somebody has a session, the client stays.
        self._client = client
        self._portal = portal
        self._inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @property
    def name(self) -> str:
        """Its name."""
        return self._inner.name

    @property
    def id(self) -> int:
        """Its id, which frames of its messages bear as `source_id`."""
        return self._inner.id

    @property
    def epoch(self) -> int:
        """Its epoch, which rises with each opening, also with those after a change of leader."""
        return self._inner.epoch

    @property
    def last_sequence(self) -> int:
        """Sequence of its last message in the log when it was last opened, 0 if there was none."""
        return self._inner.last_sequence

    @property
    def unacknowledged(self) -> int:
        """Messages that are published and not acknowledged."""
        return self._inner.unacknowledged

    def publish(
        self,
        payload: "Payload",
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> Position:
        """Publish a message, as soon as there is room in the window, and wait until it stands in the log for ever.

        Args:
            payload: The message.
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
        return self._portal.run(
            self._inner.publish(payload, schema_id=schema_id, schema_version=schema_version, cause=cause)
        )

    def publish_nowait(
        self,
        payload: "Payload",
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> "concurrent.futures.Future[Position]":
        """Publish a message, and return at once what can be waited for later, with the results of `publish`.

        The future cannot be cancelled. Its callbacks run in the client's thread, and must not use the client.

        Raises:
            WindowFullError: Nothing was taken; wait for something that was published before.
            TooLargeError: The payload can never be sent.
            SessionClosedError: The session has ended.
        """
        outer: concurrent.futures.Future[Position] = concurrent.futures.Future()
        outer.set_running_or_notify_cancel()

        def settle(inner: "asyncio.Future[Position]") -> None:
            error = inner.exception()
            if error is None:
                outer.set_result(inner.result())
            else:
                outer.set_exception(error)

        def publish() -> None:
            self._inner.publish_nowait(
                payload, schema_id=schema_id, schema_version=schema_version, cause=cause
            ).add_done_callback(settle)

        self._portal.call(publish)
        return outer

    def publish_many(
        self,
        payloads: "Iterable[Payload]",
        *,
        into: Positions | None = None,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: Position | None = None,
    ) -> Positions:
        """Publish messages as fast as the window has room, and wait until all of them stand in the log.

        The iterable is run in the caller's thread, some thousand messages ahead of what is sent. Messages of other
        callers may come between these.

        Args:
            into: Where positions are put as they become known, so that they can be read when this call ends early.

        Returns:
            `into`, or new positions, one for each.

        Raises:
            As `publish`, about the first message that is not acknowledged; those after it are not in the log either,
            but for a `SessionLostError` or a `FencedError`, which say what is not known.
        """
        flow = Flow(Positions() if into is None else into)
        under_way: concurrent.futures.Future[None] | None = None
        try:
            for chunk in chunks(payloads, _CHUNK_MESSAGES):
                if under_way is not None:
                    self._portal.wait(under_way)
                if flow.error is not None:
                    break
                # While this one is published, the iterable makes the next.
                under_way = self._portal.submit(
                    self._inner.publish_part(
                        chunk, flow, schema_id=schema_id, schema_version=schema_version, cause=cause
                    )
                )
            if under_way is not None:
                self._portal.wait(under_way)
        except SequencerError:
            # What comes of the messages before is told first.
            if self._portal.is_open:
                self._portal.run(flow.finish())
            raise
        self._portal.run(flow.finish())
        return flow.positions

    def query(
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
        return self._portal.run(
            self._inner.query(
                service, payload, schema_id=schema_id, schema_version=schema_version, cause=cause
            )
        )

    def flush(self) -> None:
        """Wait until all that was published is acknowledged or given up."""
        self._portal.run(self._inner.flush())

    def close(self) -> None:
        """Wait until all that was published is acknowledged, and end the session: its name is free for a new one.

        Nothing happens when the session has ended already.

        Raises:
            RetryableError: The cluster refused; the session goes on.
        """
        # With the client the session was abandoned.
        if self._portal.is_open:
            self._portal.run(self._inner.close())

    def abandon(self) -> None:
        """Let the connection go, and leave the session as it is: whoever opens the name goes on with it.

        Messages that are not acknowledged may be in the log or not; who waits for them gets a `SessionClosedError`.
        """
        if self._portal.is_open:
            self._portal.call(self._inner.abandon)
