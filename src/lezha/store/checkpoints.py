"""Checkpoints of this log, and the commitments that this node keeps of other members' logs."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, record

MADE: Final = "checkpoint"
"""The event of a checkpoint that was asked for."""

COMMITTED: Final = "commitment"
"""The event of one that was due, and whose commitment goes to peers."""

_OWN, _KEPT, _EVENTS = schema.checkpoints, schema.kept_commitments, schema.events
_BLOCK: Final = 500
_NEXT: Final = select(_OWN).where(_OWN.c.seq > bindparam("after")).order_by(_OWN.c.seq).limit(_BLOCK)
_SINCE: Final = (
    select(_OWN.c.digest, _OWN.c.commitment)
    .join(_EVENTS, _EVENTS.c.seq == _OWN.c.seq)
    .where(_OWN.c.digest.in_(KEYS), _EVENTS.c.at >= bindparam("since"))
    .order_by(_OWN.c.seq)
)
_BY_DIGEST: Final = select(_OWN).where(_OWN.c.digest.in_(KEYS))


class Made(msgspec.Struct, frozen=True):
    """A checkpoint of this log as it is kept: event `seq` says that it was made.

    `digest` and `commitment` are empty where it was made for people. `checkpoint` and `commitment` are envelopes,
    `nonce` opens the commitment.
    """

    seq: int
    at: str
    nonce: bytes
    checkpoint: bytes
    digest: str
    commitment: bytes


class Kept(msgspec.Struct, frozen=True):
    """A commitment of another member, received at a time."""

    member: str
    at: str
    digest: str
    envelope: bytes
    received: str


def add(tx: Tx, kind: str, subject: str, actor: str, made: Made) -> None:
    """Keep a checkpoint under the event that says that it was made; its own `seq` does not matter."""
    seq = tx.event(kind, subject, actor, at=made.at)
    tx.conn.execute(insert(_OWN).values(msgspec.structs.asdict(msgspec.structs.replace(made, seq=seq))))


def made(conn: Connection, after: int) -> list[Made]:
    """Return some checkpoints of this log made after event `after`, oldest first."""
    return [record(row._mapping, Made) for row in conn.execute(_NEXT, {"after": after})]


def by_digest(conn: Connection, digests: Iterable[str]) -> dict[str, Made]:
    """Return the checkpoints with some commitments, by the digests of these."""
    return {row.digest: record(row._mapping, Made) for row in each(conn, _BY_DIGEST, digests)}


def last_due(conn: Connection) -> str:
    """Return for which time of the schedule the last commitment was made, empty if there is none."""
    found: str | None = conn.scalar(select(func.max(_OWN.c.at)).where(_OWN.c.digest != ""))
    return found or ""


def commitments(conn: Connection, digests: Iterable[str], since: str = "") -> dict[str, bytes]:
    """Return the envelopes of commitments made at `since` or later, by digest, oldest first."""
    return {row.digest: row.commitment for row in each(conn, _SINCE, digests, since=since)}


def committed(conn: Connection, after: int) -> list[str]:
    """Return the digests of all commitments made after event `after`, oldest first."""
    asked = select(_OWN.c.digest).where(_OWN.c.seq > after, _OWN.c.digest != "").order_by(_OWN.c.seq)
    return list(conn.scalars(asked))


def last_kept(conn: Connection, member: str) -> tuple[str, int]:
    """Return the time of the last commitment that is kept of a member, and how many are."""
    row = conn.execute(
        select(func.max(_KEPT.c.at), func.count()).select_from(_KEPT).where(_KEPT.c.member == member)
    ).one()
    return row[0] or "", row[1]


def is_kept(conn: Connection, member: str, at: str, digest: str) -> bool:
    """Say whether this commitment of a member for this time is kept."""
    found = conn.scalar(select(_KEPT.c.digest).where(_KEPT.c.member == member, _KEPT.c.at == at))
    return found == digest


def keep(tx: Tx, one: Kept) -> None:
    """Keep a commitment of another member."""
    tx.conn.execute(
        insert(_KEPT).values(msgspec.structs.asdict(msgspec.structs.replace(one, received=tx.at)))
    )
    tx.event("kept", one.member, one.member, digest=one.digest, at=one.at)


def digests_kept(conn: Connection, digests: Iterable[str]) -> set[str]:
    """Return those of some digests of which the commitment of another member is kept."""
    rows = each(conn, select(_KEPT.c.digest).where(_KEPT.c.digest.in_(KEYS)), digests)
    return {row.digest for row in rows}


def kept(conn: Connection, member: str) -> Iterator[Kept]:
    """Give what is kept of a member, oldest first."""
    rows = conn.execute(select(_KEPT).where(_KEPT.c.member == member).order_by(_KEPT.c.at))
    return (record(row._mapping, Kept) for row in rows)
