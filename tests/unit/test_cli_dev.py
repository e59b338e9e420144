"""How `sequencer dev` lays out a cluster, and how `sequencer stat` finds what its nodes counted.

In go wishes and files made by hand; no node runs.
"""

import json
import socket
from pathlib import Path
from uuid import UUID

import pytest
from fake_node import CLUSTER, DATA, encode_counters
from sequencer.cli.app import run
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import LocalCluster, LocalNode, config_path, data_path, write_cluster
from sequencer.cli.local_setup import Wishes, free_ports, plan, prepare
from sequencer.cli.processes import describe_end
from sequencer.errors import ConfigError
from sequencer.node.config import Durability, Idle
from sequencer.node.config_file import config_to_toml, parse_config

PORTS = [7400, 7401, 7402, 7403, 7404, 7405]
IDENTITIES = [UUID(data) for data in DATA]


def lay_out(directory: Path, wishes: Wishes) -> None:
    """Write what `sequencer dev` would, without formatting a log."""
    configs = plan(wishes, cluster=UUID(CLUSTER), data=IDENTITIES, ports=PORTS)
    for config in configs:
        config_path(directory, config.node).write_text(config_to_toml(config), encoding="utf-8")
    nodes = tuple(LocalNode(id=config.node, address=config.listen, admin=config.admin) for config in configs)
    write_cluster(directory, LocalCluster(cluster=CLUSTER, insecure=True, nodes=nodes))


def test_the_plan_is_one_cluster() -> None:
    configs = plan(Wishes(durability=Durability.MEMORY), cluster=UUID(CLUSTER), data=IDENTITIES, ports=PORTS)
    assert [config.node for config in configs] == [1, 2, 3]
    assert [config.listen for config in configs] == ["127.0.0.1:7400", "127.0.0.1:7402", "127.0.0.1:7404"]
    assert [config.admin for config in configs] == ["127.0.0.1:7401", "127.0.0.1:7403", "127.0.0.1:7405"]
    for config in configs:
        assert parse_config(config_to_toml(config)) == config
        assert config.founders == configs[0].founders
        assert config.durability is Durability.MEMORY
        assert config.idle is Idle.WAIT


def test_a_cluster_that_is_there_goes_on(tmp_path: Path) -> None:
    lay_out(tmp_path, Wishes())
    cluster = prepare(tmp_path, Wishes(nodes=3, durability=Durability.FSYNC))
    assert cluster.cluster == CLUSTER
    assert [node.admin for node in cluster.nodes] == ["127.0.0.1:7401", "127.0.0.1:7403", "127.0.0.1:7405"]


@pytest.mark.parametrize(
    ("wishes", "option"),
    [
        (Wishes(nodes=5), "--nodes"),
        (Wishes(durability=Durability.MEMORY), "--durability"),
        (Wishes(base_port=9000), "--base-port"),
    ],
)
def test_what_it_cannot_change_is_refused(wishes: Wishes, option: str, tmp_path: Path) -> None:
    lay_out(tmp_path, Wishes())
    with pytest.raises(ConfigError) as caught:
        prepare(tmp_path, wishes)
    assert caught.value.path == option
    assert "another --dir" in str(caught.value)


def test_the_idle_strategy_may_change(tmp_path: Path) -> None:
    lay_out(tmp_path, Wishes())
    prepare(tmp_path, Wishes(idle=Idle.YIELD))
    for node in (1, 2, 3):
        config = parse_config(config_path(tmp_path, node).read_text(encoding="utf-8"))
        assert config.idle is Idle.YIELD


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(6)
    assert len(set(ports)) == 6
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_ends_are_described() -> None:
    assert describe_end(-9) == "SIGKILL"
    assert describe_end(1) == "status 1"


def test_stat_shows_all_nodes_of_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path, Wishes())
    for node in (1, 2):
        data_path(tmp_path, node).mkdir()
        (data_path(tmp_path, node) / "counters").write_bytes(
            encode_counters({"turns": 7 * node}, pid=2**22 + 1)
        )
    assert run(["stat", str(tmp_path), "-o", "json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [one["counters"] for one in found] == [{"turns": 7}, {"turns": 14}]
    assert [one["is_running"] for one in found] == [False, False]
    assert run(["stat", str(tmp_path)]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"node-1: process {2**22 + 1} has ended")
    assert lines[-1].split() == ["turns", "7", "14"]


def test_stat_shows_one_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "counters").write_bytes(encode_counters({"turns": 7}))
    assert run(["stat", str(tmp_path), "-o", "json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)[0]["counters"] == {"turns": 7}


@pytest.mark.parametrize("has_cluster", [False, True])
def test_stat_says_what_it_needs(
    has_cluster: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if has_cluster:
        lay_out(tmp_path, Wishes())
    assert run(["stat", str(tmp_path)]) == ExitCode.FAILED
    assert str(tmp_path) in capsys.readouterr().err
