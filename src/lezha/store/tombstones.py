"""Tombstones: which statements their origins have taken back. They are kept for ever, also of what is not held here.

A tombstone counts only if its signer is the origin of the statement. The statement may come later, or never; so that
is part of every question (`COUNTS`), and nothing is decided when a tombstone arrives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, exists, func, select

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, record

_STONES, _STATEMENTS, _VIEWS = schema.tombstones, schema.statements, schema.views

COUNTS: Final = and_(_STONES.c.statement == _STATEMENTS.c.hash, _STONES.c.member == _STATEMENTS.c.origin)
"""Joins the tombstone that takes a statement back."""

RECALLED: Final = exists().where(COUNTS).correlate(_STATEMENTS)
"""The statement has been taken back by its origin."""


RETOLD: Final = "told though recalled"
"""The event that a member, `{member} {statement}`, has sent what was taken back: it does not know that yet."""


class Stone(msgspec.Struct, frozen=True):
    """A verified tombstone. `hash` is the SHA-256 of its signed payload; `sender` is empty for this member's own."""

    hash: str
    statement: str
    member: str
    issued: str
    why: str
    sender: str
    envelope: bytes
    at: str = ""


_COLUMNS: Final = tuple(_STONES.c[name] for name in Stone.__struct_fields__)
_THERE: Final = select(_STONES.c.statement, _STONES.c.member).where(_STONES.c.statement.in_(KEYS))
_ABOUT: Final = select(*_COLUMNS).join(_STATEMENTS, COUNTS).where(_STONES.c.statement.in_(KEYS))
_ENVELOPES: Final = select(_STONES.c.hash, _STONES.c.envelope).where(_STONES.c.hash.in_(KEYS))
_IDLE: Final = (
    select(_STONES.c.statement)
    .where(_STONES.c.sender == bindparam("sender"), ~exists().where(COUNTS).correlate(_STONES))
    .limit(bindparam("most"))
)
_HEARD: Final = select(_VIEWS.c.ref).where(_VIEWS.c.recipient == bindparam("sender"), _VIEWS.c.ref.in_(KEYS))
_NUMBERS: Final = (
    select(_VIEWS.c.number)
    .join(_STONES, _STONES.c.hash == _VIEWS.c.ref)
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.number > bindparam("after"))
    .order_by(_VIEWS.c.number)
)
_TOLD: Final = _VIEWS.alias("told")
_UNTOLD: Final = (
    select(*_COLUMNS)
    .join(_STATEMENTS, COUNTS)
    .where(
        exists().where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.ref == _STONES.c.statement),
        ~exists().where(_TOLD.c.recipient == bindparam("recipient"), _TOLD.c.ref == _STONES.c.hash),
        _STONES.c.sender != bindparam("recipient"),
    )
    .order_by(_STONES.c.seq)
)


def new(conn: Connection, stones: Iterable[Stone]) -> list[Stone]:
    """Return those that are not here; of a member's tombstones for one statement the first: they all say the same."""
    unique: dict[tuple[str, str], Stone] = {}
    for one in stones:
        unique.setdefault((one.statement, one.member), one)
    there = {(row.statement, row.member) for row in each(conn, _THERE, (key for key, _ in unique))}
    return [one for key, one in unique.items() if key not in there]


def add(tx: Tx, new: Sequence[Stone], actor: str) -> None:
    """Keep tombstones that are not here."""
    seqs = tx.events("tombstone", [one.statement for one in new], actor)
    rows = [
        (
            seq,
            bytes.fromhex(one.hash),
            bytes.fromhex(one.statement),
            one.member,
            one.issued,
            one.why,
            one.sender,
            one.envelope,
            tx.at,
        )
        for one, seq in zip(new, seqs, strict=True)
    ]
    insert_rows(tx.conn, _STONES, rows)


def about(conn: Connection, statements: Iterable[str]) -> dict[str, Stone]:
    """Return by statement the tombstone that takes it back, of those statements that are held and taken back."""
    return {row.statement: record(row._mapping, Stone) for row in each(conn, _ABOUT, statements)}


def retold(tx: Tx, sender: str, statements: Iterable[str]) -> None:
    """Note which of these, that a peer has just sent, were taken back without its having been told so."""
    dead = about(tx.conn, statements)
    if dead:
        told = {row.ref for row in each(tx.conn, _HEARD, (one.hash for one in dead.values()), sender=sender)}
        late = [key for key, one in dead.items() if one.hash not in told]
        tx.events(RETOLD, [f"{sender} {key}" for key in late], "peer")


def envelopes(conn: Connection, hashes: Iterable[str]) -> Mapping[str, bytes]:
    """Return the envelopes of tombstones."""
    return {row.hash: row.envelope for row in each(conn, _ENVELOPES, hashes)}


def idle(conn: Connection, sender: str, most: int) -> int:
    """Count the tombstones from a peer that take back nothing that is held here, but no further than `most`."""
    some = _IDLE.subquery()
    return conn.scalar(select(func.count()).select_from(some), {"sender": sender, "most": most}) or 0


def numbers(conn: Connection, recipient: str, after: int = 0) -> list[int]:
    """Return the numbers above `after` under which a recipient's view has tombstones, in order."""
    return list(conn.scalars(_NUMBERS, {"recipient": recipient, "after": after}))


def untold(conn: Connection, recipient: str) -> list[Stone]:
    """Return the tombstones of what a recipient was ever offered that are not in its view yet, oldest first."""
    return [record(row._mapping, Stone) for row in conn.execute(_UNTOLD, {"recipient": recipient})]
