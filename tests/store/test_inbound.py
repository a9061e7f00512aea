"""What peers have sent here."""

from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import select
from tests.store.examples import ALBANIA, MONTENEGRO

from lezha.store import inbound, schema, survey
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
        await log.write(partial(inbound.put_aside, items=[one]))
    with log.read() as conn:
        assert inbound.refusals(conn, MONTENEGRO, "one", 2, 9) == [(5, "authority"), (9, "authority")]
        assert inbound.refusals(conn, MONTENEGRO, "one", 0, 2) == [(2, "companion"), (5, "authority")]
        assert inbound.refusals(conn, MONTENEGRO, "two", 0, 9) == []
        assert inbound.put_aside_counts(conn, MONTENEGRO) == {"authority": 2, "companion": 1}


async def test_what_was_put_aside_is_forgotten_by_the_names_in_it(log: Log) -> None:
    for number in (1, 2, 3):
        await log.write(partial(inbound.put_aside, items=[aside(number)]))
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
        assert inbound.refusals(conn, MONTENEGRO, "one", 0, 9) == [(n, "authority") for n in (1, 2, 3)]


async def test_what_could_not_be_purged_by_each_of_its_names_is_not_kept(log: Log) -> None:
    many = tuple(f"tool--{number}" for number in range(65))
    for number, names in enumerate((many, many[:64])):
        item = Quarantined(MONTENEGRO, "one", number, "authority", "why", b"frame", names)
        await log.write(partial(inbound.put_aside, items=[item]))
    with log.read() as conn:
        frames = conn.scalars(select(schema.quarantine.c.frame).order_by(schema.quarantine.c.number))
        assert list(frames) == [b"", b"frame"]
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--64"])) == []


def size(log: Log, member: str = MONTENEGRO) -> int:
    table = schema.quarantine_sizes
    with log.read() as conn:
        assert survey.sizes_that_differ(conn) == []
        return conn.scalar(select(table.c.bytes).where(table.c.member == member)) or 0


async def test_of_one_peer_so_many_bytes_are_kept_whatever_became_of_others(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "_BYTES_KEPT", 12)
    theirs = [replace(aside(number), member=ALBANIA) for number in range(9)]
    await log.write(partial(inbound.put_aside, items=[aside(1), *theirs[:3], aside(2), aside(3)]))
    await log.write(partial(inbound.put_aside, items=[aside(4)]))
    assert (size(log), size(log, ALBANIA)) == (10, 10)
    await log.write(lambda tx: inbound.forget(tx.conn, ["tool--1"]))
    assert (size(log), size(log, ALBANIA)) == (5, 5)
    await log.write(partial(inbound.put_aside, items=[aside(5), aside(6)]))
    assert size(log) == 10
    table = schema.quarantine
    kept = select(table.c.number).where(table.c.frame != b"", table.c.member == MONTENEGRO)
    with log.read() as conn:
        assert sorted(conn.scalars(kept)) == [2, 5]
        assert len(inbound.refusals(conn, MONTENEGRO, "one", 0, 9)) == 6


async def test_names_by_which_frames_were_destroyed_are_remembered(log: Log) -> None:
    for number in (1, 2):
        await log.write(partial(inbound.put_aside, items=[replace(aside(1), number=number)]))
        assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--1", "tool--9"])) == ["tool--1"]
        with log.read() as conn:
            assert inbound.forgotten(conn, ["tool--1", "tool--9", "malware--1"]) == {"tool--1"}
