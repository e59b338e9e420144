"""`sequencer publish`: messages from the command line or from standard input."""

import os
import select
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated
from uuid import uuid4

import typer

from sequencer.cli.connection import (
    ClusterOption,
    ConnectOption,
    IdentityOption,
    SecretFileOption,
    make_client,
)
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import DEFAULT_DIRECTORY
from sequencer.cli.output import Output, OutputOption, print_json
from sequencer.cli.target import DirOption
from sequencer.client.blocking import Positions, Session
from sequencer.errors import SequencerError, SessionClosedError

READ_BYTES = 1 << 20
"""Input that is published at a time; less when no more is there yet."""


def publish(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...|-", help="Messages; a lone `-` reads lines of standard input."),
    ],
    directory: DirOption = DEFAULT_DIRECTORY,
    connect: ConnectOption = None,
    cluster: ClusterOption = None,
    identity: IdentityOption = "",
    secret_file: SecretFileOption = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="NAME",
            help="Name of the session; whoever has it open is fenced off. By default one that nobody has.",
        ),
    ] = None,
    schema: Annotated[
        int, typer.Option("--schema", help="Schema id of the messages; 0 for none.", min=0, max=65535)
    ] = 0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Publish messages and print where each stands, as soon as it stands there for ever.

    What is told besides goes to standard error.
    """
    name = session or f"publish-{uuid4().hex[:12]}"
    teller = Teller(output)
    batches: Iterable[list[bytes]] = [[text.encode("utf-8", "surrogateescape") for text in texts]]
    if texts == ["-"]:
        batches = read_lines(sys.stdin.fileno())
    try:
        with (
            make_client(directory, connect, cluster, identity, secret_file) as client,
            client.open_session(name) as opened,
        ):
            for batch in batches:
                _publish(opened, batch, schema, teller)
    except KeyboardInterrupt:
        teller.stopped("Interrupted")
        raise typer.Exit(ExitCode.FAILED) from None
    except SessionClosedError:
        teller.stopped("Failed")
        raise
    except SequencerError:
        teller.refused()
        raise
    teller.finished()


class Teller:
    """Prints positions, and in the end how many there were."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._positions = 0
        self._under_way = 0

    def begins(self, messages: int) -> None:
        """These are being published."""
        self._under_way = messages

    def published(self, positions: Positions) -> None:
        """They stand in the log, or the first of them do."""
        # 0 stands for a place that is not known: the message was sent again after a failure.
        if self._output is Output.JSON:
            lines = (f'{{"event":"published","position":{at or "null"}}}\n' for at in positions)
        else:
            lines = (f"{at or 'unknown'}\n" for at in positions)
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        self._positions += len(positions)
        self._under_way -= len(positions)

    def stopped(self, why: str) -> None:
        """Not all was published."""
        if self._under_way:
            _say(
                f"{why}: {_count(self._positions)} published, and {self._under_way} that were under way may be in the "
                "log or not."
            )
        else:
            _say(f"{why}: {_count(self._positions)} published.")

    def refused(self) -> None:
        """The cluster took no more."""
        if self._under_way:
            _say(
                f"Failed: {_count(self._positions)} published; {self._under_way} after that are not in the log."
            )

    def finished(self) -> None:
        """All was published."""
        if self._output is Output.JSON:
            print_json({"event": "finished", "messages": self._positions})
        else:
            _say(f"{_count(self._positions)} published.")


def read_lines(descriptor: int) -> Iterator[list[bytes]]:
    """Read lines, without their ends, as they come: whoever types sees each published, a file goes by the megabyte."""
    rest = b""
    while data := _read_available(descriptor):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def _publish(session: Session, messages: list[bytes], schema: int, teller: Teller) -> None:
    positions = Positions()
    teller.begins(len(messages))
    try:
        session.publish_many(messages, into=positions, schema_id=schema)
    finally:
        teller.published(positions)


def _read_available(descriptor: int) -> bytes:
    """Wait for input and take what is there; nothing at its end."""
    data = os.read(descriptor, READ_BYTES)
    pieces = [data]
    total = len(data)
    while data and total < READ_BYTES and select.select([descriptor], [], [], 0.0)[0]:
        data = os.read(descriptor, READ_BYTES - total)
        pieces.append(data)
        total += len(data)
    return b"".join(pieces)


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
