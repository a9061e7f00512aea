"""Outside bytes become contents, ready for the log. Nothing is written here."""

from typing import Final

from lezha.detection import objects, pattern
from lezha.detection.observable import Observable
from lezha.detection.pattern import Reading
from lezha.sharing.tlp import Tlp
from lezha.stix import markings
from lezha.stix.objects import Object
from lezha.store.contents import Content

_LABELS: Final = {label.value: label for label in Tlp}


def content(item: Object) -> Content:
    """Return what the log keeps of a valid object: its exact bytes and what is derived from them."""
    levels = {markings.tlp_level(marking) for marking in item.markings}
    reading = _reading(item)
    return Content(
        hash=item.sha256,
        stix_id=item.id,
        type=item.type,
        version=item.version,
        creator=_storable(item.created_by or ""),
        name=_storable(_name(item)),
        raw=item.raw,
        markings=tuple(sorted(_LABELS[level] for level in levels if level is not None)),
        unreadable_marking=None in levels,
        revoked=item.revoked,
        unmatched=_storable(reading.unmatched or ""),
        valid_until=_storable(_text(item, "valid_until")),
        observables=_pairs(reading.observables),
        anchors=_pairs(reading.anchors),
        refs=item.refs,
    )


def _reading(item: Object) -> Reading:
    if item.type == "indicator":
        return pattern.read(_text(item, "pattern"), _text(item, "pattern_type"))
    return Reading(objects.of_object(item.data), exact=True, unmatched=None)


def _pairs(seen: tuple[Observable, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(one.kind.value, one.value) for one in seen if "\0" not in one.value]) if seen else ()


def _name(item: Object) -> str:
    for key in ("name", "value", "relationship_type", "pattern"):
        if text := _text(item, key):
            return text[:300]
    return ""


def _text(item: Object, key: str) -> str:
    value = item.data.get(key)
    return value if isinstance(value, str) else ""


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL in text; the object's own bytes keep it.
    return text.replace("\0", "\ufffd")
