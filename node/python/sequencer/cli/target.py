"""Which cluster a command is about, by the options that every such command has, and who leads there."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from sequencer.cli.admin_client import AdminClient, read_token
from sequencer.cli.exits import FailedError, RefusedError
from sequencer.cli.local_cluster import read_cluster
from sequencer.cli.output import Output, print_json
from sequencer.errors import UnavailableError
from sequencer.node.status import NodeStatus

LEADER_WAIT_S = 5.0
STATUS_TIMEOUT_S = 2.0
LOOK_EVERY_S = 0.1

DirOption = Annotated[
    Path,
    typer.Option(
        "--dir", help="Directory of a cluster that `sequencer dev` started.", envvar="SEQUENCER_DIR"
    ),
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--node", help="Admin endpoint of a node, as host:port or URL; may be repeated. Instead of --dir."
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File with the admin token.", envvar="SEQUENCER_ADMIN_TOKEN_FILE"),
]
LeaseOption = Annotated[
    bool,
    typer.Option(
        "--take-lease",
        help="Take the lease `operator` first, so that whoever held it can change nothing more.",
    ),
]


@dataclass(frozen=True)
class Asked:
    """What one node said when it was asked how it stands."""

    client: AdminClient
    status: NodeStatus | None
    error: str | None


def find_nodes(directory: Path, nodes: list[str] | None, token_file: Path | None) -> list[AdminClient]:
    """List the admin endpoints that the options name.

    Raises:
        FailedError: There is no cluster in the directory.
    """
    token = read_token(token_file)
    places = nodes or [node.admin for node in read_cluster(directory).nodes if node.admin]
    return [AdminClient(place, token=token) for place in places]


def ask_all(clients: list[AdminClient]) -> list[Asked]:
    """Ask each node how it stands; one that does not answer is no error."""
    asked = []
    for client in clients:
        try:
            asked.append(Asked(client, client.status(timeout_s=STATUS_TIMEOUT_S), None))
        except (UnavailableError, FailedError) as error:
            asked.append(Asked(client, None, str(error)))
    return asked


def leader_of(asked: list[Asked]) -> Asked | None:
    """Choose the node that leads and admits; of two that say so, the one with the newer term."""
    leading = [
        one
        for one in asked
        if one.status is not None and one.status.role == "leader" and one.status.is_caught_up
    ]
    return max(leading, key=lambda one: one.status.term if one.status else 0, default=None)


def find_leader(clients: list[AdminClient], *, wait_s: float = LEADER_WAIT_S) -> Asked:
    """Find the leader, waiting for an election that is under way.

    Raises:
        UnavailableError: Nobody led within `wait_s` seconds.
        FailedError: A node leads that is not among them.
    """
    deadline = time.monotonic() + wait_s
    while True:
        asked = ask_all(clients)
        leader = leader_of(asked)
        if leader is not None:
            return leader
        elsewhere = _leader_elsewhere(asked)
        if elsewhere is not None:
            raise FailedError(f"Node {elsewhere} leads; name its admin endpoint with --node, or all of them.")
        if time.monotonic() >= deadline:
            raise _nobody_leads(asked)
        time.sleep(LOOK_EVERY_S)


def change(
    clients: list[AdminClient],
    method: str,
    path: str,
    body: dict[str, Any],
    *,
    take_lease: bool,
    output: Output,
) -> dict[str, Any]:
    """Have the leader change something.

    Raises:
        RefusedError: The cluster refused; for programs the refusal is printed.
        UnavailableError: Nobody leads, or the answer did not come in time; then it may yet be carried out.
    """
    leader = find_leader(clients).client
    try:
        lease = _take_lease(leader) if take_lease else None
        if method != "DELETE":
            return leader.send(method, path, {**body, "lease": lease})
        query = "" if lease is None else "?" + urlencode(lease)
        return leader.send(method, path + query, None)
    except RefusedError as error:
        if output is Output.JSON:
            print_json(error.body)
        raise


def _take_lease(leader: AdminClient) -> dict[str, int]:
    taken = leader.send("POST", "/v1/lease", {})
    return {"session": taken["session"], "epoch": taken["epoch"], "operation": taken["next_operation"]}


def _nobody_leads(asked: list[Asked]) -> UnavailableError:
    errors = [one.error for one in asked if one.error is not None]
    if len(errors) == len(asked):
        return UnavailableError(f"No node answers: {' '.join(errors)}", retry_after_s=1.0)
    text = f"{len(asked) - len(errors)} of {len(asked)} nodes answer and none leads; a majority is needed."
    return UnavailableError(text, retry_after_s=1.0)


def _leader_elsewhere(asked: list[Asked]) -> int | None:
    """The id of a leader that the nodes follow and that was not among those asked."""
    followed = {one.status.leader for one in asked if one.status is not None} - {None}
    present = {one.status.node for one in asked if one.status is not None}
    elsewhere = followed - present
    return elsewhere.pop() if len(followed) == 1 and elsewhere and all(one.status for one in asked) else None
