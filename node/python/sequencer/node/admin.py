"""The admin endpoint as an ASGI application: the paths, who may use them, and the one form of every refusal."""

import hmac
import logging
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Guard

from sequencer.errors import UnavailableError
from sequencer.node.admin_routes import ROUTES, RefusedError, Surface, http_status
from sequencer.node.native import Refusal

logger = logging.getLogger(__name__)

_BODY_BYTES_MAX = 64 * 1024
_READS = {"GET", "HEAD", "OPTIONS"}
_KINDS = {
    400: "malformed",
    401: "not_authorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def make_admin(surface: Surface | None, *, token: str | None) -> Litestar:
    """Make the application.

    Args:
        surface: What the handlers work on; None for an application that is only described.
        token: What every request but the two probes must bear; None where only this machine can connect, or where the
            node is configured `insecure`.
    """

    def provide_surface() -> Surface | None:
        return surface

    return Litestar(
        route_handlers=ROUTES,
        dependencies={"surface": Provide(provide_surface, sync_to_thread=False)},
        guards=[make_guard(token)],
        exception_handlers={
            RefusedError: _refused,
            UnavailableError: _unavailable,
            HTTPException: _http_error,
            Exception: _failed,
        },
        openapi_config=OpenAPIConfig(
            title="Sequencer node",
            version=version("sequencer"),
            description="How one node stands, and changes to its cluster. Positions are in bytes from the log's start.",
            path="/openapi",
            render_plugins=[JsonRenderPlugin(path="/v1.json")],
            components=Components(
                security_schemes={
                    "token": SecurityScheme(
                        type="http",
                        scheme="bearer",
                        description="The content of `admin_token_file`; not asked for where none is configured.",
                    )
                }
            ),
            security=[{"token": []}],
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
        request_max_body_size=_BODY_BYTES_MAX,
        logging_config=None,
    )


def describe_admin(application: Litestar) -> bytes:
    """Render the OpenAPI document of the endpoint as indented JSON, the same on each call."""
    return msgspec.json.format(msgspec.json.encode(application.openapi_schema.to_schema()), indent=1) + b"\n"


def make_guard(token: str | None) -> Guard:
    """Make what is asked before each handler: whether the request may come through."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("is_open"):
            return
        if token is not None:
            given = connection.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                raise NotAuthorizedException(
                    "The request bears no token, or not this node's; send `Authorization: Bearer TOKEN`.",
                    headers={"www-authenticate": "Bearer"},
                )
        elif connection.scope.get("method") not in _READS and "origin" in connection.headers:
            # Without a token, a page in a browser on this machine could give orders in the user's name.
            raise PermissionDeniedException(
                "Requests from web pages are refused while no token is configured."
            )

    return guard


def _refused(_: Request[Any, Any, Any], error: RefusedError) -> Response[Refusal]:
    return Response(error.refusal, status_code=http_status(error.refusal))


def _unavailable(_: Request[Any, Any, Any], error: UnavailableError) -> Response[Refusal]:
    refusal = Refusal(kind="unavailable", message=str(error), is_retryable=True)
    return Response(
        refusal, status_code=503, headers={"retry-after": f"{max(1, round(error.retry_after_s))}"}
    )


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[Refusal]:
    kind = _KINDS.get(error.status_code, "failed")
    facts = {"errors": error.extra} if getattr(error, "extra", None) else {}
    refusal = Refusal(kind=kind, message=error.detail, is_retryable=False, facts=facts)
    return Response(refusal, status_code=error.status_code, headers=error.headers)


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[Refusal]:
    logger.error("an admin request failed", exc_info=error, extra={"facts": {"path": request.url.path}})
    message = f"The node's admin endpoint failed ({type(error).__name__}); its log says more."
    return Response(Refusal(kind="failed", message=message, is_retryable=False), status_code=500)
