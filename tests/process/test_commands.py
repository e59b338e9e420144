"""`sequencer publish`, `subscribe` and `log` with real nodes.

In go command lines, lines of standard input and signals; checked is what is printed, when, and the exit code.
Everything is real: processes, sockets on the loopback interface, files. Waiting is for conditions, with a limit.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_cluster import WAIT_S, DevCluster, running, sequencer, wait_for
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import read_cluster
from sequencer.client import blocking


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """Run one cluster for the tests; each has sessions of its own."""
    with running(tmp_path_factory.mktemp("commands"), "--durability", "memory") as found:
        found.event("leader")
        yield found


def test_the_command_line_publishes_and_reads(cluster: DevCluster) -> None:
    published = cluster.run("publish", "grüße", "\udcff", "--session", "command-line")
    assert published.returncode == 0, published.stderr
    assert published.stderr == "2 messages published.\n"
    first, second = map(int, published.stdout.split())
    read = cluster.run("subscribe", "--from", str(first), "--count", "2", "--kind", "message")
    assert read.returncode == 0, read.stderr
    lines = read.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(first), str(second)]
    assert [line.split()[-1] for line in lines] == ["grüße", "0xff"]
    frames = [
        json.loads(line) for line in cluster.run("subscribe", "--no-follow", "-o", "json").stdout.splitlines()
    ]
    assert [frame.get("text") for frame in frames if frame["position"] in {first, second}] == ["grüße", None]
    assert {frame["kind"] for frame in frames} >= {"new_term", "session_open", "message"}


def test_lines_of_standard_input_are_published(cluster: DevCluster) -> None:
    addresses = ",".join(node.address for node in read_cluster(cluster.directory).nodes)
    name = read_cluster(cluster.directory).cluster
    command = [
        sys.executable,
        "-m",
        "sequencer.cli",
        "publish",
        "-",
        "--connect",
        addresses,
        "--cluster",
        name,
    ]
    lines = "".join(f"line {number}\n" for number in range(20_000))
    result = subprocess.run(
        [*command, "-o", "json"], input=lines, capture_output=True, text=True, check=False, timeout=WAIT_S
    )
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[-1] == {"event": "finished", "messages": 20_000}
    positions = [event["position"] for event in events[:-1]]
    assert len(positions) == 20_000 and positions == sorted(set(positions))
    read = cluster.run(
        "subscribe", "--from", str(positions[0]), "--kind", "message", "--count", "20000", "-o", "json"
    )
    frames = [json.loads(line) for line in read.stdout.splitlines()]
    assert [frame["text"] for frame in frames] == lines.splitlines()
    assert [frame["position"] for frame in frames] == positions


def test_a_line_is_published_before_the_next_is_written(cluster: DevCluster) -> None:
    command = [sys.executable, "-m", "sequencer.cli", "publish", "-", "--dir", str(cluster.directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        for _ in range(3):
            process.stdin.write("hello\n")
            process.stdin.flush()
            assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == ExitCode.FAILED
        assert process.stderr.read() == "Interrupted: 3 messages published.\n"


def test_watching_ends_with_ctrl_c(cluster: DevCluster) -> None:
    command = [sys.executable, "-m", "sequencer.cli", "subscribe", "--dir", str(cluster.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "new_term" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        # What it had printed by then may be more than a pipe holds.
        process.stdout.read()
        assert process.wait(WAIT_S) == ExitCode.OK
        assert process.stderr.read() == ""


def test_whoever_reads_may_have_seen_enough(cluster: DevCluster) -> None:
    with (
        blocking.Client.from_directory(cluster.directory) as client,
        client.open_session("enough") as session,
    ):
        # More than a pipe holds.
        session.publish_many(b"%d" % number for number in range(10_000))
    for command in (
        ["subscribe", "--no-follow", "--dir", str(cluster.directory)],
        ["log", "dump", str(cluster.directory / "node-1")],
    ):
        with subprocess.Popen(
            [sys.executable, "-m", "sequencer.cli", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            assert "new_term" in process.stdout.readline()
            process.stdout.close()
            assert process.wait(WAIT_S) == ExitCode.OK
            assert "Traceback" not in process.stderr.read()


def test_the_log_of_a_node_that_runs_verifies(cluster: DevCluster) -> None:
    with (
        blocking.Client.from_directory(cluster.directory) as client,
        client.open_session("on-disk") as session,
    ):
        payload = b"find me on the disk"
        position = session.publish(payload)
        for node in cluster.pids:
            directory = cluster.directory / f"node-{node}"

            def look(directory: Path = directory) -> str | None:
                dumped = sequencer(
                    "log", "dump", directory, "--from", str(position), "--count", "1", "-o", "json"
                )
                return dumped.stdout or None

            assert json.loads(wait_for(look, "the frame on a follower's disk"))["text"] == payload.decode()
            verified = sequencer("log", "verify", directory, "-o", "json")
            assert verified.returncode == 0, verified.stderr
            assert json.loads(verified.stdout)["health"] == "clean"
            assert sequencer("log", "tail", directory).returncode == 0
