"""Dates of TAXII: read however clients write them, written in one way."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.taxii import dates
from lezha.taxii.errors import TaxiiError

MOMENTS = st.integers(0, 250_000_000_000_000_000).map(
    lambda microseconds: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
)


@pytest.mark.parametrize(
    ("text", "after_the_second"),
    [
        ("2026-03-01T12:00:00Z", 0),
        ("2026-03-01T12:00:00.1Z", 100_000),
        ("2026-03-01T12:00:00.000001Z", 1),
        ("2026-03-01T12:00:00.000001999Z", 1),
        ("2026-03-01t12:00:00.5z", 500_000),
        ("2026-03-01T12:00:00.5+00:00", 500_000),
        ("2026-03-01T12:00:00-00:00", 0),
    ],
)
def test_a_date_is_read_with_any_fraction(text: str, after_the_second: int) -> None:
    assert dates.read(text) == 1_772_366_400_000_000 + after_the_second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00+02:00",
        "2026-02-30T12:00:00Z",
        "2026-03-01T25:00:00Z",
        "٢٠٢٦-03-01T12:00:00Z",
        "2026-03-01T12:00:00.123456789012345678901Z",
        " 2026-03-01T12:00:00Z",
    ],
)
def test_what_is_no_date_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its text is what was given
        dates.read(text)
    with pytest.raises(TaxiiError) as refused:
        dates.asked("added_after", text)
    assert refused.value.status == 400


@given(MOMENTS)
def test_what_is_written_is_read_as_it_was(moment: dt.datetime) -> None:
    microseconds = dates.read(moment.isoformat())
    assert dates.read(dates.write(microseconds)) == microseconds


@given(MOMENTS, MOMENTS)
def test_as_text_dates_sort_by_time(one: dt.datetime, other: dt.datetime) -> None:
    a, b = dates.read(one.isoformat()), dates.read(other.isoformat())
    assert (a < b) == (dates.write(a) < dates.write(b))


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("2026-03-01T12:00:00.123000Z", "2026-03-01T12:00:00.123Z"),
        ("2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456Z"),
        ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:00.000Z"),
    ],
)
def test_a_version_is_shown_with_three_digits_if_it_has_no_more(text: str, short: str) -> None:
    assert dates.short(text) == short
    assert dates.asked_version(short) == text
