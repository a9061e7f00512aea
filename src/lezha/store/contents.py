"""Contents: exact bytes under their SHA-256, with what is derived from them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from lezha.sharing.tlp import Tlp
from lezha.stix.versions import substance
from lezha.store import keys, schema, substances, texts
from lezha.store.errors import NotFound
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, each_raw, insert_rows, parts
from lezha.store.tombstones import RECALLED


class Content(msgspec.Struct, frozen=True):
    """One object version as it is kept.

    `version` sorts as the object's `modified`; `markings` are the TLP levels that the object itself carries.
    `observables` (kind, value) each stand for the object alone; `anchors` are named by an indicator's pattern and do
    not suffice to report it. `unmatched` says in words what of it a live sensor can't match; empty if nothing.
    `marking_ids` are the marking definitions that it names; `text` is what a search by words looks at.
    """

    hash: str
    stix_id: str
    type: str
    version: str
    creator: str
    name: str
    raw: bytes
    markings: tuple[Tlp, ...] = ()
    unreadable_marking: bool = False
    revoked: bool = False
    unmatched: str = ""
    valid_until: str = ""
    observables: tuple[tuple[str, str], ...] = ()
    anchors: tuple[tuple[str, str], ...] = ()
    refs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    marking_ids: tuple[str, ...] = ()
    text: str = ""


class Watched(msgspec.Struct, frozen=True):
    """An indicator as a sensor needs it; once revoked it has no observables.

    Times are RFC 3339 UTC, `valid_until` empty for no end.
    """

    key: str
    version: str
    observables: tuple[tuple[str, str], ...]
    valid_until: str
    unmatched: str


class Purge(msgspec.Struct, frozen=True):
    """That the bytes of a content have been destroyed here: when, by whom, and why."""

    at: str
    actor: str
    why: str


_CONTENTS, _BODIES = schema.contents, schema.bodies
_IDS_HELD: Final = select(_CONTENTS.c.stix_id).where(_CONTENTS.c.stix_id.in_(KEYS)).distinct()
_PURGED: Final = (
    select(_CONTENTS.c.hash, schema.purges.c.at, schema.purges.c.actor, schema.purges.c.why)
    .join(schema.purges, schema.purges.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_PURGED_IDS: Final = (
    select(_CONTENTS.c.stix_id)
    .join(schema.purges, schema.purges.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.stix_id.in_(KEYS))
    .distinct()
)
_BYTES: Final = (
    select(_CONTENTS.c.hash, _BODIES.c.bytes)
    .join(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_STATED: Final = exists().where(
    schema.statements.c.content == _CONTENTS.c.seq, schema.statements.c.origin == _CONTENTS.c.creator
)
_POSTED: Final = exists().where(schema.posts.c.content == _CONTENTS.c.seq)
_SIZES: Final = (
    select(_CONTENTS.c.hash, func.length(_BODIES.c.bytes).label("size"))
    .join(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS))
)
_SIGNED_HERE: Final = exists().where(
    schema.statements.c.content == _CONTENTS.c.seq, schema.statements.c.own.is_(True)
)
_STANDS_HERE: Final = exists().where(
    schema.statements.c.content == _CONTENTS.c.seq, schema.statements.c.own.is_(True), ~RECALLED
)
_OWN_BYTES: Final = (
    select(_BODIES.c.bytes)
    .join(_CONTENTS, _BODIES.c.content == _CONTENTS.c.seq)
    .where(
        _CONTENTS.c.stix_id.in_(KEYS),
        _CONTENTS.c.type.in_(bindparam("types", expanding=True)),
        or_(_STANDS_HERE, and_(_POSTED, ~_SIGNED_HERE)),
    )
    .order_by(_CONTENTS.c.seq)
)
# Nobody stands for what came only beside something else, or with another member's statement.
_VERSIONS: Final = select(
    _CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.creator, _CONTENTS.c.hash
).where(_CONTENTS.c.stix_id.in_(KEYS), or_(_STATED, _POSTED))
_REDERIVE: Final = (
    update(_CONTENTS)
    .where(_CONTENTS.c.seq == bindparam("of"))
    .values(
        {column.name: bindparam(column.name) for column in _CONTENTS.c if column.name not in ("seq", "hash")}
    )
)
_OF_HELD: Final = select(
    _CONTENTS.c.seq, _CONTENTS.c.hash, _CONTENTS.c.stix_id, _BODIES.c.bytes.label("raw")
).join(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
_HELD_OF: Final = _OF_HELD.where(_CONTENTS.c.stix_id.in_(KEYS)).order_by(_CONTENTS.c.seq)
_PAGE: Final = (
    select(_BODIES.c.content, _BODIES.c.bytes)
    .where(_BODIES.c.content > bindparam("after"))
    .order_by(_BODIES.c.content)
    .limit(bindparam("limit"))
)
_WALK: Final = (
    _OF_HELD.where(_CONTENTS.c.seq > bindparam("after")).order_by(_CONTENTS.c.seq).limit(bindparam("limit"))
)
_CAME_BEFORE: Final = (
    _OF_HELD.where(
        _CONTENTS.c.type == bindparam("type"),
        _CONTENTS.c.seq > bindparam("after"),
        _CONTENTS.c.seq <= bindparam("upto"),
    )
    .order_by(_CONTENTS.c.seq)
    .limit(bindparam("limit"))
)
_MARKINGS: Final = (
    select(_CONTENTS.c.hash, schema.tags.c.value)
    .join(schema.tags, schema.tags.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS), schema.tags.c.kind == "marking")
    .order_by(schema.tags.c.value)
)
# An expression, so that SQLite, which keeps no statistics, does not walk all that the creator has made instead.
_CREATOR: Final = _CONTENTS.c.creator.concat(literal_column("''"))
_MADE_BY: Final = (
    select(_CONTENTS.c.stix_id)
    .where(_CONTENTS.c.stix_id.in_(KEYS), bindparam("creator") == _CREATOR)
    .distinct()
)
_FORGET: Final = (
    update(_CONTENTS).where(_CONTENTS.c.seq == bindparam("of")).values(name="", unmatched="", valid_until="")
)
_INDICATORS: Final = select(
    _CONTENTS.c.hash,
    _CONTENTS.c.stix_id,
    _CONTENTS.c.version,
    _CONTENTS.c.revoked,
    _CONTENTS.c.valid_until,
    _CONTENTS.c.unmatched,
).where(_CONTENTS.c.hash.in_(KEYS), _CONTENTS.c.type == "indicator")
_ALONE: Final = (
    select(_CONTENTS.c.hash, schema.observables.c.kind, schema.observables.c.value)
    .join(schema.observables, schema.observables.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.hash.in_(KEYS), schema.observables.c.anchor.is_(False))
    .order_by(_CONTENTS.c.seq, schema.observables.c.kind, schema.observables.c.value)
)
_DERIVED: Final = (schema.observables, schema.refs, schema.tags)


def held(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log knows, purged ones included."""
    return set(seqs(conn, hashes))


def seqs(conn: Connection, hashes: Iterable[str]) -> dict[str, int]:
    """Return the seq of each of `hashes` that the log knows."""
    keys = [bytes.fromhex(key) for key in hashes]
    return {row[0].hex(): row[1] for row in each_raw(conn, "SELECT hash, seq FROM contents WHERE hash", keys)}


def purged_ids(conn: Connection, stix_ids: Iterable[str]) -> list[str]:
    """Return those of `stix_ids` of which something has been purged here."""
    return [row.stix_id for row in each(conn, _PURGED_IDS, stix_ids)]


def purged(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` whose bytes have been destroyed here."""
    return set(purges(conn, hashes))


def purges(conn: Connection, hashes: Iterable[str]) -> dict[str, Purge]:
    """Return of those of `hashes` whose bytes have been destroyed here how that came about."""
    return {row.hash: Purge(row.at, row.actor, row.why) for row in each(conn, _PURGED, hashes)}


def add(
    tx: Tx,
    contents: Sequence[Content],
    actor: str,
    *,
    kind: str = "content",
    known: Container[str] | None = None,
) -> dict[str, int]:
    """Add the contents that are new; return their seqs. What was purged is known, and stays without bytes.

    `kind` is that of the event of their arrival. `known` are those of them that are held, if the caller knows.
    """
    unique = {content.hash: content for content in contents}
    there = seqs(tx.conn, unique) if known is None else known
    new = [content for key, content in unique.items() if key not in there]
    if not new:
        return {}
    numbers = tx.events(kind, [content.hash for content in new], actor)
    insert_rows(tx.conn, schema.contents, [_row(one, seq) for one, seq in zip(new, numbers, strict=True)])
    insert_rows(
        tx.conn, schema.bodies, [(seq, content.raw) for content, seq in zip(new, numbers, strict=True)]
    )
    derive(tx.conn, list(zip(new, numbers, strict=True)))
    return {content.hash: seq for content, seq in zip(new, numbers, strict=True)}


def rederive(tx: Tx, contents: Sequence[tuple[Content, int]]) -> None:
    """Replace whatever is derived from contents that are held; full text is added, so it must have been cleared."""
    if not contents:
        return
    columns = [column.name for column in _CONTENTS.c]
    rows = [dict(zip(columns, _row(content, seq), strict=True)) for content, seq in contents]
    tx.conn.execute(_REDERIVE, [{"of": row.pop("seq")} | row for row in rows if row.pop("hash")])
    for table in _DERIVED:
        tx.conn.execute(
            delete(table).where(table.c.content == bindparam("of")), [{"of": seq} for _, seq in contents]
        )
    texts.forget(tx.conn, [seq for _, seq in contents])
    derive(tx.conn, contents)


def derive(conn: Connection, contents: Sequence[tuple[Content, int]]) -> None:
    """Write what is derived from contents, given with their seqs; of which nothing derived may be there."""
    seen, named, tagged, words = [], [], [], []
    for content, seq in contents:
        if content.observables or content.anchors:
            alone = frozenset(content.observables)
            for kind, value in dict.fromkeys((*content.observables, *content.anchors)):
                seen.append((kind, keys.encode(kind, value), seq, (kind, value) not in alone))
        named += [(target, seq) for target in dict.fromkeys(content.refs)]
        tagged += [("label", label, seq) for label in dict.fromkeys(content.labels)]
        tagged += [("marking", marking, seq) for marking in dict.fromkeys(content.marking_ids)]
        if content.text:
            words.append((seq, content.text))
    insert_rows(conn, schema.observables, seen)
    insert_rows(conn, schema.refs, named)
    insert_rows(conn, schema.tags, tagged)
    texts.add(conn, words)


_BLOCK_BYTES: Final = 8 << 20
_FETCHED: Final = 16  # rows at a time: they may have a megabyte each


class Held(msgspec.Struct, frozen=True):
    """A content whose bytes are held."""

    seq: int
    hash: str
    stix_id: str
    raw: bytes


def held_of(conn: Connection, stix_ids: Sequence[str]) -> list[Held]:
    """Return versions of some objects whose bytes are held: as many as make 8 MiB, or one; none if there are none."""
    for part in parts(stix_ids):
        if found := _some(conn, _HELD_OF, {"keys": part}):
            return found
    return []


def walk(conn: Connection, after: int, limit: int) -> list[Held]:
    """Return contents whose bytes are held, numbered above `after`, in order: up to `limit`, or 8 MiB, or one."""
    return _some(conn, _WALK, {"after": after, "limit": limit})


def _some(conn: Connection, query: Select[Any], given: Mapping[str, object]) -> list[Held]:
    found: list[Held] = []
    size = 0
    with conn.execute(query, given, execution_options={"stream_results": True}) as rows:
        for row in rows.yield_per(_FETCHED):
            size += len(row.raw)
            if found and size > _BLOCK_BYTES:
                break
            found.append(Held(row.seq, row.hash, row.stix_id, row.raw))
    return found


def page(conn: Connection, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Return the number and the bytes of up to `limit` contents numbered above `after`, in order."""
    return [(row[0], row[1]) for row in conn.execute(_PAGE, {"after": after, "limit": limit})]


@lru_cache(maxsize=64)
def markings_of(text: str) -> tuple[Tlp, ...]:
    """Read the TLP levels of an object's own markings as they are kept."""
    return msgspec.json.decode(text, type=tuple[Tlp, ...])


def count(conn: Connection) -> int:
    """Count the contents that the log knows."""
    return conn.scalar(select(func.count()).select_from(_CONTENTS)) or 0


def came_before(conn: Connection, stix_type: str, after: int, upto: int, limit: int) -> list[Held]:
    """Return contents of a type whose bytes are held, `after` < number <= `upto`, in order; as many as `walk`."""
    return _some(conn, _CAME_BEFORE, {"type": stix_type, "after": after, "upto": upto, "limit": limit})


def count_before(conn: Connection, stix_type: str, seq: int, most: int) -> int:
    """Count the contents of a type whose bytes are held, numbered up to `seq`, but no further than `most`."""
    some = select(_CONTENTS.c.seq).join(_BODIES, _BODIES.c.content == _CONTENTS.c.seq)
    some = some.where(_CONTENTS.c.type == stix_type, _CONTENTS.c.seq <= seq).limit(most)
    return conn.scalar(select(func.count()).select_from(some.subquery())) or 0


def purge(tx: Tx, gone: Sequence[Held], why: str, actor: str) -> None:
    """Destroy bytes and all that is derived from them but their words (`texts.remove`).

    The hash, the id, statements and events stay. What is left in free pages and in the index of words goes when
    `texts.merge` and `Log.scrub` have run.
    """
    _keep_substances(tx.conn, gone)
    rows = [{"of": one.seq} for one in gone]
    for table in (schema.bodies, *_DERIVED):
        tx.conn.execute(delete(table).where(table.c.content == bindparam("of")), rows)
    tx.conn.execute(_FORGET, rows)
    insert_rows(tx.conn, schema.purges, [(one.seq, why, actor, tx.at) for one in gone])
    tx.events("purged", [one.hash for one in gone], actor, why=why)


def _keep_substances(conn: Connection, gone: Sequence[Held]) -> None:
    """Keep what tells whether a content that comes later says the same (docs/design.md, Authority)."""
    there = substances.kept(conn, [one.seq for one in gone])
    substances.keep(conn, {one.seq: substance(one.raw) for one in gone if one.seq not in there})


def bytes_of(conn: Connection, hashes: Iterable[str]) -> dict[str, bytes]:
    """Return the exact bytes of each of some contents, as far as they are held and not purged."""
    return {row.hash: row.bytes for row in each(conn, _BYTES, hashes)}


def own_bytes_of(conn: Connection, stix_ids: Iterable[str], types: Sequence[str]) -> list[bytes]:
    """Return the bytes of all versions of objects of these types that this member has brought here or signed.

    What it has signed and recalled is left out.
    """
    return [row.bytes for row in each(conn, _OWN_BYTES, stix_ids, types=list(types))]


def made_by(conn: Connection, stix_ids: Iterable[str], creator: str) -> set[str]:
    """Return those of `stix_ids` of which a version is held that names `creator` as its creator."""
    return {row.stix_id for row in each(conn, _MADE_BY, stix_ids, creator=creator)}


def markings(conn: Connection, hashes: Iterable[str]) -> dict[str, list[str]]:
    """Return the marking definitions that each of some contents names; of what was purged none are known."""
    found: dict[str, list[str]] = {}
    for row in each(conn, _MARKINGS, hashes):
        found.setdefault(row.hash, []).append(row.value)
    return found


def sizes(conn: Connection, hashes: Iterable[str]) -> dict[str, int]:
    """Return how many bytes each of some contents has, as far as they are held and not purged."""
    return {row.hash: row.size for row in each(conn, _SIZES, hashes)}


def raw(conn: Connection, content: str) -> bytes:
    """Return the exact bytes of a content. Raises NotFound."""
    found = bytes_of(conn, [content]).get(content)
    if found is None:
        gone = "has been purged here" if purged(conn, [content]) else "is held here"
        raise NotFound(f"Content {content} {gone}." if "purged" in gone else f"No content {content} {gone}.")
    return found


def ids_held(conn: Connection, stix_ids: Iterable[str]) -> set[str]:
    """Return those of `stix_ids` of which some version is held."""
    return {row.stix_id for row in each(conn, _IDS_HELD, stix_ids)}


def in_conflict(conn: Connection, contents: Iterable[Content]) -> set[str]:
    """Return the hashes of those contents of whose id, version and creator other bytes are held.

    Only such bytes count as their creator has signed for, or as were brought here without a statement.
    """
    given = list(contents)
    there: dict[tuple[str, str, str], set[str]] = {}
    for row in each(conn, _VERSIONS, (content.stix_id for content in given)):
        there.setdefault((row.stix_id, row.version, row.creator), set()).add(row.hash)
    return {
        content.hash
        for content in given
        if there.get((content.stix_id, content.version, content.creator), set()) - {content.hash}
    }


def watched(conn: Connection, hashes: Iterable[str]) -> dict[str, Watched]:
    """Return what a sensor needs of those of some contents that are indicators."""
    given = list(hashes)
    alone: dict[str, list[tuple[str, str]]] = {}
    for row in each(conn, _ALONE, given):
        alone.setdefault(row.hash, []).append((row.kind, keys.decode(row.kind, row.value)))
    return {
        row.hash: Watched(
            key=row.stix_id,
            version=row.version,
            observables=() if row.revoked else tuple(alone.get(row.hash, ())),
            valid_until=row.valid_until,
            unmatched=row.unmatched,
        )
        for row in each(conn, _INDICATORS, given)
    }


def _row(content: Content, seq: int) -> tuple[object, ...]:
    return (
        seq,
        bytes.fromhex(content.hash),
        content.stix_id,
        content.type,
        content.version,
        content.creator,
        content.name,
        _json(content.markings),
        content.unreadable_marking,
        content.revoked,
        content.unmatched,
        content.valid_until,
    )


@lru_cache(maxsize=64)
def _json(markings: tuple[Tlp, ...]) -> str:
    return msgspec.json.encode(markings).decode()
