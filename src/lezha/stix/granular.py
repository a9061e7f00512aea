"""Granular markings (STIX 2.1 §7.2.3): what a selector points at, and with what it is marked."""

from typing import Any, Final

from lezha.stix import language
from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted

_CLAUSE: Final = "STIX 2.1 §7.2.3"
_LONGEST_INDEX: Final = len("[9999999]")  # a longer list than any input can hold


def check(data: dict[str, Any]) -> None:
    """Raise Invalid if a granular marking of `data` says nothing, too much, or selects what is not there."""
    for marking in data.get("granular_markings", ()):
        # STIX 2.1 §7.2.3: one and only one of lang and marking_ref MUST be present.
        if ("lang" in marking) == ("marking_ref" in marking):
            number = "both of" if "lang" in marking else "neither of"
            raise Invalid(f'a granular marking has {number} "lang" and "marking_ref"', clause=_CLAUSE)
        # STIX 2.1 §7.2.3: lang MUST be a language code of RFC 5646.
        if "lang" in marking and not language.is_tag(marking["lang"]):
            raise Invalid(f"{quoted(marking['lang'])} is not a language tag of RFC 5646", clause=_CLAUSE)
        for selector in marking["selectors"]:
            # STIX 2.1 §7.2.3: selectors MUST refer to what is present in the object; the schema holds their form.
            if not _is_there(data, selector):
                raise Invalid(
                    f"the selector {quoted(selector)} points at nothing in the object", clause=_CLAUSE
                )


def _is_there(node: Any, selector: str) -> bool:
    for step in selector.split("."):
        if isinstance(node, dict):
            if step not in node:
                return False
            node = node[step]
        elif isinstance(node, list) and step.startswith("[") and len(step) <= _LONGEST_INDEX:
            index = int(step[1:-1])
            if index >= len(node):
                return False
            node = node[index]
        else:
            return False
    return True
