"""Run the listeners of a node.

uvicorn does not show applications the client's certificate. `PeerProtocol` adds it to the ASGI scope as
`extensions["lezha.tls"]["client"]` (DER bytes or None); a contract test guards that against uvicorn's changes, and
its minor version is pinned.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final

import structlog
import uvicorn
from litestar import Litestar, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION: Final = "lezha.tls"
_logger = structlog.get_logger()


class ReportingTls(ssl.SSLObject):
    """TLS that logs whose certificate it refuses: asyncio itself drops such a connection without a word."""

    def do_handshake(self) -> None:
        """Shake hands."""
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            _logger.warning("peer.refused", claims="", reason=f"wrong certificate: {error.verify_message}")
            raise


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 that remembers the client's certificate, verified by OpenSSL against the pinned roots."""

    def connection_made(self, transport: Any) -> None:
        """Take the certificate from the finished handshake."""
        tls = transport.get_extra_info("ssl_object")
        self._client_certificate: bytes | None = tls.getpeercert(binary_form=True) if tls else None
        super().connection_made(transport)
        # uvicorn begins to count after the first answer: who connects and says nothing would stay for ever.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def on_message_begin(self) -> None:
        """Put the certificate into each request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"client": self._client_certificate}}


def client_certificate(request: Request[Any, Any, Any]) -> bytes | None:
    """Return the verified certificate (DER) of the client that made a request, or None if it showed none."""
    found = (request.scope.get("extensions") or {}).get(EXTENSION, {}).get("client")
    return found if isinstance(found, bytes) else None


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs several of them. `listening` is set once it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening: Final = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def people_server(app: Litestar, host: str, port: int, proxies: Sequence[str] = ()) -> Server:
    """Return the server for people and tools. What `proxies` say of a request's origin (X-Forwarded-…) is believed."""
    return Server(_config(app, host, port, proxies=proxies))


def peers_server(app: Litestar, host: str, port: int, context: ssl.SSLContext) -> Server:
    """Return the server for peers, TLS on both sides."""
    config = _config(app, host, port, http=PeerProtocol)
    config.load()
    context.sslobject_class = ReportingTls
    config.ssl = context
    return Server(config)


async def until(stop: asyncio.Event, *servers: Server) -> None:
    """Serve until `stop` is set or a server ends by itself."""
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    stopping.cancel()
    await asyncio.gather(*tasks)


def _config(
    app: Litestar, host: str, port: int, http: Any = HttpToolsProtocol, proxies: Sequence[str] = ()
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn's own default, to believe whatever comes over loopback, would let any local user name any origin.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=3,
        timeout_keep_alive=75,
    )
