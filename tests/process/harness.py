"""A cluster of real node processes that tests may kill, stop, and start again.

Each node runs `sequencer node` in a process of its own, on the loopback interface, with its data under the directory of
the test. Every wait is for a condition, with a limit. What was started is ended by its own process id, whatever a test
does.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import msgspec
from dev_cluster import WAIT_S, wait_for
from sequencer import _native
from sequencer.cli.admin_client import AdminClient
from sequencer.cli.local_cluster import config_path, data_path, log_path
from sequencer.cli.local_setup import Wishes, free_ports, plan
from sequencer.counters import Counters, read_counters
from sequencer.errors import CorruptionError, UnavailableError
from sequencer.node.config import MIB, Durability, Limits, NodeConfig
from sequencer.node.config_file import config_to_toml, read_config
from sequencer.node.native import init_node
from sequencer.node.status import NodeStatus, Role
from sequencer.types import Position, Term

STATUS_WAIT_S = 1.0
"""A node that is stopped does not answer, and nobody should wait long for it."""
_READ_BYTES = 1 << 20
_SHOWN_CHARACTERS = 1500

SMALL = Limits(
    segment_bytes=128 * 1024,
    reserve_bytes=0,
    payload_bytes=4096,
    buffer_bytes=MIB,
    uncommitted_bytes=256 * 1024,
    inflight_bytes=256 * 1024,
)
"""Limits under which a few thousand messages fill several segments, and the older ones are read from files."""


class Cluster:
    """Node processes, and what a test does to them.

    Args:
        directory: Where configurations, logs and data are.
        limits: Of each node.
        durability: Of each node.
        change: Makes the last changes to a node's configuration.
        wrap: What a node's command line begins with.
        environment: Added to that of each node.

    Attributes:
        directory: As above.
        configs: How each node is configured, by its id.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limits: Limits | None = None,
        durability: Durability = Durability.FSYNC,
        change: Callable[[NodeConfig], NodeConfig] | None = None,
        wrap: Callable[[int], Sequence[str]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._wrap = wrap
        self._environment = dict(environment or {})
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        configs = plan(
            Wishes(durability=durability),
            cluster=uuid4(),
            data=[uuid4() for _ in range(3)],
            ports=free_ports(6),
        )
        self.configs: dict[int, NodeConfig] = {}
        for config in configs:
            changed = msgspec.structs.replace(config, limits=limits or Limits(reserve_bytes=0))
            self.configure(change(changed) if change else changed)

    def __enter__(self) -> Self:
        try:
            for node in self.configs:
                init_node(read_config(config_path(self.directory, node)))
            self.start(*self.configs)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What is done to nodes.

    def configure(self, config: NodeConfig) -> None:
        """Write a node's configuration; it counts from the node's next start."""
        self.configs[config.node] = config
        config_path(self.directory, config.node).write_text(config_to_toml(config), encoding="utf-8")

    def start(self, *nodes: int) -> None:
        """Start nodes; none of them runs."""
        for node in nodes:
            if node in self._processes:
                self._end(node)
            command = [sys.executable, "-m", "sequencer.cli", "node", "--stop-with-stdin", "--config"]
            with log_path(self.directory, node).open("ab") as log:
                self._processes[node] = subprocess.Popen(
                    [
                        *(self._wrap(node) if self._wrap else ()),
                        *command,
                        str(config_path(self.directory, node)),
                    ],
                    # The node ends with the test, however that ends.
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self._environment},
                )

    def kill(self, *nodes: int) -> None:
        """End nodes as a crash of their processes would; all at once, if several."""
        for node in nodes:
            self._processes[node].kill()
        for node in nodes:
            self._end(node)

    def terminate(self, node: int) -> int:
        """Ask a node to stop, and wait for it; its exit code."""
        self._processes[node].terminate()
        return self._end(node)

    def wait_for_end(self, node: int) -> int:
        """Wait until a node has ended by itself; its exit code."""
        return self._end(node)

    def freeze(self, node: int) -> None:
        """Stop a node in the middle of whatever it does, until `thaw`."""
        self._processes[node].send_signal(signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """Let a node go on that was stopped."""
        self._processes[node].send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End whatever runs."""
        self.kill(*self._processes)

    def transfer(self, *, to: int) -> None:
        """Have leadership handed over."""
        leader = self.leader()
        self.admin(leader).send("POST", "/v1/leader/transfer", {"to": to})

    # What is seen of them.

    @property
    def running(self) -> list[int]:
        """Nodes whose processes were started and did not end."""
        return [node for node, process in self._processes.items() if process.poll() is None]

    def pid(self, node: int) -> int:
        """The process of a node that runs."""
        return self._processes[node].pid

    @property
    def addresses(self) -> dict[int, str]:
        """Where each node listens."""
        return {node: config.listen for node, config in self.configs.items()}

    @property
    def name(self) -> str:
        """UUID of the cluster."""
        return str(self.configs[1].cluster)

    def log_directory(self, node: int) -> Path:
        """Where a node's log is."""
        return data_path(self.directory, node) / "log"

    def log_text(self, node: int) -> str:
        """What a node's process has logged."""
        try:
            return log_path(self.directory, node).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def explain(self, error: BaseException) -> None:
        """Add to an error what the nodes logged at last."""
        for node in self.configs:
            standing = "runs" if node in self.running else "does not run"
            error.add_note(
                f"Node {node} {standing}, and logged at last:\n{self.log_text(node)[-_SHOWN_CHARACTERS:]}"
            )

    def admin(self, node: int) -> AdminClient:
        """The admin endpoint of a node."""
        return AdminClient(self.configs[node].admin)

    def status(self, node: int) -> NodeStatus | None:
        """How a node stands; None if it does not answer."""
        try:
            return self.admin(node).status(timeout_s=STATUS_WAIT_S)
        except UnavailableError:
            return None

    def counters(self, node: int) -> Counters:
        """What a node has counted until some milliseconds ago."""
        return read_counters(data_path(self.directory, node))

    def leader(self, *, other_than: int | None = None) -> int:
        """Wait until a node takes messages, and name it."""

        def look() -> int | None:
            # A leader that was stopped may still take itself for one: the newest term counts.
            found = [self.status(node) for node in self.running if node != other_than]
            leading = [one for one in found if one and one.role is Role.LEADER and one.admits]
            return max(leading, key=lambda one: one.term).node if leading else None

        return wait_for(look, "a leader that takes messages")

    def wait_until_all_agree(self) -> int:
        """Wait until all nodes run, follow one leader and have committed the same; up to which position."""

        def look() -> int | None:
            found = [one for node in self.configs if (one := self.status(node))]
            standings = {(one.leader, one.term, one.positions.commit) for one in found}
            if len(found) < len(self.configs) or len(standings) != 1:
                return None
            return found[0].positions.commit if all(one.is_caught_up for one in found) else None

        return wait_for(look, "agreement of all nodes")

    def read_from_disk(self, node: int, end: int) -> bytes:
        """Read a node's log from its segments, up to a position at least."""
        log = bytearray()
        term = Term(0)
        while len(log) < end:
            at = Position(len(log))
            try:
                piece = _native.read_log(self.log_directory(node), at, term, _READ_BYTES)
            except CorruptionError as error:
                raise AssertionError(f"node {node} has on disk only {at} of {end} bytes: {error}") from error
            term = _native.decode_frames(piece, at=at, previous_term=term)[-1].term
            log += piece
        return bytes(log)

    def closed_segments(self, node: int) -> list[Path]:
        """Files of a node's log that nothing is written to any more, the oldest first."""
        return sorted(self.log_directory(node).glob("*.segment"))[:-1]

    def _end(self, node: int) -> int:
        process = self._processes[node]
        code = process.wait(WAIT_S)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        return code


@contextlib.contextmanager
def frozen(cluster: Cluster, node: int) -> Iterator[None]:
    """Keep a node stopped while the body runs."""
    cluster.freeze(node)
    try:
        yield
    finally:
        cluster.thaw(node)


def change_limits(cluster: Cluster, node: int, **changes: int) -> None:
    """Change limits of a node for its next start."""
    config = cluster.configs[node]
    limits = msgspec.structs.replace(config.limits, **changes)
    cluster.configure(msgspec.structs.replace(config, limits=limits))


@contextlib.contextmanager
def small_disk(directory: Path, size_bytes: int) -> Iterator[None]:
    """Put a small file system of its own at a directory, while the body runs; needs root.

    Raises:
        PermissionError: This process may not.
    """
    directory.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(directory)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise PermissionError(mounted.stderr)
    try:
        yield
    finally:
        # Lazily: a process that is about to end may still hold it.
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def flip_bit(path: Path, offset: int, bit: int = 3) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def show(what: str, **facts: Any) -> None:  # noqa: ANN401  # whatever JSON can say
    """Print what was measured, for whoever runs the tests with -s or -rP."""
    sys.stdout.write(f"{what}: {json.dumps(facts)}\n")
