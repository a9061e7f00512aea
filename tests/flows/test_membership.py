"""Members come and go: what each is given follows from the rosters as they are now, and from nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import PODGORICA, TIRANA, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import (
    PRISTINA,
    VIENNA,
    Station,
    alliance,
    batch,
    deliver,
    found,
    pack,
    roster,
    said,
    stream,
    take,
    told,
    written,
)

from lezha.federation import roster as signed_roster
from lezha.federation.frame import FrameKind, Parcel
from lezha.flows import convene, share
from lezha.flows.convene import Choice, Revision
from lezha.node.clock import later, utc_now
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Tlp
from lezha.store import communities, schema, views
from lezha.store.log import Log

Four = tuple[Station, Station, Station, Station]


@pytest.fixture
async def four(station: Callable[..., Station]) -> Four:
    """Tirana, Podgorica, Vienna and Pristina, who all know one another."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA), station(PRISTINA)
    await alliance(*stations)
    return stations


def ids(*numbers: int) -> list[str]:
    return [told(TIRANA, number)["id"] for number in numbers]


def next_roster(steward: Station, name: str = "NATO", **changes: Any) -> bytes:
    plain: dict[str, Any] = {"add": {}, "remove": (), "issued": utc_now()}
    with steward.log.read() as conn:
        return convene.revise(conn, steward.convener, steward.members, Revision(name, **(plain | changes)))


async def revise(steward: Station, *others: Station, **changes: Any) -> None:
    """Have the next roster in force at its steward's and where else it is accepted."""
    raw = next_roster(steward, **changes)
    for one in (steward, *others):
        await convene.accept(one.log, raw, "test")


def kinds(sent: Any) -> list[FrameKind]:
    return [one.kind for one in sent.frames]


# --- removed --------------------------------------------------------------------------------------------------------


async def test_a_member_removed_between_numbering_and_sending_is_sent_nothing(four: Four) -> None:
    tirana, podgorica, *_ = four
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    before = await pack(tirana, podgorica)
    assert kinds(before) == [FrameKind.ROSTER, FrameKind.STATEMENT]
    await revise(tirana, remove=("podgorica",))
    after = await pack(tirana, podgorica)
    assert kinds(after) == [FrameKind.VOID, FrameKind.VOID]
    assert [one.chain() for one in after.frames] == [one.chain() for one in before.frames]
    await take(podgorica, tirana, after)
    assert (podgorica.holds(*ids(1)), len(podgorica.rows(schema.rosters, "number"))) == ([False], 1)
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "not_in_audience"}


async def test_a_removal_that_comes_over_a_link_counts_before_the_next_send(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica, vienna)
    await podgorica.publish(told(PODGORICA, 1), to=["NATO"])
    assert FrameKind.STATEMENT in kinds(await pack(podgorica, vienna))
    await revise(tirana, remove=("vienna",))
    await deliver(tirana, podgorica)
    assert kinds(await pack(podgorica, vienna)) == [FrameKind.VOID, FrameKind.VOID]


async def test_who_was_removed_is_sent_no_roster_any_more(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica, vienna)
    await deliver(tirana, vienna)
    await revise(tirana, remove=("vienna",))
    await deliver(tirana, vienna)
    assert vienna.rows(schema.rosters, "number") == [(1,)]


async def test_who_was_removed_and_comes_back_gets_nothing_of_the_time_between(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica, vienna)
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    await revise(tirana, remove=("vienna",))
    await tirana.publish(told(TIRANA, 2), to=["NATO"])
    await revise(tirana, add={"vienna": None})
    await tirana.publish(told(TIRANA, 3), to=["NATO"])
    await deliver(tirana, vienna)
    assert vienna.holds(*ids(1, 2, 3)) == [False, False, True]
    assert await tirana.withheld(vienna) == dict.fromkeys(ids(1, 2), "admitted_later")


# --- for a time -----------------------------------------------------------------------------------------------------


async def test_a_contractor_is_out_when_its_time_is_over_without_any_event(four: Four) -> None:
    tirana, podgorica, *_ = four
    await found("NATO", tirana, podgorica)
    await revise(tirana, add={"podgorica": later(utc_now(), days=1)})
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    assert kinds(await pack(tirana, podgorica))[-1] is FrameKind.STATEMENT
    over = await pack(tirana, podgorica, now=later(utc_now(), days=2))
    assert set(kinds(over)) == {FrameKind.VOID}
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "membership_ended"}


async def test_a_contractor_whose_time_was_over_and_who_is_taken_back_is_a_later_member(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica, vienna)
    await revise(tirana, add={"podgorica": later(utc_now(), seconds=-1)})
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "membership_ended"}
    await revise(tirana, add={"podgorica": None})
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "admitted_later"}


# --- admitted later -------------------------------------------------------------------------------------------------


async def test_who_is_admitted_later_gets_of_the_old_what_is_for_future_members(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), to=["NATO"], future_members=True)
    await tirana.publish(told(TIRANA, 2), to=["NATO"])
    await revise(tirana, add={"vienna": None})
    await tirana.publish(told(TIRANA, 3), to=["NATO"])
    await deliver(tirana, vienna)
    assert vienna.holds(*ids(1, 2, 3)) == [True, False, True]
    assert await tirana.withheld(vienna) == {ids(2)[0]: "admitted_later"}


async def test_an_admission_that_comes_over_a_link_waits_for_approval_here(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica)
    await podgorica.publish(told(PODGORICA, 1), to=["NATO"], future_members=True)
    await revise(tirana, add={"vienna": None})
    await deliver(tirana, podgorica)
    await podgorica.publish(told(PODGORICA, 2), to=["NATO"])
    first, second = (told(PODGORICA, number)["id"] for number in (1, 2))
    assert await podgorica.withheld(vienna) == dict.fromkeys((first, second), "not_admitted_here")
    assert (await pack(podgorica, vienna)).frames == ()  # not even the roster, which names its members
    await convene.approve(
        podgorica.log, "NATO", Choice(podgorica.member, podgorica.members, ("vienna",)), "test"
    )
    assert kinds(await pack(podgorica, vienna)) == [FrameKind.ROSTER, *[FrameKind.STATEMENT] * 2]


async def test_what_is_given_belatedly_is_given_some_in_each_commit_and_in_the_order_of_the_log(
    four: Four, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica, vienna, _ = four
    monkeypatch.setattr(share, "_AGAIN_PER_COMMIT", 3)
    monkeypatch.setattr(views, "_STRETCH", 2)
    await found("NATO", tirana, podgorica)
    numbers = [5, 3, 8, 1, 7, 2, 6, 4]
    for number in numbers:
        await tirana.publish(told(TIRANA, number), to=["NATO"], future_members=True)
        # What is never for Vienna must not move what is.
        await tirana.publish(told(TIRANA, 10 + number), to=["podgorica"])
    assert len(await tirana.withheld(vienna)) == 16
    await revise(tirana, add={"vienna": None})
    await tirana.publish(told(TIRANA, 9), to=["NATO"])
    recipient = tirana.peer(vienna).recipient()
    commits, given = 1, 0
    while await share.decide_some(tirana.log, recipient) is None:
        with tirana.log.read() as conn:
            given = views.head(conn, vienna.member).number
        commits += 1
    assert commits > 3
    assert given < 10
    await deliver(tirana, vienna)
    with vienna.log.read() as conn:
        table = schema.contents
        came = conn.scalars(
            table.select()
            .with_only_columns(table.c.stix_id)
            .where(table.c.type == "indicator")
            .order_by(table.c.seq)
        ).all()
    assert list(came) == ids(*numbers, 9)


# --- a roster that does not arrive ----------------------------------------------------------------------------------


async def test_a_roster_withheld_by_a_relay_holds_what_was_signed_by_it_and_is_missed(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    await found("NATO", tirana, podgorica, vienna, pristina)
    await deliver(tirana, podgorica)
    await revise(tirana, remove=("pristina",))
    await tirana.publish(told(TIRANA, 1), to=["NATO"], tlp=Tlp.GREEN, onward=True)
    # Vienna relays to Podgorica the statement alone, and not the roster that Pristina is not in any more.
    *_, statement = (await pack(tirana, vienna)).frames
    await take(
        podgorica, vienna, batch(*stream(Parcel(statement.kind, statement.envelope, statement.contents)))
    )
    assert await podgorica.withheld(pristina) == {ids(1)[0]: "roster_behind"}
    with podgorica.log.read() as conn:
        (missed,) = communities.behind(conn)
    assert (missed.member, missed.number) == (TIRANA.member, 2)
    await deliver(tirana, podgorica)
    assert await podgorica.withheld(pristina) == {ids(1)[0]: "not_in_audience"}
    with podgorica.log.read() as conn:
        assert communities.behind(conn) == []


async def test_a_floor_beyond_all_numbers_is_taken_as_it_comes(
    log: Log, station: Callable[..., Station]
) -> None:
    here, sender = Station(PODGORICA, log), station(TIRANA)
    await here.links(sender)
    nato = await found("NATO", sender)
    await convene.accept(log, signed(sender, nato.id), "test")
    terms = Terms(Tlp.GREEN, Audience(communities=(CommunityTerm(nato.id, 2**52),)))
    receipt = await take(here, sender, batch(*stream(said(TIRANA, written(TIRANA, 1), terms=terms))))
    assert (receipt.head, receipt.refused) == (1, ())
    with log.read() as conn:
        assert [one.number for one in communities.behind(conn)] == [2**31 - 1]


def signed(here: Station, community: str) -> bytes:
    with here.log.read() as conn:
        (kept,) = communities.latest(conn, [community])
    return kept.envelope


# --- what others call themselves ------------------------------------------------------------------------------------


async def test_a_squatted_name_never_stands_for_the_accepted_community(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    nato = await found("NATO", tirana, podgorica)
    false = a_roster(
        charter(PODGORICA, name="NATO"),
        members={TIRANA.member: 1, PODGORICA.member: 1, VIENNA.member: 1, PRISTINA.member: 1},
        expires=later(utc_now(), days=30),
    )
    raw = signed_roster.draft(false, PODGORICA.signer)
    assert (await take(tirana, podgorica, batch(*stream(Parcel(FrameKind.ROSTER, raw))))).refused == ()
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    assert await tirana.withheld(vienna) == {ids(1)[0]: "not_in_audience"}
    with tirana.log.read() as conn:
        assert convene.accepted(conn, "NATO").id == nato.id
    # What was published to the false one is not passed on to those who are in it.
    terms = Terms(Tlp.GREEN, Audience(communities=(CommunityTerm(false.charter.community, 1),)), onward=True)
    theirs = said(PODGORICA, written(PODGORICA, 1), terms=terms)
    start = stream(Parcel(FrameKind.ROSTER, raw))[0]
    await take(tirana, podgorica, batch(*stream(theirs, start=2, previous=start.chain())))
    assert (await tirana.withheld(pristina))[told(PODGORICA, 1)["id"]] == "roster_unknown"


async def test_a_hostile_ally_fills_no_log_with_rosters_and_has_nothing_decided_anew(
    log: Log, station: Callable[..., Station]
) -> None:
    here, sender = Station(PODGORICA, log), station(TIRANA)
    await here.links(sender)
    rosters = [
        signed_roster.draft(a_roster(replace(charter(TIRANA), nonce=f"{number:032x}")), TIRANA.signer)
        for number in range(40)
    ]
    receipt = await take(here, sender, batch(*stream(*(Parcel(FrameKind.ROSTER, raw) for raw in rosters))))
    kept = communities.OFFERED
    assert receipt.refused == tuple((number, "too_many_rosters") for number in range(kept + 1, 41))
    with log.read() as conn:
        assert len(communities.offered(conn, 100)) == kept
        assert views.changes(conn, 0, ["roster", "admission"], 10) == []
    # One that is accepted here makes room for another.
    await convene.accept(log, rosters[0], "test")
    more = stream(Parcel(FrameKind.ROSTER, rosters[40 - 1]), start=41, previous=bytes.fromhex(receipt.chain))
    assert (await take(here, sender, batch(*more))).refused == ()


async def test_a_second_roster_of_one_number_is_recorded_with_who_sent_it(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica, vienna)
    one, other = (next_roster(tirana, remove=(name,)) for name in ("podgorica", "vienna"))
    await convene.accept(tirana.log, one, "test")
    receipt = await take(tirana, podgorica, batch(*stream(Parcel(FrameKind.ROSTER, other))))
    assert receipt.refused == ((1, "roster_conflict"),)
    with tirana.log.read() as conn:
        (clash,) = communities.clashes(conn)
        (nato,) = communities.current(conn).values()
    assert (clash.number, clash.came_from) == (2, PODGORICA.member)
    assert (clash.held, clash.hash) == (signed_roster.digest(one), signed_roster.digest(other))
    assert nato.members.keys() == {TIRANA.member, VIENNA.member}


async def test_all_of_this_works_on_postgresql_too(log: Log, station: Callable[..., Station]) -> None:
    tirana, podgorica, vienna = Station(TIRANA, log), station(PODGORICA), station(VIENNA)
    await alliance(tirana, podgorica, vienna)
    await convene.accept(tirana.log, await roster("NATO", tirana, podgorica), "test")
    await tirana.publish(told(TIRANA, 1), to=["NATO"], future_members=True)
    await tirana.publish(told(TIRANA, 2), to=["NATO"])
    assert len((await pack(tirana, podgorica)).frames) == 3
    await revise(tirana, add={"vienna": later(utc_now(), days=1)}, remove=("podgorica",))
    assert set(kinds(await pack(tirana, podgorica))) == {FrameKind.VOID}
    await deliver(tirana, vienna)
    assert vienna.holds(*ids(1, 2)) == [True, False]
