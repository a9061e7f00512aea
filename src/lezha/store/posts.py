"""What was taken into the log without a statement, for this member's own systems; others may have it by statements."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, func, or_, select

from lezha.sharing.release import Facts
from lezha.store import contents, schema
from lezha.store.barred import CLAIMS_A_MEMBER, IN_DISPUTE
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts, plain

_POSTS, _CONTENTS = schema.posts, schema.contents
_DISPUTED, _PURGED = schema.disputes, schema.purges
TAKEN_BACK: Final = "taken back"
"""The event that who brought a content without a statement does not stand by it any more."""
_SECONDS: Final = schema.seconds
_FIRST: Final = (
    select(_CONTENTS.c.hash, _POSTS.c.actor)
    .join(_POSTS, _POSTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_TOO: Final = (
    select(_CONTENTS.c.hash)
    .join(_SECONDS, _SECONDS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS), _SECONDS.c.actor == bindparam("actor"))
)
_RETRACTED: Final = (
    select(_CONTENTS.c.hash)
    .join(schema.retractions, schema.retractions.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
    .distinct()
)
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
    before, what `actor` itself brought before is left out.
    """
    rows = [(seq, seq, actor, tx.at) for seq in new.values()]
    first = {row.hash: row.actor for row in each(tx.conn, _FIRST, held)}
    too = {row.hash for row in each(tx.conn, _TOO, held, actor=actor)}
    late = [key for key in dict.fromkeys(held) if first.get(key) != actor and key not in too]
    if late:
        subjects = contents.seqs(tx.conn, late)
        seqs = dict(zip(late, tx.events("posted", late, actor), strict=True))
        rows += [(subjects[key], seqs[key], actor, tx.at) for key in late if key not in first]
        after = [(subjects[key], actor, seqs[key], tx.at) for key in late if key in first]
        insert_rows(tx.conn, _SECONDS, after)
    insert_rows(tx.conn, _POSTS, rows)


def remove(tx: Tx, hashes: Sequence[str], actor: str) -> None:
    """Record that `actor` does not stand by these contents any more; who else has brought one still does.

    Their bytes stay until they are purged.
    """
    subjects = contents.seqs(tx.conn, hashes)
    rows = [
        (seq, subjects[key], actor)
        for key, seq in zip(hashes, tx.events(TAKEN_BACK, hashes, actor), strict=True)
    ]
    insert_rows(tx.conn, schema.retractions, rows)
    for part in parts(subjects.values()):
        tx.conn.execute(delete(_SECONDS).where(_SECONDS.c.content.in_(part), _SECONDS.c.actor == actor))
        tx.conn.execute(delete(_POSTS).where(_POSTS.c.content.in_(part), _POSTS.c.actor == actor))
        orphans = select(_SECONDS).where(
            _SECONDS.c.content.in_(part), ~exists().where(_POSTS.c.content == _SECONDS.c.content)
        )
        heirs = {row.content: row for row in tx.conn.execute(orphans.order_by(_SECONDS.c.seq.desc()))}
        for row in heirs.values():  # the earliest of those who have brought it too
            heir = delete(_SECONDS).where(_SECONDS.c.content == row.content, _SECONDS.c.actor == row.actor)
            tx.conn.execute(heir)
        insert_rows(tx.conn, _POSTS, [(row.content, row.seq, row.actor, row.at) for row in heirs.values()])


def brought_by(conn: Connection, actor: str, stix_id: str) -> dict[str, str]:
    """Return the versions of an object that `actor` has brought without a statement, by content."""
    rows = conn.execute(
        select(_CONTENTS.c.hash, _CONTENTS.c.version)
        .where(_CONTENTS.c.stix_id == stix_id, stands(actor))
        .order_by(_CONTENTS.c.version)
    )
    return {row.hash: row.version for row in rows}


def standing(conn: Connection, actor: str, seqs: Iterable[int]) -> set[int]:
    """Return those of some contents, by their numbers, that `actor` has brought and stands by."""
    asked = select(_CONTENTS.c.seq).where(_CONTENTS.c.seq.in_(KEYS), stands(actor))
    return {row.seq for row in each(conn, asked, seqs)}


def stands(actor: str) -> ColumnElement[bool]:
    """Return the condition that `actor` has brought a content and stands by it."""
    return or_(
        exists().where(_POSTS.c.content == _CONTENTS.c.seq, _POSTS.c.actor == actor),
        exists().where(_SECONDS.c.content == _CONTENTS.c.seq, _SECONDS.c.actor == actor),
    )


def retracted(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those contents by which somebody who has brought them does not stand any more."""
    return {row.hash for row in each(conn, _RETRACTED, hashes)}


def retractions(conn: Connection, events: Iterable[int]) -> set[int]:
    """Return those events of which it is kept that somebody took back what he had brought."""
    asked = select(schema.retractions.c.seq).where(schema.retractions.c.seq.in_(KEYS))
    return {row.seq for row in each(conn, asked, events)}


def count_retractions(conn: Connection) -> int:
    """Count how often somebody took back what he had brought."""
    return conn.scalar(select(func.count()).select_from(schema.retractions)) or 0


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
