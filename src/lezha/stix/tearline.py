"""A tear-line: what is left of an object for those who may not know all of it, as an object of its own. Pure.

Whatever is not said to go is kept, and every property that is kept is named by whoever shows the result. What granular
markings mark as narrower than the tear-line goes by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from lezha.stix import clauses, markings

FIXED: Final = frozenset({"type", "spec_version", "id", "created", "modified", "created_by_ref", "revoked"})
"""Properties that are not the author's to keep or to leave out: a tear-line has its own."""

_HANDLING: Final = frozenset({"object_marking_refs", "granular_markings"})
_REFERENCE: Final = ("_ref", "_refs")
_LEVELS: Final = list(markings.TLP2_IDS)


class Wanted(msgspec.Struct, frozen=True):
    """What to make of an object: the new one's id, time and TLP level, and what is to go, each with the reason.

    `properties` are names of properties, `refs` ids that it names, markings included; `changes` are new texts.
    """

    id: str
    now: str
    level: str
    properties: Mapping[str, str]
    refs: Mapping[str, str]
    changes: Mapping[str, str]


class Dropped(msgspec.Struct, frozen=True):
    """Something that the tear-line does not have: a property or an id that is named, and why."""

    what: str
    why: str


def refuse(kind: str) -> str:
    """Say why objects of a type can't be torn; empty if they can."""
    if kind in clauses.OBSERVABLE_OBJECTS:
        # STIX 2.1 §2.9: the id of an SCO follows from its properties.
        return (
            f"the id of {kind} objects follows from their value, so a variant would be the same object: publish it to "
            "more members instead"
        )
    if kind in clauses.META_OBJECTS:
        return f"{kind} objects say how others are to be understood: publish it as it is, or write a new one"
    return ""


def tear(data: Mapping[str, Any], wanted: Wanted) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the tear-line of an object, which is yet to be checked, and what it does not have of it.

    Raises ValueError if something is to go that is not there.
    """
    dropped: dict[str, str] = {}
    going = dict(wanted.properties) | _marked(data, wanted.level)
    for name in going:
        if name not in data:
            there = ", ".join(name for name in data if name not in FIXED | _HANDLING)
            raise ValueError(f"it has no {name!r} to leave out: it has {there}")
    made = {name: value for name, value in data.items() if name not in going and name not in _HANDLING}
    dropped |= going
    made.pop("revoked", None)
    missing = dict(wanted.refs)
    made = {
        name: kept
        for name, value in made.items()
        if (kept := value if name == "created_by_ref" else _without(name, value, wanted.refs, missing))
        is not None
    }
    marks, gone = _markings(data, wanted, missing)
    if missing:
        raise ValueError(f"it does not name {next(iter(missing))}")
    dropped |= {**wanted.refs, **gone}
    made |= wanted.changes
    made |= {"id": wanted.id, "created": wanted.now, "modified": wanted.now, "object_marking_refs": marks}
    return made, [Dropped(what, why) for what, why in dropped.items()]


def kept(data: Mapping[str, Any]) -> list[str]:
    """Return the names of the properties of a tear-line that come from the object."""
    return [name for name in data if name not in FIXED | _HANDLING]


def texts(node: Any) -> Iterator[str]:
    """Give all strings in an object, at whatever depth."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def _marked(data: Mapping[str, Any], level: str) -> dict[str, str]:
    """Return the properties that a granular marking makes narrower than `level`, or marks in a way that can't be read.

    The whole property goes, whatever part of it the selector points at.
    """
    found: dict[str, str] = {}
    for marking in data.get("granular_markings", ()):
        ref = marking.get("marking_ref")
        own = markings.tlp_level(ref) if ref else level
        if own is None or _LEVELS.index(own) > _LEVELS.index(level):
            why = "its marking can't be read" if own is None else f"it is marked TLP:{own.upper()}"
            found |= {selector.partition(".")[0]: why for selector in marking["selectors"]}
    return found


def _markings(
    data: Mapping[str, Any], wanted: Wanted, missing: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the markings of the tear-line, and which of the object's are replaced: its TLP is the author's new word.

    Markings that are no TLP stay unless they are said to go.
    """
    marks, gone = [markings.TLP2_IDS[wanted.level]], {}
    granular = [one["marking_ref"] for one in data.get("granular_markings", ()) if "marking_ref" in one]
    for one in dict.fromkeys((*data.get("object_marking_refs", ()), *granular)):
        missing.pop(one, None)
        if one in wanted.refs or one in marks:
            continue
        if (level := markings.tlp_level(one)) is not None:
            gone[one] = f"TLP:{level.upper()}, replaced by TLP:{wanted.level.upper()}"
        elif one in data.get("object_marking_refs", ()):
            marks.append(one)
    return marks, gone


def _without(name: str, value: Any, refs: Mapping[str, str], missing: dict[str, str]) -> Any:
    """Return what is left of a value once it does not name `refs` any more; None if nothing is."""
    if isinstance(value, str):
        if value in refs and name.endswith(_REFERENCE):
            missing.pop(value, None)
            return None
        return value
    if isinstance(value, dict):
        left = {
            key: inner
            for key, one in value.items()
            if (inner := _without(key, one, refs, missing)) is not None
        }
        return left if left or not value else None
    if isinstance(value, list):
        found = [inner for one in value if (inner := _without(name, one, refs, missing)) is not None]
        return found if found or not value else None
    return value
