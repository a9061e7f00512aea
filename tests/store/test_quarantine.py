"""What was put aside, as people look at it and decide about it."""

from functools import partial

import pytest
from msgspec.structs import replace
from tests.store.examples import ALBANIA, MONTENEGRO
from tests.store.test_inbound import aside, size

from lezha.store import inbound, quarantine
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.quarantine import Aside, Verdict


async def put(log: Log, *numbers: int) -> list[Aside]:
    """Put frames aside and return them, oldest first."""
    for number in numbers:
        await log.write(partial(inbound.put_aside, items=[aside(number)]))
    with log.read() as conn:
        return quarantine.listed(conn, limit=99)[::-1]


async def test_what_waits_is_listed_newest_first_page_by_page(log: Log) -> None:
    asides = await put(log, 5, 2, 9)
    with log.read() as conn:
        first = quarantine.listed(conn, limit=2)
        assert [one.number for one in first] == [9, 2]
        assert [one.number for one in quarantine.listed(conn, before=first[-1].seq, limit=2)] == [5]
        assert quarantine.listed(conn, member=ALBANIA, limit=2) == []
        assert quarantine.listed(conn, code="companion", limit=2) == []
        assert quarantine.names(conn, [one.seq for one in asides[:2]]) == {
            asides[0].seq: ("malware--1", "tool--5"),
            asides[1].seq: ("malware--1", "tool--2"),
        }
        assert (quarantine.waiting(conn, 99), quarantine.waiting(conn, 2)) == (3, 2)
        assert [quarantine.waiting(conn, 99, one) for one in (MONTENEGRO, ALBANIA)] == [3, 0]


@pytest.mark.parametrize("verdict", Verdict)
async def test_a_verdict_destroys_the_bytes_and_keeps_the_proof(log: Log, verdict: Verdict) -> None:
    first, second = await put(log, 1, 2)
    assert size(log) == 2 * len(b"frame")
    await log.write(lambda tx: quarantine.decide(tx, first, verdict, "a busy resolver", "officer"))
    with log.read() as conn:
        assert [one.seq for one in quarantine.listed(conn, limit=9)] == [second.seq]
        assert len(quarantine.listed(conn, waiting=False, limit=9)) == 2
        done = quarantine.get(conn, first.seq)
        assert (done.number, done.code, done.detail, done.size) == (1, "authority", "why", 0)
        assert (done.verdict, done.by, done.why) == (verdict.value, "officer", "a busy resolver")
        assert quarantine.frame(conn, first.seq) == b""
        assert inbound.refusals(conn, MONTENEGRO, "one", 0, 9) == [(1, "authority"), (2, "authority")]
    assert size(log) == len(b"frame")


async def test_what_was_not_put_aside_is_not_found(log: Log) -> None:
    with log.read() as conn, pytest.raises(NotFound):
        quarantine.get(conn, 1)


async def test_what_was_decided_can_still_be_purged_by_its_name(log: Log) -> None:
    (one,) = await put(log, 1)
    await log.write(lambda tx: quarantine.decide(tx, one, Verdict.REJECTED, "", "officer"))
    assert await log.write(lambda tx: inbound.forget(tx.conn, ["tool--1"])) == ["tool--1"]
    with log.read() as conn:
        assert quarantine.get(conn, one.seq).detail == inbound.PURGED


async def test_what_is_dated_ahead_waits_for_its_time_and_for_nobody(log: Log) -> None:
    early = [replace(aside(number), code=inbound.AHEAD) for number in (1, 2, 3)]
    unkept = replace(aside(4), code=inbound.AHEAD, frame=b"")
    await log.write(lambda tx: inbound.put_aside(tx, [*early, unkept, aside(5)]))
    with log.read() as conn:
        first, second, third, fourth, fifth = (one.seq for one in quarantine.listed(conn, limit=9)[::-1])
        assert quarantine.dated(conn, [first, second, third, fourth, fifth]) == dict.fromkeys(
            (first, second, third), ""
        )
        assert quarantine.due(conn, MONTENEGRO, "2026", 9) == [first, second, third]
        assert quarantine.due(conn, ALBANIA, "2026", 9) == []
        assert (quarantine.early(conn, 9), quarantine.early(conn, 2), quarantine.waiting(conn, 9)) == (
            3,
            2,
            2,
        )
    await log.write(lambda tx: quarantine.put_date(tx, first, "2027"))
    await log.write(lambda tx: quarantine.put_date(tx, second, "2025"))
    await log.write(lambda tx: quarantine.put_date(tx, third, "2024"))
    with log.read() as conn:
        assert quarantine.due(conn, MONTENEGRO, "2026", 9) == [third, second]
        assert quarantine.due(conn, MONTENEGRO, "2026", 1) == [third]
        assert quarantine.due(conn, MONTENEGRO, "2027", 9) == [third, second, first]


async def test_what_is_decided_waits_for_no_time_and_what_is_refused_anew_says_so(log: Log) -> None:
    await log.write(
        lambda tx: inbound.put_aside(tx, [replace(aside(number), code=inbound.AHEAD) for number in (1, 2)])
    )
    with log.read() as conn:
        second, first = quarantine.listed(conn, limit=9)
    await log.write(lambda tx: quarantine.decide(tx, first, Verdict.REJECTED, "old", "officer"))
    await log.write(lambda tx: quarantine.restate(tx, second.seq, "too_broad", "it is too broad", "node"))
    await log.write(lambda tx: quarantine.restate(tx, first.seq, "too_broad", "it is too broad", "node"))
    with log.read() as conn:
        assert (quarantine.early(conn, 9), quarantine.waiting(conn, 9)) == (0, 1)
        found = quarantine.get(conn, second.seq)
        assert (found.code, found.detail, found.size, found.verdict) == (
            "too_broad",
            "it is too broad",
            5,
            "",
        )
        assert (quarantine.get(conn, first.seq).code, quarantine.get(conn, first.seq).verdict) == (
            inbound.AHEAD,
            "rejected",
        )
