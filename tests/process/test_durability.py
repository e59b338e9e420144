"""With `fsync` durability no acknowledgement leaves before a majority has synced the message.

Messages are published one at a time, and two witnesses look:

1. `strace` writes down when each node wrote to its log, when each sync of it returned, and when the leader told a
   client that a message is in. It must see two syncs before each acknowledgement.
2. A library that is loaded before the system's own makes every sync take a while. No acknowledgement may take less.

Neither believes what a node says of itself. Both must find fault with `memory` durability, or they could not find any.
Real are the processes, the files and the calls of the system; whether the disk keeps what it was told to sync is not
looked at.
"""

import asyncio
import re
import shutil
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from dev_cluster import wait_for
from process.audit import make_payload
from process.harness import Cluster
from sequencer.client import Client
from sequencer.node.config import Durability, NodeConfig, Timing

MAJORITY = 2
TRACED_MESSAGES = 300
SLOW_MESSAGES = 15
SLOW_S = 0.1

# Where frames begin in a segment, and how a node tells of acknowledgements: docs/reference/storage.md and link.md.
FRAMES_AT = 4096
ADMITTED = 64
ADMITTED_BODY = 40

SYNCS = ("fdatasync", "fsync")
CALLS = ",".join(["pwrite64", "sendto", "sendmsg", "write", "writev", *SYNCS])
UNFINISHED = " <unfinished ...>"
LINE = re.compile(
    r"^(?P<thread>\d+) +(?P<at_s>[\d.]+) (?:<\.\.\. )?(?P<call>\w+)(?P<resumed> resumed>)?\(?(?P<rest>.*)$"
)
FILE = re.compile(r"^\d+<(?P<path>(?:\\x[0-9a-f]{2})+)>")
SEGMENT_WRITE = re.compile(r'"(?:\.\.\.)?, \d+, (?P<offset>\d+)\) += (?P<done>\d+) ')
SOCKET_SEND = re.compile(r'^\d+<TCP[^"]*>, "(?P<data>(?:\\x[0-9a-f]{2})+)"')
SYNC_DONE = re.compile(r"\) += 0 <(?P<took_s>[\d.]+)>$")


@dataclass
class Trace:
    """What one node was seen to do.

    Attributes:
        synced: When it was that a sync of the log returned, and the position up to which the log was synced by then.
        told: When it told clients of acknowledgements, and where the messages stand.
    """

    synced: list[tuple[float, int]] = field(default_factory=list)
    told: list[tuple[float, int]] = field(default_factory=list)

    def synced_until(self, when_s: float) -> int:
        """The position up to which the log was synced at a time."""
        return max((position for at_s, position in self.synced if at_s <= when_s), default=0)


class TraceReader:
    """Takes in what `strace` has written, line by line; a call may begin in one line and return in a later one."""

    def __init__(self) -> None:
        self.trace = Trace()
        self._written: dict[str, int] = defaultdict(int)
        self._open: dict[str, tuple[float, str]] = {}
        self._syncing: dict[str, int] = {}

    def take(self, line: str) -> None:
        """Take in one line."""
        match = LINE.match(line)
        if match is None:
            return
        thread, at_s, call, text = match["thread"], float(match["at_s"]), match["call"], match["rest"]
        if match["resumed"]:
            at_s, begun = self._open.pop(thread)
            text = begun + text
        else:
            self._on_begin(thread, at_s, call, text)
        if text.endswith("= ?"):
            return  # the process was killed meanwhile
        if text.endswith(UNFINISHED):
            self._open[thread] = at_s, text.removesuffix(UNFINISHED)
        else:
            self._on_return(thread, at_s, call, text)

    def _on_begin(self, thread: str, at_s: float, call: str, text: str) -> None:
        if call in SYNCS:
            # What is written while it runs may be left out by it.
            self._syncing[thread] = self._written[segment_of(text) or ""]
        elif sent := SOCKET_SEND.match(text):
            self.trace.told += [(at_s, position) for position in acknowledged(unescape(sent["data"]))]

    def _on_return(self, thread: str, at_s: float, call: str, text: str) -> None:
        if call in SYNCS:
            done = SYNC_DONE.search(text)
            assert done, f"a sync has failed: {text}"
            self.trace.synced.append((at_s + float(done["took_s"]), self._syncing.pop(thread)))
        elif (name := segment_of(text)) and (found := SEGMENT_WRITE.search(text)):
            offset = int(found["offset"])
            if offset >= FRAMES_AT:
                end = int(Path(name).stem) + offset - FRAMES_AT + int(found["done"])
                self._written[name] = max(self._written[name], end)


def read_trace(path: Path) -> Trace:
    """Read what `strace` has written."""
    reader = TraceReader()
    for line in path.read_text(encoding="ascii").splitlines():
        reader.take(line)
    return reader.trace


def segment_of(arguments: str) -> str | None:
    """Name the segment that a call is about, if it is about one."""
    match = FILE.match(arguments)
    path = unescape(match["path"]).decode() if match else ""
    return Path(path).name if path.endswith(".segment") else None


def unescape(text: str) -> bytes:
    r"""Turn the \x.. of a trace into bytes."""
    return bytes.fromhex(text.replace("\\x", ""))


def acknowledged(data: bytes) -> Iterator[int]:
    """Find the positions of acknowledged messages in what a node sends to a client."""
    at = 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from("<I4xB", data, at)
        if kind == ADMITTED:
            count = struct.unpack_from("<I", data, at + 32)[0]
            yield from struct.unpack_from(f"<{count}Q", data, at + ADMITTED_BODY)
        at += max(size, 16)


def too_early(traces: list[Trace]) -> tuple[int, list[int]]:
    """Count acknowledgements, and name the positions of those that a majority had not synced."""
    told = [one for trace in traces for one in trace.told]
    early = [
        position
        for at_s, position in told
        if sum(trace.synced_until(at_s) > position for trace in traces) < MAJORITY
    ]
    return len(told), early


async def publish_one_by_one(cluster: Cluster, count: int) -> list[float]:
    """Publish messages, each when the one before is acknowledged; how long each took, in seconds."""
    took_s = []
    async with Client(list(cluster.addresses.values()), cluster=cluster.name) as client:
        session = await client.open_session("one-by-one")
        for number in range(1, count + 1):
            before_s = time.monotonic()
            await session.publish(make_payload(0, number))
            took_s.append(time.monotonic() - before_s)
        await session.close()
    return took_s


@pytest.fixture(scope="module")
def strace() -> str:
    """Find a `strace` that may trace."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed")
    trial = subprocess.run(
        [path, "-D", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if trial.returncode != 0 or trial.stderr:
        pytest.skip(f"strace may not trace here: {trial.stderr}")
    return path


@pytest.mark.parametrize("durability", list(Durability))
def test_a_majority_is_seen_to_sync_before_each_acknowledgement(
    tmp_path: Path, strace: str, durability: Durability
) -> None:
    def wrap(node: int) -> list[str]:
        # -D: the node is the child of this process, and strace looks on from the side.
        options = ["-D", "-f", "-yy", "-ttt", "-T", "-xx", "-s", "4096", "-e", f"trace={CALLS}"]
        return [strace, *options, "-o", str(tmp_path / f"trace-{node}")]

    with Cluster(tmp_path, durability=durability, wrap=wrap) as cluster:
        asyncio.run(publish_one_by_one(cluster, TRACED_MESSAGES))
        pids = {node: cluster.pid(node) for node in cluster.configs}
        cluster.kill(*pids)

    def read(node: int) -> Trace | None:
        path = tmp_path / f"trace-{node}"
        has_ended = f"{pids[node]} " in path.read_text(encoding="ascii").splitlines()[-1]
        return read_trace(path) if has_ended else None

    traces = [wait_for(lambda node=node: read(node), "the end of a trace") for node in pids]  # type: ignore[misc]
    count, early = too_early(traces)
    assert count >= TRACED_MESSAGES
    if durability is Durability.FSYNC:
        assert not early, (
            f"{len(early)} of {count} messages were acknowledged before a majority had synced them"
        )
    else:
        assert len(early) >= TRACED_MESSAGES, "this test would not notice"


SLOW_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slow(const char *name, int fd)
{
    usleep(atoi(getenv("SLOW_SYNC_US")));
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fdatasync(int fd) { return slow("fdatasync", fd); }
int fsync(int fd) { return slow("fsync", fd); }
"""


@pytest.fixture(scope="module")
def slow_sync(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make the library that makes syncs slow, and the environment that loads it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    directory = tmp_path_factory.mktemp("slow-sync")
    source, library = directory / "slow_sync.c", directory / "slow_sync.so"
    source.write_text(SLOW_SYNC, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_US": str(round(SLOW_S * 1e6))}


def be_patient(config: NodeConfig) -> NodeConfig:
    """Let elections wait for slow disks."""
    return msgspec.structs.replace(config, timing=Timing(election_timeout_ms=1500))


@pytest.mark.parametrize("durability", list(Durability))
def test_no_acknowledgement_is_faster_than_a_sync(
    tmp_path: Path, slow_sync: dict[str, str], durability: Durability
) -> None:
    with Cluster(tmp_path, durability=durability, change=be_patient, environment=slow_sync) as cluster:
        took_s = asyncio.run(publish_one_by_one(cluster, SLOW_MESSAGES))
    fast = [one for one in took_s if one < SLOW_S]
    if durability is Durability.FSYNC:
        assert not fast, f"{fast} s are less than one sync takes, which is {SLOW_S} s"
    else:
        assert fast, "this test would not notice"
