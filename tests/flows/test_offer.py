"""What is on the shelves of those who ask by TAXII: all that they were given, once, in order, as things are now."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, select
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, deliver, told

from lezha.flows import check, deposit, offer, purge
from lezha.flows import constituents as flow
from lezha.flows.errors import Isolated
from lezha.flows.offer import Asked, Page, Shelving
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.stix import encode
from lezha.store import constituents, disputes, isolation, offers, schema
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.taxii.filters import Filters, Versions

MINISTRY = "ministry"
EVERY = Versions(all=True)
FIRST = Versions(first=True, last=False)


@pytest.fixture
async def tirana(log: Log, station: Callable[..., Station]) -> Station:
    """Give Tirana on both engines, with two peers and a ministry."""
    here = Station(TIRANA, log)
    await here.links(station(PODGORICA), station(VIENNA))
    await flow.admit(log, MINISTRY, "Ministry of Finance", Tlp.AMBER, "officer")
    return here


def own(level: Tlp = Tlp.RED) -> Recipient:
    return Recipient(f"own:{level.value}", Standing.OWN, level)


def ministry(here: Station) -> Recipient:
    with here.log.read() as conn:
        return constituents.by_name(conn, MINISTRY).recipient()


async def page(
    here: Station, shelf: str = "all", recipient: Recipient | None = None, now: str = "", **filters: Any
) -> Page:
    """Ask as a client does that has not asked before."""
    whose = recipient or own()
    assert await Shelving(here.log).given(whose, 1)
    asked = Asked(whose, shelf, Filters(**filters), True)
    return offer.page(here.log, asked, now or utc_now())


async def ids(
    here: Station, shelf: str = "all", recipient: Recipient | None = None, **filters: Any
) -> list[str]:
    return [one.id for one in (await page(here, shelf, recipient, **filters)).items]


async def inbox(here: Station, client: str, level: Tlp = Tlp.RED) -> list[str]:
    await Shelving(here.log).brought(client, 1)
    return [one.id for one in offer.inbox(here.log, client, Asked(own(level), "inbox"), utc_now()).items]


AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


def marked(number: int, marking: str = AMBER) -> dict[str, Any]:
    return told(TIRANA, number) | {"object_marking_refs": [marking]}


async def bring(here: Station, client: str, *objects: dict[str, Any]) -> bytes:
    raw = b'{"objects":[' + b",".join(map(encode, objects)) + b"]}"
    return await deposit.deposit(here.log, here.members, here.member, raw, client)


def name(number: int) -> str:
    return str(told(TIRANA, number)["id"])


def foreign(number: int) -> dict[str, Any]:
    """What names nobody as its creator that is known here."""
    return told(VIENNA, number) | {"created_by_ref": "identity--aaaaaaaa-0000-4000-8000-000000000000"}


def sco(number: int) -> dict[str, Any]:
    return {
        "type": "domain-name",
        "spec_version": "2.1",
        "id": "domain-name--0b2f5b6e-7a8c-5d3e-9f10-1a2b3c4d5e6f",
        "value": "bad.example",
        "resolves_to_refs": [f"domain-name--0b2f5b6e-7a8c-5d3e-9f10-{number:012d}"],
    }


# --- own systems ------------------------------------------------------------------------------------------------------


async def test_own_systems_have_all_that_was_told_or_brought_in_order_and_byte_for_byte(
    tirana: Station,
) -> None:
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    await bring(tirana, "opencti", foreign(7))
    await page(tirana)
    await tirana.publish(told(TIRANA, 3), tlp=Tlp.RED)
    found = await page(tirana)
    assert [one.id for one in found.items] == [name(1), name(2), foreign(7)["id"], name(3)]
    assert found.items[0].raw == encode(told(TIRANA, 1))
    assert found.following == 0


async def test_dates_rise_and_are_unique_also_within_one_commit(tirana: Station) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in range(50)))
    dates = [one.at for one in (await page(tirana)).items]
    assert len(dates) == 50
    assert all(before < after for before, after in pairwise(dates))


async def test_an_own_system_sees_nothing_above_its_clearance(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.GREEN)
    await tirana.publish(told(TIRANA, 2), tlp=Tlp.AMBER)
    await tirana.publish(told(TIRANA, 3), tlp=Tlp.RED)
    assert await ids(tirana, recipient=own(Tlp.AMBER)) == [name(1), name(2)]
    assert await ids(tirana, recipient=own(Tlp.CLEAR)) == []


@pytest.mark.parametrize("how", ["recalled", "purged", "disputed", "expired"])
async def test_what_does_not_count_any_more_is_on_no_page(tirana: Station, how: str) -> None:
    ends = later(utc_now(), days=1)
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), expires=ends)
    await tirana.publish(told(TIRANA, 3))
    assert await ids(tirana) == [name(1), name(2), name(3)]
    if how == "recalled":
        await tirana.recall(name(1), why="a mistake")
        await tirana.recall(name(2), why="a mistake")
    elif how == "purged":
        await purge.purge(tirana.log, tirana.member, [name(1), name(2)], "a mistake", "officer")
    elif how == "disputed":
        version = "2022-07-15T09:30:00.123000Z"
        both = [(name(number), version, TIRANA.member) for number in (1, 2)]
        await tirana.log.write(lambda tx: disputes.begin(tx, both))
    now = later(ends, seconds=1) if how == "expired" else ""
    assert [one.id for one in (await page(tirana, now=now)).items] == [name(3)]


async def test_what_was_recalled_and_is_told_again_comes_again_behind_all_else(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    await tirana.publish(told(TIRANA, 2))
    last = (await page(tirana)).items[-1].at
    await tirana.recall(name(1), why="a mistake")
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER)
    assert await ids(tirana, after=last) == [name(1)]


# --- versions ---------------------------------------------------------------------------------------------------------


def version(number: int, day: int) -> dict[str, Any]:
    return told(TIRANA, number) | {"modified": f"2022-08-{day:02d}T00:00:00.000Z", "name": f"day {day}"}


async def days(here: Station, **filters: Any) -> list[bytes]:
    found = await page(here, **filters)
    return [one.version[8:10].encode() for one in found.items]


async def test_of_several_versions_the_last_is_given_unless_others_are_asked_for(tirana: Station) -> None:
    for day in (3, 1, 2):  # in whatever order they came
        await tirana.publish(version(1, day))
    await tirana.publish(told(TIRANA, 2))
    assert await days(tirana, ids=frozenset({name(1)})) == [b"03"]
    assert await days(tirana, ids=frozenset({name(1)}), versions=FIRST) == [b"01"]
    assert await days(tirana, ids=frozenset({name(1)}), versions=EVERY) == [b"03", b"01", b"02"]
    exact = Versions(last=False, exact=frozenset({"2022-08-02T00:00:00.000000Z"}))
    assert await days(tirana, versions=exact) == [b"02"]
    both = Versions(first=True, last=True)
    assert await days(tirana, ids=frozenset({name(1)}), versions=both) == [b"03", b"01"]
    assert await ids(tirana) == [name(1), name(2)]


async def test_if_the_last_version_is_recalled_the_one_before_it_is_the_last(tirana: Station) -> None:
    await tirana.publish(version(1, 1))
    await tirana.publish(version(1, 2))
    assert await days(tirana) == [b"02"]
    await tirana.recall(name(1), version="2022-08-02T00:00:00.000Z", why="a mistake")
    assert await days(tirana) == [b"01"]


async def test_what_two_members_tell_of_is_there_once(
    tirana: Station, station: Callable[..., Station]
) -> None:
    podgorica = station(PODGORICA)
    await podgorica.links(tirana)
    await tirana.publish(told(TIRANA, 1))
    await podgorica.publish(foreign(2), to=["tirana"])
    await deliver(podgorica, tirana)
    await tirana.publish(foreign(2), tlp=Tlp.AMBER)
    assert await ids(tirana, versions=EVERY) == [name(1), foreign(2)["id"]]


async def test_what_has_no_version_has_those_of_its_dates(tirana: Station) -> None:
    await bring(tirana, "opencti", sco(1))
    await bring(tirana, "opencti", sco(2))
    found = await page(tirana, versions=EVERY)
    assert [one.raw for one in found.items] == [encode(sco(1)), encode(sco(2))]
    assert len({one.version for one in found.items}) == 2
    assert [one.raw for one in (await page(tirana)).items] == [encode(sco(2))]


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 64, 200])
async def test_pages_together_are_the_whole(tirana: Station, limit: int) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in range(150)))
    await tirana.recall(name(70), why="a mistake")
    seen: list[str] = []
    after, pages = 0, 0
    while True:
        found = await page(tirana, after=after, limit=limit)
        seen += [one.id for one in found.items]
        pages += 1
        if not found.following:
            break
        assert len(found.items) == limit
        after = found.following
    assert seen == [name(number) for number in range(150) if number != 70]
    assert pages == -(-149 // limit)


async def test_a_page_ends_before_it_has_too_many_bytes(
    tirana: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in range(10)))
    monkeypatch.setattr(offer, "BYTES", 3 * len(encode(told(TIRANA, 1))) + 1)
    found = await page(tirana)
    assert [one.id for one in found.items] == [name(0), name(1), name(2)]
    assert found.following == found.items[-1].at


async def test_types_are_told_apart(tirana: Station) -> None:
    await bring(
        tirana, "opencti", sco(1), told(TIRANA, 1) | {"created_by_ref": told(TIRANA, 1)["created_by_ref"]}
    )
    await tirana.publish(told(TIRANA, 2))
    assert await ids(tirana, types=frozenset({"domain-name"})) == [sco(1)["id"]]
    assert await ids(tirana, types=frozenset({"domain-name", "indicator"})) == await ids(tirana)
    assert await ids(tirana, types=frozenset({"malware"})) == []
    assert await ids(tirana, types=frozenset({"indicator"}), ids=frozenset({sco(1)["id"]})) == []


# --- others than own systems ------------------------------------------------------------------------------------------


async def test_a_constituent_has_shelves_by_level_and_no_trace_of_what_it_may_not_have(
    tirana: Station,
) -> None:
    await tirana.publish(marked(1, GREEN), tlp=Tlp.GREEN)
    await tirana.publish(marked(2), tlp=Tlp.STRICT)
    await tirana.publish(marked(3), tlp=Tlp.AMBER)
    assert await Shelving(tirana.log).given(ministry(tirana), 1)
    assert offer.names(tirana.log, ministry(tirana)) == ["amber", "green"]
    assert await ids(tirana, "amber", ministry(tirana)) == [name(3)]
    with pytest.raises(NotFound):
        await page(tirana, "all", ministry(tirana))
    with pytest.raises(NotFound):
        await page(tirana, "strict", ministry(tirana))


async def test_what_is_withheld_for_now_waits_and_with_it_what_is_behind_it(tirana: Station) -> None:
    await tirana.publish(marked(1), tlp=Tlp.AMBER)
    first = (await page(tirana, "amber", ministry(tirana))).items[-1].at
    await tirana.publish(marked(2), tlp=Tlp.AMBER)
    assert await ids(tirana, "amber", ministry(tirana), after=first) == [name(2)]
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    assert await ids(tirana, "amber", ministry(tirana), after=first) == []
    await flow.change(tirana.log, MINISTRY, "officer", suspended=False)
    await flow.change(tirana.log, MINISTRY, "officer", clearance=Tlp.GREEN)
    assert await ids(tirana, "amber", ministry(tirana), after=first) == []
    await flow.change(tirana.log, MINISTRY, "officer", clearance=Tlp.AMBER)
    assert await ids(tirana, "amber", ministry(tirana), after=first) == [name(2)]


async def test_who_was_suspended_since_it_asked_is_handed_nothing(tirana: Station) -> None:
    await tirana.publish(marked(1), tlp=Tlp.AMBER)
    before = ministry(tirana)
    assert await ids(tirana, "amber", before) == [name(1)]
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    assert offer.page(tirana.log, Asked(before, "amber"), utc_now()).items == ()


async def test_an_isolated_node_gives_nobody_anything_but_its_own_systems(tirana: Station) -> None:
    await tirana.publish(marked(1), tlp=Tlp.AMBER)
    assert await ids(tirana, "amber", ministry(tirana)) == [name(1)]
    await tirana.log.write(lambda tx: isolation.begin(tx, "officer", "an attack"))
    assert await ids(tirana) == [name(1)]
    with pytest.raises(Isolated):
        await page(tirana, "amber", ministry(tirana))


async def test_who_sees_no_statement_gets_what_says_itself_how_to_handle_it(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), marked(2, GREEN), marked(3), tlp=Tlp.AMBER)
    await tirana.publish(told(TIRANA, 4), marked(5), tlp=Tlp.CLEAR)
    assert await ids(tirana, "amber", ministry(tirana)) == [name(3), name(5)]
    assert await ids(tirana, "clear", ministry(tirana)) == [name(4)]
    assert await ids(tirana) == [name(number) for number in range(1, 6)]


# --- the inbox --------------------------------------------------------------------------------------------------------


async def test_an_inbox_has_what_its_client_brought_until_somebody_publishes_it(tirana: Station) -> None:
    await bring(tirana, "opencti", told(TIRANA, 1), told(TIRANA, 2))
    await bring(tirana, "misp", told(TIRANA, 3))
    assert await inbox(tirana, "opencti") == [name(1), name(2)]
    assert await inbox(tirana, "misp") == [name(3)]
    assert await ids(tirana) == [name(1), name(2), name(3)]
    await tirana.publish(told(TIRANA, 1))
    assert await inbox(tirana, "opencti") == [name(2)]


async def test_what_is_brought_goes_to_own_systems_and_to_nobody_else(tirana: Station) -> None:
    await bring(tirana, "opencti", told(TIRANA, 1))
    assert len(await tirana.watches()) == 1
    assert await Shelving(tirana.log).given(ministry(tirana), 1)
    assert offer.names(tirana.log, ministry(tirana)) == []


async def test_what_is_taken_back_is_on_no_page_and_no_sensor_looks_for_it(tirana: Station) -> None:
    await bring(tirana, "opencti", told(TIRANA, 1), told(TIRANA, 2))
    before = await tirana.watches()
    assert await ids(tirana) == [name(1), name(2)]
    assert await deposit.withdraw(tirana.log, "opencti", name(1), EVERY) == 1
    assert await ids(tirana) == [name(2)]
    assert await inbox(tirana, "opencti") == [name(2)]
    assert len(await tirana.watches()) == len(before) - 1


async def test_only_who_brought_it_takes_it_back_and_only_before_it_is_published(tirana: Station) -> None:
    await bring(tirana, "opencti", told(TIRANA, 1))
    with pytest.raises(NotFound):
        await deposit.withdraw(tirana.log, "misp", name(1), EVERY)
    await tirana.publish(told(TIRANA, 1))
    with pytest.raises(deposit.Published):
        await deposit.withdraw(tirana.log, "opencti", name(1), EVERY)
    assert await ids(tirana) == [name(1)]


async def test_what_two_have_brought_stays_until_both_have_taken_it_back(tirana: Station) -> None:
    for client in ("opencti", "misp", "splunk"):
        await bring(tirana, client, told(TIRANA, 1))
        await bring(tirana, client, told(TIRANA, 1))
    assert await inbox(tirana, "misp") == await inbox(tirana, "splunk") == [name(1)]
    assert await deposit.withdraw(tirana.log, "opencti", name(1), EVERY) == 1
    assert await inbox(tirana, "opencti") == []
    assert await inbox(tirana, "misp") == await ids(tirana) == await ids(tirana, versions=EVERY) == [name(1)]
    assert len(await tirana.watches()) == 1
    assert await deposit.withdraw(tirana.log, "splunk", name(1), EVERY) == 1
    assert await ids(tirana) == [name(1)]
    assert await deposit.withdraw(tirana.log, "misp", name(1), EVERY) == 1
    assert await ids(tirana) == await inbox(tirana, "misp") == await tirana.watches() == []


@pytest.mark.parametrize("again", [False, True])
async def test_a_log_from_which_something_was_taken_back_is_as_it_should_be(
    tirana: Station, again: bool
) -> None:
    for client in ("opencti", "misp"):
        await bring(tirana, client, told(TIRANA, 1), told(TIRANA, 2))
        await deposit.withdraw(tirana.log, client, name(1), EVERY)
    if again:
        await bring(tirana, "misp", told(TIRANA, 1))
    assert list(check.check(tirana.log)) == []
    await tirana.log.write(lambda tx: tx.conn.execute(delete(schema.retractions)).rowcount)
    assert {one.words for one in check.check(tirana.log)} >= {
        "who brought it here took that back, and that is not kept",
        "0 retractions are kept, and the events tell of 2",
    }


async def test_what_was_taken_back_can_be_brought_again(tirana: Station) -> None:
    await bring(tirana, "opencti", told(TIRANA, 1))
    assert await ids(tirana) == [name(1)]
    await deposit.withdraw(tirana.log, "opencti", name(1), EVERY)
    last = (await page(tirana, versions=EVERY)).following
    await bring(tirana, "opencti", told(TIRANA, 1))
    assert await ids(tirana, after=last) == [name(1)]


async def test_shelves_are_as_they_were_when_many_commits_have_filled_them(tirana: Station) -> None:
    """Whatever is in one step of bringing them up to date: one shelf filled at once, one after each commit."""
    slow = own(Tlp.AMBER)
    for number in range(5):
        await tirana.publish(told(TIRANA, number), told(TIRANA, 100 + number))
        assert await Shelving(tirana.log).given(slow, number)
    assert await ids(tirana, recipient=slow) == await ids(tirana)
    assert _dates(tirana, slow.id) == _dates(tirana, own().id)


def _dates(here: Station, recipient: str) -> Sequence[int]:
    with here.log.read() as conn:
        number = offers.shelf(conn, recipient, "all")
        table = schema.offers
        return list(conn.scalars(select(table.c.content).where(table.c.shelf == number).order_by(table.c.at)))
