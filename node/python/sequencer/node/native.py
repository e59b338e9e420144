"""The native node as the Python process sees it, and a thin part that turns its bytes into values."""

from typing import Any, Protocol

import msgspec

from sequencer import _native
from sequencer.node.config import NodeConfig
from sequencer.node.config_file import config_to_json
from sequencer.node.status import NodeStatus, decode_status


class NativeNode(Protocol):
    """What the process needs of `sequencer._native.Node`; each method may be called from any thread."""

    @property
    def address(self) -> str:
        """Where it listens, with the real port."""

    def status(self) -> bytes:
        """JSON of how it stands; within about a second."""

    def command(self, command: bytes, timeout_s: float) -> bytes:
        """Carry out a command and return its answer, both JSON."""

    def wait(self, timeout_s: float) -> str | None:
        """Wait for its end: None while it runs, "" after a clean stop, else why it ended."""

    def stop(self, hand_over: bool) -> None:
        """Ask it to end, handing leadership over first if it holds it."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not done. Nothing was changed."""

    kind: str
    message: str
    is_retryable: bool
    ok: bool = False
    facts: dict[str, Any] = {}


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a command that was taken."""

    outcome: str
    ok: bool = True
    facts: dict[str, Any] = {}


def init_node(config: NodeConfig) -> None:
    """Make the configured directory this node's; nothing happens when it is already.

    Raises:
        ConfigError: A setting is wrong, or the directory holds another member's data.
        StorageError: The directory cannot be used.
    """
    _native.Node.init(config_to_json(config))


def read_status(node: NativeNode) -> NodeStatus:
    """Ask the hot loop how it stands.

    Raises:
        UnavailableError: It did not answer in time, or has stopped.
    """
    return decode_status(node.status())


def decode_answer(data: bytes) -> Done | Refusal:
    """Read the answer to a command: `{"outcome": ...}` or `{"refusal": ..., "message": ..., "facts": {...}}`."""
    answer: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    if "refusal" in answer:
        return Refusal(
            kind=answer["refusal"],
            message=answer["message"],
            is_retryable=answer["is_retryable"],
            facts=answer.get("facts", {}),
        )
    outcome = answer.pop("outcome")
    return Done(outcome=outcome, facts=answer)
