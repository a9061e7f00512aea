"""How much is taken of each peer, and when it may go on."""

from lezha.federation.pace import AT_ONCE, OBJECT_BYTES, Pace

ONE, OTHER = "identity--1", "identity--2"


def take(pace: Pace, frames: int, now: float, hourly: int | None = None, size: int = 0) -> float:
    """Have a batch come; return for how long its peer has to wait instead."""
    seconds = pace.enter(ONE, hourly, now)
    if not seconds:
        pace.spend(ONE, frames, size)
        pace.leave(ONE)
    return seconds


def test_an_hours_worth_is_taken_at_once_and_then_it_goes_on_at_the_pace_of_the_limit() -> None:
    pace = Pace(3600)
    assert [take(pace, 256, 0) for _ in range(15)] == [0] * 15
    wait = take(pace, 256, 0)
    assert wait == 15 * 256 - 3600 + 1
    assert take(pace, 256, wait - 1) > 0
    assert take(pace, 256, wait) == 0
    assert take(pace, 256, wait) == 256


def test_what_was_not_used_is_saved_for_an_hour_and_no_longer() -> None:
    pace = Pace(100)
    assert take(pace, 100, 0) == 0
    assert take(pace, 100, 10 * 3600) == 0
    assert take(pace, 1, 10 * 3600) > 0


def test_a_peer_may_have_a_limit_of_its_own() -> None:
    pace = Pace(1)
    assert take(pace, 5, 0, hourly=10) == 0
    assert take(pace, 5, 0, hourly=10) == 0
    assert take(pace, 1, 0, hourly=10) == 360


def test_one_peer_takes_nothing_from_another() -> None:
    pace = Pace(10)
    take(pace, 100, 0)
    assert pace.enter(OTHER, None, 0) == 0


def test_large_objects_count_as_many() -> None:
    pace = Pace(10)
    assert take(pace, 1, 0, size=10 * OBJECT_BYTES) == 0
    assert take(pace, 1, 0) == 360


def test_what_a_batch_turned_out_to_cost_beyond_that_is_waited_for_afterwards() -> None:
    pace = Pace(10)
    pace.enter(ONE, None, 0)
    pace.spend(ONE, 1, 0)
    pace.spend_more(ONE, 19)
    pace.leave(ONE)
    assert take(pace, 1, 0) == 11 * 360
    assert take(pace, 1, 11 * 360) == 0


def test_a_greeting_counts_as_one() -> None:
    pace = Pace(2)
    assert [take(pace, 0, 0) for _ in range(3)] == [0, 0, 1800]


def test_so_many_requests_of_one_peer_are_under_way_at_once() -> None:
    pace = Pace(100)
    assert [pace.enter(ONE, None, 0) for _ in range(AT_ONCE + 1)] == [0] * AT_ONCE + [1]
    assert pace.enter(OTHER, None, 0) == 0
    pace.leave(ONE)
    assert pace.enter(ONE, None, 0) == 0


def test_that_a_peer_asks_too_often_at_once_is_no_news() -> None:
    pace = Pace(10)
    assert all(pace.enter(ONE, None, 0) == 0 for _ in range(AT_ONCE))
    assert pace.enter(ONE, None, 0) > 0
    assert not pace.is_news(ONE, 0)


def test_that_a_peer_is_held_back_is_news_once_an_hour() -> None:
    pace = Pace(1)
    pace.enter(ONE, None, 0)
    pace.spend(ONE, 1, 0)
    assert [pace.is_news(ONE, at) for at in (0, 1, 3599, 3600, 3601)] == [True, False, False, True, False]
