"""The configuration of a node: what is read, what is refused and under which path, and what is written.

In go texts of TOML made by hand; files only where paths or files are the subject.
"""

import json
from pathlib import Path

import msgspec
import pytest
from fake_node import CLUSTER, DATA
from generate_reference import REFERENCE, config_page
from sequencer import _native
from sequencer.errors import ConfigError
from sequencer.node import NodeConfig, read_config
from sequencer.node.config import PAYLOAD_BYTES_MAX, Durability, Idle, Limits
from sequencer.node.config_check import (
    FRAME_ALIGNMENT_BYTES,
    FRAME_HEADER_BYTES,
    is_loopback,
    split_address,
)
from sequencer.node.config_file import config_to_json, config_to_toml, parse_config, read_admin_token

SMALLEST = f"""
cluster = "{CLUSTER}"
node = 1
data = "{DATA[0]}"
directory = "data"
listen = "127.0.0.1:7400"
"""
INSECURE = SMALLEST + "insecure = true\n"
FULL = (
    SMALLEST
    + f"""
advertise = "node-1.example:7400"
admin = "0.0.0.0:7401"
admin_token_file = "token"
durability = "memory"
idle = "spin"

[[founders]]
id = 1
data = "{DATA[0]}"

[[founders]]
id = 2
data = "{DATA[1]}"

[[peers]]
id = 2
address = "[fd00::2]:7400"

[[credentials]]
name = "peer"
secret_file = "/run/secrets/peer"
role = "peer"

[[credentials]]
name = "orders"
secret_file = "secrets/orders"
role = "client"
class = 3

[limits]
sessions = 500

[timing]
election_timeout_ms = 1000
"""
)


def test_defaults_are_filled_in() -> None:
    config = parse_config(INSECURE)
    assert config.durability is Durability.FSYNC
    assert config.idle is Idle.WAIT
    assert config.limits == Limits()
    assert config.timing.heartbeat_ms == 50


def test_every_field_is_read() -> None:
    config = parse_config(FULL)
    assert (config.durability, config.idle) == (Durability.MEMORY, Idle.SPIN)
    assert [founder.id for founder in config.founders] == [1, 2]
    assert config.peers[0].address == "[fd00::2]:7400"
    assert [(one.name, one.role, one.class_) for one in config.credentials] == [
        ("peer", "peer", 0),
        ("orders", "client", 3),
    ]
    assert config.limits.sessions == 500


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("colour = 1", "colour"),
        ("[limits]\ncolour = 1", "limits.colour"),
        ("[[peers]]\nid = 2\naddress = 'b:1'\ncolour = 1", "peers[0].colour"),
        ("[[peers]]\nid = 2", "peers[0].address"),
        ("[limits]\nsessions = 'many'", "limits.sessions"),
        ("[limits]\nsessions = 0", "limits.sessions"),
        ("[limits]\nsegment_bytes = 131073", "limits.segment_bytes"),
        ("[limits]\npayload_bytes = 1048529", "limits.payload_bytes"),
        ("durability = 'hope'", "durability"),
        ("idle = 1", "idle"),
    ],
)
def test_a_field_that_is_wrong_by_itself_is_named(more: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{INSECURE}{more}\n")
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", ["cluster", "node", "data", "directory", "listen"])
def test_what_has_no_default_is_needed(name: str) -> None:
    text = "\n".join(line for line in INSECURE.splitlines() if not line.startswith(f"{name} "))
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert caught.value.path == name


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (SMALLEST, "credentials"),
        (SMALLEST + "[[credentials]]\nname = 'a'\nsecret_file = 'a'\nrole = 'client'", "credentials"),
        (INSECURE + 2 * "[[credentials]]\nname = 'a'\nsecret_file = 'a'\nrole = 'client'\n", "credentials"),
        (
            INSECURE + f"[[credentials]]\nname = '{65 * 'a'}'\nsecret_file = 'a'\nrole = 'peer'",
            "credentials[0].name",
        ),
        (INSECURE + f"[[founders]]\nid = 1\ndata = '{DATA[1]}'", "data"),
        (INSECURE + f"[[founders]]\nid = 2\ndata = '{DATA[0]}'", "data"),
        (INSECURE + f"[[founders]]\nid = 2\ndata = '{DATA[1]}'\n" * 2, "founders"),
        (INSECURE + "[[peers]]\nid = 2\naddress = 'b:1'\n" * 2, "peers"),
        (INSECURE + "[[peers]]\nid = 2\naddress = 'b'\n", "peers[0].address"),
        (INSECURE + "[[peers]]\nid = 2\naddress = 'b:0'\n", "peers[0].address"),
        (INSECURE + "advertise = '0.0.0.0:7400'", "advertise"),
        (INSECURE.replace("127.0.0.1:7400", "0.0.0.0:7400"), "advertise"),
        (INSECURE.replace("127.0.0.1:7400", "127.0.0.1"), "listen"),
        (INSECURE.replace("127.0.0.1:7400", "::1:7400"), "listen"),
        (INSECURE.replace("127.0.0.1:7400", f"{300 * 'a'}:7400"), "listen"),
        (FULL.replace('admin_token_file = "token"', ""), "admin_token_file"),
        (INSECURE + "[timing]\nheartbeat_ms = 101", "timing.heartbeat_ms"),
        (INSECURE + "[limits]\nsegment_bytes = 1048576", "limits.segment_bytes"),
        (INSECURE + "[limits]\nuncommitted_bytes = 1000000", "limits.uncommitted_bytes"),
        (INSECURE + "[limits]\ninflight_bytes = 1000000", "limits.inflight_bytes"),
        (INSECURE + "[limits]\nbuffer_bytes = 16777216", "limits.buffer_bytes"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert caught.value.path == path, caught.value


def test_the_buffer_that_the_message_names_is_enough() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(INSECURE + "[limits]\nbuffer_bytes = 16777216")
    named = next(word for word in str(caught.value).partition("at least")[2].split() if word.isdigit())
    assert parse_config(f"{INSECURE}[limits]\nbuffer_bytes = {named}").limits.buffer_bytes == int(named)


def test_a_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("cluster = ")
    assert caught.value.path == ""


def test_paths_start_where_the_file_is(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(FULL, encoding="utf-8")
    config = read_config(file)
    assert config.directory == str(tmp_path / "data")
    assert config.admin_token_file == str(tmp_path / "token")
    assert [one.secret_file for one in config.credentials] == [
        "/run/secrets/peer",
        str(tmp_path / "secrets/orders"),
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        read_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("text", [INSECURE, FULL])
def test_what_is_written_reads_back(text: str) -> None:
    config = parse_config(text)
    assert parse_config(config_to_toml(config)) == config


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x7fb\tc", "ä🦀"])
def test_strange_texts_are_written_as_toml(name: str) -> None:
    config = msgspec.structs.replace(parse_config(INSECURE), directory=name)
    assert parse_config(config_to_toml(config)).directory == name


def test_the_native_node_gets_every_field_but_those_of_the_python_process() -> None:
    tree = json.loads(config_to_json(parse_config(FULL)))
    fields = {field.encode_name for field in msgspec.structs.fields(NodeConfig)}
    assert tree.keys() == fields - {"admin", "admin_token_file"}
    assert tree["credentials"][1]["class"] == 3
    assert tree["limits"].keys() == {field.name for field in msgspec.structs.fields(Limits)}


def test_the_admin_token_is_read_and_must_be_long(tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = msgspec.structs.replace(parse_config(INSECURE), admin_token_file=str(token))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_admin_token(config)
    token.write_text("short\n", encoding="ascii")
    with pytest.raises(ConfigError, match="at least 32"):
        read_admin_token(config)
    token.write_text(32 * "x" + "\n", encoding="ascii")
    assert read_admin_token(config) == 32 * "x"
    assert read_admin_token(parse_config(INSECURE)) is None


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("a:1", ("a", 1)),
        ("[::1]:1", ("::1", 1)),
        ("::1:1", None),
        ("a", None),
        (":1", None),
        ("a:", None),
        ("a:65536", None),
        ("a:-1", None),
        ("a:\N{ARABIC-INDIC DIGIT ONE}", None),
    ],
)
def test_addresses_are_split(text: str, split: tuple[str, int] | None) -> None:
    assert split_address(text) == split


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("a", False)],
)
def test_loopback_addresses_are_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_bounds_are_those_of_the_wire_format() -> None:
    assert PAYLOAD_BYTES_MAX == _native.PAYLOAD_BYTES_MAX
    assert FRAME_HEADER_BYTES == _native.HEADER_BYTES
    assert FRAME_ALIGNMENT_BYTES == _native.ALIGNMENT


def test_the_page_about_the_configuration_is_current() -> None:
    page = (REFERENCE / "node-config.md").read_text(encoding="utf-8")
    assert page == config_page(), "run scripts/generate_reference.py"
