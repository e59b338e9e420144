"""What the cluster and its nodes refuse, as errors."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from sequencer.errors import (
    BackpressureError,
    LogFullError,
    NotAuthorizedError,
    NotLeaderError,
    RejectedError,
    SequencerError,
    TooLargeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from sequencer._native import _Why as Why

_LOG = logging.getLogger("sequencer.client")
_RETRY_AFTER_S = 1.0
# Every node answers so for as long as nobody changes the client or the configuration.
_LASTING = frozenset({"not_authorized", "wrong_cluster", "unsupported_version"})
# Part of how connections come and go when all is well.
_USUAL = frozenset({"redirected", "unneeded", "stopping"})


def refusal_error(why: "Why") -> SequencerError:
    """Choose the error for a refusal of the cluster."""
    kind, message, is_retryable, facts_json = why
    facts: dict[str, Any] = msgspec.json.decode(facts_json, type=dict[str, Any])
    text = f"{message} ({kind})"
    match kind:
        case "not_leader" | "handing_over":
            return NotLeaderError(text, leader=facts.get("leader") or facts.get("target"))
        case "log_full":
            return LogFullError(text, retry_after_s=_RETRY_AFTER_S, kind=kind)
        case "backpressure":
            return BackpressureError(text, retry_after_s=_RETRY_AFTER_S, kind=kind)
        case "too_large":
            return TooLargeError(
                text,
                payload_bytes=facts.get("bytes", 0),
                payload_bytes_max=facts.get("limit_bytes", 0),
            )
        case _ if is_retryable:
            return UnavailableError(text, retry_after_s=_RETRY_AFTER_S, kind=kind)
        case _:
            return RejectedError(text, kind=kind, facts=facts)


class Troubles:
    """Why connections ended or did not come about, the last reason for each address."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._addresses = tuple(addresses)
        self._last: dict[str, tuple[str, str]] = {}

    def note(self, address: str, kind: str, message: str) -> None:
        """A connection ended."""
        if kind in _USUAL:
            _LOG.debug("%s: %s", address, message)
            return
        _LOG.info("%s: %s", address, message)
        self._last[address] = (kind, message)

    def connected(self, address: str) -> None:
        """A connection has come about."""
        _LOG.debug("%s: connected", address)
        self._last.pop(address, None)

    def lasting(self) -> RejectedError | None:
        """The error, if every node refuses the client for a reason that does not go away by itself."""
        if any(self._last.get(address, ("", ""))[0] not in _LASTING for address in self._addresses):
            return None
        kind, message = self._last[self._addresses[0]]
        text = f"Every node refuses the connection: {message} ({kind})."
        return (
            NotAuthorizedError(text, kind=kind)
            if kind == "not_authorized"
            else RejectedError(text, kind=kind)
        )

    def describe(self) -> str:
        """The reasons as a part of a sentence."""
        if not self._last:
            return f"{', '.join(self._addresses)}: no answer, or no leader that admits"
        return "; ".join(f"{address}: {message}" for address, (_, message) in self._last.items())
