"""Outside bytes become contents, ready for the log; and what has no statement goes into it as it is."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from lezha.detection import objects, pattern
from lezha.detection.observable import Observable
from lezha.detection.pattern import Reading
from lezha.federation.members import Members
from lezha.flows import authority
from lezha.flows.errors import NothingTaken, Rejected
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, markings
from lezha.stix.errors import StixError
from lezha.stix.objects import Object
from lezha.store import contents, posts
from lezha.store.contents import Content
from lezha.store.log import Log, Tx

_REJECTED: Final = 1000


class Taken(msgspec.Struct, frozen=True):
    """What became of the objects of a batch.

    `new` were added, `unchanged` were here before with the same bytes; of the `refused` the first 1,000 are
    `rejected`, each with its reason.
    """

    new: int
    unchanged: int
    refused: int
    rejected: tuple[Rejected, ...]


async def take(log: Log, members: Members, member: str, raw: bytes, actor: str) -> Taken:
    """Take the objects of a bundle into the log without a statement: for own systems only (docs/design.md, Release).

    What is wrong with one object costs that object alone. Raises NothingTaken if the bundle can't be taken apart.
    """
    read, rejected = await asyncio.to_thread(contents_of, raw)
    return await log.write(lambda tx: take_in(tx, members, member, read, rejected, actor))


def contents_of(raw: bytes, *, alone: bool = True) -> tuple[list[Content], list[Rejected]]:
    """Read a bundle: what is valid, and what is wrong with the rest. `alone` as `stix.bundle.split` has it.

    Raises NothingTaken.
    """
    read: list[Content] = []
    rejected: list[Rejected] = []
    try:
        for item in bundle.split(raw, alone=alone):
            if isinstance(item, StixError):
                rejected.append(Rejected(item.object_id or "", item.clause, item.message))
            else:
                read.append(content(item))
    except StixError as error:
        raise NothingTaken(str(error)) from error
    return read, rejected


def take_in(
    tx: Tx, members: Members, member: str, read: list[Content], rejected: list[Rejected], actor: str
) -> Taken:
    """Take what was read within a transaction, as `take`."""
    held = contents.held(tx.conn, (one.hash for one in read))
    in_conflict = authority.conflicts(tx.conn, [one for one in read if one.creator == member])
    gone = contents.purged(tx.conn, held)
    refused = list(rejected)
    fit: list[Content] = []
    for one in read:
        reason = None if one.hash in held else authority.unfit(member, members, one, in_conflict)
        if one.hash in gone:
            reason = authority.purged(one)
        if reason is None:
            fit.append(one)
        else:
            refused.append(reason)
    new = contents.add(tx, fit, actor, kind="posted", known=held)
    posts.add(tx, new, [one.hash for one in fit if one.hash in held], actor)
    return Taken(len(new), len(fit) - len(new), len(refused), tuple(refused[:_REJECTED]))


_LONGEST_KEY: Final = 600
_MOST_TEXT: Final = 32_768
_NO_WORDS: Final = frozenset(
    {
        "id", "type", "spec_version", "created", "modified", "pattern_type", "pattern_version", "valid_from",
        "valid_until", "first_seen", "last_seen", "first_observed", "last_observed", "published", "start_time",
        "stop_time", "lang", "payload_bin", "granular_markings", "extension_type", "definition_type",
    }
)  # fmt: skip
"""Properties whose strings nobody searches by words."""

_LABELS: Final = {label.value: label for label in Tlp}


def content(item: Object) -> Content:
    """Return what the log keeps of a valid object: its exact bytes and what is derived from them."""
    levels, unreadable = (_remembered if len(item.markings) < _FEW else _levels)(item.markings)
    reading = _reading(item)
    return Content(
        hash=item.sha256,
        stix_id=item.id,
        type=item.type,
        version=item.version,
        creator=_key(item.created_by or ""),
        name=storable(_name(item)),
        raw=item.raw,
        markings=levels,
        unreadable_marking=unreadable,
        revoked=item.revoked,
        unmatched=storable(reading.unmatched or ""),
        valid_until=storable(_text(item, "valid_until")),
        observables=_pairs(reading.observables),
        anchors=_pairs(reading.anchors),
        refs=item.refs,
        labels=tuple([_key(label) for label in item.labels]) if item.labels else (),
        marking_ids=item.markings,
        text=searchable(item.data),
    )


def _levels(marking_ids: tuple[str, ...]) -> tuple[tuple[Tlp, ...], bool]:
    """Return the TLP levels of an object's own markings, and whether there are others."""
    levels = {markings.tlp_level(marking) for marking in marking_ids}
    return tuple(sorted(_LABELS[level] for level in levels if level is not None)), None in levels


_FEW: Final = 4
_remembered: Final = lru_cache(maxsize=256)(_levels)  # the same few markings come again and again


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


def storable(text: str) -> str:
    """Return a text as both databases keep it: PostgreSQL keeps no NUL in text; the bytes that it is about keep it."""
    return text.replace("\0", "\ufffd")


def _key(text: str) -> str:
    # PostgreSQL's indexes take 2,704 bytes a row. No identity's id is so long, and no label that means something.
    return storable(text)[:_LONGEST_KEY]


def searchable(data: Mapping[str, Any]) -> str:
    """Return the text of an object that a search by words looks at: all of its strings but ids, times and the like.

    At most 32,768 characters; what comes later in the object is not found by its words.
    """
    found: list[str] = []
    _collect(data, found)
    return storable(" ".join(found))[:_MOST_TEXT]


def _collect(node: Mapping[str, Any], found: list[str]) -> None:
    for key, value in node.items():
        if key in _NO_WORDS or key.endswith(_REFERENCE):
            continue
        kind = type(value)
        if kind is str:
            found.append(value)
        elif kind is dict:
            _collect(value, found)
        elif kind is list:
            for one in value:
                if isinstance(one, str):
                    found.append(one)
                elif isinstance(one, dict):
                    _collect(one, found)


_REFERENCE: Final = ("_ref", "_refs")
