"""What it costs to find out that a creator has signed two contents of one version, and what is kept of it."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, batch, said, stream, take, told, written

from lezha.federation.frame import Parcel
from lezha.flows import check, purge
from lezha.stix import versions
from lezha.store import schema
from lezha.store.log import Log


@pytest.fixture
async def pair(log: Log, station: Callable[..., Station]) -> tuple[Station, Station]:
    """Podgorica, on each of the engines, and Tirana, which sends."""
    podgorica, tirana = Station(PODGORICA, log), station(TIRANA)
    await podgorica.links(tirana)
    return podgorica, tirana


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, str]]:
    """Note each content whose substance is worked out, with the thread that does it."""
    seen: list[tuple[bytes, str]] = []

    def substance(raw: bytes) -> str:
        seen.append((raw, threading.current_thread().name))
        return versions.substance(raw)

    for module in ("contents", "disputes", "substances"):
        monkeypatch.setattr(f"lezha.store.{module}.substance", substance)
    return seen


def spelt(number: int, indent: int) -> Parcel:
    """Indicator `number`, the same each time, in other bytes."""
    return said(TIRANA, json.dumps(told(TIRANA, number), indent=indent).encode())


def other(number: int, text: str, **changes: Any) -> Parcel:
    return said(TIRANA, written(TIRANA, number, description=text, **changes))


class Sending:
    """Tirana's stream to Podgorica, a batch at a time."""

    def __init__(self, here: Station, sender: Station) -> None:
        self.here, self.sender, self.next, self.chain = here, sender, 1, bytes(32)

    async def __call__(self, *parcels: Parcel) -> list[str]:
        frames = stream(*parcels, start=self.next, previous=self.chain)
        self.next, self.chain = frames[-1].number + 1, frames[-1].chain()
        return [code for _, code in (await take(self.here, self.sender, batch(*frames))).refused]


async def test_a_content_that_is_alone_is_not_worked_out(
    pair: tuple[Station, Station], worked_out: list[tuple[bytes, str]]
) -> None:
    here, sender = pair
    send = Sending(here, sender)
    await send(*(other(number, "x") for number in range(1, 8)))
    await send(other(1, "x"), other(1, "x", modified="2022-07-16T09:00:00.000Z"))
    assert worked_out == []
    assert here.rows(schema.substances, "content") == []


async def test_each_content_is_worked_out_once_and_never_by_the_writer(
    pair: tuple[Station, Station], worked_out: list[tuple[bytes, str]]
) -> None:
    here, sender = pair
    send = Sending(here, sender)
    for indent in range(6):
        assert await send(spelt(1, indent)) == []
    assert await send(spelt(1, 3)) == []
    raws = [raw for raw, _ in worked_out]
    assert len(raws) == len(set(raws)) == 6
    assert "lezha-writer" not in {thread for _, thread in worked_out}
    assert len(here.rows(schema.substances, "content")) == 6
    assert {said for (said,) in here.rows(schema.substances, "substance")} == {versions.substance(raws[0])}
    assert list(check.check(here.log)) == []


async def test_of_a_version_in_dispute_nothing_is_worked_out_any_more(
    pair: tuple[Station, Station], worked_out: list[tuple[bytes, str]]
) -> None:
    here, sender = pair
    send = Sending(here, sender)
    assert await send(other(1, "one")) == []
    assert await send(*(other(1, text) for text in ("two", "three", "four"))) == ["equivocation"] * 3
    assert len(worked_out) == 2, "two that differ are enough"
    for text in ("five", "six"):
        assert await send(other(1, text)) == ["equivocation"]
    assert len(worked_out) == 2


async def test_the_receipt_says_so_of_all_but_the_first_however_they_come(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    send = Sending(here, sender)
    assert (
        await send(other(1, "one"), other(1, "two"), other(2, "one"), other(1, "three"))
        == ["equivocation"] * 2
    )
    assert await send(other(1, "two"), other(1, "one")) == ["equivocation"]
    assert await send(other(2, "two"), spelt(2, 1)) == ["equivocation"] * 2
    assert await send(other(2, "one")) == []


async def test_what_was_purged_is_compared_by_what_is_kept_of_it(
    pair: tuple[Station, Station], worked_out: list[tuple[bytes, str]]
) -> None:
    here, sender = pair
    send = Sending(here, sender)
    await send(spelt(1, 1), spelt(1, 2), spelt(2, 1))
    await purge.purge(here.log, here.member, [told(TIRANA, 1)["id"], told(TIRANA, 2)["id"]], "why", "officer")
    assert len(worked_out) == 3, "of two it was known already"
    assert await send(spelt(1, 3), spelt(2, 3)) == []
    assert len(worked_out) == 5
    assert await send(other(1, "another"), other(2, "another")) == ["equivocation"] * 2
    assert list(check.check(here.log)) == []
