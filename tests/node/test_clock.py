import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.node.clock import ago, later, stamp, utc_now

moments = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 28), timezones=st.timezones())  # noqa: DTZ001  # hypothesis adds the zone


@given(moments, moments)
def test_times_compare_as_text_as_they_do_as_times(one: dt.datetime, other: dt.datetime) -> None:
    assert (stamp(one) < stamp(other)) == (one.astimezone(dt.UTC) < other.astimezone(dt.UTC))


@given(moments)
def test_a_time_is_kept_to_the_microsecond(one: dt.datetime) -> None:
    assert dt.datetime.fromisoformat(stamp(one)) == one.astimezone(dt.UTC)


def test_now_is_of_the_form_that_later_takes() -> None:
    assert later(utc_now(), minutes=5) > utc_now()


@pytest.mark.parametrize(
    ("delta", "expected"),
    [({"minutes": 5}, "2022-12-31T23:59:59.000001Z"), ({"hours": 24}, "2023-01-01T23:54:59.000001Z")],
)
def test_later_counts_over_the_calendar(delta: dict[str, float], expected: str) -> None:
    assert later("2022-12-31T23:54:59.000001Z", **delta) == expected


@pytest.mark.parametrize("written", ["24h", "7d", "2w"])
def test_so_long_ago_is_before_now(written: str) -> None:
    found = ago(written)
    assert found is not None
    assert found < utc_now()


@pytest.mark.parametrize("written", ["", "h", "24", "99999h", "-1h", "24 h", "24h ", "2026-03-31T12:00:00Z"])
def test_what_is_written_otherwise_is_not_so_long_ago(written: str) -> None:
    assert ago(written) is None
