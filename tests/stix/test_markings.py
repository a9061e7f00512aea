from typing import Any

import pytest
import stix2  # type: ignore[import-untyped]  # ships no types

from lezha.stix import read
from lezha.stix.markings import (
    TLP1_IDS,
    TLP2_IDS,
    TLP_EXTENSION,
    MarkingKind,
    definition,
    is_standard,
    read_marking,
    tlp_level,
)

OWN_ID = "marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


def marking(**properties: Any) -> dict[str, Any]:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": OWN_ID,
        "created": "2022-10-01T00:00:00.000Z",
        **properties,
    }


def tlp2(level: object) -> dict[str, Any]:
    return {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level}}


@pytest.mark.parametrize("level", ["clear", "green", "amber", "amber+strict", "red"])
def test_the_standard_markings_say_their_level(level: str) -> None:
    data = read(definition(level)).data
    assert data["id"] == TLP2_IDS[level]
    assert tlp_level(data["id"]) == level
    assert read_marking(data).level == level
    assert read_marking(marking(extensions=tlp2(level))).level == level


@pytest.mark.parametrize(
    ("known", "level"),
    [
        (stix2.TLP_WHITE, "clear"),
        (stix2.TLP_GREEN, "green"),
        (stix2.TLP_AMBER, "amber"),
        (stix2.TLP_RED, "red"),
    ],
)
def test_tlp_1_is_read_as_tlp_2(known: Any, level: str) -> None:
    data = read(known.serialize().encode()).data
    reading = read_marking(data)
    assert (reading.kind, reading.level) == (MarkingKind.TLP1, level)
    assert data["id"] in TLP1_IDS.values()


def test_a_standard_id_means_what_the_standard_says_whatever_the_object_holds() -> None:
    data = marking(id=TLP2_IDS["red"], extensions=tlp2("clear"))
    assert read_marking(data).level == "red"


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"extensions": tlp2("puce")},
        {"extensions": tlp2(["clear"])},
        {"extensions": tlp2(None)},
        {"extensions": tlp2("clear"), "definition_type": "tlp", "definition": {"tlp": "red"}},
        {"extensions": tlp2("clear") | {f"extension-definition--{OWN_ID[20:]}": {"pap": "red"}}},
        {"definition_type": "pap", "definition": {"pap": "red"}},
        {"definition_type": "statement", "definition": {"statement": "x"}, "extensions": {"x-ext": {"a": 1}}},
    ],
)
def test_what_is_not_understood_wholly_is_unknown(properties: dict[str, Any]) -> None:
    reading = read_marking(marking(**properties))
    assert (reading.kind, reading.level) == (MarkingKind.UNKNOWN, None)


def test_a_statement_is_told_from_a_level() -> None:
    reading = read_marking(marking(definition_type="statement", definition={"statement": "Copyright"}))
    assert (reading.kind, reading.level) == (MarkingKind.STATEMENT, None)


def test_only_standard_ids_are_known_without_a_definition() -> None:
    assert is_standard(TLP1_IDS["white"])
    assert not is_standard(OWN_ID)
    assert tlp_level(OWN_ID) is None


def statement(text: object, **properties: Any) -> dict[str, Any]:
    return marking(definition_type="statement", definition={"statement": text}, **properties)


@pytest.mark.parametrize(
    ("data", "level", "pap"),
    [
        (statement("Copyright 2015-2022, The MITRE Corporation."), None, None),
        (statement("PAP:RED"), None, "red"),
        (statement("pap:white"), None, "clear"),
        (statement("tlp:amber+strict"), "amber+strict", None),
        (statement("for a PAP smear", name="TLP:RED"), "red", None),
        (
            statement("custom", x_opencti_definition_type="TLP", x_opencti_definition="TLP:AMBER+STRICT"),
            "amber+strict",
            None,
        ),
        (
            statement("custom", x_opencti_definition_type="PAP", x_opencti_definition="PAP:AMBER"),
            None,
            "amber",
        ),
        (statement("TLP:GREEN", name="PAP:GREEN"), "green", "green"),
        (statement("tlpercent"), None, None),
    ],
)
def test_a_statement_is_read(data: dict[str, Any], level: str | None, pap: str | None) -> None:
    reading = read_marking(data)
    assert (reading.kind, reading.level, reading.pap) == (MarkingKind.STATEMENT, level, pap)


@pytest.mark.parametrize(
    "data",
    [
        statement("TLP:PUCE"),
        statement("TLP:RED, except for those who ask"),
        statement("TLP-EX:CHR"),
        statement("(TLP) strictly red"),
        statement("PAP:AMBER+STRICT"),
        statement("TLP:CLEAR", name="TLP:RED"),
        statement("custom", x_opencti_definition_type="TLP", x_opencti_definition="secret"),
        statement("custom", x_opencti_definition_type="NATO", x_opencti_definition="RESTRICTED"),
        statement("whatever", x_audience="nobody"),
        statement("whatever", object_marking_refs=[TLP2_IDS["red"]]),
        marking(definition_type="statement", definition={"statement": "x", "and": "y"}),
    ],
)
def test_a_statement_that_may_say_more_is_unknown(data: dict[str, Any]) -> None:
    assert read_marking(data).kind is MarkingKind.UNKNOWN
