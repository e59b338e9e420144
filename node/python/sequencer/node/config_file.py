"""Reads a configuration from TOML, and writes it as TOML for people and as JSON for the native node."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sequencer.errors import ConfigError
from sequencer.node.config import NodeConfig
from sequencer.node.config_check import check_config

TOKEN_BYTES_MIN = 32

# What only the Python process needs; the native node would refuse it as unknown.
_PYTHON_ONLY = ("admin", "admin_token_file")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED_FIELD = re.compile(r"(?:unknown|required) field `(?P<name>[^`]+)`")


def read_config(path: Path) -> NodeConfig:
    """Read and check a configuration file.

    Returns:
        The configuration with its defaults filled in and its paths absolute.

    Raises:
        ConfigError: The file cannot be read, or names the first field that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", path="") from error
    try:
        config = parse_config(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", path=error.path) from error
    return _anchored(config, path.absolute().parent)


def parse_config(text: str) -> NodeConfig:
    """Turn the text of a TOML file into a checked configuration.

    Raises:
        ConfigError: Names the first field that is wrong; its path is empty where the text is no TOML.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"It is not TOML: {error}.", path="") from error
    try:
        config = msgspec.convert(tree, NodeConfig, strict=True)
    except msgspec.ValidationError as error:
        raise _config_error(str(error)) from error
    check_config(config)
    return config


def read_admin_token(config: NodeConfig) -> str | None:
    """Read the token that admin requests must bear; None when no file is named.

    Raises:
        ConfigError: The file cannot be read, or holds too little.
    """
    if not config.admin_token_file:
        return None
    field = "admin_token_file"
    try:
        token = Path(config.admin_token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{field}: {config.admin_token_file} cannot be read: {error}.", path=field
        ) from error
    if len(token) < TOKEN_BYTES_MIN:
        raise ConfigError(
            f"{field}: {config.admin_token_file} holds {len(token)} bytes; at least {TOKEN_BYTES_MIN} random ones "
            "are needed.",
            path=field,
        )
    return token


def config_to_json(config: NodeConfig) -> bytes:
    """Encode what the native node needs, every default filled in."""
    tree = msgspec.to_builtins(config)
    for name in _PYTHON_ONLY:
        del tree[name]
    return msgspec.json.encode(tree)


def config_to_toml(config: NodeConfig) -> str:
    """Write what differs from the defaults as TOML, in the order of the fields."""
    tree = msgspec.to_builtins(config)
    defaults = {
        field.encode_name: msgspec.to_builtins(field.default)
        for field in msgspec.structs.fields(NodeConfig)
        if field.default is not msgspec.NODEFAULT
    }
    changed = {name: value for name, value in tree.items() if name not in defaults or value != defaults[name]}
    return "\n".join(_toml_lines(changed, defaults)) + "\n"


def _toml_lines(tree: dict[str, Any], defaults: dict[str, Any]) -> Iterator[str]:
    """Render plain values first: TOML counts whatever follows a table head to that table."""
    for name, value in tree.items():
        if not isinstance(value, dict | tuple):
            yield f"{name} = {_toml_value(value)}"
    for name, value in tree.items():
        if isinstance(value, dict):
            yield f"\n[{name}]"
            for key, inner in value.items():
                if inner != defaults[name][key]:
                    yield f"{key} = {_toml_value(inner)}"
        elif isinstance(value, tuple):
            for entry in value:
                yield f"\n[[{name}]]"
                yield from (f"{key} = {_toml_value(inner)}" for key, inner in entry.items())


def _toml_value(value: str | int | bool) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped; surrogate pairs it does not know.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _anchored(config: NodeConfig, folder: Path) -> NodeConfig:
    """Let relative paths start where the configuration file is, wherever the process was started."""

    def anchor(text: str) -> str:
        return str(folder / text) if text else text

    credentials = tuple(
        msgspec.structs.replace(credential, secret_file=anchor(credential.secret_file))
        for credential in config.credentials
    )
    return msgspec.structs.replace(
        config,
        directory=anchor(config.directory),
        admin_token_file=anchor(config.admin_token_file),
        credentials=credentials,
    )


def _config_error(text: str) -> ConfigError:
    """Turn msgspec's text, such as "Expected `int`, got `str` - at `$.limits.sessions`", into a path and a sentence."""
    match = _WHERE.match(text)
    what, path = (match["what"], match["path"] or "$") if match else (text, "$")
    path = path.removeprefix("$").removeprefix(".")
    named = _NAMED_FIELD.search(what)
    if named:
        path = f"{path}.{named['name']}" if path else named["name"]
        if "unknown" in what:
            return ConfigError(f"{path}: There is no such field; correct its name or remove it.", path=path)
        return ConfigError(f"{path}: The field is missing and has no default; add it.", path=path)
    return ConfigError(f"{path}: {what}.", path=path)
