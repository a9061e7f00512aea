"""Tear-lines: less goes to more members, and nobody learns of the original by it."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, alliance, deliver, found, pack
from tests.stix.test_tearline import AMBER, FAMILY, GREEN, RED, VICTIM, report

from lezha.flows import ingest, publish, tearline
from lezha.flows.errors import FlowError, NothingTaken, Stopped
from lezha.flows.tearline import Request, Torn
from lezha.node.clock import later, utc_now
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import bundle, encode
from lezha.store import peers, schema, statements
from lezha.store.errors import NotFound
from lezha.store.peers import PeerState

ID = report()["id"]
TIMES = {"created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T08:00:00.000Z", "spec_version": "2.1"}


def mine(**changes: Any) -> dict[str, Any]:
    return report(created_by_ref=TIRANA.member, object_marking_refs=[AMBER]) | changes


def family(**changes: Any) -> dict[str, Any]:
    plain = {
        "type": "malware",
        "id": FAMILY,
        "created_by_ref": TIRANA.member,
        "name": "ROADSWEEP",
        "is_family": True,
    }
    return TIMES | plain | {"object_marking_refs": [GREEN]} | changes


def victim() -> dict[str, Any]:
    plain = {"type": "identity", "id": VICTIM, "created_by_ref": TIRANA.member, "name": "Ministry of Health"}
    return TIMES | plain | {"object_marking_refs": [AMBER]}


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica, Pristina and Vienna; NATO is Tirana and Podgorica.

    A report on a family, which everyone may know, and on a victim, whom NATO may.
    """
    here, others = station(TIRANA), [station(one) for one in (PODGORICA, PRISTINA, VIENNA)]
    await here.links(*others)
    await found("NATO", here, others[0])
    await here.publish(family(), to=["everyone"])
    await here.publish(mine(), victim(), to=["NATO"], tlp=Tlp.AMBER)
    return here


def asked(
    here: Station, *without: str, to: tuple[str, ...] = ("everyone",), stix_id: str = ID, **more: Any
) -> Request:
    with here.log.read() as conn:
        audience = publish.audience(conn, to)
    terms = msgspec.structs.replace(Terms(tlp=Tlp.GREEN, audience=audience), **more.pop("terms", {}))
    return Request(stix_id, terms, without, **more)


async def tear(here: Station, *without: str, **more: Any) -> Torn:
    wanted = asked(here, *without, **more)
    return await tearline.tear(here.log, here.author, here.members, wanted, "test", utc_now())


def preview(here: Station, *without: str, **more: Any) -> Torn:
    return tearline.preview(here.log, here.author, here.members, asked(here, *without, **more), utc_now())


def terms_of(here: Station, stix_id: str) -> Terms:
    with here.log.read() as conn:
        (one,) = statements.facts(conn, statements.about(conn, stix_id))
    assert one.terms is not None
    return one.terms


async def test_what_not_everyone_may_know_is_left_out_and_what_is_kept_is_listed(tirana: Station) -> None:
    torn = await tear(tirana, "labels")
    assert torn.object["object_refs"] == [FAMILY]
    assert torn.named == (FAMILY,)
    assert {one.what: one.why for one in torn.dropped} == {
        "labels": "left out by its author",
        VICTIM: "not everyone in this audience may know it",
        AMBER: "TLP:AMBER, replaced by TLP:GREEN",
    }
    assert torn.kept == ("name", "description", "published", "object_refs", "external_references")
    (raw,) = tirana.bytes_of(torn.object["id"])
    assert json.loads(raw) == torn.object
    assert ID.encode() not in raw
    assert VICTIM.encode() not in raw


async def test_it_goes_to_the_wider_audience_by_its_own_statement(tirana: Station) -> None:
    torn = await tear(tirana)
    assert {one.peer: one.gets for one in torn.published.outlook} == {
        "podgorica": 1,
        "pristina": 1,
        "vienna": 1,
    }
    assert terms_of(tirana, torn.object["id"]).audience.everyone
    assert torn.object["created_by_ref"] == TIRANA.member


async def test_that_it_comes_from_the_original_is_told_to_those_alone_who_may_have_both(
    tirana: Station,
) -> None:
    torn = await tear(tirana)
    (raw,) = tirana.bytes_of(torn.link.id)
    bond = json.loads(raw)
    assert (bond["relationship_type"], bond["source_ref"], bond["target_ref"]) == (
        "derived-from",
        torn.object["id"],
        ID,
    )
    terms = terms_of(tirana, torn.link.id)
    assert terms == Terms(Tlp.AMBER, Audience(members=(PODGORICA.member,)), Pap.GREEN)
    assert torn.link.gets == ("podgorica",)


async def test_nothing_that_others_are_sent_tells_of_the_original(station: Callable[..., Station]) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(here, there, other)
    await here.publish(family(), to=["everyone"])
    await here.publish(mine(), victim(), to=["podgorica"], tlp=Tlp.AMBER)
    torn = await tear(here, "external_references", changes={"name": "Wiper", "description": "A wiper"})
    sent = repr(await pack(here, other))
    assert torn.object["id"] in sent
    for secret in (ID, VICTIM, torn.link.id, "Ministry", "wiki.example"):
        assert secret not in sent, secret
    assert (await deliver(here, there)).refused == ()
    assert there.holds(ID, torn.object["id"], torn.link.id) == [True, True, True]
    assert (await deliver(here, other)).refused == ()
    assert other.holds(ID, torn.object["id"], torn.link.id) == [False, True, False]


async def test_a_statement_by_which_nobody_has_the_original_does_not_narrow_that(tirana: Station) -> None:
    second = mine(id=ID[:-1] + "7", object_refs=[FAMILY])
    await tirana.publish(second, to=["NATO"], tlp=Tlp.AMBER)
    await tirana.publish(second, to=["vienna"], tlp=Tlp.RED)
    torn = await tear(tirana, stix_id=second["id"])
    assert torn.link.gets == ("podgorica",)
    assert terms_of(tirana, torn.link.id).tlp is Tlp.AMBER


async def test_who_would_not_get_the_original_now_is_not_told_where_it_comes_from(tirana: Station) -> None:
    await tirana.log.write(lambda tx: peers.set_state(tx, PODGORICA.member, PeerState.SUSPENDED, "test"))
    torn = await tear(tirana)
    assert torn.link.gets == ()
    assert "own systems only" in torn.link.words
    with tirana.log.read() as conn:
        assert statements.about(conn, torn.link.id) == []
    assert tirana.holds(torn.link.id) == [True]


async def test_an_original_that_was_never_told_is_tied_for_own_systems_alone(tirana: Station) -> None:
    raw = bundle.write([encode(mine(id=ID[:-1] + "9", object_refs=[FAMILY]))])
    await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
    torn = await tear(tirana, stix_id=ID[:-1] + "9")
    assert torn.link.gets == ()
    with tirana.log.read() as conn:
        assert statements.about(conn, torn.link.id) == []


async def test_the_relationship_is_no_wider_than_the_original_in_anything(tirana: Station) -> None:
    soon = later(utc_now(), hours=1)
    second = mine(id=ID[:-1] + "8", object_refs=[FAMILY])
    await tirana.publish(second, to=["NATO"], tlp=Tlp.STRICT, pap=Pap.RED, expires=soon)
    torn = await tear(tirana, stix_id=second["id"], terms={"pap": Pap.GREEN, "onward": True})
    terms = terms_of(tirana, torn.link.id)
    assert (terms.tlp, terms.pap, terms.expires, terms.onward) == (Tlp.STRICT, Pap.RED, soon, False)


async def test_a_preview_shows_the_same_and_writes_nothing(tirana: Station) -> None:
    before = {table.name: tirana.rows(table, *table.c.keys()) for table in schema.metadata.sorted_tables}
    seen = preview(tirana, "labels")
    after = {table.name: tirana.rows(table, *table.c.keys()) for table in schema.metadata.sorted_tables}
    assert after == before
    done = await tear(tirana, "labels")
    assert (seen.kept, seen.named, seen.dropped, seen.remarks) == (
        done.kept,
        done.named,
        done.dropped,
        done.remarks,
    )
    assert (seen.published.outlook, seen.published.warnings) == (
        done.published.outlook,
        done.published.warnings,
    )
    assert (seen.link.gets, seen.link.words) == (done.link.gets, done.link.words)
    own = ("id", "created", "modified")
    assert {key: value for key, value in seen.object.items() if key not in own} == {
        key: value for key, value in done.object.items() if key not in own
    }


async def test_words_of_what_was_left_out_are_pointed_at(tirana: Station) -> None:
    await tirana.publish(
        mine(modified="2023-01-01T00:00:00.000Z", description="At the MINISTRY of health"), to=["NATO"]
    )
    torn = preview(tirana)
    assert [one for one in torn.remarks if "description" in one and "Ministry of Health" in one]
    assert preview(tirana, "description").remarks == ()


async def test_what_is_named_and_not_held_is_pointed_at(tirana: Station) -> None:
    absent = "tool--00000000-0000-4000-8000-000000000077"
    await tirana.publish(mine(modified="2023-01-01T00:00:00.000Z", object_refs=[FAMILY, absent]), to=["NATO"])
    assert [one for one in preview(tirana).remarks if absent in one and "not held here" in one]


async def test_an_object_that_names_itself_does_not_tell_of_the_original(tirana: Station) -> None:
    await tirana.publish(mine(modified="2023-01-01T00:00:00.000Z", object_refs=[FAMILY, ID]), to=["everyone"])
    torn = await tear(tirana)
    assert torn.named == (FAMILY,)
    assert ID not in json.dumps(torn.object)


async def test_the_version_that_counts_is_torn(tirana: Station) -> None:
    await tirana.publish(mine(modified="2023-01-01T00:00:00.000Z", description="later"), to=["NATO"])
    assert preview(tirana).object["description"] == "later"


async def test_a_sighting_is_torn_and_tied_to_nothing(tirana: Station) -> None:
    sighting = TIMES | {
        "type": "sighting", "id": "sighting--00000001-0000-4000-8000-000000000000", "created_by_ref": TIRANA.member,
        "sighting_of_ref": FAMILY, "where_sighted_refs": [VICTIM], "object_marking_refs": [RED],
    }  # fmt: skip
    await tirana.publish(sighting, to=["podgorica"], tlp=Tlp.RED)
    torn = await tear(tirana, stix_id=sighting["id"])
    assert "where_sighted_refs" not in torn.object
    assert (torn.link.id, torn.link.gets) == ("", ())
    assert "nothing ties the two" in torn.link.words


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (("descripton",), "has no 'descripton' to leave out"),
        (("id",), "'id' can't be left out"),
        (("created_by_ref",), "'created_by_ref' can't be left out"),
        ((TIRANA.member,), "can't be left out"),
        (("name",), "no valid STIX: .*name"),
        (("object_refs",), "no valid STIX: .*object_refs"),
        ((FAMILY,), "no valid STIX: .*object_refs"),
        (("tool--00000000-0000-4000-8000-000000000077",), "does not name tool--"),
    ],
)
async def test_what_cannot_be_left_out_is_refused_in_words(
    tirana: Station, without: tuple[str, ...], words: str
) -> None:
    with pytest.raises(FlowError, match=words):
        preview(tirana, *without)


async def test_a_text_may_be_set_instead(tirana: Station) -> None:
    torn = await tear(tirana, "name", changes={"name": "Wiper"})
    assert torn.object["name"] == "Wiper"
    assert "name" not in torn.kept


async def test_what_is_not_one_s_own_or_does_not_count_cannot_be_torn(tirana: Station) -> None:
    address = {
        "type": "ipv4-addr",
        "spec_version": "2.1",
        "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
        "value": "198.51.100.3",
    }
    vendor = TIMES | {"type": "tool", "id": "tool--00000000-0000-4000-8000-000000000078", "name": "x"}
    whose = "identity--00000000-0000-4000-8000-000000000079"
    theirs = vendor | {"id": "tool--00000000-0000-4000-8000-000000000079", "created_by_ref": whose}
    await tirana.publish(address, vendor, theirs)
    revoked = mine(modified="2023-01-01T00:00:00.000Z", revoked=True)
    await tirana.publish(revoked, to=["NATO"])
    for stix_id, words in (
        (address["id"], "can't be torn: the id of ipv4-addr objects follows from their value"),
        (vendor["id"], f"names no author, .* that names this member, {tirana.member}, as created_by_ref"),
        (theirs["id"], "is not this member's own: ask its author"),
        (ID, r"No version of report--.* counts \(revoked\)"),
    ):
        with pytest.raises(FlowError, match=words):
            preview(tirana, stix_id=stix_id)
    with pytest.raises(NotFound):
        preview(tirana, stix_id="report--00000000-0000-4000-8000-0000000000aa")


async def test_what_was_narrowed_meanwhile_stops_it_whole(tirana: Station) -> None:
    """Between looking and signing somebody may have told less: the rules are asked again in the same transaction."""
    wanted = asked(tirana)
    with tirana.log.read() as conn:
        draft = tearline._draft(conn, tirana.author, wanted, utc_now())
    bad = msgspec.structs.replace(
        draft.variant, refs=(VICTIM,), raw=encode(draft.torn.object | {"object_refs": [VICTIM]})
    )
    drafted = publish.draft(tirana.author, tirana.members, tearline._request(bad, wanted))
    with pytest.raises(NothingTaken):
        await tirana.log.write(lambda tx: publish.write(tx, drafted, "test"))


async def test_a_caution_may_stop_it(tirana: Station) -> None:
    await tirana.publish(
        mine(modified="2023-01-01T00:00:00.000Z", object_refs=[FAMILY, TIRANA.member]), to=["NATO"]
    )
    before = tirana.rows(schema.events, "seq")
    with pytest.raises(Stopped, match="your own organisation"):
        await tear(tirana, stop_on=("own_identity",))
    assert tirana.rows(schema.events, "seq") == before


async def test_each_tear_line_is_an_object_of_its_own(tirana: Station) -> None:
    first, second = await tear(tirana), await tear(tirana)
    assert len({ID, first.object["id"], second.object["id"]}) == 3
