"""Who is asking: a bearer token for tools, a session cookie for browsers."""

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from lezha.access import tokens as access_tokens
from lezha.access.rights import Principal, Right
from lezha.store import tokens
from lezha.store.log import Log

SESSION_S: Final = 12 * 3600
_MAX_SESSIONS: Final = 1000


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser, known by token id so that a revoked token ends it at once."""

    token_id: str
    ends: float


class Sessions:
    """The browsers that are signed in. They are forgotten when the node stops."""

    def __init__(self, cookie: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.cookie: Final = cookie
        self._monotonic = monotonic
        self._held: dict[str, Session] = {}

    def begin(self, principal: Principal) -> str:
        """Return the secret of a new session."""
        now = self._monotonic()
        self._held = {key: one for key, one in self._held.items() if one.ends > now}
        if len(self._held) >= _MAX_SESSIONS:
            self._held.pop(next(iter(self._held)))
        key = secrets.token_urlsafe(32)
        self._held[key] = Session(principal.id, now + SESSION_S)
        return key

    def end(self, key: str) -> None:
        """Forget a session."""
        self._held.pop(key, None)

    def token_id(self, key: str) -> str | None:
        """Return the token id of a live session."""
        session = self._held.get(key)
        return session.token_id if session and session.ends > self._monotonic() else None


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
        sessions: Sessions = connection.app.state.sessions
        scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return AuthenticationResult(user=principal(log, presented.strip()), auth="token")
        token_id = sessions.token_id(connection.cookies.get(sessions.cookie, ""))
        return AuthenticationResult(user=_of_token(log, token_id) if token_id else None, auth="session")


def needs(right: Right) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Return a guard: only principals to whom the table of rights gives `right` may pass."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        user: Principal | None = connection.user
        if user is None:
            raise NotAuthorizedException(
                "A valid token is needed.", headers={"WWW-Authenticate": 'Bearer realm="lezha"'}
            )
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


def _of_token(log: Log, token_id: str) -> Principal | None:
    with log.read() as conn:
        kept = tokens.get(conn, token_id)
    return None if kept is None or kept.revoked else Principal(kept.id, kept.name, kept.role)
