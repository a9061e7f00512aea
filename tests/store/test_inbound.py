"""What peers have sent here."""

from functools import partial

from sqlalchemy import select
from tests.store.examples import ALBANIA, MONTENEGRO

from lezha.store import inbound, schema
from lezha.store.inbound import Quarantined
from lezha.store.log import Log
from lezha.store.views import GENESIS, Head


def aside(number: int, code: str = "authority") -> Quarantined:
    return Quarantined(MONTENEGRO, "one", number, code, "why", b"frame", ("malware--1", f"tool--{number}"))


async def test_each_incarnation_of_a_peer_has_a_stream_of_its_own(log: Log) -> None:
    heads = {"one": Head(7, b"a" * 32), "two": Head(3, b"b" * 32)}
    for incarnation, head in [("one", Head(2, GENESIS)), *heads.items()]:
        await log.write(partial(inbound.move, member=MONTENEGRO, incarnation=incarnation, to=head))
    with log.read() as conn:
        assert {key: inbound.head(conn, MONTENEGRO, key) for key in heads} == heads
        assert (
            inbound.head(conn, MONTENEGRO, "three") == inbound.head(conn, ALBANIA, "one") == Head(0, GENESIS)
        )
        assert inbound.received(conn, MONTENEGRO)[0] == 10
        assert inbound.received(conn, ALBANIA) == (0, "")


async def test_refusals_are_told_by_number(log: Log) -> None:
    for one in (aside(5), aside(2, "companion"), aside(9)):
        await log.write(partial(inbound.put_aside, item=one))
    with log.read() as conn:
        assert inbound.refusals(conn, MONTENEGRO, "one", 2) == [(5, "authority"), (9, "authority")]
        assert inbound.refusals(conn, MONTENEGRO, "two", 0) == []
        assert inbound.put_aside_counts(conn, MONTENEGRO) == {"authority": 2, "companion": 1}


async def test_what_was_put_aside_is_forgotten_by_the_names_in_it(log: Log) -> None:
    for number in (1, 2, 3):
        await log.write(partial(inbound.put_aside, item=aside(number)))
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--2", "tool--9"])) == ["tool--2"]
    table = schema.quarantine
    with log.read() as conn:
        kept = conn.execute(select(table.c.number, table.c.frame, table.c.detail).order_by(table.c.number))
        assert [tuple(row) for row in kept] == [
            (1, b"frame", "why"),
            (2, b"", "purged"),
            (3, b"frame", "why"),
        ]
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--2"])) == []
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["malware--1"])) == ["malware--1"]
    with log.read() as conn:
        assert set(conn.scalars(select(table.c.frame))) == {b""}
        assert inbound.refusals(conn, MONTENEGRO, "one", 0) == [(n, "authority") for n in (1, 2, 3)]


async def test_what_could_not_be_purged_by_each_of_its_names_is_not_kept(log: Log) -> None:
    many = tuple(f"tool--{number}" for number in range(65))
    for number, names in enumerate((many, many[:64])):
        item = Quarantined(MONTENEGRO, "one", number, "authority", "why", b"frame", names)
        await log.write(partial(inbound.put_aside, item=item))
    with log.read() as conn:
        frames = conn.scalars(select(schema.quarantine.c.frame).order_by(schema.quarantine.c.number))
        assert list(frames) == [b"", b"frame"]
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--64"])) == []
