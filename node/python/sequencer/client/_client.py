"""The client: who connects, and where; sessions and subscriptions come from it."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sequencer._native import Client as NativeClient
from sequencer._native import Frame
from sequencer.client._batch import Batch
from sequencer.client._cluster_file import read_cluster_file
from sequencer.client._driver import Driver
from sequencer.client._feed import Feed
from sequencer.client._refusals import Troubles
from sequencer.client._session import Session
from sequencer.errors import SequencerError, UnavailableError
from sequencer.types import FrameKind, Position

if TYPE_CHECKING:
    from sequencer._native import _Event as NativeEvent

WINDOW_MESSAGES = 8192
WINDOW_BYTES = 8 << 20
CONNECT_TIMEOUT_S = 10.0
OPEN_TIMEOUT_S = 30.0


class Client:
    """Who connects to which cluster, and what was opened so; sessions and subscriptions have connections of their own.

    Used as `async with Client(...) as client`; what is open is let go of at the end.

    Args:
        addresses: Where some members listen, as host:port. Names are resolved at each attempt, in the loop's thread.
        cluster: UUID of the cluster; a node of another one is not talked to.
        identity: Name of the credentials.
        secret: Their secret; None only for a cluster that asks for none.

    Raises:
        ConfigError: A setting is out of bounds.
    """

    def __init__(
        self, addresses: Sequence[str], *, cluster: str, identity: str = "", secret: bytes | None = None
    ) -> None:
        self._addresses = list(addresses)
        self._cluster = str(cluster)
        self._identity = identity
        self._secret = secret
        self._is_connected = False
        self._open: set[Session | Feed] = set()
        self._native()

    @classmethod
    def from_directory(cls, directory: str | Path) -> Self:
        """Use the cluster that `sequencer dev` runs in a directory.

        Raises:
            ConfigError: There is none.
        """
        found = read_cluster_file(Path(directory))
        return cls(found.addresses, cluster=found.cluster)

    async def __aenter__(self) -> Self:
        if not self._is_connected:
            await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self, *, timeout_s: float | None = CONNECT_TIMEOUT_S) -> None:
        """See to it that some node answers and takes the credentials. Nothing later depends on this having been called.

        Raises:
            UnavailableError: None answers within `timeout_s`.
            NotAuthorizedError: They do not take the credentials.
            RejectedError: They belong to another cluster, or speak another version of the protocol.
        """
        troubles = Troubles(self._addresses)
        found: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_event(event: "NativeEvent") -> None:
            match event:
                case ("connected", *_) if not found.done():
                    found.set_result(None)
                case ("disconnected", _, address, kind, message):
                    troubles.note(address, kind, message)
                    lasting = troubles.lasting()
                    if lasting is not None:
                        on_failure(lasting)

        def on_failure(error: SequencerError) -> None:
            if not found.done():
                found.set_exception(error)

        native = self._native()
        native.subscribe(None)
        driver = Driver(native, on_event=on_event, on_failure=on_failure)
        try:
            async with asyncio.timeout(timeout_s):
                await found
        except TimeoutError:
            text = f"No node of cluster {self._cluster} answers within {timeout_s} s: {troubles.describe()}."
            raise UnavailableError(text, retry_after_s=1.0) from None
        finally:
            driver.close()
        self._is_connected = True

    async def open_session(
        self,
        name: str,
        *,
        idle_timeout_s: float = 10.0,
        window_messages: int = WINDOW_MESSAGES,
        window_bytes: int = WINDOW_BYTES,
        resume: int = 0,
        timeout_s: float | None = OPEN_TIMEOUT_S,
    ) -> Session:
        """Open a session by its name. A process that has it open already is fenced off.

        Args:
            name: 1 to 64 bytes. A session that was not closed goes on under its name.
            idle_timeout_s: Log time without a sign of life after which the cluster takes the session for idle.
            window_messages: Most messages that are published and not acknowledged.
            window_bytes: Most bytes of them, each with 16 bytes more than its payload and rounded up to 8.
            resume: Id that the session had before; it is refused if that session is gone. 0 for none.
            timeout_s: Longest wait.

        Raises:
            ConfigError: A setting is out of bounds.
            RejectedError: The cluster refuses it.
            RetryableError: It cannot be opened now.
        """
        native = self._native()
        native.open_session(
            name,
            timeout_s=idle_timeout_s,
            window_messages=window_messages,
            window_bytes=window_bytes,
            resume=resume,
        )
        session = Session(native, name, Troubles(self._addresses), on_end=self._open.discard)
        self._open.add(session)
        try:
            await session.opened(timeout_s)
        except BaseException:
            session.abandon()
            raise
        return session

    async def subscribe(
        self,
        from_position: int | None = 0,
        *,
        live: bool = True,
        kinds: Collection[FrameKind] | None = None,
        at: str | None = None,
        verify: bool = True,
    ) -> AsyncGenerator[Frame, None]:
        """Read the committed log frame by frame. As `subscribe_batches`.

        Args:
            kinds: Frames of other kinds are passed over.
        """
        wanted = None if kinds is None else frozenset(kinds)
        batches = self.subscribe_batches(from_position, live=live, at=at, verify=verify)
        try:
            async for batch in batches:
                for frame in batch.frames():
                    if wanted is None or frame.kind in wanted:
                        yield frame
        finally:
            await batches.aclose()

    async def subscribe_batches(
        self,
        from_position: int | None = 0,
        *,
        live: bool = True,
        at: str | None = None,
        verify: bool = True,
    ) -> AsyncGenerator[Batch, None]:
        """Read the committed log by batches, in order and without a gap, whichever nodes fail meanwhile.

        Whoever takes batches slowly is served slowly; nothing piles up.

        Args:
            from_position: Where a frame begins; None for the end of the committed log.
            live: Go on for ever; else end with what was committed when the first batch came.
            at: `any` node, the `leader`, or the node at this address. By default any, or the leader where `live` is
                false: it knows of everything that was ever acknowledged.
            verify: Check each frame's checksum, and fetch what is damaged from another node.

        Raises:
            SubscriptionEndedError: The log cannot be read from there.
            RejectedError: Every node refuses the connection.
        """
        feed = Feed(
            self._native(),
            Troubles(self._addresses),
            from_position=None if from_position is None else Position(from_position),
            live=live,
            at=at or ("any" if live else "leader"),
            verify=verify,
        )
        self._open.add(feed)
        try:
            while (batch := await feed.next()) is not None:
                yield batch
        finally:
            feed.close()
            self._open.discard(feed)

    async def close(self) -> None:
        """Let go of everything that is open: sessions stay as they are in the cluster, subscriptions end."""
        for part in tuple(self._open):
            if isinstance(part, Session):
                part.abandon()
            else:
                part.close()
        self._open.clear()
        # The loop forgets the descriptors in this turn, before they are closed.
        await asyncio.sleep(0)

    def _native(self) -> NativeClient:
        return NativeClient(self._cluster, self._addresses, identity=self._identity, secret=self._secret)


async def connect(
    addresses: Sequence[str],
    *,
    cluster: str,
    identity: str = "",
    secret: bytes | None = None,
    timeout_s: float | None = CONNECT_TIMEOUT_S,
) -> Client:
    """Make a client and see to it that some node answers.

    Raises:
        ConfigError: A setting is out of bounds.
        UnavailableError: None answers within `timeout_s`.
        NotAuthorizedError: They do not take the credentials.
    """
    client = Client(addresses, cluster=cluster, identity=identity, secret=secret)
    await client.connect(timeout_s=timeout_s)
    return client
