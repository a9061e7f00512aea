"""What a node tells a sensor can't end it, and a node that is away does not leave it blind."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import cast

import pytest

from lezha.detection import station
from lezha.detection.errors import UplinkError
from lezha.detection.feed import Feed, Item
from lezha.detection.follow import Follower
from lezha.detection.plain import PlainEngine
from lezha.detection.readers import reader
from lezha.detection.sensor import Aggregator
from lezha.detection.station import Station
from lezha.detection.uplink import Uplink

NOW = dt.datetime(2022, 7, 15, 9, tzinfo=dt.UTC)


def item(valid_until: str = "", number: int = 1) -> Item:
    return Item(
        number, f"identity--x indicator--{number}", "", (("ipv4", f"203.0.113.{number}"),), valid_until, ""
    )


ENDED = Item(1, item().key, "", (), "", "")
AWAY = UplinkError("the node is away")


def test_the_end_of_an_indicator_is_read() -> None:
    assert station._end(item("2026-11-24T00:00:00Z")) == dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["2026-12-31T23:59:60Z", "tomorrow"])
def test_an_end_that_no_clock_shows_does_not_end_the_sensor(text: str) -> None:
    end = station._end(item(text))
    assert end is None or end >= dt.datetime(2026, 12, 31, tzinfo=dt.UTC)


class Told:
    """A node that gives these answers one after another, and then none."""

    def __init__(self, *answers: Feed | UplinkError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[int, str]] = []
        self.silent = asyncio.Event()

    async def fetch(self, after: int, incarnation: str = "") -> Feed:
        self.asked.append((after, incarnation))
        if not self._answers:
            self.silent.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, UplinkError):
            raise answer
        return answer


async def learned(monkeypatch: pytest.MonkeyPatch, *answers: Feed | UplinkError) -> tuple[list[int], Told]:
    """The last numbers of the addresses that a sensor looks for after these answers, and what it asked."""
    monkeypatch.setattr(station, "_PAUSE_S", 0)
    told, engine = Told(*answers), PlainEngine()
    aggregator = Aggregator(run="run", window=dt.timedelta(seconds=60))
    follower = Follower([Path("/nowhere")], start="end")
    here = Station(engine, aggregator, follower, lambda _: reader("zeek"), cast(Uplink, told), lambda: NOW)
    learning = asyncio.create_task(here._learn())
    await asyncio.wait_for(told.silent.wait(), 10)
    learning.cancel()
    lines = "".join(f'{{"a": "203.0.113.{number}"}}\n' for number in range(1, 10)).encode()
    found = sorted(
        int(hit.observable.value.rpartition(".")[2]) for hit in engine.scan(lines, reader("zeek")).hits
    )
    assert len(found) == len(engine)
    return found, told


async def test_a_sensor_looks_for_what_its_node_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = Feed(1, (item(),), "one", more=True), Feed(2, (item(number=2),), "one"), Feed(3, (ENDED,), "one")
    found, told = await learned(monkeypatch, *feeds)
    assert (found, told.asked) == ([2], [(0, ""), (1, "one"), (2, "one"), (3, "one")])


RESTORED = Feed(2, (item(number=1), item(number=2)), "one"), Feed(2, (), "two")


@pytest.mark.parametrize(
    ("then", "wanted"),
    [
        ((AWAY, AWAY), [1, 2]),
        ((Feed(1, (item(number=3),), "two", more=True), AWAY), [1, 2, 3]),
        ((Feed(1, (item(number=3),), "two", more=True), Feed(2, (item(number=2),), "two")), [2, 3]),
        ((Feed(0, (), "two"),), []),
        (
            (Feed(1, (item(number=2),), "two", more=True), Feed(1, (), "three"), Feed(1, (item(),), "three")),
            [1],
        ),
    ],
)
async def test_what_a_restored_node_does_not_tell_again_is_dropped_once_all_of_it_is_read(
    monkeypatch: pytest.MonkeyPatch, then: tuple[Feed | UplinkError, ...], wanted: list[int]
) -> None:
    found, told = await learned(monkeypatch, *RESTORED, *then)
    assert found == wanted
    assert told.asked[:3] == [(0, ""), (2, "one"), (0, "")]
