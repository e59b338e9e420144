"""The binding: what Python gives comes back, and each refusal is the exception that says what to do.

In go frames of the native encoder and, for what no correct writer produces, of the twin. Nothing is faked.
"""

from dataclasses import replace

import pytest
from sequencer import (
    CorruptionError,
    FrameKind,
    NodeId,
    Position,
    RejectedError,
    SequencerError,
    Term,
    TooLargeError,
    UnsupportedError,
    _native,
)
from wire_twin import TwinFrame, encode

START = Position(0)
AT = Position(72)
TERM = Term(3)
MESSAGE = TwinFrame(at=AT, term=TERM, kind=FrameKind.MESSAGE, payload=b"hello")


def test_every_field_comes_back() -> None:
    data = _native.encode_frame(
        FrameKind.OUTPUT,
        b"hello",
        at=AT,
        term=TERM,
        source_id=1,
        source_sequence=2,
        timestamp_ns=3,
        cause=Position(64),
        schema_id=5,
        schema_version=6,
        epoch=7,
    )
    (frame,) = _native.decode_frames(data, at=AT, previous_term=TERM)
    assert (frame.at, frame.end, frame.term) == (72, 72 + 56, 3)
    assert (frame.kind, frame.flags, frame.payload) == (FrameKind.OUTPUT, 0, b"hello")
    assert (frame.source_id, frame.source_sequence, frame.timestamp_ns) == (1, 2, 3)
    assert (frame.cause, frame.schema_id, frame.schema_version, frame.epoch) == (64, 5, 6, 7)


def test_a_log_opens_with_a_new_term() -> None:
    data = _native.encode_new_term(
        at=START, term=TERM, previous_term=Term(0), leader=NodeId(7), timestamp_ns=9
    )
    (frame,) = _native.decode_frames(data, at=START, previous_term=Term(0))
    assert (frame.kind, frame.term, frame.source_id, frame.timestamp_ns) == (FrameKind.NEW_TERM, 3, 7, 9)
    assert frame.end == AT


def test_frames_are_equal_by_value_and_cannot_be_changed() -> None:
    data = _native.encode_frame(FrameKind.TICK, b"", at=AT, term=TERM)
    (one,) = _native.decode_frames(data, at=AT, previous_term=TERM)
    (other,) = _native.decode_frames(data, at=AT, previous_term=TERM)
    assert one == other
    assert one is not other
    with pytest.raises(AttributeError):
        one.term = Term(4)  # type: ignore[misc]  # that it is refused is the point


def test_no_bytes_hold_no_frames() -> None:
    assert _native.decode_frames(b"", at=AT, previous_term=TERM) == []


@pytest.mark.parametrize("number", range(256))
def test_frame_kinds_are_those_of_the_crate(number: int) -> None:
    known = number in set(FrameKind)
    try:
        data = _native.encode_frame(number, b"", at=AT, term=TERM)
    except RejectedError:
        assert not known or number == FrameKind.NEW_TERM
    else:
        assert known
        assert _native.decode_frames(data, at=AT, previous_term=TERM)[0].kind == number


@pytest.mark.parametrize(
    ("data", "at", "previous_term"),
    [
        pytest.param(encode(MESSAGE)[:-1], AT, TERM, id="cut short"),
        pytest.param(encode(MESSAGE), Position(AT + 8), TERM, id="another position"),
        pytest.param(encode(MESSAGE), AT, Term(TERM + 1), id="another term"),
        pytest.param(encode(MESSAGE), AT, Term(0), id="no term"),
        pytest.param(bytes(48), AT, TERM, id="never written"),
    ],
)
def test_damage_is_corruption_and_names_the_position(data: bytes, at: Position, previous_term: Term) -> None:
    with pytest.raises(CorruptionError, match=f"position {at}") as caught:
        _native.decode_frames(data, at=at, previous_term=previous_term)
    assert caught.value.position == at


def test_the_position_named_is_that_of_the_damaged_frame() -> None:
    second = replace(MESSAGE, at=MESSAGE.end)
    with pytest.raises(CorruptionError) as caught:
        _native.decode_frames(encode(MESSAGE) + encode(second)[:-8], at=AT, previous_term=TERM)
    assert caught.value.position == second.at


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(MESSAGE, version=2), id="version"),
        pytest.param(encode(replace(MESSAGE, kind=200)), id="kind"),
        pytest.param(encode(replace(MESSAGE, flags=1)), id="flags"),
    ],
)
def test_intact_bytes_of_a_newer_release_are_not_damage(data: bytes) -> None:
    with pytest.raises(UnsupportedError, match=f"position {AT}") as caught:
        _native.decode_frames(data, at=AT, previous_term=TERM)
    assert caught.value.position == AT
    assert not isinstance(caught.value, CorruptionError)


def test_the_largest_payload_fits_and_one_byte_more_does_not() -> None:
    largest = bytes(_native.PAYLOAD_BYTES_MAX)
    data = _native.encode_frame(FrameKind.MESSAGE, largest, at=AT, term=TERM)
    assert len(data) == _native.FRAME_BYTES_MAX == _native.PAYLOAD_BYTES_MAX + _native.HEADER_BYTES
    with pytest.raises(TooLargeError) as caught:
        _native.encode_frame(FrameKind.MESSAGE, largest + b"\0", at=AT, term=TERM)
    assert caught.value.payload_bytes == _native.PAYLOAD_BYTES_MAX + 1
    assert caught.value.payload_bytes_max == _native.PAYLOAD_BYTES_MAX


def test_a_frame_belongs_to_a_term() -> None:
    with pytest.raises(RejectedError, match="Term 0"):
        _native.encode_frame(FrameKind.MESSAGE, b"", at=AT, term=Term(0))


def test_terms_rise() -> None:
    with pytest.raises(RejectedError, match="Term 3 cannot follow term 3"):
        _native.encode_new_term(at=AT, term=TERM, previous_term=TERM, leader=NodeId(1), timestamp_ns=0)


def test_a_new_term_has_an_encoder_of_its_own() -> None:
    with pytest.raises(RejectedError, match="encode_new_term"):
        _native.encode_frame(FrameKind.NEW_TERM, b"", at=AT, term=TERM)


def test_a_frame_ends_within_the_positions() -> None:
    with pytest.raises(RejectedError, match="position"):
        _native.encode_frame(FrameKind.MESSAGE, b"", at=Position(2**64 - 8), term=TERM)
    with pytest.raises(RejectedError, match="position"):
        _native.decode_frames(encode(MESSAGE), at=Position(2**64 - 8), previous_term=TERM)


def test_a_number_that_does_not_fit_its_field_overflows() -> None:
    with pytest.raises(OverflowError):
        _native.encode_frame(FrameKind.MESSAGE, b"", at=AT, term=TERM, schema_id=1 << 16)


def test_one_class_catches_what_the_package_raises() -> None:
    assert issubclass(RejectedError, SequencerError)
    assert issubclass(TooLargeError, RejectedError)
    assert issubclass(CorruptionError, SequencerError)
    assert issubclass(UnsupportedError, SequencerError)
