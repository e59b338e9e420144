"""The life of a node process: what ends it, what it says then, and what it tells the native node.

In go a node made by hand; the event loop, the signals, the admin endpoint on a free port of the loopback interface and
the log lines are real.
"""

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Callable

import pytest
from fake_node import CLUSTER, DATA, FakeNode, status_tree
from sequencer.cli.admin_client import AdminClient
from sequencer.errors import StartError, UnavailableError
from sequencer.node.config_file import parse_config
from sequencer.node.logs import LineFormatter
from sequencer.node.process import NodeEndedError, bind_admin, serve
from sequencer.node.status import decode_status
from sequencer.node.watch import SILENCE_S_MAX, Watch, changes

CONFIG = parse_config(
    f'cluster = "{CLUSTER}"\nnode = 1\ndata = "{DATA[0]}"\n'
    'directory = "absent"\nlisten = "127.0.0.1:0"\ninsecure = true\n'
)


def live(node: FakeNode, *steps: Callable[[str], None], stop_at_end_of: int | None = None) -> None:
    """Let a node live; each step is done in a thread of its own, with the address of the admin endpoint."""

    async def do() -> None:
        bound = bind_admin("127.0.0.1:0")
        host, port = bound.getsockname()
        served = asyncio.create_task(
            serve(node, CONFIG, token=None, admin_socket=bound, stop_at_end_of=stop_at_end_of)
        )
        await asyncio.sleep(0)
        for step in steps:
            await asyncio.to_thread(step, f"http://{host}:{port}")
        await asyncio.wait_for(served, 20)

    asyncio.run(do())


def wait_until_served(url: str) -> None:
    """Wait until the admin endpoint answers."""
    for _ in range(1000):
        try:
            AdminClient(url).status()
        except UnavailableError:
            continue
        return
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_over_and_ends_cleanly(number: signal.Signals) -> None:
    node = FakeNode()
    live(node, wait_until_served, lambda _: os.kill(os.getpid(), number))
    assert node.stops == [True]


def test_a_second_signal_does_not_wait_for_a_hand_over() -> None:
    class Slow(FakeNode):
        def stop(self, hand_over: bool) -> None:
            """End only when it is not to hand over."""
            self.stops.append(hand_over)
            if not hand_over:
                self.end("")

    node = Slow()

    def send(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        while not node.stops:
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGTERM)

    live(node, wait_until_served, send)
    assert node.stops == [True, False]


def test_the_end_of_its_input_stops_it() -> None:
    node = FakeNode()
    reader, writer = os.pipe()
    try:
        live(node, wait_until_served, lambda _: os.close(writer), stop_at_end_of=reader)
    finally:
        os.close(reader)
    assert node.stops == [True]


def test_a_node_that_ends_by_itself_is_a_failure() -> None:
    for why, said in (("the disk failed", "the disk failed"), ("", "by itself")):
        node = FakeNode()
        with pytest.raises(NodeEndedError, match=said):
            live(node, wait_until_served, lambda _, node=node, why=why: node.end(why))  # type: ignore[misc]  # a lambda with defaults
        assert node.stops == []


def test_a_taken_admin_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=address):
            bind_admin(address)


def test_the_watch_tells_silence_from_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [0.0]
    node = FakeNode()
    watch = Watch(node, clock=lambda: now_s[0])
    with caplog.at_level(logging.INFO):
        watch.look()
        node.tree = None
        now_s[0] = SILENCE_S_MAX
        watch.look()
        watch.look()
        assert not watch.is_alive()
        node.tree = status_tree()
        watch.look()
        assert watch.is_alive()
    assert [record.message for record in caplog.records] == [
        "the leader changed",
        "the hot loop does not answer",
        "the hot loop answers again",
    ]


def test_changes_are_told_once() -> None:
    def status(**more: object) -> bytes:
        return json.dumps(status_tree(**more)).encode()

    before = decode_status(status())
    for more, said in (
        ({}, []),
        ({"term": 4}, ["the leader changed"]),
        ({"disk": {"free_bytes": 1, "is_low": True}}, ["the disk has reached its reserve"]),
        ({"claim": {"term": 1, "position": 64, "damaged": False}}, ["this node may have acknowledged bytes"]),
        ({"members": status_tree()["members"][:2]}, ["the members changed"]),
    ):
        after = decode_status(status(**more))
        found = [change.message for change in changes(before, after)]
        assert len(found) == len(said)
        assert all(text.startswith(start) for text, start in zip(found, said, strict=True))
        assert list(changes(after, after)) == []


def test_a_log_record_is_one_line_of_pairs() -> None:
    record = logging.LogRecord("sequencer.node", logging.WARNING, "", 0, "it %s", ("went\nwrong",), None)
    record.created, record.msecs = 0.25, 250.0
    record.facts = {"term": 3, "why": 'a "b"', "nothing": ""}
    line = LineFormatter(node=2).format(record)
    assert line == (
        "time=1970-01-01T00:00:00.250Z level=warning node=2 from=sequencer.node "
        r'message="it went\nwrong" term=3 why="a \"b\"" nothing=""'
    )
