"""A receipt that was lost in a crash is made good."""

import asyncio
import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from lezha.cli.demo import bundle
from lezha.cli.demo.cast import Cast
from lezha.cli.demo.network import Network, Seat


async def _peer(seat: Seat) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with seat.api() as api:
        for _ in range(200):
            [found] = await api.get("/peers")
            if found["delivered"] and not found["queued"]:
                break
            await asyncio.sleep(0.05)
    return found


async def test_a_sender_that_lost_a_receipt_gets_it_again_when_it_greets(tmp_path: Path) -> None:
    cast = Cast()
    network = Network(tmp_path, cast, [cast.author, cast.witness])
    try:
        await network.start()
        await network.introduce()
        sender, _ = network.seats.values()
        part = bundle.parts(sender.member, dt.date(2026, 1, 1))["everyone"]
        async with sender.api() as api:
            await api.post("/publish", part, [("tlp", "clear"), ("to", "everyone")])
        delivered = (await _peer(sender))["delivered"]
        await network.kill(sender)
        with closing(sqlite3.connect(sender.home / "lezha.db")) as conn:
            conn.execute("DELETE FROM receipts")
            conn.commit()
        await network.start_one(sender)
        again = await _peer(sender)
    finally:
        await network.stop()
    assert delivered > 0
    assert (again["delivered"], again["queued"]) == (delivered, 0)
