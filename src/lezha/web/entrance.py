"""The listener for peers: anybody may connect, nobody can fill it.

Limits and deadlines are those of `federation.door` and `web.patience`; uvicorn has limits of requests only, and takes
connections without end. uvicorn does not show applications the client's certificate either: `PeerProtocol` adds it to
the ASGI scope as `extensions["lezha.tls"]["client"]` (DER bytes or None); a contract test guards that against uvicorn's
changes, and its minor version is pinned.
"""

import asyncio
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
import uvicorn
from litestar import Litestar
from litestar.connection import ASGIConnection

from lezha.federation.door import PACE, Door, Visit, Why
from lezha.web.patience import PatientProtocol
from lezha.web.serve import Server, settled

EXTENSION: Final = "lezha.tls"
HANDSHAKE_S: Final = 15.0
_LIFE_S: Final = 300.0
"""A stranger has three things to ask, one after the other."""
_MOST_BYTES: Final = 16 << 20
"""Twice what a batch may have: what is cut in pieces takes more."""
_SHUTDOWN_S: Final = 5.0
_UNREAD_MS: Final = 60_000
_PAUSE_S: Final = 0.1
Known = Callable[[bytes], str]
_logger = structlog.get_logger()


def peers_server(
    app: Litestar, host: str, port: int, context: ssl.SSLContext, door: Door, known: Known
) -> "PeersServer":
    """Return the server for peers, TLS on both sides; `known` says whose certificate is shown, if a peer's."""
    return PeersServer(settled(app, host, port, http=PeerProtocol), Entrance(context, door, known))


def tools_server(app: Litestar, host: str, port: int, context: ssl.SSLContext) -> Server:
    """Return the server for tools that show a certificate, or a token over TLS."""
    config = settled(app, host, port, http=CertificateProtocol)
    config.load()
    config.ssl = context
    return Server(config)


def client_certificate(request: ASGIConnection[Any, Any, Any, Any]) -> bytes | None:
    """Return the verified certificate (DER) of the client that made a request, or None if it showed none."""
    found = (request.scope.get("extensions") or {}).get(EXTENSION, {}).get("client")
    return found if isinstance(found, bytes) else None


class CertificateProtocol(PatientProtocol):
    """HTTP/1.1 that remembers the client's certificate, verified by OpenSSL against what is pinned."""

    def connection_made(self, transport: Any) -> None:
        """Take the certificate from the finished handshake."""
        tls = transport.get_extra_info("ssl_object")
        self._client_certificate: bytes | None = tls.getpeercert(binary_form=True) if tls else None
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Put the certificate into each request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"client": self._client_certificate}}


class PeerProtocol(CertificateProtocol):
    """That of peers; a stranger may not stay."""

    most = sys.maxsize  # the door decides

    def __init__(self, *given: Any, visit: Visit, entrance: "Entrance", **named: Any) -> None:
        super().__init__(*given, **named)
        self._visit, self._entrance = visit, entrance
        self._life: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Say at the door whose certificate was shown."""
        super().connection_made(transport)
        self._visit.cut = transport.abort
        member = self._entrance.known(self._client_certificate) if self._client_certificate else ""
        if member:
            self._entrance.door.shown(self._visit, member)
        else:
            self._life = self.loop.call_later(_LIFE_S, self.cut, Why.LIFE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place back."""
        if self._life is not None:
            self._life.cancel()
        self._entrance.door.gone(self._visit)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and of one request no more than there can be."""
        super().data_received(data)
        if self._why is Why.BODY and self._bytes > _MOST_BYTES:
            self.cut(Why.BODY)

    def counted(self, why: Why) -> None:
        """Count why a connection was cut."""
        self._entrance.count(why)


class Entrance:
    """How one comes in: TLS, and what the door says. `known` names the peer of a certificate, or nobody."""

    def __init__(self, context: ssl.SSLContext, door: Door, known: Known) -> None:
        self.context, self.door, self.known = context, door, known

    def count(self, why: Why) -> None:
        """Count what was cut or refused, and tell that once in a while."""
        self.door.count(why)
        self.tell()

    def tell(self) -> None:
        """Tell what was cut or refused, unless that was told within the last minute."""
        if news := self.door.news(time.monotonic()):
            _logger.warning("peers.cut", counts=news)

    def refused(self, error: ssl.SSLCertVerificationError) -> None:
        """Tell that somebody has shown a wrong certificate."""
        if self.door.may_tell(time.monotonic()):
            _logger.warning("peer.refused", claims="", reason=f"wrong certificate: {error.verify_message}")
        self.count(Why.REFUSED)


class PeersServer(Server):
    """A server that asks the door before it spends anything on a connection.

    uvicorn leaves connections to asyncio, which takes as many as come and tells of none before TLS is done.
    """

    def __init__(self, config: uvicorn.Config, entrance: Entrance) -> None:
        super().__init__(config)
        self._entrance = entrance

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # none are given
        """Begin to listen."""
        gate = _Gate(_bound(self.config.host, self.config.port), self._enter)
        self.servers = [gate]  # type: ignore[list-item]  # uvicorn closes them and waits for that, no more
        self.started = True
        self.listening.set()

    async def _enter(self, sock: socket.socket, address: str) -> None:
        """Let a connection in and wait until TLS is done with it or has failed."""
        task = asyncio.current_task()
        assert task is not None
        entrance = self._entrance
        visit = entrance.door.come(address, task.cancel)
        entrance.tell()

        def protocol() -> PeerProtocol:
            return PeerProtocol(
                config=self.config,
                server_state=self.server_state,
                app_state={},
                visit=visit,
                entrance=entrance,
            )

        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol,
                sock,
                ssl=entrance.context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=_SHUTDOWN_S,
            )
        except ssl.SSLCertVerificationError as error:
            entrance.door.gone(visit)
            entrance.refused(error)
        except ConnectionAbortedError:  # the handshake took too long
            entrance.door.gone(visit)
            entrance.count(Why.HANDSHAKE)
        except BaseException:
            entrance.door.gone(visit)
            raise


class _Gate:
    """Sockets that listen, and a task for each connection until it is let in: of each second no more than `PACE`."""

    def __init__(
        self, sockets: list[socket.socket], enter: Callable[[socket.socket, str], Coroutine[Any, Any, None]]
    ) -> None:
        self.sockets = sockets
        self._enter = enter
        self._entering: set[asyncio.Task[None]] = set()
        self._accepting = [asyncio.create_task(self._accept(one)) for one in sockets]

    def close(self) -> None:
        """Let nobody in any more."""
        for task in (*self._accepting, *self._entering):
            task.cancel()
        for one in self.sockets:
            one.close()

    async def wait_closed(self) -> None:
        """Wait until that is so."""
        await asyncio.gather(*self._accepting, *self._entering, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        free = loop.time()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor is left, or it is gone already: others end meanwhile
                await asyncio.sleep(_PAUSE_S)
                continue
            task = loop.create_task(self._enter(sock, address[0]))
            self._entering.add(task)
            task.add_done_callback(self._entered)
            free = max(free, loop.time() - 1) + 1 / PACE
            await asyncio.sleep(max(0.0, free - loop.time()))

    def _entered(self, task: asyncio.Task[None]) -> None:
        self._entering.discard(task)
        if (
            not task.cancelled()
            and isinstance(error := task.exception(), Exception)
            and not isinstance(error, OSError)
        ):
            _logger.error("peers.not_let_in", exc_info=error)


def _bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host."""
    listening = []
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        one = socket.socket(family, kind, protocol)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(PACE)
        listening.append(one)
    return listening
