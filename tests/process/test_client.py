"""The client with real nodes: what is published is read back, and what cannot be is refused with the right error.

In go messages, through asyncio and through the blocking twin. Everything is real: processes,
sockets on the loopback interface, files. Waiting is for conditions, with a limit.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from dev_cluster import WAIT_S, DevCluster, running, sequencer, wait_for
from sequencer.cli.admin_client import AdminClient
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import read_cluster
from sequencer.cli.local_setup import free_ports
from sequencer.client import Client, Frame, Positions, Session, blocking, connect
from sequencer.errors import (
    FencedError,
    NotAuthorizedError,
    RejectedError,
    SessionClosedError,
    SubscriptionEndedError,
    TooLargeError,
    UnavailableError,
    WindowFullError,
)
from sequencer.types import FrameKind, Position

T = TypeVar("T")

OTHER_CLUSTER = "5f0c2a4e-6f0e-4c58-8d5e-3f1f2f9f1aff"
PAYLOAD_BYTES_MAX = 1_048_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """Run one cluster for the tests; each has sessions of its own."""
    with running(tmp_path_factory.mktemp("client"), "--durability", "memory") as found:
        found.event("leader")
        yield found


def in_loop(body: Callable[[Client], Awaitable[T]], cluster: DevCluster) -> T:
    """Run a test with a client in an event loop, with a limit of time."""

    async def run() -> T:
        async with asyncio.timeout(WAIT_S), Client.from_directory(cluster.directory) as client:
            return await body(client)

    return asyncio.run(run())


async def committed(client: Client, *, source: int, at: str | None = None) -> list[Frame]:
    """Read the messages of a session that are in the log by now."""
    frames = client.subscribe(live=False, kinds=[FrameKind.MESSAGE], at=at)
    return [frame async for frame in frames if frame.source_id == source]


def test_what_is_published_is_read_back(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        payloads: list[bytes | bytearray | memoryview] = [
            b"",
            b"one",
            os.urandom(100_000),
            b"\0" * 7,
            bytearray(b"two"),
            memoryview(b"three"),
        ]
        async with await client.open_session("round-trip") as session:
            positions = [
                await session.publish(payload, schema_id=0, cause=Position(72)) for payload in payloads
            ]
            futures = [session.publish_nowait(b"%d" % number) for number in range(100)]
            assert session.unacknowledged == 100
            positions += await asyncio.gather(*futures)
            into = Positions()
            many = await session.publish_many((b"many %d" % number for number in range(1000)), into=into)
            assert many is into
            positions += many
            await session.flush()
            assert session.unacknowledged == 0
        frames = await committed(client, source=session.id)
        expected = [bytes(payload) for payload in payloads]
        expected += [b"%d" % number for number in range(100)]
        expected += [b"many %d" % number for number in range(1000)]
        assert [frame.payload for frame in frames] == expected
        assert [frame.at for frame in frames] == positions
        assert [frame.source_sequence for frame in frames] == list(range(1, len(expected) + 1))
        assert {frame.cause for frame in frames[: len(payloads)]} == {72}
        with pytest.raises(SessionClosedError):
            await session.publish(b"late")

    in_loop(body, cluster)


def test_the_blocking_twin_does_the_same(cluster: DevCluster) -> None:
    with blocking.Client.from_directory(cluster.directory) as client:
        with client.open_session("blocking-round-trip") as session:
            positions = [session.publish(b"one"), session.publish_nowait(b"two").result(WAIT_S)]
            positions += session.publish_many(b"many %d" % number for number in range(10_000))
            session.flush()
            assert session.unacknowledged == 0
            assert (session.name, session.last_sequence, session.epoch) == ("blocking-round-trip", 0, 1)
        with client.subscribe(kinds=[FrameKind.MESSAGE], live=False) as frames:
            mine = [frame for frame in frames if frame.source_id == session.id]
        expected = [b"one", b"two", *(b"many %d" % number for number in range(10_000))]
        assert [frame.payload for frame in mine] == expected
        assert [frame.at for frame in mine] == positions
        with client.subscribe_batches(live=False) as batches:
            read = list(batches)
        assert all(one.end == other.position for one, other in itertools.pairwise(read))
        assert [
            f.at for batch in read for f in batch.frames() if f.source_id == session.id and f.kind == 2
        ] == [*positions]
    assert not [thread for thread in threading.enumerate() if thread.name == "sequencer-client"]
    with pytest.raises(SessionClosedError):
        session.publish(b"late")


def test_many_threads_share_one_blocking_session(cluster: DevCluster) -> None:
    with (
        blocking.Client.from_directory(cluster.directory) as client,
        client.open_session("threads") as session,
    ):
        found: list[Position] = []
        threads = [
            threading.Thread(target=lambda: found.extend(session.publish(b"x") for _ in range(50)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert len(set(found)) == 200


def test_an_interrupted_caller_goes_on(cluster: DevCluster) -> None:
    with blocking.Client.from_directory(cluster.directory) as client:
        session = client.open_session("interrupted")
        frames = client.subscribe(from_position=None, kinds=[FrameKind.MESSAGE])
        here = threading.get_ident()

        def interrupt() -> None:
            def is_waiting() -> bool | None:
                frame = sys._current_frames().get(here)
                while frame is not None and frame.f_code.co_name != "take":
                    frame = frame.f_back
                return True if frame is not None else None

            wait_for(is_waiting, "a reader that waits")
            signal.pthread_kill(here, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            next(frames)
        thread.join()
        session.publish(b"after the interruption")
        assert next(frames).payload == b"after the interruption"
        session.close()


def test_a_full_window_is_told_and_has_room_again(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        async with await client.open_session("window", window_messages=8) as session:
            futures = [session.publish_nowait(b"x") for _ in range(8)]
            with pytest.raises(WindowFullError) as caught:
                session.publish_nowait(b"x")
            assert caught.value.messages == 8
            # Waiting is the other way to meet a full window; whoever waits first publishes first.
            waiting = [asyncio.create_task(session.publish(b"waited %d" % number)) for number in range(20)]
            positions = [*await asyncio.gather(*futures), *await asyncio.gather(*waiting)]
            assert positions == sorted(positions)
            await session.publish_nowait(b"x")
        async with await client.open_session("window-bytes", window_bytes=4096) as session:
            # 16 bytes more than its payload each, rounded up: 34 fit.
            for _ in range(4096 // 120):
                session.publish_nowait(b"x" * 100)
            with pytest.raises(WindowFullError):
                session.publish_nowait(b"x" * 100)
            await session.publish_many([b"x" * 100] * 1000)

    in_loop(body, cluster)


def test_fifty_thousand_messages(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        payloads = [b"%08d" % number + b"x" * 280 for number in range(50_000)]
        async with await client.open_session("fifty-thousand") as session:
            positions = await session.publish_many(payloads)
        assert len(positions) == 50_000
        number = 0
        frames = client.subscribe(positions[0], live=False)
        async for frame in frames:
            if frame.source_id == session.id and frame.kind == FrameKind.MESSAGE:
                assert (frame.at, frame.payload) == (positions[number], payloads[number])
                number += 1
        assert number == 50_000

    in_loop(body, cluster)


def test_a_payload_that_is_too_large_stands_alone(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        session = await client.open_session("too-large")
        into = Positions()
        payloads = [b"x"] * 700 + [b"x" * (PAYLOAD_BYTES_MAX + 1000)] + [b"x"] * 10
        with pytest.raises(TooLargeError):
            await session.publish_many(payloads, into=into)
        assert len(into) == 700, "those before it are acknowledged when the error is told"
        await session.publish(b"x" * 1_000_000)
        await session.close()
        await session.close()
        assert len(await committed(client, source=session.id)) == 701

    in_loop(body, cluster)


def test_another_cluster_is_not_talked_to(cluster: DevCluster) -> None:
    addresses = [node.address for node in read_cluster(cluster.directory).nodes]

    async def body() -> None:
        with pytest.raises(RejectedError) as caught:
            await connect(addresses, cluster=OTHER_CLUSTER)
        assert caught.value.kind == "wrong_cluster"
        client = Client(addresses, cluster=OTHER_CLUSTER)
        with pytest.raises(RejectedError) as caught:
            await client.open_session("orders")
        assert caught.value.kind == "wrong_cluster"
        with pytest.raises(RejectedError) as caught:
            await anext(client.subscribe())
        assert caught.value.kind == "wrong_cluster"
        await client.close()

    asyncio.run(body())
    result = sequencer("publish", "x", "--connect", addresses[0], "--cluster", OTHER_CLUSTER)
    assert result.returncode == ExitCode.FAILED
    assert "wrong_cluster" in result.stderr


def test_nobody_is_there() -> None:
    async def body() -> None:
        address = f"127.0.0.1:{free_ports(1)[0]}"
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await connect([address], cluster=OTHER_CLUSTER, timeout_s=0.3)

    asyncio.run(body())


def test_a_session_goes_on_after_its_process_was_killed(cluster: DevCluster) -> None:
    program = (
        "import sys, time\n"
        "from sequencer.client.blocking import Client\n"
        "client = Client.from_directory(sys.argv[1])\n"
        "session = client.open_session('killed')\n"
        "session.publish_many(b'%d' % number for number in range(100))\n"
        "print(session.id, session.epoch, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(cluster.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        number, epoch = map(int, process.stdout.readline().split())
        process.kill()

    async def body(client: Client) -> None:
        async with await client.open_session("killed", resume=number) as session:
            assert (session.id, session.last_sequence) == (number, 100)
            assert session.epoch > epoch
            await session.publish_many(b"%d" % value for value in range(session.last_sequence, 150))
        frames = await committed(client, source=number)
        assert [frame.payload for frame in frames] == [b"%d" % value for value in range(150)]
        assert [frame.source_sequence for frame in frames] == list(range(1, 151))
        with pytest.raises(RejectedError):
            await client.open_session("killed", resume=number)

    in_loop(body, cluster)


def test_whoever_opens_a_name_fences_the_other_off(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        first = await client.open_session("fenced")
        await first.publish(b"mine")
        second = await client.open_session("fenced")
        assert (second.id, second.epoch, second.last_sequence) == (first.id, first.epoch + 1, 1)
        with pytest.raises(FencedError) as caught:
            await first.publish(b"stale")
        assert (caught.value.session, caught.value.first, caught.value.count) == (first.id, 2, 1)
        for _ in range(2):
            with pytest.raises(FencedError):
                first.publish_nowait(b"stale")
        await first.close()
        await second.publish(b"theirs")
        await second.close()
        frames = await committed(client, source=second.id)
        assert [frame.payload for frame in frames] == [b"mine", b"theirs"]

    in_loop(body, cluster)


def test_a_session_that_was_let_go_leaves_no_connection(cluster: DevCluster) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def body(client: Client) -> None:
        async def use(number: int, *, is_closed: bool) -> Session:
            session = await client.open_session(f"short-{number}")
            await session.publish(b"x")
            await (session.close() if is_closed else asyncio.sleep(0))
            session.abandon()
            return session

        kept = [await use(0, is_closed=True)]
        before = descriptors()
        for number in range(1, 6):
            kept.append(await use(number, is_closed=number % 2 == 0))
        assert descriptors() == before
        assert len({session.id for session in kept}) == 6

    in_loop(body, cluster)


def test_reading_from_a_position(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        async with await client.open_session("from-a-position") as session:
            positions = await session.publish_many(b"%d" % number for number in range(100))
        frames = client.subscribe(positions[60])
        for number in range(60, 100):
            frame = await anext(frames)
            assert (frame.at, frame.payload) == (positions[number], b"%d" % number)
        await frames.aclose()
        with pytest.raises(SubscriptionEndedError) as caught:
            await anext(client.subscribe(positions[60] + 8))
        assert caught.value.reason == "no_such_position"
        end = [batch.end async for batch in client.subscribe_batches(positions[99], live=False)][-1]
        # Others may have written meanwhile, but nothing of what was there is read again.
        assert all([frame.at >= end async for frame in client.subscribe(end, live=False)])
        with pytest.raises(SubscriptionEndedError) as caught:
            await anext(client.subscribe(2**62, live=False))
        assert caught.value.position >= end

    in_loop(body, cluster)


async def _opened_at_the_end(client: Client, session: Session) -> tuple[AsyncIterator[Frame], int]:
    """Read from the end on, and publish numbers until the first is read: its number."""
    frames = client.subscribe(None, kinds=[FrameKind.MESSAGE])
    first = asyncio.ensure_future(anext(frames))
    number = 0
    while not first.done():
        await session.publish(b"%d" % number)
        number += 1
    return frames, int((await first).payload)


def test_reading_from_the_end(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        async with await client.open_session("from-the-end") as session:
            await session.publish(b"-1")
            frames, number = await _opened_at_the_end(client, session)
            assert number >= 0
            await session.publish(b"last")
            async for frame in frames:
                number += 1
                if frame.payload == b"last":
                    break
                assert int(frame.payload) == number
        assert not [frame async for frame in client.subscribe(None, live=False, kinds=[FrameKind.MESSAGE])]

    in_loop(body, cluster)


def test_every_node_reads_the_same(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        async with await client.open_session("named-node") as session:
            last = await session.publish(b"the last one")
        logs = {}
        for node in read_cluster(cluster.directory).nodes:
            data = bytearray()
            batches = client.subscribe_batches(0, at=node.address)
            async for batch in batches:
                assert batch.position == len(data)
                data += batch.bytes
                if batch.end > last:
                    break
            status = await asyncio.to_thread(AdminClient(node.admin).status)
            assert status.node == node.id and status.subscribers == 1
            await batches.aclose()
            logs[node.id] = bytes(data[:last])
        assert len(logs) == 3 and len(set(logs.values())) == 1

    in_loop(body, cluster)


def test_whoever_is_cancelled_in_the_middle_leaves_the_session_as_it_is(cluster: DevCluster) -> None:
    async def body(client: Client) -> None:
        async with await client.open_session("cancelled", window_messages=64) as session:
            into = Positions()
            task = asyncio.create_task(
                session.publish_many((b"%d" % number for number in range(1_000_000)), into=into)
            )
            while len(into) < 1000:
                await session.publish(b"another caller's")
            waiting = asyncio.create_task(session.publish(b"waits for room"))
            await asyncio.sleep(0)
            task.cancel()
            waiting.cancel()
            for cancelled in (task, waiting):
                with pytest.raises(asyncio.CancelledError):
                    await cancelled
            await session.flush()
            after = await session.publish(b"after")
        frames = await committed(client, source=session.id)
        assert frames[-1].at == after
        mine = [frame for frame in frames if frame.payload.isdigit()]
        assert [frame.at for frame in mine] == list(into)
        assert [frame.payload for frame in mine] == [b"%d" % number for number in range(len(into))]
        assert not [frame for frame in frames if frame.payload == b"waits for room"]

    in_loop(body, cluster)


def test_a_reader_that_is_slow_is_served_slowly(cluster: DevCluster) -> None:
    with blocking.Client.from_directory(cluster.directory) as client:
        with client.open_session("slow-reader") as session:
            positions = session.publish_many([b"x" * 100_000] * 300)
        with client.subscribe(positions[0], kinds=[FrameKind.MESSAGE]) as frames:
            assert [next(frames).at for _ in positions] == list(positions)


def test_publishing_goes_on_over_a_change_of_leader(cluster: DevCluster) -> None:
    with (
        blocking.Client.from_directory(cluster.directory) as client,
        client.open_session("handed-over") as session,
    ):
        epoch, source = session.epoch, session.id
        into = Positions()
        numbers = (b"%d" % number for number in range(30_000))
        thread = threading.Thread(target=lambda: session.publish_many(numbers, into=into))
        thread.start()
        wait_for(lambda: len(into) or None, "the first acknowledgement")
        result = cluster.run("leader", "transfer")
        assert result.returncode == 0, result.stderr
        thread.join(WAIT_S)
        assert len(into) == 30_000
        # The load may have ended before the leader did.
        session.publish(b"last")
        wait_for(lambda: session.epoch > epoch or None, "the session at the new leader")
        frames = [f for f in client.subscribe(live=False, kinds=[FrameKind.MESSAGE]) if f.source_id == source]
    assert [frame.payload for frame in frames] == [*(b"%d" % number for number in range(30_000)), b"last"]
    assert [at for at in into if at] == [frame.at for frame, at in zip(frames, into, strict=False) if at]


def test_the_wrong_secret_is_refused(tmp_path: Path) -> None:
    secrets = {name: os.urandom(32).hex().encode() for name in ("peer", "app")}
    for name, secret in secrets.items():
        (tmp_path / name).write_bytes(secret + b"\n")
    with guarded_node(tmp_path) as address:

        async def body() -> None:
            for identity, secret in (("app", secrets["peer"]), ("nobody", secrets["app"]), ("", None)):
                with pytest.raises(NotAuthorizedError):
                    await connect([address], cluster=OTHER_CLUSTER, identity=identity, secret=secret)
            client = Client([address], cluster=OTHER_CLUSTER, identity="app", secret=secrets["peer"])
            with pytest.raises(NotAuthorizedError):
                await client.open_session("orders")
            async with await connect(
                [address], cluster=OTHER_CLUSTER, identity="app", secret=secrets["app"]
            ) as client:
                async with await client.open_session("orders") as session:
                    position = await session.publish(b"let in")
                assert (await anext(client.subscribe(position))).payload == b"let in"

        asyncio.run(asyncio.wait_for(body(), WAIT_S))
        options = ["--connect", address, "--cluster", OTHER_CLUSTER, "--identity", "app", "--secret-file"]
        assert sequencer("publish", "x", *options, tmp_path / "app").returncode == 0
        refused = sequencer("publish", "x", *options, tmp_path / "peer")
        assert refused.returncode == ExitCode.FAILED
        assert "not_authorized" in refused.stderr


@contextlib.contextmanager
def guarded_node(directory: Path) -> Iterator[str]:
    """Run a cluster of one node that asks for credentials; where it listens."""
    listen, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    data = "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d01"
    path = directory / "node.toml"
    path.write_text(
        f'cluster = "{OTHER_CLUSTER}"\nnode = 1\ndata = "{data}"\ndirectory = "data"\nlisten = "{listen}"\n'
        f'admin = "{admin}"\n[[founders]]\nid = 1\ndata = "{data}"\n'
        '[[credentials]]\nname = "peer"\nsecret_file = "peer"\nrole = "peer"\n'
        '[[credentials]]\nname = "app"\nsecret_file = "app"\nrole = "client"\n'
        "[limits]\nreserve_bytes = 0\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sequencer.cli", "node", "--config", str(path), "--init"]
    with (directory / "node.log").open("ab") as log, subprocess.Popen(command, stderr=log) as process:
        try:

            def look() -> bool | None:
                assert process.poll() is None, (directory / "node.log").read_text(encoding="utf-8")
                with contextlib.suppress(UnavailableError):
                    return True if AdminClient(admin).status().role == "leader" else None
                return None

            wait_for(look, "a node that leads")
            yield listen
        finally:
            process.terminate()
            process.wait(WAIT_S)
