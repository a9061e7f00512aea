"""The newest rows of what happens on a node. Every read is bounded, whatever the size of the log."""

from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine, Select, bindparam, func, literal_column, select

from lezha.store import schema
from lezha.store.rows import record
from lezha.store.views import ViewKind

_EVENTS_BACK: Final = 10_000


class RecentStatement(msgspec.Struct, frozen=True):
    """A statement with what its content is. `terms` is JSON text."""

    hash: str
    at: str
    origin: str
    own: bool
    terms: str
    content: str
    id: str
    type: str
    name: str


class RecentEvent(msgspec.Struct, frozen=True):
    """An event; `detail` is JSON text."""

    seq: int
    at: str
    kind: str
    subject: str
    actor: str
    detail: str


class Receipted(msgspec.Struct, frozen=True):
    """A signed receipt: how many statements it newly acknowledges, and how many of them it refused."""

    at: str
    statements: int
    refused: int


class WithheldSum(msgspec.Struct, frozen=True):
    """How many statements one commit withheld from a recipient for one reason."""

    recipient: str
    reason: str
    at: str
    count: int


def statements(conn: Connection, limit: int) -> list[RecentStatement]:
    """Return the newest statements among the last 10,000 events, newest first; those about sightings left out."""
    table, contents = schema.statements, schema.contents
    rows = conn.execute(
        _statements()
        .where(table.c.seq > _last(conn) - _EVENTS_BACK, contents.c.type != "sighting")
        .order_by(table.c.seq.desc())
        .limit(limit)
    )
    return [record(row._mapping, RecentStatement) for row in rows]


def sightings(conn: Connection, limit: int) -> list[RecentStatement]:
    """Return the newest statements about sightings, newest first."""
    contents = schema.contents
    # By the content's seq, for which there is an index with the type: a sighting and its statement come together.
    rows = conn.execute(
        _statements().where(contents.c.type == "sighting").order_by(contents.c.seq.desc()).limit(limit)
    )
    return [record(row._mapping, RecentStatement) for row in rows]


def events(conn: Connection, kinds: Sequence[str], limit: int) -> list[RecentEvent]:
    """Return the newest events of these kinds among the last 10,000, newest first."""
    table = schema.events
    rows = conn.execute(
        select(table)
        .where(table.c.seq > _last(conn) - _EVENTS_BACK, table.c.kind.in_(list(kinds)))
        .order_by(table.c.seq.desc())
        .limit(limit)
    )
    return [record(row._mapping, RecentEvent) for row in rows]


def receipts(conn: Connection, recipient: str, limit: int) -> list[Receipted]:
    """Return the newest receipts of a recipient, newest first."""
    table, views, refusals = schema.receipts, schema.views, schema.refusals
    heads = conn.execute(
        select(table.c.head, table.c.at)
        .where(table.c.recipient == recipient)
        .order_by(table.c.head.desc())
        .limit(limit + 1)
    ).all()
    if not heads:
        return []
    oldest = heads[-1].head if len(heads) > limit else 0
    # Rosters are few: what is neither a roster nor refused is a statement that was taken.
    rosters = conn.scalars(
        select(views.c.number).where(
            views.c.recipient == recipient, views.c.number > oldest, views.c.kind == ViewKind.ROSTER.value
        )
    ).all()
    refused = conn.scalars(
        select(refusals.c.number).where(refusals.c.recipient == recipient, refusals.c.number > oldest)
    ).all()
    found = []
    for position, row in enumerate(heads[:limit]):
        before = heads[position + 1].head if position + 1 < len(heads) else 0
        others = sum(before < number <= row.head for number in rosters)
        found.append(
            Receipted(
                at=row.at,
                statements=row.head - before - others,
                refused=sum(before < number <= row.head for number in refused),
            )
        )
    return found


def withheld(
    conn: Connection, recipients: Sequence[str], latest: Sequence[RecentStatement]
) -> list[WithheldSum]:
    """Sum up what is withheld of some statements, by recipient, reason and commit."""
    table = schema.withheld
    rows = conn.execute(
        select(table.c.recipient, table.c.reason, table.c.at, func.count().label("count"))
        .where(table.c.recipient.in_(list(recipients)), table.c.statement.in_([one.hash for one in latest]))
        .group_by(table.c.recipient, table.c.reason, table.c.at)
    )
    return [record(row._mapping, WithheldSum) for row in rows]


def waiting_since(conn: Connection, recipient: str, acknowledged: int) -> str:
    """Return when the oldest row that a recipient has not signed for was numbered; empty if there is none."""
    table = schema.views
    found: str | None = conn.scalar(
        select(table.c.at).where(table.c.recipient == recipient, table.c.number == acknowledged + 1)
    )
    return found or ""


class _Sighted(msgspec.Struct, frozen=True):
    """How many statements about sightings there are up to a seq: of other members, and this member's own."""

    upto: int
    others: int
    own: int


_SIGHTED: Final[WeakKeyDictionary[Engine, _Sighted]] = WeakKeyDictionary()


def sighting_counts(conn: Connection) -> tuple[int, int]:
    """Count the sightings that other members signed, and this member's own; for readers, as `search.count_by_type`.

    Statements are never taken out: so only those are counted that came since this was asked last. It may count what
    came after the snapshot of `conn`.
    """
    counted = _SIGHTED.get(conn.engine, _Sighted(0, 0, 0))
    last = conn.scalar(select(func.max(schema.statements.c.seq))) or 0
    if last > counted.upto:
        question = _NEW_SIGHTED if counted.upto else _ALL_SIGHTED
        rows = conn.execute(question, {"upto": counted.upto, "last": last})
        new = {bool(row.own): int(row.number) for row in rows}
        counted = _Sighted(last, counted.others + new.get(False, 0), counted.own + new.get(True, 0))
        _SIGHTED[conn.engine] = counted
    return counted.others, counted.own


def sightings_of(conn: Connection, stix_id: str, limit: int) -> list[RecentStatement]:
    """Return the newest statements about sightings that name an object, newest first."""
    contents, refs = schema.contents, schema.refs
    rows = conn.execute(
        _statements()
        .join(refs, refs.c.content == contents.c.seq)
        .where(refs.c.target == stix_id, contents.c.type == "sighting")
        .order_by(contents.c.seq.desc())
        .limit(limit)
    )
    return [record(row._mapping, RecentStatement) for row in rows]


def _statements() -> Select[Any]:
    table, contents = schema.statements, schema.contents
    return select(
        table.c.hash,
        table.c.at,
        table.c.origin,
        table.c.own,
        table.c.terms,
        contents.c.hash.label("content"),
        contents.c.stix_id.label("id"),
        contents.c.type,
        contents.c.name,
    ).join(contents, contents.c.seq == table.c.content)


def _last(conn: Connection) -> int:
    return conn.scalar(select(func.max(schema.events.c.seq))) or 0


def _sighted(stix_type: Any) -> Select[Any]:
    table, contents = schema.statements, schema.contents
    return (
        select(table.c.own, func.count().label("number"))
        .join(contents, contents.c.seq == table.c.content)
        .where(stix_type == "sighting", table.c.seq > bindparam("upto"), table.c.seq <= bindparam("last"))
        .group_by(table.c.own)
    )


_ALL_SIGHTED: Final = _sighted(schema.contents.c.type)
# An expression, so that SQLite begins with the few new statements and not with all sightings.
_NEW_SIGHTED: Final = _sighted(schema.contents.c.type.concat(literal_column("''")))
