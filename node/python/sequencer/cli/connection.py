"""Which cluster a command publishes to or reads from, by the options that every such command has."""

from pathlib import Path
from typing import Annotated

import typer

from sequencer.cli.exits import FailedError
from sequencer.cli.local_cluster import CLUSTER_FILE, read_cluster
from sequencer.client.blocking import Client

ConnectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--connect",
        metavar="ADDRESS",
        help="Where a node listens, as host:port; may be repeated, or several with commas. Instead of --dir.",
    ),
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="UUID", help="Id of the cluster; goes with --connect.")
]
IdentityOption = Annotated[
    str, typer.Option("--identity", metavar="NAME", help="Name of the credentials; goes with --secret-file.")
]
SecretFileOption = Annotated[
    Path | None,
    typer.Option("--secret-file", help="File with their secret; white space around it does not count."),
]


def make_client(
    directory: Path,
    connect: list[str] | None,
    cluster: str | None,
    identity: str,
    secret_file: Path | None,
) -> Client:
    """Make a client of the cluster that the options name. It is for the caller to enter.

    Raises:
        FailedError: There is no cluster in the directory, or the secret cannot be read.
        ConfigError: An option is not what it has to be.
        typer.BadParameter: The options do not go together.
    """
    if bool(identity) != (secret_file is not None):
        raise typer.BadParameter("--identity and --secret-file go together.")
    secret = None if secret_file is None else read_secret(secret_file)
    addresses = split_addresses(connect or [])
    if bool(addresses) != (cluster is not None):
        raise typer.BadParameter("--connect and --cluster go together.")
    if cluster is not None:
        return Client(addresses, cluster=cluster, identity=identity, secret=secret)
    if not (directory / CLUSTER_FILE).exists():
        raise FailedError(
            f"{directory / CLUSTER_FILE} does not exist: start a cluster with `sequencer dev --dir {directory}`, or "
            "say which cluster is meant with --dir, or with --connect and --cluster."
        )
    found = read_cluster(directory)
    return Client(
        [node.address for node in found.nodes], cluster=found.cluster, identity=identity, secret=secret
    )


def split_addresses(options: list[str]) -> list[str]:
    """List the addresses of all options, each of which may name several with commas."""
    return [part.strip() for option in options for part in option.split(",") if part.strip()]


def read_secret(path: Path) -> bytes:
    """Read a secret as nodes read it.

    Raises:
        FailedError: It cannot be read, or is empty.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise FailedError(f"The secret file {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise FailedError(f"The secret file {path} is empty.")
    return secret
