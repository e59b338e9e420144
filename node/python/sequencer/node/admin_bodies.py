"""What admin requests and their answers hold."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from sequencer.node.config import NODE_ID_MAX
from sequencer.node.logs import LogLevel

EXACT_MAX = 2**53 - 1
"""The largest number that every reader of JSON keeps exact; no log gets that long."""

U32_MAX = 2**32 - 1
LEASE_TIMEOUT_MS_MAX = 3_600_000


class Lease(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On whose authority a change is made, and which of its changes this is.

    A lease is a session in the log. Whoever takes it raises its epoch; a change of an older epoch is refused with
    `stale_epoch`. Operations count from the `next_operation` of the taking; one that is sent again is not done again.
    """

    session: Annotated[int, Meta(ge=1, le=U32_MAX)]
    epoch: Annotated[int, Meta(ge=1, le=U32_MAX)]
    operation: Annotated[int, Meta(ge=1, le=EXACT_MAX, description="The number of this operation.")]


class LeaseTake(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a lease: from now on whoever held it before can change nothing."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="Name of the lease.")] = "operator"
    timeout_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=LEASE_TIMEOUT_MS_MAX,
            description="Unused for this long, the lease must be taken again.",
        ),
    ] = 60_000


class LeaseTaken(Struct, frozen=True, kw_only=True):
    """A lease that was taken."""

    session: int
    epoch: int
    next_operation: Annotated[int, Meta(description="The number that the first operation must bear.")]
    ok: bool = True


class Transfer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hand leadership over."""

    to: Annotated[
        Annotated[int, Meta(ge=1, le=NODE_ID_MAX)] | None,
        Meta(description="The voter to lead next; null for the one that is furthest ahead."),
    ] = None
    lease: Lease | None = None


class MemberAdd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Add a learner."""

    id: Annotated[int, Meta(ge=1, le=NODE_ID_MAX, description="An id that was never used.")]
    data: Annotated[UUID, Meta(description="Identity of its data, as in its configuration.")]
    lease: Lease | None = None


class MemberPromote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a learner that has caught up a voter."""

    lease: Lease | None = None


class Trim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give up the log before a position, as far as nothing needs it any more."""

    floor: Annotated[int, Meta(ge=0, le=EXACT_MAX, description="First position that must stay.")]
    lease: Lease | None = None


class ClaimGiveUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decide that what this node may have acknowledged and lost is lost. Only when no other way is left."""

    term: Annotated[int, Meta(ge=0, le=EXACT_MAX, description="As the status says.")]
    position: Annotated[int, Meta(ge=0, le=EXACT_MAX, description="As the status says.")]
    lease: Lease | None = None


class LogLevelSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the process logs."""

    level: LogLevel


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether the node serves."""

    is_ready: bool
    reason: Annotated[str, Meta(description="One sentence for people.")]
