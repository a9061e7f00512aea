"""What goes wrong on the way to a peer, in words for whoever runs the node."""

import asyncio
import datetime as dt
import errno
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.federation.keys import TIRANA

from lezha.federation import tls
from lezha.federation.client import PeerClient
from lezha.federation.errors import LinkFault

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" * 20)
    await writer.drain()
    writer.close()


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def fault(answer: Answer | None) -> str:
    """Return what is said of a peer at whose address `answer` listens, or nothing does."""
    server = await asyncio.start_server(answer or _hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if answer is None:
        server.close()
        await server.wait_closed()
    client = PeerClient(f"https://127.0.0.1:{port}", TIRANA.member, ssl.create_default_context())
    try:
        with pytest.raises(LinkFault) as raised:
            await client.send(b"")
    finally:
        await client.close()
        server.close()
    return str(raised.value).replace(str(port), "PORT")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "127.0.0.1:PORT can't be reached: nothing listens there."),
        (_hang_up, "127.0.0.1:PORT can't be reached: it cut the connection."),
        (_reset, "127.0.0.1:PORT can't be reached: it cut the connection."),
        (_speak_plainly, "127.0.0.1:PORT can't be reached: TLS failed, wrong version number."),
    ],
)
async def test_a_fault_of_the_network_is_told_in_plain_words(answer: Answer | None, said: str) -> None:
    assert await fault(answer) == said


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 101] Network is unreachable"),
         "no connection comes about."),
        (ConnectionAbortedError("SSL handshake is taking longer than 60.0 seconds"), "it cut the connection."),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('192.0.2.1', 8441)"), "no route to host."),
        (OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 8441)"), "nothing listens there."),
    ],
)  # fmt: skip
async def test_no_word_of_the_http_library_is_told(
    monkeypatch: pytest.MonkeyPatch, cause: OSError, said: str
) -> None:
    """The operating system's failures as the library wraps them: it would say `ssl:default [None]`."""

    async def fails(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", fails)
    client = PeerClient("https://192.0.2.1:8441", TIRANA.member, ssl.create_default_context())
    try:
        with pytest.raises(LinkFault) as raised:
            await client.send(b"")
    finally:
        await client.close()
    assert str(raised.value) == f"192.0.2.1:8441 can't be reached: {said}"


async def test_what_is_aborted_sends_no_byte_more(tmp_path: Path) -> None:
    """A request that is merely cancelled is sent to its end all the same: TLS flushes what it has."""
    got = 0
    ended = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        try:
            while chunk := await reader.read(16 << 10):
                got += len(chunk)
                await asyncio.sleep(0.02)
        except OSError:  # it was reset
            pass
        finally:
            ended.set()
            writer.close()

    leaf = tmp_path / "leaf.pem"
    pair = tls.make_leaf(TIRANA.tls_root, TIRANA.member, dt.datetime.now(dt.UTC))
    leaf.write_bytes(pair.certificate + pair.key)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # what is there has left already
    server = await asyncio.start_server(slowly, sock=listening, ssl=tls.server_context(leaf))
    port = listening.getsockname()[1]
    client = PeerClient(
        f"https://127.0.0.1:{port}",
        TIRANA.member,
        tls.client_context(None, TIRANA.tls_root.certificate.decode()),
    )
    sending = asyncio.create_task(client.send(bytes(1 << 20)))
    while got < 1 << 16:  # noqa: ASYNC110  # the listener tells nobody
        await asyncio.sleep(0.01)
    await client.abort()
    with pytest.raises(LinkFault):
        await sending
    await asyncio.wait_for(ended.wait(), 20)
    assert got < 900_000
    ended.clear()
    before = got
    again = asyncio.create_task(client.send(b"x"))
    while got == before:  # noqa: ASYNC110  # the next request has a connection of its own
        await asyncio.sleep(0.01)
    again.cancel()
    await client.close()
    await asyncio.wait_for(ended.wait(), 20)
    server.close()
