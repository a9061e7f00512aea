"""Find objects, newest first, by keyset: a page costs the same wherever it lies.

The log is looked through from its newest end in slices that grow, until a page is full or the time that one page may
take is over. So a question that nothing answers, on a million objects, still ends: with an empty page that says how far
it came and where to go on.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    union,
)

from lezha.sharing.tlp import Tlp
from lezha.store import keys, schema, texts
from lezha.store.errors import NotFound
from lezha.store.keys import Range
from lezha.store.rows import KEYS, each, parts, record

_FIRST_SLICE: Final = 65_536
_GROWTH: Final = 8
_LARGEST_SLICE: Final = 1_048_576
# STIX 2.1 §5.2: a sighting also names who made it, who saw it and where, what was observed, and its markings.
_NAMED_OTHERWISE: Final = ("identity", "location", "observed-data", "marking-definition")
_LEVELS: Final = frozenset(level.value for level in Tlp)
PAGE_S: Final = 2.0
"""How long one page may look before it gives what it has."""


class Query(msgspec.Struct, frozen=True):
    """What to look for; empty fields don't matter, all others must hold.

    `values` are (kind, normalised value) of observables and `ranges` are ranges of them (`keys.within`), any of which
    suffices; with `by_value` and neither, nothing is found. `text` is words and phrases. `marking` is the id of a
    marking definition, `tlp` a level that the object itself carries. `ref` is an id that the object names. Times are
    RFC 3339 UTC with microseconds: `since` <= arrival here < `until`, `modified_since` <= version < `modified_until`.
    `before` is the seq at which the last page ended, 0 for none.
    """

    id: str = ""
    type: str = ""
    text: str = ""
    label: str = ""
    marking: str = ""
    tlp: str = ""
    creator: str = ""
    origin: str = ""
    ref: str = ""
    sighted: bool | None = None
    revoked: bool | None = None
    since: str = ""
    until: str = ""
    modified_since: str = ""
    modified_until: str = ""
    values: tuple[tuple[str, str], ...] = ()
    ranges: tuple[Range, ...] = ()
    by_value: bool = False
    before: int = 0
    limit: int = 50


class Found(msgspec.Struct, frozen=True):
    """One object version as a list shows it."""

    seq: int
    hash: str
    id: str
    type: str
    version: str
    creator: str
    name: str
    unmatched: str
    valid_until: str
    revoked: bool


class Page(msgspec.Struct, frozen=True):
    """Objects, newest first. `next` is `before` for the next page, 0 at the end.

    A page with fewer objects than asked for and a `next` ended because of time: there may be more further back.
    """

    found: list[Found]
    next: int


class Said(msgspec.Struct, frozen=True):
    """A statement about an object, as a page shows it. `terms` is JSON text."""

    hash: str
    origin: str
    own: bool
    issued: str
    at: str
    terms: str


class SaidBytes(msgspec.Struct, frozen=True):
    """A statement with the bytes of its content."""

    origin: str
    at: str
    raw: bytes


def page(conn: Connection, query: Query, clock: Callable[[], float] = time.monotonic) -> Page:
    """Return up to `query.limit` objects; it may take `PAGE_S` seconds by `clock`."""
    if (query.by_value and not (query.values or query.ranges)) or not _can_be_held(query):
        return Page([], 0)
    lowest, high = _bounds(conn, query)
    wanted = _select(conn, query)
    if wanted is None:
        return Page([], 0)
    found: list[Found] = []
    ends = clock() + PAGE_S
    # What has a value or an id is few, and lies together; what else is asked may be spread over all.
    size = high if query.by_value or query.id else _FIRST_SLICE
    while high >= lowest:
        low = max(lowest, high - size + 1)
        rows = conn.execute(wanted, {"low": low, "high": high, "most": query.limit + 1 - len(found)})
        found += [_found(row._mapping) for row in rows]
        if len(found) > query.limit:
            return Page(found[:-1], found[-2].seq)
        high = low - 1
        size = min(size * _GROWTH, _LARGEST_SLICE)
        if clock() > ends and high >= lowest:
            return Page(found, low)
    return Page(found, 0)


def find(conn: Connection, query: Query) -> list[Found]:
    """Return the objects of one page."""
    return page(conn, query).found


def versions(conn: Connection, stix_id: str) -> list[Found]:
    """Return the newest 100 versions of an object that came here, newest first. Raises NotFound."""
    contents = schema.contents
    rows = conn.execute(
        select(*_COLUMNS).where(contents.c.stix_id == stix_id).order_by(contents.c.seq.desc()).limit(100)
    )
    found = [_found(row._mapping) for row in rows]
    if not found:
        raise NotFound(
            f"No object {stix_id} is held here. Look for it by a value or by words: `lezha objects search`."
        )
    return found


def by_hash(conn: Connection, hashes: Iterable[str]) -> list[Found]:
    """Return the object versions that these contents are."""
    return [_found(row._mapping) for row in each(conn, _BY_HASH, hashes)]


def said(conn: Connection, content: str) -> list[Said]:
    """Return the statements about a content, oldest first."""
    return said_about(conn, [content]).get(content, [])


def came(conn: Connection, seqs: Iterable[int]) -> dict[int, str]:
    """Return when each of some objects, given by seq, came here."""
    return {row.seq: row.at for row in each(conn, _CAME, seqs)}


def said_about(conn: Connection, hashes: Sequence[str]) -> dict[str, list[Said]]:
    """Return the statements about each of some contents, oldest first."""
    found: dict[str, list[Said]] = {}
    for row in each(conn, _SAID, hashes):
        found.setdefault(row.content, []).append(
            Said(row.hash, row.origin, row.own, row.issued, row.at, row.terms)
        )
    return found


def names(conn: Connection, stix_ids: Sequence[str]) -> dict[str, str]:
    """Return the name of the newest version of each of some objects, as far as they are held."""
    return {row.stix_id: row.name for row in each(conn, _NAMES, stix_ids)}


def observables(conn: Connection, content: str) -> list[tuple[str, str, bool]]:
    """Return (kind, value, anchor) of each observable of a content."""
    table = schema.observables
    rows = conn.execute(
        select(table.c.kind, table.c.value, table.c.anchor).where(table.c.content == _seq_of(content))
    )
    found = [(row[0], keys.decode(row[0], row[1]), row[2]) for row in rows]
    return sorted(found, key=lambda one: (one[2], one[0], one[1]))


def named_by(conn: Connection, content: str) -> list[str]:
    """Return the ids that a content names."""
    table = schema.refs
    rows = conn.execute(
        select(table.c.target).where(table.c.content == _seq_of(content)).order_by(table.c.target)
    )
    return [row[0] for row in rows]


def naming(conn: Connection, stix_id: str, limit: int = 50, *, sightings: bool = False) -> list[Found]:
    """Return objects that name `stix_id`, newest first: sightings, or everything else."""
    contents, refs = schema.contents, schema.refs
    rows = conn.execute(
        select(*_COLUMNS)
        .join(refs, refs.c.content == contents.c.seq)
        .where(
            refs.c.target == stix_id,
            contents.c.type == "sighting" if sightings else contents.c.type != "sighting",
        )
        .order_by(refs.c.content.desc())
        .limit(limit)
    )
    return [_found(row._mapping) for row in rows]


def naming_any(conn: Connection, stix_ids: Sequence[str], limit: int) -> list[Found]:
    """Return up to `limit` objects that name any of some others, newest first."""
    refs = schema.refs
    found: dict[int, Found] = {}
    for part in parts(stix_ids):
        contents = select(refs.c.content).where(refs.c.target.in_(part)).distinct()
        newest_first = contents.order_by(refs.c.content.desc()).limit(limit).subquery()
        rows = conn.execute(
            select(*_COLUMNS).join(newest_first, newest_first.c.content == schema.contents.c.seq)
        )
        found |= {row.seq: _found(row._mapping) for row in rows}
    return sorted(found.values(), key=lambda one: -one.seq)[:limit]


def ends_of(conn: Connection, hashes: Sequence[str], limit: int) -> list[str]:
    """Return up to `limit` ids that some contents name, of the newest first, creators left out."""
    contents, refs = schema.contents, schema.refs
    found: dict[str, None] = {}
    for part in parts(hashes):
        rows = conn.execute(
            select(refs.c.target)
            .join(contents, contents.c.seq == refs.c.content)
            .where(contents.c.hash.in_(part), refs.c.target != contents.c.creator)
            .group_by(refs.c.target)
            .order_by(func.max(contents.c.seq).desc(), refs.c.target)
            .limit(limit)
        )
        found |= dict.fromkeys(row.target for row in rows)
    return list(found)[:limit]


def newest(conn: Connection, stix_ids: Iterable[str]) -> dict[str, Found]:
    """Return what came last of each of some objects, as far as they are held."""
    return {row.id: _found(row._mapping) for row in each(conn, _NEWEST, stix_ids)}


def said_of_type(conn: Connection, stix_type: str, limit: int) -> list[SaidBytes]:
    """Return statements about objects of a type with their bytes, oldest first."""
    contents, table, bodies = schema.contents, schema.statements, schema.bodies
    rows = conn.execute(
        select(table.c.origin, table.c.at, bodies.c.bytes.label("raw"))
        .join(contents, contents.c.seq == table.c.content)
        .join(bodies, bodies.c.content == contents.c.seq)
        .where(contents.c.type == stix_type)
        .order_by(table.c.seq)
        .limit(limit)
    )
    return [record(row._mapping, SaidBytes) for row in rows]


class _Counted(msgspec.Struct, frozen=True):
    """How many contents of each type there are, counted up to a seq."""

    upto: int
    by_type: dict[str, int]


_COUNTED: Final[WeakKeyDictionary[Engine, _Counted]] = WeakKeyDictionary()


def count_by_type(conn: Connection) -> dict[str, int]:
    """Count the contents that the log knows, by STIX type; for readers, since it takes what it sees as committed.

    Contents are never taken out and never change their type, purged ones included: so only those are counted that came
    since this was asked last. It may count what came after the snapshot of `conn`.
    """
    before = _COUNTED.get(conn.engine, _Counted(0, {}))
    by_type, upto = dict(before.by_type), before.upto
    for row in conn.execute(_ALL_COUNTS if not upto else _NEW_COUNTS, {"upto": upto}):
        by_type[row.type] = by_type.get(row.type, 0) + row.number
        upto = max(upto, row.last)
    _COUNTED[conn.engine] = _Counted(upto, by_type)
    return dict(sorted(by_type.items()))


_COLUMNS: Final = (
    schema.contents.c.seq,
    schema.contents.c.hash,
    schema.contents.c.stix_id.label("id"),
    schema.contents.c.type,
    schema.contents.c.version,
    schema.contents.c.creator,
    schema.contents.c.name,
    schema.contents.c.unmatched,
    schema.contents.c.valid_until,
    schema.contents.c.revoked,
)
_ALL_COUNTS: Final = select(
    schema.contents.c.type, func.count().label("number"), func.max(schema.contents.c.seq).label("last")
).group_by(schema.contents.c.type)
# An expression, so that SQLite walks the few new rows and not the whole index of types, which lies in the right order.
_TYPE: Final = schema.contents.c.type.concat(literal_column("''"))
_NEW_COUNTS: Final = (
    select(_TYPE.label("type"), func.count().label("number"), func.max(schema.contents.c.seq).label("last"))
    .where(schema.contents.c.seq > bindparam("upto"))
    .group_by(_TYPE)
)
_CAME: Final = select(schema.events.c.seq, schema.events.c.at).where(schema.events.c.seq.in_(KEYS))
_BY_HASH: Final = select(*_COLUMNS).where(schema.contents.c.hash.in_(KEYS))
_SAID: Final = (
    select(
        schema.contents.c.hash.label("content"),
        schema.statements.c.hash,
        schema.statements.c.origin,
        schema.statements.c.own,
        schema.statements.c.issued,
        schema.statements.c.at,
        schema.statements.c.terms,
    )
    .join(schema.contents, schema.contents.c.seq == schema.statements.c.content)
    .where(schema.contents.c.hash.in_(KEYS))
    .order_by(schema.statements.c.seq)
)
_LAST: Final = (
    select(func.max(schema.contents.c.seq))
    .where(schema.contents.c.stix_id.in_(KEYS))
    .group_by(schema.contents.c.stix_id)
)
_NEWEST: Final = select(*_COLUMNS).where(schema.contents.c.seq.in_(_LAST))
_NAMES: Final = select(schema.contents.c.stix_id, schema.contents.c.name).where(
    schema.contents.c.seq.in_(_LAST)
)


def _can_be_held(query: Query) -> bool:
    """Say whether all texts asked for are such that a database can hold them, or be asked for them."""
    if query.tlp and query.tlp not in _LEVELS:
        return False
    asked = [one for name, one in msgspec.structs.asdict(query).items() if name != "text"]
    asked += [value for _, value in query.values]
    return not any("\0" in one or not _encodable(one) for one in asked if isinstance(one, str))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _seq_of(content: str) -> Any:
    return select(schema.contents.c.seq).where(schema.contents.c.hash == content).scalar_subquery()


def _bounds(conn: Connection, query: Query) -> tuple[int, int]:
    """Return the lowest and the highest seq to look at."""
    last = conn.scalar(select(func.coalesce(func.max(schema.contents.c.seq), 0))) or 0
    high = min(last, query.before - 1) if query.before else last
    if query.until:
        high = min(high, last_before(conn, query.until))
    return (last_before(conn, query.since) + 1 if query.since else 1), high


def last_before(conn: Connection, at: str) -> int:
    """Return the seq of the last event before a time; times never go back, so that halving finds it."""
    table = schema.events
    probe = (
        select(table.c.seq, table.c.at)
        .where(table.c.seq <= bindparam("seq"))
        .order_by(table.c.seq.desc())
        .limit(1)
    )
    low, high = 0, conn.scalar(select(func.coalesce(func.max(table.c.seq), 0))) or 0
    while low < high:
        middle = (low + high + 1) // 2
        row = conn.execute(probe, {"seq": middle}).first()
        if row is not None and row.at < at:
            low = middle
        else:
            high = middle - 1
    return low


def _select(conn: Connection, query: Query) -> Select[tuple[Any, ...]] | None:
    """Return the query for one slice, or None if nothing can answer it."""
    contents = schema.contents
    wanted: Select[tuple[Any, ...]] = (
        select(*_COLUMNS)
        .where(contents.c.seq.between(bindparam("low"), bindparam("high")))
        .order_by(contents.c.seq.desc())
        .limit(bindparam("most"))
    )
    for condition in (*_exact(query), *_about_others(query)):
        wanted = wanted.where(condition)
    if query.values or query.ranges:
        wanted = wanted.where(contents.c.seq.in_(_with_values(query)))
    if query.text:
        matching = texts.matching(conn.dialect.name, query.text)
        if matching is None:
            return None
        wanted = wanted.where(contents.c.seq.in_(matching))
    return wanted


def _exact(query: Query) -> list[Any]:
    contents = schema.contents
    exact = {"type": query.type, "creator": query.creator}
    found = [contents.c[column] == value for column, value in exact.items() if value]
    if query.id:
        # Apart, so that SQLite, which keeps no statistics, does not walk all of a type or creator instead.
        versions = contents.alias("versions")
        found.append(contents.c.seq.in_(select(versions.c.seq).where(versions.c.stix_id == query.id)))
    if query.revoked is not None:
        found.append(contents.c.revoked == query.revoked)
    if query.modified_since:
        found.append(contents.c.version >= query.modified_since)
    if query.modified_until:
        found += [contents.c.version < query.modified_until, contents.c.version != ""]
    if query.tlp:
        found.append(contents.c.markings.contains(f'"{query.tlp}"', autoescape=True))
    return found


def _about_others(query: Query) -> list[Any]:
    contents, tags, refs, statements = schema.contents, schema.tags, schema.refs, schema.statements
    found: list[Any] = []
    for kind, value in (("label", query.label), ("marking", query.marking)):
        if value:
            tagged = select(tags.c.content).where(
                tags.c.kind == kind, tags.c.value == value, _in_slice(tags.c.content)
            )
            found.append(contents.c.seq.in_(tagged))
    if query.ref:
        naming_it = select(refs.c.content).where(refs.c.target == query.ref, _in_slice(refs.c.content))
        found.append(contents.c.seq.in_(naming_it))
    if query.origin:
        by = select(statements.c.content).where(
            statements.c.origin == query.origin, _in_slice(statements.c.content)
        )
        found.append(contents.c.seq.in_(by))
    if query.sighted is not None:
        seen = _is_sighted()
        found.append(seen if query.sighted else ~seen)
    return found


def _is_sighted() -> Any:
    contents, refs = schema.contents, schema.refs
    sighting = schema.contents.alias("sighting")
    return contents.c.type.not_in(_NAMED_OTHERWISE) & exists(
        select(refs.c.content)
        .join(sighting, sighting.c.seq == refs.c.content)
        .where(refs.c.target == contents.c.stix_id, sighting.c.type == "sighting")
    )


def _with_values(query: Query) -> Any:
    """Select the contents with any of the values.

    A union, not OR, and one list for each kind, not a list of pairs: of those SQLite makes a scan of all.
    """
    table = schema.observables
    by_kind: dict[str, list[str]] = {}
    for kind, value in query.values:
        by_kind.setdefault(kind, []).append(keys.encode(kind, value))
    any_of = [and_(table.c.kind == kind, table.c.value.in_(exact)) for kind, exact in by_kind.items()]
    any_of += [
        and_(table.c.kind == kind, table.c.value >= first, table.c.value < after)
        for kind, first, after in query.ranges
    ]
    return union(*(select(table.c.content).where(one, _in_slice(table.c.content)) for one in any_of))


def _in_slice(column: Any) -> Any:
    return column.between(bindparam("low"), bindparam("high"))


def _found(row: RowMapping) -> Found:
    return record(row, Found)
