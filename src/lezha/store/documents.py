"""This node's own documents, as peers are told of them; and the statements that a key gave away has spoilt."""

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, exists, func, insert, select

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, record

ANNOUNCED: Final = "document"
"""The event that this node has a new document, which goes to peers."""

DISCREDITED: Final = "discredited"
"""The event that a statement does not count any more: others may hold the key that signed it."""

_OWN, _EVENTS, _STATEMENTS = schema.documents, schema.events, schema.statements
_SPOILT: Final = schema.discredited
_DIGESTS: Final = select(_OWN.c.digest).order_by(_OWN.c.seq)
_SINCE: Final = (
    select(_OWN.c.digest, _OWN.c.envelope)
    .join(_EVENTS, _EVENTS.c.seq == _OWN.c.seq)
    .where(_OWN.c.digest.in_(KEYS), _EVENTS.c.at >= bindparam("since"))
    .order_by(_OWN.c.seq)
)
_SEQS: Final = select(_STATEMENTS.c.hash, _STATEMENTS.c.seq).where(
    _STATEMENTS.c.hash.in_(KEYS),
    ~exists().where(_SPOILT.c.statement == _STATEMENTS.c.seq).correlate(_STATEMENTS),
)
_BLOCK: Final = 500


class Seen(msgspec.Struct, frozen=True):
    """A statement of a member that is held: its number and hash, when it was first seen here, its envelope."""

    seq: int
    hash: str
    at: str
    envelope: bytes


def announce(tx: Tx, digest: str, number: int, envelope: bytes, actor: str) -> None:
    """Keep this node's own document, and have it told to peers, once."""
    if tx.conn.scalar(select(_OWN.c.seq).where(_OWN.c.digest == digest)) is None:
        seq = tx.event(ANNOUNCED, digest, actor, number=number)
        tx.conn.execute(insert(_OWN).values(seq=seq, digest=digest, number=number, envelope=envelope))


def latest(conn: Connection) -> int:
    """Return the number of the last document that was announced, 0 if none was."""
    return int(conn.scalar(select(func.coalesce(func.max(_OWN.c.number), 0))) or 0)


def digests(conn: Connection) -> list[str]:
    """Return all own documents that were announced, oldest first."""
    return list(conn.scalars(_DIGESTS))


def envelopes(conn: Connection, digests: Iterable[str], since: str = "") -> dict[str, bytes]:
    """Return own documents that were announced at `since` or later, by digest, oldest first."""
    return {row.digest: row.envelope for row in each(conn, _SINCE, digests, since=since)}


def seen_between(conn: Connection, origin: str, since: str, until: str, after: int) -> list[Seen]:
    """Return some of a member's statements first seen here from `since` on and before `until`, above number `after`."""
    rows = conn.execute(
        select(_STATEMENTS.c.seq, _STATEMENTS.c.hash, _STATEMENTS.c.at, _STATEMENTS.c.envelope)
        .where(
            _STATEMENTS.c.origin == origin,
            _STATEMENTS.c.at >= since,
            _STATEMENTS.c.at < until,
            _STATEMENTS.c.seq > after,
        )
        .order_by(_STATEMENTS.c.seq)
        .limit(_BLOCK)
    )
    return [record(row._mapping, Seen) for row in rows]


def discredit(tx: Tx, hashes: Iterable[str], actor: str) -> int:
    """Let statements count no more, from now on and for good; return how many did until now."""
    new = {row.hash: row.seq for row in each(tx.conn, _SEQS, hashes)}
    insert_rows(tx.conn, _SPOILT, [(seq, tx.at) for seq in new.values()])
    tx.events(DISCREDITED, list(new), actor)
    return len(new)


def announced(conn: Connection, digest: str) -> str:
    """Return when an own document was announced, empty if it was not."""
    found: str | None = conn.scalar(
        select(_EVENTS.c.at).join(_OWN, _OWN.c.seq == _EVENTS.c.seq).where(_OWN.c.digest == digest)
    )
    return found or ""


def taken(conn: Connection, digest: str) -> dict[str, bool]:
    """Return for each member to which an own document was numbered whether it has taken it."""
    views, receipts, refusals = schema.views, schema.receipts, schema.refusals
    refused = exists().where(refusals.c.recipient == views.c.recipient, refusals.c.number == views.c.number)
    void = exists().where(
        schema.voids.c.recipient == views.c.recipient, schema.voids.c.number == views.c.number
    )
    rows = conn.execute(
        select(
            views.c.recipient,
            views.c.number,
            func.max(receipts.c.head).label("head"),
            refused.correlate(views).label("refused"),
        )
        .outerjoin(receipts, receipts.c.recipient == views.c.recipient)
        .where(views.c.ref == digest, ~void.correlate(views))
        .group_by(views.c.recipient, views.c.number)
    )
    return {
        row.recipient: row.head is not None and row.head >= row.number and not row.refused for row in rows
    }
