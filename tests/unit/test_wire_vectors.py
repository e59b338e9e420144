"""The test vectors that every implementation of the formats reads, those of the Rust crate among them.

In go the files of `tests/data/wire`. Checked: the twins read the good ones as described and refuse the bad ones for the
reason named; the native decoder agrees, with the exception that fits the reason; the twin encodes the good ones back.
"""

from pathlib import Path
from typing import Any

import body_twin
import msgspec
import peer_twin
import pytest
import wire_twin
from sequencer import (
    CorruptionError,
    FrameKind,
    Position,
    RejectedError,
    SequencerError,
    Term,
    UnsupportedError,
    _native,
)

DATA = Path(__file__).parents[1] / "data" / "wire"


class Crc(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes and their plain CRC-32C."""

    hex: str
    crc32c: int


class NewTerm(msgspec.Struct, forbid_unknown_fields=True):
    """What the payload of a new-term frame says."""

    term: int
    previous: int
    leader: int


class DecodedFrame(msgspec.Struct, forbid_unknown_fields=True):
    """The fields that a good frame holds."""

    term: int
    end: int
    kind: int
    kind_name: str
    flags: int
    source_id: int
    source_sequence: int
    timestamp_ns: int
    cause: int
    schema_id: int
    schema_version: int
    epoch: int
    payload: str
    new_term: NewTerm | None = None


class GoodFrame(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that start with a frame, and where they stand."""

    name: str
    hex: str
    position: int
    previous_term: int
    decoded: DecodedFrame


class BadFrame(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that do not, and why."""

    name: str
    hex: str
    position: int
    previous_term: int
    error: str
    is_damage: bool


class Frames(msgspec.Struct, forbid_unknown_fields=True):
    """The file frames.json."""

    about: str
    crc32c: list[Crc]
    good: list[GoodFrame]
    bad: list[BadFrame]


class DecodedMessage(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "receiver": "to"}):
    """The fields that a good peer message holds."""

    sender: int
    receiver: int
    term: int
    kind: int
    kind_name: str
    body: dict[str, Any]


class GoodMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that are a peer message to a member of `cluster`."""

    name: str
    hex: str
    cluster: str
    decoded: DecodedMessage


class BadMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes that are not, and why."""

    name: str
    hex: str
    cluster: str
    error: str
    is_damage: bool


class Messages(msgspec.Struct, forbid_unknown_fields=True):
    """The file peer.json."""

    about: str
    good: list[GoodMessage]
    bad: list[BadMessage]


class GoodBody(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of a frame, and its fields by name."""

    name: str
    kind: int
    kind_name: str
    hex: str
    decoded: dict[str, Any]


class BadBody(msgspec.Struct, forbid_unknown_fields=True):
    """A payload that is no body of its kind, and why."""

    name: str
    kind: int
    kind_name: str
    hex: str
    error: str
    facts: dict[str, int | str]


class Bodies(msgspec.Struct, forbid_unknown_fields=True):
    """The file bodies.json."""

    about: str
    good: list[GoodBody]
    bad: list[BadBody]


FRAMES = msgspec.json.decode((DATA / "frames.json").read_bytes(), type=Frames)
MESSAGES = msgspec.json.decode((DATA / "peer.json").read_bytes(), type=Messages)
BODIES = msgspec.json.decode((DATA / "bodies.json").read_bytes(), type=Bodies)


def case_name(case: GoodFrame | BadFrame | GoodMessage | BadMessage | GoodBody | BadBody) -> str:
    """Name a case as its file does."""
    return case.name


def described(case: GoodFrame) -> wire_twin.TwinFrame:
    """Build the frame that a good case describes."""
    decoded = case.decoded
    return wire_twin.TwinFrame(
        at=case.position,
        term=decoded.term,
        kind=decoded.kind,
        payload=bytes.fromhex(decoded.payload),
        flags=decoded.flags,
        source_id=decoded.source_id,
        source_sequence=decoded.source_sequence,
        timestamp_ns=decoded.timestamp_ns,
        cause=decoded.cause,
        schema_id=decoded.schema_id,
        schema_version=decoded.schema_version,
        epoch=decoded.epoch,
    )


def test_checksums() -> None:
    for case in FRAMES.crc32c:
        assert wire_twin.crc32c(bytes.fromhex(case.hex)) == case.crc32c


@pytest.mark.parametrize("case", FRAMES.good, ids=case_name)
def test_good_frames_by_the_twin(case: GoodFrame) -> None:
    data, wanted = bytes.fromhex(case.hex), described(case)
    assert wire_twin.decode_one(data, case.position, case.previous_term) == wanted
    assert wanted.end == case.decoded.end
    assert wire_twin.encode(wanted) == data[: wanted.end - wanted.at]
    if case.decoded.new_term is not None:
        new = case.decoded.new_term
        payload = wire_twin.new_term_payload(term=new.term, previous_term=new.previous, leader=new.leader)
        assert wanted.payload == payload


@pytest.mark.parametrize("case", FRAMES.good, ids=case_name)
def test_good_frames_by_the_crate(case: GoodFrame) -> None:
    wanted = described(case)
    data = bytes.fromhex(case.hex)[: wanted.end - wanted.at]
    at, previous_term = Position(case.position), Term(case.previous_term)
    (frame,) = _native.decode_frames(data, at=at, previous_term=previous_term)
    for field in ("term", "end", "kind", "flags", "source_id", "source_sequence", "timestamp_ns", "cause"):
        assert getattr(frame, field) == getattr(case.decoded, field)
    assert (frame.schema_id, frame.schema_version) == (wanted.schema_id, wanted.schema_version)
    assert frame.epoch == wanted.epoch
    assert frame.payload == wanted.payload


def test_kinds_have_the_names_of_the_format() -> None:
    names = {case.decoded.kind: case.decoded.kind_name for case in FRAMES.good}
    assert names == {kind.value: kind.name.lower() for kind in FrameKind}


@pytest.mark.parametrize("case", FRAMES.bad, ids=case_name)
def test_bad_frames_by_the_twin(case: BadFrame) -> None:
    with pytest.raises(wire_twin.TwinError) as caught:
        wire_twin.decode_one(bytes.fromhex(case.hex), case.position, case.previous_term)
    assert (caught.value.fault.value, caught.value.position) == (case.error, case.position)


# No bytes are no frames to a decoder of many; to a decoder of one they are a frame cut short.
@pytest.mark.parametrize("case", [case for case in FRAMES.bad if case.hex], ids=case_name)
def test_bad_frames_by_the_crate(case: BadFrame) -> None:
    wanted: type[SequencerError] = CorruptionError if case.is_damage else UnsupportedError
    if case.error == "PositionOutOfRange":
        wanted = RejectedError
    with pytest.raises(wanted, match=f"position {case.position}"):
        _native.decode_frames(
            bytes.fromhex(case.hex), at=Position(case.position), previous_term=Term(case.previous_term)
        )


@pytest.mark.parametrize("case", MESSAGES.good, ids=case_name)
def test_good_peer_messages_by_the_twin(case: GoodMessage) -> None:
    message = peer_twin.decode(bytes.fromhex(case.hex), bytes.fromhex(case.cluster))
    assert (message.sender, message.receiver, message.term) == (
        case.decoded.sender,
        case.decoded.receiver,
        case.decoded.term,
    )
    assert (message.kind, message.kind_name) == (case.decoded.kind, case.decoded.kind_name)
    assert message.body == case.decoded.body


def test_every_kind_of_peer_message_has_a_vector() -> None:
    assert {case.decoded.kind for case in MESSAGES.good} == set(peer_twin.BODIES)


@pytest.mark.parametrize("case", MESSAGES.bad, ids=case_name)
def test_bad_peer_messages_by_the_twin(case: BadMessage) -> None:
    with pytest.raises(peer_twin.PeerTwinError, match=f"^{case.error}$"):
        peer_twin.decode(bytes.fromhex(case.hex), bytes.fromhex(case.cluster))


@pytest.mark.parametrize("case", BODIES.good, ids=case_name)
def test_good_bodies_by_the_twin(case: GoodBody) -> None:
    assert body_twin.decode(case.kind, bytes.fromhex(case.hex)) == case.decoded


@pytest.mark.parametrize("case", BODIES.bad, ids=case_name)
def test_bad_bodies_by_the_twin(case: BadBody) -> None:
    with pytest.raises(body_twin.BodyTwinError) as caught:
        body_twin.decode(case.kind, bytes.fromhex(case.hex))
    assert (caught.value.error, caught.value.facts) == (case.error, case.facts)


def test_every_kind_of_frame_has_a_body() -> None:
    names = {case.kind: case.kind_name for case in BODIES.good}
    assert names == {kind: name for kind, (name, _, _) in body_twin.BODIES.items()}
    assert names == {kind.value: kind.name.lower() for kind in FrameKind}
