"""The life of a node process: start, serve the admin endpoint, stop on a signal or when the native node ends.

1. The native node opens the log, binds its port and runs on threads of its own.
2. One event loop in the main thread watches it and serves the admin endpoint. What may block runs in other threads.
3. SIGTERM and SIGINT ask the node to hand leadership over and stop. A second one stops it without that.
4. The process ends when the node has: with 0 after a clean stop, with 1 and a sentence when the node ended by itself.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path

import msgspec
import uvicorn

from sequencer import _native
from sequencer.counters import CountersError, read_counters
from sequencer.errors import NotFormattedError, StartError, UnavailableError
from sequencer.node.admin import make_admin
from sequencer.node.admin_routes import Surface
from sequencer.node.config import NodeConfig
from sequencer.node.config_check import split_address
from sequencer.node.config_file import config_to_json, read_admin_token
from sequencer.node.metrics import NodeCollector, make_registry
from sequencer.node.native import NativeNode, read_status
from sequencer.node.status import NodeStatus
from sequencer.node.watch import Watch

logger = logging.getLogger(__name__)

WAIT_SLICE_S = 0.25
"""How long one wait for the node's end lasts, and so how late it may be noticed that nobody waits any more."""
ADMIN_CONNECTIONS_MAX = 64
ADMIN_CLOSE_S_MAX = 1


class NodeEndedError(Exception):
    """The node ended without being asked to; the text says why."""


def run_node(config: NodeConfig, *, stop_at_end_of: int | None = None) -> None:
    """Run a node until it is told to stop; must be called in the main thread.

    Args:
        config: Its configuration.
        stop_at_end_of: A file descriptor, such as 0 for standard input, whose end counts as SIGTERM: so a node does
            not outlive whoever started it.

    Raises:
        ConfigError: A setting is wrong.
        NotFormattedError: The directory holds no log yet.
        StorageError: The log cannot be used.
        StartError: A port is taken.
        NodeEndedError: The node ended without being asked to.
    """
    token = read_admin_token(config)
    with contextlib.ExitStack() as stack:
        # The port of the admin endpoint is bound first: a node that cannot be watched does not start.
        admin_socket = stack.enter_context(bind_admin(config.admin)) if config.admin else None
        try:
            node = _native.Node(config_to_json(config))
        except NotFormattedError as error:
            raise NotFormattedError(
                f"{config.directory} holds no log. If this node is new, start it once with --init. If it ran before, "
                "its data is lost: it must come back as a new member, under a new id and data identity."
            ) from error
        facts = {"address": node.address, "directory": config.directory, "durability": config.durability}
        logger.info("the node has started", extra={"facts": facts})
        tell_report(msgspec.json.decode(node.report))
        asyncio.run(
            serve(node, config, token=token, admin_socket=admin_socket, stop_at_end_of=stop_at_end_of)
        )


def tell_report(report: dict[str, object]) -> None:
    """Log what opening the log found: damage is told even when peers repair it a moment later."""
    match report["health"]:
        case "clean":
            logger.info("the log is whole", extra={"facts": report})
        case "doubtful":
            logger.warning(
                "the newest bytes of the log are torn or damaged: they may have been acknowledged, so this node does "
                "not lead until its peers have settled that",
                extra={"facts": report},
            )
        case _:
            logger.error(
                "the log is damaged: acknowledged bytes cannot be read, peers have to send them again; check the disk",
                extra={"facts": report},
            )


def bind_admin(address: str) -> socket.socket:
    """Bind the port of the admin endpoint.

    Raises:
        StartError: It is taken, or the host is not this machine's.
    """
    split = split_address(address)
    assert split is not None, "the configuration was checked"  # noqa: S101  # a bug of ours, not of the user's
    host, port = split
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        text = f"The admin endpoint cannot listen on {address}: {error.strerror}; change `admin`, or free the port."
        raise StartError(text) from error
    return bound


async def serve(
    node: NativeNode,
    config: NodeConfig,
    *,
    token: str | None,
    admin_socket: socket.socket | None,
    stop_at_end_of: int | None,
) -> None:
    """Watch a running node and serve its admin endpoint until it has ended.

    Raises:
        NodeEndedError: It ended without being asked to.
    """
    asked = Asked(node)
    watch = Watch(node)
    collector = NodeCollector(
        status=lambda: _status_or_none(node), counters=lambda: _counters_or_none(config.directory)
    )
    surface = Surface(node=node, watch=watch, registry=make_registry(collector))
    with _signals(asked):
        async with contextlib.AsyncExitStack() as stack:
            if stop_at_end_of is not None:
                stack.enter_context(_end_of_file(stop_at_end_of, asked))
            await stack.enter_async_context(_background(watch.run()))
            if admin_socket is not None:
                await stack.enter_async_context(_admin(surface, token, admin_socket))
            why = await _wait(node)
    if why or not asked.is_stopping:
        raise NodeEndedError(why or "it stopped by itself")
    logger.info("the node has stopped")


class Asked:
    """Passes requests to stop on to the node."""

    def __init__(self, node: NativeNode) -> None:
        self._node = node
        self.is_stopping = False

    def stop(self, why: str) -> None:
        """Ask the node to stop; the first time it hands leadership over, from the second on it does not."""
        hand_over = not self.is_stopping
        self.is_stopping = True
        logger.info("stopping", extra={"facts": {"why": why, "hand_over": hand_over}})
        self._node.stop(hand_over)


class _AdminServer(uvicorn.Server):
    """A uvicorn server that leaves the signals to this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _wait(node: NativeNode) -> str:
    """Wait for the node's end in slices, so that the thread that waits never outlives the loop by much."""
    while True:
        why = await asyncio.to_thread(node.wait, WAIT_SLICE_S)
        if why is not None:
            return why


@contextlib.contextmanager
def _signals(asked: Asked) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    taken = (signal.SIGTERM, signal.SIGINT)
    for number in taken:
        loop.add_signal_handler(number, asked.stop, number.name)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _end_of_file(descriptor: int, asked: Asked) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            asked.stop("the end of its standard input")

    loop.add_reader(descriptor, look)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run something beside the body; it ends with it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def _admin(surface: Surface, token: str | None, bound: socket.socket) -> AsyncIterator[None]:
    """Serve the admin endpoint beside the body."""
    settings = uvicorn.Config(
        make_admin(surface, token=token),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        limit_concurrency=ADMIN_CONNECTIONS_MAX,
        timeout_graceful_shutdown=ADMIN_CLOSE_S_MAX,
        server_header=False,
    )
    server = _AdminServer(settings)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    host, port = bound.getsockname()[:2]
    logger.info("the admin endpoint listens", extra={"facts": {"address": f"{host}:{port}"}})
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _status_or_none(node: NativeNode) -> NodeStatus | None:
    try:
        return read_status(node)
    except UnavailableError:
        return None


def _counters_or_none(directory: str) -> dict[str, int]:
    try:
        return read_counters(Path(directory)).values
    except CountersError as error:
        logger.warning("the counters cannot be read", extra={"facts": {"why": str(error)}})
        return {}
