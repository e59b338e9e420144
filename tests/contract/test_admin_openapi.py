"""The document of the admin endpoint says what the code does: it is generated from it, complete, and served by it.

In go the application as a node serves it, the document in docs/reference, and a native node of a cluster of one.
"""

import json
import re
from pathlib import Path

import msgspec
import pytest
from fake_node import CLUSTER, DATA, FakeNode, status_tree
from generate_reference import REFERENCE, admin_document
from litestar.testing import TestClient
from sequencer import _native
from sequencer.node.admin import make_admin
from sequencer.node.admin_routes import Surface
from sequencer.node.config_file import config_to_json, parse_config
from sequencer.node.metrics import NodeCollector, make_registry
from sequencer.node.native import init_node
from sequencer.node.status import NodeStatus, decode_status
from sequencer.node.watch import Watch

DOCUMENT = json.loads((REFERENCE / "admin-openapi.json").read_text(encoding="utf-8"))
PROMISED = {
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/v1/status"),
    ("post", "/v1/leader/transfer"),
    ("post", "/v1/members"),
    ("post", "/v1/members/{member_id}/promote"),
    ("delete", "/v1/members/{member_id}"),
    ("post", "/v1/trim"),
    ("post", "/v1/claim/give-up"),
    ("post", "/v1/lease"),
    ("put", "/v1/log-level"),
}


def test_the_document_is_current() -> None:
    assert (REFERENCE / "admin-openapi.json").read_text(encoding="utf-8") == admin_document(), (
        "run scripts/generate_reference.py"
    )


def test_the_document_holds_what_is_promised_and_no_more() -> None:
    found = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert found == PROMISED


def test_the_document_is_served() -> None:
    node = FakeNode()
    collector = NodeCollector(status=lambda: None, counters=dict)
    surface = Surface(node=node, watch=Watch(node), registry=make_registry(collector))
    with TestClient(make_admin(surface, token=None)) as client:
        assert client.get("/openapi/v1.json").json() == DOCUMENT


@pytest.mark.parametrize(("method", "path"), sorted(PROMISED))
def test_every_change_can_be_refused_in_the_declared_form(method: str, path: str) -> None:
    responses = DOCUMENT["paths"][path][method]["responses"]
    if method == "get" or path == "/v1/log-level":
        return
    for status in ("400", "409", "503"):
        content = responses[status]["content"]["application/json"]["schema"]
        assert content == {"$ref": "#/components/schemas/Refusal"}


def test_every_reference_leads_somewhere() -> None:
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"]["schemas"]


def test_only_the_probes_are_open() -> None:
    opened = {path for path, item in DOCUMENT["paths"].items() if item.get("get", {}).get("security") == [{}]}
    assert opened == {"/healthz", "/readyz"}
    assert DOCUMENT["security"] == [{"token": []}]


def shape(value: object) -> object:
    """Reduce a value to the names of its fields; of a list to those of its first entry."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_a_native_node_takes_the_configuration_and_has_the_declared_status(tmp_path: Path) -> None:
    config = parse_config(
        f'cluster = "{CLUSTER}"\nnode = 1\ndata = "{DATA[0]}"\ndirectory = "{tmp_path}"\n'
        f'listen = "127.0.0.1:0"\ninsecure = true\n[[founders]]\nid = 1\ndata = "{DATA[0]}"\n'
        "[limits]\nreserve_bytes = 0\n"
    )
    init_node(config)
    node = _native.Node(config_to_json(config))
    try:
        tree = json.loads(node.status())
    finally:
        node.stop(hand_over=False)
        assert node.wait(30.0) == ""
    declared = {field.encode_name for field in msgspec.structs.fields(NodeStatus)}
    assert tree.keys() == declared
    assert set(DOCUMENT["components"]["schemas"]["NodeStatus"]["properties"]) == declared
    # No field on the way through the declared type is lost, and the one that other tests use has them all.
    passed_on = json.loads(msgspec.json.encode(decode_status(json.dumps(tree).encode())))
    assert shape(passed_on) == shape(tree)
    assert shape({**status_tree(), "a_field_of_the_next_release": None}) == shape(
        {**tree, "a_field_of_the_next_release": None}
    )
