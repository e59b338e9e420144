"""The paths of the admin endpoint. Each handler asks the native node one thing and says what came of it."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation
from prometheus_client import CollectorRegistry

from sequencer.errors import RejectedError, UnavailableError
from sequencer.node import logs, metrics
from sequencer.node.admin_bodies import (
    ClaimGiveUp,
    Lease,
    LeaseTake,
    LeaseTaken,
    LogLevelSet,
    MemberAdd,
    MemberPromote,
    Readiness,
    Transfer,
    Trim,
)
from sequencer.node.config import NODE_ID_MAX
from sequencer.node.native import Done, NativeNode, Refusal, decode_answer, read_status
from sequencer.node.status import NodeStatus, is_ready
from sequencer.node.watch import Watch

COMMAND_TIMEOUT_S = 10.0

# Wrong as they stand, whatever the cluster does.
_BAD_REQUESTS = {"malformed", "out_of_range", "reserved_kind", "too_large"}
# The node cannot do it now; everything else conflicts with how the cluster stands.
_NOT_NOW = {"backpressure", "handing_over", "log_full", "not_ready", "unavailable"}


@dataclass(frozen=True)
class Surface:
    """What the handlers work on."""

    node: NativeNode
    watch: Watch
    registry: CollectorRegistry


class RefusedError(Exception):
    """The cluster refused; becomes a response with the refusal as its body."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def http_status(refusal: Refusal) -> int:
    """Choose the status: 400 wrong as it stands, 503 not now, 409 in conflict with how the cluster stands."""
    if refusal.kind in _BAD_REQUESTS:
        return 400
    return 503 if refusal.kind in _NOT_NOW else 409


_REFUSALS = {
    400: ResponseSpec(Refusal, description="The request is wrong as it stands.", generate_examples=False),
    409: ResponseSpec(
        Refusal,
        description="It conflicts with how the cluster stands: this node does not lead, the epoch of the lease is "
        "stale, another change is pending, ...",
        generate_examples=False,
    ),
    503: ResponseSpec(
        Refusal,
        description="Not now. After a time-out the command may yet be carried out: send it again with the same lease "
        "and operation.",
        generate_examples=False,
    ),
}
_Surface = NamedDependency[SkipValidation[Surface]]
_LeasePart = Annotated[int | None, QueryParameter(ge=1, description="Part of the lease.")]
_MemberId = Annotated[int, PathParameter(ge=1, le=NODE_ID_MAX, description="Id of the member.")]


@get(
    "/healthz",
    summary="Is this process alive? Says nothing of the cluster.",
    opt={"is_open": True},
    security=[{}],
    media_type=MediaType.TEXT,
    responses={
        503: ResponseSpec(
            str,
            description="The hot loop has not been heard for ten seconds.",
            media_type=MediaType.TEXT,
            generate_examples=False,
        )
    },
)
async def get_health(surface: _Surface) -> Response[str]:
    """Answer while the hot loop runs."""
    if surface.watch.is_alive():
        return Response("ok\n", media_type=MediaType.TEXT)
    silence_s = surface.watch.silence_s()
    return Response(
        f"The hot loop has not answered for {silence_s:.0f} s.\n", status_code=503, media_type=MediaType.TEXT
    )


@get(
    "/readyz",
    summary="Does this node serve? It leads and admits, or follows a leader and has caught up.",
    opt={"is_open": True},
    security=[{}],
    responses={503: ResponseSpec(Readiness, description="It does not.", generate_examples=False)},
    sync_to_thread=True,
)
def get_readiness(surface: _Surface) -> Response[Readiness]:
    """Ask how the node stands now."""
    try:
        status = read_status(surface.node)
    except UnavailableError as error:
        return Response(Readiness(is_ready=False, reason=str(error)), status_code=503)
    leader = "no leader" if status.leader is None else f"leader {status.leader}"
    standing = f"{status.role}, {leader}, {'caught up' if status.is_caught_up else 'not caught up'}"
    readiness = Readiness(is_ready=is_ready(status), reason=f"Node {status.node}: {standing}.")
    return Response(readiness, status_code=200 if readiness.is_ready else 503)


@get(
    "/metrics",
    summary="Metrics in the Prometheus text format.",
    media_type=metrics.CONTENT_TYPE,
    sync_to_thread=True,
)
def get_metrics(surface: _Surface) -> Response[bytes]:
    """Render status, counters and the figures of the process."""
    return Response(metrics.render(surface.registry), media_type=metrics.CONTENT_TYPE)


@get("/v1/status", summary="How this node stands.", responses={503: _REFUSALS[503]}, sync_to_thread=True)
def get_status(surface: _Surface) -> NodeStatus:
    """Ask the hot loop."""
    return read_status(surface.node)


@post(
    "/v1/leader/transfer",
    summary="Hand leadership over.",
    status_code=200,
    responses=_REFUSALS,
    sync_to_thread=True,
)
def transfer_leadership(data: JSONBody[Transfer], surface: _Surface) -> Done:
    """Begin a transfer; the status shows how it goes on."""
    return _command(surface, "transfer", data)


@post("/v1/members", summary="Add a learner.", status_code=200, responses=_REFUSALS, sync_to_thread=True)
def add_member(data: JSONBody[MemberAdd], surface: _Surface) -> Done:
    """Add it to the list of members; answered when that is committed."""
    return _command(surface, "member_add", data)


@post(
    "/v1/members/{member_id:int}/promote",
    summary="Make a learner a voter.",
    status_code=200,
    responses=_REFUSALS,
    sync_to_thread=True,
)
def promote_member(member_id: _MemberId, data: JSONBody[MemberPromote], surface: _Surface) -> Done:
    """Promote it once it has caught up; answered when that is committed."""
    return _command(surface, "member_promote", data, id=member_id)


@delete(
    "/v1/members/{member_id:int}",
    summary="Remove a member. The lease, if any, is given as three query parameters.",
    status_code=200,
    responses=_REFUSALS,
    sync_to_thread=True,
)
def remove_member(
    member_id: _MemberId,
    surface: _Surface,
    session: _LeasePart = None,
    epoch: _LeasePart = None,
    operation: _LeasePart = None,
) -> Done:
    """Remove a voter or learner for good; answered when that is committed."""
    parts = (session, epoch, operation)
    if session is not None and epoch is not None and operation is not None:
        lease: Lease | None = Lease(session=session, epoch=epoch, operation=operation)
    elif parts == (None, None, None):
        lease = None
    else:
        message = "A lease has three parts, session, epoch and operation; give all of them or none."
        raise RefusedError(Refusal(kind="malformed", message=message, is_retryable=False))
    return _command(surface, "member_remove", MemberPromote(lease=lease), id=member_id)


@post(
    "/v1/trim",
    summary="Give up the log before a position.",
    status_code=200,
    responses=_REFUSALS,
    sync_to_thread=True,
)
def trim_log(data: JSONBody[Trim], surface: _Surface) -> Done:
    """Move the trim floor; answered when that is committed."""
    return _command(surface, "trim", data)


@post(
    "/v1/claim/give-up", summary="Give up a claim.", status_code=200, responses=_REFUSALS, sync_to_thread=True
)
def give_up_claim(data: JSONBody[ClaimGiveUp], surface: _Surface) -> Done:
    """Decide that what this node may have acknowledged is lost."""
    return _command(surface, "give_up_claim", data)


@post(
    "/v1/lease",
    summary="Take the lease for changes.",
    status_code=200,
    responses=_REFUSALS,
    sync_to_thread=True,
)
def take_lease(data: JSONBody[LeaseTake], surface: _Surface) -> LeaseTaken:
    """Raise the lease's epoch; answered when that is committed."""
    opened = _command(surface, "lease_take", data).facts
    return LeaseTaken(
        session=opened["session"], epoch=opened["epoch"], next_operation=opened["last_sequence"] + 1
    )


@put("/v1/log-level", summary="Change how much the process logs.")
async def set_log_level(data: JSONBody[LogLevelSet]) -> LogLevelSet:
    """Change it until the next start."""
    logs.set_level(data.level)
    return LogLevelSet(level=logs.current_level())


ROUTES = [
    get_health,
    get_readiness,
    get_metrics,
    get_status,
    transfer_leadership,
    add_member,
    promote_member,
    remove_member,
    trim_log,
    give_up_claim,
    take_lease,
    set_log_level,
]


def _command(surface: Surface, do: str, body: msgspec.Struct, **more: object) -> Done:
    """Have one command carried out.

    Raises:
        RefusedError: It was not; nothing was changed, except that after a time-out it may yet be.
    """
    command: dict[str, Any] = {"do": do, **msgspec.to_builtins(body), **more}
    try:
        answer = decode_answer(surface.node.command(msgspec.json.encode(command), COMMAND_TIMEOUT_S))
    except RejectedError as error:
        raise RefusedError(Refusal(kind="malformed", message=str(error), is_retryable=False)) from error
    if isinstance(answer, Refusal):
        raise RefusedError(answer)
    return answer
