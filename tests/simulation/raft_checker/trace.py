"""Reading the trace: the shape of its lines, and its first line, the configuration.

Lines stay plain dictionaries, because a trace has a hundred thousand of them and is to be
checked within a second.
The types below say which fields there are; one that is missing or of a wrong type is found where it is used.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

Message = TypedDict(
    "Message",
    {
        "kind": str,
        "term": int,
        "last": list[int],
        "transfer": bool,
        "granted": bool,
        "previous": list[int],
        "commit": int,
        "from": int,
        "to": int,
        "terms": list[list[int]],
        "matched": int,
        "durable": int,
        "round": int,
        "nonce": int,
        "health": str,
    },
    total=False,
)
"""A message. Positions in bytes; `last` and `previous` are [term, position] log ends."""

Event = TypedDict(
    "Event",
    {
        "t": int,
        "node": int,
        "ev": str,
        "term": int,
        "vote": int | None,
        "claim": list[int] | None,
        "terms": list[list[int]],
        "end": int | list[int],
        "from": int,
        "to": int,
        "role": str,
        "commit": int,
        "m": Message,
    },
    total=False,
)
"""One line. `t` in virtual ns; `from` and `to` are nodes in send and receive, else positions in bytes."""


@dataclass(frozen=True)
class Config:
    """The first line: who votes, and what durable means.

    Attributes:
        election_timeout_ns: The shortest election timeout, when the trace names it.
    """

    seed: int
    voters: frozenset[int]
    durability: str
    election_timeout_ns: int | None

    @property
    def majority(self) -> int:
        """How many voters make a majority."""
        return len(self.voters) // 2 + 1


def parse_event(line: str) -> Event:
    """Decode one line.

    Raises:
        ValueError: The line is not a JSON object.
    """
    event = json.loads(line)
    if not isinstance(event, dict):
        raise ValueError(f"a trace line is a JSON object, found {type(event).__name__}")
    return cast(Event, event)


def parse_config(line: str) -> Config:
    """Decode the first line.

    Raises:
        ValueError: It is not a config event, has no voters, or names an unknown durability.
        KeyError: A field is missing.
    """
    event = cast(dict[str, object], parse_event(line))
    if event.get("ev") != "config":
        raise ValueError(f"the first line must be the config event, found {event.get('ev')!r}")
    voters = event["voters"]
    if not isinstance(voters, list) or not voters or not all(type(voter) is int for voter in voters):
        raise ValueError(f"voters must be a list of node numbers, found {voters!r}")
    durability = event["durability"]
    if durability not in ("fsync", "memory"):
        raise ValueError(f"durability must be fsync or memory, found {durability!r}")
    seed, timeout = event["seed"], event.get("election_timeout_ns")
    if not isinstance(seed, int) or not (timeout is None or isinstance(timeout, int)):
        raise ValueError(f"seed and election_timeout_ns must be integers, found {seed!r} and {timeout!r}")
    return Config(seed, frozenset(voters), durability, timeout)


def read_lines(path: Path) -> Iterator[str]:
    """Read the lines of a trace file, or of standard input for `-`."""
    if str(path) == "-":
        yield from sys.stdin
        return
    with path.open(encoding="utf-8") as file:
        yield from file
