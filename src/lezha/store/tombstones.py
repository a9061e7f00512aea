"""Tombstones: which statements their origins have taken back. They are kept for ever, also of what is not held here.

A tombstone counts only if its signer is the origin of the statement. The statement may come later, or never; so that
is part of every question (`COUNTS`), and nothing is decided when a tombstone arrives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, exists, func, or_, select

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, each_raw, insert_rows, record

_STONES, _STATEMENTS, _VIEWS = schema.tombstones, schema.statements, schema.views
_CONTENTS: Final = schema.contents

COUNTS: Final = and_(_STONES.c.statement == _STATEMENTS.c.hash, _STONES.c.member == _STATEMENTS.c.origin)
"""Joins the tombstone that takes a statement back."""

RECALLED: Final = or_(
    exists().where(COUNTS).correlate(_STATEMENTS),
    exists().where(schema.discredited.c.statement == _STATEMENTS.c.seq).correlate(_STATEMENTS),
)
"""The statement has been taken back by its origin: itself, or by the revocation of the key that signed it."""


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


class Taken(msgspec.Struct, frozen=True):
    """What `by` took back, why, and when that was known here."""

    by: str
    at: str
    why: str
    object_id: str
    object_type: str
    name: str


_COLUMNS: Final = tuple(_STONES.c[name] for name in Stone.__struct_fields__)
_TAKEN_BACK: Final = "SELECT statement FROM tombstones WHERE statement"
_THERE: Final = select(_STONES.c.statement, _STONES.c.member).where(_STONES.c.statement.in_(KEYS))
_ABOUT: Final = select(*_COLUMNS).join(_STATEMENTS, COUNTS).where(_STONES.c.statement.in_(KEYS))
_ENVELOPES: Final = select(_STONES.c.hash, _STONES.c.envelope).where(_STONES.c.hash.in_(KEYS))
_IDLE: Final = (
    select(_STONES.c.statement)
    .where(_STONES.c.sender == bindparam("sender"), ~exists().where(COUNTS).correlate(_STONES))
    .limit(bindparam("most"))
)
_HEARD: Final = select(_VIEWS.c.ref).where(_VIEWS.c.recipient == bindparam("sender"), _VIEWS.c.ref.in_(KEYS))
_KEPT: Final = select(_STONES.c.seq).where(_STONES.c.seq.in_(KEYS))
# An expression, so that SQLite begins with the few tombstones and not with all that a view gives.
_NUMBERS: Final = (
    select(_VIEWS.c.number)
    .where(
        _VIEWS.c.recipient == bindparam("recipient"),
        _VIEWS.c.ref.in_(select(_STONES.c.hash)),
        _VIEWS.c.number + 0 > bindparam("after"),
    )
    .order_by(_VIEWS.c.number + 0)
)
_WAITING: Final = (
    select(func.min(_VIEWS.c.at))
    .join(_STONES, _STONES.c.hash == _VIEWS.c.ref)
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.number > bindparam("after"))
)
_TAKEN: Final = (
    select(
        _STONES.c.member.label("by"),
        _STONES.c.at,
        _STONES.c.why,
        _CONTENTS.c.stix_id.label("object_id"),
        _CONTENTS.c.type.label("object_type"),
        _CONTENTS.c.name,
    )
    .join(_STATEMENTS, COUNTS)
    .join(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
)
_LATEST: Final = _TAKEN.order_by(_STONES.c.seq.desc()).limit(bindparam("limit"))
_HELD: Final = _LATEST.where(
    _STATEMENTS.c.own.is_(False),
    exists().where(schema.bodies.c.content == _CONTENTS.c.seq).correlate(_CONTENTS),
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
_NEWEST: Final = select(func.max(_STONES.c.seq))


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
    # Asked for every statement, of which next to none was taken back.
    keys = map(bytes.fromhex, statements)
    found = [row[0].hex() for row in each_raw(tx.conn, _TAKEN_BACK, keys)]
    dead = about(tx.conn, found)
    if dead:
        told = {row.ref for row in each(tx.conn, _HEARD, (one.hash for one in dead.values()), sender=sender)}
        late = [key for key, one in dead.items() if one.hash not in told]
        tx.events(RETOLD, [f"{sender} {key}" for key in late], sender)


def envelopes(conn: Connection, hashes: Iterable[str]) -> Mapping[str, bytes]:
    """Return the envelopes of tombstones."""
    return {row.hash: row.envelope for row in each(conn, _ENVELOPES, hashes)}


def walk(conn: Connection, after: int, limit: int) -> dict[int, Stone]:
    """Return up to `limit` tombstones numbered above `after`, by number, in order."""
    rows = conn.execute(
        select(_STONES.c.seq, *_COLUMNS).where(_STONES.c.seq > after).order_by(_STONES.c.seq).limit(limit)
    )
    fields = Stone.__struct_fields__
    return {row.seq: Stone(**{name: row._mapping[name] for name in fields}) for row in rows}


def kept(conn: Connection, seqs: Iterable[int]) -> set[int]:
    """Return those of `seqs` that are numbers of tombstones."""
    return {row.seq for row in each(conn, _KEPT, seqs)}


def idle(conn: Connection, sender: str, most: int) -> int:
    """Count the tombstones from a peer that take back nothing that is held here, but no further than `most`."""
    some = _IDLE.subquery()
    return conn.scalar(select(func.count()).select_from(some), {"sender": sender, "most": most}) or 0


def waiting(conn: Connection, recipient: str, acknowledged: int) -> str:
    """Return when the oldest recall was numbered that a recipient has not signed for; empty if there is none."""
    found: str | None = conn.scalar(_WAITING, {"recipient": recipient, "after": acknowledged})
    return found or ""


def latest(conn: Connection, limit: int) -> list[Taken]:
    """Return what was taken back most lately of what is known here, the latest first."""
    return [record(row._mapping, Taken) for row in conn.execute(_LATEST, {"limit": limit})]


def held(conn: Connection, limit: int) -> list[Taken]:
    """Return what other members took back most lately of what has its bytes here, the latest first."""
    return [record(row._mapping, Taken) for row in conn.execute(_HELD, {"limit": limit})]


def numbers(conn: Connection, recipient: str, after: int = 0) -> list[int]:
    """Return the numbers above `after` under which a recipient's view has tombstones, in order."""
    return list(conn.scalars(_NUMBERS, {"recipient": recipient, "after": after}))


def newest(conn: Connection) -> int:
    """Return the number of the event by which the last tombstone came, 0 if there is none."""
    return conn.scalar(_NEWEST) or 0


def untold(conn: Connection, recipient: str) -> list[Stone]:
    """Return the tombstones of what a recipient was ever offered that are not in its view yet, oldest first."""
    return [record(row._mapping, Stone) for row in conn.execute(_UNTOLD, {"recipient": recipient})]
