"""What a node tells a sensor can't end it."""

import datetime as dt

import pytest

from lezha.detection import station
from lezha.detection.feed import Item


def item(valid_until: str) -> Item:
    return Item(1, "identity--x indicator--x", "", (("ipv4", "203.0.113.1"),), valid_until, "")


def test_the_end_of_an_indicator_is_read() -> None:
    assert station._end(item("2026-11-24T00:00:00Z")) == dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["2026-12-31T23:59:60Z", "tomorrow"])
def test_an_end_that_no_clock_shows_does_not_end_the_sensor(text: str) -> None:
    end = station._end(item(text))
    assert end is None or end >= dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
