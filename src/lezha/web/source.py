"""From where a request comes: what is written because of it says so (`store.log.asked_from`)."""

from litestar.types import ASGIApp, Receive, Scope, Send

from lezha.store.log import asked_from


def of(scope: Scope) -> str:
    """Return the address that a request comes from.

    It is that of the other end of the connection. What `X-Forwarded-For` says is believed of no proxy but those in the
    setting `proxies`: anybody can write that line.
    """
    client = scope.get("client")
    return client[0][:64] if client else ""


def sourced(app: ASGIApp) -> ASGIApp:
    """Have all that is written because of a request name from where it came."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with asked_from(of(scope)):
            await app(scope, receive, send)

    return run
