"""What commands print: JSON for programs, tables and sentences for people."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table


class Output(StrEnum):
    """For whom a command prints."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """For programs: one value, or one line for each event."""


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="`text` for people, `json` for programs.", show_default=True)
]


def print_json(value: object) -> None:
    """Print one line of JSON."""
    typer.echo(msgspec.json.encode(value))


def print_text(text: str) -> None:
    """Print a line for people, as it is."""
    typer.echo(text)


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> Table:
    """Lay out rows in columns; those named in `right` hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table


def print_table(table: Table) -> None:
    """Print a table; where no terminal limits its width, lines are not broken."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    console.print(table)
