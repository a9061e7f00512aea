import subprocess
import sys
from typing import Any

import pytest
from tests.stix.examples import DOMAIN, NOW, OBSERVABLE, SOME_ID, indicator_bytes, sco, versioned

from lezha.stix import Invalid, encode, read
from lezha.stix.clauses import DOMAIN_OBJECTS, META_OBJECTS, OBSERVABLE_OBJECTS, RELATIONSHIP_OBJECTS


def test_every_type_of_stix_has_an_example_here() -> None:
    versioned = {*DOMAIN_OBJECTS, *RELATIONSHIP_OBJECTS, *META_OBJECTS} - {"marking-definition"}
    assert set(DOMAIN) == versioned
    assert set(OBSERVABLE) == set(OBSERVABLE_OBJECTS)


@pytest.mark.parametrize("kind", DOMAIN)
def test_a_valid_object_of_each_versioned_type_is_taken(kind: str) -> None:
    assert read(versioned(kind, **DOMAIN[kind])).type == kind


@pytest.mark.parametrize("kind", OBSERVABLE)
def test_a_valid_object_of_each_observable_type_is_taken(kind: str) -> None:
    assert read(sco(kind, **OBSERVABLE[kind])).type == kind


@pytest.mark.parametrize("kind", sorted(set(DOMAIN) - {"incident"}))
def test_a_versioned_object_without_what_its_type_requires_is_refused(kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(versioned(kind))
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
        ({"granular_markings": [{"lang": "sq"}]}, '"selectors" at granular_markings[0]', "§7.2.3"),
        ({"x_none": []}, "a list must not be empty at x_none", "§2.12"),
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
    read(versioned("x-lezha-thing", whatever={"a": 1}))
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
        read(versioned("a" * 240 + "!"))


def test_reading_a_feed_imports_neither_the_validator_nor_the_grammar_nor_http() -> None:
    program = (
        "import sys; from lezha.stix import read;"
        f"read({indicator_bytes()!r});"
        "print([name for name in ('stix2validator', 'requests', 'antlr4', 'http.client') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
