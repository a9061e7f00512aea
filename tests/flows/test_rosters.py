"""Rosters as people look at them: what one would change, and what the duty officer is warned of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import MALLORY, PODGORICA, TIRANA, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import VIENNA, Station, alliance

from lezha.federation import roster
from lezha.federation.roster import Charter, ForATime, Roster
from lezha.flows import convene, desk, rosters
from lezha.flows.errors import FlowError
from lezha.flows.receive import kept_roster
from lezha.flows.rosters import Alarm, CommunityReport, Membership, Review, Warned
from lezha.node.clock import later, utc_now
from lezha.store import communities
from lezha.store.errors import NotFound

NATO = charter(TIRANA, PODGORICA, threshold=2)
EXPIRES = "2999-01-01T00:00:00.000000Z"


@pytest.fixture
async def here(station: Callable[..., Station]) -> Station:
    """Podgorica, which knows Tirana and has accepted NATO; Vienna is unknown to it."""
    podgorica, tirana = station(PODGORICA), station(TIRANA)
    await alliance(podgorica, tirana)
    await accept(podgorica, first())
    return podgorica


def first(of: Charter = NATO, **changes: Any) -> Roster:
    return a_roster(of, **({"expires": EXPIRES} | changes))


def after(one: Roster, **changes: Any) -> Roster:
    previous = roster.digest(signed(one))
    return replace(one, **({"number": one.number + 1, "previous": previous} | changes))


def signed(one: Roster, *parties: Any) -> bytes:
    raw = roster.draft(one, TIRANA.signer)
    for party in parties or (PODGORICA,):
        raw = roster.cosign(raw, party.signer)
    return raw


async def accept(station: Station, one: Roster) -> None:
    await convene.accept(station.log, signed(one), "test")


def reviewed(station: Station, raw: bytes) -> Review:
    with station.log.read() as conn:
        return rosters.review(conn, rosters.known(conn, station.members), raw, utc_now())


def warned(station: Station, soon_days: int = 14) -> list[Warned]:
    now = utc_now()
    with station.log.read() as conn:
        who = rosters.known(conn, station.members)
        return rosters.warnings(conn, who, now, later(now, days=soon_days))


def report(station: Station, written: str = "NATO") -> CommunityReport:
    with station.log.read() as conn:
        return rosters.one(conn, rosters.known(conn, station.members), written, utc_now())


# --- a roster looked at ---------------------------------------------------------------------------------------------


async def test_a_review_says_who_joins_leaves_and_stays_for_another_time(here: Station) -> None:
    members = {PODGORICA.member: ForATime(1, EXPIRES), VIENNA.member: 2}
    found = reviewed(here, signed(after(first(), members=members)))
    assert (found.number, found.held, found.warnings) == (2, 1, [])
    assert [one.name for one in found.joins] == [VIENNA.member]
    assert [one.name for one in found.leaves] == ["tirana"]
    assert [(one.name, one.before, one.after) for one in found.changes] == [("podgorica", "", EXPIRES)]
    assert found.waiting == [VIENNA.member]


async def test_who_is_admitted_anew_joins(here: Station) -> None:
    again = after(first(), members={PODGORICA.member: 1, TIRANA.member: 2})
    found = reviewed(here, signed(again))
    assert ([one.name for one in found.joins], found.waiting) == (["tirana"], ["tirana"])
    assert found.leaves == []


async def test_a_review_says_who_has_signed_and_how_many_signatures_lack(here: Station) -> None:
    found = reviewed(here, roster.draft(after(first()), TIRANA.signer))
    assert (found.stewards, found.signed_by, found.lacking) == (["tirana", "podgorica"], ["tirana"], 1)
    assert reviewed(here, signed(after(first()), PODGORICA, MALLORY)).lacking == 0


def foreign() -> Roster:
    return first(charter(MALLORY), members={MALLORY.member: 1})


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (foreign(), "Another community that was accepted here is called NATO"),
        (replace(foreign(), number=2, previous="0" * 64), "No earlier roster of this community is held"),
        (first(expires="2998-01-01T00:00:00.000000Z"), "Another roster with number 1 is held here"),
        (after(first(), number=3), "It has number 3, and the latest roster held here is number 1"),
        (after(first(), previous="0" * 64), "follows another roster 1"),
        (after(first(), members={VIENNA.member: 1}), "admitted"),
        (after(first(), expires="2020-01-01T00:00:00.000000Z"), "It expired at 2020"),
    ],
)
async def test_a_review_warns_of_what_is_odd(here: Station, one: Roster, words: str) -> None:
    assert words in " ".join(reviewed(here, roster.draft(one, TIRANA.signer)).warnings)


async def test_an_earlier_roster_and_the_one_held_are_told_apart(here: Station) -> None:
    await accept(here, after(first()))
    (words,) = reviewed(here, signed(first())).warnings
    assert words == "Roster 2 is held here already: this one changes nothing that is in force."
    assert reviewed(here, signed(after(first()))).warnings == []


async def test_a_roster_that_came_over_a_link_alone_says_nothing_of_who_was_in(here: Station) -> None:
    kept = kept_roster(roster.read(roster.draft(foreign(), MALLORY.signer)))
    await here.log.write(partial(communities.add, roster=kept, actor="peer", came_from=TIRANA.member))
    found = reviewed(here, roster.draft(foreign(), MALLORY.signer))
    assert (found.held, [one.id for one in found.joins]) == (0, [MALLORY.member])
    assert report(here, kept.community).members[0].state is Membership.OFFERED
    assert report(here).id == NATO.community


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff"])
async def test_what_is_no_roster_is_not_reviewed(here: Station, raw: bytes) -> None:
    with pytest.raises(FlowError):
        reviewed(here, raw)


async def test_a_community_that_is_not_here_is_not_found(here: Station) -> None:
    with pytest.raises(NotFound):
        report(here, "EU")


# --- the duty officer -----------------------------------------------------------------------------------------------


async def test_nothing_is_warned_of_while_all_is_well(here: Station) -> None:
    assert warned(here) == []


async def test_each_thing_that_is_wrong_is_a_warning_the_gravest_first(here: Station) -> None:
    joined = first().members | {VIENNA.member: 2}
    second = after(first(), members=joined, expires=later(utc_now(), days=3))
    kept = kept_roster(roster.read(signed(second)))
    await here.log.write(partial(communities.add, roster=kept, actor="peer", came_from=TIRANA.member))
    other = replace(kept, hash="1" * 64)
    await here.log.write(partial(communities.clash, roster=other, actor="peer", came_from=TIRANA.member))
    await here.log.write(
        partial(communities.signed_by, floors={(kept.community, member): 5 for member in (TIRANA.member,)})
    )
    found = warned(here)
    assert [one.alarm for one in found] == [Alarm.CONFLICT, Alarm.MISSED, Alarm.EXPIRING, Alarm.WAITING]
    assert {one.stewards for one in found} == {(TIRANA.member, PODGORICA.member)}
    assert [one.who for one in found] == [(TIRANA.member,), (TIRANA.member,), (), (VIENNA.member,)]
    assert (found[0].hashes, found[1].number) == ((kept.hash, "1" * 64), 5)
    assert report(here).missed == rosters.Missed(5, "tirana")


@pytest.mark.parametrize(("days", "alarm"), [(-1, Alarm.EXPIRED), (13, Alarm.EXPIRING)])
async def test_a_roster_that_expires_is_warned_of_a_fortnight_before(
    here: Station, days: int, alarm: Alarm
) -> None:
    await accept(here, after(first(), expires=later(utc_now(), days=days)))
    assert [one.alarm for one in warned(here)] == [alarm]
    assert report(here).expired is (days < 0)


async def test_a_roster_that_expires_later_is_not_warned_of(here: Station) -> None:
    await accept(here, after(first(), expires=later(utc_now(), days=15)))
    assert warned(here) == []


async def test_what_others_call_themselves_is_no_name_on_pages(here: Station) -> None:
    kept = kept_roster(roster.read(roster.draft(foreign(), MALLORY.signer)))
    await here.log.write(partial(communities.add, roster=kept, actor="peer", came_from=TIRANA.member))
    with here.log.read() as conn:
        assert desk.circles(conn) == {NATO.community: "NATO"}
    await convene.accept(here.log, kept.envelope, "test")
    with here.log.read() as conn:
        assert desk.circles(conn) == {
            one.community: f"NATO ({one.community[11:19]})" for one in (NATO, foreign().charter)
        }
