import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.sharing.tlp import Tlp, strictest


def test_the_scale_runs_from_clear_to_red() -> None:
    assert sorted(Tlp, key=lambda level: level.rank) == [
        "clear",
        "green",
        "amber",
        "amber+strict",
        "red",
    ]


@given(st.lists(st.sampled_from(Tlp), min_size=1))
def test_the_strictest_is_one_of_them_and_none_is_stricter(levels: list[Tlp]) -> None:
    assert strictest(levels) in levels
    assert all(level.rank <= strictest(levels).rank for level in levels)


def test_nothing_marked_is_clear() -> None:
    assert strictest([]) is Tlp.CLEAR


def test_a_level_that_is_not_of_tlp_2_is_none() -> None:
    with pytest.raises(ValueError, match="white"):
        Tlp("white")
