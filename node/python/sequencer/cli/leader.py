"""`sequencer leader`: who leads."""

import time
from typing import Annotated

import typer

from sequencer.cli.admin_client import AdminClient
from sequencer.cli.exits import EPILOG, FailedError
from sequencer.cli.local_cluster import DEFAULT_DIRECTORY
from sequencer.cli.output import Output, OutputOption, print_json, print_text
from sequencer.cli.target import (
    DirOption,
    LeaseOption,
    NodeOption,
    TokenOption,
    ask_all,
    change,
    find_leader,
    find_nodes,
    leader_of,
)

TRANSFER_WAIT_S = 10.0
LOOK_EVERY_S = 0.02

app = typer.Typer(help="Say who is to lead.", no_args_is_help=True)


@app.command(epilog=EPILOG)
def transfer(
    to: Annotated[
        int | None, typer.Option("--to", help="Voter that is to lead; if left out, the one furthest ahead.")
    ] = None,
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    take_lease: LeaseOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Hand leadership over, and wait until the new leader takes messages."""
    clients = find_nodes(directory, node, token_file)
    before = find_leader(clients).status
    assert before is not None  # noqa: S101  # a leader is one that answered
    if to == before.node:
        raise FailedError(f"Node {to} leads already.")
    change(clients, "POST", "/v1/leader/transfer", {"to": to}, take_lease=take_lease, output=output)
    leader, term = wait_for_leader(clients, after_term=before.term)
    if output is Output.JSON:
        print_json({"ok": True, "leader": leader, "term": term, "previous": before.node})
    else:
        print_text(f"Node {leader} leads in term {term}; before it was node {before.node}.")
    if leader == before.node or (to is not None and leader != to):
        raise FailedError(f"Leadership went to node {leader} instead; see the nodes' logs, and try again.")


def wait_for_leader(clients: list[AdminClient], *, after_term: int) -> tuple[int, int]:
    """Wait for a leader of a later term and return its id and term.

    Raises:
        FailedError: There is none within ten seconds.
    """
    deadline = time.monotonic() + TRANSFER_WAIT_S
    while time.monotonic() < deadline:
        found = leader_of(ask_all(clients))
        if found is not None and found.status is not None and found.status.term > after_term:
            return found.status.node, found.status.term
        time.sleep(LOOK_EVERY_S)
    raise FailedError(f"Nobody took over within {TRANSFER_WAIT_S:.0f} s; the old leader goes on. Try again.")
