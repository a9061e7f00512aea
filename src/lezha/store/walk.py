"""The log read through from one end to the other, in its own order: each step costs the same wherever it lies."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, func, or_, select

from lezha.sharing.release import Facts, Released
from lezha.store import contents, schema
from lezha.store.barred import CLAIMS_A_MEMBER, IN_DISPUTE
from lezha.store.rows import KEYS, each

_CONTENTS, _STATEMENTS, _BODIES = schema.contents, schema.statements, schema.bodies
_DISPUTED: Final = schema.disputes
_STEPS: Final = (
    select(
        _CONTENTS.c.seq,
        _CONTENTS.c.hash,
        _CONTENTS.c.markings,
        _CONTENTS.c.unreadable_marking,
        or_(_DISPUTED.c.stix_id.is_not(None), CLAIMS_A_MEMBER).label("quarantined"),
        func.length(_BODIES.c.bytes).label("size"),
    )
    .join(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .where(_CONTENTS.c.seq > bindparam("after"), _CONTENTS.c.seq <= bindparam("upto"))
    .order_by(_CONTENTS.c.seq)
    .limit(bindparam("limit"))
)
_STEPS_OF_TYPE: Final = _STEPS.where(_CONTENTS.c.type == bindparam("type"))
_BARE: Final = (
    select(
        _CONTENTS.c.hash,
        _CONTENTS.c.markings,
        _CONTENTS.c.unreadable_marking,
        or_(_DISPUTED.c.stix_id.is_not(None), CLAIMS_A_MEMBER).label("quarantined"),
    )
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_ABOUT: Final = (
    select(_CONTENTS.c.hash.label("content"), _STATEMENTS.c.hash)
    .join(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
    .order_by(_STATEMENTS.c.seq)
)


_PUBLISHED: Final = (
    select(_CONTENTS.c.hash)
    .join(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS), _STATEMENTS.c.own.is_(True))
    .distinct()
)


_PUBLISHED_SEQS: Final = (
    select(_STATEMENTS.c.content)
    .where(_STATEMENTS.c.content.in_(KEYS), _STATEMENTS.c.own.is_(True))
    .distinct()
)


class Step(msgspec.Struct, frozen=True):
    """One content on the way: where it stands, and how many bytes it has.

    `facts` are those of a content that has no statement; of one that has, those of its statements count.
    """

    seq: int
    content: str
    size: int
    facts: Facts


def head(conn: Connection) -> int:
    """Return where the last content stands, 0 if there is none."""
    return conn.scalar(select(func.coalesce(func.max(_CONTENTS.c.seq), 0))) or 0


def steps(conn: Connection, after: int, upto: int, stix_type: str, limit: int) -> list[Step]:
    """Return the contents that stand at `after` < seq <= `upto`, at most `limit`; of one type unless it is empty.

    What was purged is left out.
    """
    given = {"after": after, "upto": upto, "limit": limit}
    if stix_type:
        rows = conn.execute(_STEPS_OF_TYPE, given | {"type": stix_type})
    else:
        rows = conn.execute(_STEPS, given)
    return [Step(row.seq, row.hash, row.size, _bare(row._mapping)) for row in rows]


def statements_about(conn: Connection, contents: Iterable[str]) -> dict[str, list[str]]:
    """Return the hashes of the statements about each of some contents, oldest first."""
    found: dict[str, list[str]] = {}
    for row in each(conn, _ABOUT, contents):
        found.setdefault(row.content, []).append(row.hash)
    return found


def published(conn: Connection, contents: Iterable[str]) -> set[str]:
    """Return those of some contents about which this member has made a statement."""
    return {row.hash for row in each(conn, _PUBLISHED, contents)}


def published_seqs(conn: Connection, contents: Iterable[int]) -> set[int]:
    """As `published`, of contents by their numbers."""
    return {row.content for row in each(conn, _PUBLISHED_SEQS, contents)}


def bare_facts(conn: Connection, hashes: Sequence[str]) -> dict[str, Facts]:
    """Return the facts about contents that are held without a statement."""
    gone = contents.purged(conn, hashes)
    return {
        row.hash: msgspec.structs.replace(_bare(row._mapping), purged=row.hash in gone)
        for row in each(conn, _BARE, hashes)
    }


def bytes_of(conn: Connection, released: Sequence[Released]) -> list[bytes]:
    """Return the exact bytes of what was released, in that order."""
    held = contents.bytes_of(conn, (one.content for one in released))
    return [held[one.content] for one in released]


def _bare(row: RowMapping) -> Facts:
    return Facts(
        statement="",
        content=row["hash"],
        terms=None,
        origin="",
        author_here=False,
        issued="",
        markings=contents.markings_of(row["markings"]),
        unreadable_marking=row["unreadable_marking"],
        quarantined=row["quarantined"],
    )
