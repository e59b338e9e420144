"""`sequencer log`: what it prints of a data directory, and what it says of a damaged one.

In go directories written by hand from docs/reference/storage.md; command lines, files and the native reader are real.
No node runs.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from log_files import LogWriter
from sequencer.cli.app import run
from sequencer.cli.exits import ExitCode

PAYLOAD = b"x" * 200
MESSAGES = 200


@pytest.fixture
def written(tmp_path: Path) -> LogWriter:
    """Write a log of several segments and two terms."""
    log = LogWriter(tmp_path / "node-1" / "log")
    log.new_term(1)
    for sequence in range(MESSAGES):
        if sequence == MESSAGES // 2:
            log.new_term(4)
        log.message(sequence + 1, PAYLOAD)
    log.write()
    assert len(log.segments) > 3
    return log


def verified(log: LogWriter, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    """Run `log verify`: the exit code, and what it printed."""
    code = run(["log", "verify", str(log.directory.parent), "-o", "json", *options])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, Any]]:
    """Run a command that must succeed, and read the frames that it prints."""
    assert run([*map(str, arguments), "-o", "json"]) == ExitCode.OK
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_whole_log_verifies(written: LogWriter, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = verified(written, capsys)
    assert code == ExitCode.OK
    assert (found["health"], found["start"], found["end"]) == ("clean", 0, written.end)
    assert (found["frames"], found["segments"]) == (MESSAGES + 2, len(written.segments))
    assert run(["log", "verify", str(written.directory)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "one node's disk" in out
    assert f"{MESSAGES + 2} frames" in out


def test_only_what_follows_a_position_is_verified(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    second = sorted(written.segments)[1]
    written.flip(100)
    assert verified(written, capsys)[0] == ExitCode.FAILED
    code, found = verified(written, capsys, "--from", str(second + 8))
    assert (code, found["start"], found["health"]) == (ExitCode.OK, second, "clean")


@pytest.mark.parametrize("place", ["the first segment", "a middle one", "the last one"])
def test_a_flipped_bit_is_found(written: LogWriter, capsys: pytest.CaptureFixture[str], place: str) -> None:
    bases = sorted(written.segments)
    base = {"the first segment": bases[0], "a middle one": bases[2], "the last one": bases[-1]}[place]
    written.flip(base + 300)
    code, found = verified(written, capsys)
    assert (code, found["health"]) == (ExitCode.FAILED, "damaged")
    assert base <= found["end"] <= base + 300
    assert "checksum" in found["reason"]


def test_bytes_that_nobody_was_told_of_are_no_damage(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    last = max(written.segments)
    written.write(synced=last, intent=last + 248)
    written.flip(last + 248 + 100)
    code, found = verified(written, capsys)
    assert (code, found["health"], found["end"]) == (ExitCode.OK, "clean", last + 248)


def test_bytes_that_may_have_been_acknowledged_are_doubtful(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    last = max(written.segments)
    written.write(synced=last, intent=written.end)
    written.flip(last + 300)
    code, found = verified(written, capsys)
    assert (code, found["health"]) == (ExitCode.FAILED, "doubtful")
    assert (found["synced"], found["intent"]) == (last, written.end)


def test_a_missing_segment_is_damage(written: LogWriter, capsys: pytest.CaptureFixture[str]) -> None:
    missing = sorted(written.segments)[1]
    written.path(missing).unlink()
    code, found = verified(written, capsys)
    assert (code, found["health"], found["end"]) == (ExitCode.FAILED, "damaged", missing)
    assert "missing" in found["reason"]


def test_a_header_that_does_not_follow_is_damage(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    last = max(written.segments)
    written.term_before[last] = 3
    written.write()
    code, found = verified(written, capsys)
    assert (code, found["health"], found["end"]) == (ExitCode.FAILED, "damaged", last)
    assert "header" in found["reason"]


def test_a_trimmed_log_begins_where_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = LogWriter(tmp_path / "log", start=8000, start_term=3)
    for sequence in range(10):
        log.message(sequence + 1, b"%d" % sequence)
    log.write()
    frames = printed(capsys, "log", "dump", tmp_path)
    assert [frame["text"] for frame in frames] == [str(number) for number in range(10)]
    assert frames[0]["position"] == 8000
    assert run(["log", "dump", str(tmp_path), "--from", "80"]) == ExitCode.FAILED
    assert "begins at 8000" in capsys.readouterr().err


def test_the_tail_reaches_back_over_segments(written: LogWriter, capsys: pytest.CaptureFixture[str]) -> None:
    node = written.directory.parent
    frames = printed(capsys, "log", "tail", node, "--count", str(MESSAGES // 2))
    assert [frame["sequence"] for frame in frames] == list(range(MESSAGES // 2 + 1, MESSAGES + 1))
    assert frames[-1]["end"] == written.end
    assert len(printed(capsys, "log", "tail", node)) == 10
    assert len(printed(capsys, "log", "tail", node, "--count", "100000")) == MESSAGES + 2
    from_there = str(frames[-3]["position"])
    assert printed(capsys, "log", "tail", node, "--from", from_there) == frames[-3:]


def test_the_tail_of_a_damaged_log_is_not_passed_off_as_whole(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    written.flip(max(written.segments) + 300)
    assert run(["log", "tail", str(written.directory.parent), "--count", "1"]) == ExitCode.FAILED
    assert "damaged" in capsys.readouterr().err


def test_a_dump_begins_and_ends_where_it_is_told(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    node = written.directory.parent
    everything = printed(capsys, "log", "dump", node)
    assert [frame["kind"] for frame in everything].count("new_term") == 2
    part = printed(capsys, "log", "dump", node, "--from", str(everything[90]["position"]), "--count", "25")
    assert part == everything[90:115]
    assert printed(capsys, "log", "dump", node, "--from", str(written.end)) == []


def test_a_position_that_is_no_frame_is_refused(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    node = str(written.directory.parent)
    assert run(["log", "dump", node, "--from", "80"]) == ExitCode.FAILED
    assert "goes from 72 to" in capsys.readouterr().err
    assert run(["log", "dump", node, "--from", str(written.end + 8)]) == ExitCode.FAILED
    assert f"ends at {written.end}" in capsys.readouterr().err


def test_a_dump_of_a_damaged_log_prints_what_is_before_the_damage(
    written: LogWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    third = sorted(written.segments)[2]
    written.flip(third + 300)
    assert run(["log", "dump", str(written.directory.parent), "-o", "json"]) == ExitCode.FAILED
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["end"] in range(third, third + 300)
    assert "damaged" in captured.err


@pytest.mark.parametrize("command", ["tail", "dump", "verify"])
def test_a_directory_without_a_log_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(["log", command, str(tmp_path)]) == ExitCode.FAILED
    assert str(tmp_path) in capsys.readouterr().err
