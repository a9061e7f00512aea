"""What `lezha serve` does. Apart from `node`, because it loads what the other commands need not wait for."""

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop

from lezha.cli import logs, supervisor
from lezha.cli.console import note
from lezha.cli.errors import CliError
from lezha.node import identity as identities
from lezha.node import settings as node_settings
from lezha.node.loop import Loop
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.web import entrance, peers, people, taxii
from lezha.web import serve as listeners

_SWITCH_S: Final = 0.0005


def run(home: Path) -> None:
    """Run the node in `home` until SIGTERM or SIGINT. Raises CliError, NodeError, StoreError."""
    settings = _prepare(home)
    _check_free(settings.listen)
    if settings.taxii_listen:
        _check_free(settings.taxii_listen)
    if identities.load(home).known.document.endpoint:
        _check_free(settings.link_listen)
    with alone(home):
        uvloop.run(_serve(home), loop_factory=Loop)


def run_for_people(home: Path, listen: str) -> None:
    """Serve people and tools from the node in `home`, whose links another process runs, until SIGTERM or SIGINT.

    Raises CliError, NodeError, StoreError.
    """
    settings = _prepare(home)
    listen = listen or settings.listen
    _check_free(listen)
    uvloop.run(_serve_people(home, listen), loop_factory=Loop)


def _prepare(home: Path) -> Settings:
    logs.to_stderr()
    os.umask(0o077)  # the database's files too are for this user alone
    # The writer and the event loop hand the interpreter to one another many times per object; the default of 5 ms per
    # handover would be most of the way to a peer.
    sys.setswitchinterval(_SWITCH_S)
    return node_settings.load(home)


async def _serve(home: Path) -> None:
    node = Node(home)
    settings = node.settings
    taxii_server = taxii.server(node)
    people_app = people.app(node, taxii_server)
    servers = [listeners.people_server(people_app, *node_settings.address(settings.listen), settings.proxies)]
    if node.tools_tls is not None:
        tools_app = people.tools_app(node, taxii_server)
        address = node_settings.address(settings.taxii_listen)
        servers.append(entrance.tools_server(tools_app, *address, node.tools_tls))
    where = "asks its peers"
    if node.identity.known.document.endpoint:
        link_host, link_port = node_settings.address(settings.link_listen)
        servers.append(
            entrance.peers_server(
                peers.app(node),
                link_host,
                link_port,
                node.link_tls,
                node.door,
                lambda der: peers.named_in(der, node.log),
            )
        )
        where = f"peers at {settings.link_listen}"
    note(f"{settings.name}: people and tools at {_shown(settings.listen)}, {where}")
    await _until_told(node, *servers)


async def _serve_people(home: Path, listen: str) -> None:
    node = Node(home, leads=False)
    note(f"{node.settings.name}: people and tools at {_shown(listen)}; another process runs the links")
    server = listeners.people_server(people.app(node), *node_settings.address(listen), node.settings.proxies)
    await _until_told(node, server)


async def _until_told(node: Node, *servers: listeners.Server) -> None:
    """Serve until a signal, or until the node's loops end: a node without them must not look alive."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loops = asyncio.create_task(node.run())

    def ended(_: object) -> None:
        for server in servers:
            server.force_exit = True  # at once: whoever has lost the lead must not go on for the last answers
        stop.set()

    loops.add_done_callback(ended)
    ready = asyncio.create_task(_tell_ready(*servers))
    try:
        await listeners.until(stop, *servers, ending=node.links.answer_all)
        if loops.done():
            loops.result()
    finally:
        supervisor.tell("STOPPING=1")
        ready.cancel()
        loops.cancel()
        await asyncio.gather(loops, return_exceptions=True)
        node.close()


async def _tell_ready(*servers: listeners.Server) -> None:
    for server in servers:
        await server.listening.wait()
    # What has been loaded by now stays: no later collection looks at it again, which takes 40 ms each time.
    gc.collect()
    gc.freeze()
    supervisor.tell("READY=1")


def _shown(listen: str) -> str:
    host, port = node_settings.address(listen)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process however that ends. Raises CliError if another holds it."""
    try:
        with (home / node_settings.LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise CliError(f"The node in {home} is running already.") from None


def _check_free(listen: str) -> None:
    # Before anything else, since uvicorn would end the process from within with a trace and a code of its own.
    host, port = node_settings.address(listen)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except OSError as error:
        raise CliError(
            f"The node can't listen on {listen}: {error.strerror}. Stop what listens there, or choose another address."
        ) from None
