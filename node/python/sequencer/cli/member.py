"""`sequencer member`: who belongs to the cluster."""

from typing import Annotated
from uuid import UUID, uuid4

import typer

from sequencer.cli.exits import EPILOG
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
from sequencer.node.config import NODE_ID_MAX

app = typer.Typer(help="Change who belongs to the cluster, one member at a time.", no_args_is_help=True)

IdArgument = Annotated[
    int, typer.Argument(help="Id of the member.", min=1, max=NODE_ID_MAX, show_default=False)
]


@app.command(epilog=EPILOG)
def add(
    member: IdArgument,
    data: Annotated[
        UUID | None,
        typer.Option(
            "--data", help="Identity of its data, as in its configuration; a fresh one if left out."
        ),
    ] = None,
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    take_lease: LeaseOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Add a learner under an id that was never used: it receives the log, and counts for nothing yet."""
    identity = data or uuid4()
    body = {"id": member, "data": str(identity)}
    clients = find_nodes(directory, node, token_file)
    answer = change(clients, "POST", "/v1/members", body, take_lease=take_lease, output=output)
    if output is Output.JSON:
        print_json({**answer, "id": member, "data": str(identity)})
        return
    print_text(
        f'Node {member} is a learner. Start it with `node = {member}` and `data = "{identity}"`; when it has caught '
        f"up, `sequencer member promote {member}` makes it a voter."
    )


@app.command(epilog=EPILOG)
def promote(
    member: IdArgument,
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    take_lease: LeaseOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a learner that has caught up a voter."""
    clients = find_nodes(directory, node, token_file)
    answer = change(
        clients, "POST", f"/v1/members/{member}/promote", {}, take_lease=take_lease, output=output
    )
    if output is Output.JSON:
        print_json({**answer, "id": member})
    else:
        print_text(f"Node {member} is a voter.")


@app.command(epilog=EPILOG)
def remove(
    member: IdArgument,
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    take_lease: LeaseOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Remove a voter or learner for good: its id is never used again. The leader hands over first."""
    clients = find_nodes(directory, node, token_file)
    answer = change(clients, "DELETE", f"/v1/members/{member}", {}, take_lease=take_lease, output=output)
    if output is Output.JSON:
        print_json({**answer, "id": member})
    else:
        print_text(f"Node {member} is removed; stop its process.")
