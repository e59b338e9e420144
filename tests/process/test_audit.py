"""The audit of the fault tests finds each way in which a log can break what publishers were told.

In go small logs that were written by hand; nothing runs.
"""

import contextlib
from collections.abc import Sequence

import pytest
from process.audit import UNTOLD_POSITION, Told, check_log, check_same, make_payload
from sequencer._native import decode_frames, encode_frame, encode_new_term
from sequencer.types import FrameKind, NodeId, Position, Term

Entry = tuple[int, int, int, int]
"""A message of publisher 0: its number, its sequence, its epoch, its session."""
SOUND: list[Entry] = [(1, 1, 1, 7), (2, 2, 1, 7), (3, 3, 1, 7), (4, 4, 2, 7), (6, 5, 2, 7)]


def make_log(entries: Sequence[Entry], *, payload: bytes | None = None, clock_ns: int = 0) -> bytes:
    """Make a log of these messages, the last one with another payload or time if that is asked for."""
    log = encode_new_term(
        at=Position(0), term=Term(1), previous_term=Term(0), leader=NodeId(1), timestamp_ns=1
    )
    for index, (number, sequence, epoch, session) in enumerate(entries):
        is_last = index == len(entries) - 1
        log += encode_frame(
            FrameKind.MESSAGE,
            payload if is_last and payload is not None else make_payload(0, number),
            at=Position(len(log)),
            term=Term(1),
            source_id=session,
            source_sequence=sequence,
            timestamp_ns=clock_ns if is_last and clock_ns else 10,
            epoch=epoch,
        )
    return log


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (make_log(SOUND), None),
        (make_log(SOUND[:4]), None),
        (make_log([*SOUND[:3], *SOUND[4:]]), "message 4 .* is lost"),
        (make_log([*SOUND, SOUND[-1]]), "message 6 stands at .* and again"),
        (make_log([*SOUND[:3], SOUND[4], SOUND[3]]), "message 4 stands at .*, behind message 6"),
        (make_log([*SOUND[:4], (5, 5, 2, 7)]), "message 5 .* was refused"),
        (make_log([*SOUND[:4], (8, 5, 2, 7)]), "message 8 .* was never published"),
        (
            make_log([(1, 1, 1, 7), (3, 2, 1, 7), (2, 3, 1, 7), SOUND[3]]),
            "was acknowledged at .*, but stands at",
        ),
        (make_log([*SOUND[:4], (6, 6, 2, 7)]), "the sequence at"),
        (make_log([*SOUND[:4], (6, 5, 1, 7)]), "the epoch at"),
        (make_log([*SOUND[:4], (6, 5, 2, 8)]), "the session at"),
        (make_log(SOUND, payload=make_payload(0, 6)[:-1] + b"?"), "what nobody published"),
        (make_log(SOUND, clock_ns=5), "the clock goes back"),
    ],
)
def test_the_audit_finds_what_is_wrong(log: bytes, found: str | None) -> None:
    places = [frame.at for frame in decode_frames(make_log(SOUND), at=Position(0), previous_term=Term(0))[1:]]
    told = Told(0, published=7, positions=dict(enumerate(places[:4], 1)), refused={5: "log_full"})
    told.positions[2] = UNTOLD_POSITION
    with contextlib.nullcontext() if found is None else pytest.raises(AssertionError, match=found):
        check_log(log, [told])


def test_the_audit_finds_logs_that_differ() -> None:
    check_same({"one": b"abc", "other": b"ab"})
    with pytest.raises(AssertionError, match="other and one read different bytes at 1"):
        check_same({"one": b"abc", "other": b"ax"})
