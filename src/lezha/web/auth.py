"""Who is asking: a token for tools, as bearer or as the password of its name, a session cookie for browsers."""

import asyncio
import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from lezha.access import tokens as access_tokens
from lezha.access.rights import Principal, Right, Role
from lezha.flows.witness import Who, Witness
from lezha.node.clock import later, utc_now
from lezha.store import certificates, sessions, tokens
from lezha.store.log import Log, Tx
from lezha.web import source
from lezha.web.entrance import client_certificate

SESSION_S: Final = 12 * 3600
_MAX_SESSIONS: Final = 1000
_ASK: Final = {"WWW-Authenticate": 'Bearer realm="lezha"'}
_ASK_TOOLS: Final = {"WWW-Authenticate": 'Basic realm="lezha", charset="UTF-8", Bearer realm="lezha"'}
_LONGEST_BASIC: Final = 1000
_PATIENCE: Final = 5
"""Failures from one place in one minute that are answered at once; each one more waits twice as long."""
_SLOW_S, _SLOWEST_S = 0.05, 0.25
Attendance = dict[str, float]
"""When this process last heard of each sensor, in seconds since 1970."""


class Sessions:
    """The browsers that are signed in, in any process of the node.

    A session ends after 12 hours, when its browser signs out, or at once when its token is revoked.
    """

    def __init__(self, cookie: str, log: Log, now: Callable[[], str] = utc_now) -> None:
        self.cookie: Final = cookie
        self._log = log
        self._now = now

    async def begin(self, principal: Principal) -> str:
        """Return the secret of a new session."""
        key = secrets.token_urlsafe(32)
        ends = later(self._now(), seconds=SESSION_S)

        def work(tx: Tx) -> None:
            sessions.begin(tx, access_tokens.digest(key), principal.id, ends, _MAX_SESSIONS)
            tx.event("signed in", principal.name, principal.name, role=principal.role.value)

        await self._log.write(work)
        return key

    async def end(self, key: str, principal: Principal) -> None:
        """Forget a session."""

        def work(tx: Tx) -> None:
            sessions.end(tx, access_tokens.digest(key))
            tx.event("signed out", principal.name, principal.name)

        await self._log.write(work)

    def principal(self, key: str) -> Principal | None:
        """Return whose session this is, or None."""
        if not key:
            return None
        with self._log.read() as conn:
            kept = sessions.token(conn, access_tokens.digest(key), self._now())
        return None if kept is None else Principal(kept.id, kept.name, kept.role)


def principal(log: Log, presented: str) -> Principal | None:
    """Return whose token this is, or None.

    Nothing is remembered of it: a token that is revoked ends at once, and to look one up costs less than to parse the
    request (`access.tokens` tells why no slow hash is needed).
    """
    parts = access_tokens.split(presented)
    if parts is None:
        return None
    token_id, secret = parts
    with log.read() as conn:
        kept = tokens.get(conn, token_id)
    if kept is None or kept.revoked or not access_tokens.matches(secret, kept.digest):
        return None
    return Principal(kept.id, kept.name, kept.role, kept.clearance)


def by_certificate(log: Log, der: bytes) -> Principal | None:
    """Return who shows this certificate, or None; OpenSSL has checked that it holds the key."""
    with log.read() as conn:
        bound = certificates.token(conn, hashlib.sha256(der).hexdigest())
        kept = tokens.get(conn, bound) if bound else None
    return None if kept is None or kept.revoked else Principal(kept.id, kept.name, kept.role, kept.clearance)


def by_password(log: Log, presented: str) -> Principal | None:
    """Return who presents Basic credentials (RFC 7617): the name of a token and the token; or None."""
    try:
        if len(presented) > _LONGEST_BASIC:
            return None
        name, _, password = base64.b64decode(presented, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    found = principal(log, password)
    return found if found is not None and found.name == name else None


class Authentication(AbstractAuthenticationMiddleware):
    """Put the principal, or None, into each request; the guards decide."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Read the bearer token, or else the session cookie."""
        log: Log = connection.app.state.log
        held: Sessions = connection.app.state.sessions
        scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
        read = _SCHEMES.get(scheme.lower())
        if read is not None:
            user = read(log, presented.strip())
            if user is None:
                witness: Witness = connection.app.state.witness
                before = await witness.refused(source.of(connection.scope), "an unknown or revoked token")
                await _slow_down(before)
            elif user.role is Role.SENSOR:
                attendance: Attendance = connection.app.state.attendance
                attendance[user.name] = time.time()
            return AuthenticationResult(user=user, auth="token")
        if der := client_certificate(connection):
            return AuthenticationResult(user=by_certificate(log, der), auth="certificate")
        user = held.principal(connection.cookies.get(held.cookie, ""))
        return AuthenticationResult(user=user, auth="session")


_SCHEMES: Final = {"bearer": principal, "basic": by_password}


async def _slow_down(before: int) -> None:
    """Let who fails again and again wait, and nobody else."""
    if before >= _PATIENCE:
        await asyncio.sleep(min(_SLOWEST_S, _SLOW_S * 2.0 ** min(before - _PATIENCE, 10)))


def still_valid(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Say whether the token or the session that began a request is good yet: what waits or goes on asks again."""
    user: Principal = connection.user
    if connection.auth == "session":
        held: Sessions = connection.app.state.sessions
        present = held.principal(connection.cookies.get(held.cookie, ""))
        return present is not None and present.id == user.id
    log: Log = connection.app.state.log
    with log.read() as conn:
        kept = tokens.get(conn, user.id)
    return kept is not None and not kept.revoked


def check_still_valid(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse a request whose token or session ended while it waited. Raises NotAuthorizedException."""
    if not still_valid(connection):
        raise NotAuthorizedException("The token ended while this request waited.", headers=_ASK)


def who(connection: ASGIConnection[Any, Any, Any, Any]) -> Who:
    """Return who asks, and from where, as looks are written down."""
    return Who(connection.user.name, source.of(connection.scope))


def question(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return what is asked, as looks are written down: what the query says."""
    return "&".join(f"{name}={value}" for name, value in connection.query_params.multi_items() if value)


def needs(right: Right) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Return a guard: only principals to whom the table of rights gives `right` may pass."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        user: Principal | None = connection.user
        if user is None:
            asked = _ASK_TOOLS if right in (Right.COLLECT, Right.POST) else _ASK
            raise NotAuthorizedException("A valid token is needed.", headers=asked)
        if not user.may(right):
            raise PermissionDeniedException(f"The token {user.name!r} ({user.role.value}) may not do this.")
        # A page of another site can't make a signed-in browser change anything here.
        if connection.auth == "session" and connection.scope.get("method") not in ("GET", "HEAD"):
            _same_origin(connection)

    return guard


def _same_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    origin = connection.headers.get("origin", "")
    if origin.partition("://")[2] != connection.headers.get("host", ""):
        raise PermissionDeniedException("This came from another site.")
