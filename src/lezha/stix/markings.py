"""What data markings say: TLP 2.0 by OASIS's extension, TLP 1 by STIX 2.1 §7.2.1.4, statements by §7.2.1.3.

Levels are the words of TLP 2.0: `clear`, `green`, `amber`, `amber+strict`, `red`. TLP 1's WHITE is CLEAR.
PAP has no standard marking definition in STIX, nor had AMBER+STRICT before TLP 2.0's extension: tools write both as
statements, `PAP:RED` for one, or as OpenCTI does, in custom properties beside a statement that says nothing.
"""

import re
from enum import StrEnum
from typing import Any, Final

import msgspec

from lezha.stix.new import encode

# https://github.com/oasis-open/cti-stix-common-objects, extension-definition-specifications/tlp-2.0
TLP_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

TLP2_IDS: Final = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

# STIX 2.1 §7.2.1.4, by the colours of TLP 1.
TLP1_IDS: Final = {
    "white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}


class MarkingKind(StrEnum):
    """What a marking definition is."""

    TLP2 = "tlp-2.0"
    TLP1 = "tlp-1"
    STATEMENT = "statement"
    UNKNOWN = "unknown"


class MarkingReading(msgspec.Struct, frozen=True):
    """What a marking definition was understood to say: a TLP level, a PAP level, or for a statement perhaps neither."""

    id: str
    kind: MarkingKind
    level: str | None = None
    pap: str | None = None


def tlp_level(marking_id: str) -> str | None:
    """Return the TLP level of a standard marking definition; None if the id is not one of those."""
    return _LEVELS.get(marking_id)


def is_standard(marking_id: str) -> bool:
    """Say whether `marking_id` is a TLP marking that everyone knows without being sent its definition."""
    return marking_id in _LEVELS


def definition(level: str) -> bytes:
    """Return the standard TLP 2.0 marking definition of `level` as OASIS publishes it."""
    return _DEFINITIONS[level]


def read_marking(data: dict[str, Any]) -> MarkingReading:
    """Return what the marking definition `data` says.

    A standard id means what the standard says, whatever the object holds. Any other id counts only if it says one
    thing: two definitions that contradict each other are unknown, and so is any extension beside that of TLP 2.0, any
    property that is not known here, and any text that begins like TLP or PAP and is neither, since it may narrow. A
    statement in other words is for people to read and narrows nothing here.
    """
    marking_id: str = data["id"]
    if standard := _LEVELS.get(marking_id):
        kind = MarkingKind.TLP2 if marking_id in TLP2_IDS.values() else MarkingKind.TLP1
        return MarkingReading(marking_id, kind, standard)
    extensions = data.get("extensions") or {}
    kind_of_definition = data.get("definition_type")
    if kind_of_definition is None and set(extensions) == {TLP_EXTENSION}:
        level = extensions[TLP_EXTENSION].get("tlp_2_0")
        if isinstance(level, str) and level in TLP2_IDS:
            return MarkingReading(marking_id, MarkingKind.TLP2, level)
    elif kind_of_definition == "statement" and not extensions:
        return _read_statement(data)
    return MarkingReading(marking_id, MarkingKind.UNKNOWN)


def _read_statement(data: dict[str, Any]) -> MarkingReading:
    unknown = MarkingReading(data["id"], MarkingKind.UNKNOWN)
    if not data.keys() <= _OF_A_STATEMENT or data["definition"].keys() != {"statement"}:
        return unknown
    texts = [data["definition"]["statement"], data.get("name", ""), data.get("x_opencti_definition", "")]
    said = [_LEVEL.fullmatch(text.strip()) for text in texts if _BEGINS_LIKE_A_LEVEL.match(text)]
    of_opencti = data.get("x_opencti_definition_type", "statement")
    if None in said or (of_opencti != "statement" and not said):
        return unknown
    levels = [tuple(one.groups()) for one in said if one is not None]
    tlp = {_tlp1_level(level.lower()) for scheme, level in levels if scheme.upper() == "TLP"}
    pap = {_tlp1_level(level.lower()) for scheme, level in levels if scheme.upper() == "PAP"}
    if len(tlp) > 1 or len(pap) > 1 or "amber+strict" in pap:
        return unknown
    return MarkingReading(data["id"], MarkingKind.STATEMENT, next(iter(tlp), None), next(iter(pap), None))


_OF_A_STATEMENT: Final = frozenset(
    {
        "type", "spec_version", "id", "created", "created_by_ref", "name", "external_references", "definition_type",
        "definition", "x_opencti_definition_type", "x_opencti_definition",
    }
)  # fmt: skip
"""Properties of a statement that are read, or that narrow nothing."""
_BEGINS_LIKE_A_LEVEL: Final = re.compile(r"[\s\W]*(?:TLP|PAP)(?![a-z])", re.IGNORECASE)
_LEVEL: Final = re.compile(r"(TLP|PAP):(CLEAR|WHITE|GREEN|AMBER|AMBER\+STRICT|RED)", re.IGNORECASE)


def _tlp1_level(colour: str) -> str:
    return "clear" if colour == "white" else colour


def _tlp2(level: str, marking_id: str) -> bytes:
    return encode(
        {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": marking_id,
            "created": "2022-10-01T00:00:00.000Z",
            "name": f"TLP:{level.upper()}",
            "extensions": {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level}},
        }
    )


_LEVELS: Final = {marking_id: level for level, marking_id in TLP2_IDS.items()} | {
    marking_id: _tlp1_level(colour) for colour, marking_id in TLP1_IDS.items()
}
_DEFINITIONS: Final = {level: _tlp2(level, marking_id) for level, marking_id in TLP2_IDS.items()}
