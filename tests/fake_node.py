"""A native node made by hand: it answers as it is told to, and remembers what it was asked."""

import json
import threading
from typing import Any

from sequencer.errors import UnavailableError

CLUSTER = "5f0c2a4e-6f0e-4c58-8d5e-3f1f2f9f1a01"
DATA = [
    "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d01",
    "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d02",
    "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d03",
]


def status_tree(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  # any field of the status
    """Say how the leader of three nodes stands, in the shape that the native node uses, with some fields changed."""
    tree: dict[str, Any] = {
        "cluster": CLUSTER,
        "node": 1,
        "data": DATA[0],
        "role": "leader",
        "term": 3,
        "leader": 1,
        "leader_address": "127.0.0.1:7400",
        "admits": True,
        "positions": {"start": 0, "snapshot": 0, "commit": 4096, "durable": 4096, "end": 8192},
        "durability": "fsync",
        "idle": "wait",
        "insecure": True,
        "is_voter": True,
        "is_caught_up": True,
        "claim": None,
        "members": [
            {
                "id": number,
                "role": "voter",
                "data": DATA[number - 1],
                "address": f"127.0.0.1:740{number}",
                "matched": 4096 if number < 3 else None,
                "is_connected": number < 3,
            }
            for number in (1, 2, 3)
        ],
        "handing_over_to": None,
        "clock": {"held_back_ns": 0, "ahead_ns": 1_500_000},
        "disk": {"free_bytes": 2**33, "is_low": False},
        "sessions": 3,
        "connections": 5,
        "subscribers": 2,
        "uptime_s": 1.5,
        "a_field_of_the_next_release": True,
    }
    return tree | changes


def encode_counters(values: dict[str, int], *, pid: int = 1, start_ns: int = 2, version: int = 1) -> bytes:
    """Lay out a counters file: a head of 64 bytes, names of 48, values of 8."""
    values_at = 64 + 48 * len(values)
    head = b"SEQCNTR1" + version.to_bytes(4, "little") + len(values).to_bytes(4, "little")
    head += b"".join(number.to_bytes(8, "little") for number in (pid, start_ns, 64, values_at))
    names = b"".join(name.encode().ljust(48, b"\0") for name in values)
    return head.ljust(64, b"\0") + names + b"".join(value.to_bytes(8, "little") for value in values.values())


class FakeNode:
    """Stands where `sequencer._native.Node` does.

    Attributes:
        tree: What it answers to `status`; None when its hot loop does not answer.
        answer: What it answers to a command; an exception is raised.
        commands: What it was told to do, oldest first.
        stops: The `hand_over` of each stop.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] | None = status_tree()
        self.answer: dict[str, Any] | Exception = {"outcome": "admitted", "position": 4096, "timestamp_ns": 7}
        self.commands: list[dict[str, Any]] = []
        self.stops: list[bool] = []
        self._end: str | None = None
        self._ended = threading.Event()

    @property
    def address(self) -> str:
        """Where it would listen."""
        return "127.0.0.1:7400"

    def status(self) -> bytes:
        """Answer with `tree`."""
        if self.tree is None:
            raise UnavailableError("the node did not answer within 1s", retry_after_s=1.0)
        return json.dumps(self.tree).encode()

    def command(self, command: bytes, timeout_s: float) -> bytes:
        """Answer with `answer`."""
        assert timeout_s > 0
        self.commands.append(json.loads(command))
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.dumps(self.answer).encode()

    def wait(self, timeout_s: float) -> str | None:
        """Wait for `end`."""
        self._ended.wait(timeout_s)
        return self._end

    def stop(self, hand_over: bool) -> None:
        """End cleanly."""
        self.stops.append(hand_over)
        self.end("")

    def end(self, why: str) -> None:
        """Let it end: "" is a clean stop."""
        self._end = why
        self._ended.set()
