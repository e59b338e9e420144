"""What one node is told: frozen structs, each field with its meaning, unit, default and bound.

The same tree is a TOML file for people and JSON for the native node; `docs/reference/node-config.md` is generated from
it. Bounds of one field stand here; how fields must fit together is in `config_check`.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

NODE_ID_MAX = 2**32 - 2
"""The ids 0 and 2**32 - 1 stand for nobody and everybody."""

ADDRESS_BYTES_MAX = 255
IDENTITY_BYTES_MAX = 64
VOTERS_MAX = 9
PAYLOAD_BYTES_MAX = 2**20 - 48
"""One frame has at most 1 MiB, its header 48 bytes."""

BLOCK_BYTES_MIN = 64 * 1024
"""The log is held in memory in blocks of this size, or of the largest frame where that is more."""

GIB = 2**30
MIB = 2**20
ELECTION_TIMEOUT_MS_MAX = 3_600_000

NodeNumber = Annotated[int, Meta(ge=1, le=NODE_ID_MAX)]
Bytes = Annotated[int, Meta(extra={"unit": "bytes"})]
Milliseconds = Annotated[int, Meta(extra={"unit": "ms"})]


class Durability(StrEnum):
    """What an acknowledgement promises."""

    FSYNC = "fsync"
    """A majority has the message on disk."""
    MEMORY = "memory"
    """A majority has it in the memory of the machine, which survives the process and not the machine."""


class Idle(StrEnum):
    """How the hot loop waits for work."""

    WAIT = "wait"
    """It sleeps until something happens: no load when idle, some microseconds to wake up."""
    YIELD = "yield"
    """It looks again and again and lets others run in between."""
    SPIN = "spin"
    """It looks again and again; give it a core of its own."""


class CredentialRole(StrEnum):
    """What the bearer of a credential may connect as."""

    PEER = "peer"
    """Another member of the cluster."""
    CLIENT = "client"
    """A publisher or a reader."""
    OPERATOR = "operator"
    """One that may change the cluster besides."""


class Founder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One voter that the cluster began with."""

    id: Annotated[NodeNumber, Meta(description="Its id.")]
    data: Annotated[UUID, Meta(description="The identity of its data.")]


class PeerAddress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where another member listens."""

    id: Annotated[NodeNumber, Meta(description="Its id.")]
    address: Annotated[
        str, Meta(description="Where it listens, as host:port.", extra={"bytes_max": ADDRESS_BYTES_MAX})
    ]


# In the file the field is called `class`, which Python keeps for itself.
class Credential(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """A name, the secret that proves it, and what its bearer may be."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            description="The name that the other side gives; each once.",
            extra={"bytes_max": IDENTITY_BYTES_MAX},
        ),
    ]
    secret_file: Annotated[
        str,
        Meta(
            min_length=1,
            description="A file with the secret, at least 32 random bytes; white space around it does not count. "
            "The secret itself never crosses the wire.",
        ),
    ]
    role: Annotated[CredentialRole, Meta(description="What its bearer may connect as.")]
    class_: Annotated[
        int,
        Meta(ge=0, le=65534, description="Class of the sessions that it opens, by which schemas are owned."),
    ] = 0


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what the node holds; what exceeds one is refused with a typed error."""

    sessions: Annotated[
        int, Meta(ge=1, le=16_000_000, description="Sessions that are kept, idle ones included.")
    ] = 100_000
    connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections of clients and operators at one time; members have places of their own.",
        ),
    ] = 1024
    segment_bytes: Annotated[
        Bytes,
        Meta(
            ge=128 * 1024,
            le=16 * GIB,
            multiple_of=512,
            description="Size of one file of the log. It is fixed when the log is formatted.",
        ),
    ] = 64 * MIB
    reserve_bytes: Annotated[
        Bytes,
        Meta(
            ge=0,
            le=2**62,
            description="Free space on the disk below which messages are refused, so that consensus and trim go on.",
        ),
    ] = GIB
    snapshot_every_bytes: Annotated[
        Bytes,
        Meta(
            ge=1,
            le=2**62,
            description="Log after which another snapshot of the core is taken; a start replays about that much.",
        ),
    ] = 256 * MIB
    retain_bytes: Annotated[
        Bytes,
        Meta(
            ge=0,
            le=2**62,
            description="Log that the leader keeps behind the commit position before it trims by itself, as far as "
            "nothing else needs the log; 0 means that only a command trims.",
        ),
    ] = 0
    buffer_bytes: Annotated[
        Bytes,
        Meta(
            ge=MIB,
            le=16 * GIB,
            description="The end of the log that is held in memory, taken at start; a follower or subscriber further "
            "behind is served from files.",
        ),
    ] = 32 * MIB
    uncommitted_bytes: Annotated[
        Bytes,
        Meta(
            ge=BLOCK_BYTES_MIN,
            le=8 * GIB,
            description="Admitted and not yet committed; above it the leader takes nothing more.",
        ),
    ] = 8 * MIB
    inflight_bytes: Annotated[
        Bytes,
        Meta(
            ge=BLOCK_BYTES_MIN,
            le=8 * GIB,
            description="Sent to one follower and not yet acknowledged; above it that follower is sent nothing more.",
        ),
    ] = 8 * MIB
    payload_bytes: Annotated[
        Bytes,
        Meta(ge=1, le=PAYLOAD_BYTES_MAX, description="The largest message. The same on all members."),
    ] = 1_048_000


class Timing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time-outs of consensus; the same on all members."""

    election_timeout_ms: Annotated[
        Milliseconds,
        Meta(
            ge=3,
            le=ELECTION_TIMEOUT_MS_MAX,
            description="Without a leader for one to two times this, a follower campaigns.",
        ),
    ] = 300
    heartbeat_ms: Annotated[
        Milliseconds,
        Meta(
            ge=1,
            le=ELECTION_TIMEOUT_MS_MAX // 3,
            description="Between two heartbeats of a leader; at most a third of `election_timeout_ms`.",
        ),
    ] = 50


class NodeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of a cluster."""

    cluster: Annotated[UUID, Meta(description="The cluster it belongs to; the same on all members.")]
    node: Annotated[
        NodeNumber,
        Meta(description="Its id. Never given to another node, nor to this one after it lost its data."),
    ]
    data: Annotated[
        UUID,
        Meta(
            description="The identity of its data. `sequencer node --init` writes it into the log, "
            "and each start checks it."
        ),
    ]
    directory: Annotated[
        str,
        Meta(
            min_length=1,
            description="Where its log and counters are. A relative path starts where the configuration file is.",
        ),
    ]
    listen: Annotated[
        str,
        Meta(
            description="Where members and clients connect, as host:port; port 0 takes a free one.",
            extra={"bytes_max": ADDRESS_BYTES_MAX},
        ),
    ]
    advertise: Annotated[
        str,
        Meta(
            description="Where others are told to connect, as host:port; empty means `listen`. Needed when `listen` "
            "names every interface.",
            extra={"bytes_max": ADDRESS_BYTES_MAX},
        ),
    ] = ""
    admin: Annotated[
        str, Meta(description="Where the admin HTTP endpoint listens, as host:port; empty for none.")
    ] = "127.0.0.1:7401"
    admin_token_file: Annotated[
        str,
        Meta(
            description="A file with the token that admin requests must bear, at least 32 bytes. Needed unless `admin` "
            "is a loopback address or `insecure` is true. `/healthz` and `/readyz` never ask for it."
        ),
    ] = ""
    durability: Annotated[
        Durability, Meta(description="What an acknowledgement promises. The same on all members.")
    ] = Durability.FSYNC
    idle: Annotated[Idle, Meta(description="How the hot loop waits for work.")] = Idle.WAIT
    insecure: Annotated[
        bool,
        Meta(
            description="No credentials are asked for; the status shows it. Only where nobody else can connect."
        ),
    ] = False
    founders: Annotated[
        tuple[Founder, ...],
        Meta(
            max_length=VOTERS_MAX,
            description="The voters that the cluster began with; the same on all of them. A node that joins later may "
            "leave it empty.",
        ),
    ] = ()
    peers: Annotated[
        tuple[PeerAddress, ...],
        Meta(description="Where other members listen; the node's own entry is ignored."),
    ] = ()
    credentials: Annotated[
        tuple[Credential, ...],
        Meta(
            description="Who may connect, and as what. One of role `peer` is needed unless `insecure` is true."
        ),
    ] = ()
    limits: Annotated[Limits, Meta(description="Bounds of what the node holds.")] = Limits()
    timing: Annotated[Timing, Meta(description="Time-outs of consensus.")] = Timing()
