"""Equivocation: versions of which a creator has signed two contents that differ in substance.

Both are quarantined, whichever came first: neither is told to anyone, and sensors look for neither. A dispute is about
one version; a later one that the creator signs is not touched by it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from lezha.stix.versions import substance
from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, record

Version = tuple[str, str, str]
"""The id and the version of an object, and who claims to have made it."""


class Dispute(msgspec.Struct, frozen=True):
    """A version of which its creator has signed two contents, and since when that is known here."""

    stix_id: str
    version: str
    creator: str
    at: str


_CONTENTS, _BODIES, _STATEMENTS = schema.contents, schema.bodies, schema.statements
_VERSION: Final = (_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.creator)
_SIGNED: Final = (
    select(*_VERSION, _CONTENTS.c.hash)
    .join(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.stix_id.in_(KEYS), _STATEMENTS.c.origin == _CONTENTS.c.creator)
    .order_by(_STATEMENTS.c.seq)
)
_SUBSTANCES: Final = (
    select(_CONTENTS.c.hash, _BODIES.c.bytes, schema.purges.c.substance)
    .outerjoin(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .outerjoin(schema.purges, schema.purges.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_DISPUTES: Final = select(schema.disputes).where(schema.disputes.c.stix_id.in_(KEYS))
_OF: Final = select(*_VERSION, _CONTENTS.c.hash).where(_CONTENTS.c.stix_id.in_(KEYS))


def signed_twice(conn: Connection, versions: Iterable[Version]) -> dict[Version, dict[str, str]]:
    """Return those of `versions` of which their creator signed more than one content: hash -> substance, oldest first.

    Contents of one substance (`stix.versions.substance`) say the same; of those purged it was kept.
    """
    wanted = set(versions)
    held: dict[Version, dict[str, None]] = {}
    for row in each(conn, _SIGNED, (stix_id for stix_id, _, _ in wanted)):
        if (version := (row.stix_id, row.version, row.creator)) in wanted:
            held.setdefault(version, {})[row.hash] = None
    twice = {version: list(hashes) for version, hashes in held.items() if len(hashes) > 1}
    said = {
        row.hash: row.substance or substance(row.bytes or b"")
        for row in each(conn, _SUBSTANCES, (key for hashes in twice.values() for key in hashes))
    }
    return {version: {key: said[key] for key in hashes} for version, hashes in twice.items()}


def known(conn: Connection, versions: Iterable[Version]) -> set[Version]:
    """Return those of `versions` that are in dispute."""
    return set(since(conn, versions))


def since(conn: Connection, versions: Iterable[Version]) -> dict[Version, str]:
    """Return since when those of `versions` that are in dispute are."""
    wanted = set(versions)
    rows = each(conn, _DISPUTES, (stix_id for stix_id, _, _ in wanted))
    found = {(row.stix_id, row.version, row.creator): row.at for row in rows}
    return {version: at for version, at in found.items() if version in wanted}


def begin(tx: Tx, versions: Sequence[Version]) -> None:
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
