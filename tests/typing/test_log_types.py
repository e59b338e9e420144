"""What the type checker says of the public types.

`make check` runs mypy over this file: `assert_type` fails when a revealed type changes, and a misuse that begins to
type-check leaves its `type: ignore` unused, which is an error too. Run by pytest, the same lines hold at run time.
"""

from typing import assert_type

import pytest
from sequencer import FrameKind, Position, Term, _native


def test_revealed_types() -> None:
    data = assert_type(_native.encode_frame(FrameKind.TICK, b"", at=Position(8), term=Term(1)), bytes)
    frames = assert_type(
        _native.decode_frames(data, at=Position(8), previous_term=Term(1)), list[_native.Frame]
    )
    frame = frames[0]
    assert assert_type(frame.at, Position) == 8
    assert assert_type(frame.end, Position) == 56
    assert assert_type(frame.term, Term) == 1
    assert assert_type(frame.cause, Position) == 0
    assert assert_type(frame.payload, bytes) == b""
    assert assert_type(FrameKind(frame.kind), FrameKind) is FrameKind.TICK


def test_a_term_is_not_a_position() -> None:
    # The two are integers at run time: only the checker keeps them apart.
    _native.encode_frame(
        FrameKind.TICK,
        b"",
        at=Term(8),  # type: ignore[arg-type]  # a term where a position belongs
        term=Position(1),  # type: ignore[arg-type]  # a position where a term belongs
    )


def test_a_bare_number_is_not_a_position() -> None:
    _native.decode_frames(b"", at=0, previous_term=Term(1))  # type: ignore[arg-type]  # a number of unknown meaning


def test_position_and_term_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        _native.decode_frames(b"", Position(0), Term(1))  # type: ignore[call-arg]  # two numbers that are easily swapped


def test_a_frame_comes_from_the_decoder_alone() -> None:
    with pytest.raises(TypeError):
        _native.Frame()
