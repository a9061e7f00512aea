"""Equivocation: versions of which a creator has signed two contents that differ in substance.

Both are quarantined, whichever came first: neither is told to anyone, and sensors look for neither. A dispute is about
one version; a later one that the creator signs is not touched by it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, FromClause, ScalarSelect, exists, func, select

from lezha.stix.versions import substance
from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, each_pair, insert_rows, record

Version = tuple[str, str, str]
"""The id and the version of an object, and who claims to have made it."""

_NONE: Final[Mapping[Version, Mapping[str, bytes]]] = MappingProxyType({})


class Dispute(msgspec.Struct, frozen=True):
    """A version of which its creator has signed two contents, and since when that is known here."""

    stix_id: str
    version: str
    creator: str
    at: str


class Question(msgspec.Struct, frozen=True):
    """Whether the contents that a creator signed of one version say the same.

    `substances` are those of contents of which it is known, `unsaid` the hashes of the others, with the bytes of those
    that are not in the log yet.
    """

    version: Version
    substances: set[str] = msgspec.field(default_factory=set)
    unsaid: dict[str, bytes | None] = msgspec.field(default_factory=dict)


_CONTENTS, _STATEMENTS = schema.contents, schema.statements
_VERSION: Final = (_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.creator)
# However many contents of a version say the same: they are one row.
_SIGNED: Final = """
    SELECT DISTINCT c.stix_id, c.version, c.creator, s.substance, CASE WHEN s.substance IS NULL THEN c.hash END
    FROM asked CROSS JOIN contents c LEFT JOIN substances s ON s.content = c.seq
    WHERE c.stix_id = asked.one AND c.version = asked.other
    AND EXISTS (SELECT 1 FROM statements t WHERE t.content = c.seq AND t.origin = c.creator)
"""
_OTHER: Final = _CONTENTS.alias("other")


def _first_signed(content: FromClause) -> ScalarSelect[Any]:
    """Return the number of the first statement by its creator about a content."""
    made = _STATEMENTS.c.content == content.c.seq, _STATEMENTS.c.origin == content.c.creator
    return select(func.min(_STATEMENTS.c.seq)).where(*made).correlate(content).scalar_subquery()


# Nested, so that SQLite goes from a version to its statements, not through all that its creator ever signed.
_LATER: Final = select(_CONTENTS.c.hash).where(
    _CONTENTS.c.hash.in_(KEYS),
    exists()
    .where(
        _OTHER.c.stix_id == _CONTENTS.c.stix_id,
        _OTHER.c.version == _CONTENTS.c.version,
        _OTHER.c.creator == _CONTENTS.c.creator,
        _first_signed(_OTHER) < _first_signed(_CONTENTS),
    )
    .correlate(_CONTENTS),
)
_DISPUTES: Final = select(schema.disputes).where(schema.disputes.c.stix_id.in_(KEYS))
_OF: Final = select(*_VERSION, _CONTENTS.c.hash).where(_CONTENTS.c.stix_id.in_(KEYS))


def questions(
    conn: Connection, versions: Iterable[Version], coming: Mapping[Version, Mapping[str, bytes]] = _NONE
) -> list[Question]:
    """Return what there is to ask of those of `versions` of which their creator signed more than one content.

    `coming` are contents that the creator has signed, hash -> bytes, whether they are in the log yet or not.
    """
    asked = {version: Question(version, unsaid=dict(coming.get(version, {}))) for version in versions}
    pairs = ((stix_id, version) for stix_id, version, _ in asked)
    for stix_id, version, creator, said, unsaid in each_pair(conn, _SIGNED, pairs):
        one = asked.get((stix_id, version, creator))
        if one is not None and said is not None:
            one.substances.add(said.hex())
        elif one is not None:
            one.unsaid[unsaid.hex()] = None
    return [one for one in asked.values() if len(one.substances) + len(one.unsaid) > 1]


def differ(question: Question, said: dict[str, str], read: Callable[[str], str | None]) -> bool:
    """Say whether contents of a version differ in substance, having looked at as few of them as that takes.

    `said` are substances by hash as far as they are known; it gets those that had to be worked out. `read` finds
    that of a content that is in the log (`substances.of`).
    """
    found = question.substances | {said[key] for key in question.unsaid if key in said}
    for key, raw in question.unsaid.items():
        if len(found) > 1:
            break
        if key not in said and (one := read(key) or (raw and substance(raw))):
            said[key] = one
            found.add(one)
    return len(found) > 1


def later(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of these contents before which their creator had signed another one of their version."""
    return {row.hash for row in each(conn, _LATER, hashes)}


def known(conn: Connection, versions: Iterable[Version]) -> set[Version]:
    """Return those of `versions` that are in dispute."""
    return set(since(conn, versions))


def since(conn: Connection, versions: Iterable[Version]) -> dict[Version, str]:
    """Return since when those of `versions` that are in dispute are."""
    wanted = set(versions)
    rows = each(conn, _DISPUTES, (stix_id for stix_id, _, _ in wanted))
    found = {(row.stix_id, row.version, row.creator): row.at for row in rows}
    return {version: at for version, at in found.items() if version in wanted}


def begin(tx: Tx, versions: Collection[Version]) -> None:
    """Put all contents of these versions into quarantine; those that are there already stay."""
    new = set(versions) - known(tx.conn, versions)
    if not new:
        return
    insert_rows(tx.conn, schema.disputes, [(*version, tx.at) for version in sorted(new)])
    held = [
        row.hash
        for row in each(tx.conn, _OF, (stix_id for stix_id, _, _ in new))
        if (row.stix_id, row.version, row.creator) in new
    ]
    tx.events("disputed", held, "node")


def listed(conn: Connection, limit: int | None = None) -> list[Dispute]:
    """Return the disputes, newest first, or the newest `limit`."""
    table = schema.disputes
    newest = table.c.at.desc(), table.c.stix_id, table.c.version, table.c.creator
    rows = conn.execute(select(table).order_by(*newest).limit(limit))
    return [record(row._mapping, Dispute) for row in rows]
