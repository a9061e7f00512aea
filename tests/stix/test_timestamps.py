from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.stix import Invalid
from lezha.stix.timestamps import normalise, parse, render

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, moments)
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    texts = [normalise(moment.isoformat().replace("+00:00", "Z")) for moment in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)
    assert parse(texts[0]) == one


@given(moments)
def test_what_is_rendered_is_the_millisecond_it_lies_in(moment: datetime) -> None:
    text = render(moment)
    assert len(text) == len("2022-07-15T00:00:00.000Z")
    assert timedelta(0) <= moment - parse(text) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("2022-07-15T00:00:00Z", "2022-07-15T00:00:00.000000Z"),
        ("2022-07-15T00:00:00.5Z", "2022-07-15T00:00:00.500000Z"),
        ("2022-07-15T00:00:00.123456789Z", "2022-07-15T00:00:00.123456Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.000000Z"),
    ],
)
def test_every_precision_becomes_microseconds(text: str, exact: str) -> None:
    assert normalise(text) == exact


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-07-15",
        "2022-07-15T00:00:00",
        "2022-07-15T00:00:00+02:00",
        "2022-07-15t00:00:00z",
        "2022-07-15T24:00:00Z",
        "2022-07-15T00:00:61Z",
        "2022-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2022-07-15T00:00:00.Z",
        "2022-07-15T00:00:00Z\n",
        "٢٠٢٢-07-15T00:00:00Z",
    ],
)
def test_what_is_no_timestamp_of_stix_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"§2\.16"):
        normalise(text)


def test_a_leap_second_lies_between_its_neighbours() -> None:
    assert (
        normalise("2016-12-31T23:59:59.9Z")
        < normalise("2016-12-31T23:59:60Z")
        < normalise("2017-01-01T00:00:00Z")
    )
    assert parse("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)


def test_other_zones_are_written_in_utc() -> None:
    moment = datetime(2022, 7, 15, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    assert render(moment) == "2022-07-15T00:00:00.000Z"


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="zone"):
        render(datetime(2022, 7, 15))  # noqa: DTZ001  # it is what the test is about
