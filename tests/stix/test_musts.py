from typing import Any

import pytest
from tests.stix.examples import SOME_ID, indicator, indicator_bytes, sco, versioned

from lezha.stix import Invalid, TooLarge, WrongVersion, encode, read

EARLY, LATE = "2022-07-15T08:00:00.000Z", "2022-07-15T08:00:00.000001Z"


SIGHTING = {"sighting_of_ref": f"indicator--{SOME_ID}"}
RELATION = {
    "relationship_type": "uses",
    "source_ref": f"campaign--{SOME_ID}",
    "target_ref": f"malware--{SOME_ID}",
}
OBSERVED = {"number_observed": 1, "object_refs": [f"url--{SOME_ID}"]}

ORDERS = [
    ("sighting", SIGHTING, "first_seen", "last_seen", True, "§5.2"),
    ("campaign", {"name": "n"}, "first_seen", "last_seen", True, "§4.2"),
    ("infrastructure", {"name": "n"}, "first_seen", "last_seen", True, "§4.8"),
    ("intrusion-set", {"name": "n"}, "first_seen", "last_seen", True, "§4.9"),
    ("malware", {"is_family": False}, "first_seen", "last_seen", True, "§4.11"),
    ("threat-actor", {"name": "n"}, "first_seen", "last_seen", True, "§4.17"),
    ("observed-data", OBSERVED, "first_observed", "last_observed", True, "§4.14"),
    ("relationship", RELATION, "start_time", "stop_time", False, "§5.1"),
]


@pytest.mark.parametrize(("kind", "rest", "first", "last", "equal", "clause"), ORDERS)
def test_what_ends_does_not_end_before_it_began(
    kind: str, rest: dict[str, Any], first: str, last: str, equal: bool, clause: str
) -> None:
    read(versioned(kind, **rest, **{first: EARLY, last: LATE}))
    with pytest.raises(Invalid) as caught:
        read(versioned(kind, **rest, **{first: LATE, last: EARLY}))
    assert caught.value.clause == f"STIX 2.1 {clause}"
    if equal:
        read(versioned(kind, **rest, **{first: LATE, last: LATE}))
    else:
        with pytest.raises(Invalid):
            read(versioned(kind, **rest, **{first: LATE, last: LATE}))


def test_traffic_does_not_end_before_it_began() -> None:
    traffic = {"protocols": ["tcp"], "src_ref": f"ipv4-addr--{SOME_ID}"}
    read(sco("network-traffic", **traffic, start=EARLY, end=EARLY))
    with pytest.raises(Invalid, match=r"§6\.12"):
        read(sco("network-traffic", **traffic, start=LATE, end=EARLY))


def test_an_indicator_is_valid_for_some_time() -> None:
    read(indicator_bytes(valid_from=EARLY, valid_until=LATE))
    with pytest.raises(Invalid, match=r"§4\.7"):
        read(indicator_bytes(valid_from=EARLY, valid_until="2022-07-15T08:00:00Z"))


def test_modified_is_not_earlier_than_created() -> None:
    with pytest.raises(Invalid, match=r"modified is earlier than created \(STIX 2\.1 §3\.2\)"):
        read(indicator_bytes(created="2022-07-15T08:00:00.000Z", modified="2022-07-15T07:59:59.999Z"))


@pytest.mark.parametrize("name", ["created", "modified", "valid_from", "valid_until"])
def test_a_day_that_no_calendar_has_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=r"2022-02-30.*§2\.16"):
        read(indicator_bytes(**{name: "2022-02-30T00:00:00.000Z"}))


def test_an_id_begins_with_its_type() -> None:
    with pytest.raises(Invalid, match=r"§2\.9"):
        read(indicator_bytes(id=f"malware--{SOME_ID}"))
    with pytest.raises(Invalid, match="does not begin with its type, x-thing--"):
        read(versioned("x-thing", id=f"x-other--{SOME_ID}"))


def test_a_creator_is_an_identity() -> None:
    with pytest.raises(Invalid, match="not an identity"):
        read(indicator_bytes(created_by_ref=f"malware--{SOME_ID}"))


def test_a_marking_is_a_marking_definition() -> None:
    with pytest.raises(Invalid, match="not a marking definition"):
        read(indicator_bytes(object_marking_refs=[f"identity--{SOME_ID}"]))


@pytest.mark.parametrize("version", ["2.0", "1.2", "3.0"])
def test_another_version_of_stix_is_refused_with_the_tool_that_upgrades_it(version: str) -> None:
    with pytest.raises(WrongVersion, match=rf"it is STIX {version}, not 2\.1 .*stix2-elevator"):
        read(indicator_bytes(spec_version=version))


def test_an_object_without_a_version_is_stix_2_0() -> None:
    with pytest.raises(WrongVersion, match=r"as in STIX 2\.0"):
        read(indicator_bytes(spec_version=None))
    custom = indicator(type="x-thing", id=f"x-thing--{SOME_ID}", spec_version=None)
    with pytest.raises(WrongVersion):
        read(encode(custom))


def test_an_observable_may_leave_its_version_out() -> None:
    read(sco("domain-name", value="example.org"))


@pytest.mark.parametrize(
    "pattern", ["", "  ", "203.0.113.7", "[ipv4-addr:value = ]", "[file:hashes.SHA-256 = 'x']"]
)
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="pattern"):
        read(indicator_bytes(pattern=pattern))


def test_a_pattern_of_another_language_is_not_looked_into() -> None:
    read(indicator_bytes(pattern="rule a { condition: true }", pattern_type="yara"))


def test_a_pattern_too_long_for_the_grammar_is_refused() -> None:
    with pytest.raises(TooLarge, match="pattern_chars"):
        read(indicator_bytes(pattern="[a:b > 1" + " OR a:b > 2" * 5000 + "]"))
