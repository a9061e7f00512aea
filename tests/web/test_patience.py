"""Nobody is waited for without end, and who is slow as a line by satellite is waited for."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from litestar import Litestar, Request, get, post

from lezha.web import serve
from lezha.web.patience import PatientProtocol

HEAD: Final = b"POST /much HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
ASK: Final = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"


@post("/much", status_code=200)
async def much(request: Request[Any, Any, Any]) -> str:
    """Tell how much was sent."""
    return str(len(await request.body()))


@get("/slow")
async def slow() -> str:
    """Take longer than anybody is waited for."""
    await asyncio.sleep(2)
    return "done"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a listener that has less patience than it should: half a second, and for a body as much again."""
    monkeypatch.setattr(PatientProtocol, "head_s", 0.5)
    monkeypatch.setattr(PatientProtocol, "grace_s", 1.0)
    server = serve.people_server(
        Litestar([much, slow], openapi_config=None, logging_config=None), "127.0.0.1", 0
    )
    server.config.timeout_keep_alive = 1
    stop = asyncio.Event()
    serving = asyncio.create_task(serve.until(stop, server))
    await server.listening.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    stop.set()
    await serving


async def told(port: int, first: bytes, piece: bytes, pause: float, times: int) -> tuple[bytes, float]:
    """Send bytes, then a piece after each pause; return the answer, and how long the connection lived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def send() -> None:
        writer.write(first)
        for _ in range(times):
            await asyncio.sleep(pause)
            writer.write(piece)

    sending = asyncio.create_task(send())
    try:
        answer = await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        answer = b""
    sending.cancel()
    writer.close()
    return answer, time.monotonic() - began


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(port: int) -> None:
    answer, lived = await told(port, b"GET /slow HTTP/1.1\r\nX: ", b"x", 0.1, 100)
    assert (answer, lived < 3) == (b"", True)


async def test_a_body_that_comes_byte_by_byte_is_not_waited_for(port: int) -> None:
    answer, lived = await told(port, HEAD % 1000, b"x", 0.1, 100)
    assert (answer, lived < 4) == (b"", True)


async def test_a_body_over_a_slow_line_is_waited_for(port: int) -> None:
    answer, lived = await told(port, HEAD % 4096, b"x" * 256, 0.25, 16)
    assert answer.endswith(b"\r\n\r\n4096")
    assert lived > 4


async def test_an_answer_that_takes_its_time_is_waited_for(port: int) -> None:
    answer, _ = await told(port, ASK, b"", 0, 0)
    assert answer.endswith(b"\r\n\r\ndone")


@pytest.mark.parametrize("piece", [b"", b"\r\n"])
async def test_who_asks_nothing_is_not_waited_for(port: int, piece: bytes) -> None:
    answer, lived = await told(port, b"", piece, 0.1, 100)
    assert (answer, lived < 4) == (b"", True)


async def test_who_asks_nothing_more_is_not_waited_for(port: int) -> None:
    answer, lived = await told(port, HEAD % 1 + b"x", b"", 0, 0)
    assert answer.endswith(b"\r\n\r\n1")
    assert lived < 4


async def test_a_head_without_end_is_not_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_s", 60.0)
    answer, lived = await told(port, b"GET / HTTP/1.1\r\nX: ", b"x" * 10_000, 0.01, 1000)
    assert (answer, lived < 5) == (b"", True)


async def test_more_connections_than_that_are_sent_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "most", 3)
    kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    answer, lived = await told(port, HEAD % 1 + b"x", b"", 0, 0)
    assert (answer, lived < 0.5) == (b"", True)
    for _, writer in kept:
        writer.close()


async def test_what_is_not_http_leaves_no_line_in_the_logs(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer, _ = await told(port, b"\x16\x03\x01\x00nonsense\r\n\r\n", b"", 0, 0)
    assert answer.startswith(b"HTTP/1.1 400 ")
    await told(
        port, b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", b"", 0, 0
    )
    assert caplog.records == []
