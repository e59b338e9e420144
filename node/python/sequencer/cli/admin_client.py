"""Asks the admin endpoint of a node."""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sequencer.cli.exits import FailedError, RefusedError
from sequencer.errors import UnavailableError
from sequencer.node.status import NodeStatus, decode_status

_ANSWER_BYTES_MAX = 64 * 2**20


class AdminClient:
    """One node's admin endpoint; a connection for each request.

    Attributes:
        url: Where it is, as http://host:port.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 12.0) -> None:
        self.url = url if "://" in url else f"http://{url}"
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise FailedError(f"{url!r} is no admin endpoint; write http://host:port.")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._token = token
        self._timeout_s = timeout_s

    def status(self, *, timeout_s: float | None = None) -> NodeStatus:
        """Ask how the node stands.

        Raises:
            UnavailableError: It does not answer.
            FailedError: What answers there is no node of this release.
        """
        data = self._request("GET", "/v1/status", None, timeout_s=timeout_s)
        try:
            return decode_status(data)
        except msgspec.DecodeError as error:
            raise FailedError(
                f"What answers at {self.url} is no node that this release knows: {error}."
            ) from error

    def is_ready(self) -> bool:
        """Say whether the node serves; one that does not answer does not."""
        try:
            self._request("GET", "/readyz", None, timeout_s=2.0)
        except (UnavailableError, RefusedError, FailedError):
            return False
        return True

    def send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Have something done and return what came of it.

        Raises:
            RefusedError: The cluster refused.
            UnavailableError: Nobody answered, or not now.
            FailedError: What answers is no node.
        """
        data = self._request(method, path, body)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise FailedError(f"What answers at {self.url} is no node: {error}.") from error

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, *, timeout_s: float | None = None
    ) -> bytes:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        make = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=timeout_s or self._timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            text = f"{self.url} does not answer ({error}); is the node running?"
            raise UnavailableError(text, retry_after_s=1.0) from error
        finally:
            connection.close()
        if response.status < 300:
            return data
        raise _error(self.url, response.status, data)


def _error(url: str, status: int, data: bytes) -> RefusedError | UnavailableError | FailedError:
    """Turn an answer that is not a success into an error."""
    try:
        body = msgspec.json.decode(data, type=dict[str, Any])
        kind, message = str(body["kind"]), str(body["message"])
    except (msgspec.DecodeError, KeyError):
        if status == 503:
            return UnavailableError(f"{url} is not ready.", retry_after_s=1.0)
        return FailedError(f"{url} answered with status {status}; is it a node's admin endpoint?")
    if kind == "unavailable":
        return UnavailableError(message, retry_after_s=1.0)
    return RefusedError(f"{message} ({kind})", body=body)


def read_token(path: Path | None) -> str | None:
    """Read a token file; None when none is named.

    Raises:
        FailedError: It cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FailedError(f"The token file {path} cannot be read: {error}.") from error
