"""What was taken into the log without a statement, for this member's own systems; others may have it by statements."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, or_, select

from lezha.sharing.release import Facts
from lezha.store import contents, schema
from lezha.store.barred import CLAIMS_A_MEMBER, IN_DISPUTE
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts, plain

_POSTS, _CONTENTS = schema.posts, schema.contents
_DISPUTED, _PURGED = schema.disputes, schema.purges
TAKEN_BACK: Final = "taken back"
"""The event that who brought a content without a statement does not stand by it any more."""
_POSTED: Final = (
    select(_CONTENTS.c.hash)
    .join(_POSTS, _POSTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
BROUGHT: Final = (
    plain(_CONTENTS.c.hash),
    plain(_CONTENTS.c.markings),
    plain(_CONTENTS.c.unreadable_marking),
    plain(_POSTS.c.at),
    plain(or_(_DISPUTED.c.stix_id.is_not(None), CLAIMS_A_MEMBER)),
    plain(_PURGED.c.content.is_not(None)),
)
"""Columns of a content that came without a statement, as `facts_of` takes them."""
_FACTS: Final = (
    select(*BROUGHT)
    .join(_POSTS, _POSTS.c.content == _CONTENTS.c.seq)
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .outerjoin(_PURGED, _PURGED.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_ABOUT: Final = (
    select(_CONTENTS.c.stix_id, _CONTENTS.c.hash)
    .join(_POSTS, _POSTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.stix_id.in_(KEYS))
    .order_by(_POSTS.c.seq)
)


def add(tx: Tx, new: Mapping[str, int], held: Sequence[str], actor: str) -> None:
    """Record that `actor` brought these contents without a statement.

    `new` are those that this very transaction has added, by events of kind `posted`, with their seqs; of those `held`
    before, what was brought before is left out.
    """
    rows = [(seq, seq, actor, tx.at) for seq in new.values()]
    there = brought(tx.conn, held)
    late = [key for key in dict.fromkeys(held) if key not in there]
    if late:
        subjects = contents.seqs(tx.conn, late)
        seqs = tx.events("posted", late, actor)
        rows += [(subjects[key], seq, actor, tx.at) for key, seq in zip(late, seqs, strict=True)]
    insert_rows(tx.conn, schema.posts, rows)


def remove(tx: Tx, hashes: Sequence[str], actor: str) -> None:
    """Take back that `actor` has brought these contents. Their bytes stay until they are purged."""
    for part in parts(contents.seqs(tx.conn, hashes).values()):
        tx.conn.execute(delete(_POSTS).where(_POSTS.c.content.in_(part), _POSTS.c.actor == actor))
    tx.events(TAKEN_BACK, hashes, actor)


def brought_by(conn: Connection, actor: str, stix_id: str) -> dict[str, str]:
    """Return the versions of an object that `actor` has brought without a statement, by content."""
    rows = conn.execute(
        select(_CONTENTS.c.hash, _CONTENTS.c.version)
        .join(_POSTS, _POSTS.c.content == _CONTENTS.c.seq)
        .where(_CONTENTS.c.stix_id == stix_id, _POSTS.c.actor == actor)
        .order_by(_CONTENTS.c.version)
    )
    return {row.hash: row.version for row in rows}


def brought(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those contents that were brought here without a statement."""
    return {row.hash for row in each(conn, _POSTED, hashes)}


def facts(conn: Connection, hashes: Iterable[str]) -> dict[str, Facts]:
    """Return for the release kernel what there is to know of posted contents, by content."""
    return {found.content: found for found in (facts_of(tuple(row)) for row in each(conn, _FACTS, hashes))}


def facts_of(row: tuple[Any, ...]) -> Facts:
    """Return the facts of a row of `BROUGHT`."""
    content, levels, unreadable, at, quarantined, purged = row
    return Facts(
        "",
        content.hex(),
        None,
        "",
        True,
        at,
        markings=contents.markings_of(levels),
        unreadable_marking=bool(unreadable),
        quarantined=bool(quarantined),
        purged=bool(purged),
    )


def about(conn: Connection, stix_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the posted contents of each object, in the order in which they were brought."""
    found: dict[str, list[str]] = {}
    for row in each(conn, _ABOUT, stix_ids):
        found.setdefault(row.stix_id, []).append(row.hash)
    return found
