"""What `publish` and `subscribe` share: lines of input, lines of output, and the options that name a cluster.

In go pipes, frames and command lines; nothing is connected to.
"""

import json
import os
from pathlib import Path

import pytest
from sequencer._native import Frame, decode_frames, encode_frame
from sequencer.cli.app import run
from sequencer.cli.connection import read_secret, split_addresses
from sequencer.cli.exits import ExitCode, FailedError
from sequencer.cli.frames import PAYLOAD_BYTES_SHOWN, time_text, to_json, to_text
from sequencer.cli.publish import READ_BYTES, read_lines
from sequencer.types import FrameKind, Position, Term

CLUSTER = "5f0c2a4e-6f0e-4c58-8d5e-3f1f2f9f1a01"


def frame(payload: bytes) -> Frame:
    """A message with this payload."""
    data = encode_frame(
        FrameKind.MESSAGE,
        payload,
        at=Position(800),
        term=Term(3),
        source_id=7,
        source_sequence=9,
        timestamp_ns=1_700_000_000_123_456_789,
        cause=Position(72),
        schema_id=5,
        schema_version=2,
        epoch=4,
    )
    return decode_frames(data, at=Position(800), previous_term=Term(3))[0]


def test_a_frame_as_a_line_for_people() -> None:
    line = to_text(frame("grüße, welt".encode()))
    assert line.split() == ["800", "2023-11-14T22:13:20.123456Z", "message", "7", "9", "13", "grüße,", "welt"]
    assert line.endswith("\n")
    assert to_text(frame(b"")).split()[-1] == "0"


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"two\nlines", bytes(PAYLOAD_BYTES_SHOWN)])
def test_what_cannot_be_printed_is_shown_in_hexadecimal(payload: bytes) -> None:
    assert to_text(frame(payload)).split()[-1] == "0x" + payload.hex()


def test_a_long_payload_is_cut_for_people() -> None:
    shown = to_text(frame(bytes(1000))).split()[-1]
    assert shown == "0x" + "00" * PAYLOAD_BYTES_SHOWN + "..."


def test_a_frame_as_json_has_everything() -> None:
    found = json.loads(to_json(frame(b"hi\n")))
    assert found == {
        "position": 800,
        "end": 856,
        "term": 3,
        "kind": "message",
        "source_id": 7,
        "sequence": 9,
        "epoch": 4,
        "timestamp_ns": 1_700_000_000_123_456_789,
        "cause": 72,
        "schema_id": 5,
        "schema_version": 2,
        "payload": "aGkK",
        "text": "hi\n",
    }
    assert "text" not in json.loads(to_json(frame(b"\xff")))


def test_a_time_that_no_calendar_has_is_shown_as_it_is() -> None:
    assert time_text(2**64 - 1).strip()
    assert len(time_text(2**64 - 1)) == len(time_text(0))


def test_lines_come_as_they_are_written() -> None:
    reader, writer = os.pipe()
    try:
        batches = read_lines(reader)
        os.write(writer, b"one\ntwo\nthr")
        assert next(batches) == [b"one", b"two"]
        os.write(writer, b"ee\r\n\n")
        assert next(batches) == [b"three\r", b""]
        os.write(writer, b"end")
        os.close(writer)
        assert list(batches) == [[b"end"]]
    finally:
        os.close(reader)


def test_a_file_is_read_by_large_pieces(tmp_path: Path) -> None:
    lines = [b"%d" % number for number in range(300_000)]
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert path.stat().st_size > READ_BYTES
    with path.open("rb") as source:
        batches = list(read_lines(source.fileno()))
    assert [line for batch in batches for line in batch] == lines
    assert len(batches) == 1 + path.stat().st_size // READ_BYTES


def test_addresses_may_be_repeated_or_listed() -> None:
    assert split_addresses(["a:1, b:2", "c:3", ""]) == ["a:1", "b:2", "c:3"]


def test_a_secret_is_read_as_nodes_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"  0123456789abcdef \n")
    assert read_secret(path) == b"0123456789abcdef"
    path.write_bytes(b" \n")
    with pytest.raises(FailedError, match="empty"):
        read_secret(path)
    with pytest.raises(FailedError, match="cannot be read"):
        read_secret(tmp_path / "none")


@pytest.mark.parametrize(
    "options",
    [
        ["--connect", "127.0.0.1:1"],
        ["--cluster", CLUSTER],
        ["--connect", "127.0.0.1:1", "--cluster", CLUSTER, "--identity", "app"],
    ],
)
def test_options_that_need_each_other(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["publish", "x"], ["subscribe"]):
        assert run([*command, *options]) == ExitCode.USAGE
        assert "go together" in capsys.readouterr().err


def test_other_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["subscribe", "--from", "0", "--from-end"]) == ExitCode.USAGE
    assert run(["subscribe", "--kind", "nothing"]) == ExitCode.USAGE
    assert "session_open" in capsys.readouterr().err
    wrong = ["--connect", "127.0.0.1:1", "--cluster", "no-uuid"]
    assert run(["publish", "x", *wrong]) == ExitCode.CONFIGURATION
    capsys.readouterr()
    assert run(["publish", "x", "--dir", str(tmp_path)]) == ExitCode.FAILED
    assert "--connect" in capsys.readouterr().err
