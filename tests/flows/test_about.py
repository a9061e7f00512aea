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


@pytest.mark.parametrize(
    "text", ["", "nothing at all", "\0", "' OR 1=1", "x" * 20_000, "203.0.113.7/99", "//", "@"]
)
def test_what_is_no_observable_is_said(tirana: Station, text: str) -> None:
    assert (ask(tirana, text).kind, ask(tirana, text).groups) == ("", [])


def test_nothing_is_made_up_about_what_is_not_held(tirana: Station) -> None:
    found = ask(tirana, "192.0.2.1")
    assert (found.kind, found.groups) == ("ipv4", [])
