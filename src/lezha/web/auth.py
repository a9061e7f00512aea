"""Who is asking: a bearer token for tools, a session cookie for browsers."""

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
from lezha.store import sessions, tokens
from lezha.store.log import Log, Tx
from lezha.web import source

SESSION_S: Final = 12 * 3600
_MAX_SESSIONS: Final = 1000
_ASK: Final = {"WWW-Authenticate": 'Bearer realm="lezha"'}
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
    """Return whose token this is, or None."""
    parts = access_tokens.split(presented)
    if parts is None:
        return None
    token_id, secret = parts
    with log.read() as conn:
        kept = tokens.get(conn, token_id)
    if kept is None or kept.revoked or not access_tokens.matches(secret, kept.digest):
        return None
    return Principal(kept.id, kept.name, kept.role)


class Authentication(AbstractAuthenticationMiddleware):
    """Put the principal, or None, into each request; the guards decide."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Read the bearer token, or else the session cookie."""
        log: Log = connection.app.state.log
        held: Sessions = connection.app.state.sessions
        scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            user = principal(log, presented.strip())
            if user is None:
                witness: Witness = connection.app.state.witness
                await witness.refused(source.of(connection.scope), "an unknown or revoked token")
            elif user.role is Role.SENSOR:
                attendance: Attendance = connection.app.state.attendance
                attendance[user.name] = time.time()
            return AuthenticationResult(user=user, auth="token")
        user = held.principal(connection.cookies.get(held.cookie, ""))
        return AuthenticationResult(user=user, auth="session")


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
            raise NotAuthorizedException("A valid token is needed.", headers=_ASK)
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
