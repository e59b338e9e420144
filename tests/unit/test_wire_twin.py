"""The twin itself: its checksum against the published check value, its round trip, and each fault that it names.

In go frames made by hand; nothing of the Rust crate is involved.
"""

from dataclasses import replace

import pytest
from wire_twin import Fault, TwinError, TwinFrame, crc32c, decode, encode, new_term_payload, padded

OPENING = TwinFrame(
    at=0,
    term=3,
    kind=1,
    payload=new_term_payload(term=3, previous_term=0, leader=7),
    source_id=7,
    timestamp_ns=1_000,
)
MESSAGE = TwinFrame(
    at=OPENING.end, term=3, kind=2, payload=b"hello", source_id=9, source_sequence=1, timestamp_ns=1_001
)


def test_crc32c_matches_its_published_check_value() -> None:
    assert crc32c(b"123456789") == 0xE306_9283


def test_lengths_are_padded_to_eight() -> None:
    assert [padded(length) for length in (48, 49, 55, 56)] == [48, 56, 56, 56]


def test_what_is_encoded_decodes_to_itself() -> None:
    data = encode(OPENING) + encode(MESSAGE)
    assert len(data) == MESSAGE.end
    assert decode(data, at=0, previous_term=0) == [OPENING, MESSAGE]


def faulty_frames() -> list[tuple[Fault, bytes, int, int]]:
    """Each fault with bytes that have it, where they stand and the term before them."""
    message = encode(MESSAGE)
    at, term = MESSAGE.at, MESSAGE.term
    unordered = replace(OPENING, payload=new_term_payload(term=3, previous_term=2, leader=7))
    return [
        (Fault.TRUNCATED, message[:3], at, term),
        (Fault.TRUNCATED, message[:-1], at, term),
        (Fault.LENGTH, bytes(48), at, term),
        (Fault.POSITION, message, 2**64 - 8, term),
        (Fault.NO_TERM, message, 0, 0),
        (Fault.CHECKSUM, message, at + 8, term),
        (Fault.CHECKSUM, message, at, term + 1),
        (Fault.CHECKSUM, message[:50] + b"L" + message[51:], at, term),
        (Fault.VERSION, encode(MESSAGE, version=2), at, term),
        (Fault.KIND, encode(replace(MESSAGE, kind=23)), at, term),
        (Fault.FLAGS, encode(replace(MESSAGE, flags=1)), at, term),
        (Fault.PADDING, encode(MESSAGE, padding_byte=1), at, term),
        (Fault.PAYLOAD_LENGTH, encode(replace(OPENING, payload=OPENING.payload[:16])), 0, 0),
        (Fault.RESERVED, encode(replace(OPENING, payload=OPENING.payload[:20] + b"\1\0\0\0")), 0, 0),
        (Fault.CHAIN, encode(unordered), 0, 0),
        (Fault.CHAIN, encode(OPENING), 0, 3),
    ]


@pytest.mark.parametrize(("fault", "data", "at", "previous_term"), faulty_frames())
def test_each_fault_has_its_name(fault: Fault, data: bytes, at: int, previous_term: int) -> None:
    with pytest.raises(TwinError) as caught:
        decode(data, at=at, previous_term=previous_term)
    assert (caught.value.fault, caught.value.position) == (fault, at)
