"""How a node stands, as its native part says it and `GET /v1/status` serves it.

Fields that a newer node adds are passed over, so that tools of one release can ask nodes of the next.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from sequencer.node.config import Durability, Idle


class Role(StrEnum):
    """A node's part in the current term."""

    LEADER = "leader"
    """Admits messages and replicates them."""
    FOLLOWER = "follower"
    """Follows a leader, or waits for one."""
    PRE_CANDIDATE = "pre_candidate"
    """Asks whether a campaign could succeed."""
    CANDIDATE = "candidate"
    """Asks for votes."""
    HALTED = "halted"
    """Takes part in nothing after its storage failed."""


class MemberRole(StrEnum):
    """A member's part in the cluster."""

    VOTER = "voter"
    """Counts for majorities."""
    LEARNER = "learner"
    """Receives the log, and counts for nothing yet."""


class Positions(Struct, frozen=True, kw_only=True):
    """How far the node's log reaches, in bytes from the start of the log."""

    start: Annotated[int, Meta(description="First position that is still stored.")]
    snapshot: Annotated[
        int, Meta(description="Position of the newest saved snapshot of the core; 0 for none.")
    ]
    commit: Annotated[int, Meta(description="Everything before it is committed, as far as this node knows.")]
    durable: Annotated[int, Meta(description="Everything before it is durable here.")]
    end: Annotated[int, Meta(description="End of the log in memory.")]


class Member(Struct, frozen=True, kw_only=True):
    """One member, by the newest list that the node knows."""

    id: int
    role: MemberRole
    data: Annotated[UUID, Meta(description="Identity of its data.")]
    address: Annotated[str | None, Meta(description="Where it listens, if this node knows.")] = None
    matched: Annotated[
        int | None, Meta(description="Position up to which it has acknowledged the log; known to the leader.")
    ] = None
    is_connected: Annotated[bool, Meta(description="Whether this node has a connection to it.")] = False


class Claim(Struct, frozen=True, kw_only=True):
    """What the node may have acknowledged and lost; it does not vote below that."""

    term: int
    position: int
    damaged: bool = False


class Clock(Struct, frozen=True, kw_only=True):
    """How the log's time and the wall clock differ."""

    held_back_ns: Annotated[int, Meta(description="Timestamps are this far behind the wall clock.")] = 0
    ahead_ns: Annotated[int, Meta(description="Timestamps are this far ahead of the wall clock.")] = 0


class DiskRoom(Struct, frozen=True, kw_only=True):
    """Room on the disk that holds the log."""

    free_bytes: int = 0
    is_low: Annotated[bool, Meta(description="The reserve is reached: messages are refused.")] = False


class NodeStatus(Struct, frozen=True, kw_only=True):
    """How one node stands."""

    cluster: UUID
    node: int
    data: Annotated[UUID, Meta(description="Identity of its data.")]
    role: Role
    term: int
    leader: Annotated[int | None, Meta(description="Whom it follows, itself included.")] = None
    leader_address: str | None = None
    admits: Annotated[bool, Meta(description="It leads and takes messages.")] = False
    positions: Positions
    durability: Durability
    idle: Idle
    insecure: Annotated[bool, Meta(description="No credentials are asked for.")] = False
    is_voter: bool
    is_caught_up: Annotated[
        bool, Meta(description="It leads and admits, or follows a leader and has all that is committed.")
    ]
    claim: Claim | None = None
    members: tuple[Member, ...] = ()
    handing_over_to: Annotated[int | None, Meta(description="Who is to lead next, while it is told.")] = None
    clock: Clock = Clock()
    disk: DiskRoom = DiskRoom()
    sessions: Annotated[int, Meta(description="Sessions in the log, idle ones included.")] = 0
    connections: Annotated[int, Meta(description="Connections of clients.")] = 0
    subscribers: Annotated[int, Meta(description="Connections that follow the log.")] = 0
    uptime_s: float = 0.0


_DECODER = msgspec.json.Decoder(NodeStatus)


def decode_status(data: bytes) -> NodeStatus:
    """Decode what `Node.status` returns.

    Raises:
        msgspec.ValidationError: It is not a status; the two parts of this package are of different releases.
    """
    return _DECODER.decode(data)


def is_ready(status: NodeStatus) -> bool:
    """Say whether the node serves: it leads and admits, or follows a leader and has what is committed."""
    match status.role:
        case Role.LEADER:
            return status.is_caught_up and status.handing_over_to is None
        case Role.FOLLOWER:
            return status.leader is not None and status.is_caught_up
        case _:
            return False
