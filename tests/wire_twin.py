"""A second, slow and obvious implementation of the frame layout, written from docs/reference/wire.md alone.

It shares no code with the Rust crate, so that a misreading of the page, on either side, shows as a difference.

One frame:

    0   u32  length      header and payload, without padding
    4   u32  crc32c      over a seed of position, term and length, then over bytes 8 to the padded end
    8   u8   version     1
    9   u8   kind
    10  u16  flags       0
    12  u32  source id
    16  u64  source sequence
    24  u64  timestamp   nanoseconds since the Unix epoch
    32  u64  cause       position
    40  u16  schema id
    42  u16  schema version
    44  u32  epoch
    48       payload, then zeros up to a multiple of 8

A new-term frame carries: u64 term, u64 previous term, u32 leader, u32 reserved (0). It belongs to the term it names.
"""

import struct
from dataclasses import dataclass
from enum import Enum

HEADER = struct.Struct("<IIBBHIQQQHHI")
SEED = struct.Struct("<QQQ")
NEW_TERM = struct.Struct("<QQII")
HEADER_BYTES = 48
FRAME_BYTES_MAX = 1 << 20
VERSION = 1
KIND_NEW_TERM = 1
KIND_MAX = 22
POSITION_MAX = 2**64 - 1


class Fault(Enum):
    """Why bytes are not a frame, by the names of the test vectors, in the order in which it is looked for."""

    LENGTH = "LengthOutOfRange"
    POSITION = "PositionOutOfRange"
    TRUNCATED = "Truncated"
    NO_TERM = "NoTerm"
    CHECKSUM = "Checksum"
    VERSION = "UnsupportedVersion"
    KIND = "UnsupportedKind"
    FLAGS = "UnsupportedFlags"
    RESERVED = "NonZeroReserved"
    PADDING = "NonZeroPadding"
    PAYLOAD_LENGTH = "PayloadLength"
    CHAIN = "BrokenChain"


class TwinError(Exception):
    """The bytes at `position` are not a frame."""

    def __init__(self, fault: Fault, position: int) -> None:
        super().__init__(f"{fault.value} at position {position}")
        self.fault = fault
        self.position = position


@dataclass(frozen=True, kw_only=True)
class TwinFrame:
    """The fields of one frame, where it stands and the term that it belongs to."""

    at: int
    term: int
    kind: int
    payload: bytes
    flags: int = 0
    source_id: int = 0
    source_sequence: int = 0
    timestamp_ns: int = 0
    cause: int = 0
    schema_id: int = 0
    schema_version: int = 0
    epoch: int = 0

    @property
    def end(self) -> int:
        """Where the next frame starts."""
        return self.at + padded(HEADER_BYTES + len(self.payload))


def padded(length: int) -> int:
    """Round up to the next multiple of 8."""
    return (length + 7) // 8 * 8


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), a bit at a time from the reflected polynomial, by way of a table of bytes."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F6_3B78 if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


def checksum(whole: bytes, *, at: int, term: int, length: int) -> int:
    """Checksum of a whole padded frame that stands at `at` and belongs to `term`."""
    return crc32c(SEED.pack(at, term, length) + whole[8:])


def new_term_payload(*, term: int, previous_term: int, leader: int) -> bytes:
    """Payload of the frame that opens `term`."""
    return NEW_TERM.pack(term, previous_term, leader, 0)


def encode(frame: TwinFrame, *, version: int = VERSION, padding_byte: int = 0) -> bytes:
    """Encode `frame`; the keywords write what no correct writer would, under a checksum that verifies."""
    length = HEADER_BYTES + len(frame.payload)
    padding = bytes([padding_byte]) * (padded(length) - length)

    def with_checksum(crc: int) -> bytes:
        header = HEADER.pack(
            length,
            crc,
            version,
            frame.kind,
            frame.flags,
            frame.source_id,
            frame.source_sequence,
            frame.timestamp_ns,
            frame.cause,
            frame.schema_id,
            frame.schema_version,
            frame.epoch,
        )
        return header + frame.payload + padding

    crc = checksum(with_checksum(0), at=frame.at, term=frame.term, length=length)
    return with_checksum(crc)


def decode(data: bytes, *, at: int, previous_term: int) -> list[TwinFrame]:
    """Decode every frame of `data`, whose first byte stands at `at`, after a frame of `previous_term`."""
    frames = []
    while data:
        frame = decode_one(data, at, previous_term)
        data = data[frame.end - at :]
        at, previous_term = frame.end, frame.term
        frames.append(frame)
    return frames


def decode_one(data: bytes, at: int, previous_term: int) -> TwinFrame:
    """Decode the one frame at the start of `data`, whatever follows it."""
    if len(data) < 4:
        raise TwinError(Fault.TRUNCATED, at)
    length = int.from_bytes(data[:4], "little")
    if not HEADER_BYTES <= length <= FRAME_BYTES_MAX:
        raise TwinError(Fault.LENGTH, at)
    if at + padded(length) > POSITION_MAX:
        raise TwinError(Fault.POSITION, at)
    if len(data) < padded(length):
        raise TwinError(Fault.TRUNCATED, at)
    whole = data[: padded(length)]
    payload = whole[HEADER_BYTES:length]
    (
        _,
        crc,
        version,
        kind,
        flags,
        source_id,
        source_sequence,
        timestamp_ns,
        cause,
        schema_id,
        schema_version,
        epoch,
    ) = HEADER.unpack_from(whole)

    # A new-term frame verifies in the term that it names. One too short to name a term is verified in the term before,
    # and refused for its size if it should pass.
    is_new_term = kind == KIND_NEW_TERM
    term = int.from_bytes(payload[:8], "little") if is_new_term and len(payload) >= 8 else previous_term
    if previous_term == 0 and not is_new_term:
        raise TwinError(Fault.NO_TERM, at)
    if crc != checksum(whole, at=at, term=term, length=length):
        raise TwinError(Fault.CHECKSUM, at)
    if version != VERSION:
        raise TwinError(Fault.VERSION, at)
    if not 1 <= kind <= KIND_MAX:
        raise TwinError(Fault.KIND, at)
    if flags != 0:
        raise TwinError(Fault.FLAGS, at)
    if any(whole[length:]):
        raise TwinError(Fault.PADDING, at)
    if is_new_term:
        _check_new_term(payload, at, previous_term)
    return TwinFrame(
        at=at,
        term=term,
        kind=kind,
        payload=payload,
        flags=flags,
        source_id=source_id,
        source_sequence=source_sequence,
        timestamp_ns=timestamp_ns,
        cause=cause,
        schema_id=schema_id,
        schema_version=schema_version,
        epoch=epoch,
    )


def _check_new_term(payload: bytes, at: int, previous_term: int) -> None:
    if len(payload) != NEW_TERM.size:
        raise TwinError(Fault.PAYLOAD_LENGTH, at)
    term, named_previous, _, reserved = NEW_TERM.unpack(payload)
    if reserved != 0:
        raise TwinError(Fault.RESERVED, at)
    if term <= previous_term or named_previous != previous_term:
        raise TwinError(Fault.CHAIN, at)
