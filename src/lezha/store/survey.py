"""What `lezha store check` reads: rows as they are kept, beside what they should be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, exists, func, or_, select

from lezha.store import keys, schema, substances
from lezha.store.contents import Content
from lezha.store.policies import KeptPolicy, kept
from lezha.store.rows import KEYS, each

Event = tuple[int, str, str, str, str, str, str]

_EVENTS, _CONTENTS, _STATEMENTS = schema.events, schema.contents, schema.statements
_ARRIVALS: Final = ("content", "posted")
_BESIDE: Final = (
    select(schema.companions.c.statement, _CONTENTS.c.hash)
    .join(_CONTENTS, _CONTENTS.c.seq == schema.companions.c.content)
    .where(schema.companions.c.statement.in_(KEYS))
    .order_by(schema.companions.c.statement, schema.companions.c.position)
)


class Derived(msgspec.Struct):
    """What is kept as derived from one content; `substance` only if somebody asked for it."""

    row: tuple[Any, ...] = ()
    substance: str | None = None
    observables: set[tuple[str, str, bool]] = msgspec.field(default_factory=set)
    refs: set[str] = msgspec.field(default_factory=set)
    tags: set[tuple[str, str]] = msgspec.field(default_factory=set)


class KeptStatement(msgspec.Struct, frozen=True):
    """A statement as it is kept; `has_event` says whether its arrival is in the events."""

    seq: int
    hash: str
    content: str
    origin: str
    terms: str
    envelope: bytes
    companions: tuple[str, ...]
    has_event: bool


def counts(conn: Connection) -> dict[str, int]:
    """Count events, contents, purged contents, statements, tombstones and rows of views."""
    tables = {
        "events": _EVENTS,
        "contents": _CONTENTS,
        "purged": schema.purges,
        "statements": _STATEMENTS,
        "tombstones": schema.tombstones,
        "views": schema.views,
    }
    return {name: conn.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()}


def policies(conn: Connection) -> list[tuple[KeptPolicy, str | None]]:
    """Return each national policy that was in force, with what the event says by which it is; None if there is none."""
    rows = conn.execute(select(_EVENTS.c.seq, _EVENTS.c.subject).where(_EVENTS.c.kind == "policy"))
    told: dict[int, str] = {row.seq: row.subject for row in rows}
    return [(one, told.get(one.seq)) for one in kept(conn)]


def integrity(conn: Connection) -> Iterator[str]:
    """Give what SQLite finds wrong with its file; PostgreSQL has tools of its own."""
    if conn.dialect.name == "sqlite":
        for (words,) in conn.exec_driver_sql("PRAGMA quick_check(20)"):
            if words != "ok":
                yield words
        for row in conn.exec_driver_sql("PRAGMA foreign_key_check"):
            yield f"a row of {row[0]} names a row of {row[2]} that is not there"


def events(conn: Connection, after: int, limit: int) -> list[tuple[Event, bytes]]:
    """Return up to `limit` events after `after`, each with its chain."""
    rows = conn.execute(select(_EVENTS).where(_EVENTS.c.seq > after).order_by(_EVENTS.c.seq).limit(limit))
    return [(tuple(row)[:-1], row.chain) for row in rows]


def events_of(conn: Connection, after: int, upto: int, kinds: Iterable[str], limit: int) -> list[Event]:
    """Return up to `limit` events of some kinds, `after` < number <= `upto`, in order."""
    rows = conn.execute(
        select(_EVENTS)
        .where(_EVENTS.c.seq > after, _EVENTS.c.seq <= upto, _EVENTS.c.kind.in_(sorted(kinds)))
        .order_by(_EVENTS.c.seq)
        .limit(limit)
    )
    return [tuple(row)[:-1] for row in rows]


def last_event(conn: Connection) -> int:
    """Return the number of the last event."""
    return conn.scalar(select(func.coalesce(func.max(_EVENTS.c.seq), 0))) or 0


def last_content(conn: Connection) -> int:
    """Return the highest number of a content."""
    return conn.scalar(select(func.coalesce(func.max(_CONTENTS.c.seq), 0))) or 0


def without_bytes(conn: Connection, after: int, upto: int) -> list[str]:
    """Return contents, `after` < number <= `upto`, that have neither bytes nor a record of having been purged."""
    bodies, purges = schema.bodies, schema.purges
    rows = conn.execute(
        select(_CONTENTS.c.hash)
        .outerjoin(bodies, bodies.c.content == _CONTENTS.c.seq)
        .outerjoin(purges, purges.c.content == _CONTENTS.c.seq)
        .where(
            _CONTENTS.c.seq > after,
            _CONTENTS.c.seq <= upto,
            bodies.c.content.is_(None) == purges.c.content.is_(None),
        )
    )
    return [row.hash for row in rows]


def remains(conn: Connection, after: int, upto: int) -> list[str]:
    """Return purged contents, `after` < number <= `upto`, of which something that was derived is still there."""
    derived = [
        exists().where(table.c.content == _CONTENTS.c.seq)
        for table in (schema.observables, schema.refs, schema.tags)
    ]
    rows = conn.execute(
        select(_CONTENTS.c.hash)
        .join(schema.purges, schema.purges.c.content == _CONTENTS.c.seq)
        .where(_CONTENTS.c.seq > after, _CONTENTS.c.seq <= upto)
        .where(or_(_CONTENTS.c.name != "", _CONTENTS.c.unmatched != "", *derived))
    )
    return [row.hash for row in rows]


def without_substance(conn: Connection, after: int, upto: int) -> list[str]:
    """Return purged contents, `after` < number <= `upto`, of which it is not kept what they said."""
    rows = conn.execute(
        select(_CONTENTS.c.hash)
        .join(schema.purges, schema.purges.c.content == _CONTENTS.c.seq)
        .outerjoin(schema.substances, schema.substances.c.content == _CONTENTS.c.seq)
        .where(_CONTENTS.c.seq > after, _CONTENTS.c.seq <= upto, schema.substances.c.content.is_(None))
    )
    return [row.hash for row in rows]


def without_event(conn: Connection, after: int, upto: int) -> list[str]:
    """Return contents, `after` < number <= `upto`, whose number is not that of the event of their arrival."""
    rows = conn.execute(
        select(_CONTENTS.c.hash, _EVENTS.c.kind, _EVENTS.c.subject)
        .outerjoin(_EVENTS, _EVENTS.c.seq == _CONTENTS.c.seq)
        .where(_CONTENTS.c.seq > after, _CONTENTS.c.seq <= upto)
    )
    return [row.hash for row in rows if row.kind not in _ARRIVALS or row.subject != row.hash]


def without_event_of(conn: Connection, kept: Mapping[int, str]) -> list[str]:
    """Return the subjects of tombstones, given by number, whose number is not that of the event of their arrival."""
    rows = each(conn, select(_EVENTS.c.seq, _EVENTS.c.subject).where(_EVENTS.c.seq.in_(KEYS)), kept)
    there = {(row.seq, row.subject) for row in rows}
    return [subject for seq, subject in kept.items() if (seq, subject) not in there]


def derived(conn: Connection, seqs: Sequence[int]) -> dict[int, Derived]:
    """Return what is kept as derived from contents."""
    found = {seq: Derived() for seq in seqs}
    values, refs, tags = schema.observables, schema.refs, schema.tags
    for seq, substance in substances.kept(conn, seqs).items():
        found[seq].substance = substance
    for row in each(conn, select(_CONTENTS).where(_CONTENTS.c.seq.in_(KEYS)), seqs):
        found[row.seq].row = tuple(row)[2:]
    for row in each(conn, select(values).where(values.c.content.in_(KEYS)), seqs):
        found[row.content].observables.add((row.kind, row.value, row.anchor))
    for row in each(conn, select(refs).where(refs.c.content.in_(KEYS)), seqs):
        found[row.content].refs.add(row.target)
    for row in each(conn, select(tags).where(tags.c.content.in_(KEYS)), seqs):
        found[row.content].tags.add((row.kind, row.value))
    return found


def differences(wanted: Content, kept: Derived) -> list[str]:
    """Name what is kept of a content and is not what it should be."""
    alone = frozenset(wanted.observables)
    observables = {
        (kind, keys.encode(kind, value), (kind, value) not in alone)
        for kind, value in (*wanted.observables, *wanted.anchors)
    }
    tags = {("label", one) for one in wanted.labels} | {("marking", one) for one in wanted.marking_ids}
    row = (
        wanted.stix_id,
        wanted.type,
        wanted.version,
        wanted.creator,
        wanted.name,
        msgspec.json.encode(wanted.markings).decode(),
        wanted.unreadable_marking,
        wanted.revoked,
        wanted.unmatched,
        wanted.valid_until,
    )
    pairs = {
        "the columns": row == kept.row,
        "the observables": observables == kept.observables,
        "the references": set(wanted.refs) == kept.refs,
        "the labels and markings": tags == kept.tags,
    }
    return [name for name, same in pairs.items() if not same]


def statements(conn: Connection, after: int, limit: int) -> list[KeptStatement]:
    """Return up to `limit` statements numbered above `after`, in order."""
    rows = conn.execute(
        select(
            _STATEMENTS.c.seq,
            _STATEMENTS.c.hash,
            _CONTENTS.c.hash.label("content"),
            _STATEMENTS.c.origin,
            _STATEMENTS.c.terms,
            _STATEMENTS.c.envelope,
            _EVENTS.c.kind,
            _EVENTS.c.subject,
        )
        .join(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
        .outerjoin(_EVENTS, _EVENTS.c.seq == _STATEMENTS.c.seq)
        .where(_STATEMENTS.c.seq > after)
        .order_by(_STATEMENTS.c.seq)
        .limit(limit)
    ).all()
    beside: dict[int, list[str]] = {}
    for row in each(conn, _BESIDE, [row.seq for row in rows]):
        beside.setdefault(row.statement, []).append(row.hash)
    return [
        KeptStatement(
            row.seq,
            row.hash,
            row.content,
            row.origin,
            row.terms,
            row.envelope,
            tuple(beside.get(row.seq, ())),
            (row.kind, row.subject) == ("statement", row.hash),
        )
        for row in rows
    ]


def recipients(conn: Connection) -> list[str]:
    """Return all who have a view."""
    return list(conn.scalars(select(schema.views.c.recipient).distinct()))


def sizes_that_differ(conn: Connection) -> list[str]:
    """Return the members of whose refused frames other amounts are kept than is written down."""
    frames, sizes = schema.quarantine, schema.quarantine_sizes
    kept = select(frames.c.member, func.sum(func.length(frames.c.frame))).group_by(frames.c.member)
    there = {member: size for member, size in conn.execute(kept) if size}
    said = {row.member: row.bytes for row in conn.execute(select(sizes)) if row.bytes}
    return sorted(member for member in there.keys() | said.keys() if there.get(member) != said.get(member))


def signed_more_than_once(conn: Connection) -> list[tuple[str, str, str]]:
    """Return the (id, version, creator) of which that creator has signed more than one content."""
    version = (_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.creator)
    rows = conn.execute(
        select(*version)
        .join(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
        .where(_STATEMENTS.c.origin == _CONTENTS.c.creator)
        .group_by(*version)
        .having(func.count(_CONTENTS.c.seq.distinct()) > 1)
    )
    return [(row[0], row[1], row[2]) for row in rows]
