"""Release statements about contents, and the facts that the release kernel decides on."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, exists, false, or_, select

from lezha.sharing.release import Facts
from lezha.sharing.terms import Terms
from lezha.stix.lines import Version
from lezha.store import contents, definitions, schema
from lezha.store.barred import CLAIMS_A_MEMBER, IN_DISPUTE
from lezha.store.definitions import Said
from lezha.store.errors import NotFound
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, each_raw, insert_rows, plain, record
from lezha.store.tombstones import RECALLED


class Signed(msgspec.Struct, frozen=True):
    """A verified statement. `hash` is the SHA-256 of its signed payload; `companions` are content hashes."""

    hash: str
    content: str
    origin: str
    own: bool
    terms: Terms
    issued: str
    envelope: bytes
    companions: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about."""

    statement: str
    origin: str
    content: str
    stix_id: str


_STATEMENTS, _CONTENTS = schema.statements, schema.contents
_ARRIVED, _BESIDE, _BODIES = schema.arrivals, schema.companions, schema.bodies
_DISPUTED, _PURGED = schema.disputes, schema.purges
_NONE: Final[Mapping[str, int]] = MappingProxyType({})
_REMEMBERED: Final = 4096  # characters
_LOST: Final = _PURGED.alias("lost")
_SUBJECT: Final = _CONTENTS.c.seq == _STATEMENTS.c.content
# docs/design.md, Authority: what claims a member as creator needs that member's own statement.
_UNAUTHORISED: Final = and_(CLAIMS_A_MEMBER, _STATEMENTS.c.origin.is_distinct_from(_CONTENTS.c.creator))
_SAID, _STONES = _STATEMENTS.alias("said"), schema.tombstones
# Both times are its author's own, so that the order of arrival does not matter. One within the other, so that SQLite,
# which keeps no statistics, does not walk all that the author has signed for each statement.
_TAKEN_BACK_SINCE: Final = (
    exists()
    .where(
        _STONES.c.statement == _SAID.c.hash,
        _STONES.c.member == _SAID.c.origin,
        _STONES.c.issued >= _STATEMENTS.c.issued,
    )
    .correlate(_STATEMENTS, _SAID)
)
_SAID_AND_RECALLED: Final = (
    exists()
    .where(_SAID.c.content == _BESIDE.c.content, _SAID.c.origin == _STATEMENTS.c.origin, _TAKEN_BACK_SINCE)
    .correlate(_STATEMENTS, _BESIDE)
)
_LOST_HERE: Final = exists().where(_LOST.c.content == _BESIDE.c.content).correlate(_BESIDE)
_INCOMPLETE: Final = (
    exists()
    .where(_BESIDE.c.statement == _STATEMENTS.c.seq, or_(_LOST_HERE, _SAID_AND_RECALLED))
    .correlate(_STATEMENTS)
)
_KNOWN: Final = select(_STATEMENTS.c.hash, _STATEMENTS.c.seq).where(_STATEMENTS.c.hash.in_(KEYS))
_ORIGINS: Final = select(_STATEMENTS.c.hash, _STATEMENTS.c.origin).where(_STATEMENTS.c.hash.in_(KEYS))
_ARRIVALS: Final = (
    select(_STATEMENTS.c.hash, _ARRIVED.c.member)
    .join(_ARRIVED, _ARRIVED.c.statement == _STATEMENTS.c.seq)
    .where(_STATEMENTS.c.hash.in_(KEYS))
)
TOLD: Final = (
    plain(_STATEMENTS.c.hash),
    plain(_CONTENTS.c.hash),
    plain(_CONTENTS.c.type),
    plain(_STATEMENTS.c.origin),
    plain(_STATEMENTS.c.own),
    plain(_STATEMENTS.c.terms),
    plain(_STATEMENTS.c.issued),
    plain(_CONTENTS.c.markings),
    plain(_CONTENTS.c.unreadable_marking),
    plain(or_(_DISPUTED.c.stix_id.is_not(None), _UNAUTHORISED)),
    plain(_PURGED.c.content.is_not(None)),
    plain(_INCOMPLETE),
    plain(RECALLED),
)
"""Columns of a statement and of its content, as `facts_of` takes them; `IN_DISPUTE` and `IS_PURGED` join the others."""
IS_PURGED: Final = _PURGED.c.content == _CONTENTS.c.seq
_FACTS: Final = (
    select(*TOLD)
    .join(_CONTENTS, _SUBJECT)
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .outerjoin(_PURGED, IS_PURGED)
    .where(_STATEMENTS.c.hash.in_(KEYS))
)
_ABOUT: Final = (
    select(_CONTENTS.c.stix_id, _STATEMENTS.c.hash)
    .join(_CONTENTS, _SUBJECT)
    .where(_CONTENTS.c.stix_id.in_(KEYS))
    .order_by(_STATEMENTS.c.seq)
)
_OWN_ABOUT: Final = (
    select(_STATEMENTS.c.hash)
    .join(_CONTENTS, _SUBJECT)
    .where(_CONTENTS.c.hash.in_(KEYS), _STATEMENTS.c.own.is_(True))
    .order_by(_STATEMENTS.c.seq)
)
_SUBJECTS: Final = (
    select(_STATEMENTS.c.hash, _STATEMENTS.c.envelope, _BODIES.c.bytes)
    .join(_BODIES, _BODIES.c.content == _STATEMENTS.c.content)
    .where(_STATEMENTS.c.hash.in_(KEYS))
)
_COMPANIONS: Final = (
    select(_STATEMENTS.c.hash.label("statement"), _BESIDE.c.content)
    .join(_BESIDE, _BESIDE.c.statement == _STATEMENTS.c.seq)
    .where(_STATEMENTS.c.hash.in_(KEYS))
    .order_by(_STATEMENTS.c.seq, _BESIDE.c.position)
)
_TOLD: Final = (
    _STATEMENTS.c.hash.label("statement"),
    _STATEMENTS.c.origin,
    _CONTENTS.c.hash.label("content"),
    _CONTENTS.c.stix_id,
)
_ABOUT_WHAT: Final = select(*_TOLD).join(_CONTENTS, _SUBJECT).where(_STATEMENTS.c.hash.in_(KEYS))
_TOLD_OF: Final = (
    select(*_TOLD).select_from(_CONTENTS).outerjoin(_STATEMENTS, _SUBJECT).where(_CONTENTS.c.hash.in_(KEYS))
)
_VERSION: Final = (_CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.hash, _CONTENTS.c.revoked)
_IS_PURGED: Final = _PURGED.c.content.is_not(None).label("purged")
_LINES: Final = (
    select(
        *_VERSION,
        _STATEMENTS.c.origin,
        _STATEMENTS.c.own,
        or_(_DISPUTED.c.stix_id.is_not(None), _UNAUTHORISED).label("barred"),
        _IS_PURGED,
        RECALLED.label("recalled"),
    )
    .join(_STATEMENTS, _SUBJECT)
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .outerjoin(_PURGED, _PURGED.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.stix_id.in_(KEYS))
)
_UNSIGNED: Final = (
    select(
        *_VERSION,
        or_(_DISPUTED.c.stix_id.is_not(None), CLAIMS_A_MEMBER).label("barred"),
        _IS_PURGED,
        false().label("recalled"),
    )
    .outerjoin(_DISPUTED, IN_DISPUTE)
    .outerjoin(_PURGED, _PURGED.c.content == _CONTENTS.c.seq)
    .where(
        _CONTENTS.c.stix_id.in_(KEYS),
        or_(
            exists().where(schema.posts.c.content == _CONTENTS.c.seq).correlate(_CONTENTS),
            ~exists().where(_SUBJECT).correlate(_CONTENTS),
        ),
    )
)
_NAMING: Final = (
    select(_CONTENTS.c.hash)
    .join(schema.refs, schema.refs.c.content == _CONTENTS.c.seq)
    .outerjoin(_STATEMENTS, _SUBJECT)
    .where(schema.refs.c.target == bindparam("target"))
)
_ABOUT_CONTENT: Final = select(_CONTENTS.c.seq, _CONTENTS.c.stix_id).where(_CONTENTS.c.hash.in_(KEYS))
_BYTES: Final = select(_BODIES.c.content, _BODIES.c.bytes).where(_BODIES.c.content.in_(KEYS))


def add(tx: Tx, signed: Sequence[Signed], actor: str, fresh: Mapping[str, int] = _NONE) -> Mapping[str, int]:
    """Add those of the statements that are new; return their seqs. Raises NotFound if a content is not held.

    `fresh` are the seqs of contents that `contents.add` has just returned.
    """
    unique = {statement.hash: statement for statement in signed}
    there = known(tx.conn, unique)
    new = [statement for key, statement in unique.items() if key not in there]
    if not new:
        return _NONE
    subjects = {**fresh, **contents.seqs(tx.conn, (key for key in _contents_of(new) if key not in fresh))}
    if missing := [key for key in _contents_of(new) if key not in subjects]:
        raise NotFound(f"No content {missing[0]} is held here.")
    seqs = tx.events("statement", [statement.hash for statement in new], actor)
    rows = [_row(one, tx.at, seq, subjects[one.content]) for one, seq in zip(new, seqs, strict=True)]
    insert_rows(tx.conn, schema.statements, rows)
    beside = [
        (seq, position, subjects[content])
        for statement, seq in zip(new, seqs, strict=True)
        for position, content in enumerate(statement.companions)
    ]
    insert_rows(tx.conn, schema.companions, beside)
    return {one.hash: seq for one, seq in zip(new, seqs, strict=True)}


def arrived(tx: Tx, hashes: Iterable[str], member: str, fresh: Mapping[str, int] = _NONE) -> None:
    """Record that `member` sent these statements here; `fresh` are the seqs of those that `add` has just returned."""
    given = list(dict.fromkeys(hashes))
    before = [key for key in given if key not in fresh]
    there = {row.hash for row in each(tx.conn, _ARRIVALS, before) if row.member == member}
    seqs = {**fresh, **{row.hash: row.seq for row in each(tx.conn, _KNOWN, before)}}
    insert_rows(tx.conn, schema.arrivals, [(seqs[key], member, tx.at) for key in given if key not in there])


def origins(conn: Connection, hashes: Iterable[str]) -> dict[str, str]:
    """Return who signed each of those of `hashes` that the log holds."""
    return {row.hash: row.origin for row in each(conn, _ORIGINS, hashes)}


def known(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log holds."""
    keys = map(bytes.fromhex, hashes)
    return {row[0].hex() for row in each_raw(conn, "SELECT hash FROM statements WHERE hash", keys)}


def facts(conn: Connection, hashes: Sequence[str]) -> list[Facts]:
    """Return the facts for the release kernel, in the order of `hashes`. Raises NotFound."""
    found = {row[0].hex(): tuple(row) for row in each(conn, _FACTS, hashes)}
    missing = [key for key in hashes if key not in found]
    if missing:
        raise NotFound(f"No statement {missing[0]} is held here.")
    return facts_of(conn, [found[key] for key in hashes])


def facts_of(conn: Connection, rows: Sequence[tuple[Any, ...]], *, senders: bool = True) -> list[Facts]:
    """Return the facts of rows of `TOLD`. Without `senders` it is left open who sent what, which members alone are
    asked about.
    """
    came_from: dict[str, set[str]] = {}
    if senders:
        for row in each(conn, _ARRIVALS, [row[0].hex() for row in rows]):
            came_from.setdefault(row.hash, set()).add(row.member)
    marked = [row[0].hex() for row in rows if row[_UNREADABLE] and not row[_GONE]]
    said = definitions.beside(conn, marked) if marked else {}
    return [_facts(row, came_from, said) for row in rows]


def about(conn: Connection, stix_id: str) -> list[str]:
    """Return the hashes of all statements about any version of an object, oldest first."""
    return about_any(conn, [stix_id]).get(stix_id, [])


def about_any(conn: Connection, stix_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the hashes of all statements about any version of each object, oldest first."""
    found: dict[str, list[str]] = {}
    for row in each(conn, _ABOUT, stix_ids):
        found.setdefault(row.stix_id, []).append(row.hash)
    return found


def own_about(conn: Connection, contents: Iterable[str]) -> list[str]:
    """Return the hashes of this member's own statements about contents, of each content oldest first."""
    return [row.hash for row in each(conn, _OWN_ABOUT, contents)]


def own_naming(conn: Connection, stix_id: str, limit: int) -> list[str]:
    """Return up to `limit` hashes of this member's own statements about objects that name one, oldest first."""
    naming = _NAMING.with_only_columns(_STATEMENTS.c.hash).where(_STATEMENTS.c.own.is_(True))
    return list(conn.scalars(naming.order_by(_STATEMENTS.c.seq).limit(limit), {"target": stix_id}))


def own_carrying(conn: Connection, contents: Iterable[str], limit: int) -> list[str]:
    """Return this member's own statements beside which any of these contents goes, up to `limit` of each, oldest first.

    By what names the content's object, as all do beside which it goes: no index has companions by content.
    """
    found: list[str] = []
    for one in each(conn, _ABOUT_CONTENT, contents):
        carried = exists().where(_BESIDE.c.statement == _STATEMENTS.c.seq, _BESIDE.c.content == one.seq)
        naming = _NAMING.with_only_columns(_STATEMENTS.c.hash).where(_STATEMENTS.c.own.is_(True))
        naming = naming.where(carried.correlate(_STATEMENTS)).order_by(_STATEMENTS.c.seq).limit(limit)
        found += conn.scalars(naming, {"target": one.stix_id})
    return found


def own_ties(conn: Connection, stix_id: str) -> list[str]:
    """Return the contents of relationships that name an object and that this member signed or brought here."""
    brought = exists().where(schema.posts.c.content == _CONTENTS.c.seq).correlate(_CONTENTS)
    ties = _NAMING.with_only_columns(_CONTENTS.c.hash).distinct()
    ties = ties.where(_CONTENTS.c.type == "relationship", or_(_STATEMENTS.c.own.is_(True), brought))
    return list(conn.scalars(ties, {"target": stix_id}))


def parcels(conn: Connection, hashes: Sequence[str]) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return for each statement its envelope and the bytes of its content and companions, content first.

    What has been purged is left out.
    """
    found = {row.hash: (row.envelope, [row.bytes]) for row in each(conn, _SUBJECTS, hashes)}
    beside = [(row.statement, row.content) for row in each(conn, _COMPANIONS, hashes)]
    shared = {row.content: row.bytes for row in each(conn, _BYTES, (content for _, content in beside))}
    for statement, content in beside:
        if content not in shared:
            found.pop(statement, None)
        elif statement in found:
            found[statement][1].append(shared[content])
    return found


def subjects(conn: Connection, hashes: Iterable[str]) -> list[Subject]:
    """Return what these statements are about."""
    return [record(row._mapping, Subject) for row in each(conn, _ABOUT_WHAT, hashes)]


def subjects_of(conn: Connection, hashes: Iterable[str]) -> list[Subject]:
    """Return who told of these contents; those that came without a statement have the origin ""."""
    return [
        Subject(row.statement or "", row.origin or "", row.content, row.stix_id)
        for row in each(conn, _TOLD_OF, hashes)
    ]


def claims(conn: Connection, member: str, stix_type: str) -> list[str]:
    """Return contents that name a member known here as creator and that not it alone has told of.

    Of one type unless it is empty.
    """
    of_type = (_CONTENTS.c.type == stix_type,) if stix_type else ()
    by_others = exists().where(_SUBJECT, _STATEMENTS.c.origin != member).correlate(_CONTENTS)
    brought = exists().where(schema.posts.c.content == _CONTENTS.c.seq).correlate(_CONTENTS)
    rows = conn.execute(
        select(_CONTENTS.c.hash)
        .where(
            _CONTENTS.c.creator == member,
            *of_type,
            CLAIMS_A_MEMBER,
            or_(by_others, brought),
        )
        .order_by(_CONTENTS.c.seq)
    )
    return [row.hash for row in rows]


def lines(conn: Connection, stix_ids: Iterable[str]) -> dict[str, dict[str, list[Version]]]:
    """Return the versions of each object by who told of them: object id -> origin -> versions.

    The line of the origin "" is all that came without a statement, also where somebody has signed for it, and what this
    member has signed itself: its later word ends what it brought before. Of several statements about one version any
    that stands suffices.
    """
    ids = list(stix_ids)
    found: dict[str, dict[str, dict[str, Version]]] = {}
    for row in each(conn, _LINES, ids):
        for origin in (row.origin, "") if row.own else (row.origin,):
            _put(found.setdefault(row.stix_id, {}).setdefault(origin, {}), row)
    for row in each(conn, _UNSIGNED, ids):
        _put(found.setdefault(row.stix_id, {}).setdefault("", {}), row)
    return {
        stix_id: {origin: list(line.values()) for origin, line in by_origin.items()}
        for stix_id, by_origin in found.items()
    }


def _put(line: dict[str, Version], row: Row[Any]) -> None:
    there = line.get(row.hash)
    if there is None or there.barred or there.recalled:
        line[row.hash] = Version(row.version, row.hash, row.revoked, row.barred, row.purged, row.recalled)


_SEQS_IN_VIEW: Final = (
    select(schema.statements.c.seq)
    .join(schema.views, schema.views.c.ref == schema.statements.c.hash)
    .where(
        schema.views.c.recipient == bindparam("recipient"),
        schema.views.c.number > bindparam("after"),
        schema.views.c.number <= bindparam("upto"),
    )
)


def seq_of(conn: Connection, statement: str) -> int:
    """Return the number of the event by which a statement came. Raises NotFound."""
    for row in each(conn, _KNOWN, [statement]):
        return int(row.seq)
    raise NotFound(f"No statement {statement} is held here.")


def seqs_in_view(conn: Connection, recipient: str, after: int, upto: int) -> list[int]:
    """Return the seqs of the statements that a view's rows `after` < number <= `upto` give."""
    given = {"recipient": recipient, "after": after, "upto": upto}
    return [row.seq for row in conn.execute(_SEQS_IN_VIEW, given)]


def _contents_of(signed: Iterable[Signed]) -> Iterable[str]:
    for statement in signed:
        yield statement.content
        yield from statement.companions


def _row(statement: Signed, at: str, seq: int, content: int) -> tuple[object, ...]:
    return (
        seq,
        bytes.fromhex(statement.hash),
        content,
        statement.origin,
        statement.own,
        msgspec.json.encode(statement.terms).decode(),
        statement.issued,
        at,
        statement.envelope,
    )


_UNREADABLE, _GONE = 8, 10
_NOBODY: Final[frozenset[str]] = frozenset()


def _facts(row: tuple[Any, ...], came_from: Mapping[str, set[str]], said: Mapping[str, Said]) -> Facts:
    (
        statement,
        content,
        kind,
        origin,
        own,
        terms,
        issued,
        levels,
        unreadable,
        quarantined,
        purged,
        incomplete,
        recalled,
    ) = row
    key = statement.hex()
    beside = said.get(key)
    return Facts(
        key,
        content.hex(),
        terms_of(terms),
        origin,
        bool(own),
        issued,
        frozenset(came_from[key]) if key in came_from else _NOBODY,
        contents.markings_of(levels) + (beside.levels if beside else ()),
        unreadable_marking=bool(unreadable) and beside is None,
        recalled=bool(recalled),
        quarantined=bool(quarantined),
        purged=bool(purged),
        incomplete=bool(incomplete),
        paps=beside.paps if beside else (),
        type=kind,
    )


def terms_of(text: str) -> Terms:
    """Read terms as they are kept. Short ones are the same few again and again: the kernel knows those at once."""
    return _remembered(text) if len(text) <= _REMEMBERED else _read(text)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> Terms:
    return _read(text)


def _read(text: str) -> Terms:
    return msgspec.json.decode(text, type=Terms)
