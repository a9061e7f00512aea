"""What the duty officer is warned of, and what a version that does not count is called."""

from collections.abc import Callable

import pytest
from tests.federation.keys import AT, PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, batch, deliver, said, stream, take, told, written

from lezha.federation.frame import Parcel
from lezha.flows import desk, look, purge
from lezha.flows.desk import Dispute, Gists
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.store import views
from lezha.store.log import Tx

LATER = "2022-07-16T09:00:00.000Z"


@pytest.fixture
async def pair(station: Callable[..., Station]) -> tuple[Station, Station]:
    """Podgorica, and Tirana as its peer."""
    here, sender = station(PODGORICA), station(TIRANA)
    await here.links(sender)
    return here, sender


async def brought(pair: tuple[Station, Station], *parcels: Parcel) -> Station:
    await take(*pair, batch(*stream(*parcels)))
    return pair[0]


def warned(here: Station) -> list[Dispute]:
    with here.log.read() as conn:
        return list(desk.open_disputes(conn))


def reports(here: Station, stix_id: str) -> list[look.ObjectReport]:
    with here.log.read() as conn:
        return look.object_report(conn, stix_id)


ONE, OTHER = (said(TIRANA, written(TIRANA, 1, description=words)) for words in ("one", "other"))


async def test_a_dispute_is_shown_with_who_signed_two_contents(pair: tuple[Station, Station]) -> None:
    (found,) = warned(await brought(pair, ONE, OTHER))
    assert (found.object_id, found.name, found.by) == (told(TIRANA, 1)["id"], "203.0.113.1", TIRANA.member)


async def test_a_later_version_by_the_same_signer_ends_it(pair: tuple[Station, Station]) -> None:
    here = await brought(pair, ONE, OTHER, said(TIRANA, written(TIRANA, 1, modified=LATER)))
    assert warned(here) == []
    assert sorted(one.found.barred for one in reports(here, told(TIRANA, 1)["id"])) == [
        "", "disputed", "disputed",
    ]  # fmt: skip


async def test_a_later_version_ends_it_also_when_its_bytes_are_gone(pair: tuple[Station, Station]) -> None:
    await take(*pair, batch(*stream(later := said(TIRANA, written(TIRANA, 1, modified=LATER)))))
    here, between = pair[0], utc_now()
    await take(*pair, batch(*stream(later, ONE, OTHER)[1:]))
    await purge.retire(here.log, [Rule("indicator", 1, between)])
    assert {one.found.barred for one in reports(here, told(TIRANA, 1)["id"])} == {"purged", "disputed"}
    assert warned(here) == []


async def test_an_earlier_version_does_not_end_it(pair: tuple[Station, Station]) -> None:
    earlier = said(
        TIRANA, written(TIRANA, 1, modified="2022-07-15T08:59:00.000Z", created="2022-07-15T08:59:00.000Z")
    )
    here = await brought(pair, earlier, ONE, OTHER)
    assert len(warned(here)) == 1


async def test_a_version_in_dispute_and_a_purged_one_say_so(pair: tuple[Station, Station]) -> None:
    here = await brought(pair, ONE, OTHER)
    disputed = reports(here, told(TIRANA, 1)["id"])
    assert [(one.found.barred, bool(one.disputed), one.purged) for one in disputed] == [
        ("disputed", True, None)
    ] * 2
    await purge.purge(here.log, PODGORICA.member, [told(TIRANA, 1)["id"]], "a reason", "admin")
    purged = reports(here, told(TIRANA, 1)["id"])
    assert [one.found.barred for one in purged] == ["purged", "purged"]
    assert {(one.purged.actor, one.purged.why) for one in purged if one.purged} == {("admin", "a reason")}


async def test_what_names_a_member_that_has_not_signed_it_says_so(station: Callable[..., Station]) -> None:
    here, vienna, tirana = station(PODGORICA), station(VIENNA), station(TIRANA)
    await here.links(vienna)
    await take(here, vienna, batch(*stream(said(VIENNA, written(TIRANA, 1)))))
    await here.links(tirana)
    (one,) = reports(here, told(TIRANA, 1)["id"])
    assert (one.found.state.value, one.found.barred, one.disputed) == ("barred", "unauthorised", "")


def test_no_dispute_is_no_warning(pair: tuple[Station, Station]) -> None:
    def nothing(tx: Tx) -> None:
        tx.event("test", "")

    pair[0].log.write_now(nothing)
    assert warned(pair[0]) == []


# --- recalls ----------------------------------------------------------------------------------------------------------


async def test_the_desk_says_what_was_recalled_by_whom_and_what_of_it_is_still_held(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    await sender.links(here)
    await sender.publish(told(TIRANA, 1), told(TIRANA, 2))
    await deliver(sender, here)
    for number in (1, 2):
        await sender.recall(told(TIRANA, number)["id"], why="a busy resolver")
    await deliver(sender, here)
    await purge.purge(here.log, here.member, [told(TIRANA, 2)["id"]], "it was recalled", "test")
    shown = _desk(here)
    assert [(one.by, one.object_id, one.why) for one in shown.recalls] == [
        (TIRANA.member, told(TIRANA, 1)["id"], "a busy resolver")
    ]
    (happened,) = [one for one in shown.happenings if one.kind is desk.Kind.RECALLED]
    assert (happened.who, happened.count, happened.detail) == (TIRANA.member, 2, "a busy resolver")
    assert _desk(sender).recalls == (), "its own is no news"


async def test_the_desk_says_of_all_that_was_recalled_that_it_tells_of_it(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    await sender.links(here)
    ids = [told(TIRANA, number)["id"] for number in (1, 2)]
    await sender.publish(told(TIRANA, 1), told(TIRANA, 2))
    await deliver(sender, here)
    for one in ids:
        await sender.recall(one)
    await deliver(sender, here)
    shown = _desk(here)
    assert {one.object_id for one in shown.recalls} == set(ids)
    assert desk.named(shown) >= set(ids)


async def test_a_recall_that_was_not_signed_for_is_known_by_its_age(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await sender.links(here)
    await sender.publish(told(TIRANA, 1))
    await deliver(sender, here)
    (before,) = _desk(sender).peers
    await sender.recall(told(TIRANA, 1)["id"])
    await deliver(sender, here)
    (after,) = _desk(sender).peers
    assert (before.report.recall_since, after.report.recall_since > AT) == ("", True)
    await sender.log.write(lambda tx: views.keep_receipt(tx, here.member, 2, b"", ()))
    assert _desk(sender).peers[0].report.recall_since == ""


def _desk(here: Station) -> desk.Desk:
    with here.log.read() as conn:
        return desk.desk(
            conn, here.document, lambda _member: None, Gists(), utc_now(), later(utc_now(), days=14)
        )
