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
from lezha.store.rows import parts as split


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
    table = schema.arrivals
    given = list(dict.fromkeys(hashes))
    there: set[str] = set()
    for part in split(given):
        query = select(table.c.statement).where(table.c.statement.in_(part), table.c.member == member)
        there.update(row.statement for row in tx.conn.execute(query))
    rows = [{"statement": key, "member": member, "at": tx.at} for key in given if key not in there]
    if rows:
        tx.conn.execute(insert(table), rows)


def known(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log holds."""
    table = schema.statements
    return {
        row.hash
        for part in split(hashes)
        for row in conn.execute(select(table.c.hash).where(table.c.hash.in_(part)))
    }


def facts(conn: Connection, hashes: Sequence[str]) -> list[Facts]:
    """Return the facts for the release kernel, in the order of `hashes`. Raises NotFound."""
    found: dict[str, RowMapping] = {}
    senders: dict[str, set[str]] = {}
    table = schema.arrivals
    for part in split(hashes):
        found.update(
            (row.hash, row._mapping) for row in conn.execute(_FACTS.where(schema.statements.c.hash.in_(part)))
        )
        arrivals = select(table.c.statement, table.c.member).where(table.c.statement.in_(part))
        for row in conn.execute(arrivals):
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
    statements, contents = schema.statements, schema.contents
    found: dict[str, list[str]] = {}
    for part in split(stix_ids):
        rows = conn.execute(
            select(contents.c.stix_id, statements.c.hash)
            .join(contents, contents.c.hash == statements.c.content)
            .where(contents.c.stix_id.in_(part))
            .order_by(statements.c.seq)
        )
        for row in rows:
            found.setdefault(row.stix_id, []).append(row.hash)
    return found


def parcels(conn: Connection, hashes: Sequence[str]) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return for each statement its envelope and the bytes of its content and companions, content first."""
    statements, contents, companions = schema.statements, schema.contents, schema.companions
    found: dict[str, tuple[bytes, list[bytes]]] = {}
    beside = (
        select(companions.c.statement, companions.c.content)
        .where(companions.c.statement.in_(hashes))
        .order_by(companions.c.statement, companions.c.position)
    )
    rows = conn.execute(
        select(statements.c.hash, statements.c.envelope, contents.c.bytes)
        .join(contents, contents.c.hash == statements.c.content)
        .where(statements.c.hash.in_(hashes))
    )
    for row in rows:
        found[row.hash] = (row.envelope, [row.bytes])
    wanted = [(row.statement, row.content) for row in conn.execute(beside)]
    few = {content for _, content in wanted}
    shared = {
        row.hash: row.bytes
        for row in conn.execute(select(contents.c.hash, contents.c.bytes).where(contents.c.hash.in_(few)))
    }
    for statement, content in wanted:
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


_FACTS: Final = select(
    schema.statements.c.hash,
    schema.statements.c.content,
    schema.statements.c.origin,
    schema.statements.c.own,
    schema.statements.c.terms,
    schema.statements.c.issued,
    schema.contents.c.markings,
    schema.contents.c.unreadable_marking,
).join(schema.contents, schema.contents.c.hash == schema.statements.c.content)


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
