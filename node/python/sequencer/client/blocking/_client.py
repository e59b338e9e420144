"""The client for callers that wait; see `sequencer.client.Client`."""

import weakref
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sequencer.client._client import (
    CONNECT_TIMEOUT_S,
    OPEN_TIMEOUT_S,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
)
from sequencer.client._client import Client as AsyncClient
from sequencer.client._cluster_file import read_cluster_file
from sequencer.client.blocking._portal import Portal
from sequencer.client.blocking._session import Session
from sequencer.client.blocking._subscription import Batches, Frames
from sequencer.types import FrameKind

_THREAD = "sequencer-client"


class Client:
    """Who connects to which cluster, and what was opened so; sessions and subscriptions have connections of their own.

    Used as `with Client(...) as client`; what is open is let go of at the end. The client has one thread, whatever is
    opened; a process that was forked from this one makes a client of its own.

    Args:
        addresses: Where some members listen, as host:port. Names are resolved at each attempt.
        cluster: UUID of the cluster; a node of another one is not talked to.
        identity: Name of the credentials.
        secret: Their secret; None only for a cluster that asks for none.

    Raises:
        ConfigError: A setting is out of bounds.
    """

    def __init__(
        self, addresses: Sequence[str], *, cluster: str, identity: str = "", secret: bytes | None = None
    ) -> None:
        self._inner = AsyncClient(addresses, cluster=cluster, identity=identity, secret=secret)
        self._portal = Portal(_THREAD, on_stop=self._inner.close)
        # Also for a client that nobody closes; at the end of the process, it comes before threads are cut off.
        self._stop = weakref.finalize(self, self._portal.stop)
        self._is_connected = False

    @classmethod
    def from_directory(cls, directory: str | Path) -> Self:
        """Use the cluster that `sequencer dev` runs in a directory.

        Raises:
            ConfigError: There is none.
        """
        found = read_cluster_file(Path(directory))
        return cls(found.addresses, cluster=found.cluster)

    def __enter__(self) -> Self:
        if not self._is_connected:
            try:
                self.connect()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self, *, timeout_s: float | None = CONNECT_TIMEOUT_S) -> None:
        """See to it that some node answers and takes the credentials. Nothing later depends on this having been called.

        Raises:
            UnavailableError: None answers within `timeout_s`.
            NotAuthorizedError: They do not take the credentials.
            RejectedError: They belong to another cluster, or speak another version of the protocol.
        """
        self._portal.run(self._inner.connect(timeout_s=timeout_s))
        self._is_connected = True

    def open_session(
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
        inner = self._portal.run(
            self._inner.open_session(
                name,
                idle_timeout_s=idle_timeout_s,
                window_messages=window_messages,
                window_bytes=window_bytes,
                resume=resume,
                timeout_s=timeout_s,
            )
        )
        return Session(self, self._portal, inner)

    def subscribe(
        self,
        from_position: int | None = 0,
        *,
        live: bool = True,
        kinds: Collection[FrameKind] | None = None,
        at: str | None = None,
        verify: bool = True,
    ) -> Frames:
        """Read the committed log frame by frame. As `subscribe_batches`.

        Args:
            kinds: Frames of other kinds are passed over.
        """
        inner = self._inner
        return Frames(
            self,
            self._portal,
            lambda: inner.subscribe_batches(from_position, live=live, at=at, verify=verify),
            kinds,
        )

    def subscribe_batches(
        self,
        from_position: int | None = 0,
        *,
        live: bool = True,
        at: str | None = None,
        verify: bool = True,
    ) -> Batches:
        """Read the committed log by batches, in order and without a gap, whichever nodes fail meanwhile.

        Some megabytes are read ahead; whoever takes batches more slowly than that is served slowly. The iterator raises
        what is told of below, and ends when it or the client is closed.

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
        inner = self._inner
        return Batches(
            self,
            self._portal,
            lambda: inner.subscribe_batches(from_position, live=live, at=at, verify=verify),
        )

    def close(self) -> None:
        """Let go of everything that is open, and end the thread: sessions stay as they are in the cluster."""
        self._stop()


def connect(
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
    try:
        client.connect(timeout_s=timeout_s)
    except BaseException:
        client.close()
        raise
    return client
