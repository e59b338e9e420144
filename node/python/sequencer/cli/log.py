"""`sequencer log`: the log in a node's data directory, read from its disk."""

import itertools
import sys
from collections import deque
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TransferSpeedColumn

from sequencer._native import Frame
from sequencer.cli.exits import EPILOG, FailedError
from sequencer.cli.frames import HEADLINE, frame_line, print_frames
from sequencer.cli.log_directory import Health, LogDirectory, Verdict
from sequencer.cli.output import Output, OutputOption, print_json, print_text
from sequencer.types import Position

app = typer.Typer(
    help="Read the log in a node's data directory: what lies on that disk, committed or not, whether the node runs or "
    "not.",
    no_args_is_help=True,
)

NOTE = "Read from one node's disk: it need not be all there is, and the end need not be committed."

DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DIRECTORY", help="Data directory of a node, such as .sequencer/node-1.")
]
FromOption = Annotated[
    int | None,
    typer.Option(
        "--from", metavar="POSITION", help="Where to begin; by default where the log begins.", min=0
    ),
]


@app.command(epilog=EPILOG)
def tail(
    directory: DirectoryArgument,
    from_position: FromOption = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many frames.", min=1)] = 10,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the last frames on the disk."""
    log = LogDirectory(directory)
    lowest = Position(from_position) if from_position is not None else log.start
    # From the back, a segment at a time: a log may be large, and its end is what is wanted.
    last: list[Frame] = []
    verdict: Verdict | None = None
    for index in reversed(range(len(log.segments))):
        segment = log.segments[index]
        end = log.segments[index + 1].base if verdict is not None else None
        walk = log.walk_segment(segment)
        frames: deque[Frame] = deque(maxlen=count - len(last))
        for read in walk:
            frames.extend(frame for frame in read if frame.at >= lowest and (end is None or frame.at < end))
            if end is not None and walk.position >= end:
                break
        if verdict is None:
            verdict = log.judge(walk, segment.base)
        elif end is not None and walk.position < end:
            raise FailedError(
                f"The log in {directory} is damaged at {walk.position}: {walk.stop or 'a segment is missing'}."
            )
        last = [*frames, *last]
        if len(last) == count or segment.base <= lowest:
            break
    to_line = frame_line(output)
    _begin(output)
    print_frames(last, to_line)
    if verdict is not None:
        _check(directory, verdict)


@app.command(epilog=EPILOG)
def dump(
    directory: DirectoryArgument,
    from_position: FromOption = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="End after that many frames.", min=1)
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the frames on the disk, from a position or from the beginning."""
    log = LogDirectory(directory)
    position = None if from_position is None else Position(from_position)
    walk = log.walk_from_segment(position)
    start, left = walk.position, count
    to_line = frame_line(output)
    _begin(output)
    for frames in log.frames_from(walk, position):
        shown = frames[:left]
        print_frames(shown, to_line)
        if left is not None:
            left -= len(shown)
            if not left:
                return
    _check(directory, log.judge(walk, start))


@app.command(epilog=EPILOG)
def verify(
    directory: DirectoryArgument, from_position: FromOption = None, output: OutputOption = Output.TEXT
) -> None:
    """Check every frame on the disk, from the segment that holds the position, or from the beginning.

    Ends with 0 when everything that the node has acknowledged verifies, with 1 when it does not.
    """
    log = LogDirectory(directory)
    walk = log.walk_from_segment(None if from_position is None else Position(from_position))
    start = walk.position
    bases = {segment.base: segment.term_before for segment in log.segments}
    wrong: str | None = None
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=max(1, log.watermark.intent - start))
        # The header of a segment has to go with the frames before it.
        for _ in itertools.chain([None], walk):
            if walk.position in bases and bases[walk.position] != walk.term:
                wrong = f"the header of the segment at {walk.position} is damaged, or does not follow the frames before"
                break
            progress.update(bar, completed=walk.position - start)
    verdict = log.judge(walk, start)
    if wrong is not None:
        verdict = Verdict(Health.DAMAGED, start, walk.position, walk.frames, log.watermark, wrong)
    _tell(directory, log, verdict, output)
    _check(directory, verdict)


def _begin(output: Output) -> None:
    if output is Output.TEXT:
        sys.stderr.write(f"{NOTE}\n")
        if sys.stdout.isatty():
            sys.stdout.write(f"{HEADLINE}\n")


def _tell(directory: Path, log: LogDirectory, verdict: Verdict, output: Output) -> None:
    known = verdict.watermark
    segments = sum(
        verdict.start <= segment.base < max(verdict.end, verdict.start + 1) for segment in log.segments
    )
    if output is Output.JSON:
        facts = {
            "directory": str(directory),
            "health": verdict.health,
            "start": verdict.start,
            "end": verdict.end,
            "frames": verdict.frames,
            "segments": segments,
            "synced": known.synced,
            "intent": known.intent,
            "committed": known.committed,
            "reason": verdict.reason or None,
        }
        print_json(facts)
        return
    print_text(NOTE)
    files = "1 segment" if segments == 1 else f"{segments} segments"
    print_text(
        f"{verdict.frames} frames from position {verdict.start} to {verdict.end} in {files} verify; "
        f"committed at least up to {known.committed}."
    )


def _check(directory: Path, verdict: Verdict) -> None:
    """Raise an error unless everything verifies that was acknowledged."""
    if verdict.health is Health.CLEAN:
        return
    intent = verdict.watermark.intent
    what = (
        f"bytes up to {intent} may have been acknowledged and do not verify"
        if verdict.health is Health.DOUBTFUL
        else f"bytes that were acknowledged, up to {intent}, do not verify"
    )
    raise FailedError(
        f"The log in {directory} is {verdict.health} at {verdict.end}: {what}. Found there: {verdict.reason}. "
        "Once it is started, the node gets them from the others."
    )
