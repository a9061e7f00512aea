"""Find objects, newest first, by keyset: a page costs the same wherever it lies."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, Select, func, or_, select, tuple_

from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.rows import record


class Query(msgspec.Struct, frozen=True):
    """What to look for; empty fields don't matter. `before` is the seq at which the last page ended, 0 for none.

    `values` are (kind, normalised value) of observables, any of which suffices.
    """

    id: str = ""
    type: str = ""
    text: str = ""
    creator: str = ""
    origin: str = ""
    values: tuple[tuple[str, str], ...] = ()
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


def find(conn: Connection, query: Query) -> list[Found]:
    """Return up to `query.limit` objects, newest first."""
    if query.by_value and not query.values:
        return []
    return [_found(row._mapping) for row in conn.execute(_select(query))]


def versions(conn: Connection, stix_id: str) -> list[Found]:
    """Return all versions of an object, newest first. Raises NotFound."""
    found = find(conn, Query(id=stix_id, limit=100))
    if not found:
        raise NotFound(f"No object {stix_id} is held here.")
    return found


def said(conn: Connection, content: str) -> list[Said]:
    """Return the statements about a content, oldest first."""
    table = schema.statements
    rows = conn.execute(
        select(table.c.hash, table.c.origin, table.c.own, table.c.issued, table.c.at, table.c.terms)
        .where(table.c.content == content)
        .order_by(table.c.seq)
    )
    return [record(row._mapping, Said) for row in rows]


def said_about(conn: Connection, hashes: Sequence[str]) -> dict[str, list[Said]]:
    """Return the statements about each of some contents, oldest first."""
    table = schema.statements
    columns = (table.c.hash, table.c.origin, table.c.own, table.c.issued, table.c.at, table.c.terms)
    rows = conn.execute(
        select(table.c.content, *columns).where(table.c.content.in_(list(hashes))).order_by(table.c.seq)
    )
    found: dict[str, list[Said]] = {}
    for row in rows:
        found.setdefault(row.content, []).append(record(row._mapping, Said))
    return found


def bytes_of(conn: Connection, hashes: Sequence[str]) -> dict[str, bytes]:
    """Return the exact bytes of each of some contents."""
    table = schema.contents
    rows = conn.execute(select(table.c.hash, table.c.bytes).where(table.c.hash.in_(list(hashes))))
    return {row[0]: row[1] for row in rows}


def names(conn: Connection, stix_ids: Sequence[str]) -> dict[str, str]:
    """Return the name of the newest version of each of some objects, as far as they are held."""
    table = schema.contents
    rows = conn.execute(
        select(table.c.stix_id, table.c.name).where(table.c.stix_id.in_(list(stix_ids))).order_by(table.c.seq)
    )
    return {row[0]: row[1] for row in rows}


def observables(conn: Connection, content: str) -> list[tuple[str, str, bool]]:
    """Return (kind, value, anchor) of each observable of a content."""
    table = schema.observables
    rows = conn.execute(
        select(table.c.kind, table.c.value, table.c.anchor)
        .where(table.c.content == content)
        .order_by(table.c.anchor, table.c.kind, table.c.value)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def named_by(conn: Connection, content: str) -> list[str]:
    """Return the ids that a content names."""
    table = schema.refs
    rows = conn.execute(select(table.c.target).where(table.c.content == content).order_by(table.c.target))
    return [row[0] for row in rows]


def naming(conn: Connection, stix_id: str, limit: int = 50, *, sightings: bool = False) -> list[Found]:
    """Return objects that name `stix_id`, newest first: sightings, or everything else."""
    contents, refs = schema.contents, schema.refs
    rows = conn.execute(
        select(*_COLUMNS)
        .join(refs, refs.c.content == contents.c.hash)
        .where(
            refs.c.target == stix_id,
            contents.c.type == "sighting" if sightings else contents.c.type != "sighting",
        )
        .order_by(contents.c.seq.desc())
        .limit(limit)
    )
    return [_found(row._mapping) for row in rows]


def said_of_type(conn: Connection, stix_type: str, limit: int) -> list[SaidBytes]:
    """Return statements about objects of a type with their bytes, oldest first."""
    contents, table = schema.contents, schema.statements
    rows = conn.execute(
        select(table.c.origin, table.c.at, contents.c.bytes.label("raw"))
        .join(contents, contents.c.hash == table.c.content)
        .where(contents.c.type == stix_type)
        .order_by(table.c.seq)
        .limit(limit)
    )
    return [record(row._mapping, SaidBytes) for row in rows]


def count_by_type(conn: Connection) -> dict[str, int]:
    """Count the contents held, by STIX type."""
    table = schema.contents
    rows = conn.execute(select(table.c.type, func.count()).group_by(table.c.type).order_by(table.c.type))
    return {row[0]: row[1] for row in rows}


_COLUMNS = (
    schema.contents.c.seq,
    schema.contents.c.hash,
    schema.contents.c.stix_id.label("id"),
    schema.contents.c.type,
    schema.contents.c.version,
    schema.contents.c.creator,
    schema.contents.c.name,
    schema.contents.c.unmatched,
    schema.contents.c.valid_until,
)


def _select(query: Query) -> Select[tuple[object, ...]]:
    contents = schema.contents
    wanted: Select[tuple[object, ...]] = select(*_COLUMNS).order_by(contents.c.seq.desc()).limit(query.limit)
    exact = {"stix_id": query.id, "type": query.type, "creator": query.creator}
    for column, value in exact.items():
        if value:
            wanted = wanted.where(contents.c[column] == value)
    if query.before:
        wanted = wanted.where(contents.c.seq < query.before)
    if query.values:
        wanted = wanted.where(contents.c.hash.in_(_hashes_with(query.values)))
    if query.origin:
        table = schema.statements
        wanted = wanted.where(
            contents.c.hash.in_(select(table.c.content).where(table.c.origin == query.origin))
        )
    if query.text:
        like = f"%{_escaped(query.text)}%"
        wanted = wanted.where(
            or_(contents.c.name.ilike(like, escape="\\"), contents.c.stix_id.ilike(like, escape="\\"))
        )
    return wanted


def _hashes_with(values: Sequence[tuple[str, str]]) -> Select[tuple[str]]:
    table = schema.observables
    return select(table.c.content).where(tuple_(table.c.kind, table.c.value).in_(list(values)))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _found(row: RowMapping) -> Found:
    return record(row, Found)
