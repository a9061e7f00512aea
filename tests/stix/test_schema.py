import subprocess
import sys
from typing import Any

import pytest
from tests.stix.examples import AUTHOR, indicator_bytes, sco

from lezha.stix import Invalid, encode, read
from lezha.stix.clauses import DOMAIN_OBJECTS, META_OBJECTS, OBSERVABLE_OBJECTS, RELATIONSHIP_OBJECTS

SOME_ID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
NOW = "2022-07-15T08:00:00.000Z"

DOMAIN: dict[str, dict[str, Any]] = {
    "attack-pattern": {"name": "Spearphishing"},
    "campaign": {"name": "HomeLand Justice"},
    "course-of-action": {"name": "Patch"},
    "grouping": {"context": "malware-analysis", "object_refs": [AUTHOR]},
    "identity": {"name": "AKCESK"},
    "incident": {"name": "July 2022"},
    "indicator": {"pattern": "[a:b = 'c']", "pattern_type": "stix", "valid_from": NOW},
    "infrastructure": {"name": "C2"},
    "intrusion-set": {"name": "A set"},
    "location": {"country": "AL"},
    "malware": {"is_family": False},
    "malware-analysis": {"product": "a product", "result": "malicious"},
    "note": {"content": "seen", "object_refs": [AUTHOR]},
    "observed-data": {
        "first_observed": NOW,
        "last_observed": NOW,
        "number_observed": 1,
        "object_refs": [f"url--{SOME_ID}"],
    },
    "opinion": {"opinion": "agree", "object_refs": [AUTHOR]},
    "report": {"name": "A report", "published": NOW, "object_refs": [AUTHOR]},
    "threat-actor": {"name": "An actor"},
    "tool": {"name": "A tool"},
    "vulnerability": {"name": "CVE-2019-0604"},
    "relationship": {
        "relationship_type": "uses",
        "source_ref": f"campaign--{SOME_ID}",
        "target_ref": f"malware--{SOME_ID}",
    },
    "sighting": {"sighting_of_ref": f"indicator--{SOME_ID}"},
    "language-content": {"object_ref": AUTHOR, "contents": {"sq": {"name": "emri"}}},
    "extension-definition": {
        "created_by_ref": AUTHOR,
        "name": "an extension",
        "schema": "https://example.org/schema",
        "version": "1.0.0",
        "extension_types": ["property-extension"],
    },
}
OBSERVABLE: dict[str, dict[str, Any]] = {
    "artifact": {"payload_bin": "TGV6aGE="},
    "autonomous-system": {"number": 64496},
    "directory": {"path": "C:\\Windows"},
    "domain-name": {"value": "example.org"},
    "email-addr": {"value": "a@example.org"},
    "email-message": {"is_multipart": False},
    "file": {"hashes": {"MD5": "7b71764236f244ae971742ee1bc6b098"}},
    "ipv4-addr": {"value": "203.0.113.0/24"},
    "ipv6-addr": {"value": "2001:db8::/32"},
    "mac-addr": {"value": "00:00:5e:00:53:01"},
    "mutex": {"name": "a mutex"},
    "network-traffic": {"protocols": ["tcp"], "src_ref": f"ipv4-addr--{SOME_ID}"},
    "process": {"pid": 1},
    "software": {"name": "Exchange"},
    "url": {"value": "https://example.org/a"},
    "user-account": {"user_id": "u1"},
    "windows-registry-key": {"key": "HKEY_LOCAL_MACHINE\\Software"},
    "x509-certificate": {"serial_number": "01"},
}


def domain_object(kind: str, **changes: Any) -> bytes:
    common = {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{SOME_ID}",
        "created": NOW,
        "modified": NOW,
    }
    return encode(common | changes)


def test_every_type_of_stix_has_an_example_here() -> None:
    versioned = {*DOMAIN_OBJECTS, *RELATIONSHIP_OBJECTS, *META_OBJECTS} - {"marking-definition"}
    assert set(DOMAIN) == versioned
    assert set(OBSERVABLE) == set(OBSERVABLE_OBJECTS)


@pytest.mark.parametrize("kind", DOMAIN)
def test_a_valid_object_of_each_versioned_type_is_taken(kind: str) -> None:
    assert read(domain_object(kind, **DOMAIN[kind])).type == kind


@pytest.mark.parametrize("kind", OBSERVABLE)
def test_a_valid_object_of_each_observable_type_is_taken(kind: str) -> None:
    assert read(sco(kind, **OBSERVABLE[kind])).type == kind


@pytest.mark.parametrize("kind", sorted(set(DOMAIN) - {"incident"}))
def test_a_versioned_object_without_what_its_type_requires_is_refused(kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(domain_object(kind))
    assert caught.value.clause.startswith("STIX 2.1 §")
    assert caught.value.object_id == f"{kind}--{SOME_ID}"


@pytest.mark.parametrize("kind", OBSERVABLE)
def test_an_observable_of_the_wrong_types_is_refused(kind: str) -> None:
    with pytest.raises(Invalid):
        read(sco(kind, **{name: {} for name in OBSERVABLE[kind]}))


@pytest.mark.parametrize(
    ("changes", "words", "clause"),
    [
        ({"pattern": None}, 'lacks the required property "pattern"', "§4.7"),
        ({"confidence": 101}, "at confidence", "§3.2"),
        ({"labels": []}, "a list must not be empty at labels", "§2.12"),
        ({"labels": "exercise"}, '"exercise" is not of the type array at labels', "§3.2"),
        ({"created": "2022-07-15T08:00:00Z"}, "is not a time such as", "§3.2"),
        ({"valid_from": "yesterday"}, '"yesterday" is not a time such as', "§2.16"),
        ({"id": "indicator--1"}, '"indicator--1" is not an id (type--UUID) at id', "§2.9"),
        ({"Foo-Bar": 1}, 'does not allow the property name "Foo-Bar"', "§3.1"),
        ({"severity": "high"}, 'uses the reserved property name "severity"', "§3.8"),
        ({"external_references": [{"source_name": "x"}]}, '"description", "url" at external_refer', "§2.5"),
        ({"granular_markings": [{"selectors": ["name"]}]}, '"marking_ref" at granular_markings[0]', "§7.2.3"),
        ({"type": 5}, 'lacks the property "type"', "§3.2"),
    ],
)
def test_what_a_schema_finds_is_said_in_words_with_place_and_clause(
    changes: dict[str, Any], words: str, clause: str
) -> None:
    with pytest.raises(Invalid) as caught:
        read(indicator_bytes(**changes))
    assert words in caught.value.message
    assert caught.value.clause == f"STIX 2.1 {clause}"


@pytest.mark.parametrize("address", ["::ffff:192.0.2.1", "64:ff9b::198.51.100.1", "2001:db8::1/64", "::"])
def test_every_form_of_ipv6_is_taken(address: str) -> None:
    read(sco("ipv6-addr", value=address))


@pytest.mark.parametrize("address", ["::ffff:1d2.0.2.1", "2001:db8::g", "1.2.3.4", "s::1"])
def test_what_is_no_ipv6_is_refused(address: str) -> None:
    with pytest.raises(Invalid, match=r"§6\.9"):
        read(sco("ipv6-addr", value=address))


def test_properties_that_stix_does_not_define_pass() -> None:
    read(indicator_bytes(x_lezha={"anything": [1, "two", None]}, another="thing"))


def test_a_custom_object_is_held_to_the_common_properties() -> None:
    read(domain_object("x-lezha-thing", whatever={"a": 1}))
    with pytest.raises(Invalid, match='"modified"'):
        read(encode({"type": "x-thing", "spec_version": "2.1", "id": f"x-thing--{SOME_ID}", "created": NOW}))


def test_a_custom_observable_needs_no_version() -> None:
    assert read(sco("x-lezha-observable", anything="goes")).version == ""


def test_a_new_sdo_by_extension_must_be_versioned() -> None:
    extension = f"extension-definition--{SOME_ID}"
    with pytest.raises(Invalid, match='"created"'):
        read(sco("new-thing", spec_version="2.1", extensions={extension: {"extension_type": "new-sdo"}}))


def test_a_bundle_within_a_bundle_is_refused() -> None:
    with pytest.raises(Invalid, match="one object is expected"):
        read(b'{"type":"bundle","id":"bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}')


def test_a_string_made_for_backtracking_costs_no_time() -> None:
    # ^([a-z][a-z0-9]*)+(-[a-z0-9]+)*\-?$ takes a backtracking engine 2^n steps.
    with pytest.raises(Invalid):
        read(domain_object("a" * 240 + "!"))


def test_reading_a_feed_imports_neither_the_validator_nor_the_grammar_nor_http() -> None:
    program = (
        "import sys; from lezha.stix import read;"
        f"read({indicator_bytes()!r});"
        "print([name for name in ('stix2validator', 'requests', 'antlr4', 'http.client') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
