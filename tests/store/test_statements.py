"""Statements, and the facts that the release kernel decides on."""

from functools import partial

import pytest
from msgspec.structs import replace
from tests.store.examples import ALBANIA, AT, EXPIRES, MONTENEGRO, content, digest, publish, signed

from lezha.sharing.release import Facts
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.store import contents, statements
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx

TERMS = Terms(
    Tlp.STRICT,
    Audience(True, (CommunityTerm("community--nato", 3),), (MONTENEGRO,)),
    Pap.RED,
    onward=True,
    future_members=True,
    expires=EXPIRES,
    open_refs=("malware--1",),
)


async def keep(log: Log, *given: statements.Signed) -> None:
    def work(tx: Tx) -> None:
        numbers = range(1, 4)
        contents.add(
            tx, [content(n, markings=(Tlp.RED,), unreadable_marking=n == 2) for n in numbers], "test"
        )
        statements.add(tx, given, "test")

    await log.write(work)


async def test_facts_say_what_was_signed_and_how_the_object_is_marked(log: Log) -> None:
    await keep(log, signed(1, terms=TERMS))
    with log.read() as conn:
        [found] = statements.facts(conn, [signed(1).hash])
    assert found == Facts(
        statement=signed(1).hash,
        content=content(1).hash,
        terms=TERMS,
        origin=ALBANIA,
        author_here=True,
        issued=AT,
        markings=(Tlp.RED,),
        type="indicator",
    )


async def test_what_was_there_before_arrives_beside_what_is_new(log: Log) -> None:
    await keep(log, signed(1, own=False))

    def work(tx: Tx) -> None:
        new = statements.add(tx, [signed(1, own=False), signed(2, own=False)], "test")
        assert new.keys() == {signed(2).hash}
        statements.arrived(tx, [signed(1).hash, signed(2).hash, signed(2).hash], MONTENEGRO, new)

    await log.write(work)
    with log.read() as conn:
        found = statements.facts(conn, [signed(1).hash, signed(2).hash])
    assert [one.came_from for one in found] == [frozenset({MONTENEGRO})] * 2


async def test_a_companion_may_be_here_before_the_content_that_it_goes_beside(log: Log) -> None:
    await log.write(lambda tx: contents.add(tx, [content(1)], "test"))

    def work(tx: Tx) -> None:
        fresh = contents.add(tx, [content(1), content(2)], "test")
        assert fresh.keys() == {content(2).hash}
        statements.add(tx, [signed(2, companions=(content(1).hash,))], "test", fresh)

    await log.write(work)
    with log.read() as conn:
        assert statements.parcels(conn, [signed(2).hash])[signed(2).hash][1] == [
            content(2).raw,
            content(1).raw,
        ]


async def test_facts_say_who_sent_it_here(log: Log) -> None:
    await keep(log, signed(1, own=False), signed(2))
    for member in (MONTENEGRO, ALBANIA, MONTENEGRO):
        await log.write(partial(statements.arrived, hashes=[signed(1).hash], member=member))
    with log.read() as conn:
        first, second = statements.facts(conn, [signed(1).hash, signed(2).hash])
    assert (first.came_from, first.author_here) == (frozenset({MONTENEGRO, ALBANIA}), False)
    assert (second.came_from, second.unreadable_marking) == (frozenset(), True)


async def test_facts_come_in_the_order_asked_for(log: Log) -> None:
    await log.write(lambda tx: publish(tx, *range(1, 700)))
    wanted = [signed(number).hash for number in range(699, 0, -1)]
    with log.read() as conn:
        assert [one.statement for one in statements.facts(conn, wanted)] == wanted


async def test_facts_about_a_statement_that_is_not_held_are_refused(log: Log) -> None:
    await keep(log, signed(1))
    with log.read() as conn, pytest.raises(NotFound, match=digest("statement 2")):
        statements.facts(conn, [signed(1).hash, signed(2).hash])


async def test_a_statement_is_kept_once(log: Log) -> None:
    await keep(log, signed(1), signed(1))
    await keep(log, signed(1), signed(2))
    with log.read() as conn:
        assert statements.known(conn, [signed(n).hash for n in range(5)]) == {signed(1).hash, signed(2).hash}
        assert statements.about(conn, content(1).stix_id) == [signed(1).hash]


async def test_several_members_may_speak_about_one_content(log: Log) -> None:
    second = signed(2, content=content(1).hash, origin=MONTENEGRO, own=False)
    await keep(log, signed(1), second)
    with log.read() as conn:
        assert statements.about(conn, content(1).stix_id) == [signed(1).hash, second.hash]
        assert statements.about_any(conn, [content(1).stix_id, content(3).stix_id]) == {
            content(1).stix_id: [signed(1).hash, second.hash]
        }


async def test_a_statement_about_nothing_that_is_held_is_refused(log: Log) -> None:
    with pytest.raises(NotFound, match=digest("content 1")):
        await log.write(lambda tx: statements.add(tx, [signed(1)], "test"))


async def test_a_parcel_is_the_envelope_the_content_and_its_companions_in_order(log: Log) -> None:
    beside = (content(3).hash, content(2).hash)
    await keep(log, signed(1, companions=beside), signed(2, companions=(content(3).hash,)), signed(3))
    with log.read() as conn:
        found = statements.parcels(conn, [signed(n).hash for n in (1, 2, 3)])
    assert found == {
        signed(1).hash: (b"envelope 1", [b"bytes 1", b"bytes 3", b"bytes 2"]),
        signed(2).hash: (b"envelope 2", [b"bytes 2", b"bytes 3"]),
        signed(3).hash: (b"envelope 3", [b"bytes 3"]),
    }


async def test_a_content_may_be_its_own_companion(log: Log) -> None:
    await keep(log, replace(signed(1), companions=(content(1).hash,)))
    with log.read() as conn:
        assert statements.parcels(conn, [signed(1).hash])[signed(1).hash][1] == [b"bytes 1", b"bytes 1"]
