"""Everything about a value: what is under it and around it, what names that, capped, and saying so."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, deliver, told

from lezha.flows import about
from lezha.flows.about import CAP, About

MALWARE = "malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


def at(**more: Any) -> dict[str, Any]:
    return {
        "spec_version": "2.1",
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
    } | more


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    here, there = station(TIRANA), station(PODGORICA)
    await here.links(there)
    await there.links(here)
    await here.publish(
        told(TIRANA, 7),
        told(TIRANA, 8, pattern="[ipv4-addr:value = '203.0.113.0/24']"),
        told(TIRANA, 9, pattern="[domain-name:value = 'c2.evil.example']"),
        told(TIRANA, 10, pattern="[url:value = 'http://evil.example/a']"),
        at(type="malware", id=MALWARE, name="ROADSWEEP", is_family=True),
    )
    await here.publish(
        at(
            type="relationship",
            id="relationship--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            relationship_type="indicates",
            source_ref=told(TIRANA, 7)["id"],
            target_ref=MALWARE,
        )
    )
    await deliver(here, there)
    await there.publish(
        at(
            type="sighting",
            id="sighting--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            sighting_of_ref=told(TIRANA, 7)["id"],
            created_by_ref=PODGORICA.member,
        ),
        to=["tirana"],
    )
    await deliver(there, here)
    return here


def ask(here: Station, value: str) -> About:
    with here.log.read() as conn:
        return about.about(conn, value)


def groups(here: Station, value: str) -> dict[str, list[str]]:
    return {group.what: [one.name or one.type for one in group.objects] for group in ask(here, value).groups}


def test_everything_about_an_address(tirana: Station) -> None:
    assert groups(tirana, "203.0.113.7") == {
        "this value itself": ["203.0.113.7"],
        "what contains it": ["203.0.113.8"],
        "sightings": ["sighting"],
        "what names any of these": ["indicates"],
        "what those tie it to": ["ROADSWEEP"],
    }


def test_everything_about_a_network_and_a_domain(tirana: Station) -> None:
    assert groups(tirana, "203.0.113.0/24")["what it contains"] == ["203.0.113.7"]
    assert groups(tirana, "evil.example") == {"what it contains": ["203.0.113.10", "203.0.113.9"]}


async def test_what_is_left_out_is_said(tirana: Station) -> None:
    many = [
        told(TIRANA, 100 + number, pattern="[ipv4-addr:value = '203.0.113.7']") for number in range(CAP + 5)
    ]
    await tirana.publish(*many)
    (itself, *_) = ask(tirana, "203.0.113.7").groups
    assert (len(itself.objects), str(CAP) in itself.more) == (CAP, True)


async def test_what_is_not_followed_is_said_with_what_would_have_followed(tirana: Station) -> None:
    key = told(TIRANA, 7)["id"]
    reports = [
        at(
            type="report",
            id=f"report--{number:08d}-0000-4000-8000-000000000000",
            name=f"report {number}",
            published="2022-07-15T08:00:00.000Z",
            object_refs=[key, *(told(TIRANA, 1000 + 10 * number + k)["id"] for k in range(10))],
        )
        for number in range(CAP + 1)
    ]
    await tirana.publish(*reports)
    found = {group.what: group for group in ask(tirana, "203.0.113.7").groups}
    assert found["this value itself"].more == ""
    assert "More than 100 objects name these" in found["what names any of these"].more
    assert "what those tie it to" not in found, "none of those is held"
    held = [
        told(TIRANA, 1000 + 10 * CAP + k, name=f"tied {k}", pattern="[ipv4-addr:value = '198.51.100.1']")
        for k in range(10)
    ]
    await tirana.publish(*held)
    tied = {group.what: group for group in ask(tirana, "203.0.113.7").groups}["what those tie it to"]
    assert [one.name for one in tied.objects] == [f"tied {k}" for k in reversed(range(10))]
    assert "They name more than 500 objects" in tied.more


async def test_an_end_of_which_not_all_is_shown_says_that_the_rest_is_not_followed(tirana: Station) -> None:
    many = [told(TIRANA, 100 + number, pattern="[ipv4-addr:value = '203.0.113.7']") for number in range(CAP)]
    await tirana.publish(*many)
    by_name = {group.what: group.more for group in ask(tirana, "203.0.113.7").groups}
    assert "newest 100 are shown" in by_name["this value itself"]
    assert by_name["what contains it"] == ""


def test_what_is_asked_for_is_named_as_it_is_looked_for(tirana: Station) -> None:
    assert (ask(tirana, " EVIL.example. ").value, ask(tirana, "EVIL.example").kind) == (
        "evil.example",
        "domain",
    )
    assert groups(tirana, "http://evil.example/a") == {"this value itself": ["203.0.113.10"]}
    assert groups(tirana, "c2.evil.example")["this value itself"] == ["203.0.113.9"]


@pytest.mark.parametrize(
    "text", ["", "nothing at all", "\0", "' OR 1=1", "x" * 20_000, "203.0.113.7/99", "//", "@"]
)
def test_what_is_no_observable_is_said(tirana: Station, text: str) -> None:
    assert (ask(tirana, text).kind, ask(tirana, text).groups) == ("", [])


def test_nothing_is_made_up_about_what_is_not_held(tirana: Station) -> None:
    found = ask(tirana, "192.0.2.1")
    assert (found.kind, found.groups) == ("ipv4", [])
