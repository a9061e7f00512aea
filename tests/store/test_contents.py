"""Contents: the exact bytes, once each, and what is derived from them."""

import asyncio
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.store.examples import ALBANIA, AT, MONTENEGRO, content, digest, publish, signed

from lezha.sharing.tlp import Tlp
from lezha.store import contents, posts, schema, search, statements
from lezha.store.errors import NotFound
from lezha.store.log import Log

OTHER_VERSION = "2022-07-16T09:00:00.000000Z"


async def keep(log: Log, *given: contents.Content) -> int:
    return len(await log.write(lambda tx: contents.add(tx, given, "test")))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5, unique=True))
def test_bytes_come_back_exactly(log: Log, parts: list[bytes]) -> None:
    kept = [content(hash=hashlib.sha256(raw).hexdigest(), raw=raw) for raw in parts]
    log.write_now(lambda tx: contents.add(tx, kept, "test"))
    with log.read() as conn:
        assert [contents.raw(conn, one.hash) for one in kept] == parts


async def test_what_is_held_already_is_not_added_again(log: Log) -> None:
    assert await keep(log, content(1), content(2), content(1)) == 2
    assert await keep(log, content(2), content(3)) == 1
    with log.read() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.contents)) == 3
        assert conn.scalar(select(func.count()).select_from(schema.events)) == 3


async def test_the_same_content_from_many_at_once_is_kept_once(log: Log) -> None:
    assert sum(await asyncio.gather(*(keep(log, content(1)) for _ in range(20)))) == 1


async def test_nothing_to_add_is_no_event(log: Log) -> None:
    assert await keep(log) == 0
    with log.read() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.events)) == 0


async def test_more_than_one_query_s_worth_is_kept(log: Log) -> None:
    assert await keep(log, *(content(number) for number in range(1, 1202))) == 1201
    with log.read() as conn:
        everything = [digest(f"content {number}") for number in range(1, 1300)]
        assert contents.held(conn, everything) == set(everything[:1201])


async def test_what_is_not_held_has_no_bytes(log: Log) -> None:
    with log.read() as conn, pytest.raises(NotFound, match=digest("content 1")):
        contents.raw(conn, digest("content 1"))


async def test_ids_are_held_in_whatever_version(log: Log) -> None:
    await keep(log, content(1))
    with log.read() as conn:
        assert contents.ids_held(conn, [content(1).stix_id, content(2).stix_id]) == {content(1).stix_id}


async def test_an_object_without_a_creator_can_be_kept_with_all_that_is_derived(log: Log) -> None:
    one = content(
        creator="",
        markings=(Tlp.AMBER, Tlp.RED),
        unreadable_marking=True,
        observables=(("ipv4", "203.0.113.7"),),
        anchors=(("domain", "evil.example"), ("ipv4", "203.0.113.7")),
        refs=("malware--1", "malware--1", ALBANIA),
    )
    await keep(log, one)
    with log.read() as conn:
        assert search.named_by(conn, one.hash) == [ALBANIA, "malware--1"]
        assert search.observables(conn, one.hash) == [
            ("ipv4", "203.0.113.7", False),
            ("domain", "evil.example", True),
        ]


async def test_other_bytes_of_one_version_and_creator_are_in_conflict(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1))
    other = content(1, hash=digest("other"))
    with log.read() as conn:
        assert contents.in_conflict(conn, [other]) == {other.hash}


async def test_bytes_that_were_brought_without_a_statement_are_in_conflict_too(log: Log) -> None:
    await log.write(
        lambda tx: posts.add(tx, contents.add(tx, [content(1)], "test", kind="posted"), [], "test")
    )
    other = content(1, hash=digest("other"))
    with log.read() as conn:
        assert contents.in_conflict(conn, [other]) == {other.hash}


@pytest.mark.parametrize("signers", [(), (MONTENEGRO,)])
async def test_bytes_for_which_their_creator_does_not_stand_are_in_conflict_with_nothing(
    log: Log, signers: tuple[str, ...]
) -> None:
    await keep(log, content(1))
    await log.write(lambda tx: statements.add(tx, [signed(1, origin=one) for one in signers], "test"))
    with log.read() as conn:
        assert contents.in_conflict(conn, [content(1, hash=digest("other"))]) == set()


@pytest.mark.parametrize(
    "other",
    [
        content(1),
        content(1, hash=digest("other"), version=OTHER_VERSION),
        content(1, hash=digest("other"), creator=MONTENEGRO),
        content(2),
    ],
)
async def test_the_same_bytes_another_version_or_another_creator_s_are_not(
    log: Log, other: contents.Content
) -> None:
    await log.write(lambda tx: publish(tx, 1))
    with log.read() as conn:
        assert contents.in_conflict(conn, [other]) == set()


async def test_a_sensor_watches_for_what_stands_for_the_indicator_alone(log: Log) -> None:
    one = content(
        observables=(("ipv4", "203.0.113.7"),), anchors=(("domain", "evil.example"),), unmatched="why"
    )
    await keep(log, one, content(2, type="malware"))
    with log.read() as conn:
        assert contents.watched(conn, [one.hash])[one.hash] == contents.Watched(
            one.stix_id, one.version, (("ipv4", "203.0.113.7"),), "", "why"
        )
        assert contents.watched(conn, [content(2).hash, digest("nothing")]) == {}


async def test_a_revoked_indicator_has_nothing_to_watch_for(log: Log) -> None:
    await keep(log, content(revoked=True, observables=(("ipv4", "203.0.113.7"),)))
    with log.read() as conn:
        assert contents.watched(conn, [content().hash])[content().hash] == contents.Watched(
            content().stix_id, AT, (), "", ""
        )
