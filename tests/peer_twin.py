"""A second, slow and obvious decoder of messages between cluster members, written from docs/reference/wire.md alone.

One message:

    0   u32  length      envelope, body and frames
    4   u32  crc32c      over the length as u64, then over bytes 8 to the end; of an append, to the end of its body
    8   u8   version     1
    9   u8   kind
    10  u16  flags       0
    12  u32  from        node id
    16  u32  to          node id
    20  u32  reserved    0
    24       cluster     16 bytes
    40  u64  term
    48       body, its fields as BODIES lists them
"""

import struct
from dataclasses import dataclass

from wire_twin import crc32c

ENVELOPE = struct.Struct("<IIBBHIII16sQ")
ENVELOPE_BYTES = 48
MESSAGE_BYTES_MAX = 4 * 1024 * 1024 + 1024
VERSION = 1
KIND_APPEND = 5
APPEND_BODY_BYTES = 32
TERM_STARTS_MAX = 32
SNAPSHOT_CHUNK_BYTES_MAX = 1024 * 1024
HEALTH = ("clean", "doubtful", "damaged")

BODIES: dict[int, tuple[str, list[tuple[str, str]]]] = {
    1: ("pre_vote_request", [("last", "log end")]),
    2: ("pre_vote_response", [("granted", "flag")]),
    3: ("vote_request", [("last", "log end"), ("transfer", "flag")]),
    4: ("vote_response", [("wall_ns", "number"), ("granted", "flag")]),
    5: (
        "append",
        [("previous", "log end"), ("commit", "position"), ("round", "number"), ("frames", "rest")],
    ),
    6: (
        "append_accepted",
        [("matched", "position"), ("durable", "position"), ("round", "number"), ("low_space", "flag")],
    ),
    7: (
        "append_rejected",
        [("previous", "position"), ("end", "position"), ("round", "number"), ("terms", "term starts")],
    ),
    8: ("timeout_now", [("end", "log end")]),
    9: ("status_request", [("nonce", "number")]),
    10: ("status_response", [("nonce", "number"), ("last", "log end"), ("health", "health")]),
    11: (
        "snapshot_chunk",
        [
            ("last", "log end"),
            ("total_bytes", "number"),
            ("offset", "number"),
            ("round", "number"),
            ("bytes", "rest"),
        ],
    ),
    12: ("snapshot_received", [("position", "position"), ("offset", "number"), ("round", "number")]),
}
# The least bytes that a field takes: the size of the body follows from its fields.
FIELD_BYTES = {
    "number": 8, "position": 8, "flag": 8, "health": 8, "log end": 16, "term starts": 8, "rest": 0,
}  # fmt: skip

Value = int | bool | str | dict[str, int] | list[dict[str, int]]


class PeerTwinError(Exception):
    """The bytes are not a message to this node; the text is the name that the test vectors give to the reason."""


@dataclass(frozen=True)
class TwinMessage:
    """An envelope and the fields of the body by name."""

    sender: int
    receiver: int
    term: int
    kind: int
    kind_name: str
    body: dict[str, Value]


def decode(data: bytes, cluster: bytes) -> TwinMessage:
    """Decode the one message at the start of `data` as a member of `cluster`."""
    if len(data) < 4:
        raise PeerTwinError("PeerTruncated")
    length = int.from_bytes(data[:4], "little")
    if not ENVELOPE_BYTES <= length <= MESSAGE_BYTES_MAX:
        raise PeerTwinError("PeerLengthOutOfRange")
    if len(data) < length:
        raise PeerTwinError("PeerTruncated")
    (_, crc, version, kind, flags, sender, receiver, reserved, found_cluster, term) = ENVELOPE.unpack_from(
        data
    )
    covered_end = min(length, ENVELOPE_BYTES + APPEND_BODY_BYTES) if kind == KIND_APPEND else length
    if crc != crc32c(struct.pack("<Q", length) + data[8:covered_end]):
        raise PeerTwinError("PeerChecksum")
    if version != VERSION:
        raise PeerTwinError("UnsupportedPeerVersion")
    if kind not in BODIES:
        raise PeerTwinError("UnsupportedPeerKind")
    if flags != 0:
        raise PeerTwinError("UnsupportedPeerFlags")
    if reserved != 0:
        raise PeerTwinError("PeerNonZeroReserved")
    if found_cluster != cluster:
        raise PeerTwinError("WrongCluster")
    kind_name, fields = BODIES[kind]
    body = _Body(data[ENVELOPE_BYTES:length])
    least = sum(FIELD_BYTES[form] for _, form in fields)
    varies = fields[-1][1] in ("rest", "term starts")
    if len(body.rest) < least or (len(body.rest) > least and not varies):
        raise PeerTwinError("PeerBodyLength")
    read = {name: body.read(form) for name, form in fields}
    if kind_name == "snapshot_chunk":
        _check_chunk(read)
    return TwinMessage(sender, receiver, term, kind, kind_name, read)


def _check_chunk(body: dict[str, Value]) -> None:
    offset, total, piece = body["offset"], body["total_bytes"], body["bytes"]
    assert isinstance(offset, int) and isinstance(total, int) and isinstance(piece, str)
    size = len(piece) // 2
    if size > SNAPSHOT_CHUNK_BYTES_MAX or offset + size > total:
        raise PeerTwinError("PeerChunkOutOfRange")


class _Body:
    """The part of a body that is still to be read."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def read(self, form: str) -> Value:
        match form:
            case "number":
                return self._number()
            case "position":
                return self._position()
            case "log end":
                return {"term": self._number(), "position": self._position()}
            case "flag":
                return self._choice(2) == 1
            case "health":
                return HEALTH[self._choice(len(HEALTH))]
            case "term starts":
                return self._term_starts()
            case _:
                return self._take(len(self.rest)).hex()

    def _take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def _number(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def _position(self) -> int:
        position = self._number()
        if position % 8:
            raise PeerTwinError("PeerMisaligned")
        return position

    def _choice(self, count: int) -> int:
        """Read one byte that is below `count`, and seven that are zero."""
        value, *reserved = self._take(8)
        if any(reserved):
            raise PeerTwinError("PeerNonZeroReserved")
        if value >= count:
            raise PeerTwinError("PeerValue")
        return value

    def _term_starts(self) -> list[dict[str, int]]:
        """Read `u32 count | u32 reserved`, then as many `u64 term | u64 start`, both rising, to the end of the body."""
        count, reserved = struct.unpack("<II", self._take(8))
        if reserved != 0:
            raise PeerTwinError("PeerNonZeroReserved")
        if count > TERM_STARTS_MAX:
            raise PeerTwinError("TooManyTermStarts")
        if len(self.rest) != count * 16:
            raise PeerTwinError("PeerBodyLength")
        starts: list[dict[str, int]] = []
        for _ in range(count):
            start = {"term": self._number(), "start": self._position()}
            follows = not starts or (
                start["term"] > starts[-1]["term"] and start["start"] > starts[-1]["start"]
            )
            if start["term"] == 0 or not follows:
                raise PeerTwinError("TermStartsNotAscending")
            starts.append(start)
        return starts
