"""The receiving end: where does a frame belong?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.federation.test_frame import GENESIS, stream

from lezha.federation.inbox import Placement, place

FRAMES = stream(b"a", b"b", b"c", b"d")
AFTER_TWO = FRAMES[1].chain()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, Placement.DUPLICATE), (2, Placement.DUPLICATE), (3, Placement.NEXT), (4, Placement.GAP)],
)
def test_a_stream_goes_on_with_the_frame_after_its_head(number: int, expected: Placement) -> None:
    assert place(2, AFTER_TWO, FRAMES[number - 1]) is expected


def test_the_first_frame_continues_nothing() -> None:
    assert place(0, GENESIS, FRAMES[0]) is Placement.NEXT


def test_a_frame_that_continues_another_history_is_a_fork() -> None:
    assert place(2, AFTER_TWO, stream(b"a", b"x", b"c")[2]) is Placement.FORK


def test_a_next_frame_that_does_not_name_the_chain_is_a_fork() -> None:
    assert place(2, AFTER_TWO, replace(FRAMES[2], previous=GENESIS)) is Placement.FORK


@given(st.integers(0, 4), st.sampled_from(FRAMES))
def test_in_one_history_there_is_never_a_fork(head: int, one: object) -> None:
    from lezha.federation.frame import Frame

    assert isinstance(one, Frame)
    chain = FRAMES[head - 1].chain() if head else GENESIS
    assert place(head, chain, one) is not Placement.FORK
