"""What each member's indicators are used for at most, as sensors are told."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import SENSOR, VIENNA, Station, batch, said, stream, take, told, written

from lezha.detection.feed import Feed
from lezha.flows import detect, ingest, introduce, look
from lezha.node.clock import later, utc_now
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.sharing.trust import Trust
from lezha.stix import bundle, encode
from lezha.store import isolation, schema
from lezha.store.errors import NotFound
from lezha.store.log import Log

Three = tuple[Station, Station, Station]


@pytest.fixture
async def three(log: Log, station: Callable[..., Station]) -> Three:
    """Podgorica, on each of the engines, and Tirana and Vienna, which tell it of indicators."""
    here = Station(PODGORICA, log)
    tirana, vienna = station(TIRANA), station(VIENNA)
    await here.links(tirana, vienna)
    return here, tirana, vienna


async def feed(here: Station, now: str = "") -> Feed:
    return await detect.feed(here.log, SENSOR, 0, now or utc_now())


async def actions(here: Station) -> dict[str, str]:
    """Who tells of an indicator that is watched for -> what may be done about it."""
    names = {TIRANA.member: "tirana", VIENNA.member: "vienna", PODGORICA.member: "podgorica", "": "brought"}
    items = (await feed(here)).items
    return {names[one.key.partition(" ")[0]]: one.action for one in items if one.observables}


async def trust(here: Station, name: str, level: str) -> None:
    await introduce.trust(here.log, name, Trust(level), "admin")


def terms(pap: Pap = Pap.GREEN, expires: str | None = None) -> Terms:
    return Terms(tlp=Tlp.GREEN, audience=Audience(everyone=True), pap=pap, expires=expires)


async def hears(here: Station, sender: Station, raw: bytes, **changes: Any) -> None:
    await take(here, sender, batch(*stream(said(sender.party, raw, **changes))))


async def test_a_peer_is_watched_for_until_somebody_says_more(three: Three) -> None:
    here, tirana, _ = three
    await hears(here, tirana, written(TIRANA))
    assert await actions(here) == {"tirana": "watch"}
    for level in ("propose", "block", "watch"):
        await trust(here, "tirana", level)
        assert await actions(here) == {"tirana": level}
        with here.log.read() as conn:
            assert look.peer_reports(conn, lambda _: None, utc_now())[0].trust == level


async def test_while_the_node_is_isolated_nothing_is_enforced_and_sensors_hear_of_that(three: Three) -> None:
    here, tirana, _ = three
    await trust(here, "tirana", "block")
    await hears(here, tirana, written(TIRANA))
    await here.publish(told(PODGORICA, 2))
    lives = [(await feed(here)).incarnation]
    await here.log.write(lambda tx: isolation.begin(tx, "", "admin"))
    assert await actions(here) == {"tirana": "watch", "podgorica": "watch"}
    lives.append((await feed(here)).incarnation)
    await here.log.write(lambda tx: isolation.end(tx, "admin"))
    assert await actions(here) == {"tirana": "block", "podgorica": "block"}
    lives.append((await feed(here)).incarnation)
    assert len(set(lives)) == 3


async def test_what_one_wrote_oneself_may_be_blocked(three: Three) -> None:
    here, _, _ = three
    await here.publish(told(PODGORICA))
    assert await actions(here) == {"podgorica": "block"}


async def test_for_what_was_brought_without_a_statement_nobody_stands(three: Three) -> None:
    here, _, _ = three
    raw = bundle.write([encode(told(PODGORICA, created_by_ref=None))])
    await ingest.take(here.log, here.members, here.member, raw, "feed")
    assert await actions(here) == {"brought": "watch"}


@pytest.mark.parametrize(
    ("pap", "wanted"), [(Pap.CLEAR, "block"), (Pap.GREEN, "block"), (Pap.AMBER, "watch"), (Pap.RED, "watch")]
)
async def test_blocking_needs_a_handling_that_allows_it(three: Three, pap: Pap, wanted: str) -> None:
    here, tirana, _ = three
    await trust(here, "tirana", "block")
    await hears(here, tirana, written(TIRANA), terms=terms(pap))
    assert await actions(here) == {"tirana": wanted}


async def test_the_most_that_any_teller_of_the_same_bytes_is_trusted_with_counts(three: Three) -> None:
    here, tirana, vienna = three
    raw = written(TIRANA, created_by_ref=None)
    await trust(here, "tirana", "block")
    await hears(here, tirana, raw)
    await hears(here, vienna, raw)
    assert await actions(here) == {"tirana": "block", "vienna": "block"}
    await trust(here, "tirana", "propose")
    assert await actions(here) == {"tirana": "propose", "vienna": "propose"}


async def test_nobody_borrows_trust_by_other_bytes_under_the_same_id(three: Three) -> None:
    here, tirana, vienna = three
    await trust(here, "tirana", "block")
    await hears(here, tirana, written(TIRANA, created_by_ref=None))
    await hears(
        here, vienna, written(TIRANA, created_by_ref=None, pattern="[ipv4-addr:value = '203.0.113.200']")
    )
    assert await actions(here) == {"tirana": "block", "vienna": "watch"}


async def test_a_word_that_ends_sooner_lends_nothing_to_one_that_lasts(three: Three) -> None:
    here, tirana, vienna = three
    raw = written(TIRANA, created_by_ref=None)
    await trust(here, "tirana", "block")
    await hears(here, tirana, raw, terms=terms(expires=later(utc_now(), hours=1)))
    await hears(here, vienna, raw)
    assert await actions(here) == {"tirana": "block", "vienna": "watch"}


async def test_a_sensor_reads_its_view_anew_when_trust_changes(three: Three) -> None:
    here, tirana, _ = three
    await hears(here, tirana, written(TIRANA))
    before = await feed(here)
    assert (await feed(here)).incarnation == before.incarnation
    await trust(here, "tirana", "block")
    after = await feed(here)
    assert after.incarnation != before.incarnation
    assert [one.action for one in after.items] == ["block"]


async def test_trust_is_an_event_with_who_gave_it(three: Three) -> None:
    here, _, _ = three
    await trust(here, "tirana", "block")
    await introduce.limit(here.log, "tirana", 500, "admin")
    rows = here.rows(schema.events, "kind", "subject", "actor", "detail")
    assert ("trust", TIRANA.member, "admin", '{"trust":"block"}') in rows
    assert ("limit", TIRANA.member, "admin", '{"hourly":500}') in rows
    assert here.peer(Station(TIRANA, here.log)).hourly == 500


async def test_a_peer_that_there_is_not_is_trusted_with_nothing(three: Three) -> None:
    here, _, _ = three
    with pytest.raises(NotFound):
        await trust(here, "nobody", "block")
