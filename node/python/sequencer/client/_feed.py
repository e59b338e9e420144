"""One subscription: batches of committed frames, in order, as fast as they are taken."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from sequencer._native import Client as NativeClient
from sequencer.client._batch import Batch
from sequencer.client._driver import Driver
from sequencer.client._refusals import Troubles
from sequencer.errors import SequencerError, SubscriptionEndedError
from sequencer.types import Position

if TYPE_CHECKING:
    from sequencer._native import _Event as NativeEvent

_QUEUED_BYTES_MAX = 4 << 20
"""Bytes that wait to be taken above which nothing more is read: then the node waits, and holds nothing for us."""


class Feed:
    """Reads on its own connection, so that whoever is slow to take batches slows down nobody else.

    Args:
        native: A client without a session.
        from_position: The first position wanted; None for the end of the committed log.
        live: Go on for ever; else end where the log was committed when the first frames came.
        at: `any` node, the `leader`, or the node at this address.
    """

    def __init__(
        self,
        native: NativeClient,
        troubles: Troubles,
        *,
        from_position: Position | None,
        live: bool,
        at: str,
        verify: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._troubles = troubles
        self._batches: deque[Batch] = deque()
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: SequencerError | None = None
        self._is_over = False
        self._is_live = live
        self._has_read = False
        self._position = from_position
        self._until: Position | None = None
        native.subscribe(from_position, at=at, verify=verify)
        self._driver = Driver(native, on_event=self._on_event, on_failure=self._fail)

    async def next(self) -> Batch | None:
        """Wait for the next batch; None when there will be none.

        Raises:
            SubscriptionEndedError: The log cannot be read on from here.
            RejectedError: Every node refuses the connection.
        """
        while not self._batches:
            if self._end is not None:
                raise self._end
            if self._is_over:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        batch = self._batches.popleft()
        self._queued_bytes -= len(batch.bytes)
        if self._queued_bytes < _QUEUED_BYTES_MAX and not self._is_over and self._end is None:
            self._driver.resume()
        return batch

    def close(self) -> None:
        """End it; whoever waits is told that there is nothing more."""
        self._finish()

    def _on_event(self, event: "NativeEvent") -> None:
        if self._is_over:
            return
        match event:
            case ("frames", position, previous_term, commit, frames):
                self._on_frames(Batch(position, previous_term, commit, frames))
            case ("subscription_ended", reason, position):
                where = "the log begins at" if reason == "trimmed" else "the committed log ends at"
                text = f"The log cannot be read from position {self._position} on ({reason}): {where} {position}."
                self._fail(SubscriptionEndedError(text, reason=reason, position=position))
            case ("connected", _, _, address):
                self._troubles.connected(address)
            case ("disconnected", _, address, kind, message):
                self._on_disconnected(address, kind, message)
            case _:
                pass

    def _on_frames(self, batch: Batch) -> None:
        self._position = batch.end
        self._has_read = True
        # A node that has nothing to send says so at once, with a batch of nothing.
        if self._until is None and not self._is_live:
            self._until = batch.commit
        if batch.bytes:
            self._batches.append(batch)
            self._queued_bytes += len(batch.bytes)
            if self._queued_bytes >= _QUEUED_BYTES_MAX:
                self._driver.pause()
            self._tell()
        if self._until is not None and batch.end >= self._until:
            self._finish()

    def _on_disconnected(self, address: str, kind: str, message: str) -> None:
        self._troubles.note(address, kind, message)
        lasting = self._troubles.lasting()
        # Once something was read, credentials may be being changed: it goes on trying.
        if lasting is not None and not self._has_read:
            self._fail(lasting)

    def _fail(self, error: SequencerError) -> None:
        self._end = self._end or error
        self._finish()

    def _finish(self) -> None:
        self._is_over = True
        self._driver.close()
        self._tell()

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
