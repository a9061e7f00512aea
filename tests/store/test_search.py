"""Search: what a value means, and pages that miss nothing and repeat nothing while others write."""

import asyncio
from functools import partial

import pytest
from tests.store.examples import ALBANIA, MONTENEGRO, content, publish

from lezha.flows.look import search_objects
from lezha.store import contents, search
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.search import Query

VALUES = {
    1: ("ipv4", "203.0.113.7"),
    2: ("ipv4-net", "203.0.113.0/24"),
    3: ("ipv4-net", "203.0.0.0/16"),
    4: ("ipv4-net", "198.51.100.0/24"),
    5: ("domain", "evil.example"),
    6: ("domain", "mail.evil.example"),
    7: ("domain", "notevil.example"),
    8: ("ipv6-net", "2001:db8::/32"),
    9: ("url", "http://evil.example/a"),
}


@pytest.fixture
async def filled(log: Log) -> Log:
    kept = [
        content(number, observables=(value,), creator=ALBANIA if number < 5 else MONTENEGRO)
        for number, value in VALUES.items()
    ]
    await log.write(lambda tx: contents.add(tx, kept, "test"))
    return log


def found(log: Log, value: str = "", **query: object) -> list[int]:
    """The numbers of what is found, newest first."""
    with log.read() as conn:
        rows = search_objects(conn, Query(**query), value).found  # type: ignore[arg-type]  # each test passes what Query takes
    return [int(row.id.removeprefix("indicator--")[:8]) for row in rows]


def test_a_value_finds_itself_what_contains_it_and_what_it_contains(filled: Log) -> None:
    table = {
        "203.0.113.7": [3, 2, 1],
        "203.0.113.8": [3, 2],
        "203.1.0.1": [],
        "203.0.113.0/25": [3, 2, 1],
        "203.0.113.128/25": [3, 2],
        "203.0.0.0/8": [3, 2, 1],
        "2001::/16": [8],
        "mail.evil.example": [6, 5],
        "il.evil.example": [5],
        "WWW.Mail.Evil.Example.": [6, 5],
        "evil.example": [9, 6, 5],
        "example": [],
        "ample": [],
        "2001:db8::1": [8],
        "http://evil.example/a": [9],
        "nothing to look for": [],
    }
    assert {value: found(filled, value) for value in table} == table


def test_conditions_add_up(filled: Log) -> None:
    assert found(filled, creator=MONTENEGRO) == [9, 8, 7, 6, 5]
    assert found(filled, creator=MONTENEGRO, text="indicator 6") == [6]
    assert found(filled, type="malware") == []
    assert found(filled, id=content(3).stix_id) == [3]


def test_text_is_text_and_no_pattern(filled: Log) -> None:
    assert found(filled, text="INDICATOR 7") == [7]
    assert found(filled, text="%") == found(filled, text="\\") == []
    assert found(filled, text="indicator_7") == [7]  # whatever is no letter and no digit is a gap


def test_by_origin_finds_what_a_member_signed_for(log: Log) -> None:
    log.write_now(lambda tx: publish(tx, 1, 2))
    log.write_now(lambda tx: contents.add(tx, [content(3)], "test"))
    assert found(log, origin=ALBANIA) == [2, 1]
    assert found(log, origin=MONTENEGRO) == []


def test_an_object_that_is_not_held_is_said_so(log: Log) -> None:
    with log.read() as conn, pytest.raises(NotFound, match="indicator--0"):
        search.versions(conn, "indicator--0")


async def test_pages_give_every_object_once_while_others_write(log: Log) -> None:
    async def write(numbers: range) -> None:
        for number in numbers:
            await log.write(partial(contents.add, contents=[content(number)], actor="test"))

    await write(range(1, 60))
    writing = asyncio.create_task(write(range(60, 120)))
    walked: list[int] = []
    before = 0
    while True:
        with log.read() as conn:
            page = search.find(conn, Query(before=before, limit=7))
        if not page:
            break
        walked += [int(row.id.removeprefix("indicator--")[:8]) for row in page]
        before = page[-1].seq
        await asyncio.sleep(0)
    await writing
    assert walked == list(range(walked[0], 0, -1))
    assert walked[0] >= 59
