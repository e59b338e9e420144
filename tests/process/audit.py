"""What a log must hold after publishers were told what they were told, and whether it does.

A payload is a function of its publisher and its number, so whoever reads it can check every byte of it, and knows which
one it is. From what each publisher was told follows what the log must show:

1. acknowledged: it stands there exactly once, at the position that was told;
2. refused: it does not stand there;
3. neither: it stands there at most once;
4. what stands there of one publisher comes in the order of its numbers, in one session, with sequences 1, 2, 3, ... and
   epochs that never fall;
5. nothing else stands there, and timestamps never go back.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sequencer._native import Frame, decode_frames
from sequencer.types import FrameKind, Position, Term

_HEAD = struct.Struct("<8sIIQ")
_MAGIC = b"PROCTEST"
_FILL_BYTES_MIN = 16
_FILL_BYTES_SPREAD = 240
UNTOLD_POSITION: Final = 0
"""Told where the leader cannot say any more where the message stands. No message stands there: a term begins there."""
_SHOWN_MAX = 5


@dataclass
class Told:
    """What one publisher was told of its messages, which it numbers from 1.

    Attributes:
        publisher: Its number among all publishers.
        published: Number of its last message.
        positions: Where those stand that were acknowledged, by their numbers.
        refused: Why those were refused that were, by their numbers.
    """

    publisher: int
    published: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def make_payload(publisher: int, number: int) -> bytes:
    """Make a message of 40 to 279 bytes."""
    head = hashlib.blake2b(_HEAD.pack(_MAGIC, publisher, 0, number), digest_size=4).digest()
    size = _FILL_BYTES_MIN + int.from_bytes(head, "little") % _FILL_BYTES_SPREAD
    start = _HEAD.pack(_MAGIC, publisher, size, number)
    return start + hashlib.shake_128(start).digest(size)


def read_payload(payload: bytes) -> tuple[int, int] | None:
    """Say whose message it is, and which; None when it is not exactly one that was made."""
    if len(payload) < _HEAD.size:
        return None
    magic, publisher, _, number = _HEAD.unpack_from(payload)
    is_whole = magic == _MAGIC and payload == make_payload(publisher, number)
    return (publisher, number) if is_whole else None


def breaches(frames: Iterable[Frame], told: Iterable[Told]) -> Iterator[str]:
    """Say in one sentence each what the log shows and must not, or lacks.

    Args:
        frames: The whole committed log.
        told: Of all who published into it.
    """
    records = {one.publisher: one for one in told}
    places: dict[int, dict[int, int]] = {publisher: {} for publisher in records}
    newest: dict[int, Frame] = {}
    clock_ns = 0
    for frame in frames:
        if frame.timestamp_ns < clock_ns:
            yield f"the clock goes back at {frame.at}: {frame.timestamp_ns} after {clock_ns}"
        clock_ns = max(clock_ns, frame.timestamp_ns)
        if frame.kind != FrameKind.MESSAGE:
            continue
        found = read_payload(frame.payload)
        if found is None or found[0] not in records:
            yield f"at {frame.at} stands what nobody published: {frame.payload[:40].hex()}"
            continue
        publisher, number = found
        yield from _breaches_of_frame(frame, number, places[publisher], newest.get(publisher))
        places[publisher].setdefault(number, frame.at)
        newest[publisher] = frame
    for publisher, record in records.items():
        yield from _breaches_of_promise(record, places[publisher])


def _breaches_of_frame(
    frame: Frame, number: int, places: Mapping[int, int], before: Frame | None
) -> Iterator[str]:
    """Compare a message with those of the same publisher before it."""
    if number in places:
        yield f"message {number} stands at {places[number]} and again at {frame.at}"
    elif places and number < next(reversed(places)):
        yield f"message {number} stands at {frame.at}, behind message {next(reversed(places))}"
    expected = before.source_sequence + 1 if before else 1
    if frame.source_sequence != expected:
        yield f"the sequence at {frame.at} is {frame.source_sequence} and not {expected}"
    if before and frame.source_id != before.source_id:
        yield f"the session at {frame.at} is {frame.source_id}, before it was {before.source_id}"
    if before and frame.epoch < before.epoch:
        yield f"the epoch at {frame.at} is {frame.epoch}, before it was {before.epoch}"


def _breaches_of_promise(record: Told, places: Mapping[int, int]) -> Iterator[str]:
    """Compare what stands in the log with what was told."""
    whose = f"of publisher {record.publisher}"
    for number, position in record.positions.items():
        place = places.get(number)
        if place is None:
            yield f"message {number} {whose} was acknowledged at {position}, and is lost"
        elif position not in (UNTOLD_POSITION, place):
            yield f"message {number} {whose} was acknowledged at {position}, but stands at {place}"
    for number, why in record.refused.items():
        if number in places:
            yield f"message {number} {whose} was refused ({why}), but stands at {places[number]}"
    for number in places:
        if not 1 <= number <= record.published:
            yield f"message {number} {whose} was never published, but stands at {places[number]}"


def check_log(log: bytes, told: Iterable[Told]) -> list[Frame]:
    """Check a whole committed log.

    Returns:
        Its frames.

    Raises:
        AssertionError: Says what is wrong with it.
    """
    frames = decode_frames(log, at=Position(0), previous_term=Term(0))
    found = list(breaches(frames, told))
    more = f"\nand {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    assert not found, "\n".join(found[:_SHOWN_MAX]) + more
    return frames


def check_same(logs: Mapping[str, bytes]) -> None:
    """Check that logs, by the names of their readers, are the same as far as each goes.

    Raises:
        AssertionError: Says which two differ, and where.
    """
    longest = max(logs, key=lambda name: len(logs[name]))
    for name, log in logs.items():
        if logs[longest].startswith(log):
            continue
        pairs = zip(log, logs[longest], strict=False)
        at = next(at for at, (one, other) in enumerate(pairs) if one != other)
        raise AssertionError(f"{name} and {longest} read different bytes at {at}")
