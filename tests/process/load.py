"""Publishers that remember what they were told, and readers that remember what they read, beside the test.

They run in an event loop in a thread of their own, so that a test can be written from top to bottom.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dev_cluster import WAIT_S, wait_for
from process.audit import Told, check_log, check_same, make_payload
from process.harness import Cluster, show
from sequencer.client import Client, Session
from sequencer.errors import (
    RejectedError,
    RetryableError,
    SequencerError,
    SessionClosedError,
    WindowFullError,
)
from sequencer.types import Position

RATE_PER_S = 1000
PUBLISHERS = 3
_TURN_S = 0.005
_FLUSH_S = 30.0


class Publisher:
    """One session that publishes at a steady rate, whatever it is told.

    Attributes:
        told: What it was told.
        ended: Why the session ended by itself, if it did.
    """

    def __init__(self, number: int, rate_per_s: int) -> None:
        self.told = Told(number)
        self.ended: SequencerError | None = None
        self._rate_per_s = rate_per_s
        self._heard_at_s: list[float] = []

    @property
    def acknowledged(self) -> int:
        """Messages that were acknowledged."""
        return len(self.told.positions)

    def longest_gap_ms(self) -> float:
        """The longest time between two acknowledgements that came one after the other."""
        pairs = zip(self._heard_at_s, self._heard_at_s[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0) * 1000

    async def run(self, client: Client, stopping: asyncio.Event) -> None:
        """Publish until it is time to stop, and wait for what is under way."""
        session = await client.open_session(f"publisher-{self.told.publisher}")
        credit, before_s = 0.0, time.monotonic()
        while not stopping.is_set():
            now_s = time.monotonic()
            # What a full window did not take is not made up for later.
            credit = min(credit + (now_s - before_s) * self._rate_per_s, self._rate_per_s / 10)
            before_s = now_s
            try:
                while credit >= 1:
                    self._publish(session)
                    credit -= 1
            except WindowFullError:
                pass
            except SequencerError as error:
                self.ended = error
                return
            await asyncio.sleep(_TURN_S)
        async with asyncio.timeout(_FLUSH_S):
            await session.flush()
        session.abandon()

    def _publish(self, session: Session) -> None:
        number = self.told.published + 1
        future = session.publish_nowait(make_payload(self.told.publisher, number))
        self.told.published = number
        future.add_done_callback(lambda done: self._on_told(number, done))

    def _on_told(self, number: int, done: "asyncio.Future[Position]") -> None:
        error = done.exception()
        match error:
            case None:
                self.told.positions[number] = done.result()
                self._heard_at_s.append(time.monotonic())
            case SessionClosedError():
                self.ended = self.ended or error
            case RetryableError() | RejectedError():
                self.told.refused[number] = str(error)
            case _:
                raise error


class Reader:
    """Reads the log from its start at one node, whatever becomes of that node.

    Attributes:
        log: What it has read.
        ended: Why the subscription ended, if it did.
    """

    def __init__(self, address: str) -> None:
        self.log = bytearray()
        self.ended: SequencerError | None = None
        self._address = address

    async def run(self, client: Client) -> None:
        """Read until cancelled."""
        try:
            async for batch in client.subscribe_batches(0, at=self._address):
                assert batch.position == len(self.log), "a gap, or a repeat"
                self.log += batch.bytes
        except SequencerError as error:
            self.ended = error


class Load:
    """Publishers and readers of a cluster; they run from the beginning of `with` to its end, or to `finish`.

    Args:
        cluster: Whom they use.
        publishers: How many publish.
        rate_per_s: Messages a second of each.
        client: Makes their client; by default one without credentials.

    Attributes:
        publishers: Those who publish.
        readers: One at each node, by the node's id.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        publishers: int = PUBLISHERS,
        rate_per_s: int = RATE_PER_S,
        client: Callable[[], Client] | None = None,
    ) -> None:
        self._cluster = cluster
        self._client = client or (lambda: Client(list(cluster.addresses.values()), cluster=cluster.name))
        self.publishers = [Publisher(number, rate_per_s) for number in range(publishers)]
        self.readers = {node: Reader(address) for node, address in cluster.addresses.items()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._ending = asyncio.Event()
        self._is_published = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.wait_for_more()
        except BaseException as error:
            self._cluster.explain(error)
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._cluster.explain(error)
        self._end()

    def acknowledged(self) -> list[int]:
        """How many messages of each publisher were acknowledged."""
        return [publisher.acknowledged for publisher in self.publishers]

    def wait_for_more(self, messages: int = 300) -> None:
        """Wait until so many more messages of each publisher are acknowledged."""
        before = self.acknowledged()

        def look() -> bool | None:
            self.check()
            more = (now - then for now, then in zip(self.acknowledged(), before, strict=True))
            return True if min(more) >= messages else None

        wait_for(look, f"{messages} more acknowledgements for each of {len(before)} publishers")

    def check(self) -> None:
        """Check that nothing has ended by itself.

        Raises:
            AssertionError: Something has, and the cause says why.
        """
        endings = [publisher.ended for publisher in self.publishers] + [
            one.ended for one in self.readers.values()
        ]
        ended = self._failure or next((one for one in endings if one is not None), None)
        if ended is not None:
            raise AssertionError(f"a publisher or reader has ended by itself: {ended}") from ended

    def stop_publishing(self) -> None:
        """Let the publishers publish no more, and wait until they were told of everything."""
        self._tell(self._stopping)

        def look() -> bool | None:
            self.check()
            return True if self._is_published.is_set() else None

        wait_for(look, "an answer for each message")

    def finish(self, what: str, *, may_refuse: bool = False) -> int:
        """Stop publishing, end the cluster, and audit everything.

        All nodes run. Each must agree with the others; what their readers have read and what they have on disk must be
        one log, which must show what the publishers were told.

        Args:
            what: Names the test in what is printed.
            may_refuse: Messages may have been refused.

        Returns:
            The longest time without an acknowledgement, in milliseconds, of the publisher that waited longest.

        Raises:
            AssertionError: Says what is wrong.
        """
        self.stop_publishing()
        end = self._cluster.wait_until_all_agree()
        logs = {f"the reader at node {node}": self.read_until(node, end) for node in self.readers}
        self._end()
        self.check()
        # Not asked to stop: what was acknowledged must not depend on that.
        self._cluster.kill(*self._cluster.running)
        for node in self._cluster.configs:
            logs[f"node {node} on disk"] = self._cluster.read_from_disk(node, end)
        check_same(logs)
        check_log(max(logs.values(), key=len)[:end], (publisher.told for publisher in self.publishers))
        refused = sum(len(publisher.told.refused) for publisher in self.publishers)
        assert may_refuse or not refused, f"{refused} messages were refused"
        gap_ms = max(publisher.longest_gap_ms() for publisher in self.publishers)
        show(what, acknowledged=sum(self.acknowledged()), refused=refused, longest_gap_ms=round(gap_ms))
        return round(gap_ms)

    def wait_until_read(self, node: int, end: int) -> None:
        """Wait until the reader at a node has read the log up to a position."""
        self.read_until(node, end)

    def read_until(self, node: int, end: int) -> bytes:
        """Wait until the reader at a node has read the log up to a position; all that it has read."""
        reader = self.readers[node]

        def look() -> bytes | None:
            self.check()
            return bytes(reader.log) if len(reader.log) >= end else None

        return wait_for(look, f"the log up to {end} at the reader of node {node}")

    def _tell(self, event: asyncio.Event) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(event.set)

    def _end(self) -> None:
        self._tell(self._stopping)
        self._tell(self._ending)
        self._thread.join(WAIT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  # it is told in the thread of the test
            self._failure = error

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._client() as client, asyncio.TaskGroup() as readers:
            reading = [readers.create_task(reader.run(client)) for reader in self.readers.values()]
            try:
                async with asyncio.TaskGroup() as publishers:
                    for publisher in self.publishers:
                        publishers.create_task(publisher.run(client, self._stopping))
                self._is_published.set()
                await self._ending.wait()
            finally:
                for task in reading:
                    task.cancel()
