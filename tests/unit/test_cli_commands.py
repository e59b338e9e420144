"""Commands that ask a cluster: what they send, what they print, and how they end.

In go command lines; the parser, the HTTP client and the admin endpoint are real, on the loopback interface. The native
node behind the endpoint is made by hand.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fake_node import CLUSTER, DATA, FakeNode, status_tree
from sequencer.cli.app import run
from sequencer.cli.exits import ExitCode
from sequencer.cli.local_cluster import LocalCluster, LocalNode, write_cluster
from sequencer.node.admin import make_admin
from sequencer.node.admin_routes import Surface
from sequencer.node.metrics import NodeCollector, make_registry
from sequencer.node.process import bind_admin
from sequencer.node.watch import Watch

TOKEN = 32 * "t"


@contextlib.contextmanager
def served(node: FakeNode, token: str | None = None) -> Iterator[str]:
    """Serve the admin endpoint of a node made by hand, as host:port."""
    surface = Surface(
        node=node,
        watch=Watch(node),
        registry=make_registry(NodeCollector(status=lambda: None, counters=dict)),
    )
    bound = bind_admin("127.0.0.1:0")
    bound.listen()
    host, port = bound.getsockname()
    server = uvicorn.Server(
        uvicorn.Config(make_admin(surface, token=token), log_config=None, lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def node() -> FakeNode:
    """Make a node that leads."""
    return FakeNode()


@pytest.fixture
def admin(node: FakeNode) -> Iterator[str]:
    """Serve its endpoint."""
    with served(node) as place:
        yield place


@pytest.fixture
def nobody() -> str:
    """Name a port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


def test_status_shows_a_row_for_each_node(
    admin: str, nobody: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--node", admin, "--node", nobody]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Node 1 leads cluster {CLUSTER} in term 3."
    assert lines[1] == "The cluster is insecure: no credentials are asked for."
    assert lines[2].split()[:3] == ["node", "role", "term"]
    assert lines[3].split()[:5] == ["1", "leader", "3", "1", "4096"]
    assert lines[4].split() == ["?", "no", "answer", f"http://{nobody}"]


def test_status_for_programs(admin: str, nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--node", admin, "--node", nobody, "-o", "json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["cluster"], found["leader"]) == (CLUSTER, 1)
    assert found["nodes"][0]["status"]["positions"]["commit"] == 4096
    assert found["nodes"][1]["status"] is None
    assert nobody in found["nodes"][1]["error"]


def test_status_of_nobody_is_unavailable(nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--node", nobody]) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err == "No node answers.\n"


def test_the_cluster_is_found_by_its_directory(
    admin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = (LocalNode(id=1, address="127.0.0.1:1", admin=admin),)
    write_cluster(tmp_path, LocalCluster(cluster=CLUSTER, insecure=True, nodes=nodes))
    assert run(["status", "--dir", str(tmp_path), "-o", "json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["leader"] == 1


def test_a_directory_without_a_cluster_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--dir", str(tmp_path)]) == ExitCode.FAILED
    assert "sequencer dev --dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["member", "add", "4", "--data", DATA[0]], {"do": "member_add", "id": 4, "data": DATA[0]}),
        (["member", "promote", "4"], {"do": "member_promote", "id": 4}),
        (["member", "remove", "2"], {"do": "member_remove", "id": 2}),
        (["trim", "64"], {"do": "trim", "floor": 64}),
    ],
)
def test_changes_are_sent_to_the_leader(
    arguments: list[str],
    command: dict[str, object],
    admin: str,
    node: FakeNode,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*arguments, "--node", admin]) == ExitCode.OK
    assert node.commands == [{**command, "lease": None}]
    assert capsys.readouterr().out.endswith(".\n")
    assert run([*arguments, "--node", admin, "-o", "json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["outcome"]) == (True, "admitted")


def test_a_lease_is_taken_before_the_change(admin: str, node: FakeNode) -> None:
    node.answer = {
        "outcome": "opened",
        "session": 7,
        "epoch": 2,
        "last_sequence": 11,
        "is_resumed": True,
        "position": 8,
    }
    lease = {"session": 7, "epoch": 2, "operation": 12}
    for arguments in (["trim", "64"], ["member", "remove", "2"]):
        assert run([*arguments, "--take-lease", "--node", admin]) == ExitCode.OK
        taking, changing = node.commands
        assert taking["do"] == "lease_take"
        assert changing["lease"] == lease
        node.commands.clear()


def test_a_refusal_has_its_own_exit_code(
    admin: str, node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    node.answer = {
        "refusal": "trim_held",
        "message": "a pin needs it",
        "is_retryable": True,
        "facts": {"limit": 8},
    }
    assert run(["trim", "64", "--node", admin]) == ExitCode.REFUSED
    assert capsys.readouterr() == ("", "a pin needs it (trim_held)\n")
    assert run(["trim", "64", "--node", admin, "-o", "json"]) == ExitCode.REFUSED
    assert json.loads(capsys.readouterr().out)["facts"] == {"limit": 8}


def test_a_follower_says_who_leads(admin: str, node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.tree = status_tree(role="follower", node=2, leader=1, admits=False)
    assert run(["trim", "64", "--node", admin]) == ExitCode.FAILED
    assert "Node 1 leads" in capsys.readouterr().err


def test_a_transfer_waits_for_the_new_leader(
    admin: str, node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(other := FakeNode()) as second:
        other.tree = status_tree(node=2, role="follower", leader=1)

        class Obeying(FakeNode):
            def command(self, command: bytes, timeout_s: float) -> bytes:
                """Let the other node lead."""
                node.tree = status_tree(role="follower", leader=2, term=4)
                other.tree = status_tree(node=2, leader=2, term=4)
                return super().command(command, timeout_s)

        node.command = Obeying().command  # type: ignore[method-assign]  # only this test's node obeys
        assert run(["leader", "transfer", "--to", "2", "--node", admin, "--node", second]) == ExitCode.OK
    assert capsys.readouterr().out == "Node 2 leads in term 4; before it was node 1.\n"


def test_a_transfer_to_the_leader_is_a_failure(
    admin: str, node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["leader", "transfer", "--to", "1", "--node", admin]) == ExitCode.FAILED
    assert capsys.readouterr().err == "Node 1 leads already.\n"
    assert node.commands == []


def test_a_token_is_sent(node: FakeNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="ascii")
    with served(node, TOKEN) as place:
        assert run(["status", "--node", place]) == ExitCode.REFUSED
        assert "bears no token" in capsys.readouterr().err
        assert run(["status", "--node", place, "--token-file", str(token)]) == ExitCode.OK


@pytest.mark.parametrize(
    "arguments", [["colour"], ["trim"], ["trim", "-1"], ["member", "add", "0"], ["node"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.USAGE
    assert "Usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["node"], ["dev"], ["status"], ["stat"], ["trim"], ["leader", "transfer"], ["member", "add"]],
)
def test_help_names_the_exit_codes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--help"]) == ExitCode.OK
    assert "Exit codes" in capsys.readouterr().out


def test_a_wrong_configuration_has_its_own_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "node.toml"
    file.write_text("node = 0\n", encoding="utf-8")
    assert run(["node", "--config", str(file)]) == ExitCode.CONFIGURATION
    assert str(file) in capsys.readouterr().err
