"""Measures `publish_many` of one Python process against a cluster of its own, and prints one line of JSON.

A message counts when it is acknowledged. Figures of different machines, or of the same one at different times, cannot
be compared.

Usage: bench_python_client.py [--messages N] [--size BYTES] [--window N] [--blocking] [--profile]
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import time
from pathlib import Path

from bench_cluster import cluster
from sequencer.client import Client, blocking

WARMUP_MESSAGES = 50_000
OPTIONS = ("--nodes", "3", "--durability", "memory", "--idle", "yield")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=288, help="bytes of a payload")
    parser.add_argument("--window", type=int, default=8192, help="most messages under way")
    parser.add_argument("--blocking", action="store_true", help="the blocking twin instead of asyncio")
    parser.add_argument("--profile", action="store_true", help="say on standard error where the time goes")
    wishes = parser.parse_args()
    with cluster(*OPTIONS) as dev:
        profiler = cProfile.Profile()
        if wishes.profile:
            profiler.enable()
        if wishes.blocking:
            seconds = measure_blocking(dev.directory, wishes.messages, wishes.size, wishes.window)
        else:
            seconds = asyncio.run(measure(dev.directory, wishes.messages, wishes.size, wishes.window))
        if wishes.profile:
            profiler.disable()
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    figures = {
        "throughput_per_s": round(wishes.messages / seconds),
        "messages": wishes.messages,
        "seconds": round(seconds, 3),
    }
    print(json.dumps(figures))
    return 0


async def measure(directory: Path, messages: int, size: int, window: int) -> float:
    """Seconds that the asyncio client takes."""
    payload = bytes(size)
    async with (
        Client.from_directory(directory) as client,
        await client.open_session("bench", window_messages=window) as session,
    ):
        await session.publish_many([payload] * WARMUP_MESSAGES)
        began_s = time.perf_counter()
        positions = await session.publish_many(payload for _ in range(messages))
        seconds = time.perf_counter() - began_s
    check(len(positions), messages)
    return seconds


def measure_blocking(directory: Path, messages: int, size: int, window: int) -> float:
    """Seconds that the blocking twin takes."""
    payload = bytes(size)
    with (
        blocking.Client.from_directory(directory) as client,
        client.open_session("bench", window_messages=window) as session,
    ):
        session.publish_many([payload] * WARMUP_MESSAGES)
        began_s = time.perf_counter()
        positions = session.publish_many(payload for _ in range(messages))
        seconds = time.perf_counter() - began_s
    check(len(positions), messages)
    return seconds


def check(acknowledged: int, messages: int) -> None:
    """A measurement that lost something is none."""
    if acknowledged != messages:
        raise SystemExit(f"{acknowledged} of {messages} messages were acknowledged")


if __name__ == "__main__":
    sys.exit(main())
