"""The contract with uvicorn: the client's certificate reaches the application. A new uvicorn must pass this."""

import asyncio
import contextlib
import datetime as dt
import http.client
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from litestar import Litestar, Request, get, post

from lezha.federation import tls
from lezha.federation.door import Door
from lezha.node.identity import new_member
from lezha.web import entrance, serve

SERVER, CLIENT = new_member(), new_member()
NOW: Final = dt.datetime.now(dt.UTC)
ROOTS: Final = {member: tls.make_root(member, NOW) for member in (SERVER, CLIENT)}


@get("/who")
async def who(request: Request[Any, Any, Any]) -> str:
    """Tell the member whose certificate the client showed."""
    der = entrance.client_certificate(request)
    return "nobody" if der is None else str(tls.claimed_member(der))


@post("/who", status_code=200)
async def who_sends(request: Request[Any, Any, Any]) -> str:
    """Tell the same, and how much was sent."""
    der = entrance.client_certificate(request)
    return f"{len(await request.body())} {None if der is None else tls.claimed_member(der)}"


def leaf(folder: Path, member: str) -> Path:
    made = tls.make_leaf(ROOTS[member], member, NOW)
    path = folder / f"{member}.pem"
    path.write_bytes(made.certificate + made.key)
    return path


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a listener for peers that trusts the client's root."""
    context = tls.server_context(leaf(tmp_path, SERVER))
    tls.trust(context, ROOTS[CLIENT].certificate.decode())
    app = Litestar([who, who_sends], openapi_config=None, logging_config=None)
    server = entrance.peers_server(app, "127.0.0.1", 0, context, Door(50), lambda _: "")
    stop = asyncio.Event()
    serving = asyncio.create_task(serve.until(stop, server))
    while not server.started:  # noqa: ASYNC110  # uvicorn sets a flag and no event
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    stop.set()
    await serving


def asked(port: int, show: Path | None, *methods: str) -> list[str]:
    """Ask on one connection, once per method, and return the answers."""
    context = tls.client_context(show, ROOTS[SERVER].certificate.decode())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sock = context.wrap_socket(plain, server_hostname=tls.server_name(SERVER))
        answers = []
        for method in methods:
            connection.request(method, "/who", b"x" * 100_000 if method == "POST" else None)
            answers.append(connection.getresponse().read().decode())
        return answers


async def test_the_client_certificate_reaches_the_application(port: int, tmp_path: Path) -> None:
    assert await asyncio.to_thread(asked, port, leaf(tmp_path, CLIENT), "GET") == [CLIENT]


async def test_it_reaches_every_request_of_a_connection(port: int, tmp_path: Path) -> None:
    answers = await asyncio.to_thread(asked, port, leaf(tmp_path, CLIENT), "GET", "POST", "GET")
    assert answers == [CLIENT, f"100000 {CLIENT}", CLIENT]


async def test_without_a_certificate_there_is_none(port: int) -> None:
    assert await asyncio.to_thread(asked, port, None, "GET", "POST") == ["nobody", "100000 None"]


async def test_connections_do_not_borrow_one_anothers_certificate(port: int, tmp_path: Path) -> None:
    show = leaf(tmp_path, CLIENT)
    shown = [show if turn % 2 else None for turn in range(20)]
    answers = await asyncio.gather(*(asyncio.to_thread(asked, port, one, "GET", "GET") for one in shown))
    assert answers == [[CLIENT] * 2 if one else ["nobody"] * 2 for one in shown]


async def test_a_certificate_of_an_unknown_root_does_not_get_through(port: int, tmp_path: Path) -> None:
    made = tls.make_leaf(tls.make_root(CLIENT, NOW), CLIENT, NOW)
    forged = tmp_path / "forged.pem"
    forged.write_bytes(made.certificate + made.key)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        await asyncio.to_thread(asked, port, forged, "GET")
    assert await asyncio.to_thread(asked, port, None, "GET") == ["nobody"]


async def test_older_tls_is_not_spoken(port: int) -> None:
    context = tls.client_context(None, ROOTS[SERVER].certificate.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect() -> None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=tls.server_name(SERVER)),
        ):
            pass

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(connect)


async def test_over_plain_http_there_is_no_certificate_whatever_the_client_says() -> None:
    app = Litestar([who], openapi_config=None, logging_config=None)
    server = serve.people_server(app, "127.0.0.1", 0)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve.until(stop, server))
    while not server.started:  # noqa: ASYNC110  # uvicorn sets a flag and no event
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    def ask() -> str:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(
                "GET", "/who", headers={"X-Client-Cert": "forged", entrance.EXTENSION: "forged"}
            )
            return connection.getresponse().read().decode()

    assert await asyncio.to_thread(ask) == "nobody"
    stop.set()
    await serving


@get("/from")
async def came_from(request: Request[Any, Any, Any]) -> str:
    """Tell from where a request came."""
    return request.client.host if request.client else ""


@pytest.mark.parametrize(("proxies", "told"), [((), "127.0.0.1"), (("127.0.0.1",), "192.0.2.9")])
async def test_what_a_proxy_says_is_believed_of_those_that_are_named_alone(
    proxies: tuple[str, ...], told: str
) -> None:
    app = Litestar([came_from], openapi_config=None, logging_config=None)
    server = serve.people_server(app, "127.0.0.1", 0, proxies)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve.until(stop, server))
    while not server.started:  # noqa: ASYNC110  # uvicorn sets a flag and no event
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    def ask() -> str:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(conn):
            conn.request("GET", "/from", headers={"X-Forwarded-For": "192.0.2.9"})
            return conn.getresponse().read().decode()

    assert await asyncio.to_thread(ask) == told
    stop.set()
    await serving


async def test_who_connects_and_says_nothing_is_cut_off(tmp_path: Path) -> None:
    context = tls.server_context(leaf(tmp_path, SERVER))
    tls.trust(context, ROOTS[CLIENT].certificate.decode())
    server = entrance.peers_server(
        Litestar([], openapi_config=None, logging_config=None),
        "127.0.0.1",
        0,
        context,
        Door(50),
        lambda _: "",
    )
    server.config.timeout_keep_alive = 1
    stop = asyncio.Event()
    serving = asyncio.create_task(serve.until(stop, server))
    while not server.started:  # noqa: ASYNC110  # uvicorn sets a flag and no event
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        server.servers[0].sockets[0].getsockname()[1],
        ssl=tls.client_context(leaf(tmp_path, CLIENT), ROOTS[SERVER].certificate.decode()),
        server_hostname=tls.server_name(SERVER),
    )
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    stop.set()
    await serving
