"""Word of commits: whoever waits is woken, by what concerns it, and nothing is missed."""

import asyncio
import threading
import time

import pytest

from lezha.flows import share
from lezha.flows.witness import QUIET
from lezha.node.changes import Changes
from lezha.store.log import Committed


def commit(first: int, last: int, *kinds: str, instant: float = 0.0, by: tuple[str, ...] = ()) -> Committed:
    return Committed(first, last, frozenset(kinds), instant, actors=frozenset(by))


async def test_a_commit_wakes_all_who_wait() -> None:
    changes = Changes()
    waiting = [asyncio.create_task(changes.beyond(0, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    changes.heard(commit(1, 1, "content"))
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_a_commit_before_the_wait_is_not_missed() -> None:
    changes = Changes()
    serial = changes.serial
    changes.heard(commit(1, 1, "content"))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(changes.beyond(serial, 10), 1) == 1


async def test_a_commit_of_other_kinds_wakes_nobody() -> None:
    changes = Changes(frozenset({"roster"}))
    changes.heard(commit(1, 1, "content", "statement"))
    assert await changes.beyond(0, 0.01) == 0
    changes.heard(commit(2, 3, "content", "roster"))
    assert await changes.beyond(0, 10) == 1


async def test_a_wait_ends_when_its_time_is_over() -> None:
    assert await Changes().beyond(0, 0.01) == 0


@pytest.mark.parametrize("by", [(), ("other",), ("self", "other")])
async def test_what_others_have_a_part_in_is_told_at_once(by: tuple[str, ...]) -> None:
    changes = Changes()
    waiting = asyncio.create_task(changes.beyond(0, 10, "self"))
    changes.heard(commit(1, 1, "content", by=("self",)))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    changes.heard(commit(2, 2, "content", by=by))
    changes.heard(commit(3, 3, "content", by=("self",)))
    await asyncio.sleep(0.01)
    assert waiting.done()
    assert await changes.beyond(0, 10, "self") == 3


async def test_what_oneself_has_caused_alone_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lezha.node.changes._PATIENCE_S", 0.2)
    changes = Changes()
    begun = time.monotonic()
    waiting = asyncio.create_task(changes.beyond(0, 10, "self"))
    for number in range(1, 4):
        changes.heard(commit(number, number, "content", by=("self",)))
        await asyncio.sleep(0.05)
    assert not waiting.done()
    assert await waiting == 3
    assert time.monotonic() - begun >= 0.2


async def test_one_who_gives_up_does_not_take_the_others_along() -> None:
    changes = Changes()
    patient = asyncio.create_task(changes.beyond(0, 10))
    await changes.beyond(0, 0.01)
    changes.heard(commit(1, 1, "content"))
    assert await asyncio.wait_for(patient, 1) == 1


async def test_word_may_come_from_any_thread() -> None:
    changes = Changes()
    waiting = asyncio.create_task(changes.beyond(0, 10))
    await asyncio.sleep(0)
    thread = threading.Thread(target=changes.heard, args=(commit(1, 1, "content"),))
    thread.start()
    assert await asyncio.wait_for(waiting, 1) == 1
    thread.join()


async def test_what_is_quiet_wakes_nobody_unless_something_else_came_with_it() -> None:
    changes = Changes(quiet=QUIET)
    changes.heard(commit(1, 2, "looked", "released"))
    await asyncio.sleep(0)
    assert changes.serial == 0
    changes.heard(commit(3, 4, "looked", "statement"))
    await asyncio.sleep(0)
    assert changes.serial == 1


def test_a_look_wakes_no_link() -> None:
    assert QUIET.isdisjoint(share.KINDS)


async def test_each_event_is_durable_since_its_own_commit() -> None:
    changes = Changes()
    for one in (
        commit(1, 3, "content", instant=1.0),
        commit(4, 4, "content", instant=2.0),
        commit(7, 9, "x", instant=3.0),
    ):
        changes.heard(one)
    await asyncio.sleep(0)
    found = {seq: changes.committed_at(seq) for seq in range(11)}
    assert found == {
        0: None,
        1: 1.0,
        2: 1.0,
        3: 1.0,
        4: 2.0,
        5: None,
        6: None,
        7: 3.0,
        8: 3.0,
        9: 3.0,
        10: None,
    }


async def test_it_is_told_what_came_after_an_event_in_its_commit_and_since() -> None:
    changes = Changes(frozenset({"statement", "tombstone"}))
    for one in (
        commit(1, 4, "statement"),
        commit(5, 9, "statement", "tombstone"),
        commit(10, 10, "statement"),
    ):
        changes.heard(one)
    await asyncio.sleep(0)
    assert changes.kinds_since(10) == set()
    assert changes.kinds_since(9) == {"statement"}
    assert changes.kinds_since(6) == {"statement", "tombstone"}
