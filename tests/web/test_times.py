"""Times as people write them."""

import pytest

from lezha.flows.errors import FlowError
from lezha.node.clock import later, utc_now
from lezha.web import times


@pytest.mark.parametrize(
    ("written", "delta"), [("24h", {"hours": -24}), ("7d", {"days": -7}), ("2w", {"weeks": -2})]
)
def test_a_time_may_be_so_long_ago(written: str, delta: dict[str, float]) -> None:
    before = utc_now()
    assert later(before, **delta) <= times.past(written) <= later(utc_now(), **delta)


@pytest.mark.parametrize(
    "written", ["24h", "h", "24", "99999h", "-1h", "24 h", "today", "24h ", "2026-03-31T25:00:00Z"]
)
def test_what_is_no_moment_is_refused_in_words(written: str) -> None:
    with pytest.raises(FlowError, match="is not a time: write"):
        times.moment(written)


def test_a_time_without_a_zone_is_one_only_where_that_is_said() -> None:
    assert times.moment("2026-03-31T12:00", utc=True) == "2026-03-31T12:00:00.000000Z"
    assert times.moment("2026-03-31T12:00:00+02:00") == "2026-03-31T10:00:00.000000Z"
    with pytest.raises(FlowError, match="has no time zone"):
        times.moment("2026-03-31T12:00")


def test_a_day_lasts_to_its_end_in_utc_and_a_time_to_itself() -> None:
    assert times.end("2999-03-31") == "2999-04-01T00:00:00.000000Z"
    assert times.end("2999-03-31T12:00:00+02:00") == "2999-03-31T10:00:00.000000Z"


@pytest.mark.parametrize(
    "written", ["", "2020-01-01", "2999-02-30", "9999-12-31", "2999-03-31T12:00:00", "soon", "20990331"]
)
def test_what_is_no_end_is_refused(written: str) -> None:
    with pytest.raises(FlowError):
        times.end(written)
