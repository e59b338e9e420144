"""How the fields of a configuration must fit together.

Each rule is a generator of the fields that break it, so that the rules can be read one by one; the first break is
raised.
"""

import ipaddress
from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from sequencer.errors import ConfigError
from sequencer.node.config import (
    ADDRESS_BYTES_MAX,
    BLOCK_BYTES_MIN,
    IDENTITY_BYTES_MAX,
    CredentialRole,
    NodeConfig,
)

FRAME_HEADER_BYTES = 48
FRAME_ALIGNMENT_BYTES = 8
SEGMENT_HEAD_BYTES = 4096

T = TypeVar("T", bound=Hashable)


class Break(NamedTuple):
    """One field that does not fit, and a sentence that says why and what to do."""

    path: str
    message: str


def check_config(config: NodeConfig) -> None:
    """Check what the bound of a single field cannot say.

    Raises:
        ConfigError: Names the first field that does not fit.
    """
    for rule in (_addresses, _identities, _credentials, _admin, _timing, _sizes):
        for found in rule(config):
            raise ConfigError(f"{found.path}: {found.message}", path=found.path)


def split_address(address: str) -> tuple[str, int] | None:
    """Split host:port; brackets around an IPv6 host are taken off. None when it is no such address."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    return (host, int(port)) if colon and host and is_port else None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can connect to `host`; a name other than localhost may resolve to anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Say whether `host` stands for every interface, so that nobody can connect to it by that name."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _addresses(config: NodeConfig) -> Iterator[Break]:
    named = [("listen", config.listen, 0)]
    if config.advertise:
        named.append(("advertise", config.advertise, 1))
    if config.admin:
        named.append(("admin", config.admin, 0))
    named += [(f"peers[{i}].address", peer.address, 1) for i, peer in enumerate(config.peers)]
    for path, address, port_min in named:
        split = split_address(address)
        if split is None or split[1] < port_min:
            yield Break(
                path, f"{address!r} is not host:port; write for example 10.0.0.5:7400 or [fd00::5]:7400."
            )
        elif len(address.encode()) > ADDRESS_BYTES_MAX:
            yield Break(path, f"It has {len(address.encode())} bytes; {ADDRESS_BYTES_MAX} are allowed.")
        elif port_min > 0 and is_wildcard(split[0]):
            yield Break(path, f"Nobody can connect to {address!r}; name the interface that others reach.")
    listen = split_address(config.listen)
    if listen is not None and not config.advertise and is_wildcard(listen[0]):
        yield Break(
            "advertise",
            f"It is empty and `listen` is {config.listen!r}, to which nobody can connect; say by which "
            "host:port others reach this node.",
        )


def _identities(config: NodeConfig) -> Iterator[Break]:
    for path, ids in (
        ("founders", [founder.id for founder in config.founders]),
        ("peers", [peer.id for peer in config.peers]),
    ):
        for number in _repeated(ids):
            yield Break(path, f"Id {number} is named twice; each member is named once.")
    for data in _repeated([founder.data for founder in config.founders]):
        yield Break("founders", f"Two members have the data identity {data}; each has its own.")
    for founder in config.founders:
        if founder.id == config.node and founder.data != config.data:
            yield Break(
                "data",
                f"It is {config.data}, but `founders` gives node {config.node} the identity {founder.data}; "
                "a node that lost its data comes back under a new id.",
            )
        if founder.id != config.node and founder.data == config.data:
            yield Break(
                "data", f"{config.data} is the identity of founder {founder.id}, not of node {config.node}."
            )


def _credentials(config: NodeConfig) -> Iterator[Break]:
    for index, credential in enumerate(config.credentials):
        if len(credential.name.encode()) > IDENTITY_BYTES_MAX:
            path = f"credentials[{index}].name"
            yield Break(
                path, f"It has {len(credential.name.encode())} bytes; {IDENTITY_BYTES_MAX} are allowed."
            )
    for name in _repeated([credential.name for credential in config.credentials]):
        yield Break("credentials", f"The name {name!r} is given twice; each bearer has its own.")
    has_peer = any(credential.role is CredentialRole.PEER for credential in config.credentials)
    if not config.insecure and not has_peer:
        yield Break(
            "credentials",
            "None has the role `peer`, so members could not prove themselves to each other; add one, or set "
            "`insecure = true` where nobody else can connect.",
        )


def _admin(config: NodeConfig) -> Iterator[Break]:
    address = split_address(config.admin) if config.admin else None
    if address is None or config.admin_token_file or config.insecure:
        return
    if not is_loopback(address[0]):
        yield Break(
            "admin_token_file",
            f"It is empty and `admin` is {config.admin!r}, which other machines reach; name a file with a token "
            "of at least 32 random bytes, or listen on 127.0.0.1.",
        )


def _timing(config: NodeConfig) -> Iterator[Break]:
    heartbeat, election = config.timing.heartbeat_ms, config.timing.election_timeout_ms
    if heartbeat * 3 > election:
        yield Break(
            "timing.heartbeat_ms",
            f"It is {heartbeat} ms, more than a third of the election time-out of {election} ms, so that one lost "
            "heartbeat could start an election; make it smaller.",
        )


def _sizes(config: NodeConfig) -> Iterator[Break]:
    limits = config.limits
    frame = -(-(FRAME_HEADER_BYTES + limits.payload_bytes) // FRAME_ALIGNMENT_BYTES) * FRAME_ALIGNMENT_BYTES
    block = max(frame, BLOCK_BYTES_MIN)
    for name, found, least in (
        ("segment_bytes", limits.segment_bytes, block + SEGMENT_HEAD_BYTES),
        ("uncommitted_bytes", limits.uncommitted_bytes, block),
        ("inflight_bytes", limits.inflight_bytes, block),
    ):
        if found < least:
            yield Break(
                f"limits.{name}",
                f"It is {found} bytes, but messages of {limits.payload_bytes} bytes need at least {least}; "
                "raise it, or lower limits.payload_bytes.",
            )
    # Two neighbouring blocks together always hold one block's worth of frames, however those fall.
    sure = limits.buffer_bytes // block // 2 * block
    needed = limits.uncommitted_bytes + 2 * block
    if sure < needed:
        yield Break(
            "limits.buffer_bytes",
            f"It is {limits.buffer_bytes} bytes, but to hold limits.uncommitted_bytes at least "
            f"{2 * (-(-needed // block)) * block} are needed; raise it, or lower limits.uncommitted_bytes.",
        )


def _repeated(values: Iterable[T]) -> Iterator[T]:
    seen: set[T] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)
