"""`sequencer stat`: the counters of nodes that run, or ran, on this machine."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sequencer.cli.exits import FailedError
from sequencer.cli.local_cluster import CLUSTER_FILE, DEFAULT_DIRECTORY, data_path, read_cluster
from sequencer.cli.output import Output, OutputOption, make_table, print_json, print_table, print_text
from sequencer.counters import COUNTERS_FILE, Counters, is_counting, read_counters


@dataclass(frozen=True)
class Reading:
    """What was read of one node."""

    name: str
    directory: Path
    at_s: float
    counters: Counters


def stat(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Data directory of a node, or a directory of `sequencer dev`.", envvar="SEQUENCER_DIR"
        ),
    ] = DEFAULT_DIRECTORY,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C, and show rates.")] = False,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between two looks.", min=0.05)] = 1.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what nodes have counted, read from the memory that they share; dead nodes can be read too."""
    places = list(find_places(directory))
    if not watch:
        show(places, output)
        return
    # Ctrl-C is how a watch ends, and no failure.
    with contextlib.suppress(KeyboardInterrupt):
        if output is Output.JSON:
            watch_json(places, every_s)
        else:
            watch_table(places, every_s)


def show(places: list[Path], output: Output) -> None:
    """Print the counters once."""
    readings = [read(place) for place in places]
    if output is Output.JSON:
        print_json(to_json(readings))
        return
    for line in headlines(readings):
        print_text(line)
    print_table(to_table(readings, None))


def watch_json(places: list[Path], every_s: float) -> None:
    """Print a line of JSON at each look."""
    while True:
        print_json(to_json([read(place) for place in places]))
        time.sleep(every_s)


def watch_table(places: list[Path], every_s: float) -> None:
    """Show one table that changes in place, with rates from the second look on."""
    before = None
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            readings = [read(place) for place in places]
            shown = [Text(line) for line in headlines(readings)]
            live.update(Group(*shown, to_table(readings, before)), refresh=True)
            before = readings
            time.sleep(every_s)


def find_places(directory: Path) -> Iterator[Path]:
    """List the data directories that are meant: the directory itself, or those of a local cluster.

    Raises:
        FailedError: It is neither.
    """
    if (directory / COUNTERS_FILE).exists():
        yield directory
        return
    if not (directory / CLUSTER_FILE).exists():
        raise FailedError(
            f"{directory} holds no counters and no cluster; name the data directory of a node that has run, or a "
            "directory of `sequencer dev`."
        )
    found = [data_path(directory, node.id) for node in read_cluster(directory).nodes]
    run = [place for place in found if (place / COUNTERS_FILE).exists()]
    if not run:
        raise FailedError(f"No node in {directory} has run yet.")
    yield from run


def read(directory: Path) -> Reading:
    """Read one node's counters.

    Raises:
        CountersError: They cannot be read.
    """
    return Reading(
        name=directory.absolute().name,
        directory=directory,
        at_s=time.monotonic(),
        counters=read_counters(directory),
    )


def to_json(readings: list[Reading]) -> list[dict[str, object]]:
    """Arrange readings for programs."""
    return [
        {
            "directory": str(reading.directory),
            "pid": reading.counters.pid,
            "is_running": is_counting(reading.counters),
            "start": _time(reading.counters),
            "counters": reading.counters.values,
        }
        for reading in readings
    ]


def headlines(readings: list[Reading]) -> list[str]:
    """Say of each node whether it runs."""
    return [
        f"{reading.name}: process {reading.counters.pid} {'runs' if is_counting(reading.counters) else 'has ended'}, "
        f"started {_time(reading.counters)}"
        for reading in readings
    ]


def to_table(readings: list[Reading], before: list[Reading] | None) -> Table:
    """Lay out a row for each counter; with readings from before, the change for each second beside it."""
    columns = ["counter"]
    for reading in readings:
        columns += [reading.name] if before is None else [reading.name, f"{reading.name} /s"]
    names = list(dict.fromkeys(name for reading in readings for name in reading.counters.values))
    rows = []
    for name in names:
        row: list[object] = [name]
        for index, reading in enumerate(readings):
            value = reading.counters.values.get(name)
            row.append("" if value is None else value)
            if before is not None:
                row.append(_rate(name, before[index], reading))
        rows.append(row)
    return make_table(columns, rows, right=columns[1:])


def _rate(name: str, before: Reading, after: Reading) -> str:
    old, new = before.counters.values.get(name), after.counters.values.get(name)
    is_same_life = before.counters.start_ns == after.counters.start_ns
    if old is None or new is None or old == new or not is_same_life:
        return ""
    return f"{(new - old) / (after.at_s - before.at_s):+.0f}"


def _time(counters: Counters) -> str:
    return datetime.fromtimestamp(counters.start_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds")
