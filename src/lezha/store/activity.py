"""The newest rows of what happens on a node. Every read is bounded, whatever the size of the log.

What is rare may lie behind a million rows of an import. The log is looked through from its newest end in slices that
grow, for about a tenth of a second; what was found is kept, so that the next look takes in what came since and goes on
where this one stopped.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine, Select, bindparam, exists, func, literal_column, select

from lezha.store import schema
from lezha.store.rows import record
from lezha.store.views import ViewKind

LOOK_S: Final = 0.1
"""How long one look back may take, give or take a slice."""

_FIRST_SLICE: Final = 16_384
_GROWTH: Final = 4
_LARGEST_SLICE: Final = 131_072
_APART_S: Final = 300.0
_PURGED: Final = exists().where(schema.purges.c.content == schema.contents.c.seq)


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


class Brought(msgspec.Struct, frozen=True):
    """How many objects `actor` brought for own systems only, without a pause of five minutes, `since`..`at`."""

    actor: str
    since: str
    at: str
    count: int


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


def sightings(conn: Connection, limit: int) -> list[RecentStatement]:
    """Return the newest statements about sightings that are not purged, newest first."""
    contents = schema.contents
    # By the content's seq, for which there is an index with the type: a sighting and its statement come together.
    rows = conn.execute(
        _statements()
        .where(contents.c.type == "sighting", ~_PURGED)
        .order_by(contents.c.seq.desc())
        .limit(limit)
    )
    return [record(row._mapping, RecentStatement) for row in rows]


class _Stretch(msgspec.Struct, frozen=True):
    """What was found from `upto` down to `above`, itself left out; newest first."""

    above: int
    upto: int
    found: tuple[Any, ...] = ()


class _Search(msgspec.Struct, frozen=True):
    """How to look for one kind of thing: read it, newest first, and keep as much of it as is asked for."""

    read: Callable[[Connection, int, int], Iterable[Any]]
    keep: Callable[[Iterable[Any]], tuple[Any, ...]]
    most: int


_KEPT: Final[WeakKeyDictionary[Engine, dict[object, list[_Stretch]]]] = WeakKeyDictionary()


def statements(
    conn: Connection, limit: int, *, own: bool, clock: Callable[[], float] = time.monotonic
) -> list[RecentStatement]:
    """Return the newest statements of this member or of others, newest first; those about sightings left out.

    For readers, as `acts`.
    """
    wanted = _Search(
        lambda conn, low, high: _spoken(conn, low, high, own, limit),
        lambda found: tuple(islice(found, limit)),
        limit,
    )
    seqs, _ = _look(conn, ("statements", own, limit), wanted, clock)
    table = schema.statements
    # Read anew: what an object is called goes when it is purged.
    rows = conn.execute(_statements().where(table.c.seq.in_(seqs)).order_by(table.c.seq.desc()))
    return [record(row._mapping, RecentStatement) for row in rows]


def acts(
    conn: Connection, kinds: Sequence[str], limit: int, clock: Callable[[], float] = time.monotonic
) -> tuple[Sequence[RecentEvent], bool]:
    """Return the newest events of these kinds, newest first, and whether none was left unlooked for.

    For readers, as `search.count_by_type`: events are never taken out, so what was found is kept. A snapshot from
    before may be told of what came after it.
    """
    wanted = _Search(
        lambda conn, low, high: _events(conn, low, high, kinds, limit),
        lambda found: tuple(islice(found, limit)),
        limit,
    )
    return _look(conn, ("acts", *kinds, limit), wanted, clock)


def brought(
    conn: Connection, limit: int, clock: Callable[[], float] = time.monotonic
) -> tuple[Sequence[Brought], bool]:
    """Return who brought objects for own systems only, newest first, and whether none was left uncounted.

    For readers, as `acts`.
    """
    # One more: the last may go on further back.
    wanted = _Search(_posted, lambda found: tuple(islice(_run_together(found), limit + 1)), limit + 1)
    found, complete = _look(conn, ("brought", limit), wanted, clock)
    return found[:limit], complete


def _look(
    conn: Connection, key: object, wanted: _Search, clock: Callable[[], float]
) -> tuple[Sequence[Any], bool]:
    """Go on from the newest end, below what was looked through before, until all is found or the time is over."""
    kept = _KEPT.setdefault(conn.engine, {})
    before, last = kept.get(key, []), _last(conn)
    newest, *older = before if before and last <= before[0].upto else [_Stretch(last, last), *before]
    ends, late = clock() + LOOK_S, False
    while not late and not _ended(newest, wanted):
        for low, high in _back(newest.above, older[0].upto if older else 0):
            some = _Stretch(low - 1, high, tuple(wanted.read(conn, low, high)))
            newest = _joined(newest, some, wanted)
            late = clock() > ends
            if late or _ended(newest, wanted):
                break
        if older and newest.above == older[0].upto:
            newest = _joined(newest, older.pop(0), wanted)
    complete = _ended(newest, wanted)
    kept[key] = [newest] if complete else [newest, *older]
    return wanted.keep(one for stretch in kept[key] for one in stretch.found), complete


def _ended(stretch: _Stretch, wanted: _Search) -> bool:
    return not stretch.above or len(stretch.found) >= wanted.most


def _joined(newer: _Stretch, older: _Stretch, wanted: _Search) -> _Stretch:
    return _Stretch(older.above, newer.upto, wanted.keep((*newer.found, *older.found)))


def _back(last: int, above: int) -> Iterator[tuple[int, int]]:
    """Give slices from `last` down to the place after `above`, each larger than the one before."""
    size = _FIRST_SLICE
    while last > above:
        low = max(above + 1, last - size + 1)
        yield low, last
        last = low - 1
        size = min(size * _GROWTH, _LARGEST_SLICE)


def _events(conn: Connection, low: int, high: int, kinds: Sequence[str], limit: int) -> list[RecentEvent]:
    table, posts = schema.events, schema.posts
    # Of a slice of an import that is all there is, and its index is a tenth of the events.
    posted = conn.scalar(select(func.count()).select_from(posts).where(posts.c.seq.between(low, high)))
    if posted == high - low + 1:
        return []
    rows = conn.execute(
        select(table)
        .where(table.c.seq.between(low, high), table.c.kind.in_(list(kinds)))
        .order_by(table.c.seq.desc())
        .limit(limit)
    )
    return [record(row._mapping, RecentEvent) for row in rows]


def _spoken(conn: Connection, low: int, high: int, own: bool, limit: int) -> Sequence[int]:
    table, contents = schema.statements, schema.contents
    return conn.scalars(
        select(table.c.seq)
        .join(contents, contents.c.seq == table.c.content)
        .where(table.c.seq.between(low, high), table.c.own == own, contents.c.type != "sighting")
        .order_by(table.c.seq.desc())
        .limit(limit)
    ).all()


def _posted(conn: Connection, low: int, high: int) -> Iterator[Brought]:
    table = schema.events
    rows = conn.execute(
        select(table.c.actor, table.c.at, func.count().label("number"))
        .where(table.c.seq.between(low, high), table.c.kind == "posted")
        .group_by(table.c.actor, table.c.at)
        .order_by(table.c.at.desc())
    )
    return (Brought(row.actor, row.at, row.at, row.number) for row in rows)


def _run_together(parts: Iterable[Brought]) -> list[Brought]:
    """Make one of what the same actor brought without a pause; newest first, and so given."""
    found: list[Brought] = []
    places: dict[str, int] = {}
    for one in parts:
        place = places.get(one.actor)
        if place is not None and _seconds(one.at, found[place].since) <= _APART_S:
            later = found[place]
            found[place] = Brought(one.actor, one.since, later.at, later.count + one.count)
        else:
            places[one.actor] = len(found)
            found.append(one)
    return found


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


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
    # Rosters, tombstones and commitments are few: what is none of them, nor refused, is a statement that was taken.
    others_at = conn.scalars(
        select(views.c.number).where(
            views.c.recipient == recipient, views.c.number > oldest, views.c.kind != ViewKind.STATEMENT.value
        )
    ).all()
    refused = conn.scalars(
        select(refusals.c.number).where(refusals.c.recipient == recipient, refusals.c.number > oldest)
    ).all()
    found = []
    for position, row in enumerate(heads[:limit]):
        before = heads[position + 1].head if position + 1 < len(heads) else 0
        others = sum(before < number <= row.head for number in others_at)
        found.append(
            Receipted(
                at=row.at,
                statements=row.head - before - others,
                refused=sum(before < number <= row.head for number in {*refused}.difference(others_at)),
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


def put_aside(conn: Connection, after: int) -> Counter[tuple[str, str]]:
    """Count by sender and code the frames that were put aside in events after `after`."""
    table = schema.events
    rows = conn.execute(
        select(table.c.subject, table.c.detail).where(table.c.seq > after, table.c.kind == "quarantined")
    )
    return Counter((row.subject, msgspec.json.decode(row.detail, type=_Code).code) for row in rows)


def forks(conn: Connection, since: str) -> dict[str, str]:
    """Return by member when a stream last forked, as far as that was after `since`. Looks at all events."""
    table = schema.events
    rows = conn.execute(
        select(table.c.subject, func.max(table.c.at))
        .where(table.c.kind == "fork", table.c.at >= since)
        .group_by(table.c.subject)
    )
    return {row[0]: row[1] for row in rows}


class _Code(msgspec.Struct, frozen=True):
    code: str


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
