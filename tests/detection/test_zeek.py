"""Zeek's three ways to write a time, and times that are none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lezha.detection import ReaderError
from lezha.detection.readers import ZeekReader, reader

MOMENT = datetime(2022, 7, 15, 9, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    "record",
    [
        {"ts": 1657875600.5},
        {"ts": 1657875600500},
        {"ts": "2022-07-15T09:00:00.500000Z"},
        {"ts": "2022-07-15T11:00:00.5+02:00"},
        {"ts": "2022-07-15T09:00:00.5"},
        {"_write_ts": "2022-07-15T09:00:00.5Z"},
    ],
)
def test_a_time_is_read_as_utc(record: dict[str, Any]) -> None:
    seen = ZeekReader().seen(record)
    assert seen == MOMENT
    assert seen.tzinfo is UTC


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        "",
        "yesterday",
        [],
        1e300,
        -1e300,
        float("nan"),
        float("inf"),
        10**400,
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_a_time_that_is_none_is_none(stamp: object) -> None:
    assert ZeekReader().seen({"ts": stamp}) is None


def test_a_reader_is_asked_for_by_name() -> None:
    assert isinstance(reader("zeek"), ZeekReader)
    with pytest.raises(ReaderError, match="there is: zeek"):
        reader("zeke")
