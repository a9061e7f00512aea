"""Publishing: what is in order is signed and kept, what is not is named, and who gets it is said beforehand."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import PODGORICA, TIRANA, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import PRISTINA, VIENNA, Station, batch, found, said, stream, take, told
from tests.stix.examples import RED

from lezha.federation import statement
from lezha.federation.frame import FrameKind, Parcel
from lezha.federation.roster import draft
from lezha.flows import constituents, convene, ingest, publish
from lezha.flows.errors import FlowError, NothingTaken
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Standing
from lezha.sharing.terms import Audience, CommunityTerm
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode, objects
from lezha.store import communities, contents, schema, statements
from lezha.store.peers import PeerState

MALWARE = {
    "type": "malware",
    "spec_version": "2.1",
    "id": "malware--00000001-0000-4000-8000-000000000000",
    "created_by_ref": TIRANA.member,
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "name": "ROADSWEEP",
    "is_family": True,
}
INDICATES = {
    "type": "relationship",
    "spec_version": "2.1",
    "id": "relationship--00000001-0000-4000-8000-000000000000",
    "created_by_ref": TIRANA.member,
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "relationship_type": "indicates",
    "source_ref": told(TIRANA, 1)["id"],
    "target_ref": MALWARE["id"],
}


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica, Pristina and Vienna; NATO is Tirana and Podgorica."""
    here, others = station(TIRANA), [station(one) for one in (PODGORICA, PRISTINA, VIENNA)]
    await here.links(*others)
    await found("NATO", here, others[0])
    return here


def rejected(outcome: publish.Published | NothingTaken) -> list[tuple[str, str]]:
    return [(one.id, one.clause) for one in outcome.rejected]


# --- what is taken --------------------------------------------------------------------------------------------------


async def test_each_object_is_signed_for_in_the_member_s_name(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), tlp=Tlp.AMBER, to=["NATO"])
    for stix_id, key in outcome.taken:
        with tirana.log.read() as conn:
            envelope, [raw, *_] = statements.parcels(conn, [key])[key]
        known = statement.read(envelope, tirana.members.keyring)
        assert (known.digest, known.statement.member, known.statement.object_id) == (
            key,
            TIRANA.member,
            stix_id,
        )
        assert known.statement.terms.tlp is Tlp.AMBER
        assert bundle.slices(raw) == [raw]
    assert [stix_id for stix_id, _ in outcome.taken] == [told(TIRANA, n)["id"] for n in (1, 2)]


async def test_the_author_s_identity_travels_ahead_where_it_is_named(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 2, created_by_ref=None))
    with tirana.log.read() as conn:
        parcels = statements.parcels(conn, [key for _, key in outcome.taken])
    assert [parcels[key][1][1:] for _, key in outcome.taken] == [[tirana.document.identity.encode()], []]


async def test_the_bytes_of_an_object_are_published_as_they_are(tirana: Station) -> None:
    spaced = json.dumps(told(TIRANA, 1), separators=(" ,  ", " : ")).encode()
    raw = b'{\n  "objects": [ ' + spaced + b' ],"type":"bundle","id":"bundle--1"}'
    request = replace(tirana.request(told(TIRANA, 1)), raw=raw)
    await publish.publish(tirana.log, tirana.author, tirana.members, request, "test")
    assert (spaced,) in tirana.rows(schema.bodies, "bytes")


async def test_a_bad_object_is_named_and_the_good_ones_are_taken(tirana: Station) -> None:
    bad = told(TIRANA, 2, pattern="[ipv4-addr:value = ")
    outcome = await tirana.publish(told(TIRANA, 1), bad, told(TIRANA, 3))
    assert [stix_id for stix_id, _ in outcome.taken] == [told(TIRANA, n)["id"] for n in (1, 3)]
    [one] = outcome.rejected
    assert (one.id, bool(one.clause), bool(one.reason)) == (bad["id"], True, True)
    assert tirana.holds(bad["id"]) == [False]


async def test_strict_takes_all_or_nothing(tirana: Station) -> None:
    bad = told(TIRANA, 2, pattern="[ipv4-addr:value = ")
    with pytest.raises(NothingTaken) as caught:
        await tirana.publish(told(TIRANA, 1), bad, strict=True)
    assert [one.id for one in caught.value.rejected] == [bad["id"]]
    assert tirana.holds(told(TIRANA, 1)["id"]) == [False]


async def test_if_no_object_is_in_order_nothing_is_published(tirana: Station) -> None:
    events = tirana.rows(schema.events, "seq")
    with pytest.raises(NothingTaken, match="no object is in order"):
        await tirana.publish(told(TIRANA, 2, pattern="["))
    assert tirana.rows(schema.events, "seq") == events


@pytest.mark.parametrize("raw", [b"", b"not JSON", b'{"type":"bundle","id":1,"id":2}', b"[" * 10_000])
async def test_what_is_no_bundle_is_refused_whole(tirana: Station, raw: bytes) -> None:
    request = replace(tirana.request(told(TIRANA, 1)), raw=raw)
    with pytest.raises(NothingTaken):
        await publish.publish(tirana.log, tirana.author, tirana.members, request, "test")


# --- authority ------------------------------------------------------------------------------------------------------


async def test_what_another_member_wrote_only_that_member_can_publish(tirana: Station) -> None:
    with pytest.raises(NothingTaken) as caught:
        await tirana.publish(told(PODGORICA, 1))
    assert rejected(caught.value) == [(told(PODGORICA, 1)["id"], "lezha authority")]
    assert "podgorica wrote it" in caught.value.rejected[0].reason


async def test_what_a_stranger_wrote_may_be_published(tirana: Station) -> None:
    cisa = "identity--00000000-0000-4000-8000-00000000c15a"
    assert len((await tirana.publish(told(TIRANA, 1, created_by_ref=cisa))).taken) == 1


async def test_nobody_else_says_who_a_member_is(tirana: Station) -> None:
    with pytest.raises(NothingTaken) as caught:
        await tirana.publish(json.loads(PODGORICA.identity("Not Podgorica")))
    assert rejected(caught.value) == [(PODGORICA.member, "lezha authority")]


async def test_a_change_without_a_later_modified_is_refused(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    with pytest.raises(NothingTaken) as caught:
        await tirana.publish(told(TIRANA, 1, description="changed"))
    assert rejected(caught.value) == [(told(TIRANA, 1)["id"], "STIX 2.1 §3.6.1")]
    await tirana.publish(told(TIRANA, 1, description="changed", modified="2022-07-16T09:00:00.000Z"))


async def test_two_truths_of_one_version_in_one_bundle_are_refused(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 1, description="another"))
    assert (len(outcome.taken), rejected(outcome)) == (1, [(told(TIRANA, 1)["id"], "STIX 2.1 §3.6.1")])


async def test_the_same_bytes_may_be_published_again_on_other_terms(tirana: Station) -> None:
    first = await tirana.publish(told(TIRANA, 1), to=["NATO"])
    second = await tirana.publish(told(TIRANA, 1))
    assert first.taken[0][1] != second.taken[0][1]
    assert len(tirana.rows(schema.statements, "hash")) == 2


async def test_the_same_content_on_the_same_terms_is_signed_once(tirana: Station) -> None:
    first = await tirana.publish(told(TIRANA, 1), to=["NATO"], tlp=Tlp.AMBER)
    events = tirana.rows(schema.events, "seq")
    again = await tirana.publish(told(TIRANA, 1), to=["NATO"], tlp=Tlp.AMBER)
    assert (again.taken, again.outlook) == (first.taken, first.outlook)
    assert tirana.rows(schema.events, "seq") == events
    more = await tirana.publish(told(TIRANA, 2), told(TIRANA, 1), to=["NATO"], tlp=Tlp.AMBER)
    assert more.taken[1] == first.taken[0]
    assert len(tirana.rows(schema.statements, "hash")) == 2


async def test_what_was_not_held_then_and_is_now_is_no_reason_to_sign_again(tirana: Station) -> None:
    first = await tirana.publish(INDICATES)
    await tirana.publish(MALWARE, told(TIRANA, 1))
    assert (await tirana.publish(INDICATES)).taken == first.taken


async def test_other_terms_are_signed_again(tirana: Station) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"tlp": Tlp.CLEAR},
        {"onward": True},
        {"expires": later(utc_now(), hours=1)},
    ]
    published = [await tirana.publish(told(TIRANA, 1), **one) for one in changes]
    assert len({one.taken for one in published}) == 4


async def test_what_was_for_everyone_present_is_signed_again_for_those_who_came_since(
    station: Callable[..., Station],
) -> None:
    here, vienna = station(TIRANA), station(VIENNA)
    first = await here.publish(told(TIRANA, 1), future_members=False)
    assert (await here.publish(told(TIRANA, 1), future_members=False)).taken == first.taken
    await here.links(vienna)
    assert await here.withheld(vienna) == {told(TIRANA, 1)["id"]: "admitted_later"}
    second = await here.publish(told(TIRANA, 1), future_members=False)
    assert second.taken != first.taken
    assert outlook(second) == {"vienna": (1, {})}


# --- references -----------------------------------------------------------------------------------------------------


async def test_what_names_something_narrower_is_refused(tirana: Station) -> None:
    await tirana.publish(MALWARE, to=["NATO"])
    with pytest.raises(NothingTaken) as caught:
        await tirana.publish(INDICATES)
    assert rejected(caught.value) == [(INDICATES["id"], "lezha references")]
    assert "narrow the audience" in caught.value.rejected[0].reason


async def test_what_names_something_as_wide_is_taken(tirana: Station) -> None:
    await tirana.publish(MALWARE, told(TIRANA, 1), to=["NATO"])
    assert (await tirana.publish(INDICATES, to=["podgorica"])).rejected == ()


async def test_what_names_something_that_nobody_was_told_of_is_refused(tirana: Station) -> None:
    kept = ingest.content(objects.read(encode(MALWARE)))
    await tirana.log.write(lambda tx: contents.add(tx, [kept], "test"))
    with pytest.raises(NothingTaken, match="no object is in order"):
        await tirana.publish(INDICATES, to=["podgorica"])


async def test_what_is_published_in_the_same_go_may_be_named_though_it_was_held_before(
    tirana: Station,
) -> None:
    kept = ingest.content(objects.read(encode(MALWARE)))
    await tirana.log.write(lambda tx: contents.add(tx, [kept], "test"))
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    outcome = await tirana.publish(INDICATES, MALWARE, told(TIRANA, 1), to=["podgorica", "vienna"])
    assert (len(outcome.taken), outcome.rejected) == (3, ())


async def test_what_is_rejected_takes_with_it_what_names_it(tirana: Station) -> None:
    other = MALWARE | {"created_by_ref": PODGORICA.member}
    kept = ingest.content(objects.read(encode(other)))
    await tirana.log.write(lambda tx: contents.add(tx, [kept], "test"))
    note = {
        "type": "note", "spec_version": "2.1", "id": "note--00000001-0000-4000-8000-000000000000",
        "created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T08:00:00.000Z",
        "content": "about it", "object_refs": [INDICATES["id"]],
    }  # fmt: skip
    relation, about = (ingest.content(objects.read(encode(one))) for one in (INDICATES, note))
    await tirana.log.write(lambda tx: contents.add(tx, [relation, about], "test"))
    outcome = await tirana.publish(note, INDICATES, other, told(TIRANA, 1), to=["podgorica"])
    assert {stix_id for stix_id, _ in rejected(outcome)} == {note["id"], INDICATES["id"], MALWARE["id"]}


async def test_what_an_ally_told_a_circle_is_not_named_beyond_it(tirana: Station) -> None:
    podgorica = Station(PODGORICA, tirana.log)
    audience = Audience(members=(TIRANA.member,))
    malware = MALWARE | {"created_by_ref": PODGORICA.member}
    narrow = said(PODGORICA, encode(malware), terms=replace(PODGORICA.statement().terms, audience=audience))
    await take(tirana, podgorica, batch(*stream(narrow)))
    with pytest.raises(NothingTaken):
        await tirana.publish(INDICATES, to=["vienna"])
    assert (await tirana.publish(INDICATES, to=["podgorica"])).rejected == ()  # who wrote it has it


async def test_what_is_named_and_not_held_is_listed_in_the_signed_statement(tirana: Station) -> None:
    outcome = await tirana.publish(INDICATES, told(TIRANA, 1))
    with tirana.log.read() as conn:
        [one] = statements.facts(conn, [key for stix_id, key in outcome.taken if stix_id == INDICATES["id"]])
    assert one.terms is not None
    assert one.terms.open_refs == (MALWARE["id"],)


async def test_what_is_rejected_of_the_same_bundle_is_not_held_and_so_an_open_reference(
    tirana: Station,
) -> None:
    outcome = await tirana.publish(INDICATES, told(TIRANA, 1), MALWARE | {"created_by_ref": PODGORICA.member})
    assert rejected(outcome) == [(MALWARE["id"], "lezha authority")]
    with tirana.log.read() as conn:
        [one] = statements.facts(conn, [key for stix_id, key in outcome.taken if stix_id == INDICATES["id"]])
    assert one.terms is not None
    assert one.terms.open_refs == (MALWARE["id"],)


# --- the outlook ----------------------------------------------------------------------------------------------------


def outlook(outcome: publish.Published) -> dict[str, tuple[int, dict[str, int]]]:
    return {one.peer: (one.gets, one.withheld) for one in outcome.outlook}


async def test_the_author_sees_who_will_get_it_and_who_will_not_and_why(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 2, object_marking_refs=[RED]), to=["NATO"])
    assert outlook(outcome) == {
        "podgorica": (1, {"clearance": 1}),
        "pristina": (0, {"not_in_audience": 2}),
        "vienna": (0, {"not_in_audience": 2}),
    }
    assert outcome.outlook[0].words == {"clearance": "the recipient is not cleared for its marking"}
    assert outcome.outlook[0].rules == ("member of NATO, roster 1",)


async def test_the_author_sees_which_constituents_will_get_it(tirana: Station) -> None:
    await constituents.admit(tirana.log, "ministry", "", Tlp.AMBER, "officer")
    await constituents.admit(tirana.log, "bank", "", Tlp.GREEN, "officer")
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), to=["NATO"], tlp=Tlp.AMBER)
    served = [one for one in outcome.outlook if one.standing is Standing.CONSTITUENT]
    assert [(one.peer, one.gets, one.withheld) for one in served] == [
        ("bank", 0, {"clearance": 2}),
        ("ministry", 2, {}),
    ]


async def test_the_outlook_is_what_then_happens(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1), told(TIRANA, 2, object_marking_refs=[RED]), to=["NATO"])
    for one in (PODGORICA, PRISTINA, VIENNA):
        reasons = list((await tirana.withheld(Station(one, tirana.log))).values())
        expected = outlook(outcome)[Station(one, tirana.log).name][1]
        assert {reason: reasons.count(reason) for reason in reasons} == expected


async def test_a_preview_says_the_same_and_writes_nothing(tirana: Station) -> None:
    request = tirana.request(told(TIRANA, 1), told(TIRANA, 2, object_marking_refs=[RED]), to=["NATO"])
    before = {table.name: tirana.rows(table, *table.c.keys()) for table in schema.metadata.sorted_tables}
    seen = publish.preview(tirana.log, tirana.author, tirana.members, request, utc_now())
    after = {table.name: tirana.rows(table, *table.c.keys()) for table in schema.metadata.sorted_tables}
    assert after == before
    done = await publish.publish(tirana.log, tirana.author, tirana.members, request, "test")
    assert (seen.outlook, seen.rejected, seen.at) == (done.outlook, done.rejected, "")
    assert [stix_id for stix_id, _ in seen.taken] == [stix_id for stix_id, _ in done.taken]


async def test_a_marking_that_cannot_be_read_is_warned_of_and_goes_to_nobody(tirana: Station) -> None:
    unknown = "marking-definition--00000000-0000-4000-8000-000000000000"
    outcome = await tirana.publish(told(TIRANA, 1, object_marking_refs=[unknown]))
    assert ("unreadable_marking", (told(TIRANA, 1)["id"],)) in [
        (one.code, one.about) for one in outcome.warnings
    ]
    assert {one.gets for one in outcome.outlook} == {0}


async def test_what_no_sensor_can_match_is_warned_of(tirana: Station) -> None:
    outcome = await tirana.publish(told(TIRANA, 1, pattern="alert tcp any any", pattern_type="snort"))
    assert ("unmatched", (told(TIRANA, 1)["id"],)) in [(one.code, one.about) for one in outcome.warnings]


# --- audiences as people write them ---------------------------------------------------------------------------------


def read(here: Station, *names: str) -> Audience:
    with here.log.read() as conn:
        return publish.audience(conn, names)


async def test_an_audience_is_everyone_communities_and_peers_by_name(tirana: Station) -> None:
    with tirana.log.read() as conn:
        [nato] = communities.current(conn).values()
    assert read(tirana, "Everyone") == Audience(everyone=True)
    assert read(tirana, "nato", "NATO", "Vienna") == Audience(
        communities=(CommunityTerm(nato.id, 1),), members=(VIENNA.member,)
    )
    assert read(tirana) == Audience()


async def test_a_name_that_is_not_known_is_refused_with_those_that_are(tirana: Station) -> None:
    with pytest.raises(FlowError, match=r"'nata'. Known here: everyone, nato, podgorica, pristina, vienna"):
        read(tirana, "nata")


async def test_a_roster_that_was_not_accepted_gives_its_name_no_meaning(tirana: Station) -> None:
    raw = Parcel(FrameKind.ROSTER, draft(a_roster(charter(PODGORICA, name="EU")), PODGORICA.signer))
    assert (await take(tirana, Station(PODGORICA, tirana.log), batch(*stream(raw)))).refused == ()
    with pytest.raises(FlowError, match=r"'EU'\. Known here: everyone, nato, podgorica"):
        read(tirana, "EU")


async def test_two_communities_of_one_name_are_told_apart_before_anything_is_published(
    tirana: Station,
) -> None:
    await convene.accept(tirana.log, draft(a_roster(charter(PODGORICA)), PODGORICA.signer), "test")
    with pytest.raises(FlowError, match="Two communities here are called 'NATO'"):
        read(tirana, "nato")
    meant = charter(PODGORICA).community
    with tirana.log.read() as conn:
        assert publish.audience(conn, [meant]).communities == (CommunityTerm(meant, 1),)
        assert publish.audience(conn, ["everyone"]).everyone


async def test_a_name_that_is_both_is_refused(tirana: Station) -> None:
    await found("vienna", tirana)
    with pytest.raises(FlowError, match="both a community and a peer"):
        read(tirana, "vienna")


@pytest.mark.parametrize("state", [PeerState.PENDING, PeerState.SUSPENDED])
async def test_a_peer_that_is_not_active_gets_nothing(
    station: Callable[..., Station], state: PeerState
) -> None:
    here, there = station(TIRANA), station(VIENNA)
    await here.links(there, state=state)
    assert outlook(await here.publish(told(TIRANA, 1))) == {"vienna": (0, {"suspended": 1})}


async def test_an_expired_publication_goes_to_nobody(tirana: Station) -> None:
    terms: dict[str, Any] = {"expires": later(utc_now(), hours=-1)}
    assert {one.gets for one in (await tirana.publish(told(TIRANA, 1), **terms)).outlook} == {0}


async def test_what_is_rejected_takes_with_it_whatever_names_it_however_long_the_chain(
    tirana: Station,
) -> None:
    secret = told(TIRANA, 1)
    await tirana.publish(secret, to=["podgorica"])
    chain = [
        note(number, object_refs=[secret["id"] if number == 0 else note(number - 1)["id"]])
        for number in range(3000)
    ]
    held = bundle.write([encode(one) for one in chain])
    taken = await ingest.take(tirana.log, tirana.members, tirana.member, held, "test")
    assert taken.new == len(chain), "what is held without a statement may not be named"
    free = told(TIRANA, 2)
    done = await tirana.publish(*reversed(chain), free, to=["everyone"])
    assert [stix_id for stix_id, _ in done.taken] == [free["id"]]
    assert {one.clause for one in done.rejected} == {"lezha references"}
    assert len(done.rejected) == len(chain)


def note(number: int, **changes: Any) -> dict[str, Any]:
    times = {
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
        "spec_version": "2.1",
    }
    name = {"type": "note", "id": f"note--{number:08d}-0000-4000-8000-000000000000", "content": "see there"}
    return times | name | {"created_by_ref": TIRANA.member, "object_refs": [TIRANA.member]} | changes
