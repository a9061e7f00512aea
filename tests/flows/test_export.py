"""What leaves by an export is what the release kernel gives that recipient, each object once and byte for byte."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, found, told
from tests.stix.examples import RED

from lezha.flows import export, ingest
from lezha.flows.export import Page, Stretch
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode, objects
from lezha.store.errors import NotFound
from lezha.store.log import Log

UNREADABLE = "marking-definition--00000000-0000-4000-8000-000000000000"
OWN = export.own_system("export:test")


def pages(here: Station, peer: str = "", after: int = 0, since: str = "", stix_type: str = "") -> list[Page]:
    where = export.stretch(here.log, after, since, stix_type)
    got: list[Page] = []
    while not (got and got[-1].head.last):
        start = got[-1].head.cursor if got else where.after
        got.append(export.page(here.log, peer, OWN, Stretch(start, where.upto, where.type), utc_now()))
    return got


def exported(here: Station, peer: str = "", **more: Any) -> tuple[list[str], dict[str, int]]:
    """The ids of what comes out, identities aside, and what is left out and why."""
    got = pages(here, peer, **more)
    ids = [objects.read(raw).id for page in got for raw in page.objects]
    withheld: dict[str, int] = {}
    for page in got:
        for reason, count in page.head.withheld.items():
            withheld[reason] = withheld.get(reason, 0) + count
    return [one for one in ids if not one.startswith("identity")], withheld


def ids(*numbers: int) -> list[str]:
    return [told(TIRANA, number)["id"] for number in numbers]


async def keep(here: Station, *given: dict[str, Any]) -> None:
    raw = bundle.write([encode(one) for one in given])
    await ingest.take(here.log, here.members, here.member, raw, "test")


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica and Vienna: 1 is kept, 2 is for NATO, 3 for Vienna, 4 is RED, 5 can't be read."""
    here, podgorica, vienna = station(TIRANA), station(PODGORICA), station(VIENNA)
    await here.links(podgorica, vienna)
    await found("NATO", here, podgorica)
    await keep(here, told(TIRANA, 1))
    await here.publish(told(TIRANA, 2), to=["NATO"], tlp=Tlp.AMBER)
    await here.publish(told(TIRANA, 3), to=["vienna"])
    await here.publish(told(TIRANA, 4, object_marking_refs=[RED]))
    await keep(here, told(TIRANA, 5, object_marking_refs=[UNREADABLE]))
    return here


async def test_own_systems_get_all_in_the_order_of_the_log(tirana: Station) -> None:
    assert exported(tirana) == (ids(1, 2, 3, 4, 5), {})


async def test_a_peer_s_preview_holds_what_it_may_have_and_says_why_not_the_rest(tirana: Station) -> None:
    own = {"unreadable_marking": 1, "no_statement": 2, "clearance": 1}  # 1 and Tirana's identity; 4 is RED
    assert exported(tirana, "podgorica") == (ids(2), own | {"not_in_audience": 1})
    assert exported(tirana, "vienna") == (ids(3), own | {"not_in_audience": 1})


async def test_one_statement_that_releases_suffices(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 2), to=["vienna"])
    assert exported(tirana, "vienna")[0] == ids(2, 3)


async def test_an_expired_statement_gives_nothing_to_anybody(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 6), expires=later(utc_now(), hours=-1))
    assert ids(6)[0] not in exported(tirana)[0]
    assert exported(tirana)[1]["expired"] == 1


@pytest.mark.parametrize("brought_first", [True, False])
async def test_what_was_brought_here_stays_with_own_systems_whatever_statements_say(
    log: Log, station: Callable[..., Station], brought_first: bool
) -> None:
    here, ended = Station(TIRANA, log), later(utc_now(), hours=-1)
    await here.links(station(PODGORICA))
    if brought_first:
        await keep(here, told(TIRANA, 6))
    await here.publish(told(TIRANA, 6), expires=ended)
    if not brought_first:
        await keep(here, told(TIRANA, 6))
    assert exported(here)[0] == ids(6)
    assert exported(here, "podgorica") == ([], {"no_statement": 1, "expired": 1})  # the identity, and 6


async def test_a_peer_that_is_not_there_is_refused(tirana: Station) -> None:
    with pytest.raises(NotFound):
        pages(tirana, "atlantis")


async def test_an_export_goes_on_after_any_page(tirana: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_OBJECTS", 2)
    whole = pages(tirana)
    assert len(whole) > 2
    for position, page in enumerate(whole[:-1]):
        rest = pages(tirana, after=page.head.cursor)
        assert [one.objects for one in rest] == [one.objects for one in whole[position + 1 :]]


async def test_a_page_holds_few_large_objects_but_always_one(
    tirana: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BYTES", 1)
    assert [len(page.objects) for page in pages(tirana)] in ([1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0])
    assert exported(tirana)[0] == ids(1, 2, 3, 4, 5)


async def test_what_comes_in_meanwhile_is_behind_the_end(tirana: Station) -> None:
    where = export.stretch(tirana.log, 0, "", "")
    await keep(tirana, told(TIRANA, 7))
    page = export.page(tirana.log, "", OWN, where, utc_now())
    assert (page.head.last, ids(7)[0].encode() in b"".join(page.objects)) == (True, False)
    assert exported(tirana, after=page.head.cursor)[0] == ids(7)


async def test_only_one_type_and_only_what_came_since(tirana: Station) -> None:
    assert len(pages(tirana, stix_type="identity")[0].objects) == 1
    assert exported(tirana, stix_type="malware") == ([], {})
    now = utc_now()
    await keep(tirana, told(TIRANA, 8))
    assert exported(tirana, since=now)[0] == ids(8)
    assert exported(tirana, since="1999")[0] == ids(1, 2, 3, 4, 5, 8)


async def test_a_page_travels_as_a_line_and_the_exact_bytes(tirana: Station) -> None:
    (page,) = pages(tirana)
    line, _, rest = page.encode().partition(b"\n")
    assert rest == b"".join(page.objects) + b"\n"
    assert str(list(map(len, page.objects))).replace(" ", "").encode() in line


async def test_what_was_recalled_is_in_no_export(tirana: Station) -> None:
    before = exported(tirana, "vienna")[0]
    assert ids(3)[0] in before
    await tirana.recall(ids(3)[0])
    for peer in ("", "vienna"):
        got, withheld = exported(tirana, peer)
        assert (ids(3)[0] in got, withheld["recalled"]) == (False, 1)
