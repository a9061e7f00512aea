"""What clients ask for of a list, in all the ways in which they do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.taxii import filters, paging
from lezha.taxii.errors import TaxiiError
from lezha.taxii.filters import MOST, Filters, Versions

PLACE = "a collection"
DATE = "2026-03-01T12:00:00.000001Z"
MICROSECONDS = 1_772_366_400_000_001


def read(*query: tuple[str, str]) -> Filters:
    return filters.read(query, PLACE)


def test_without_filters_the_last_version_of_everything_is_asked_for() -> None:
    assert read() == Filters(limit=MOST, versions=Versions(last=True))


def test_a_comma_means_or_and_so_does_a_repeated_parameter() -> None:
    asked = read(("match[id]", "a,b"), ("match[id]", "c"), ("match[type]", "indicator, malware,"))
    assert asked.ids == {"a", "b", "c"}
    assert asked.types == {"indicator", "malware"}


def test_versions_are_words_and_times() -> None:
    asked = read(("match[version]", "first,2026-03-01T12:00:00Z,2026-03-01T12:00:00.12Z"))
    exact = {"2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:00.120000Z"}
    assert asked.versions == Versions(first=True, last=False, exact=frozenset(exact))
    assert read(("match[version]", "all")).versions.all
    assert read(("match[version]", "")).versions == Versions()


@pytest.mark.parametrize(
    ("wanted", "nothing"), [("2.1", False), ("2.0", True), ("2.0,2.1", False), ("", False), ("1.0", True)]
)
def test_all_that_is_held_is_stix_2_1(wanted: str, nothing: bool) -> None:
    assert read(("match[spec_version]", wanted)).no_spec_version is nothing


@pytest.mark.parametrize(
    ("given_limit", "limit"),
    [("1", 1), ("999", 999), ("1000", 1000), ("1001", MOST), ("9" * 40, MOST), ("007", 7)],
)
def test_a_limit_is_kept_up_to_what_a_page_may_have(given_limit: str, limit: int) -> None:
    assert read(("limit", given_limit)).limit == limit


@pytest.mark.parametrize("given_limit", ["0", "00", "-1", "1.5", "ten", "٣", "1e3", " 1"])
def test_another_limit_is_refused(given_limit: str) -> None:
    with pytest.raises(TaxiiError, match="limit must be a whole number above 0"):
        read(("limit", given_limit))


def test_next_goes_on_and_a_moved_added_after_does_not_disturb_it() -> None:
    token = paging.write(MICROSECONDS, PLACE)
    assert read(("next", token)).after == MICROSECONDS
    assert read(("next", token), ("added_after", "2026-01-01T00:00:00Z")).after == MICROSECONDS
    assert read(("next", token), ("added_after", DATE)).after == MICROSECONDS


def test_unknown_parameters_mean_nothing() -> None:
    assert read(("match[colour]", "red"), ("foo", "bar")) == read()


@pytest.mark.parametrize("name", ["match[id]", "match[type]", "match[spec_version]"])
def test_a_filter_is_bounded(name: str) -> None:
    with pytest.raises(TaxiiError):
        read((name, ",".join(map(str, range(101)))))
    with pytest.raises(TaxiiError):
        read((name, "x" * 301))


@given(st.integers(0, 2**63 - 1), st.text(max_size=50))
def test_a_token_is_good_for_its_list_alone(after: int, other: str) -> None:
    token = paging.write(after, PLACE)
    assert paging.read(token, PLACE) == after
    if other != PLACE:
        with pytest.raises(TaxiiError):
            paging.read(token, other)


@given(st.text(max_size=60))
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(TaxiiError) as refused:
        paging.read(text, PLACE)
    assert refused.value.status == 400
