"""What lies between the client's thread and those that wait: calls, interruptions, a bounded queue, the end.

In go coroutines and batches made by hand; threads, event loops and signals are real. No node is needed.
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator

import pytest
from sequencer.client import Batch
from sequencer.client.blocking import Batches, Client
from sequencer.client.blocking._portal import Portal
from sequencer.client.blocking._subscription import READ_AHEAD_BYTES
from sequencer.errors import ConfigError, RejectedError, SessionClosedError, UnavailableError
from sequencer.types import Position, Term

WAIT_S = 20.0
CLUSTER = "5f0c2a4e-6f0e-4c58-8d5e-3f1f2f9f1a01"
# Nobody listens there: the port is reserved.
NOWHERE = "127.0.0.1:1"


async def nothing() -> None:
    """Stand for what has to be let go of."""


async def answer(value: int) -> int:
    """Return a value."""
    return value


@pytest.fixture
def portal() -> Iterator[Portal]:
    """Run a portal; its thread is gone afterwards."""
    found = Portal("test-portal", on_stop=nothing)
    yield found
    found.stop()
    assert not named("test-portal")


@pytest.fixture
def client() -> Iterator[Client]:
    """Make a client that never connects."""
    found = Client([NOWHERE], cluster=CLUSTER)
    yield found
    found.close()


def named(name: str) -> list[threading.Thread]:
    """The threads of that name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


@contextlib.contextmanager
def interrupted_in(function: str) -> Iterator[None]:
    """Send Ctrl-C to this thread once it is inside a function of that name; the body must be interrupted."""
    here = threading.get_ident()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            frame = sys._current_frames().get(here)
            while frame is not None:
                if frame.f_code.co_name == function:
                    signal.pthread_kill(here, signal.SIGINT)
                    return
                frame = frame.f_back
            is_over.wait(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        is_over.set()
        watcher.join()


def test_work_is_done_in_the_portal_and_comes_back(portal: Portal) -> None:
    assert portal.run(answer(7)) == 7
    assert portal.call(threading.current_thread).name == "test-portal"


def test_errors_cross_as_they_are(portal: Portal) -> None:
    error = UnavailableError("nobody is there", retry_after_s=2.0)

    async def fail() -> None:
        raise error

    with pytest.raises(UnavailableError) as caught:
        portal.run(fail())
    assert caught.value is error


def test_an_interruption_cancels_what_is_waited_for_and_nothing_else(portal: Portal) -> None:
    cancelled = threading.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with interrupted_in("result"):
        portal.run(wait_for_ever())
    assert cancelled.wait(WAIT_S)
    assert portal.run(answer(7)) == 7


def test_whoever_waits_at_the_end_is_told(portal: Portal) -> None:
    waiting = portal.submit(asyncio.Event().wait())
    portal.stop()
    with pytest.raises(SessionClosedError):
        portal.wait(waiting)
    with pytest.raises(SessionClosedError):
        portal.run(answer(7))


def test_a_callback_must_not_wait_for_its_own_thread(portal: Portal) -> None:
    with pytest.raises(RejectedError, match="callback"):
        portal.call(lambda: portal.run(answer(7)))


def batch(number: int, size: int = 64) -> Batch:
    """A batch that only its position tells from others."""
    return Batch(Position(number * size), Term(1), Position(0), bytes(size))


def test_reading_ahead_is_bounded(client: Client) -> None:
    size = READ_AHEAD_BYTES // 4
    made = []
    is_full = threading.Event()

    async def endless() -> AsyncGenerator[Batch]:
        for number in range(1_000):
            made.append(number)
            if number == 3:
                is_full.set()
            yield batch(number, size)

    with Batches(client, client._portal, endless) as batches:
        assert is_full.wait(WAIT_S)
        client._portal.call(lambda: None)
        assert made == [0, 1, 2, 3]
        taken = [next(batches).position for _ in range(20)]
        assert taken == [number * size for number in range(20)]
        assert len(made) <= 25


def test_an_interrupted_reader_loses_nothing(client: Client) -> None:
    gate: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def gated() -> AsyncGenerator[Batch]:
        await asyncio.wrap_future(gate)
        yield batch(1)
        yield batch(2)

    batches = Batches(client, client._portal, gated)
    with interrupted_in("take"):
        next(batches)
    gate.set_result(None)
    assert [one.position for one in batches] == [64, 128]


def test_an_error_comes_after_what_was_read_before_it(client: Client) -> None:
    async def failing() -> AsyncGenerator[Batch]:
        yield batch(1)
        raise UnavailableError("it is gone", retry_after_s=1.0)

    batches = Batches(client, client._portal, failing)
    assert next(batches).position == 64
    with pytest.raises(UnavailableError):
        next(batches)


@pytest.mark.parametrize("way", ["closed", "forgotten"])
def test_a_subscription_that_nobody_wants_ends(client: Client, way: str) -> None:
    ended = threading.Event()

    async def endless() -> AsyncGenerator[Batch]:
        try:
            for number in range(1_000_000_000):
                yield batch(number, READ_AHEAD_BYTES)
        finally:
            ended.set()

    batches = Batches(client, client._portal, endless)
    next(batches)
    if way == "closed":
        batches.close()
        assert list(batches) == []
    del batches
    gc.collect()
    assert ended.wait(WAIT_S)


def test_a_client_ends_its_thread_and_what_is_read_through_it() -> None:
    with contextlib.closing(Client([NOWHERE], cluster=CLUSTER)) as client:
        assert named("sequencer-client")
        frames = client.subscribe()
        reader: concurrent.futures.Future[int] = concurrent.futures.Future()
        thread = threading.Thread(target=lambda: reader.set_result(len(list(frames))))
        thread.start()
        client.close()
        assert reader.result(WAIT_S) == 0
        thread.join()
        client.close()
    assert not named("sequencer-client")
    with pytest.raises(SessionClosedError):
        client.open_session("late")


def test_a_client_that_is_forgotten_ends_its_thread() -> None:
    client = Client([NOWHERE], cluster=CLUSTER)
    del client
    gc.collect()
    assert not named("sequencer-client")


def test_nobody_answers_within_the_time(client: Client) -> None:
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        client.connect(timeout_s=0.2)
    with pytest.raises(UnavailableError, match="could not be opened"):
        client.open_session("orders", timeout_s=0.2)
    assert time.monotonic() - began_s < WAIT_S


@pytest.mark.parametrize(
    ("cluster", "addresses", "path"),
    [("no-uuid", [NOWHERE], "cluster"), (CLUSTER, [], "addresses")],
)
def test_wrong_settings_start_no_thread(cluster: str, addresses: list[str], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Client(addresses, cluster=cluster)
    assert path in caught.value.path
    assert not named("sequencer-client")
