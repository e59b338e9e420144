"""`sequencer subscribe`: the committed log, frame by frame."""

import sys
from typing import Annotated

import typer

from sequencer.cli.connection import (
    ClusterOption,
    ConnectOption,
    IdentityOption,
    SecretFileOption,
    make_client,
)
from sequencer.cli.frames import HEADLINE, KINDS, frame_line, print_frames
from sequencer.cli.local_cluster import DEFAULT_DIRECTORY
from sequencer.cli.output import Output, OutputOption
from sequencer.cli.target import DirOption
from sequencer.types import FrameKind


def parse_kind(name: str | FrameKind) -> FrameKind:
    """Find the kind of a name.

    Raises:
        typer.BadParameter: There is none.
    """
    try:
        return name if isinstance(name, FrameKind) else KINDS[name]
    except KeyError:
        raise typer.BadParameter(f"{name!r} is no kind of frame; take one of {', '.join(KINDS)}.") from None


def subscribe(
    directory: DirOption = DEFAULT_DIRECTORY,
    connect: ConnectOption = None,
    cluster: ClusterOption = None,
    identity: IdentityOption = "",
    secret_file: SecretFileOption = None,
    from_position: Annotated[
        int | None,
        typer.Option(
            "--from",
            metavar="POSITION",
            help="Where to begin, the start of a frame.",
            show_default="0",
            min=0,
        ),
    ] = None,
    from_end: Annotated[
        bool, typer.Option("--from-end", help="Begin at the end: only what comes from now on.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="End after that many frames.", min=1)
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow/--no-follow", help="Wait for more at the end of the log, or end there."),
    ] = True,
    kind: Annotated[
        list[FrameKind] | None,
        typer.Option(
            "--kind",
            parser=parse_kind,
            metavar="KIND",
            help="Only frames of this kind, such as `message`; may be repeated.",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the committed log, in order and without a gap, until Ctrl-C.

    What is printed stays in the log whatever fails later.
    """
    if from_end and from_position is not None:
        raise typer.BadParameter("--from and --from-end exclude each other.")
    start = None if from_end else from_position or 0
    kinds = frozenset(kind) if kind else None
    to_line = frame_line(output)
    left = count
    if output is Output.TEXT and sys.stdout.isatty():
        sys.stdout.write(f"{HEADLINE}\n")
    try:
        with (
            make_client(directory, connect, cluster, identity, secret_file) as client,
            client.subscribe_batches(start, live=follow) as batches,
        ):
            for batch in batches:
                frames = [frame for frame in batch.frames() if kinds is None or frame.kind in kinds][:left]
                print_frames(frames, to_line)
                if left is not None:
                    left -= len(frames)
                    if not left:
                        break
    except KeyboardInterrupt:
        # This is how watching ends.
        return
