"""Measures what a cluster does when something happens to it: loss and transfer of the leader, readers, a long run.

Each measurement runs `sequencer dev` and puts `sequencer bench` on it; a gap is the longest time in which no message
came back. Prints one line of JSON for each.

Usage: bench_cluster.py [gaps] [readers] [memory] [--seconds N] [--rounds N]
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequencer.cli.bench import WARMUP_RATE, cpu_s, rss_kib
from sequencer.client import Client

RATE = 1_000
READERS = 10
READERS_RATE = 50_000
WARMUP_S = 2.0
STOP_WAIT_S = 20.0
LOOK_EVERY_S = 0.05
SAMPLE_EVERY_S = 1.0
CLI = (sys.executable, "-m", "sequencer.cli")

Figures = dict[str, Any]


@dataclass
class Dev:
    """A cluster that `sequencer dev` runs.

    Attributes:
        leader: Who led when it was last said.
        pids: Processes of the nodes, by id.
    """

    directory: Path
    leader: int = 0
    pids: dict[int, int] = field(default_factory=dict)

    def take(self, event: Figures) -> None:
        """Take in what `sequencer dev` says."""
        match event["event"]:
            case "started":
                self.pids = {node["id"]: node["pid"] for node in event["nodes"]}
            case "restarted":
                self.pids[event["node"]] = event["pid"]
            case "leader":
                self.leader = event["node"]

    def run(self, *arguments: str) -> Figures:
        """Run a command about this cluster and read what it prints."""
        command = [*CLI, *arguments, "--dir", str(self.directory), "-o", "json"]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if not outcome.stdout.strip():
            raise SystemExit(f"{' '.join(command)}:\n{outcome.stderr}")
        figures: Figures = json.loads(outcome.stdout.splitlines()[-1])
        return figures


def main() -> int:
    """Measure what is asked for; everything when nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", default=["gaps", "readers"], help="gaps, readers, memory")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the memory run")
    parser.add_argument("--rounds", type=int, default=5, help="how often each gap is measured")
    wishes = parser.parse_args()
    if "gaps" in wishes.what:
        print(json.dumps(gaps("kill -9 of the leader", kill_leader, wishes.rounds)), flush=True)
        print(json.dumps(gaps("transfer of the leader", transfer, wishes.rounds)), flush=True)
    if "readers" in wishes.what:
        print(json.dumps(readers()), flush=True)
    if "memory" in wishes.what:
        print(json.dumps(memory(wishes.seconds)), flush=True)
    return 0


def gaps(what: str, event: Callable[[Dev], None], rounds: int) -> Figures:
    """The longest gap under load when something happens in its middle; each round has a cluster of its own."""
    found, is_sound = [], True
    for _ in range(rounds):
        with cluster("--durability", "fsync", "--idle", "wait") as dev:
            timer = threading.Timer(WARMUP_S + 2.0, event, (dev,))
            timer.start()
            figures = load(dev, rate=RATE, seconds=5.0)
            timer.join()
        found.append(figures["longest_gap_ms"])
        is_sound &= figures["ok"]
    return {
        "what": what,
        "rate": RATE,
        "longest_gap_ms": [round(gap, 1) for gap in found],
        "median_ms": round(statistics.median(found), 1),
        "ok": is_sound,
    }


def kill_leader(dev: Dev) -> None:
    """End the leader as a crash would."""
    os.kill(dev.pids[dev.leader], signal.SIGKILL)


def transfer(dev: Dev) -> None:
    """Hand leadership over."""
    dev.run("leader", "transfer")


def readers() -> Figures:
    """Processor time of the leader for a message, without readers and with some on the followers."""
    spent = []
    for count in (0, READERS):
        with cluster("--durability", "memory", "--idle", "wait") as dev:
            stop = threading.Event()
            reading = threading.Thread(target=asyncio.run, args=(read(dev, count, stop),))
            reading.start()
            pid = dev.pids[dev.leader]
            before = cpu_s(pid)
            figures = load(dev, rate=READERS_RATE, seconds=6.0)
            messages = figures["received"] + WARMUP_RATE * WARMUP_S
            spent.append((cpu_s(pid) - before) * 1e9 / messages)
            stop.set()
            reading.join()
    return {
        "what": f"the leader's processor time for a message with {READERS} readers on followers",
        "rate": READERS_RATE,
        "ns_without": round(spent[0]),
        "ns_with": round(spent[1]),
        "ratio": round(spent[1] / spent[0], 2),
    }


async def read(dev: Dev, count: int, stop: threading.Event) -> None:
    """Follow the log `count` times, at the followers in turn."""
    known = json.loads((dev.directory / "cluster.json").read_text(encoding="utf-8"))
    addresses = [node["address"] for node in known["nodes"] if node["id"] != dev.leader]

    async def follow(client: Client, address: str) -> None:
        async for _ in client.subscribe_batches(None, at=address, verify=False):
            pass

    async with Client.from_directory(dev.directory) as client:
        tasks = [asyncio.create_task(follow(client, addresses[n % len(addresses)])) for n in range(count)]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def memory(seconds: float) -> Figures:
    """Memory of each node that is not the page cache's, while a cluster runs at full load."""
    with tempfile.TemporaryDirectory(prefix="sequencer-bench-") as home:
        command = [*CLI, "bench", "--seconds", str(seconds), "--parent", home, "-o", "json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            samples: dict[int, list[int]] = {}
            while process.poll() is None:
                for pid in children(process.pid):
                    samples.setdefault(pid, []).append(rss_kib(pid))
                time.sleep(SAMPLE_EVERY_S)
            text = process.stdout.read() if process.stdout else ""
    figures = json.loads(text.splitlines()[-1])
    quarters = [
        [round(max(part) / 1024, 1) for part in split(values, 4)]
        for values in samples.values()
        if len(values) > 8
    ]
    return {
        "what": "memory of each node that is not page cache, MiB, the most in each quarter of the run",
        "seconds": seconds,
        "throughput_per_s": figures["throughput_per_s"],
        "mib": quarters,
        "ok": figures["ok"],
    }


def split(values: list[int], parts: int) -> list[list[int]]:
    """Cut a list, without the start and the end of the run, into parts of one length."""
    inner = values[2:-2]
    size = max(1, len(inner) // parts)
    return [inner[start : start + size] for start in range(0, size * parts, size)]


def load(dev: Dev, *, rate: int, seconds: float) -> Figures:
    """Put the cluster under load."""
    options = {"rate": rate, "window": 8_000, "seconds": seconds, "warmup": WARMUP_S}
    return dev.run("bench", *(text for name, value in options.items() for text in (f"--{name}", str(value))))


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


@contextmanager
def cluster(*options: str) -> Iterator[Dev]:
    """Run a cluster until the body ends."""
    with tempfile.TemporaryDirectory(prefix="sequencer-bench-") as home:
        dev = Dev(Path(home))
        command = [*CLI, "dev", "--dir", home, "-o", "json", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = process.stdout
            listener = None
            try:
                while dev.leader == 0:
                    line = lines.readline() if lines else ""
                    if not line:
                        raise SystemExit("the cluster did not start")
                    dev.take(json.loads(line))
                listener = threading.Thread(target=listen, args=(dev, lines))
                listener.start()
                yield dev
            finally:
                process.terminate()
                process.wait(STOP_WAIT_S)
                if listener is not None:
                    listener.join()


def listen(dev: Dev, lines: Any) -> None:  # noqa: ANN401  # a stream of text
    """Take in all that is said until the end."""
    for line in lines:
        dev.take(json.loads(line))


if __name__ == "__main__":
    sys.exit(main())
