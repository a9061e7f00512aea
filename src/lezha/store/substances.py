"""Substances (`stix.versions.substance`) of contents of which it was asked: worked out once, and kept for ever."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, select

from lezha.stix.versions import substance
from lezha.store import schema
from lezha.store.rows import KEYS, each, insert_rows

_SUBSTANCES, _CONTENTS, _BODIES = schema.substances, schema.contents, schema.bodies
_KEPT: Final = select(_SUBSTANCES).where(_SUBSTANCES.c.content.in_(KEYS))
_ONE: Final = (
    select(_SUBSTANCES.c.substance, _BODIES.c.bytes)
    .select_from(_CONTENTS)
    .outerjoin(_SUBSTANCES, _SUBSTANCES.c.content == _CONTENTS.c.seq)
    .outerjoin(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash == bindparam("key"))
)


def kept(conn: Connection, seqs: Iterable[int]) -> dict[int, str]:
    """Return the substances that are kept of these contents, by seq."""
    return {row.content: row.substance for row in each(conn, _KEPT, seqs)}


def keep(conn: Connection, said: Mapping[int, str]) -> None:
    """Keep the substances of contents, given by seq; what is kept already stays."""
    there = kept(conn, said)
    rows = [(seq, bytes.fromhex(one)) for seq, one in said.items() if seq not in there]
    insert_rows(conn, _SUBSTANCES, rows)


def of(conn: Connection, content: str) -> str | None:
    """Return the substance of a content as it is kept or as its bytes say; None if there is neither.

    Working it out takes a third of a second for a megabyte.
    """
    row = conn.execute(_ONE, {"key": content}).first()
    if row is None or row.substance is not None:
        return None if row is None else str(row.substance)
    return None if row.bytes is None else substance(row.bytes)
