"""The MUSTs of STIX 2.1 §7 for objects about objects: languages, markings."""

import re
from typing import Any, Final

from lezha.stix import clauses, language, markings
from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted

_COLOURS: Final = {marking_id: colour for colour, marking_id in markings.TLP1_IDS.items()}
_MILLISECONDS: Final = re.compile(r"\.[0-9]{3,}Z\Z")


def check_language_content(data: dict[str, Any]) -> None:
    """Raise Invalid if a translation is into no language, or says nothing."""
    for tag, translation in data["contents"].items():
        # STIX 2.1 §7.1: keys MUST be language codes of RFC 5646.
        if not language.is_tag(tag):
            raise Invalid(
                f"{quoted(tag)} in contents is not a language tag of RFC 5646",
                clause=clauses.of("language-content"),
            )
        # STIX 2.1 §7.1, §2.3: each value is a dictionary, which MUST NOT be empty.
        if not isinstance(translation, dict) or not translation:
            raise Invalid(
                f"contents holds no dictionary of properties for {tag}", clause=clauses.of("language-content")
            )
        _check_filled(translation, tag)


def _check_filled(node: Any, tag: str) -> None:
    # STIX 2.1 §2.12: every list MUST have a value. What is not translated is "" (§7.1), never null.
    if node is None:
        raise Invalid(f"contents holds null for {tag}", clause=clauses.of("language-content"))
    if isinstance(node, list) and not node:
        raise Invalid(f"contents holds an empty list for {tag}", clause="STIX 2.1 §2.12")
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            _check_filled(value, tag)


def check_marking_definition(data: dict[str, Any]) -> None:
    """Raise Invalid if a marking definition is versioned, marks itself, or passes for a TLP marking."""
    # STIX 2.1 §7.2.1: marking definitions cannot be versioned.
    for name in ("modified", "revoked"):
        if name in data:
            raise Invalid(f"a marking definition has no {name}: it cannot be versioned", clause=_CLAUSE)
    # STIX 2.1 §3.2: created MUST be precise to the millisecond, in marking definitions too.
    if _MILLISECONDS.search(data["created"]) is None:
        raise Invalid(
            f"{quoted(data['created'])} is not a time such as 2022-07-15T00:00:00.000Z",
            clause="STIX 2.1 §3.2",
        )
    _check_not_circular(data)
    _check_tlp(data)


_CLAUSE: Final = clauses.of("marking-definition")


def _check_not_circular(data: dict[str, Any]) -> None:
    # STIX 2.1 §3.2: a marking definition MUST NOT be marked with itself.
    own_id = data["id"]
    granular = [marking.get("marking_ref") for marking in data.get("granular_markings", ())]
    if own_id in data.get("object_marking_refs", ()) or own_id in granular:
        raise Invalid("it is marked with itself", clause="STIX 2.1 §3.2")


def _check_tlp(data: dict[str, Any]) -> None:
    # STIX 2.1 §7.2.1.4: TLP markings are the four that it defines, and no others. The schema holds a `tlp`
    # definition to their ids, names and time.
    colour = _COLOURS.get(data["id"])
    if colour is None:
        return
    if data.get("definition_type") != "tlp" or data.get("definition") != {"tlp": colour}:
        raise Invalid(
            f"it has the id of TLP:{colour.upper()} without being that marking", clause="STIX 2.1 §7.2.1.4"
        )
