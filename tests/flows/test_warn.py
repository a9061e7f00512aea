"""Cautions: what authors get wrong is said before anything is signed, and stops them only if they ask for that."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, found, told
from tests.flows.test_publish import note

from lezha.detection.constituency import Constituency, parse
from lezha.flows import ingest, publish, warn
from lezha.flows.errors import FlowError, Stopped
from lezha.flows.warn import Caution, Code
from lezha.node.clock import utc_now
from lezha.sharing.terms import Audience, CommunityTerm
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import bundle, encode, markings
from lezha.store import communities, reached, schema
from lezha.store.log import Log
from lezha.store.peers import PeerState

CLEAR, GREEN, RED = (markings.TLP2_IDS[level] for level in ("clear", "green", "red"))
MINISTRY = "identity--00000000-0000-4000-8000-00000000beef"
TIMES = {"created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T08:00:00.000Z", "spec_version": "2.1"}


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica, Pristina and Vienna; NATO is Tirana and Podgorica. It has published nothing."""
    here, others = station(TIRANA), [station(one) for one in (PODGORICA, PRISTINA, VIENNA)]
    await here.links(*others)
    await found("NATO", here, others[0])
    return here


def marked(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An indicator with a marking of its own, of which nothing is to be warned."""
    return told(TIRANA, number, **({"object_marking_refs": [GREEN]} | changes))


def ministry(**changes: Any) -> dict[str, Any]:
    plain = {
        "type": "identity",
        "id": MINISTRY,
        "created_by_ref": TIRANA.member,
        "name": "Ministry of Health",
    }
    return TIMES | plain | {"identity_class": "organization", "object_marking_refs": [GREEN]} | changes


def seen_by(where: str) -> dict[str, Any]:
    """A sighting that names who was hit."""
    plain = {"type": "sighting", "id": "sighting--00000001-0000-4000-8000-000000000000"}
    more = {"sighting_of_ref": marked()["id"], "where_sighted_refs": [where], "object_marking_refs": [GREEN]}
    return TIMES | plain | {"created_by_ref": TIRANA.member} | more


def previewed(
    here: Station, *objects: dict[str, Any], own: Constituency | None = None, **terms: Any
) -> list[Caution]:
    author = msgspec.structs.replace(here.author, constituency=own or Constituency())
    seen = publish.preview(here.log, author, here.members, here.request(*objects, **terms), utc_now())
    return list(seen.warnings)


def codes(cautions: list[Caution]) -> dict[str, tuple[str, ...]]:
    return {one.code.value: one.about for one in cautions}


async def test_what_is_in_order_is_warned_of_nothing(tirana: Station) -> None:
    assert previewed(tirana, marked(), to=["NATO"]) == []


# --- who is concerned -----------------------------------------------------------------------------------------------


async def test_naming_oneself_tells_that_one_is_concerned(tirana: Station) -> None:
    sighting = seen_by(TIRANA.member)
    assert codes(previewed(tirana, marked(), sighting)) == {"own_identity": (sighting["id"],)}


async def test_being_the_author_alone_tells_nothing(tirana: Station) -> None:
    assert "own_identity" not in codes(previewed(tirana, marked(), note(1, object_refs=[marked()["id"]])))


async def test_an_author_that_is_named_beside_another_creator_is_seen(tirana: Station) -> None:
    other = note(1, created_by_ref=None, object_refs=[TIRANA.member], object_marking_refs=[GREEN])
    assert codes(previewed(tirana, {key: value for key, value in other.items() if value})) == {
        "own_identity": (other["id"],)
    }


async def test_an_organisation_whose_identity_one_made_is_concerned_too(tirana: Station) -> None:
    sighting = seen_by(MINISTRY)
    assert codes(previewed(tirana, marked(), ministry(), sighting)) == {
        "constituent_identity": (MINISTRY, sighting["id"])
    }
    await tirana.publish(marked(), ministry())
    assert codes(previewed(tirana, sighting))["constituent_identity"] == (sighting["id"],), "it is held now"


async def test_an_identity_that_somebody_else_made_is_no_constituent(tirana: Station) -> None:
    vendor = ministry()
    del vendor["created_by_ref"]
    assert "constituent_identity" not in codes(previewed(tirana, marked(), vendor, seen_by(MINISTRY)))


OWN = parse(["203.0.113.0/24", "2001:db8::/32", "gov.al"])


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '203.0.113.9']",
        "[ipv4-addr:value ISSUBSET '203.0.113.128/25']",
        "[ipv4-addr:value ISSUBSET '203.0.0.0/8']",
        "[ipv6-addr:value = '2001:db8::7']",
        "[domain-name:value = 'gov.al']",
        "[domain-name:value = 'mail.health.gov.al']",
        "[url:value = 'https://portal.gov.al/login']",
        "[email-addr:value = 'duty@gov.al']",
        "[ipv4-addr:value = '203.0.113.9' AND domain-name:value = 'evil.example']",
    ],
)
async def test_addresses_and_names_of_one_s_own_constituency_are_warned_of(
    tirana: Station, pattern: str
) -> None:
    seen = previewed(tirana, marked(pattern=pattern), own=OWN)
    assert codes(seen)["own_address"] == (marked()["id"],)
    assert any(entry in seen[0].words for entry in ("203.0.113.0/24", "2001:db8::/32", "gov.al"))


@pytest.mark.parametrize("value", ["198.51.100.1", "203.0.114.1", "2001:db9::1"])
async def test_what_lies_elsewhere_is_not(tirana: Station, value: str) -> None:
    kind = "ipv6-addr" if ":" in value else "ipv4-addr"
    assert previewed(tirana, marked(pattern=f"[{kind}:value = '{value}']"), own=OWN) == []


@pytest.mark.parametrize("name", ["notgov.al", "gov.al.evil.example", "al.example"])
async def test_a_name_that_only_looks_like_one_s_own_is_not(tirana: Station, name: str) -> None:
    assert previewed(tirana, marked(pattern=f"[domain-name:value = '{name}']"), own=OWN) == []


# --- who gets too much ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["NATO", "everyone"])
async def test_red_to_a_community_or_everyone_is_warned_of(tirana: Station, to: str) -> None:
    assert codes(previewed(tirana, marked(object_marking_refs=[RED]), to=[to], tlp=Tlp.RED))["red_to_many"]
    assert codes(previewed(tirana, marked(object_marking_refs=[RED]), to=[to], tlp=Tlp.GREEN))["red_to_many"]


async def test_red_to_members_by_name_is_what_red_is_for(tirana: Station) -> None:
    seen = codes(previewed(tirana, marked(object_marking_refs=[RED]), to=["podgorica"], tlp=Tlp.RED))
    assert "red_to_many" not in seen


async def test_an_audience_wider_than_any_before_is_warned_of(tirana: Station) -> None:
    await tirana.publish(marked(1), to=["NATO"], tlp=Tlp.AMBER)
    for to, new in (
        (["NATO"], ()),
        (["podgorica"], ()),
        (["vienna"], ("vienna",)),
        (["NATO", "vienna", "pristina"], ("vienna", "pristina")),
        (["everyone"], ("everyone",)),
    ):
        assert codes(previewed(tirana, marked(2), to=to)).get("wider_than_before", ()) == new, to


async def test_what_went_out_as_clear_is_no_precedent_for_amber(tirana: Station) -> None:
    await tirana.publish(marked(1), to=["everyone"], tlp=Tlp.CLEAR)
    assert codes(previewed(tirana, marked(2), to=["NATO"], tlp=Tlp.AMBER))["wider_than_before"] == ("NATO",)
    await tirana.publish(marked(2), to=["everyone"], tlp=Tlp.AMBER)
    assert "wider_than_before" not in codes(previewed(tirana, marked(3), to=["NATO"], tlp=Tlp.AMBER))
    assert "wider_than_before" in codes(previewed(tirana, marked(3), to=["NATO"], tlp=Tlp.RED))


async def test_to_whom_was_published_is_kept_once(tirana: Station) -> None:
    for number in (1, 2, 3):
        await tirana.publish(marked(number), to=["everyone"])
    assert tirana.rows(schema.reached, "whom", "tlp") == [("everyone", "green")]


# --- markings -------------------------------------------------------------------------------------------------------


async def test_what_carries_no_marking_is_warned_of(tirana: Station) -> None:
    assert codes(previewed(tirana, told(TIRANA, 1))) == {"unmarked": (told(TIRANA, 1)["id"],)}


async def test_a_marking_wider_than_the_statement_is_warned_of(tirana: Station) -> None:
    wide = marked(object_marking_refs=[CLEAR])
    assert codes(previewed(tirana, wide, tlp=Tlp.AMBER)) == {"marked_wider": (wide["id"],)}
    assert previewed(tirana, wide, tlp=Tlp.CLEAR) == []


async def test_a_pap_wider_than_the_object_s_own_is_warned_of(tirana: Station) -> None:
    own = marked(labels=["PAP:AMBER"])
    assert codes(previewed(tirana, own, pap=Pap.GREEN)) == {"pap_wider": (own["id"],)}
    assert previewed(tirana, own, pap=Pap.AMBER) == previewed(tirana, own, pap=Pap.RED) == []


@pytest.mark.parametrize("level", [Tlp.STRICT, Tlp.RED])
async def test_onward_does_nothing_for_what_nobody_may_pass_on(tirana: Station, level: Tlp) -> None:
    narrow = marked(object_marking_refs=[markings.TLP2_IDS[level.value]])
    assert "onward_pointless" in codes(previewed(tirana, narrow, to=["podgorica"], tlp=level, onward=True))
    assert "onward_pointless" in codes(
        previewed(tirana, narrow, to=["podgorica"], tlp=Tlp.GREEN, onward=True)
    )
    assert "onward_pointless" not in codes(previewed(tirana, marked(), to=["podgorica"], onward=True))


# --- who gets nothing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [PeerState.PENDING, PeerState.SUSPENDED])
async def test_who_is_in_the_audience_and_not_active_is_named(
    station: Callable[..., Station], state: PeerState
) -> None:
    here, there, other = station(TIRANA), station(VIENNA), station(PODGORICA)
    await here.links(there, state=state)
    await here.links(other)
    assert codes(previewed(here, marked(), to=["everyone"]))["suspended"] == ("vienna",)
    assert "suspended" not in codes(previewed(here, marked(), to=["podgorica"]))


async def test_who_is_in_the_audience_and_not_cleared_is_named(tirana: Station) -> None:
    red = marked(object_marking_refs=[RED])
    assert codes(previewed(tirana, red, to=["NATO"], tlp=Tlp.RED))["not_cleared"] == ("podgorica",)
    assert "not_cleared" not in codes(previewed(tirana, marked(), to=["NATO"]))


async def test_a_member_of_a_community_without_a_link_is_named(station: Callable[..., Station]) -> None:
    here, there = station(TIRANA), station(PODGORICA)
    await here.links(there)
    await found("NATO", here, there)
    await here.log.write(lambda tx: tx.conn.execute(schema.peers.delete()))
    assert codes(previewed(here, marked(), to=["NATO"]))["not_linked"] == (PODGORICA.member,)


# --- bounds, and stopping -------------------------------------------------------------------------------------------


async def test_a_caution_names_some_and_counts_all(tirana: Station) -> None:
    (seen,) = previewed(tirana, *(told(TIRANA, number) for number in range(1, 31)))
    assert (seen.code, seen.count, len(seen.about)) == (Code.UNMARKED, 30, warn.SHOWN)
    assert seen.words.startswith("30 objects carry no marking")


async def test_publishing_says_what_its_preview_says(tirana: Station) -> None:
    bad = [told(TIRANA, 1), seen_by(TIRANA.member)]
    seen = previewed(tirana, *bad, to=["NATO"], tlp=Tlp.RED, onward=True)
    done = await tirana.publish(*bad, to=["NATO"], tlp=Tlp.RED, onward=True)
    assert list(done.warnings) == seen
    assert len(seen) > 3


@pytest.mark.parametrize("stop_on", [("any",), ("unmarked",), ("red_to_many", "unmarked")])
async def test_a_caution_that_is_to_stop_stops_before_anything_is_signed(
    tirana: Station, stop_on: tuple[str, ...]
) -> None:
    request = msgspec.structs.replace(tirana.request(told(TIRANA, 1)), stop_on=stop_on)
    with pytest.raises(Stopped, match="Nothing was published: 1 object carries no marking") as stopped:
        await publish.publish(tirana.log, tirana.author, tirana.members, request, "test")
    assert [one.code for one in stopped.value.warnings if isinstance(one, Caution)] == [Code.UNMARKED]
    assert tirana.rows(schema.statements, "hash") == tirana.rows(schema.reached, "whom") == []


async def test_another_caution_stops_nothing_and_an_unknown_one_is_refused(tirana: Station) -> None:
    request = tirana.request(told(TIRANA, 1))
    other = msgspec.structs.replace(request, stop_on=("red_to_many",))
    assert (await publish.publish(tirana.log, tirana.author, tirana.members, other, "test")).taken
    wrong = msgspec.structs.replace(request, stop_on=("red",))
    with pytest.raises(FlowError, match="no warning 'red' to stop on"):
        publish.preview(tirana.log, tirana.author, tirana.members, wrong, utc_now())


async def test_what_was_brought_before_counts_as_an_identity_that_one_made(tirana: Station) -> None:
    raw = bundle.write([encode(ministry())])
    await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
    assert "constituent_identity" in codes(previewed(tirana, marked(), ministry(), seen_by(MINISTRY)))


# --- the table ------------------------------------------------------------------------------------------------------


async def test_parts_of_audiences_are_found_by_name_on_both_engines(log: Log) -> None:
    nato = Audience(communities=(CommunityTerm("community--nato", 1),), members=(VIENNA.member,))
    await log.write(lambda tx: reached.add(tx, nato, Tlp.AMBER))
    await log.write(lambda tx: reached.add(tx, nato, Tlp.GREEN))
    await log.write(lambda tx: reached.add(tx, nato, Tlp.GREEN))
    with log.read() as conn:
        assert reached.before(conn, ["community--nato", "everyone"]) == {
            "community--nato": {Tlp.AMBER, Tlp.GREEN}
        }
        assert reached.anybody(conn)
        assert len(conn.execute(select(schema.reached)).all()) == 4
        assert communities.current(conn) == {}
