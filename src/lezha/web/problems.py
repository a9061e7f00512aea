"""Errors of the rooms below as HTTP answers: a JSON body with `title`, and details where there are any."""

from typing import Any, Final

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from lezha.federation.errors import EnrolmentError, LinkFault, Refused
from lezha.flows.errors import FlowError, NothingTaken
from lezha.store.errors import Conflict, NotFound, StoreError

_logger = structlog.get_logger()
_STATUS: Final[dict[type[Exception], int]] = {
    NotFound: 404,
    Conflict: 409,
    EnrolmentError: 409,
    Refused: 422,
    FlowError: 422,
    LinkFault: 502,
    StoreError: 503,
}


def _told(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    body: dict[str, object] = {"title": str(error)}
    if isinstance(error, NothingTaken):
        body["rejected"] = msgspec.to_builtins(error.rejected)
    if isinstance(error, Refused):
        body["code"] = error.code
    return Response(body, status_code=status, media_type=MediaType.JSON)


def _http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return Response(
        {"title": error.detail},
        status_code=error.status_code,
        headers=error.headers,
        media_type=MediaType.JSON,
    )


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    _logger.error("web.error", path=request.url.path, exc_info=error)
    title = "This node made a mistake; it is in its log."
    return Response({"title": title}, status_code=500, media_type=MediaType.JSON)


HANDLERS: Final[ExceptionHandlersMap] = {
    **dict.fromkeys(_STATUS, _told),
    HTTPException: _http,
    Exception: _unexpected,
}
