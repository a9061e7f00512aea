"""Shelves: the collections of those who ask, each a list of what they were given with the date at which it came there.

Dates are whole microseconds since 1970, and within a shelf there are no two the same: what was added after a date is
never more nor less than that (TAXII 2.1 §3.4, `added_after`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)

from lezha.sharing.release import Facts
from lezha.store import posts, schema, statements
from lezha.store.barred import IN_DISPUTE
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts, plain
from lezha.store.views import ViewKind

ALL: Final = "all"
INBOX: Final = "inbox"

_SHELVES, _OFFERS, _SHELVED = schema.shelves, schema.offers, schema.shelved
_CONTENTS, _BODIES, _VIEWS = schema.contents, schema.bodies, schema.views
_STATEMENTS, _POSTS = schema.statements, schema.posts


class Placed(msgspec.Struct, frozen=True):
    """What is to go on a shelf. `statement` is the seq of the statement by which it is given, 0 if it has none."""

    at: int
    content: int
    statement: int
    type: str
    stix_id: str


class Offer(NamedTuple):
    """A row of a shelf: what there is to know for the release kernel of the content that it gives and the statement by
    which it does, None if there is no such thing any more.

    `several` says that its object may have other rows. `version` is empty for what STIX gives none. `raw` is None
    where it was not asked for, or was purged.
    """

    at: int
    content: int
    several: bool
    stix_id: str
    version: str
    raw: bytes | None
    facts: Facts | None


class Numbered(msgspec.Struct, frozen=True):
    """A row of a view that is on no shelf yet: what it gives, by its hash, and the time."""

    number: int
    kind: ViewKind
    ref: str
    at: str


class Subject(msgspec.Struct, frozen=True):
    """A content, and the seq of the statement that gives it, 0 for none."""

    content: int
    statement: int
    type: str
    stix_id: str


_SHELF: Final = select(_SHELVES.c.id).where(
    _SHELVES.c.recipient == bindparam("recipient"), _SHELVES.c.name == bindparam("name")
)
_LAST: Final = (
    select(_OFFERS.c.at).where(_OFFERS.c.shelf == bindparam("shelf")).order_by(_OFFERS.c.at.desc()).limit(1)
)
_FIXED: Final[int] = 7  # columns, before those of which facts are made
_TOLD_END: Final = _FIXED + len(statements.TOLD)
_ON_SHELF: Final = _OFFERS.c.shelf == bindparam("shelf")
_NEW: Final = _OFFERS.c.at > bindparam("after")
# Expressions, so that SQLite, which keeps no statistics, does not walk a whole shelf for a few rows of it, and so that
# rows of several types are read in their order and not sorted.
_ON_IT: Final = _OFFERS.c.shelf + 0 == bindparam("shelf")
_NEW_TOO: Final = _OFFERS.c.at + 0 > bindparam("after")
_ONE_OF: Final = (_OFFERS.c.lane + literal("")).in_(bindparam("lanes", expanding=True))
_OF_IDS: Final = _OFFERS.c.content.in_(select(_CONTENTS.c.seq).where(_CONTENTS.c.stix_id.in_(KEYS)))


def _picked(*conditions: ColumnElement[bool], by: ColumnElement[Any] = _OFFERS.c.at) -> Select[Any]:
    """Return the query for the first rows on some conditions: picked before anything is looked up."""
    return select(_OFFERS).where(*conditions).order_by(by).limit(bindparam("limit"))


def _with_facts(rows: Select[Any], *, raw: bool) -> Select[Any]:
    """Return the query for rows with all that facts are made of: to ask for those row by row would cost too much."""
    one = rows.subquery("picked").c
    own = (one.at, one.content, one.several, _CONTENTS.c.stix_id, _CONTENTS.c.version)
    body = plain(_BODIES.c.bytes) if raw else literal(None)
    asked = (
        select(*map(plain, own), body, plain(one.statement), *statements.TOLD, *posts.BROUGHT)
        .join_from(one.at.table, _CONTENTS, _CONTENTS.c.seq == one.content)
        .outerjoin(_STATEMENTS, _STATEMENTS.c.seq == one.statement)
        .outerjoin(_POSTS, and_(_POSTS.c.content == one.content, one.statement == 0))
        .outerjoin(schema.disputes, IN_DISPUTE)
        .outerjoin(schema.purges, statements.IS_PURGED)
        .order_by(one.at)
    )
    return asked.outerjoin(_BODIES, _BODIES.c.content == one.content) if raw else asked


_ASKED: Final = {
    (how, raw): _with_facts(rows, raw=raw)
    for raw in (False, True)
    for how, rows in {
        "all": _picked(_ON_SHELF, _NEW),
        "lane": _picked(_OFFERS.c.lane == bindparam("lane"), _NEW),
        "lanes": _picked(_ON_SHELF, _NEW, _ONE_OF),
        "ids": _picked(_OF_IDS, _ON_IT, _NEW_TOO, by=_OFFERS.c.at + 0),
        "ids lanes": _picked(_OF_IDS, _ON_IT, _NEW_TOO, _ONE_OF, by=_OFFERS.c.at + 0),
    }.items()
}
_ALL_OF_IDS: Final = _with_facts(select(_OFFERS).where(_OF_IDS, _ON_IT), raw=False)
_SAME: Final = select(_CONTENTS.c.stix_id, _CONTENTS.c.seq).where(_CONTENTS.c.stix_id.in_(KEYS))
_THERE: Final = select(_OFFERS.c.content).where(_OFFERS.c.content.in_(KEYS), _ON_IT)
_NEXT_IN_VIEW: Final = (
    select(_VIEWS.c.number, _VIEWS.c.kind, _VIEWS.c.ref, _VIEWS.c.at)
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.number > bindparam("after"))
    .order_by(_VIEWS.c.number)
    .limit(bindparam("limit"))
)
_BY_STATEMENT: Final = (
    select(
        _STATEMENTS.c.hash, _STATEMENTS.c.seq, _STATEMENTS.c.content, _CONTENTS.c.type, _CONTENTS.c.stix_id
    )
    .join(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
    .where(_STATEMENTS.c.hash.in_(KEYS))
)
_BY_CONTENT: Final = select(
    _CONTENTS.c.hash,
    literal(0).label("seq"),
    _CONTENTS.c.seq.label("content"),
    _CONTENTS.c.type,
    _CONTENTS.c.stix_id,
).where(_CONTENTS.c.hash.in_(KEYS))
_BROUGHT: Final = union_all(
    *(
        select(table.c.seq, table.c.at, table.c.content).where(
            table.c.actor == bindparam("actor"), table.c.seq > bindparam("after")
        )
        for table in (_POSTS, schema.seconds)
    )
).subquery()
_POSTED_BY: Final = (
    select(_BROUGHT.c.seq, _BROUGHT.c.at, _BROUGHT.c.content, _CONTENTS.c.type, _CONTENTS.c.stix_id)
    .join(_CONTENTS, _CONTENTS.c.seq == _BROUGHT.c.content)
    .order_by(_BROUGHT.c.seq)
    .limit(bindparam("limit"))
)


def shelf(conn: Connection, recipient: str, name: str) -> int | None:
    """Return the number of a recipient's shelf, None if nothing was ever put there."""
    found: int | None = conn.scalar(_SHELF, {"recipient": recipient, "name": name})
    return found


def shelves(conn: Connection, recipient: str) -> list[str]:
    """Return the names of a recipient's shelves, in the order in which they were begun."""
    asked = select(_SHELVES.c.name).where(_SHELVES.c.recipient == recipient).order_by(_SHELVES.c.id)
    return list(conn.scalars(asked))


def done(conn: Connection, recipient: str) -> int:
    """Return up to which number what a recipient was given is on its shelves."""
    return conn.scalar(select(_SHELVED.c.number).where(_SHELVED.c.recipient == recipient)) or 0


def move(tx: Tx, recipient: str, number: int) -> None:
    """Record up to which number what a recipient was given is on its shelves."""
    moved = update(_SHELVED).where(_SHELVED.c.recipient == recipient).values(number=number)
    if not tx.conn.execute(moved).rowcount:
        tx.conn.execute(insert(_SHELVED).values(recipient=recipient, number=number))


def numbered(conn: Connection, recipient: str, after: int, limit: int) -> list[Numbered]:
    """Return the rows of a view that follow `after`."""
    given = {"recipient": recipient, "after": after, "limit": limit}
    return [
        Numbered(row.number, ViewKind(row.kind), row.ref, row.at)
        for row in conn.execute(_NEXT_IN_VIEW, given)
    ]


def by_statement(conn: Connection, statements: Iterable[str]) -> dict[str, Subject]:
    """Return what statements, by their hashes, are about."""
    return {row.hash: _subject(row) for row in each(conn, _BY_STATEMENT, statements)}


def by_content(conn: Connection, hashes: Iterable[str]) -> dict[str, Subject]:
    """Return contents by their hashes."""
    return {row.hash: _subject(row) for row in each(conn, _BY_CONTENT, hashes)}


def posted(conn: Connection, actor: str, after: int, limit: int) -> list[tuple[int, str, Subject]]:
    """Return what `actor` brought without a statement after the event `after`: event, time and content of each."""
    given = {"actor": actor, "after": after, "limit": limit}
    return [
        (row.seq, row.at, Subject(row.content, 0, row.type, row.stix_id))
        for row in conn.execute(_POSTED_BY, given)
    ]


def append(tx: Tx, recipient: str, name: str, rows: Sequence[Placed]) -> None:
    """Put rows on a shelf, each with its date, or the microsecond after the one before it if that is later."""
    number = shelf(tx.conn, recipient, name)
    if number is None:
        number = _begin(tx, recipient, name)
    several = _several(tx, number, rows)
    last = tx.conn.scalar(_LAST, {"shelf": number}) or 0
    kept: list[tuple[object, ...]] = []
    for one in rows:
        last = max(last + 1, one.at)
        lane = _lane(number, one.type)
        kept.append((number, last, one.content, one.statement, lane, one.stix_id in several))
    insert_rows(tx.conn, _OFFERS, kept)


def following(
    conn: Connection,
    number: int,
    after: int,
    limit: int,
    *,
    types: Iterable[str] = (),
    ids: Iterable[str] = (),
    raw: bool = False,
    senders: bool = True,
) -> list[Offer]:
    """Return the rows of a shelf that follow the date `after`, by their dates; of some types or objects if they are
    given. `senders` as `statements.facts_of` has it.
    """
    lanes, objects = [_lane(number, one) for one in types], list(ids)
    given: dict[str, Any] = {"shelf": number, "after": after, "limit": limit}
    if len(lanes) == 1 and not objects:
        return _offers(conn, conn.execute(_ASKED["lane", raw], given | {"lane": lanes[0]}).all(), senders)
    how = " ".join(name for name, values in (("ids", objects), ("lanes", lanes)) if values) or "all"
    given |= {name: values for name, values in (("keys", objects), ("lanes", lanes)) if values}
    return _offers(conn, conn.execute(_ASKED[how, raw], given).all(), senders)


def of_objects(conn: Connection, number: int, stix_ids: Iterable[str]) -> list[Offer]:
    """Return all rows of a shelf that are of some objects, without their bytes, by their dates."""
    rows = sorted(each(conn, _ALL_OF_IDS, stix_ids, shelf=number), key=lambda row: int(row[0]))
    return _offers(conn, rows, senders=True)


def _lane(number: int, stix_type: str) -> str:
    return f"{number} {stix_type}"


def _offers(conn: Connection, rows: Sequence[Row[Any]], senders: bool) -> list[Offer]:
    told = [row[_FIXED:_TOLD_END] for row in rows if row[_FIXED] is not None]
    facts = iter(statements.facts_of(conn, told, senders=senders))
    found: list[Offer] = []
    for row in rows:
        at, content, several, stix_id, version, raw, statement = row[:_FIXED]
        if row[_FIXED] is not None:
            known: Facts | None = next(facts)
        else:
            brought = row[_TOLD_END:]
            known = posts.facts_of(brought) if not statement and brought[_BROUGHT_AT] is not None else None
        found.append(Offer(at, content, bool(several), stix_id, version, raw, known))
    return found


_BROUGHT_AT: Final = 3


def _begin(tx: Tx, recipient: str, name: str) -> int:
    number = (tx.conn.scalar(select(func.max(_SHELVES.c.id))) or 0) + 1
    tx.conn.execute(insert(_SHELVES).values(id=number, recipient=recipient, name=name))
    return number


def _several(tx: Tx, number: int, rows: Sequence[Placed]) -> set[str]:
    """Return of which objects of `rows` there is more than one row, now or elsewhere; and have that at the others."""
    seqs: dict[str, set[int]] = {}
    for row in each(tx.conn, _SAME, [one.stix_id for one in rows]):
        seqs.setdefault(row.stix_id, set()).add(row.seq)
    there = {row.content for row in each(tx.conn, _THERE, [one.content for one in rows], shelf=number)}
    found: set[str] = set()
    seen: set[str] = set()
    for one in rows:
        if len(seqs[one.stix_id]) > 1 or one.content in there or one.stix_id in seen:
            found.add(one.stix_id)
        seen.add(one.stix_id)
    for key in found:
        for some in parts(seqs[key]):
            there_too = update(_OFFERS).where(_OFFERS.c.content.in_(some), _OFFERS.c.shelf + 0 == number)
            tx.conn.execute(there_too.values(several=True))
    return found


def _subject(row: Any) -> Subject:
    return Subject(row.content, row.seq, row.type, row.stix_id)
