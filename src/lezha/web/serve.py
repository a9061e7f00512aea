"""Run the listeners of a node."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import uvicorn
from litestar import Litestar

from lezha.web.patience import IDLE_S, PatientProtocol

_MOMENT_S: Final = 0.05


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
    return Server(settled(app, host, port, proxies=proxies))


async def _nothing() -> None:
    """Answer nothing."""


async def until(
    stop: asyncio.Event, *servers: Server, ending: Callable[[], Awaitable[None]] = _nothing
) -> None:
    """Serve until `stop` is set or a server ends by itself; `ending` then answers, again and again, what waits."""
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    stopping.cancel()
    ended = asyncio.gather(*tasks)
    while not ended.done():  # until a server has noticed, more may be asked
        await ending()
        await asyncio.wait([ended], timeout=_MOMENT_S)
    await ended


def settled(
    app: Litestar, host: str, port: int, http: Any = PatientProtocol, proxies: Sequence[str] = ()
) -> uvicorn.Config:
    """Return how uvicorn serves an application here."""
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
        timeout_keep_alive=IDLE_S,
    )
