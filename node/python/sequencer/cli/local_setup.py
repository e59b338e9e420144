"""Lays out a local cluster: fresh identities, free ports, one configuration and one formatted log for each node."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from sequencer.cli.exits import FailedError
from sequencer.cli.local_cluster import (
    CLUSTER_FILE,
    LocalCluster,
    LocalNode,
    config_path,
    read_cluster,
    write_cluster,
)
from sequencer.errors import ConfigError
from sequencer.node.config import MIB, Durability, Founder, Idle, Limits, NodeConfig, PeerAddress
from sequencer.node.config_file import config_to_toml, parse_config, read_config
from sequencer.node.native import init_node

HOST = "127.0.0.1"
RESERVE_BYTES = 256 * MIB
"""A developer's disk is fuller than a server's."""

_HEAD = "# Written by `sequencer dev`; docs/reference/node-config.md says what each field means.\n"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; None where it says nothing."""

    nodes: int | None = None
    durability: Durability | None = None
    idle: Idle | None = None
    base_port: int | None = None
    limits: Limits | None = None
    """Only for a cluster that is made anew."""


def prepare(directory: Path, wishes: Wishes) -> LocalCluster:
    """Make a cluster in the directory, or take up the one that is there.

    Raises:
        ConfigError: There is one, and it differs from what is wished; the path is the option.
        StorageError: The directory cannot be used.
    """
    if not (directory / CLUSTER_FILE).exists():
        return _make(directory, wishes)
    cluster = read_cluster(directory)
    _check_wishes(directory, cluster, wishes)
    return cluster


def plan(wishes: Wishes, *, cluster: UUID, data: list[UUID], ports: list[int]) -> list[NodeConfig]:
    """Lay out the configurations; two ports for each node, the second for its admin endpoint."""
    ids = range(1, len(data) + 1)
    founders = tuple(Founder(id=number, data=identity) for number, identity in zip(ids, data, strict=True))
    addresses = [f"{HOST}:{port}" for port in ports]
    peers = tuple(PeerAddress(id=number, address=addresses[2 * number - 2]) for number in ids)
    return [
        NodeConfig(
            cluster=cluster,
            node=number,
            data=data[number - 1],
            directory=f"node-{number}",
            listen=addresses[2 * number - 2],
            admin=addresses[2 * number - 1],
            durability=wishes.durability or Durability.FSYNC,
            idle=wishes.idle or Idle.WAIT,
            insecure=True,
            founders=founders,
            peers=peers,
            limits=wishes.limits or Limits(reserve_bytes=RESERVE_BYTES),
        )
        for number in ids
    ]


def _make(directory: Path, wishes: Wishes) -> LocalCluster:
    count = wishes.nodes or 3
    directory.mkdir(parents=True, exist_ok=True)
    # The cluster is nobody's source code.
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    if wishes.base_port is None:
        ports = free_ports(2 * count)
    else:
        ports = [wishes.base_port + offset for offset in range(2 * count)]
    configs = plan(wishes, cluster=uuid4(), data=[uuid4() for _ in range(count)], ports=ports)
    for config in configs:
        path = config_path(directory, config.node)
        path.write_text(_HEAD + config_to_toml(config), encoding="utf-8")
        init_node(read_config(path))
    cluster = LocalCluster(
        cluster=str(configs[0].cluster),
        insecure=True,
        nodes=tuple(LocalNode(id=c.node, address=c.listen, admin=c.admin) for c in configs),
    )
    # Written last: a directory without it is laid out anew.
    write_cluster(directory, cluster)
    return cluster


def _check_wishes(directory: Path, cluster: LocalCluster, wishes: Wishes) -> None:
    hint = "leave the option out, or take another --dir"
    if wishes.nodes not in {None, len(cluster.nodes)}:
        raise ConfigError(
            f"{directory} holds a cluster of {len(cluster.nodes)} nodes; {hint}.", path="--nodes"
        )
    if wishes.base_port is not None:
        raise ConfigError(f"The cluster in {directory} has its ports already; {hint}.", path="--base-port")
    for node in cluster.nodes:
        path = config_path(directory, node.id)
        config = parse_config(path.read_text(encoding="utf-8"))
        if wishes.durability not in {None, config.durability}:
            text = f"The cluster in {directory} has the durability `{config.durability}`; {hint}."
            raise ConfigError(text, path="--durability")
        if wishes.idle is not None and wishes.idle is not config.idle:
            changed = msgspec.structs.replace(config, idle=wishes.idle)
            path.write_text(_HEAD + config_to_toml(changed), encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on at the moment; all different.

    Raises:
        FailedError: There are too few.
    """
    with contextlib.ExitStack() as stack:
        try:
            return [stack.enter_context(_bound()) for _ in range(count)]
        except OSError as error:
            raise FailedError(f"{count} free ports on {HOST} cannot be found: {error.strerror}.") from error


@contextlib.contextmanager
def _bound() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]
