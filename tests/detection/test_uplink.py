"""Whatever answers a sensor, it says so as an error of the line to its node."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from lezha.detection.errors import UplinkError
from lezha.detection.feed import Feed, Taken
from lezha.detection.sensor import Batch
from lezha.detection.uplink import Uplink

BATCH = Batch("run-1", datetime(2022, 7, 15, 9, tzinfo=UTC), ())
CALLS: list[Callable[[Uplink], Awaitable[Feed | Taken]]] = [
    lambda one: one.fetch(0),
    lambda one: one.deliver(BATCH),
]


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[Uplink]:
    """A line to a server that gives this answer to everything."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    uplink = Uplink("http://{}:{}".format(*runner.addresses[0]), "token")
    try:
        yield uplink
    finally:
        await uplink.close()
        await runner.cleanup()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>maintenance</html>", b"{}", b"\xff", b'{"head": "one"}', b"[" * 100_000]
)
async def test_an_answer_that_is_no_node_s_is_an_error_that_may_pass(
    call: Callable[[Uplink], Awaitable[object]], body: bytes
) -> None:
    async with answering(200, body) as uplink:
        with pytest.raises(UplinkError, match="is no node") as told:
            await call(uplink)
    assert not told.value.final


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("status", "final"), [(401, True), (403, True), (500, False), (302, False)])
async def test_a_refusal_of_the_token_is_final_and_no_other(
    call: Callable[[Uplink], Awaitable[object]], status: int, final: bool
) -> None:
    async with answering(status, b"{}") as uplink:
        with pytest.raises(UplinkError) as told:
            await call(uplink)
    assert told.value.final == final


async def test_what_a_node_answers_is_read() -> None:
    async with answering(200, b'{"head": 3, "items": [], "incarnation": "one", "more": true}') as uplink:
        assert await uplink.fetch(0) == Feed(3, (), "one", more=True)
    async with answering(200, b'{"head": 3, "items": []}') as uplink:
        assert await uplink.fetch(0) == Feed(3, ())
