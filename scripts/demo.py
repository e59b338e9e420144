"""Shows the main promise on this machine: a cluster loses its leader under load, and no message is lost or doubled.

1. Three node processes start; two sessions publish numbered messages.
2. The leader is killed, then the next one hands over, then the killed node is back.
3. The log is read at every node and compared with what was acknowledged.

Exits with 0 only if every acknowledged message stands in the log once, at its position, in order, on each node.
"""

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field

from bench_cluster import Dev, cluster
from sequencer.client import Client
from sequencer.types import FrameKind, Position

SESSIONS = ("north", "south")
PAUSE_S = 0.001
"""Between two messages of a session."""
CALM_S = 2.0
"""Load before, between and after what is done to the cluster."""
BACK_WAIT_S = 30.0


@dataclass
class Story:
    """What the sessions saw.

    Attributes:
        positions: Positions that were acknowledged, in order of publishing, for each session's id.
        longest_s: Longest time in which a session got no acknowledgement, for each session's name.
    """

    began_s: float = field(default_factory=time.monotonic)
    positions: dict[int, list[Position]] = field(default_factory=dict)
    longest_s: dict[str, float] = field(default_factory=dict)
    is_over: bool = False

    def tell(self, text: str) -> None:
        """Print a line with the time since the start."""
        print(f"{time.monotonic() - self.began_s:6.1f} s  {text}", flush=True)

    def count(self) -> int:
        """Messages acknowledged so far."""
        return sum(map(len, self.positions.values()))


def main() -> int:
    """Tell the story."""
    story = Story()
    story.tell("three nodes start, each a process with its own log on disk (fsync)")
    with cluster("--durability", "fsync") as dev:
        story.tell(f"node {dev.leader} leads")
        return asyncio.run(play(dev, story))


async def play(dev: Dev, story: Story) -> int:
    """Do things to the cluster while messages are published, and check afterwards."""
    async with Client.from_directory(dev.directory) as client:
        publishing = [asyncio.create_task(publish(client, name, story)) for name in SESSIONS]
        await asyncio.sleep(CALM_S)
        first = dev.leader
        story.tell(f"{story.count():,} messages acknowledged; node {first}, the leader, is killed (kill -9)")
        os.kill(dev.pids[first], signal.SIGKILL)
        await changed(dev, first)
        story.tell(f"node {dev.leader} leads; nobody who publishes had to do anything")
        await asyncio.sleep(CALM_S)
        second = dev.leader
        story.tell(f"{story.count():,} acknowledged; node {second} is told to hand over")
        await asyncio.to_thread(dev.run, "leader", "transfer")
        await changed(dev, second)
        story.tell(f"node {dev.leader} leads")
        await whole(dev)
        story.tell(f"node {first} is back and has caught up")
        await asyncio.sleep(CALM_S)
        story.is_over = True
        await asyncio.gather(*publishing)
        for name, gap_s in story.longest_s.items():
            story.tell(f"longest gap that session {name} saw: {gap_s * 1000:.0f} ms")
        return await audit(dev, client, story)


async def publish(client: Client, name: str, story: Story) -> None:
    """Publish numbers, and note where each was acknowledged."""
    async with await client.open_session(name) as session:
        acknowledged = story.positions.setdefault(session.id, [])
        last_s, longest_s, number = time.monotonic(), 0.0, 0
        while not story.is_over:
            number += 1
            acknowledged.append(await session.publish(b"%s %d" % (name.encode(), number)))
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
            await asyncio.sleep(PAUSE_S)
        story.longest_s[name] = longest_s


async def changed(dev: Dev, before: int) -> None:
    """Wait until another node leads."""
    deadline_s = time.monotonic() + BACK_WAIT_S
    while dev.leader == before:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"no other node led within {BACK_WAIT_S:.0f} s")
        await asyncio.sleep(PAUSE_S)


async def whole(dev: Dev) -> None:
    """Wait until every node answers and has what was committed."""
    deadline_s = time.monotonic() + BACK_WAIT_S
    while True:
        nodes = (await asyncio.to_thread(dev.run, "status"))["nodes"]
        if all(node["status"] and node["status"]["is_caught_up"] for node in nodes):
            return
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the cluster was not whole again within {BACK_WAIT_S:.0f} s")


async def audit(dev: Dev, client: Client, story: Story) -> int:
    """Read the log at each node and compare."""
    nodes = json.loads((dev.directory / "cluster.json").read_text(encoding="utf-8"))["nodes"]
    logs = []
    for node in nodes:
        found: dict[int, list[tuple[Position, bytes]]] = {session: [] for session in story.positions}
        whole = []
        async for batch in client.subscribe_batches(0, live=False, at=node["address"]):
            whole.append(batch.bytes)
            for frame in batch.frames():
                if frame.kind == FrameKind.MESSAGE:
                    found[frame.source_id].append((frame.at, frame.payload))
        logs.append((b"".join(whole), found))
        story.tell(f"node {node['id']}: {len(logs[-1][0]):,} bytes of log read and verified")
    shortest = min(len(log) for log, _ in logs)
    is_same = len({log[:shortest] for log, _ in logs}) == 1
    _, found = logs[0]
    is_whole = all(is_where(found[session], positions) for session, positions in story.positions.items())
    is_ordered = all(
        payload.endswith(b" %d" % number)
        for messages in found.values()
        for number, (_, payload) in enumerate(messages, start=1)
    )
    count = sum(map(len, found.values()))
    is_sound = is_same and is_whole and is_ordered
    story.tell(f"acknowledged: {story.count():,}; in the log: {count:,}")
    story.tell(
        f"each once, in order, where it was acknowledged: {'yes' if is_whole and is_ordered else 'NO'}"
    )
    story.tell(f"the three logs are the same, byte for byte: {'yes' if is_same else 'NO'}")
    return 0 if is_sound else 1


def is_where(found: list[tuple[Position, bytes]], acknowledged: list[Position]) -> bool:
    """Whether messages stand where it was said; 0 was said where a new leader no longer knew."""
    positions = [at for at, _ in found]
    pairs = zip(positions, acknowledged, strict=False)
    return len(positions) == len(acknowledged) and all(said in {at, 0} for at, said in pairs)


if __name__ == "__main__":
    sys.exit(main())
