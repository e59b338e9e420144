"""`sequencer dev`: a whole cluster on this machine, as one process for each node."""

import contextlib
import fcntl
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sequencer.cli.admin_client import AdminClient
from sequencer.cli.exits import FailedError
from sequencer.cli.local_cluster import DEFAULT_DIRECTORY, LocalCluster, config_path, log_path
from sequencer.cli.local_setup import Wishes, prepare
from sequencer.cli.output import Output, OutputOption, make_table, print_json, print_table, print_text
from sequencer.cli.processes import NodeProcess, stop_all
from sequencer.cli.target import ask_all, leader_of
from sequencer.node.config import VOTERS_MAX, Durability, Idle

READY_WAIT_S = 30.0
LOOK_EVERY_S = 0.2

DevDirOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        "-d",
        help="Where the cluster lives; one that is there already goes on.",
        envvar="SEQUENCER_DIR",
    ),
]


def dev(
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", "-n", help="How many nodes.", show_default="3", min=1, max=VOTERS_MAX),
    ] = None,
    directory: DevDirOption = DEFAULT_DIRECTORY,
    durability: Annotated[
        Durability | None,
        typer.Option(
            "--durability",
            help="What an acknowledgement promises: on disk, or in memory.",
            show_default="fsync",
        ),
    ] = None,
    idle: Annotated[
        Idle | None, typer.Option("--idle", help="How the hot loops wait for work.", show_default="wait")
    ] = None,
    base_port: Annotated[
        int | None,
        typer.Option(
            "--base-port",
            help="First of two ports for each node; free ones if left out.",
            min=1024,
            max=65500,
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="Start a node again when its process ended.")
    ] = True,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run a cluster on this machine until Ctrl-C; started again with the same --dir, it goes on where it was.

    It listens on the loopback interface and asks for no credentials. Kill a node to see the others go on.
    """
    with _sole(directory), _stopping() as stopping:
        cluster = prepare(
            directory, Wishes(nodes=nodes, durability=durability, idle=idle, base_port=base_port)
        )
        teller = Teller(output)
        processes = [NodeProcess.start(directory, node.id) for node in cluster.nodes]
        try:
            teller.started(directory, cluster, processes)
            Keeper(cluster, processes, teller, restart=restart).keep(stopping)
        finally:
            killed = stop_all(processes)
            teller.stopped(killed)


class Keeper:
    """Keeps the nodes running, and says who leads when that changes."""

    def __init__(
        self, cluster: LocalCluster, processes: list[NodeProcess], teller: "Teller", *, restart: bool
    ) -> None:
        self._clients = [AdminClient(node.admin, timeout_s=1.0) for node in cluster.nodes]
        self._processes = processes
        self._teller = teller
        self._restart = restart
        self._leader: tuple[int, int] | None = None
        self._deadline_s: float | None = time.monotonic() + READY_WAIT_S

    def keep(self, stopping: threading.Event) -> None:
        """Look from time to time until told to stop.

        Raises:
            FailedError: No node took the lead in time, or every node ended.
        """
        while not stopping.is_set():
            self._look_after_processes()
            self._look_for_leader()
            stopping.wait(LOOK_EVERY_S)

    def _look_after_processes(self) -> None:
        for one in self._processes:
            how = one.poll()
            if how is not None:
                self._teller.ended(one, how, is_restarted=self._restarts(one))
            if self._restart and one.is_due():
                one.restart()
                self._teller.restarted(one)
        if all(
            one.ended_at_s is not None and not (self._restart and not one.has_given_up())
            for one in self._processes
        ):
            raise FailedError("Every node has ended; their logs say why.")

    def _restarts(self, one: NodeProcess) -> bool:
        return self._restart and not one.has_given_up()

    def _look_for_leader(self) -> None:
        found = leader_of(ask_all(self._clients))
        if found is not None and found.status is not None:
            leader = (found.status.node, found.status.term)
            if leader != self._leader:
                self._teller.leads(*leader, is_first=self._deadline_s is not None)
            self._leader, self._deadline_s = leader, None
        elif self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            tails = "\n".join(one.log_tail() for one in self._processes)
            raise FailedError(
                f"No node took the lead within {READY_WAIT_S:.0f} s. What they logged last:\n{tails}"
            )


class Teller:
    """Says what happens: sentences for people, one line of JSON for each event for programs."""

    def __init__(self, output: Output) -> None:
        self._is_json = output is Output.JSON

    def started(self, directory: Path, cluster: LocalCluster, processes: list[NodeProcess]) -> None:
        """All processes are started; nobody leads yet."""
        pids = {one.node: one.pid for one in processes}
        if self._is_json:
            nodes = [
                {"id": node.id, "pid": pids[node.id], "address": node.address, "admin": node.admin}
                for node in cluster.nodes
            ]
            print_json(
                {"event": "started", "dir": str(directory), "cluster": cluster.cluster, "nodes": nodes}
            )
            return
        print_text(f"Cluster {cluster.cluster} in {directory}, insecure: nobody is asked for credentials.")
        rows = [
            (node.id, pids[node.id], node.address, f"http://{node.admin}", *_files(directory, node.id))
            for node in cluster.nodes
        ]
        columns = ("node", "pid", "clients", "admin", "configuration", "log")
        print_table(make_table(columns, rows, right=("pid",)))

    def leads(self, node: int, term: int, *, is_first: bool) -> None:
        """A node leads and takes messages."""
        if self._is_json:
            print_json({"event": "leader", "node": node, "term": term})
            return
        print_text(f"Node {node} leads in term {term}." + (" Ready; Ctrl-C stops all." if is_first else ""))

    def ended(self, one: NodeProcess, how: str, *, is_restarted: bool) -> None:
        """A node's process ended."""
        if self._is_json:
            print_json(
                {"event": "ended", "node": one.node, "pid": one.pid, "how": how, "is_restarted": is_restarted}
            )
            return
        print_text(f"Node {one.node} ended ({how})" + (" and is started again." if is_restarted else "."))
        if one.has_given_up():
            print_text(
                f"It ended soon after its start {one.quick_ends} times. What it logged last:\n{one.log_tail()}"
            )

    def restarted(self, one: NodeProcess) -> None:
        """A node's process was started again."""
        if self._is_json:
            print_json({"event": "restarted", "node": one.node, "pid": one.pid})
        else:
            print_text(f"Node {one.node} is started again as process {one.pid}.")

    def stopped(self, killed: list[int]) -> None:
        """All processes have ended."""
        if self._is_json:
            print_json({"event": "stopped", "killed": killed})
            return
        for node in killed:
            print_text(f"Node {node} did not stop in time and was killed.")
        print_text("All nodes have stopped; the same command goes on where they were.")


def _files(directory: Path, node: int) -> tuple[Path, Path]:
    return config_path(directory, node), log_path(directory, node)


@contextlib.contextmanager
def _sole(directory: Path) -> Iterator[None]:
    """See to it that nobody else runs the cluster in this directory.

    Raises:
        FailedError: Somebody does, or the directory cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "dev.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                text = f"Another `sequencer dev` runs the cluster in {directory}; stop it, or take another --dir."
                raise FailedError(text) from error
            yield
    except OSError as error:
        raise FailedError(f"{directory} cannot be used: {error}.") from error


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, so that the nodes are stopped in good order whenever it comes."""
    event = threading.Event()
    taken = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in taken]
    try:
        yield event
    finally:
        for number, handler in zip(taken, before, strict=True):
            signal.signal(number, handler)
