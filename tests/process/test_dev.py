"""`sequencer dev` and `sequencer node` with real processes: start, stop, loss of a leader, changes of members.

In go command lines and signals. Everything is real: processes, sockets on the loopback interface, files. Waiting is for
conditions, with a limit.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dev_cluster import WAIT_S, DevCluster, is_running, running, sequencer, wait_for
from sequencer.cli.admin_client import AdminClient
from sequencer.cli.exits import ExitCode, RefusedError
from sequencer.cli.local_cluster import config_path, data_path
from sequencer.cli.local_setup import free_ports
from sequencer.errors import UnavailableError
from sequencer.node.config_file import config_to_toml, parse_config


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """Run one cluster for the tests that leave it as they found it."""
    with running(tmp_path_factory.mktemp("shared"), "--durability", "memory") as cluster:
        cluster.event("leader")
        yield cluster


def test_status_and_counters_agree_with_each_other(shared: DevCluster) -> None:
    statuses = shared.wait_until_all_agree()
    found = shared.ask("status")
    assert found["leader"] == statuses[1].leader
    assert {node["status"]["durability"] for node in found["nodes"]} == {"memory"}

    def look() -> list[dict[str, Any]] | None:
        result = sequencer("stat", shared.directory, "-o", "json")
        assert result.returncode == 0, result.stderr
        read: list[dict[str, Any]] = msgspec.json.decode(result.stdout)
        leads = [one["counters"]["is_leader"] for one in read]
        return read if leads == [int(node == found["leader"]) for node in (1, 2, 3)] else None

    assert all(one["is_running"] for one in wait_for(look, "counters that name the leader"))


def test_probes_and_metrics(shared: DevCluster) -> None:
    shared.wait_until_all_agree()
    for node in shared.pids:
        assert shared.admin(node).is_ready()
        connection = http.client.HTTPConnection(
            shared.admin(node).url.removeprefix("http://"), timeout=WAIT_S
        )
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        assert "sequencer_up 1.0" in text.splitlines()
        assert any(line.startswith("sequencer_received_bytes_total ") for line in text.splitlines())


def test_leadership_is_handed_over(shared: DevCluster) -> None:
    before = shared.wait_until_all_agree()[1].leader
    target = next(node for node in shared.pids if node != before)
    answer = shared.ask("leader", "transfer", "--to", str(target))
    assert (answer["leader"], answer["previous"]) == (target, before)
    shared.wait_until_all_agree()


def test_a_stale_lease_is_refused_and_an_operation_is_done_once(shared: DevCluster) -> None:
    leader = shared.wait_until_all_agree()[1].leader
    assert leader is not None
    admin = shared.admin(leader)
    data = "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d44"
    first = admin.send("POST", "/v1/lease", {})
    lease = {"session": first["session"], "epoch": first["epoch"], "operation": first["next_operation"]}
    added = admin.send("POST", "/v1/members", {"id": 44, "data": data, "lease": lease})
    assert added["outcome"] == "admitted"
    # The answer was lost, say: the same operation is sent again, and is not refused because the id was used.
    repeated = admin.send("POST", "/v1/members", {"id": 44, "data": data, "lease": lease})
    assert repeated["ok"] is True
    second = admin.send("POST", "/v1/lease", {})
    assert second["epoch"] == first["epoch"] + 1
    assert second["next_operation"] == first["next_operation"] + 1
    with pytest.raises(RefusedError) as caught:
        admin.send("DELETE", "/v1/members/44?" + "&".join(f"{name}={lease[name]}" for name in lease), None)
    assert caught.value.body["kind"] == "stale_epoch"
    assert caught.value.body["facts"]["current"] == second["epoch"]
    assert shared.run("member", "remove", "44", "--take-lease").returncode == 0


def test_refusals_reach_the_command_line(shared: DevCluster) -> None:
    shared.wait_until_all_agree()
    result = shared.run("member", "remove", "77")
    assert result.returncode == ExitCode.REFUSED
    assert "not_a_member" in result.stderr


def test_a_second_dev_in_the_same_directory_is_refused(shared: DevCluster) -> None:
    result = shared.run("dev")
    assert result.returncode == ExitCode.FAILED
    assert "Another `sequencer dev`" in result.stderr


def test_a_cluster_stops_on_ctrl_c_and_goes_on_where_it_was(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        cluster.event("leader")
        cluster.ask("member", "add", "9")
        before = cluster.wait_until_all_agree()[1]
        pids = list(cluster.pids.values())
        assert cluster.stop() == 0
        assert cluster.event("stopped")["killed"] == []
        assert not any(is_running(pid) for pid in pids)
    with running(tmp_path) as cluster:
        cluster.event("leader")
        after = cluster.wait_until_all_agree()[1]
        assert after.cluster == before.cluster
        assert after.positions.commit > before.positions.commit
        assert [member.id for member in after.members] == [1, 2, 3, 9]


def test_the_others_go_on_when_the_leader_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        first = cluster.event("leader")
        cluster.wait_until_all_agree()
        os.kill(cluster.pids[first["node"]], signal.SIGKILL)
        ended, second = cluster.events("ended", "leader")
        assert (ended["node"], ended["how"], ended["is_restarted"]) == (first["node"], "SIGKILL", True)
        assert second["node"] != first["node"]
        assert second["term"] > first["term"]
        if cluster.pids[first["node"]] == ended["pid"]:
            cluster.event("restarted")
        assert cluster.wait_until_all_agree()[first["node"]].role == "follower"


def test_a_node_that_is_terminated_hands_over_and_exits_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, "--no-restart") as cluster:
        first = cluster.event("leader")
        cluster.wait_until_all_agree()
        os.kill(cluster.pids[first["node"]], signal.SIGTERM)
        ended, second = cluster.events("ended", "leader")
        assert ended["how"] == "status 0"
        assert second["node"] != first["node"]


def test_nodes_do_not_outlive_dev(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        cluster.event("leader")
        pids = list(cluster.pids.values())
        cluster.stop(signal.SIGKILL)
        wait_for(lambda: None if any(is_running(pid) for pid in pids) else True, "the end of all nodes")


def test_a_directory_without_a_log_is_not_formatted_by_itself(tmp_path: Path) -> None:
    cluster_config = lone_config(tmp_path)
    result = sequencer("node", "--config", cluster_config)
    assert result.returncode == ExitCode.FAILED
    assert "--init" in result.stderr
    assert "under a new id" in result.stderr


def test_a_log_of_another_identity_is_not_touched(tmp_path: Path) -> None:
    path = lone_config(tmp_path)
    with lone_node(path, "--init"):
        pass
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("1b2d01", "1b2d02"), encoding="utf-8")
    for options in ([], ["--init"]):
        result = sequencer("node", "--config", path, *options)
        assert result.returncode == ExitCode.CONFIGURATION, result.stderr
        assert "data" in result.stderr
    path.write_text(text, encoding="utf-8")
    with lone_node(path, "--init"):
        pass


def test_a_learner_joins_and_becomes_a_voter(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        cluster.event("leader")
        added = cluster.ask("member", "add", "4")
        first = parse_config(config_path(tmp_path, 1).read_text(encoding="utf-8"))
        listen, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
        joined = msgspec.structs.replace(
            first,
            node=4,
            data=added["data"],
            directory=str(data_path(tmp_path, 4)),
            listen=listen,
            admin=admin,
        )
        path = config_path(tmp_path, 4)
        path.write_text(config_to_toml(joined), encoding="utf-8")
        with lone_node(path, "--init"):

            def promote() -> bool | None:
                result = cluster.run("member", "promote", "4")
                return True if result.returncode == 0 else None

            wait_for(promote, "promotion of a learner that has caught up")
            roles = {member.id: str(member.role) for member in cluster.wait_until_all_agree()[1].members}
            assert roles == {1: "voter", 2: "voter", 3: "voter", 4: "voter"}


def lone_config(directory: Path) -> Path:
    """Write the configuration of a cluster of one node."""
    listen, admin = free_ports(2)
    path = directory / "node.toml"
    identity = "a3b1a1de-1c7e-4f0a-9f67-0a4f6c1b2d01"
    path.write_text(
        f'cluster = "5f0c2a4e-6f0e-4c58-8d5e-3f1f2f9f1a01"\nnode = 1\ndata = "{identity}"\n'
        f'directory = "data"\nlisten = "127.0.0.1:{listen}"\nadmin = "127.0.0.1:{admin}"\ninsecure = true\n'
        f'[[founders]]\nid = 1\ndata = "{identity}"\n',
        encoding="utf-8",
    )
    return path


@contextlib.contextmanager
def lone_node(path: Path, *options: str) -> Iterator[None]:
    """Run one node; once it answers the body runs, then it is terminated and must exit with 0."""
    command = [sys.executable, "-m", "sequencer.cli", "node", "--config", str(path), *options]
    admin = AdminClient(parse_config(path.read_text(encoding="utf-8")).admin)
    with (path.parent / "lone.log").open("ab") as log, subprocess.Popen(command, stderr=log) as process:
        try:

            def look() -> bool | None:
                assert process.poll() is None, (path.parent / "lone.log").read_text(encoding="utf-8")
                try:
                    admin.status()
                except UnavailableError:
                    return None
                return True

            wait_for(look, "an answer of the node")
            yield
        finally:
            process.terminate()
            code = process.wait(WAIT_S)
    assert code == 0
