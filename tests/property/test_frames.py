"""The native codec against its slow twin.

In go frames with arbitrary fields, logs of several terms, and such logs with bytes changed or cut. Checked: both encode
to the same bytes, both decode to the same frames, both refuse at the same position, and for the same class of reason.
Both implementations are real.
"""

from dataclasses import dataclass
from typing import assert_never

from hypothesis import given
from hypothesis import strategies as st
from sequencer import (
    CorruptionError,
    FrameKind,
    NodeId,
    Position,
    RejectedError,
    SequencerError,
    Term,
    UnsupportedError,
    _native,
)
from wire_twin import Fault, TwinError, TwinFrame, decode, encode, new_term_payload

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
# Leaves room for the frames themselves below the last position.
POSITIONS = st.integers(0, 2**64 // 8 - 2**20).map(lambda count: count * 8)
TERMS = st.integers(1, 2**64 - 1)
KINDS = st.sampled_from([kind for kind in FrameKind if kind is not FrameKind.NEW_TERM])


@st.composite
def frames(draw: st.DrawFn, at: int, term: int) -> TwinFrame:
    """Draw any frame but a new term, standing at `at` in `term`."""
    return TwinFrame(
        at=at,
        term=term,
        kind=draw(KINDS),
        payload=draw(st.binary(max_size=100)),
        source_id=draw(U32),
        source_sequence=draw(U64),
        timestamp_ns=draw(U64),
        cause=draw(U64),
        schema_id=draw(U16),
        schema_version=draw(U16),
        epoch=draw(U32),
    )


@st.composite
def logs(draw: st.DrawFn) -> list[TwinFrame]:
    """Draw a log from its start: terms that rise, each opened by its frame and holding a few others."""
    log: list[TwinFrame] = []
    at = term = 0
    for rise in draw(st.lists(st.integers(1, 1000), min_size=1, max_size=4)):
        leader = draw(U32)
        payload = new_term_payload(term=term + rise, previous_term=term, leader=leader)
        term += rise
        log.append(
            TwinFrame(
                at=at,
                term=term,
                kind=FrameKind.NEW_TERM,
                payload=payload,
                source_id=leader,
                timestamp_ns=draw(U64),
            )
        )
        at = log[-1].end
        for _ in range(draw(st.integers(0, 3))):
            log.append(draw(frames(at, term)))
            at = log[-1].end
    return log


def native_bytes(frame: TwinFrame, previous_term: int) -> bytes:
    """Encode `frame` by the Rust crate."""
    at, term = Position(frame.at), Term(frame.term)
    if frame.kind == FrameKind.NEW_TERM:
        return _native.encode_new_term(
            at=at,
            term=term,
            previous_term=Term(previous_term),
            leader=NodeId(frame.source_id),
            timestamp_ns=frame.timestamp_ns,
        )
    return _native.encode_frame(
        frame.kind,
        frame.payload,
        at=at,
        term=term,
        source_id=frame.source_id,
        source_sequence=frame.source_sequence,
        timestamp_ns=frame.timestamp_ns,
        cause=Position(frame.cause),
        schema_id=frame.schema_id,
        schema_version=frame.schema_version,
        epoch=frame.epoch,
    )


def as_twin(frame: _native.Frame) -> TwinFrame:
    """Make the native frame comparable with the twin's."""
    return TwinFrame(
        at=frame.at,
        term=frame.term,
        kind=frame.kind,
        payload=frame.payload,
        flags=frame.flags,
        source_id=frame.source_id,
        source_sequence=frame.source_sequence,
        timestamp_ns=frame.timestamp_ns,
        cause=frame.cause,
        schema_id=frame.schema_id,
        schema_version=frame.schema_version,
        epoch=frame.epoch,
    )


def expected_error(fault: Fault) -> type[SequencerError]:
    """Name the exception that each fault of the twin is in Python."""
    match fault:
        case Fault.LENGTH | Fault.TRUNCATED | Fault.NO_TERM | Fault.CHECKSUM | Fault.CHAIN:
            return CorruptionError
        case Fault.VERSION | Fault.KIND | Fault.FLAGS | Fault.RESERVED | Fault.PADDING | Fault.PAYLOAD_LENGTH:
            return UnsupportedError
        case Fault.POSITION:
            return RejectedError
        case _:
            assert_never(fault)


@dataclass(frozen=True)
class Refusal:
    """How a decoder refuses: the class of the exception, and the frame that it names if it names one."""

    error: type[SequencerError]
    position: int | None


def native_outcome(data: bytes, at: int, previous_term: int) -> list[TwinFrame] | Refusal:
    """Decode by the Rust crate."""
    try:
        found = _native.decode_frames(data, at=Position(at), previous_term=Term(previous_term))
    except (CorruptionError, UnsupportedError) as error:
        return Refusal(type(error), error.position)
    except SequencerError as error:
        return Refusal(type(error), None)
    return [as_twin(frame) for frame in found]


def twin_outcome(data: bytes, at: int, previous_term: int) -> list[TwinFrame] | Refusal:
    """Decode by the twin, its fault in the words of the package."""
    try:
        return decode(data, at=at, previous_term=previous_term)
    except TwinError as error:
        error_class = expected_error(error.fault)
        return Refusal(error_class, None if error_class is RejectedError else error.position)


def judge(data: bytes, at: int, previous_term: int) -> None:
    """Check that both decoders say the same of `data`."""
    assert native_outcome(data, at, previous_term) == twin_outcome(data, at, previous_term)


@given(data=st.data(), at=POSITIONS, term=TERMS)
def test_one_frame_anywhere(data: st.DataObject, at: int, term: int) -> None:
    frame = data.draw(frames(at, term))
    encoded = native_bytes(frame, previous_term=term)
    assert encoded == encode(frame)
    judge(encoded, at, term)


@given(log=logs())
def test_a_whole_log(log: list[TwinFrame]) -> None:
    encoded = b""
    previous_term = 0
    for frame in log:
        encoded += native_bytes(frame, previous_term)
        previous_term = frame.term
    assert encoded == b"".join(map(encode, log))
    judge(encoded, 0, 0)


@given(log=logs(), data=st.data())
def test_a_log_with_a_changed_byte_or_a_cut(log: list[TwinFrame], data: st.DataObject) -> None:
    encoded = bytearray(b"".join(map(encode, log)))
    index = data.draw(st.integers(0, len(encoded) - 1), label="index")
    encoded[index] ^= data.draw(st.integers(1, 255), label="flip")
    cut = data.draw(st.integers(0, len(encoded)), label="cut")
    judge(bytes(encoded[:cut]), 0, 0)


@given(log=logs(), at=POSITIONS, previous_term=st.integers(0, 3000))
def test_a_log_read_from_a_wrong_place(log: list[TwinFrame], at: int, previous_term: int) -> None:
    judge(b"".join(map(encode, log)), at, previous_term)


@given(
    data=st.data(),
    at=POSITIONS,
    term=TERMS,
    version=st.integers(0, 255),
    kind=st.integers(0, 255),
    flags=U16,
)
def test_intact_frames_that_no_release_writes(
    data: st.DataObject, at: int, term: int, version: int, kind: int, flags: int
) -> None:
    drawn = data.draw(frames(at, term))
    odd = TwinFrame(
        at=at, term=term, kind=kind, payload=drawn.payload, flags=flags, source_id=drawn.source_id
    )
    judge(encode(odd, version=version, padding_byte=data.draw(st.integers(0, 1))), at, term)


@given(data=st.binary(max_size=200), at=U64, previous_term=U64)
def test_arbitrary_bytes(data: bytes, at: int, previous_term: int) -> None:
    judge(data, at, previous_term)
