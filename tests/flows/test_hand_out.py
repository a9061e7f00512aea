"""What a constituent is handed out: what it may have, in numbers of its own, and what of that has ended."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, deliver, told

from lezha.access.rights import Role
from lezha.flows import constituents as flow
from lezha.flows import hand_out, introduce, purge, recall
from lezha.flows.errors import FlowError
from lezha.flows.hand_out import Handout
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import encode
from lezha.store import constituents, disputes, tokens
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Log

MINISTRY = "ministry"


@pytest.fixture
async def tirana(log: Log, station: Callable[..., Station]) -> Station:
    """Give Tirana on both engines, with two peers and a ministry."""
    here = Station(TIRANA, log)
    await here.links(station(PODGORICA), station(VIENNA))
    await flow.admit(log, MINISTRY, "Ministry of Finance", Tlp.AMBER, "officer")
    return here


async def view(here: Station, after: int = 0, limit: int = hand_out.ROWS, now: str = "") -> Handout:
    with here.log.read() as conn:
        recipient = constituents.by_name(conn, MINISTRY).recipient()
    return await hand_out.view(here.log, recipient, after, limit, now or utc_now())


async def kinds(here: Station, after: int = 0) -> list[tuple[int, str, str]]:
    return [(one.number, one.kind, one.id) for one in (await view(here, after)).rows]


def name(number: int) -> str:
    return str(told(TIRANA, number)["id"])


async def test_a_constituent_gets_the_exact_bytes_and_how_they_must_be_handled(tirana: Station) -> None:
    ends = later(utc_now(), days=1)
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER, pap=Pap.AMBER, expires=ends)
    [row] = (await view(tirana)).rows
    assert bytes(row.object) == encode(told(TIRANA, 1))
    assert (row.number, row.kind, row.id, row.origin) == (1, "object", name(1), TIRANA.member)
    assert (row.tlp, row.pap, row.until) == ("amber", "amber", ends)


async def test_strict_red_unsigned_and_nobody_s_are_not_there_and_leave_no_gap(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.STRICT)
    await tirana.publish(told(TIRANA, 2), tlp=Tlp.RED)
    await tirana.publish(told(TIRANA, 3), tlp=Tlp.CLEAR, to=[])
    await tirana.publish(told(TIRANA, 4), tlp=Tlp.GREEN)
    assert await kinds(tirana) == [(1, "object", name(4))]


async def test_what_another_member_told_goes_to_constituents_up_to_amber(
    tirana: Station, station: Callable[..., Station]
) -> None:
    podgorica = station(PODGORICA)
    await podgorica.links(tirana)
    await podgorica.publish(told(PODGORICA, 1), tlp=Tlp.AMBER, to=["tirana"])
    await podgorica.publish(told(PODGORICA, 2), tlp=Tlp.STRICT, to=["tirana"])
    await deliver(podgorica, tirana)
    assert await kinds(tirana) == [(1, "object", told(PODGORICA, 1)["id"])]


@pytest.mark.parametrize("how", ["purged", "disputed"])
async def test_what_was_given_and_ends_is_withdrawn_and_what_was_not_given_is_not(
    tirana: Station, how: str
) -> None:
    await tirana.publish(told(TIRANA, 1))
    await tirana.publish(told(TIRANA, 2), tlp=Tlp.STRICT)
    head = (await view(tirana)).head
    if how == "purged":
        await purge.purge(tirana.log, tirana.member, [name(1), name(2)], "a mistake", "officer")
    else:
        version = "2022-07-15T09:30:00.123000Z"
        both = [(name(number), version, TIRANA.member) for number in (1, 2)]
        await tirana.log.write(lambda tx: disputes.begin(tx, both))
    assert await kinds(tirana, head) == [(2, "withdrawn", name(1))]
    assert await kinds(tirana) == [(1, "nothing", ""), (2, "withdrawn", name(1))]


async def test_what_claims_a_member_that_is_linked_later_is_withdrawn_once(
    tirana: Station, station: Callable[..., Station]
) -> None:
    podgorica, pristina = station(PODGORICA), station(PRISTINA)
    await podgorica.links(tirana)
    report = {
        "type": "tool",
        "spec_version": "2.1",
        "id": "tool--00000001-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": "a tool",
        "created_by_ref": PRISTINA.member,
    }
    await podgorica.publish(report, told(PODGORICA, 1), to=["tirana"])
    await deliver(podgorica, tirana)
    head = (await view(tirana)).head
    await tirana.links(pristina)
    assert await kinds(tirana, head) == [(head + 1, "withdrawn", report["id"])]
    await introduce.clear(tirana.log, "pristina", Tlp.GREEN, "officer")
    assert await kinds(tirana, head + 1) == []


async def test_what_is_recalled_is_withdrawn_unless_another_s_word_still_gives_it(
    tirana: Station, station: Callable[..., Station]
) -> None:
    vendors = [
        told(TIRANA, number, created_by_ref="identity--00000000-0000-4000-8000-00000000c15a")
        for number in (1, 2)
    ]
    podgorica = station(PODGORICA)
    await podgorica.links(tirana)
    await podgorica.publish(vendors[1], to=["tirana"])
    await deliver(podgorica, tirana)
    await tirana.publish(*vendors)
    head = (await view(tirana)).head
    for number in (1, 2):
        wanted = recall.Request(name(number))
        await recall.recall(tirana.log, tirana.author, tirana.members, wanted, "officer")
    assert await kinds(tirana, head) == [(4, "withdrawn", name(1))]
    assert [kind for _, kind, _ in await kinds(tirana)] == ["object", "nothing", "nothing", "withdrawn"]


async def test_a_suspended_constituent_gets_nothing_until_it_is_back(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    assert await kinds(tirana) == [(1, "object", name(1))]
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    await tirana.publish(told(TIRANA, 2))
    assert await kinds(tirana) == []
    await flow.change(tirana.log, MINISTRY, "officer", suspended=False)
    assert await kinds(tirana) == [(1, "object", name(1)), (2, "object", name(2))]


async def test_suspended_amid_what_waits_for_it_a_constituent_gets_the_rest_once_it_is_back(
    tirana: Station,
) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in (1, 2, 3)))
    first = await view(tirana, limit=1)
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    meanwhile = await view(tirana, first.head)
    assert (meanwhile.head, meanwhile.more) == (first.head, False)
    await flow.change(tirana.log, MINISTRY, "officer", suspended=False)
    assert [one for _, _, one in await kinds(tirana, meanwhile.head)] == [name(2), name(3)]


async def test_a_suspended_constituent_hears_that_what_it_has_was_recalled(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    head = (await view(tirana)).head
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    await recall.recall(tirana.log, tirana.author, tirana.members, recall.Request(name(1)), "officer")
    assert await kinds(tirana, head) == [(2, "withdrawn", name(1))]


async def test_one_suspended_since_it_asked_is_handed_nothing(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    with tirana.log.read() as conn:
        before = constituents.by_name(conn, MINISTRY).recipient()
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    late = await hand_out.view(tirana.log, before, 0, hand_out.ROWS, utc_now())
    assert late.rows == ()


async def test_one_that_came_back_since_it_asked_gets_what_it_missed(tirana: Station) -> None:
    await flow.change(tirana.log, MINISTRY, "officer", suspended=True)
    await tirana.publish(told(TIRANA, 1))
    with tirana.log.read() as conn:
        before = constituents.by_name(conn, MINISTRY).recipient()
    await flow.change(tirana.log, MINISTRY, "officer", suspended=False)
    await hand_out.view(tirana.log, before, 0, hand_out.ROWS, utc_now())
    assert await kinds(tirana) == [(1, "object", name(1))]


@pytest.mark.parametrize("change", [{"suspended": True}, {"clearance": Tlp.CLEAR}])
async def test_what_another_s_word_still_gives_is_not_withdrawn_from_one_that_gets_nothing_now(
    tirana: Station, station: Callable[..., Station], change: dict[str, Any]
) -> None:
    vendors = told(TIRANA, 1, created_by_ref="identity--00000000-0000-4000-8000-00000000c15a")
    podgorica = station(PODGORICA)
    await podgorica.links(tirana)
    await podgorica.publish(vendors, to=["tirana"])
    await deliver(podgorica, tirana)
    await tirana.publish(vendors)
    head = (await view(tirana)).head
    await flow.change(tirana.log, MINISTRY, "officer", **change)
    await recall.recall(tirana.log, tirana.author, tirana.members, recall.Request(name(1)), "officer")
    assert await kinds(tirana, head) == []
    await flow.change(tirana.log, MINISTRY, "officer", suspended=False, clearance=Tlp.AMBER)
    assert await kinds(tirana, head) == []


async def test_another_clearance_counts_at_once(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER)
    await flow.change(tirana.log, MINISTRY, "officer", clearance=Tlp.GREEN)
    assert await kinds(tirana) == []
    await flow.change(tirana.log, MINISTRY, "officer", clearance=Tlp.AMBER)
    assert await kinds(tirana) == [(1, "object", name(1))]
    for level in (Tlp.STRICT, Tlp.RED):
        with pytest.raises(FlowError, match="clear, green or amber"):
            await flow.change(tirana.log, MINISTRY, "officer", clearance=level)


async def test_what_expires_is_not_handed_out_again(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), expires=later(utc_now(), hours=1))
    assert await kinds(tirana) == [(1, "object", name(1))]
    late = await view(tirana, now=later(utc_now(), hours=2))
    assert [one.kind for one in late.rows] == ["nothing"]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_join_up_whatever_their_size(tirana: Station, limit: int) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in range(1, 6)))
    whole: list[Any] = []
    after, more = 0, True
    while more:
        page = await view(tirana, after, limit)
        assert len(page.rows) <= limit
        whole += page.rows
        after, more = page.head, page.more
    assert tuple(whole) == (await view(tirana)).rows
    assert [one.number for one in whole] == [1, 2, 3, 4, 5]


async def test_a_page_is_bounded_by_its_bytes_but_holds_a_row(
    tirana: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_out, "_BYTES", 1)
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    assert [(one.head, one.more) for one in (await view(tirana), await view(tirana, 1))] == [
        (1, True),
        (2, False),
    ]


async def test_a_handout_is_json_with_the_objects_in_it(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    data = json.loads(msgspec.json.encode(await view(tirana)))
    assert data["rows"][0]["object"] == told(TIRANA, 1)


async def test_a_new_token_ends_the_one_before_and_the_view_goes_on(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    before = await view(tirana)
    made = await flow.renew(tirana.log, MINISTRY, "officer")
    with tirana.log.read() as conn:
        kept = [one for one in tokens.listed(conn) if one.role is Role.CONSTITUENT]
    assert [(one.id, one.name, one.revoked) for one in kept] == [(made.id, MINISTRY, False)]
    assert (await view(tirana)).rows == before.rows


async def test_names_that_can_t_be_and_constituents_that_there_are_not_are_refused(tirana: Station) -> None:
    with pytest.raises(FlowError, match="can't name a constituent"):
        await flow.admit(tirana.log, "a b", "", Tlp.AMBER, "officer")
    with pytest.raises(FlowError, match="one line"):
        await flow.admit(tirana.log, "bank", "a\nb", Tlp.AMBER, "officer")
    with pytest.raises(Conflict, match="'ministry' already"):
        await flow.admit(tirana.log, MINISTRY, "", Tlp.AMBER, "officer")
    with pytest.raises(NotFound, match="no constituent 'bank'"):
        await flow.renew(tirana.log, "bank", "officer")
