"""Equivocation: versions of which a creator has signed two contents that differ in substance.

Both are quarantined, whichever came first: neither is told to anyone, and sensors look for neither. A dispute is about
one version; a later one that the creator signs is not touched by it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, select

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows

Version = tuple[str, str]
"""The id and the version of an object."""

_CONTENTS, _BODIES, _STATEMENTS = schema.contents, schema.bodies, schema.statements
_SIGNED: Final = (
    select(_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.hash, _BODIES.c.bytes)
    .join(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
    .outerjoin(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.stix_id.in_(KEYS), _STATEMENTS.c.origin == _CONTENTS.c.creator)
    .order_by(_STATEMENTS.c.seq)
)
_DISPUTES: Final = select(schema.disputes.c.stix_id, schema.disputes.c.version, schema.disputes.c.at).where(
    schema.disputes.c.stix_id.in_(KEYS)
)
_OF: Final = select(_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.hash).where(
    _CONTENTS.c.stix_id.in_(KEYS)
)


def signed_twice(conn: Connection, versions: Iterable[Version]) -> dict[Version, dict[str, bytes | None]]:
    """Return those of `versions` of which their creator signed more than one content: hash -> bytes, oldest first.

    The bytes of what was purged are None.
    """
    wanted = set(versions)
    found: dict[Version, dict[str, bytes | None]] = {}
    for row in each(conn, _SIGNED, (stix_id for stix_id, _ in wanted)):
        if (row.stix_id, row.version) in wanted:
            found.setdefault((row.stix_id, row.version), {})[row.hash] = row.bytes
    return {version: held for version, held in found.items() if len(held) > 1}


def known(conn: Connection, versions: Iterable[Version]) -> set[Version]:
    """Return those of `versions` that are in dispute."""
    return set(since(conn, versions))


def since(conn: Connection, versions: Iterable[Version]) -> dict[Version, str]:
    """Return since when those of `versions` that are in dispute are."""
    wanted = set(versions)
    rows = each(conn, _DISPUTES, (stix_id for stix_id, _ in wanted))
    return {(row.stix_id, row.version): row.at for row in rows if (row.stix_id, row.version) in wanted}


def begin(tx: Tx, versions: Sequence[Version]) -> None:
    """Put all contents of these versions into quarantine; those that are there already stay."""
    new = sorted(set(versions) - known(tx.conn, versions))
    if not new:
        return
    insert_rows(tx.conn, schema.disputes, [(*version, tx.at) for version in new])
    held = [
        row.hash
        for row in each(tx.conn, _OF, (stix_id for stix_id, _ in new))
        if (row.stix_id, row.version) in new
    ]
    tx.events("disputed", held, "node")


def listed(conn: Connection, limit: int | None = None) -> list[tuple[str, str, str]]:
    """Return (object id, version, since when) of each dispute, newest first, or of the newest `limit`."""
    table = schema.disputes
    rows = conn.execute(
        select(table.c.stix_id, table.c.version, table.c.at)
        .order_by(table.c.at.desc(), table.c.stix_id, table.c.version)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in rows]
