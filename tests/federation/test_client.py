"""What goes wrong on the way to a peer, in words for whoever runs the node."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
from tests.federation.keys import TIRANA

from lezha.federation.client import PeerClient
from lezha.federation.errors import LinkFault

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" * 20)
    await writer.drain()
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
        (_speak_plainly, "127.0.0.1:PORT can't be reached: TLS failed, wrong version number."),
    ],
)
async def test_a_fault_of_the_network_is_told_in_plain_words(answer: Answer | None, said: str) -> None:
    assert await fault(answer) == said
