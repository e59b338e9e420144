"""Reads the small records of a node's data directory; docs/reference/storage.md lays them out.

Frames are read by the native reader. What is here says where they begin, and up to where they were acknowledged.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from sequencer.types import Position, Term

FRAMES_AT = 4096
"""Where frames begin in a segment."""

_SECTOR_BYTES = 512
_VERSION = 1
_SLOTS_AT = (512, 1536)
_SUFFIX = ".segment"
_DIGITS = 20
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of frames.

    Attributes:
        base: Position of its first frame.
        room_end: Position up to which it has room.
        term_before: Term of the frame before its first; None where its header cannot be used.
    """

    base: Position
    room_end: Position
    term_before: Term | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """What the node knew of its log when it last said so.

    Attributes:
        synced: Everything before this was on disk.
        intent: Nothing from here on was acknowledged.
        committed: Everything before this was committed, and more may be.
    """

    synced: Position
    intent: Position
    committed: Position


def read_segments(directory: Path) -> list[Segment]:
    """List the segments in the order of their positions.

    Raises:
        OSError: The directory or a file cannot be read.
    """
    found = []
    for path in sorted(directory.iterdir()):
        base = _base(path.name)
        if base is not None:
            with path.open("rb") as file:
                fields = _fields(file.read(_SECTOR_BYTES), b"sqsegmnt")
            room_end = Position(base + max(0, path.stat().st_size - FRAMES_AT))
            term = None
            if fields is not None:
                said_base, term_before = struct.unpack_from("<QQ", fields, 16)
                term = Term(term_before) if said_base == base else None
            found.append(Segment(base, room_end, term))
    return found


def read_start(directory: Path) -> tuple[Position, Term] | None:
    """Read where the log begins, and the term before; None where the record cannot be used.

    Raises:
        OSError: The file cannot be read.
    """
    data = (directory / "logstart").read_bytes()
    newest = _newest([data[at : at + 2 * _SECTOR_BYTES] for at in (0, 2 * _SECTOR_BYTES)], b"sqlstart")
    if newest is None:
        return None
    start, term = struct.unpack_from("<QQ", newest, 8)
    return Position(start), Term(term)


def read_watermark(directory: Path) -> Watermark | None:
    """Read the newest watermark; None where there is none.

    Raises:
        OSError: A segment cannot be read.
    """
    pairs = []
    for path in directory.iterdir():
        if _base(path.name) is not None:
            with path.open("rb") as file:
                head = file.read(FRAMES_AT)
            pairs += [head[at : at + 2 * _SECTOR_BYTES] for at in _SLOTS_AT]
    newest = _newest(pairs, b"sqwaterm")
    if newest is None:
        return None
    synced, intent, _, committed = struct.unpack_from("<QQQQ", newest, 8)
    return Watermark(Position(synced), Position(intent), Position(committed))


def _base(name: str) -> Position | None:
    digits = name.removesuffix(_SUFFIX)
    is_segment = name.endswith(_SUFFIX) and len(digits) == _DIGITS and digits.isascii() and digits.isdigit()
    return Position(int(digits)) if is_segment else None


def _newest(pairs: list[bytes], magic: bytes) -> bytes | None:
    """Fields of the record with the highest sequence, which is their first number."""
    copies = [pair[at : at + _SECTOR_BYTES] for pair in pairs for at in (0, _SECTOR_BYTES)]
    valid = [fields for fields in (_fields(copy, magic) for copy in copies) if fields is not None]
    return max(valid, key=lambda fields: int.from_bytes(fields[:8], "little"), default=None)


def _fields(sector: bytes, magic: bytes) -> bytes | None:
    """Fields of a record of one sector, if it is whole and of this kind and version."""
    if len(sector) != _SECTOR_BYTES or not sector.startswith(magic):
        return None
    checksum, version = struct.unpack_from("<II", sector, 8)
    if version != _VERSION or checksum != crc32c(sector[:8] + sector[12:]):
        return None
    return sector[16:]


def crc32c(data: bytes) -> int:
    """Checksum of a record: some hundred bytes, so that plain Python will do."""
    register = 0xFFFFFFFF
    for byte in data:
        register = _TABLE[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))
