"""Whoever may not connect is told why, is counted, and disturbs nobody.

In go handshakes that are wrong in one way each, bytes that are none, silence, and more connections than are allowed.
Checked is the typed refusal, that the node has counted it, and that publishers and readers who may connect go on: what
they were told holds in the log (see `audit`). Real are the nodes and the sockets; the handshakes are spoken by a twin
that was written from docs/reference/link.md and shares no code with the nodes.
"""

import asyncio
import contextlib
import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from uuid import uuid4

import msgspec
import pytest
from dev_cluster import WAIT_S, wait_for
from process.harness import Cluster, show
from process.link_twin import (
    CHALLENGE,
    CLIENT,
    HELLO,
    OPERATOR,
    PEER,
    PROOF,
    REFUSED,
    WELCOME,
    Greeting,
    connected,
    encode,
)
from process.load import Load
from sequencer.client import Client
from sequencer.errors import NotAuthorizedError, RejectedError
from sequencer.node.config import Credential, CredentialRole, Limits, NodeConfig, Timing

SECRETS = {role: os.urandom(32).hex().encode() for role in CredentialRole}
GREETING_S = 2.0
"""How long a node waits for a handshake to be finished."""
GREETING_MAX = 64
"""Connections that have not said who they are; one more drives out the oldest."""
HELD_MAX = 200
TOO_MANY = 7


@dataclass(frozen=True)
class Scene:
    """A cluster that asks for credentials, and those who use it meanwhile."""

    cluster: Cluster
    load: Load
    node: int

    @property
    def address(self) -> str:
        """Where the node listens that is tried."""
        return self.cluster.addresses[self.node]

    @property
    def greeting(self) -> Greeting:
        """A handshake in which nothing is wrong."""
        return greeting_of(self.cluster)

    def refused(self) -> int:
        """How many connections the node has refused."""
        return self.cluster.counters(self.node).values["connections_refused"]

    @contextlib.contextmanager
    def refusing(self, count: int) -> Iterator[None]:
        """Check that so many connections are refused meanwhile, and that nobody else is disturbed."""
        before = self.refused()
        term = self.cluster.counters(self.node).values["term"]
        yield
        wait_for(lambda: self.refused() >= before + count or None, f"{count} refusals more than {before}")
        assert self.refused() == before + count
        self.load.wait_for_more(20)
        assert self.cluster.counters(self.node).values["term"] == term, "an election took place"


def with_credentials(directory: Path) -> Callable[[NodeConfig], NodeConfig]:
    """Write one secret for each role; what makes a configuration ask for them."""
    credentials = []
    for role, secret in SECRETS.items():
        path = directory / f"{role}.secret"
        path.write_bytes(secret + b"\n")
        credentials.append(Credential(name=str(role), secret_file=str(path), role=role))

    # A pause of the machine must not look as if somebody had disturbed the leader.
    timing = Timing(election_timeout_ms=1500)

    def change(config: NodeConfig) -> NodeConfig:
        return msgspec.structs.replace(config, insecure=False, credentials=tuple(credentials), timing=timing)

    return change


def greeting_of(cluster: Cluster) -> Greeting:
    """Make the handshake of a client that may connect."""
    return Greeting(cluster.configs[1].cluster, identity="client", secret=SECRETS[CredentialRole.CLIENT])


def make_load(cluster: Cluster) -> Load:
    """Have a few messages published by a client that may."""

    def client() -> Client:
        addresses = list(cluster.addresses.values())
        secret = SECRETS[CredentialRole.CLIENT]
        return Client(addresses, cluster=cluster.name, identity="client", secret=secret)

    return Load(cluster, publishers=2, rate_per_s=100, client=client)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run a cluster under a light load; afterwards the load is audited."""
    directory = tmp_path_factory.mktemp("handshake")
    with Cluster(directory, change=with_credentials(directory)) as cluster, make_load(cluster) as load:
        yield Scene(cluster, load, cluster.leader())
        load.finish("refused handshakes")


def test_the_twin_gets_in_when_nothing_is_wrong(scene: Scene) -> None:
    with scene.refusing(0), connected(scene.address) as connection:
        answer = connection.greet(scene.greeting)
        assert answer is not None and answer.kind == WELCOME


ROLES = {"peer": PEER, "client": CLIENT, "operator": OPERATOR}


@pytest.mark.parametrize(
    ("identity", "secret", "role"),
    [
        ("client", "none of them", "client"),
        ("client", "peer", "client"),
        ("nobody", "client", "client"),
        ("client", "client", "operator"),
        ("client", "client", "peer"),
        ("operator", "operator", "peer"),
        ("peer", "peer", "client"),
    ],
)
def test_who_cannot_prove_it_is_not_told_why(scene: Scene, identity: str, secret: str, role: str) -> None:
    secrets = {str(role): secret for role, secret in SECRETS.items()}
    greeting = replace(
        scene.greeting,
        identity=identity,
        secret=secrets.get(secret, b"x" * 32),
        role=ROLES[role],
        node=2,
        data=scene.cluster.configs[2].data,
    )
    with scene.refusing(1), connected(scene.address) as connection:
        hello = greeting.hello()
        connection.socket.sendall(hello)
        # Whether the identity is known is not told by leaving out the challenge.
        challenge = connection.receive()
        assert challenge is not None and challenge.kind == CHALLENGE
        connection.socket.sendall(greeting.proof(hello, challenge.whole))
        name, sentence = connection.refusal()
    assert name == "not_authorized"
    assert "unknown identity, wrong secret, or another role" in sentence


def test_another_cluster_is_refused(scene: Scene) -> None:
    with scene.refusing(1), connected(scene.address) as connection:
        connection.socket.sendall(replace(scene.greeting, cluster=uuid4()).hello())
        name, sentence = connection.refusal()
    assert name == "wrong_cluster"
    assert scene.cluster.name in sentence


def test_another_version_is_refused(scene: Scene) -> None:
    with scene.refusing(1), connected(scene.address) as connection:
        connection.socket.sendall(replace(scene.greeting, version=2).hello())
        assert connection.refusal()[0] == "unsupported_version"


def test_a_member_with_other_data_is_refused_and_the_member_stays(scene: Scene) -> None:
    other = next(node for node in scene.cluster.configs if node != scene.node)
    greeting = replace(
        scene.greeting,
        identity="peer",
        secret=SECRETS[CredentialRole.PEER],
        role=PEER,
        node=other,
        data=uuid4(),
    )
    with scene.refusing(1), connected(scene.address) as connection:
        # It learns that it is known, and then that its data are not.
        answer = connection.greet(greeting)
        assert answer is not None and answer.kind == WELCOME
        name, sentence = connection.refusal()
    assert name == "wrong_data"
    assert str(other) in sentence
    status = scene.cluster.status(scene.node)
    assert status is not None
    assert [one.id for one in status.members if one.is_connected or one.id == scene.node] == [1, 2, 3]


@pytest.mark.parametrize("whose", ["its own", "nobody's"])
def test_a_member_with_an_id_that_cannot_be_is_refused(scene: Scene, whose: str) -> None:
    node = scene.node if whose == "its own" else 0
    data = scene.cluster.configs[scene.node].data
    greeting = replace(
        scene.greeting, identity="peer", secret=SECRETS[CredentialRole.PEER], role=PEER, node=node, data=data
    )
    with scene.refusing(1), connected(scene.address) as connection:
        answer = connection.greet(greeting)
        assert answer is not None and answer.kind == WELCOME
        assert connection.refusal()[0] == "wrong_node"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        encode(PROOF, bytes(32)),
        encode(WELCOME, bytes(40)),
        encode(99, bytes(16)),
        encode(HELLO, b"\x01\x00\x09" + bytes(77)),
        encode(HELLO, b"\x01\x00"),
        encode(HELLO, bytes(80))[:-1] + b"\x01",
    ],
    ids=["HTTP", "zeros", "ones", "a proof", "a welcome", "no kind", "no role", "short", "damaged"],
)
def test_what_makes_no_sense_is_refused(scene: Scene, data: bytes) -> None:
    with scene.refusing(1), connected(scene.address) as connection:
        connection.socket.sendall(data)
        assert connection.refusal()[0] == "protocol"


def test_random_bytes_disturb_nobody(scene: Scene) -> None:
    draw = random.Random(7)  # noqa: S311  # only to draw bytes
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(scene.address)) for _ in range(100)]
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.socket.sendall(draw.randbytes(draw.randrange(1, 4000)))
        for connection in connections:
            connection.wait_for_end()
    scene.load.wait_for_more(20)


def test_who_falls_silent_is_let_go(scene: Scene) -> None:
    hello = scene.greeting.hello()
    with contextlib.ExitStack() as stack:
        began_s = time.monotonic()
        connections = [stack.enter_context(connected(scene.address)) for _ in range(4)]
        for connection, data in zip(
            connections, [b"", hello[:1], hello[: len(hello) // 2], hello], strict=True
        ):
            connection.socket.sendall(data)
        for connection in connections:
            connection.wait_for_end()
        took_s = time.monotonic() - began_s
    show("silence after half a hello", closed_after_s=round(took_s, 2))
    assert took_s >= GREETING_S * 0.9
    assert took_s < WAIT_S / 2
    scene.load.wait_for_more(20)


def test_a_client_says_what_is_wrong(scene: Scene) -> None:
    async def connect(cluster: str, identity: str, secret: bytes) -> None:
        async with Client([scene.address], cluster=cluster, identity=identity, secret=secret):
            raise AssertionError("it got in")

    secret = SECRETS[CredentialRole.CLIENT]
    for identity, wrong in (
        ("client", b"x" * 32),
        ("nobody", secret),
        ("peer", SECRETS[CredentialRole.PEER]),
    ):
        with pytest.raises(NotAuthorizedError):
            asyncio.run(connect(scene.cluster.name, identity, wrong))
    with pytest.raises(RejectedError) as caught:
        asyncio.run(connect(str(uuid4()), "client", secret))
    assert caught.value.kind == "wrong_cluster"


def test_who_says_nothing_is_driven_out_by_those_who_come_after(scene: Scene) -> None:
    more = 32
    before = scene.refused()
    with contextlib.ExitStack() as stack:
        flood = [stack.enter_context(connected(scene.address)) for _ in range(GREETING_MAX + more)]
        # Those that were in before stay in.
        scene.load.wait_for_more(20)
        for connection in flood[:more]:
            assert connection.refusal()[0] == "too_many_connections"
        wait_for(lambda: scene.refused() >= before + more or None, "refusals that were counted")
        for connection in flood[more:]:
            connection.wait_for_end()
    with scene.refusing(0), connected(scene.address) as connection:
        answer = connection.greet(scene.greeting)
        assert answer is not None and answer.kind == WELCOME


def test_clients_have_so_many_places_and_members_their_own(tmp_path: Path) -> None:
    most = 6
    limits = Limits(connections=most, reserve_bytes=0)
    with (
        Cluster(tmp_path, limits=limits, change=with_credentials(tmp_path)) as cluster,
        contextlib.ExitStack() as stack,
    ):
        cluster.wait_until_all_agree()
        # Of two members the one with the higher id connects.
        cluster.kill(3)
        greeting = greeting_of(cluster)
        held = [stack.enter_context(connected(cluster.addresses[1])) for _ in range(most)]
        for connection in held:
            answer = connection.greet(greeting)
            assert answer is not None and answer.kind == WELCOME
        for _ in range(3):
            with connected(cluster.addresses[1]) as connection:
                answer = connection.greet(greeting)
                assert answer is not None and answer.kind == REFUSED and answer.body[0] == TOO_MANY
        strangers = stack.enter_context(Strangers(cluster.addresses[1]))
        cluster.start(3)
        wait_for(lambda: is_connected(cluster, 1, to=3) or None, "a member among strangers")
        strangers.check()
        held[0].socket.close()

        def greeted() -> bool | None:
            connection = stack.enter_context(connected(cluster.addresses[1]))
            answer = connection.greet(greeting)
            return True if answer is not None and answer.kind == WELCOME else None

        wait_for(greeted, "the place of a client that has left")


def test_a_member_that_was_refused_tries_again(tmp_path: Path) -> None:
    with Cluster(tmp_path, change=with_credentials(tmp_path)) as cluster:
        cluster.wait_until_all_agree()
        cluster.kill(3)
        wrong = tmp_path / "wrong.secret"
        wrong.write_bytes(b"w" * 64)
        config = cluster.configs[3]
        others = tuple(one for one in config.credentials if one.role is not CredentialRole.PEER)
        peer = next(one for one in config.credentials if one.role is CredentialRole.PEER)
        replaced = msgspec.structs.replace(peer, secret_file=str(wrong))
        cluster.configure(msgspec.structs.replace(config, credentials=(*others, replaced)))
        cluster.start(3)
        wait_for(
            lambda: cluster.counters(1).values["connections_refused"] >= 4 or None,
            "the fourth try of a member that is refused",
        )
        assert not is_connected(cluster, 1, to=3)
        cluster.kill(3)
        cluster.configure(config)
        cluster.start(3)
        cluster.wait_until_all_agree()


class Strangers:
    """Connections that say nothing, one after another as fast as they are taken, and each held for a while."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._place = (host, int(port))
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._made = 0

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._made > 2 * GREETING_MAX or None, "many strangers")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def check(self) -> None:
        """They are at it still."""
        made = self._made
        wait_for(lambda: self._made > made or None, "another stranger")

    def _run(self) -> None:
        held: deque[socket.socket] = deque()
        while not self._is_over.is_set():
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(self._place, timeout=WAIT_S))
                self._made += 1
            while len(held) > HELD_MAX:
                held.popleft().close()
        for one in held:
            one.close()


def is_connected(cluster: Cluster, node: int, *, to: int) -> bool:
    """Say whether a node has a connection to another member."""
    status = cluster.status(node)
    return status is not None and any(one.id == to and one.is_connected for one in status.members)
