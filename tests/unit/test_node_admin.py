"""The admin endpoint: what each path asks of the node, what it answers, and who is let through.

In go requests to the real application over a node made by hand; nothing listens.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_node import DATA, FakeNode, status_tree
from litestar import Litestar
from litestar.testing import TestClient
from sequencer.errors import RejectedError, UnavailableError
from sequencer.node import logs
from sequencer.node.admin import make_admin
from sequencer.node.admin_routes import Surface
from sequencer.node.metrics import NodeCollector, make_registry
from sequencer.node.native import read_status
from sequencer.node.watch import SILENCE_S_MAX, Watch

TOKEN = 32 * "t"
LEASE = {"session": 7, "epoch": 2, "operation": 12}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


@pytest.fixture
def node() -> FakeNode:
    """Make a node that leads."""
    return FakeNode()


@pytest.fixture
def clock() -> Clock:
    """Make the clock of the watch."""
    return Clock()


def make(node: FakeNode, clock: Clock, token: str | None = None) -> Litestar:
    """Make the application over a node."""
    collector = NodeCollector(status=lambda: read_status(node), counters=lambda: {"turns": 5})
    surface = Surface(node=node, watch=Watch(node, clock=clock), registry=make_registry(collector))
    return make_admin(surface, token=token)


@pytest.fixture
def client(node: FakeNode, clock: Clock) -> Iterator[TestClient[Litestar]]:
    """Ask a node without a token."""
    with TestClient(make(node, clock)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "command"),
    [
        ("POST", "/v1/leader/transfer", {}, {"do": "transfer", "to": None}),
        ("POST", "/v1/leader/transfer", {"to": 2}, {"do": "transfer", "to": 2}),
        ("POST", "/v1/members", {"id": 4, "data": DATA[0]}, {"do": "member_add", "id": 4, "data": DATA[0]}),
        ("POST", "/v1/members/4/promote", {}, {"do": "member_promote", "id": 4}),
        ("POST", "/v1/trim", {"floor": 123}, {"do": "trim", "floor": 123}),
        (
            "POST",
            "/v1/claim/give-up",
            {"term": 2, "position": 64},
            {"do": "give_up_claim", "term": 2, "position": 64},
        ),
    ],
)
def test_changes_become_commands_with_their_lease(
    method: str,
    path: str,
    body: dict[str, Any],
    command: dict[str, Any],
    client: TestClient[Litestar],
    node: FakeNode,
) -> None:
    for lease in (None, LEASE):
        response = client.request(method, path, json={**body, "lease": lease})
        assert response.status_code == 200, response.text
        assert response.json() == {
            "ok": True,
            "outcome": "admitted",
            "facts": {"position": 4096, "timestamp_ns": 7},
        }
        assert node.commands.pop() == {**command, "lease": lease}


def test_a_removal_takes_its_lease_from_the_query(client: TestClient[Litestar], node: FakeNode) -> None:
    assert client.delete("/v1/members/2").status_code == 200
    assert client.delete("/v1/members/2?session=7&epoch=2&operation=12").status_code == 200
    assert node.commands == [
        {"do": "member_remove", "id": 2, "lease": None},
        {"do": "member_remove", "id": 2, "lease": LEASE},
    ]
    response = client.delete("/v1/members/2?session=7&epoch=2")
    assert response.status_code == 400
    assert "all of them or none" in response.json()["message"]


def test_a_lease_says_which_operation_is_next(client: TestClient[Litestar], node: FakeNode) -> None:
    node.answer = {
        "outcome": "opened",
        "session": 7,
        "epoch": 2,
        "last_sequence": 11,
        "is_resumed": True,
        "position": 64,
    }
    response = client.post("/v1/lease", json={})
    assert response.json() == {"ok": True, "session": 7, "epoch": 2, "next_operation": 12}
    assert node.commands == [{"do": "lease_take", "name": "operator", "timeout_ms": 60_000}]


@pytest.mark.parametrize(
    ("kind", "is_retryable", "status"),
    [
        ("stale_epoch", False, 409),
        ("not_leader", True, 409),
        ("change_pending", True, 409),
        ("trim_held", True, 409),
        ("not_ready", True, 503),
        ("handing_over", True, 503),
        ("log_full", True, 503),
        ("malformed", False, 400),
        ("out_of_range", False, 400),
        ("a_kind_of_the_next_release", False, 409),
    ],
)
def test_refusals_keep_their_facts(
    kind: str, is_retryable: bool, status: int, client: TestClient[Litestar], node: FakeNode
) -> None:
    node.answer = {"refusal": kind, "message": "no", "is_retryable": is_retryable, "facts": {"leader": 2}}
    response = client.post("/v1/trim", json={"floor": 1})
    assert response.status_code == status
    expected = {
        "ok": False,
        "kind": kind,
        "message": "no",
        "is_retryable": is_retryable,
        "facts": {"leader": 2},
    }
    assert response.json() == expected


def test_a_node_that_does_not_answer_is_unavailable(client: TestClient[Litestar], node: FakeNode) -> None:
    node.tree, node.answer = None, UnavailableError("too slow", retry_after_s=1.0)
    for response in (client.get("/v1/status"), client.post("/v1/trim", json={"floor": 1})):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["kind"] == "unavailable"
        assert response.json()["is_retryable"] is True


def test_a_command_that_the_node_does_not_know_is_malformed(
    client: TestClient[Litestar], node: FakeNode
) -> None:
    node.answer = RejectedError("the command is not understood")
    response = client.post("/v1/trim", json={"floor": 1})
    assert (response.status_code, response.json()["kind"]) == (400, "malformed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"floor": -1},
        {"floor": "one"},
        {"floor": 1, "colour": 2},
        {"floor": 1, "lease": {"session": 1, "epoch": 1}},
        [],
    ],
)
def test_wrong_bodies_are_refused_in_the_same_form(
    body: object, client: TestClient[Litestar], node: FakeNode
) -> None:
    response = client.post("/v1/trim", json=body)
    assert response.status_code == 400
    assert response.json()["kind"] == "malformed"
    assert response.json().keys() == {"ok", "kind", "message", "is_retryable", "facts"}
    assert node.commands == []


def test_what_is_not_there_is_refused_in_the_same_form(client: TestClient[Litestar]) -> None:
    for response, kind in (
        (client.get("/v1/nothing"), "not_found"),
        (client.put("/v1/status"), "method_not_allowed"),
        (client.post("/v1/trim", content=b"{"), "malformed"),
    ):
        assert response.json()["kind"] == kind, response.text


def test_the_status_is_passed_on(client: TestClient[Litestar]) -> None:
    tree = status_tree()
    del tree["a_field_of_the_next_release"]
    assert client.get("/v1/status").json() == tree


def test_health_is_about_this_process_alone(
    client: TestClient[Litestar], node: FakeNode, clock: Clock
) -> None:
    node.tree = status_tree(role="follower", leader=None, is_caught_up=False)
    assert client.get("/healthz").text == "ok\n"
    clock.now_s += SILENCE_S_MAX
    assert client.get("/healthz").status_code == 503


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"is_caught_up": False}, 503),
        ({"handing_over_to": 2}, 503),
        ({"role": "follower", "leader": 2}, 200),
        ({"role": "follower", "leader": None}, 503),
        ({"role": "follower", "leader": 2, "is_caught_up": False}, 503),
        ({"role": "candidate", "leader": None}, 503),
        ({"role": "halted", "leader": None}, 503),
    ],
)
def test_readiness_is_about_serving(
    changes: dict[str, object], status: int, client: TestClient[Litestar], node: FakeNode
) -> None:
    node.tree = status_tree(**changes)
    response = client.get("/readyz")
    assert response.status_code == status
    assert response.json()["is_ready"] is (status == 200)
    node.tree = None
    assert client.get("/readyz").status_code == 503


def test_a_token_is_asked_for_but_by_probes(node: FakeNode, clock: Clock) -> None:
    with TestClient(make(node, clock, TOKEN)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            for response in (
                client.get("/v1/status", headers=headers),
                client.get("/metrics", headers=headers),
                client.post("/v1/trim", json={"floor": 1}, headers=headers),
            ):
                assert response.status_code == 401
                assert response.headers["www-authenticate"] == "Bearer"
                assert response.json()["kind"] == "not_authorized"
        good = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/v1/status", headers=good).status_code == 200
        assert client.post("/v1/trim", json={"floor": 1}, headers=good).status_code == 200


def test_without_a_token_web_pages_give_no_orders(client: TestClient[Litestar], node: FakeNode) -> None:
    response = client.post("/v1/trim", json={"floor": 1}, headers={"origin": "https://example.com"})
    assert (response.status_code, response.json()["kind"]) == (403, "forbidden")
    assert node.commands == []


def test_the_log_level_is_set(client: TestClient[Litestar]) -> None:
    before = logs.current_level()
    try:
        assert client.put("/v1/log-level", json={"level": "debug"}).json() == {"level": "debug"}
        assert logs.current_level() is logs.LogLevel.DEBUG
        assert client.put("/v1/log-level", json={"level": "loud"}).status_code == 400
    finally:
        logs.set_level(before)


def test_metrics_are_served_as_text(client: TestClient[Litestar]) -> None:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "sequencer_turns_total 5.0" in response.text.splitlines()
    assert "sequencer_commit_position_bytes 4096.0" in response.text.splitlines()
