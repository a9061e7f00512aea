"""Rosters, and the admissions that this node has approved."""

from functools import partial

import pytest
from msgspec.structs import replace
from tests.store.examples import ALBANIA, MONTENEGRO, digest, roster

from lezha.store import communities, views
from lezha.store.errors import Conflict
from lezha.store.log import Log


async def test_a_roster_is_kept_once(log: Log) -> None:
    assert await log.write(lambda tx: communities.add(tx, roster(1), "test"))
    assert not await log.write(lambda tx: communities.add(tx, roster(1), "test"))
    with log.read() as conn:
        assert len(views.changes(conn, 0, ["roster"], 10)) == 1
        assert communities.by_hash(conn, roster(1).hash) == roster(1)
        assert communities.by_hash(conn, digest("none")) is None


async def test_two_rosters_of_one_number_are_a_conflict_and_the_first_stays(log: Log) -> None:
    await log.write(lambda tx: communities.add(tx, roster(1), "test"))
    with pytest.raises(Conflict, match="Two different rosters of NATO have number 1"):
        await log.write(lambda tx: communities.add(tx, replace(roster(1), hash=digest("other")), "test"))
    with log.read() as conn:
        assert communities.latest(conn) == [roster(1)]


async def test_the_highest_number_counts_in_whatever_order_they_come(log: Log) -> None:
    for number in (2, 10, 9):
        await log.write(partial(communities.add, roster=roster(number), actor="test"))
    with log.read() as conn:
        assert [one.number for one in communities.latest(conn)] == [10]
        assert communities.current(conn)["community--nato"].number == 10


async def test_who_is_not_admitted_here_is_not_in_the_community(log: Log) -> None:
    await log.write(lambda tx: communities.add(tx, roster(1), "test"))
    await log.write(lambda tx: communities.approve(tx, "community--nato", [MONTENEGRO], "test"))
    with log.read() as conn:
        assert communities.current(conn)["community--nato"].members == {MONTENEGRO: 1}


async def test_who_was_removed_is_not_in_the_community_though_admitted_once(log: Log) -> None:
    await log.write(lambda tx: communities.approve(tx, "community--nato", [ALBANIA, MONTENEGRO], "test"))
    await log.write(lambda tx: communities.add(tx, roster(1), "test"))
    await log.write(lambda tx: communities.add(tx, roster(2, members={ALBANIA: 1}), "test"))
    with log.read() as conn:
        assert communities.current(conn)["community--nato"].members == {ALBANIA: 1}


async def test_an_admission_is_recorded_once(log: Log) -> None:
    first = await log.write(lambda tx: communities.approve(tx, "community--nato", [ALBANIA], "test"))
    second = await log.write(
        lambda tx: communities.approve(tx, "community--nato", [ALBANIA, MONTENEGRO], "test")
    )
    assert (first, second) == ([ALBANIA], [MONTENEGRO])
    with log.read() as conn:
        assert len(views.changes(conn, 0, ["admission"], 10)) == 2
