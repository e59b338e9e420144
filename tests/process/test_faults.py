"""What is promised when nodes are killed or stopped, disks fill up and bits flip: nothing lost, nothing twice, one log.

In go three publishers of about 1,000 messages a second each, a reader at each node, and one fault. Checked is that
publishers go on by themselves, and afterwards the whole log against what they were told (see `audit`). Everything is
real: processes, sockets on the loopback interface, files. Not real is the network, which never loses anything here,
and power, which never fails: a process that is killed leaves what it wrote to the machine.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from dev_cluster import wait_for
from process.harness import SMALL, Cluster, change_limits, flip_bit, frozen, small_disk
from process.load import Load
from sequencer import _native
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import data_path
from sequencer.client import Client
from sequencer.errors import LogFullError
from sequencer.node.config import MIB
from sequencer.node.status import Role

FRAMES_AT = 4096
"""Where frames begin in a segment; see docs/reference/storage.md."""
FLIPPED_AT = FRAMES_AT + 60_000
"""In the middle of a segment, and of a frame: some message's, because most of what stands there is messages."""
DISK_BYTES = 24 * MIB


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Run three nodes."""
    with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Cluster]:
    """Run three nodes whose logs lie in many small segments."""
    with Cluster(tmp_path, limits=SMALL) as cluster:
        yield cluster


def followers(cluster: Cluster) -> list[int]:
    """Name the nodes that do not lead."""
    leader = cluster.leader()
    return [node for node in cluster.configs if node != leader]


def wait_until_it_follows(cluster: Cluster, node: int) -> None:
    """Wait until a node follows a leader and has what is committed."""

    def look() -> bool | None:
        status = cluster.status(node)
        return True if status and status.role is Role.FOLLOWER and status.is_caught_up else None

    wait_for(look, f"node {node} as a follower that has caught up")


def test_leaders_killed_one_after_another(cluster: Cluster) -> None:
    with Load(cluster) as load:
        for _ in range(3):
            leader = cluster.leader()
            cluster.kill(leader)
            load.wait_for_more()
            cluster.start(leader)
            cluster.wait_until_all_agree()
        load.finish("kill -9 of three leaders in a row")


def test_a_leader_that_is_stopped_and_goes_on(cluster: Cluster) -> None:
    with Load(cluster) as load:
        first = cluster.leader()
        with frozen(cluster, first):
            second = cluster.leader(other_than=first)
            load.wait_for_more()
        wait_until_it_follows(cluster, first)
        assert second != first
        load.wait_for_more()
        load.finish("SIGSTOP of the leader")


def test_a_follower_that_is_stopped_and_goes_on(cluster: Cluster) -> None:
    with Load(cluster) as load:
        follower = followers(cluster)[0]
        with frozen(cluster, follower):
            load.wait_for_more(1500)
        wait_until_it_follows(cluster, follower)
        load.finish("SIGSTOP of a follower")


def test_all_nodes_killed_at_once(cluster: Cluster) -> None:
    with Load(cluster) as load:
        for _ in range(2):
            cluster.kill(1, 2, 3)
            cluster.start(1, 2, 3)
            load.wait_for_more()
        load.finish("kill -9 of all nodes, twice")


def test_leadership_handed_round(cluster: Cluster) -> None:
    with Load(cluster) as load:
        for _ in range(6):
            target = followers(cluster)[0]
            cluster.transfer(to=target)
            assert cluster.leader() == target
            load.wait_for_more(100)
        load.finish("six transfers of leadership")


def test_a_leader_that_is_asked_to_stop(cluster: Cluster) -> None:
    with Load(cluster) as load:
        for _ in range(2):
            leader = cluster.leader()
            assert cluster.terminate(leader) == 0
            load.wait_for_more()
            cluster.start(leader)
            cluster.wait_until_all_agree()
        load.finish("SIGTERM of two leaders")


@pytest.mark.parametrize("reserve_bytes", [4 * MIB, 0], ids=["reserve", "no room at all"])
def test_a_full_disk_of_the_leader(tmp_path: Path, reserve_bytes: int) -> None:
    with contextlib.ExitStack() as stack:
        try:
            for node in (1, 2, 3):
                stack.enter_context(small_disk(data_path(tmp_path, node), DISK_BYTES))
        except PermissionError as error:
            pytest.skip(f"a small disk cannot be mounted: {error}")
        limits = msgspec.structs.replace(SMALL, reserve_bytes=reserve_bytes)
        cluster = stack.enter_context(Cluster(tmp_path, limits=limits))
        load = stack.enter_context(Load(cluster))
        leader = cluster.leader()
        filler = data_path(tmp_path, leader) / "filler"
        with filler.open("wb") as file:
            free = os.statvfs(filler)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)

        def look() -> bool | None:
            load.check()
            return True if all(len(one.told.refused) > 100 for one in load.publishers) else None

        wait_for(look, "refusals for each publisher")
        filler.unlink()
        load.wait_for_more()
        load.finish(f"a full disk of the leader, reserve {reserve_bytes}", may_refuse=True)
        for publisher in load.publishers:
            assert all("log_full" in why for why in publisher.told.refused.values())


def test_a_reserve_above_what_the_disks_have(cluster: Cluster) -> None:
    with Load(cluster) as load:

        def restart_with(reserve_bytes: int) -> None:
            cluster.kill(1, 2, 3)
            for node in cluster.configs:
                change_limits(cluster, node, reserve_bytes=reserve_bytes)
            cluster.start(1, 2, 3)
            cluster.leader()

        async def open_another() -> None:
            async with Client(list(cluster.addresses.values()), cluster=cluster.name) as client:
                await client.open_session("another")

        restart_with(2**62)
        with pytest.raises(LogFullError):
            asyncio.run(open_another())
        restart_with(0)
        load.wait_for_more()
        load.finish("disks below their reserve", may_refuse=True)


def test_a_bit_flips_while_a_follower_is_down(small: Cluster) -> None:
    with Load(small) as load:
        follower, *_ = followers(small)
        wait_for_segments(small, follower)
        small.terminate(follower)
        flip_bit(small.closed_segments(follower)[1], FLIPPED_AT)
        # The others go on without it.
        load.wait_for_more()
        others = small.running
        small.kill(*others)
        small.start(follower)

        def look() -> bool | None:
            status = small.status(follower)
            return True if status and status.claim and status.claim.damaged else None

        wait_for(look, "a node that knows of its damage")
        assert "may have acknowledged bytes and lost them" in small.log_text(follower)
        small.start(*others)
        load.wait_for_more()
        load.finish("a flipped bit of a follower that was down")


@pytest.mark.parametrize("whose", ["leader", "follower"])
def test_what_a_flipped_bit_has_altered_is_not_served(small: Cluster, whose: str) -> None:
    with Load(small) as load:
        node = small.leader() if whose == "leader" else followers(small)[0]
        other = next(number for number in small.configs if number != node)
        # So much that the node reads what is damaged from the file again.
        load.wait_until_read(node, SMALL.buffer_bytes * 3 // 2)
        segment = small.closed_segments(node)[1]
        flip_bit(segment, FLIPPED_AT)
        sound = load.read_until(other, SMALL.buffer_bytes)
        for verify in (True, False):
            served = read_until_refused(small, node, verify=verify)
            assert sound.startswith(served)
            begin = int(segment.stem)
            assert begin <= len(served) <= begin + FLIPPED_AT - FRAMES_AT
        # A subscriber that takes any node finds the way around.
        load.stop_publishing()
        end = small.wait_until_all_agree()
        assert asyncio.run(read_anywhere(small, first=node, end=end)) == load.read_until(other, end)[:end]
        # The node finds the damage as well when it starts, and the others' bytes replace it.
        small.terminate(node)
        small.start(node)
        load.finish(f"a flipped bit of a {whose} that runs")


def test_a_bit_flips_on_the_leader_in_what_a_follower_lacks(small: Cluster) -> None:
    with Load(small) as load:
        leader = small.leader()
        follower, other = followers(small)
        wait_for_segments(small, leader, 1)
        small.kill(follower)
        begin = len(small.closed_segments(leader))
        load.wait_until_read(other, len(load.readers[other].log) + SMALL.buffer_bytes * 3 // 2)
        flip_bit(small.closed_segments(leader)[begin + 1], FLIPPED_AT)
        small.start(follower)
        # The leader finds the damage when it reads what the follower lacks, and leaves the place to a sound one.
        assert small.wait_for_end(leader) == ExitCode.FAILED
        assert "is damaged at position" in small.log_text(leader)
        wait_until_it_follows(small, follower)
        assert small.leader() == other
        load.wait_for_more()
        small.start(leader)
        load.finish("a flipped bit of the leader")


def wait_for_segments(cluster: Cluster, node: int, count: int = 4) -> None:
    """Wait until a node has so many segments that nothing is written to any more."""
    wait_for(
        lambda: cluster.closed_segments(node)[count - 1 :] or None, f"{count} closed segments of node {node}"
    )


def read_until_refused(cluster: Cluster, node: int, *, verify: bool) -> bytes:
    """Read a node's log from its start until the node says that it is damaged; what was read."""
    client = _native.Client(cluster.name, [cluster.addresses[node]])
    client.subscribe(0, at=cluster.addresses[node], verify=verify)
    served = bytearray()

    def look() -> bytes | None:
        for event in client.poll(1.0):
            match event:
                case ("frames", position, _, _, frames):
                    assert position == len(served)
                    served.extend(frames)
                case ("disconnected", _, _, "not_served", message) if message.endswith(": damaged"):
                    return bytes(served)
                case _:
                    pass
        return None

    return wait_for(look, "a node that refuses to serve what is damaged")


async def read_anywhere(cluster: Cluster, *, first: int, end: int) -> bytes:
    """Read the log up to a position from whoever serves it, one node before the others."""
    addresses = sorted(cluster.addresses.values(), key=lambda address: address != cluster.addresses[first])
    log = bytearray()
    async with Client(addresses, cluster=cluster.name) as client:
        async for batch in client.subscribe_batches(0):
            log += batch.bytes
            if len(log) >= end:
                break
    return bytes(log[:end])
