"""Release statements about contents, and the facts that the release kernel decides on."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select

from lezha.sharing.release import Facts
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each


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


_STATEMENTS, _CONTENTS = schema.statements, schema.contents
_ARRIVED, _BESIDE = schema.arrivals, schema.companions
_SUBJECT: Final = _CONTENTS.c.hash == _STATEMENTS.c.content
_KNOWN: Final = select(_STATEMENTS.c.hash).where(_STATEMENTS.c.hash.in_(KEYS))
_ARRIVALS: Final = select(_ARRIVED.c.statement, _ARRIVED.c.member).where(_ARRIVED.c.statement.in_(KEYS))
_FACTS: Final = (
    select(
        _STATEMENTS.c.hash,
        _STATEMENTS.c.content,
        _STATEMENTS.c.origin,
        _STATEMENTS.c.own,
        _STATEMENTS.c.terms,
        _STATEMENTS.c.issued,
        _CONTENTS.c.markings,
        _CONTENTS.c.unreadable_marking,
    )
    .join(_CONTENTS, _SUBJECT)
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
    .where(_STATEMENTS.c.content.in_(KEYS), _STATEMENTS.c.own.is_(True))
    .order_by(_STATEMENTS.c.seq)
)
_SUBJECTS: Final = (
    select(_STATEMENTS.c.hash, _STATEMENTS.c.envelope, _CONTENTS.c.bytes)
    .join(_CONTENTS, _SUBJECT)
    .where(_STATEMENTS.c.hash.in_(KEYS))
)
_COMPANIONS: Final = (
    select(_BESIDE.c.statement, _BESIDE.c.content)
    .where(_BESIDE.c.statement.in_(KEYS))
    .order_by(_BESIDE.c.statement, _BESIDE.c.position)
)
_BYTES: Final = select(_CONTENTS.c.hash, _CONTENTS.c.bytes).where(_CONTENTS.c.hash.in_(KEYS))


def add(tx: Tx, signed: Sequence[Signed], actor: str) -> None:
    """Add those of the statements that are new; their contents are held."""
    unique = {statement.hash: statement for statement in signed}
    there = known(tx.conn, unique)
    new = [statement for key, statement in unique.items() if key not in there]
    if not new:
        return
    seqs = tx.events("statement", [statement.hash for statement in new], actor)
    rows = [_row(statement, tx.at, seq) for statement, seq in zip(new, seqs, strict=True)]
    tx.conn.execute(insert(schema.statements), rows)
    beside = [
        {"statement": statement.hash, "position": position, "content": content}
        for statement in new
        for position, content in enumerate(statement.companions)
    ]
    if beside:
        tx.conn.execute(insert(schema.companions), beside)


def arrived(tx: Tx, hashes: Iterable[str], member: str) -> None:
    """Record that `member` sent these statements here."""
    given = list(dict.fromkeys(hashes))
    there = {row.statement for row in each(tx.conn, _ARRIVALS, given) if row.member == member}
    rows = [{"statement": key, "member": member, "at": tx.at} for key in given if key not in there]
    if rows:
        tx.conn.execute(insert(schema.arrivals), rows)


def known(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log holds."""
    return {row.hash for row in each(conn, _KNOWN, hashes)}


def facts(conn: Connection, hashes: Sequence[str]) -> list[Facts]:
    """Return the facts for the release kernel, in the order of `hashes`. Raises NotFound."""
    found = {row.hash: row._mapping for row in each(conn, _FACTS, hashes)}
    senders: dict[str, set[str]] = {}
    for row in each(conn, _ARRIVALS, hashes):
        senders.setdefault(row.statement, set()).add(row.member)
    missing = [key for key in hashes if key not in found]
    if missing:
        raise NotFound(f"No statement {missing[0]} is held here.")
    return [_facts(found[key], senders.get(key, set())) for key in hashes]


def about(conn: Connection, stix_id: str) -> list[str]:
    """Return the hashes of all statements about any version of an object, oldest first."""
    statements, contents = schema.statements, schema.contents
    rows = conn.execute(
        select(statements.c.hash)
        .join(contents, contents.c.hash == statements.c.content)
        .where(contents.c.stix_id == stix_id)
        .order_by(statements.c.seq)
    )
    return [row.hash for row in rows]


def about_any(conn: Connection, stix_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the hashes of all statements about any version of each object, oldest first."""
    found: dict[str, list[str]] = {}
    for row in each(conn, _ABOUT, stix_ids):
        found.setdefault(row.stix_id, []).append(row.hash)
    return found


def own_about(conn: Connection, contents: Iterable[str]) -> list[str]:
    """Return the hashes of this member's own statements about contents, of each content oldest first."""
    return [row.hash for row in each(conn, _OWN_ABOUT, contents)]


def parcels(conn: Connection, hashes: Sequence[str]) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return for each statement its envelope and the bytes of its content and companions, content first."""
    found = {row.hash: (row.envelope, [row.bytes]) for row in each(conn, _SUBJECTS, hashes)}
    beside = [(row.statement, row.content) for row in each(conn, _COMPANIONS, hashes)]
    shared = {row.hash: row.bytes for row in each(conn, _BYTES, (content for _, content in beside))}
    for statement, content in beside:
        found[statement][1].append(shared[content])
    return found


def seqs_in_view(conn: Connection, recipient: str, after: int, upto: int) -> list[int]:
    """Return the seqs of the statements that a view's rows `after` < number <= `upto` give."""
    views, statements = schema.views, schema.statements
    rows = conn.execute(
        select(statements.c.seq)
        .join(views, views.c.ref == statements.c.hash)
        .where(views.c.recipient == recipient, views.c.number > after, views.c.number <= upto)
    )
    return [row.seq for row in rows]


def _row(statement: Signed, at: str, seq: int) -> dict[str, object]:
    return {
        "hash": statement.hash,
        "content": statement.content,
        "origin": statement.origin,
        "own": statement.own,
        "terms": msgspec.json.encode(statement.terms).decode(),
        "issued": statement.issued,
        "at": at,
        "seq": seq,
        "envelope": statement.envelope,
    }


def _facts(row: RowMapping, senders: set[str]) -> Facts:
    return Facts(
        statement=row["hash"],
        content=row["content"],
        terms=msgspec.json.decode(row["terms"], type=Terms),
        origin=row["origin"],
        author_here=row["own"],
        issued=row["issued"],
        came_from=frozenset(senders),
        markings=msgspec.json.decode(row["markings"], type=tuple[Tlp, ...]),
        unreadable_marking=row["unreadable_marking"],
    )
