"""How commands print frames: a line each, for people or for programs."""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

from sequencer._native import Frame
from sequencer.cli.exits import ExitCode
from sequencer.cli.output import Output
from sequencer.types import FrameKind

PAYLOAD_BYTES_SHOWN = 24
"""Bytes of a payload that is no text, for people; programs get all of them."""

HEADLINE = "    position  time (UTC)                   kind            source  sequence    size  payload"

_NAMES = {kind.value: kind.name.lower() for kind in FrameKind}
KINDS = {name: FrameKind(number) for number, name in _NAMES.items()}
"""Kinds by the names that the command line has for them."""


def print_frames(frames: Iterable[Frame], to_line: Callable[[Frame], str]) -> None:
    """Print frames so that whoever watches sees them now.

    Raises:
        typer.Exit: Whoever read has seen enough, as in `sequencer subscribe | head`.
    """
    try:
        sys.stdout.write("".join(map(to_line, frames)))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.OK) from None


def frame_line(output: Output) -> Callable[[Frame], str]:
    """Choose how a frame becomes a line, its end included."""
    return to_json if output is Output.JSON else to_text


def to_text(frame: Frame) -> str:
    """Lay a frame out for people."""
    return (
        f"{frame.at:>12}  {time_text(frame.timestamp_ns)}  {kind_name(frame.kind):<14}  {frame.source_id:>6}  "
        f"{frame.source_sequence:>8}  {len(frame.payload):>6}  {payload_text(frame.payload)}".rstrip()
        + "\n"
    )


def to_json(frame: Frame) -> str:
    """Write a frame as JSON: the payload in base64, and as text as well when it is UTF-8."""
    fields: dict[str, Any] = {
        "position": frame.at,
        "end": frame.end,
        "term": frame.term,
        "kind": kind_name(frame.kind),
        "source_id": frame.source_id,
        "sequence": frame.source_sequence,
        "epoch": frame.epoch,
        "timestamp_ns": frame.timestamp_ns,
        "cause": frame.cause,
        "schema_id": frame.schema_id,
        "schema_version": frame.schema_version,
        "payload": frame.payload,
    }
    text = decoded(frame.payload)
    if text is not None:
        fields["text"] = text
    return msgspec.json.encode(fields).decode() + "\n"


def kind_name(kind: int) -> str:
    """Name a kind; one that a newer release wrote has a number only."""
    return _NAMES.get(kind, str(kind))


def time_text(timestamp_ns: int) -> str:
    """Write a time to the microsecond, always with as many characters."""
    seconds, rest_ns = divmod(timestamp_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        # A clock that was wrong by centuries.
        return f"{timestamp_ns:>26}ns"[-27:]
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06}Z"


def payload_text(payload: bytes) -> str:
    """Show a payload as it is when it can be printed, else how it begins, in hexadecimal."""
    text = decoded(payload)
    if text is not None and text.isprintable():
        return text
    shown = payload[:PAYLOAD_BYTES_SHOWN].hex()
    return f"0x{shown}..." if len(payload) > PAYLOAD_BYTES_SHOWN else f"0x{shown}"


def decoded(payload: bytes) -> str | None:
    """Read a payload as UTF-8; None when it is not."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
