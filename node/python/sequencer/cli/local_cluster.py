"""What `sequencer dev` leaves in its directory, and how other commands find the cluster there.

```text
D/cluster.json   which nodes there are, and where
D/node-1.toml    configuration of node 1
D/node-1.log     what its process logged
D/node-1/        its data
```
"""

import os
from pathlib import Path

import msgspec

from sequencer.cli.exits import FailedError

CLUSTER_FILE = "cluster.json"
DEFAULT_DIRECTORY = Path(".sequencer")


class LocalNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a local cluster."""

    id: int
    address: str
    admin: str


class LocalCluster(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `cluster.json`."""

    cluster: str
    insecure: bool
    nodes: tuple[LocalNode, ...]


def config_path(directory: Path, node: int) -> Path:
    """Where the configuration of a node is."""
    return directory / f"node-{node}.toml"


def log_path(directory: Path, node: int) -> Path:
    """Where the output of its process goes."""
    return directory / f"node-{node}.log"


def data_path(directory: Path, node: int) -> Path:
    """Where its data is."""
    return directory / f"node-{node}"


def write_cluster(directory: Path, cluster: LocalCluster) -> None:
    """Write `cluster.json` as a whole or not at all."""
    temporary = directory / f"{CLUSTER_FILE}-new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(cluster), indent=2) + b"\n")
    os.replace(temporary, directory / CLUSTER_FILE)  # noqa: PTH105  # the name says that it replaces


def read_cluster(directory: Path) -> LocalCluster:
    """Read `cluster.json`.

    Raises:
        FailedError: There is none, or it is not one.
    """
    path = directory / CLUSTER_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=LocalCluster)
    except FileNotFoundError as error:
        raise FailedError(
            f"{path} does not exist: start a cluster with `sequencer dev --dir {directory}`, or say which cluster "
            "is meant with --dir or --node."
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise FailedError(f"{path} cannot be read: {error}.") from error
