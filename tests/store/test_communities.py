"""Rosters, the admissions that this node has approved, and what is known of rosters that it does not hold."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import update
from tests.store.examples import ALBANIA, AT, MONTENEGRO, digest, roster

from lezha.sharing.community import Community
from lezha.store import communities, schema, views
from lezha.store.communities import KeptRoster
from lezha.store.errors import Conflict
from lezha.store.log import Log, Tx

AUSTRIA = "identity--a7000000-0000-4000-8000-000000000000"
NATO, EU = "community--nato", "community--eu"


def keep(number: int = 1, *, came_from: str = "", **changes: Any) -> Callable[[Tx], bool]:
    return partial(
        communities.add, roster=replace(roster(number), **changes), actor="test", came_from=came_from
    )


def approve(members: dict[str, int], community: str = NATO) -> Callable[[Tx], list[str]]:
    return partial(communities.approve, community=community, members=members, actor="test")


async def accepted(log: Log, *numbers: int, **changes: Any) -> None:
    """Have these rosters of NATO in the log, and the members of the first of them approved."""
    for number in numbers:
        await log.write(keep(number, **changes))
    await log.write(approve({ALBANIA: 1, MONTENEGRO: 1}))


def present(log: Log) -> Community:
    with log.read() as conn:
        return communities.current(conn)[NATO]


def kinds(log: Log) -> list[str]:
    with log.read() as conn:
        return [row.kind for row in conn.execute(schema.events.select().order_by(schema.events.c.seq))]


async def test_a_roster_is_kept_once(log: Log) -> None:
    ended = {MONTENEGRO: AT}
    assert await log.write(keep(until=ended))
    assert not await log.write(keep(until=ended))
    with log.read() as conn:
        assert len(views.changes(conn, 0, ["roster"], 10)) == 1
        assert communities.by_hash(conn, roster(1).hash) == replace(roster(1), until=ended)
        assert communities.by_hash(conn, digest("none")) is None


async def test_the_highest_number_counts_in_whatever_order_they_come(log: Log) -> None:
    await accepted(log, 2, 10, 9)
    with log.read() as conn:
        assert [one.number for one in communities.latest(conn, [NATO, EU])] == [10]
    assert present(log).number == 10


async def test_who_is_not_admitted_here_is_not_in_the_community(log: Log) -> None:
    await log.write(keep())
    await log.write(approve({MONTENEGRO: 1}))
    assert (present(log).members, present(log).waiting) == ({MONTENEGRO: 1}, {ALBANIA: 1})


async def test_who_was_removed_is_not_in_the_community_though_admitted_once(log: Log) -> None:
    await accepted(log, 1)
    await log.write(keep(2, members={ALBANIA: 1}))
    assert (present(log).members, present(log).waiting) == ({ALBANIA: 1}, {})


async def test_who_was_removed_and_comes_back_waits_for_a_new_approval(log: Log) -> None:
    await accepted(log, 1)
    await log.write(keep(2, members={ALBANIA: 1}))
    await log.write(keep(3, members={ALBANIA: 1, MONTENEGRO: 3}))
    assert (present(log).members, present(log).waiting) == ({ALBANIA: 1}, {MONTENEGRO: 3})
    assert await log.write(approve({MONTENEGRO: 3})) == [MONTENEGRO]
    assert present(log).members == {ALBANIA: 1, MONTENEGRO: 3}


async def test_until_when_a_membership_lasts_is_told(log: Log) -> None:
    await accepted(log, 1, until={MONTENEGRO: AT})
    assert present(log).until == {MONTENEGRO: AT}


async def test_an_admission_is_recorded_once(log: Log) -> None:
    first = await log.write(approve({ALBANIA: 1}))
    second = await log.write(approve({ALBANIA: 1, MONTENEGRO: 1}))
    assert (first, second) == ([ALBANIA], [MONTENEGRO])
    with log.read() as conn:
        assert len(views.changes(conn, 0, ["admission"], 10)) == 2


# --- two of one number ----------------------------------------------------------------------------------------------


def clashing(number: int = 1, name: str = "other") -> KeptRoster:
    return replace(roster(number), hash=digest(name))


def refuse(one: KeptRoster, came_from: str = AUSTRIA) -> Callable[[Tx], None]:
    return partial(communities.clash, roster=one, actor="peer", came_from=came_from)


async def test_two_rosters_of_one_number_are_a_conflict_and_the_first_stays(log: Log) -> None:
    await accepted(log, 1)
    with pytest.raises(Conflict, match="Two different rosters of NATO have number 1"):
        await log.write(partial(communities.add, roster=clashing(), actor="test"))
    with log.read() as conn:
        assert communities.latest(conn, [NATO]) == [roster(1)]


async def test_a_conflict_is_recorded_once_with_both_and_who_sent_the_second(log: Log) -> None:
    await accepted(log, 1)
    for _ in range(2):
        await log.write(refuse(clashing()))
    with log.read() as conn:
        (found,) = communities.clashes(conn)
    assert (found.held, found.hash, found.came_from) == (roster(1).hash, digest("other"), AUSTRIA)
    assert kinds(log).count("roster conflict") == 1


async def test_a_later_roster_ends_a_conflict(log: Log) -> None:
    await accepted(log, 1)
    await log.write(refuse(clashing()))
    await log.write(keep(2))
    with log.read() as conn:
        assert communities.clashes(conn) == []


async def test_of_one_community_no_more_than_so_many_conflicts_are_recorded(log: Log) -> None:
    await accepted(log, 1)
    for number in range(40):
        await log.write(refuse(clashing(name=str(number))))
    with log.read() as conn:
        assert len(communities.clashes(conn)) == 32


# --- what was not accepted here -------------------------------------------------------------------------------------


async def test_what_a_peer_sends_of_a_community_that_was_not_accepted_is_no_input_of_decisions(
    log: Log,
) -> None:
    await log.write(keep(came_from=AUSTRIA))
    assert kinds(log) == ["roster offered"]
    await log.write(refuse(clashing()))
    with log.read() as conn:
        assert (communities.current(conn), communities.clashes(conn)) == ({}, [])
        assert communities.offered(conn, 100) == [roster(1)]


async def test_no_decision_reads_the_rosters_of_communities_that_were_not_accepted(log: Log) -> None:
    await accepted(log, 1)
    await log.write(keep(came_from=AUSTRIA, community=EU, hash=digest("eu"), name="EU"))
    unreadable = update(schema.rosters).where(schema.rosters.c.community == EU).values(members="not read")
    await log.write(lambda tx: tx.conn.execute(unreadable))
    assert present(log).members == {ALBANIA: 1, MONTENEGRO: 1}


async def test_of_communities_that_were_not_accepted_few_rosters_are_kept_of_one_peer(log: Log) -> None:
    def room(sender: str, community: str) -> bool:
        with log.read() as conn:
            return communities.has_room(conn, community, sender)

    await accepted(log, 1)
    for number in range(communities.OFFERED):
        assert room(AUSTRIA, "community--more")
        await log.write(keep(came_from=AUSTRIA, community=f"community--{number}", hash=digest(str(number))))
    assert not room(AUSTRIA, "community--more")
    assert not room(AUSTRIA, "community--0")
    assert room(MONTENEGRO, "community--more")
    assert room(AUSTRIA, NATO)


# --- a later roster that others sign by -----------------------------------------------------------------------------


async def test_who_signs_by_a_later_roster_than_is_held_is_remembered(log: Log) -> None:
    await accepted(log, 1)
    for numbers in ((1, 3), (2, 2)):
        floors = dict(zip([(NATO, ALBANIA), (NATO, AUSTRIA)], numbers, strict=True))
        await log.write(partial(communities.signed_by, floors=floors))
    with log.read() as conn:
        assert [(one.member, one.number) for one in communities.behind(conn)] == [(AUSTRIA, 3), (ALBANIA, 2)]
    await log.write(keep(2))
    with log.read() as conn:
        assert [(one.member, one.number) for one in communities.behind(conn)] == [(AUSTRIA, 3)]
    await log.write(keep(3))
    with log.read() as conn:
        assert communities.behind(conn) == []


async def test_rosters_of_communities_that_were_not_accepted_are_not_missed(log: Log) -> None:
    await log.write(partial(communities.signed_by, floors={(NATO, ALBANIA): 3}))
    await accepted(log, 1)
    with log.read() as conn:
        assert communities.behind(conn) == []
