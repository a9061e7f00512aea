"""In whatever order things arrive, the state of the log is the same."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.federation.keys import AT, PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, batch, said, stream, take, told, written

from lezha.federation.frame import Parcel
from lezha.flows import check, detect, look, purge
from lezha.node.clock import utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.store import disputes, posts, schema, search, statements
from lezha.store.log import Log
from lezha.store.search import Query

SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
LATER = ["2022-07-16T09:00:00.000Z", "2022-07-17T09:00:00.000Z", "2022-07-18T09:00:00.000Z"]
VENDOR = "identity--00000000-0000-4000-8000-00000000c15a"


def vendor(party: object, text: str, **changes: object) -> Parcel:
    """What a member tells of a vendor's object, each in words of their own."""
    return said(party, written(TIRANA, 9, created_by_ref=VENDOR, description=text, **changes))  # type: ignore[arg-type]  # a Party


PARCELS: list[Parcel] = [
    said(TIRANA, written(TIRANA, 1)),
    said(TIRANA, written(TIRANA, 1, modified=LATER[0], pattern="[ipv4-addr:value = '203.0.113.101']")),
    said(TIRANA, written(TIRANA, 1, modified=LATER[1], revoked=True)),
    said(TIRANA, written(TIRANA, 1, modified=LATER[2], name="after its revocation")),
    said(TIRANA, written(TIRANA, 2)),
    said(TIRANA, written(TIRANA, 2, description="equivocation")),
    said(TIRANA, written(TIRANA, 2, modified=LATER[0])),
    said(TIRANA, written(TIRANA, 3)),
    said(TIRANA, json.dumps(told(TIRANA, 3), indent=1).encode()),
    said(TIRANA, json.dumps(told(TIRANA, 2), indent=1).encode()),
    # Vienna writes over Tirana's objects under its own name: it disputes nothing of hers.
    said(VIENNA, written(VIENNA, 1, id=told(TIRANA, 3)["id"], description="Vienna's own")),
    said(VIENNA, written(VIENNA, 1, id=told(TIRANA, 3)["id"], description="and another")),
    vendor(TIRANA, "as Tirana has it"),
    vendor(VIENNA, "as Vienna has it"),
    vendor(VIENNA, "as Vienna has it later", modified=LATER[0]),
]


async def arriving(empty: Path, order: Sequence[int], purged: tuple[int, str] = (0, "")) -> dict[str, object]:
    """Podgorica's state after these have arrived in this order, each in a stream of its own.

    `purged` is an object, and after how many arrivals it is purged.
    """
    path = shutil.copyfile(empty, empty.with_name(f"{uuid4().hex}.db"))
    log = Log(f"sqlite:///{path}", utc_now)
    here = Station(PODGORICA, log)
    senders = [Station(TIRANA, log), Station(VIENNA, log)]
    try:
        await here.links(*senders, since=AT)
        for number, place in enumerate(order, 1):
            sent = batch(*stream(PARCELS[place]))
            sent = type(sent)(sent.protocol, f"{number:032x}", sent.sent, sent.frames)
            await take(here, senders[0], sent)
            if number == purged[0] and here.bytes_of(purged[1]):
                await purge.purge(log, here.member, [purged[1]], "a mistake", "officer")
        assert list(check.check(log)) == []
        return await state(here)
    finally:
        log.close()
        path.unlink()


async def state(here: Station) -> dict[str, object]:
    feed = await detect.feed(here.log, SENSOR, 0, utc_now())
    watched = {one.key: one.observables for one in feed.items}
    with here.log.read() as conn:
        listed = look.listed(conn, search.find(conn, Query(limit=1000)))
        hashes = list(conn.scalars(select(schema.statements.c.hash)))
        facts = sorted(
            (one.content, one.origin, one.quarantined, one.purged) for one in statements.facts(conn, hashes)
        )
        assert posts.about(conn, [one.id for one in listed]) == {}
        return {
            "listed": sorted((one.hash, one.state.value, one.origins) for one in listed),
            "disputes": sorted((one.stix_id, one.version, one.creator) for one in disputes.listed(conn)),
            "facts": facts,
            "watched": sorted(watched.items()),
        }


async def test_the_state_is_what_the_rules_say(empty: Path) -> None:
    found = await arriving(empty, range(len(PARCELS)))
    watched = dict(found["watched"])  # type: ignore[call-overload]  # pairs
    key = f"{TIRANA.member} {told(TIRANA, 1)['id']}"
    assert watched[key] == (), "revoked, whatever came after"
    assert watched[f"{TIRANA.member} {told(TIRANA, 2)['id']}"], "a later version is not in the dispute"
    assert watched[f"{TIRANA.member} {told(TIRANA, 3)['id']}"], "nobody disputes for another"
    assert watched[f"{VIENNA.member} {told(TIRANA, 3)['id']}"] == ()
    assert len(found["disputes"]) == 2  # type: ignore[arg-type]  # a list
    states = [one[1] for one in found["listed"]]  # type: ignore[attr-defined]  # a list
    assert sorted(set(states)) == ["after its revocation", "barred", "current", "revoked", "superseded"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(PARCELS))))
async def test_any_order_of_arrival_gives_the_same_state(empty: Path, order: list[int]) -> None:
    assert await arriving(empty, order) == await arriving(empty, range(len(PARCELS)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(PARCELS))), after=st.integers(1, len(PARCELS)), number=st.integers(1, 3)
)
async def test_what_is_in_dispute_depends_neither_on_the_order_nor_on_what_was_purged_when(
    empty: Path, order: list[int], after: int, number: int
) -> None:
    expected = await arriving(empty, range(len(PARCELS)))
    found = await arriving(empty, order, (after, told(TIRANA, number)["id"]))
    assert found["disputes"] == expected["disputes"]
    assert {one[:3] for one in found["facts"]} == {one[:3] for one in expected["facts"]}  # type: ignore[attr-defined]  # lists


async def test_what_claims_a_member_as_creator_does_not_count_once_that_member_is_known(empty: Path) -> None:
    path = shutil.copyfile(empty, empty.with_name(f"{uuid4().hex}.db"))
    log = Log(f"sqlite:///{path}", utc_now)
    here, tirana, vienna = Station(PODGORICA, log), Station(TIRANA, log), Station(VIENNA, log)
    try:
        await here.links(vienna, since=AT)
        forged = said(VIENNA, written(TIRANA, 1, description="forged"))
        assert (await take(here, vienna, batch(*stream(forged)))).refused == ()
        name = told(TIRANA, 1)["id"]
        before = await state(here)
        await here.links(tirana, since=AT)
        after = await state(here)
        assert [dict(one["watched"])[f"{VIENNA.member} {name}"] for one in (before, after)][1] == ()  # type: ignore[call-overload]  # pairs
        assert [one[2] for one in after["facts"]] == [True]  # type: ignore[attr-defined]  # a list
        genuine = said(TIRANA, written(TIRANA, 1))
        assert (await take(here, tirana, batch(*stream(genuine)))).refused == ()
        last = await state(here)
        assert dict(last["watched"])[f"{TIRANA.member} {name}"] != ()  # type: ignore[call-overload]  # pairs
        assert last["disputes"] == []
    finally:
        log.close()
        path.unlink()


async def test_whether_two_contents_say_the_same_does_not_depend_on_what_was_purged(empty: Path) -> None:
    path = shutil.copyfile(empty, empty.with_name(f"{uuid4().hex}.db"))
    log = Log(f"sqlite:///{path}", utc_now)
    here, tirana = Station(PODGORICA, log), Station(TIRANA, log)
    try:
        await here.links(tirana, since=AT)
        spaced = json.dumps(told(TIRANA, 1), indent=1).encode()
        one, again = said(TIRANA, written(TIRANA, 1)), said(TIRANA, spaced)
        other = said(TIRANA, written(TIRANA, 1, description="something else"))
        assert (await take(here, tirana, batch(*stream(one)))).refused == ()
        await purge.purge(log, here.member, [told(TIRANA, 1)["id"]], "retention", "node")
        for number, (parcel, refused) in enumerate(((again, 0), (other, 1))):
            sent = batch(*stream(parcel))
            sent = type(sent)(sent.protocol, f"{number:032x}", sent.sent, sent.frames)
            assert len((await take(here, tirana, sent)).refused) == refused
        assert list(check.check(log)) == []
    finally:
        log.close()
        path.unlink()
