"""What the markings of an object say that are not TLP's own: by the definitions that travel beside a statement."""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import markings
from lezha.stix.markings import MarkingKind, MarkingReading
from lezha.store import schema
from lezha.store.rows import KEYS, each

_TYPE: Final = "marking-definition"
_STATEMENTS, _CONTENTS = schema.statements, schema.contents
_BESIDE: Final = (
    select(_STATEMENTS.c.hash, _CONTENTS.c.stix_id, schema.bodies.c.bytes)
    .join(schema.companions, schema.companions.c.statement == _STATEMENTS.c.seq)
    .join(_CONTENTS, _CONTENTS.c.seq == schema.companions.c.content)
    .join(schema.bodies, schema.bodies.c.content == _CONTENTS.c.seq)
    .where(_STATEMENTS.c.hash.in_(KEYS), _CONTENTS.c.type == _TYPE)
)
_NAMED: Final = (
    select(_STATEMENTS.c.hash, schema.tags.c.value)
    .join(schema.tags, schema.tags.c.content == _STATEMENTS.c.content)
    .where(_STATEMENTS.c.hash.in_(KEYS), schema.tags.c.kind == "marking")
)


class Said(msgspec.Struct, frozen=True):
    """What markings other than TLP's own say, all together; without levels they are for people to read."""

    levels: tuple[Tlp, ...] = ()
    paps: tuple[Pap, ...] = ()


def beside(conn: Connection, statements: Iterable[str]) -> dict[str, Said]:
    """Return what the markings of the subjects of these statements say; one that can't be read wholly is left out.

    A definition counts that the author sent beside the statement: another one of its id, whoever tells it, changes
    nothing. Two of one id, or one that is missing or unknown (`stix.markings`), can't be read.
    """
    keys = list(statements)
    sent: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for row in each(conn, _BESIDE, keys):
        sent[row.hash].append((row.stix_id, row.bytes))
    named: defaultdict[str, list[str]] = defaultdict(list)
    for row in each(conn, _NAMED, list(sent)):
        named[row.hash].append(row.value)
    read = {key: together(ids, sent[key]) for key, ids in named.items()}
    return {key: said for key, said in read.items() if said is not None}


def together(marking_ids: Iterable[str], given: Iterable[tuple[str, bytes]]) -> Said | None:
    """Return what those of `marking_ids` say that are not TLP's own, by the definitions `given`; None if unreadable."""
    known: dict[str, bytes] = {}
    for stix_id, raw in given:
        if known.setdefault(stix_id, raw) != raw:
            return None
    levels: list[Tlp] = []
    paps: list[Pap] = []
    for marking in marking_ids:
        if markings.is_standard(marking):
            continue
        reading = _reading(known[marking]) if marking in known else None
        if reading is None or reading.kind is MarkingKind.UNKNOWN:
            return None
        levels += [Tlp(reading.level)] if reading.level else []
        paps += [Pap(reading.pap)] if reading.pap else []
    return Said(tuple(levels), tuple(paps))


@lru_cache(maxsize=256)
def _remembered(raw: bytes) -> MarkingReading:
    return markings.read_marking(msgspec.json.decode(raw))


def _reading(raw: bytes) -> MarkingReading:
    # The same few definitions come again and again; a long one is none of them.
    return _remembered(raw) if len(raw) <= 1 << 14 else markings.read_marking(msgspec.json.decode(raw))
