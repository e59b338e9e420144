"""`sequencer status`: how the nodes of a cluster stand."""

import msgspec

from sequencer.cli.local_cluster import DEFAULT_DIRECTORY
from sequencer.cli.output import Output, OutputOption, make_table, print_json, print_table, print_text
from sequencer.cli.target import (
    Asked,
    DirOption,
    NodeOption,
    TokenOption,
    ask_all,
    find_nodes,
    leader_of,
)
from sequencer.errors import UnavailableError
from sequencer.node.status import NodeStatus

COLUMNS = (
    "node",
    "role",
    "term",
    "leader",
    "commit",
    "durable",
    "end",
    "lag",
    "caught up",
    "durability",
    "address",
)
NUMBERS = ("term", "commit", "durable", "end", "lag")


def status(
    directory: DirOption = DEFAULT_DIRECTORY,
    node: NodeOption = None,
    token_file: TokenOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show how each node stands: its part, how far its log reaches, and whether it has caught up."""
    asked = ask_all(find_nodes(directory, node, token_file))
    if output is Output.JSON:
        print_json(to_json(asked))
    else:
        for line in headlines(asked):
            print_text(line)
        print_table(make_table(COLUMNS, rows(asked), right=NUMBERS))
    if all(one.status is None for one in asked):
        raise UnavailableError("No node answers.", retry_after_s=1.0)


def to_json(asked: list[Asked]) -> dict[str, object]:
    """Arrange what was heard for programs."""
    leader = leader_of(asked)
    statuses = [one.status for one in asked if one.status is not None]
    return {
        "cluster": str(statuses[0].cluster) if statuses else None,
        "leader": leader.status.node if leader and leader.status else None,
        "nodes": [
            {
                "admin": one.client.url,
                "status": None if one.status is None else msgspec.to_builtins(one.status),
                "error": one.error,
            }
            for one in asked
        ],
    }


def headlines(asked: list[Asked]) -> list[str]:
    """Say in a few sentences what matters most."""
    leader = leader_of(asked)
    statuses = [one.status for one in asked if one.status is not None]
    lines = []
    if leader is not None and leader.status is not None:
        found = leader.status
        lines.append(f"Node {found.node} leads cluster {found.cluster} in term {found.term}.")
    elif statuses:
        lines.append(f"Nobody leads cluster {statuses[0].cluster}.")
    if any(found.insecure for found in statuses):
        lines.append("The cluster is insecure: no credentials are asked for.")
    lines += [
        f"Node {found.node}: its disk has reached the reserve." for found in statuses if found.disk.is_low
    ]
    lines += [
        f"Node {found.node} may have lost bytes that it acknowledged (term {found.claim.term}, position "
        f"{found.claim.position}); it waits until the others have settled that."
        for found in statuses
        if found.claim is not None
    ]
    return lines


def rows(asked: list[Asked]) -> list[tuple[object, ...]]:
    """Lay out one row for each node."""
    commit = max((one.status.positions.commit for one in asked if one.status is not None), default=0)
    return [
        _row(one.status, commit)
        if one.status is not None
        else ("?", "no answer", *[""] * (len(COLUMNS) - 3), one.client.url)
        for one in asked
    ]


def _row(found: NodeStatus, commit: int) -> tuple[object, ...]:
    own = next((member.address for member in found.members if member.id == found.node), None)
    positions = found.positions
    return (
        found.node,
        found.role if found.is_voter else f"{found.role} (learner)",
        found.term,
        found.leader or "none",
        positions.commit,
        positions.durable,
        positions.end,
        max(0, commit - positions.durable),
        "yes" if found.is_caught_up else "no",
        found.durability,
        own or "",
    )
