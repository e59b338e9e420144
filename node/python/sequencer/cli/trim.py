"""`sequencer trim`: give up the old part of the log."""

from typing import Annotated

import typer

from sequencer.cli.local_cluster import DEFAULT_DIRECTORY
from sequencer.cli.output import Output, OutputOption, print_json, print_text
from sequencer.cli.target import (
    DirOption,
    LeaseOption,
    NodeOption,
    TokenOption,
    change,
    find_nodes,
)
from sequencer.node.admin_bodies import EXACT_MAX


def trim(
    floor: Annotated[
        int,
        typer.Argument(help="First position that must stay.", min=0, max=EXACT_MAX, show_default=False),
    ],
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    take_lease: LeaseOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Give up the log before a position, on all nodes; refused while something still needs it."""
    answer = change(
        find_nodes(directory, node, token_file),
        "POST",
        "/v1/trim",
        {"floor": floor},
        take_lease=take_lease,
        output=output,
    )
    if output is Output.JSON:
        print_json({**answer, "floor": floor})
    else:
        print_text(f"The log may be trimmed up to position {floor}; each node frees whole files of it.")
