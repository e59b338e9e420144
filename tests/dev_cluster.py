"""A cluster that `sequencer dev` runs, as a test sees it: its events, its command line, its processes."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sequencer.cli.admin_client import AdminClient
from sequencer.cli.local_cluster import read_cluster
from sequencer.errors import UnavailableError
from sequencer.node.status import NodeStatus

WAIT_S = 60.0
"""Longest wait for anything. A machine that runs other tests besides may pause a process for seconds."""
LOOK_EVERY_S = 0.05

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Look again and again until there is something to return."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"{what}: not within {WAIT_S:.0f} s")


def sequencer(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "sequencer.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)


class DevCluster:
    """One run of `sequencer dev`.

    Attributes:
        directory: Where the cluster lives.
        process: The process of `sequencer dev` itself.
        pids: The processes of the nodes, by id.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        command = [
            sys.executable,
            "-m",
            "sequencer.cli",
            "dev",
            "--dir",
            str(directory),
            "-o",
            "json",
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        started = self.event("started")
        self.pids: dict[int, int] = {node["id"]: node["pid"] for node in started["nodes"]}

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the next event of that name; others on the way are passed over."""
        return self.events(name)[0]

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Wait for the next event of each name, in whatever order they come; others on the way are passed over."""
        deadline = time.monotonic() + WAIT_S
        found: dict[str, dict[str, Any]] = {}
        while len(found) < len(names):
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"of {names} only {list(found)} within {WAIT_S:.0f} s") from None
            if event["event"] == "restarted":
                self.pids[event["node"]] = event["pid"]
            if event["event"] in names:
                found.setdefault(event["event"], event)
        return [found[name] for name in names]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command about this cluster."""
        return sequencer(*arguments, "--dir", self.directory)

    def ask(self, *arguments: str) -> Any:  # noqa: ANN401  # what a command prints
        """Run a command about this cluster, which must succeed, and read what it prints."""
        result = self.run(*arguments, "-o", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def admin(self, node: int) -> AdminClient:
        """The admin endpoint of a node."""
        return AdminClient(next(one.admin for one in read_cluster(self.directory).nodes if one.id == node))

    def statuses(self) -> dict[int, NodeStatus]:
        """How those nodes stand that answer."""
        found = {}
        for node in self.pids:
            with contextlib.suppress(UnavailableError):
                found[node] = self.admin(node).status()
        return found

    def wait_until_all_agree(self) -> dict[int, NodeStatus]:
        """Wait until every node follows the same leader and has committed the same."""

        def look() -> dict[int, NodeStatus] | None:
            found = self.statuses()
            standings = {
                (one.leader, one.term, one.positions.commit, one.is_caught_up) for one in found.values()
            }
            is_agreed = len(found) == len(self.pids) and len(standings) == 1 and standings.pop()[3]
            return found if is_agreed else None

        return wait_for(look, "agreement of all nodes")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to `sequencer dev` and wait for its end; its exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(WAIT_S)
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))


@contextlib.contextmanager
def running(directory: Path, *options: str) -> Iterator[DevCluster]:
    """Run a cluster; nothing of it is left afterwards."""
    cluster = DevCluster(directory, *options)
    try:
        yield cluster
    finally:
        cluster.stop()


def is_running(pid: int) -> bool:
    """Say whether a process that is not our child still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
