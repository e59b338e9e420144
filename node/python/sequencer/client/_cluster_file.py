"""How a program finds the cluster that `sequencer dev` runs in a directory."""

from pathlib import Path

import msgspec

from sequencer.errors import ConfigError

_FILE = "cluster.json"


class _Node(msgspec.Struct, frozen=True):
    address: str


class ClusterFile(msgspec.Struct, frozen=True):
    """What `cluster.json` says of a cluster, as far as clients need it."""

    cluster: str
    nodes: tuple[_Node, ...]

    @property
    def addresses(self) -> list[str]:
        """Where the nodes listen."""
        return [node.address for node in self.nodes]


def read_cluster_file(directory: Path) -> ClusterFile:
    """Read `cluster.json` in the directory.

    Raises:
        ConfigError: There is none, or it is not one.
    """
    path = directory / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterFile)
    except FileNotFoundError as error:
        text = f"{path} does not exist: start a cluster there with `sequencer dev --dir {directory}`."
        raise ConfigError(text, path=str(path)) from error
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", path=str(path)) from error
