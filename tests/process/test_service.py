"""Replicas of a service as real processes at real nodes: each answer once, whoever dies.

In go messages of a client that checks the log. Everything is real: processes, sockets on the loopback interface, files.
What fails: replicas are killed, stopped for a while, started again with and without their state, the leader is killed;
one computes something else; one message cannot be handled. Waiting is for conditions, with a limit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest
from dev_cluster import WAIT_S, wait_for
from process.harness import Cluster
from sequencer import _native
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_setup import free_ports
from sequencer.errors import WindowFullError
from sequencer.service import service_id
from sequencer.types import FrameKind, Position
from service_machines import ANSWER, ASK, LATER, POISON, Answer

TESTS = Path(__file__).parent.parent
SCHEMAS = [argument for schema in (ASK, LATER, POISON) for argument in ("--client-schema", str(schema))]


class ReplicaProcess:
    """One process that runs a replica.

    Attributes:
        state: Its directory.
        process: It.
    """

    def __init__(
        self, cluster: Cluster, name: str, replica: int, *options: str, machine: str = "Echo"
    ) -> None:
        self.state = cluster.directory / f"{name}-{replica}"
        self._log = cluster.directory / f"{name}-{replica}.log"
        addresses = ",".join(cluster.addresses.values())
        self._command = [
            *(sys.executable, "-m", "sequencer.cli", "service", f"service_machines:{machine}"),
            *("--connect", addresses, "--cluster", cluster.name, "--name", name),
            *("--replica", str(replica), "--state", str(self.state), "--stop-with-stdin", *SCHEMAS, *options),
        ]
        self.process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def again(self) -> None:
        """Start it again after its end."""
        assert self.process.poll() is not None
        self.process = self._start()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(WAIT_S)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def text(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for_text(self, pattern: str) -> None:
        """Wait until it has logged something."""
        wait_for(lambda: re.search(pattern, self.text()), f"{pattern!r} in {self._log}")

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=TESTS,
            )


class Asker:
    """A client that asks, and reads every answer of one service in the log.

    Attributes:
        asked: Messages so far.
        answers: The answers so far, with the frame of each.
        frames: Other frames of the service.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.service = service_id(name)
        self._native = _native.Client(cluster.name, list(cluster.addresses.values()), role="operator")
        self._native.open_session(f"asker-{name}", timeout_s=10, window_messages=2000, window_bytes=1 << 20)
        self._native.subscribe(Position(0))
        self.asked = 0
        self.refused = 0
        self.answers: list[tuple[Answer, _native.Frame]] = []
        self.frames: list[_native.Frame] = []
        self.positions: dict[int, int] = {}

    def turn(self) -> None:
        """Take in what arrives within a moment."""
        for event in self._native.poll(0.01):
            match event:
                case ("frames", at, term, _, frames):
                    for frame in _native.decode_frames(frames, at=at, previous_term=term):
                        self._note(frame)
                case ("refused", _, count, (kind, *_)):
                    # The schema is being registered, and comes into use in a moment.
                    assert kind == "unknown_schema"
                    self.refused += count
                case _:
                    pass

    def ask(self, count: int, schema: int = ASK, *rest: int) -> None:
        """Publish so many messages, as fast as the window allows."""
        last = self.asked + count
        while self.asked < last:
            payload = msgspec.msgpack.encode((self.asked + 1, *rest) if schema != POISON else ())
            try:
                self._native.publish(payload, schema_id=schema, schema_version=1)
                self.asked += 1
            except WindowFullError:
                self.turn()

    def begin(self) -> None:
        """Publish a first message once the service is registered, and again until its schema is."""
        self.until(lambda: bool(self.of(FrameKind.SERVICE_REGISTRATION)), "a registration")
        self.ask(1)

        def look() -> bool | None:
            self.turn()
            if self.refused:
                self.asked, self.refused = 0, 0
                self.ask(1)
            return True if self.answers else None

        wait_for(look, "a first answer")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Read on until something holds."""

        def look() -> bool | None:
            self.turn()
            return True if condition() else None

        wait_for(look, what)

    def until_answered(self) -> None:
        """Read on until every message was answered, and see that each was once and in order."""
        self.until(lambda: len(self.answers) >= self.asked, f"{self.asked} answers")
        self.check()

    def check(self) -> None:
        """See that each message was answered once, in order, by a machine that never forgot anything."""
        assert [answer for answer, _ in self.answers] == [
            Answer(number, number) for number in range(1, len(self.answers) + 1)
        ]
        assert [frame.source_sequence for _, frame in self.answers] == list(range(1, len(self.answers) + 1))

    def of(self, kind: FrameKind) -> list[_native.Frame]:
        """Other frames of the service that were read."""
        return [frame for frame in self.frames if frame.kind == kind]

    def _note(self, frame: _native.Frame) -> None:
        if frame.kind == FrameKind.MESSAGE and frame.schema_id == POISON:
            self.positions[POISON] = frame.at
        if frame.source_id != self.service or frame.kind == FrameKind.MESSAGE:
            return
        if frame.kind == FrameKind.OUTPUT:
            assert frame.schema_id == ANSWER
            self.answers.append((msgspec.msgpack.decode(frame.payload, type=Answer), frame))
        else:
            self.frames.append(frame)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Run three nodes."""
    with Cluster(tmp_path) as cluster:
        yield cluster


def test_a_service_registers_itself_and_answers_each_message_once(cluster: Cluster) -> None:
    asker = Asker(cluster, "alone")
    (port,) = free_ports(1)
    with ReplicaProcess(cluster, "alone", 1, "--metrics", f"127.0.0.1:{port}") as replica:
        asker.begin()
        asker.ask(5000)
        asker.until_answered()
        asker.ask(1, LATER, 50_000_000)
        asker.until_answered()
        asker.until(lambda: bool(asker.of(FrameKind.PROGRESS)), "progress")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
            metrics = answer.read().decode()
        labels = 'replica="1",service="alone",version="1"'
        values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        assert float(values[f"sequencer_service_admitted_k{{{labels}}}"]) == asker.asked
        assert float(values[f"sequencer_service_outbox_outputs{{{labels}}}"]) == 0
        assert f'schema="{ASK}"' in metrics
        assert replica.stop() == ExitCode.OK
    assert len(asker.of(FrameKind.SERVICE_REGISTRATION)) == 1
    progress = asker.of(FrameKind.PROGRESS)[-1]
    assert progress.source_sequence <= asker.asked


def test_killing_stopping_and_starting_replicas_changes_nothing_that_a_client_sees(cluster: Cluster) -> None:
    asker = Asker(cluster, "many")
    with (
        ReplicaProcess(cluster, "many", 1, "--snapshot-mib", "0.1") as one,
        ReplicaProcess(cluster, "many", 2, "--snapshot-mib", "0.1") as two,
    ):
        asker.begin()
        for round_ in range(3):
            asker.ask(3000)
            one.kill()
            asker.ask(3000)
            asker.until(lambda: len(asker.answers) > asker.asked - 2000, "answers of the one that is left")
            one.again()
            two.process.send_signal(signal.SIGSTOP)
            asker.ask(3000)
            two.process.send_signal(signal.SIGCONT)
            if round_ == 1:
                # All of them at once, in the middle of their work.
                one.kill()
                two.kill()
                asker.ask(1000)
                one.again()
                two.again()
            one, two = two, one
        asker.until_answered()
        assert len(list(one.state.glob("snapshot-*"))) == 2
        assert "snapshot loaded" in one.text() + two.text()


def test_a_replica_goes_on_over_the_death_of_the_leader(cluster: Cluster) -> None:
    asker = Asker(cluster, "leaders")
    with ReplicaProcess(cluster, "leaders", 1), ReplicaProcess(cluster, "leaders", 2):
        asker.begin()
        asker.ask(3000)
        leader = cluster.leader()
        cluster.kill(leader)
        asker.ask(3000)
        asker.until_answered()
        cluster.start(leader)
        cluster.wait_until_all_agree()
        leader = cluster.leader()
        cluster.freeze(leader)
        try:
            asker.ask(3000)
            asker.until_answered()
        finally:
            cluster.thaw(leader)


def test_a_replica_that_starts_again_goes_on_from_its_snapshot(cluster: Cluster) -> None:
    asker = Asker(cluster, "again")
    with ReplicaProcess(cluster, "again", 1) as replica:
        asker.begin()
        asker.ask(2000)
        asker.until_answered()
        assert replica.stop() == ExitCode.OK
        (snapshot,) = replica.state.glob("snapshot-*")
        asker.ask(500)
        replica.again()
        asker.until_answered()
        # A second one cannot use the same directory.
        before = replica.text()
        with ReplicaProcess(cluster, "again", 1) as other:
            assert other.wait() == ExitCode.FAILED
            assert "Another process uses" in other.text()[len(before) :]
        assert replica.process.poll() is None
        replica.kill()
        # Without its newest snapshot it reads the log from the start.
        snapshot.write_bytes(snapshot.read_bytes()[:-1])
        replica.again()
        asker.ask(500)
        asker.until_answered()
        assert "passed over" in replica.text()


def test_a_message_that_nobody_can_handle_is_skipped(cluster: Cluster) -> None:
    asker = Asker(cluster, "poison")
    with ReplicaProcess(cluster, "poison", 1) as one, ReplicaProcess(cluster, "poison", 2) as two:
        asker.begin()
        asker.ask(1000)
        asker.ask(1, POISON)
        asker.asked -= 1
        asker.ask(1000)
        for replica in (one, two):
            replica.wait_for_text("stopped in front of an input")
        asker.until(lambda: len(asker.answers) == 1001, "answers up to the poison")
        position = asker.positions[POISON]
        for replica in (one, two):
            assert f"position={position}" in replica.text()
        addresses = ",".join(cluster.addresses.values())
        skipped = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "sequencer.cli",
                    "service",
                    "skip",
                    str(position),
                    "--name",
                    "poison",
                ),
                *("--connect", addresses, "--cluster", cluster.name, "-o", "json"),
            ],
            capture_output=True,
            check=False,
            timeout=WAIT_S,
        )
        assert skipped.returncode == ExitCode.OK, skipped.stderr
        assert json.loads(skipped.stdout)["outcome"] == "admitted"
        asker.until_answered()
        asker.ask(1000)
        asker.until_answered()
        assert (one.stop(), two.stop()) == (ExitCode.OK, ExitCode.OK)


@pytest.mark.parametrize("replicas", [2, 3])
def test_one_that_computes_something_else_says_so_and_stops(cluster: Cluster, replicas: int) -> None:
    name = f"wrong-{replicas}"
    asker = Asker(cluster, name)
    options = ("--replicas", str(replicas))
    with ReplicaProcess(cluster, name, 1, *options) as good:
        asker.begin()
        with ReplicaProcess(cluster, name, 2, *options) as other:
            other.wait_for_text("a leader takes outputs")
            asker.ask(500)
            asker.until_answered()
            # What it computes of the past differs from the log, so it is not the first whatever is fast.
            with ReplicaProcess(cluster, name, 3, *options, machine="Wrong") as wrong:
                assert wrong.wait() == ExitCode.FAILED
                assert "differs from the log in output 10 of epoch 1" in wrong.text()
            asker.until(lambda: bool(asker.of(FrameKind.DIVERGENCE_REPORT)), "a report")
            (report,) = asker.of(FrameKind.DIVERGENCE_REPORT)
            assert (report.source_sequence, int.from_bytes(report.payload[:4], "little")) == (10, 3)
            assert report.cause == asker.answers[9][1].cause
            if replicas == 2:
                for replica in (good, other):
                    assert replica.wait() == ExitCode.FAILED
                    assert "The service halts" in replica.text()
            else:
                asker.ask(500)
                asker.until_answered()


def test_what_is_wrong_on_the_command_line_is_said(cluster: Cluster, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sequencer.cli", "service", *arguments]
        connect = ("--connect", next(iter(cluster.addresses.values())), "--cluster", cluster.name)
        return subprocess.run(
            [*command, *connect, "--state", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
            cwd=TESTS,
            env={**os.environ, "COLUMNS": "200"},
        )

    cases = [
        (["service_machines:Echo"], ExitCode.USAGE, "--name or --service"),
        (["service_machines", "--name", "x"], ExitCode.CONFIGURATION, "write module:Class"),
        (["nowhere:Echo", "--name", "x"], ExitCode.CONFIGURATION, "There is no module 'nowhere'"),
        (["service_machines:Nobody", "--name", "x"], ExitCode.CONFIGURATION, "has no 'Nobody'"),
        (["service_machines:Ask", "--name", "x"], ExitCode.CONFIGURATION, "is no StateMachine"),
        (["service_machines:Echo", "--name", "x" * 65], ExitCode.CONFIGURATION, "1 to 64 bytes"),
        (
            ["service_machines:Echo", "--name", "x", "--client-schema", "5"],
            ExitCode.CONFIGURATION,
            "No machine handles schema 5",
        ),
    ]
    for arguments, code, text in cases:
        result = run(*arguments)
        assert (result.returncode, text in result.stderr) == (code, True), (arguments, result.stderr)
