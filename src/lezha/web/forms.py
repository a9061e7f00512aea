"""Signing in and out of the pages: a token is shown once and becomes a session cookie."""

import asyncio
from typing import Any, Final

import structlog
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from lezha.access.rights import Principal, Right
from lezha.flows.witness import Witness
from lezha.node.identity import Identity
from lezha.store.log import Log
from lezha.web import source, words
from lezha.web.auth import SESSION_S, Sessions, needs, principal

# A wrong token costs this long: one can't be guessed, but a script's mistake should not keep the node busy.
WRONG_S: Final = 0.5
_MAX_FORM: Final = 16 * 1024
_logger = structlog.get_logger()
_Request = Request[Principal | None, str, Any]


@get("/sign-in")
async def sign_in_form(
    request: _Request,
    identity: NamedDependency[Identity],
    next: FromQuery[str] = "/",  # noqa: A002  # the name in the query string
) -> Template | Redirect:
    """Ask for a token."""
    target = words.local(next)
    if request.user is not None and request.user.may(Right.LOOK):
        return Redirect(target, status_code=303)
    return _form(identity, target)


@post("/sign-in", status_code=200, request_max_body_size=_MAX_FORM)
async def sign_in(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    sessions: NamedDependency[Sessions],
    witness: NamedDependency[Witness],
    data: URLEncodedBody[dict[str, str]],
) -> Template | Redirect:
    """Take a token and begin a session; nothing of the token is kept in a log or a URL."""
    # As auth.needs does for sessions: another site must not sign a browser in here under a token of its own.
    if request.headers.get("origin", "").partition("://")[2] != request.headers.get("host", ""):
        raise PermissionDeniedException("This came from another site.")
    target = words.local(data.get("next", "/"))
    user = principal(log, data.get("token", "").strip())
    if user is None:
        _logger.warning("sign_in.refused", client=request.client.host if request.client else "")
        await witness.refused(source.of(request.scope), "an unknown or revoked token")
        await asyncio.sleep(WRONG_S)
        return _form(identity, target, "This token is not known here, or it has been revoked.", 401)
    if not user.may(Right.LOOK):
        _logger.warning("sign_in.no_right", name=user.name, role=user.role.value)
        await witness.refused(source.of(request.scope), f"the token {user.name} may not look")
        fault = (
            f"{user.name} is a token for the role {user.role.value}, which may not look at these pages. "
            "Use an analyst's, a coordinator's or an administrator's."
        )
        return _form(identity, target, fault, 403)
    _logger.info("sign_in", name=user.name, role=user.role.value)
    key = await sessions.begin(user)
    return Redirect(target, status_code=303, cookies=[_cookie(request, sessions, key, SESSION_S)])


@post("/sign-out", guards=[needs(Right.LOOK)], status_code=303)
async def sign_out(request: Request[Principal, str, Any], sessions: NamedDependency[Sessions]) -> Redirect:
    """End the session."""
    await sessions.end(request.cookies.get(sessions.cookie, ""), request.user)
    return Redirect("/sign-in", status_code=303, cookies=[_cookie(request, sessions, "", 0)])


def _form(identity: Identity, target: str, fault: str = "", status: int = 200) -> Template:
    return Template(
        "sign-in.html",
        context={
            "node": identity.known.document,
            "user": None,
            "here": "/sign-in",
            "now": "",
            "stream": False,
            "scripts": False,
            "footnote": False,
            "next": target,
            "fault": fault,
        },
        status_code=status,
    )


def _cookie(request: Request[Any, str, Any], sessions: Sessions, value: str, seconds: int) -> Cookie:
    # On loopback there is plain HTTP and nobody in between; anywhere else a proxy speaks TLS for the node, and the
    # browser says so (Fetch, "append a request Origin header"), whichever proxies are believed.
    return Cookie(
        key=sessions.cookie,
        value=value,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", "").startswith("https://"),
    )
