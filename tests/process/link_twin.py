"""Speaks the handshake of docs/reference/link.md as its initiator, right or wrong; shares no code with the nodes."""

import contextlib
import hashlib
import hmac
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from dev_cluster import WAIT_S
from wire_twin import crc32c

HELLO, CHALLENGE, PROOF, WELCOME, REFUSED = 1, 2, 3, 4, 5
PEER, CLIENT, OPERATOR = 1, 2, 3
CODES = {
    1: "unsupported_version",
    2: "wrong_cluster",
    3: "not_authorized",
    4: "wrong_node",
    5: "wrong_data",
    7: "too_many_connections",
    8: "protocol",
}
NO_DATA = UUID(int=0)


class Message(NamedTuple):
    """One message of a handshake."""

    kind: int
    body: bytes
    whole: bytes


@dataclass(frozen=True)
class Greeting:
    """How a handshake is begun."""

    cluster: UUID
    identity: str = ""
    secret: bytes = b""
    role: int = CLIENT
    node: int = 0
    data: UUID = NO_DATA
    version: int = 1

    def hello(self) -> bytes:
        """Encode the first message."""
        identity = self.identity.encode()
        body = struct.pack("<HBxI", self.version, self.role, self.node) + self.cluster.bytes + self.data.bytes
        body += os.urandom(32) + struct.pack("<HH4x", len(identity), 0) + identity
        return encode(HELLO, body)

    def proof(self, hello: bytes, challenge: bytes) -> bytes:
        """Encode the answer to a challenge."""
        text = b"sequencer link 1, initiator" + hello + challenge
        return encode(PROOF, hmac.digest(self.secret, text, hashlib.sha256))


def encode(kind: int, body: bytes) -> bytes:
    """Encode one message."""
    body += bytes(-len(body) % 8)
    checked = struct.pack("<B3xI", kind, 0) + body
    return struct.pack("<II", 8 + len(checked), crc32c(checked)) + checked


class Connection:
    """A connection to a node, as somebody would make it who knows nothing but the protocol."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT_S)

    def receive(self) -> Message | None:
        """Wait for the next message; None when there will be none."""
        head = self._exactly(16)
        if head is None:
            return None
        size, _, kind = struct.unpack_from("<IIB", head)
        body = self._exactly(size - 16)
        return None if body is None else Message(kind, body, head + body)

    def refusal(self) -> tuple[str, str]:
        """Wait for a refusal and the end of the connection: its name and its sentence."""
        message = self.receive()
        assert message is not None and message.kind == REFUSED, message
        code, size = struct.unpack_from("<BxH", message.body)
        assert self.receive() is None, "a refusal is the last that is said"
        return CODES[code], message.body[8 : 8 + size].decode()

    def greet(self, greeting: Greeting) -> Message | None:
        """Say hello, and prove what is asked for; what comes then."""
        hello = greeting.hello()
        self.socket.sendall(hello)
        challenge = self.receive()
        if challenge is None or challenge.kind != CHALLENGE:
            return challenge
        self.socket.sendall(greeting.proof(hello, challenge.whole))
        return self.receive()

    def wait_for_end(self) -> None:
        """Wait until the node has closed the connection."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(4096):
                pass

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            data += piece
        return data


@contextlib.contextmanager
def connected(address: str) -> Iterator[Connection]:
    """Connect for as long as the body runs."""
    connection = Connection(address)
    with connection.socket:
        yield connection
