"""Errors of the rooms below as HTTP answers: a page for a browser, for tools a JSON body with `title` and details."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Template
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DataError

from lezha.federation.errors import EnrolmentError, LinkFault, Refused
from lezha.flows.errors import FlowError, Isolated, NothingTaken, Stopped
from lezha.store.errors import Conflict, NoRoom, NotFound, StoreError
from lezha.taxii import media
from lezha.taxii.errors import TaxiiError
from lezha.taxii.resources import ErrorMessage
from lezha.web import parameters

_logger = structlog.get_logger()
_STATUS: Final[dict[type[Exception], int]] = {
    NotFound: 404,
    Conflict: 409,
    EnrolmentError: 409,
    Refused: 422,
    Isolated: 503,
    FlowError: 422,
    LinkFault: 502,
    NoRoom: 507,
    StoreError: 503,
}
_HEADINGS: Final = {
    400: "This can't be read",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    500: "This node made a mistake",
    503: "Not now",
    507: "No room",
}
# Litestar's own words for these are an URL or a phrase of the protocol.
_SENTENCES: Final = {
    404: "There is no such page or object on this node.",
    405: "This address can't be used in that way.",
    413: "This is larger than what is taken here in one request: send it in parts.",
}


def told(
    request: Request[Any, Any, Any],
    status: int,
    title: str,
    *,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, object] | None = None,
) -> Response[Any]:
    """Return an error as a page if a browser asks for one, else as JSON."""
    if request.url.path.startswith("/taxii2"):
        message = ErrorMessage(title, str(status))
        return Response(
            msgspec.json.encode(message),
            status_code=status,
            headers=dict(headers) if headers else None,
            media_type=media.TAXII,
        )
    if _wants_page(request):
        heading = _HEADINGS.get(status, "This did not work")
        context = {"heading": heading, "sentence": title}
        return Template("problem.html", context=context, status_code=status)
    return Response(
        {"title": title, **(details or {})},
        status_code=status,
        headers=dict(headers) if headers else None,
        media_type=MediaType.JSON,
    )


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    pages = request.app.template_engine is not None and not request.url.path.startswith("/api")
    return pages and "text/html" in request.headers.get("accept", "")


def _ours(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    details: dict[str, object] = {}
    if isinstance(error, NothingTaken):
        details["rejected"] = msgspec.to_builtins(error.rejected)
    if isinstance(error, Stopped):
        details["warnings"] = msgspec.to_builtins(error.warnings)
    if isinstance(error, Refused):
        details["code"] = error.code
    return told(request, status, str(error), details=details)


def _taxii(request: Request[Any, Any, Any], error: TaxiiError) -> Response[Any]:
    return told(request, error.status, str(error))


def _not_kept(request: Request[Any, Any, Any], error: DataError) -> Response[Any]:
    """Refuse what no database keeps; PostgreSQL, for one, keeps no NUL in a text."""
    _logger.warning("web.not_kept", path=request.url.path, reason=str(error.orig))
    return told(request, 400, "This holds a character or a number that the database can't keep.")


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    sentence = error.detail
    if isinstance(error, ValidationException):
        sentence = parameters.sentence(request, error)
    else:
        sentence = _SENTENCES.get(error.status_code, sentence)
    return told(request, error.status_code, sentence, headers=error.headers)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    _logger.error("web.error", path=request.url.path, exc_info=error)
    return told(request, 500, "This node made a mistake; it is in its log.")


HANDLERS: Final[ExceptionHandlersMap] = {
    **dict.fromkeys(_STATUS, _ours),
    TaxiiError: _taxii,
    DataError: _not_kept,
    HTTPException: _http,
    Exception: _unexpected,
}
