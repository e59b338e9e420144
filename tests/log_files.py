"""Writes a node's data directory by hand, from docs/reference/storage.md; tests damage it as they please."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from sequencer._native import encode_frame, encode_new_term
from sequencer.types import FrameKind, NodeId, Position, Term
from wire_twin import crc32c

SECTOR_BYTES = 512
FRAMES_AT = 4096
SEGMENT_BYTES = 16 * 1024
CLUSTER = bytes(range(16))


def record(magic: bytes, fields: bytes) -> bytes:
    """One sector."""
    head, rest = magic, struct.pack("<I", 1) + fields.ljust(SECTOR_BYTES - 16, b"\0")
    return head + struct.pack("<I", crc32c(head + rest)) + rest


@dataclass
class LogWriter:
    """A log whose frames are written one after another.

    Attributes:
        directory: The directory `log` of a node.
        segments: Frames by the base of their segment.
    """

    directory: Path
    start: int = 0
    start_term: int = 0
    segments: dict[int, bytearray] = field(default_factory=dict)
    term_before: dict[int, int] = field(default_factory=dict)
    end: int = 0
    term: int = 0

    def __post_init__(self) -> None:
        self.end, self.term = self.start, self.start_term

    def new_term(self, term: int) -> None:
        """Begin a term."""
        self._append(
            encode_new_term(
                at=Position(self.end),
                term=Term(term),
                previous_term=Term(self.term),
                leader=NodeId(1),
                timestamp_ns=1_700_000_000_123_456_789,
            )
        )
        self.term = term

    def message(self, sequence: int, payload: bytes) -> int:
        """Append a message; its position. A segment that has no room for it is followed by another."""
        frame = encode_frame(
            FrameKind.MESSAGE,
            payload,
            at=Position(self.end),
            term=Term(self.term),
            source_id=7,
            source_sequence=sequence,
            timestamp_ns=1_700_000_000_123_456_789,
            epoch=1,
        )
        at = self.end
        self._append(frame)
        return at

    def write(self, *, synced: int | None = None, intent: int | None = None) -> None:
        """Write the files, with a watermark that says what was acknowledged: by default everything."""
        self.directory.mkdir(parents=True, exist_ok=True)
        start = record(b"sqlstart", struct.pack("<QQQI", 1, self.start, self.start_term, 0))
        (self.directory / "logstart").write_bytes(bytes(2 * SECTOR_BYTES) + start * 2)
        synced = self.end if synced is None else synced
        intent = self.end if intent is None else intent
        slot = record(b"sqwaterm", struct.pack("<QQQQQQ", 9, synced, intent, self.term, synced, 0))
        # An older one, which does not count.
        old = record(b"sqwaterm", struct.pack("<QQQQQQ", 8, 0, 0, 0, 0, 0))
        for base, frames in self.segments.items():
            header = record(b"sqsegmnt", struct.pack("<16sQQ", CLUSTER, base, self.term_before[base]))
            is_last = base == max(self.segments)
            slots = slot * 2 + old * 2 if is_last else bytes(4 * SECTOR_BYTES)
            content = (header + slots).ljust(FRAMES_AT, b"\0") + bytes(frames)
            self.path(base).write_bytes(content.ljust(SEGMENT_BYTES, b"\0"))

    def path(self, base: int) -> Path:
        """The file of a segment."""
        return self.directory / f"{base:020}.segment"

    def flip(self, position: int) -> None:
        """Flip a bit of what was written at a position."""
        base = max(base for base in self.segments if base <= position)
        data = bytearray(self.path(base).read_bytes())
        data[FRAMES_AT + position - base] ^= 1
        self.path(base).write_bytes(data)

    def _append(self, frame: bytes) -> None:
        last = max(self.segments, default=None)
        if last is None or FRAMES_AT + len(self.segments[last]) + len(frame) > SEGMENT_BYTES:
            last = self.end
            self.segments[last] = bytearray()
            self.term_before[last] = self.term
        self.segments[last] += frame
        self.end += len(frame)
