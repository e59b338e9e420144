"""`sequencer bench`: puts a cluster under load and prints what came back, in the fields of the peers' harness."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sequencer import _native
from sequencer.cli.admin_client import AdminClient
from sequencer.cli.exits import ExitCode, FailedError
from sequencer.cli.local_cluster import LocalCluster, config_path, read_cluster
from sequencer.cli.local_setup import RESERVE_BYTES, Wishes, prepare
from sequencer.cli.output import Output, OutputOption, make_table, print_json, print_table
from sequencer.cli.target import find_leader
from sequencer.node.config import MIB, Durability, Idle, Limits

WARMUP_S = 5.0
WARMUP_RATE = 20_000
"""Messages per second of the warm-up, whatever is measured; see `sequencer-load`."""
KEEP_MIB = 256
STOP_WAIT_S = 10.0
READY_WAIT_S = 20.0
PROMISES = {
    Durability.MEMORY: "page cache of a majority",
    Durability.FSYNC: "fdatasync of a majority before each acknowledgement",
}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Place:
    """A cluster to be measured.

    Attributes:
        pids: The processes of its nodes by id; empty when they are not ours.
    """

    cluster: LocalCluster
    pids: dict[int, int]


def bench(
    nodes: Annotated[
        int, typer.Option("--nodes", "-n", help="Nodes of the cluster that is started.", min=1)
    ] = 3,
    size: Annotated[int, typer.Option("--size", help="Bytes of a message.", min=16)] = 288,
    rate: Annotated[
        float,
        typer.Option("--rate", help="Messages per second; 0 sends the next when one comes back.", min=0.0),
    ] = 0.0,
    window: Annotated[int, typer.Option("--window", help="Most messages under way.", min=1)] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", help="Measured time.", min=0.1)] = 6.0,
    warmup: Annotated[float, typer.Option("--warmup", help="Seconds of warm-up before.", min=0.0)] = WARMUP_S,
    durability: Annotated[
        Durability, typer.Option("--durability", help="What an acknowledgement promises.")
    ] = Durability.MEMORY,
    idle: Annotated[Idle, typer.Option("--idle", help="How nodes and client wait for work.")] = Idle.YIELD,
    keep_mib: Annotated[
        int,
        typer.Option(
            "--keep-mib",
            help="MiB of log that a node keeps; what lies further back is trimmed, and its files are used again. "
            "0 keeps everything.",
            min=0,
        ),
    ] = KEEP_MIB,
    parent: Annotated[
        Path | None,
        typer.Option(
            "--parent", help="Where the cluster's files are made; by default the temporary directory."
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", "-d", help="A cluster of `sequencer dev` that runs, instead of one of its own."
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Measure a cluster under load: throughput, and the round trip of each message from its intended send time.

    A message counts when it comes back in the committed log, read at the leader, with the next number and the right
    checksum.
    Figures of different machines, or of the same one at different times, cannot be compared: measure side by side.
    """
    load = {
        "size": size,
        "rate": rate,
        "window": window,
        "seconds": seconds,
        "warmup_seconds": warmup,
        "idle": idle.value,
    }
    wishes = Wishes(nodes=nodes, durability=durability, idle=idle, limits=_limits(keep_mib))
    with _place(directory, parent, wishes) as place:
        clients = [AdminClient(node.admin, timeout_s=2.0) for node in place.cluster.nodes]
        leader = find_leader(clients, wait_s=READY_WAIT_S)
        if leader.status is None:
            raise FailedError("The leader did not say how it stands.")
        if directory is not None:
            durability, idle = leader.status.durability, leader.status.idle
        addresses = {node.id: node.address for node in place.cluster.nodes}
        first = leader.status.node
        ordered = [addresses[first], *(at for node, at in addresses.items() if node != first)]
        before = {node: cpu_s(pid) for node, pid in place.pids.items()}
        report = json.loads(_native.run_load(place.cluster.cluster, ordered, json.dumps(load).encode()))
        spent = {node: cpu_s(pid) - before[node] for node, pid in place.pids.items()}
        memory = {node: rss_kib(pid) // 1024 for node, pid in place.pids.items()}
    figures = {
        "peer": "sequencer",
        "version": version("sequencer"),
        "durability": PROMISES[durability],
        "idle": idle.value,
        "nodes": len(place.cluster.nodes),
        "size": size,
        "rate": rate,
        "window": window,
        "seconds": seconds,
        "keep_mib": keep_mib if directory is None else None,
        **report,
        "ok": report["received"] == report["sent"] and report["damaged"] == 0,
    }
    if place.pids:
        # Of the whole run, warm-up included, with every message that went through it.
        messages = report["received"] + warmup * WARMUP_RATE
        figures["leader_cpu_ns_per_message"] = round(spent[first] * 1e9 / max(1, messages))
        figures["rss_mib_max"] = max(memory.values())
    _tell(figures, output)
    if not figures["ok"]:
        raise typer.Exit(ExitCode.FAILED)


def _tell(figures: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print_json(figures)
        return
    trip = figures["rtt_us"]
    load = f"{figures['rate']:,.0f}/s" if figures["rate"] else f"window {figures['window']:,}"
    rows = [
        (
            f"{figures['nodes']} nodes, {figures['idle']}",
            load,
            f"{figures['throughput_per_s']:,.0f}",
            *(f"{trip[name]:,.0f}" for name in ("p50", "p90", "p99", "p999", "max")),
        )
    ]
    numbers = ("per second", "p50 us", "p90", "p99", "p99.9", "max")
    print_table(make_table(("cluster", "load", *numbers), rows, right=numbers))


def _limits(keep_mib: int) -> Limits:
    """Keep so much of the log, with snapshots close enough together that it can be trimmed."""
    keep = keep_mib * MIB
    common = Limits(reserve_bytes=RESERVE_BYTES)
    if keep == 0:
        return common
    every = max(keep // 4, MIB)
    return msgspec.structs.replace(common, retain_bytes=keep, snapshot_every_bytes=every)


@contextlib.contextmanager
def _place(directory: Path | None, parent: Path | None, wishes: Wishes) -> Iterator[Place]:
    """The cluster that is named, or one of our own that ends with the measurement."""
    if directory is not None:
        yield Place(read_cluster(directory), {})
        return
    with tempfile.TemporaryDirectory(prefix="sequencer-bench-", dir=parent) as home:
        own = Path(home)
        cluster = prepare(own, wishes)
        processes: dict[int, subprocess.Popen[bytes]] = {}
        try:
            for node in cluster.nodes:
                processes[node.id] = _start(own, node.id)
            yield Place(cluster, {node: process.pid for node, process in processes.items()})
        finally:
            for process in processes.values():
                process.terminate()
            deadline = time.monotonic() + STOP_WAIT_S
            for process in processes.values():
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _start(directory: Path, node: int) -> subprocess.Popen[bytes]:
    """Start a node in this session: sessions share a machine evenly, so a yield in one would not reach another."""
    command = [sys.executable, "-m", "sequencer.cli", "node", "--config", str(config_path(directory, node))]
    with (directory / f"node-{node}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # this program itself, with paths of our own
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_kib(pid: int) -> int:
    """Memory of a process that no file backs, in KiB; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon:")), 0)
