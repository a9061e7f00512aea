"""Release statements about contents, and the facts that the release kernel decides on."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select

from lezha.sharing.release import Facts
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.log import Tx


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


def add(tx: Tx, statement: Signed, actor: str) -> bool:
    """Add a statement whose contents are held; return False if it was there."""
    if known(tx.conn, [statement.hash]):
        return False
    seq = tx.event("statement", statement.hash, actor)
    tx.conn.execute(
        insert(schema.statements).values(
            hash=statement.hash,
            content=statement.content,
            origin=statement.origin,
            own=statement.own,
            terms=msgspec.json.encode(statement.terms).decode(),
            issued=statement.issued,
            at=tx.at,
            seq=seq,
            envelope=statement.envelope,
        )
    )
    rows = [
        {"statement": statement.hash, "position": position, "content": content}
        for position, content in enumerate(statement.companions)
    ]
    if rows:
        tx.conn.execute(insert(schema.companions), rows)
    return True


def arrived(tx: Tx, statement: str, member: str) -> None:
    """Record that `member` sent `statement` here."""
    table = schema.arrivals
    there = select(table.c.member).where(table.c.statement == statement, table.c.member == member)
    if tx.conn.scalar(there) is None:
        tx.conn.execute(insert(table).values(statement=statement, member=member, at=tx.at))


def known(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log holds."""
    table = schema.statements
    rows = conn.execute(select(table.c.hash).where(table.c.hash.in_(list(hashes))))
    return {row.hash for row in rows}


def facts(conn: Connection, hashes: Sequence[str]) -> list[Facts]:
    """Return the facts for the release kernel, in the order of `hashes`. Raises NotFound."""
    statements, contents, arrivals = schema.statements, schema.contents, schema.arrivals
    found = {
        row.hash: row._mapping
        for row in conn.execute(
            select(
                statements.c.hash,
                statements.c.content,
                statements.c.origin,
                statements.c.own,
                statements.c.terms,
                statements.c.issued,
                contents.c.markings,
                contents.c.unreadable_marking,
            )
            .join(contents, contents.c.hash == statements.c.content)
            .where(statements.c.hash.in_(list(hashes)))
        )
    }
    senders: dict[str, set[str]] = {}
    for row in conn.execute(
        select(arrivals.c.statement, arrivals.c.member).where(arrivals.c.statement.in_(list(hashes)))
    ):
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


def parts(conn: Connection, statement: str) -> tuple[bytes, list[bytes]]:
    """Return the envelope of a statement and the bytes of its content and companions, content first.

    Raises NotFound.
    """
    statements, contents, companions = schema.statements, schema.contents, schema.companions
    row = conn.execute(
        select(statements.c.envelope, contents.c.bytes)
        .join(contents, contents.c.hash == statements.c.content)
        .where(statements.c.hash == statement)
    ).one_or_none()
    if row is None:
        raise NotFound(f"No statement {statement} is held here.")
    others = conn.execute(
        select(contents.c.bytes)
        .join(companions, companions.c.content == contents.c.hash)
        .where(companions.c.statement == statement)
        .order_by(companions.c.position)
    )
    return row.envelope, [row.bytes, *(other.bytes for other in others)]


def seqs_in_view(conn: Connection, recipient: str, after: int, upto: int) -> list[int]:
    """Return the seqs of the statements that a view's rows `after` < number <= `upto` give."""
    views, statements = schema.views, schema.statements
    rows = conn.execute(
        select(statements.c.seq)
        .join(views, views.c.ref == statements.c.hash)
        .where(views.c.recipient == recipient, views.c.number > after, views.c.number <= upto)
    )
    return [row.seq for row in rows]


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
