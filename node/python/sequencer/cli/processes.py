"""Node processes that `sequencer dev` starts, and ends with itself."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sequencer.cli.local_cluster import config_path, log_path

STOP_WAIT_S = 15.0
RESTART_AFTER_S = 1.0
QUICK_ENDS_MAX = 3
QUICK_END_S = 5.0


@dataclass
class NodeProcess:
    """One node's process.

    Its process group is its own, so that Ctrl-C reaches it through `sequencer dev` alone, and it stops by itself when
    its standard input ends, whatever becomes of `sequencer dev`.

    Attributes:
        node: Id of the node.
        quick_ends: How often in a row it ended soon after its start.
    """

    node: int
    directory: Path
    process: subprocess.Popen[bytes]
    started_at_s: float
    ended_at_s: float | None = None
    quick_ends: int = 0

    @classmethod
    def start(cls, directory: Path, node: int) -> "NodeProcess":
        """Start a node whose configuration is in the directory of the cluster."""
        return cls(
            node=node, directory=directory, process=_spawn(directory, node), started_at_s=time.monotonic()
        )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self.process.pid

    def poll(self) -> str | None:
        """Say how the process ended, once; None while it runs and after that."""
        if self.ended_at_s is not None or self.process.poll() is None:
            return None
        self.ended_at_s = time.monotonic()
        is_quick = self.ended_at_s - self.started_at_s < QUICK_END_S
        self.quick_ends = self.quick_ends + 1 if is_quick else 0
        return describe_end(self.process.returncode)

    def is_due(self) -> bool:
        """Say whether an ended process should be started again now: not at once, and not for ever."""
        if self.ended_at_s is None or self.has_given_up():
            return False
        return time.monotonic() - self.ended_at_s >= RESTART_AFTER_S

    def has_given_up(self) -> bool:
        """Say whether it ended soon after its start so often that another start would not help."""
        return self.quick_ends >= QUICK_ENDS_MAX

    def restart(self) -> None:
        """Start it again."""
        self.process = _spawn(self.directory, self.node)
        self.started_at_s, self.ended_at_s = time.monotonic(), None

    def log_tail(self, lines: int = 5) -> str:
        """The last lines that it logged."""
        try:
            text = log_path(self.directory, self.node).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def describe_end(code: int) -> str:
    """Say how a process ended: by a signal, or with a status."""
    if code >= 0:
        return f"status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def stop_all(processes: list[NodeProcess], *, wait_s: float = STOP_WAIT_S) -> list[int]:
    """Ask all to stop, wait, and kill what does not.

    Returns:
        Ids of the nodes that had to be killed.
    """
    running = [one for one in processes if one.process.poll() is None]
    for one in running:
        one.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    killed = []
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
            killed.append(one.node)
    for one in processes:
        if one.process.stdin is not None:
            one.process.stdin.close()
    return killed


def _spawn(directory: Path, node: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sequencer.cli", "node", "--stop-with-stdin", "--config"]
    with log_path(directory, node).open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # this program itself, with paths of our own
            [*command, str(config_path(directory, node))],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # A group of its own, not a session: Linux shares a machine evenly among sessions, so that a node which
            # yields would not yield to the others.
            process_group=0,
        )
