"""The lives of a database: which of two began later, whoever hears of them in which order."""

from uuid import UUID

import pytest
from tests.store.examples import MONTENEGRO

from lezha.node.clock import later, utc_now
from lezha.store import inbound, lives
from lezha.store.log import Log

CHANCE = bytes(range(10))
NOW = "2026-12-01T12:00:00.000000Z"


def life(now: str, before: str = "", chance: bytes = CHANCE) -> str:
    return lives.name(now, before, chance)


async def seen(log: Log, *names: str) -> list[bool]:
    return [await log.write(lambda tx, name=name: inbound.is_alive(tx, MONTENEGRO, name)) for name in names]  # type: ignore[misc]  # of the lambda's default


def test_the_name_of_a_life_says_when_it_began() -> None:
    made = UUID(hex=life(NOW))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert lives.began(made.hex) == 1_796_126_400_000
    assert life(NOW, chance=bytes(10)) != made.hex


@pytest.mark.parametrize("now", [NOW, later(NOW, hours=-5)])
def test_a_life_begins_after_the_one_that_it_was_restored_from_whatever_the_clock_says(now: str) -> None:
    first = life(NOW)
    second = life(now, first)
    assert (lives.began(second) or 0) > (lives.began(first) or 0)


@pytest.mark.parametrize("name", ["", "life1", "0" * 32, "f" * 32, "3f0a5f2e8d9b4c1fa2b3c4d5e6f70819"])
def test_other_names_say_nothing(name: str) -> None:
    assert lives.began(name) is None
    assert life(NOW, name) == life(NOW)


async def test_a_life_that_was_not_heard_of_in_its_time_is_no_new_one(log: Log) -> None:
    first, second = life(later(utc_now(), hours=-2)), life(later(utc_now(), hours=-1))
    assert await seen(log, second, first, second) == [True, False, True]


async def test_a_later_life_is_the_newest_and_the_one_before_is_known_as_earlier(log: Log) -> None:
    first, second = life(later(utc_now(), hours=-2)), life(later(utc_now(), hours=-1))
    assert await seen(log, first, second, first, second) == [True, True, False, True]


async def test_a_life_that_began_in_the_future_does_not_keep_out_what_comes_after_it(log: Log) -> None:
    wrong = life(later(utc_now(), days=9000))
    assert await seen(log, wrong, life(later(utc_now(), minutes=1)), wrong) == [True, True, False]


async def test_of_names_that_say_nothing_the_one_seen_last_is_the_newest(log: Log) -> None:
    assert await seen(log, "two", "one", life(NOW), "two", "three") == [True, True, True, False, True]
