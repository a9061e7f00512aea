"""The one row through which every commit passes: the last event's number, time and chain, and who leads.

Each commit reads this row, on PostgreSQL with a lock that lasts until its end, and writes it back. So commits of
several processes come one after another, numbers have no holes, and times never stand still: `at` is the later of now
and a microsecond after the last commit's. The chain is a hash over all events: whoever keeps one of its values can
tell later whether anything before it was changed.

One process at a time *leads*: it runs the links. It holds PostgreSQL's advisory lock and has raised `epoch`; each of
its commits checks that the epoch is still its own. A leader that lost its lock without noticing writes nothing more.
"""

import datetime as dt
import hashlib
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from lezha.store import schema

GENESIS: Final = bytes(32)
"""The chain before the first event."""

_TABLE: Final = schema.sequencer
_READ: Final = select(_TABLE.c.seq, _TABLE.c.at, _TABLE.c.chain, _TABLE.c.epoch)
_TAKE: Final = _READ.with_for_update()  # SQLite's BEGIN IMMEDIATE has locked all of the database already
_WRITE: Final = update(_TABLE)


class Position(msgspec.Struct, frozen=True):
    """Where the log has come to."""

    seq: int
    at: str
    chain: bytes
    epoch: int


def begin(conn: Connection) -> None:
    """Write the row of an empty log."""
    conn.execute(insert(_TABLE).values(id=1, seq=0, at="", chain=GENESIS, epoch=0))


def read(conn: Connection) -> Position:
    """Return where the log has come to."""
    row = conn.execute(_READ).one()
    return Position(row.seq, row.at, row.chain, row.epoch)


def take(conn: Connection) -> Position:
    """Return where the log has come to, and keep every other process from committing until this transaction ends."""
    row = conn.execute(_TAKE).one()
    return Position(row.seq, row.at, row.chain, row.epoch)


def chain_at(conn: Connection, seq: int) -> bytes | None:
    """Return the chain of an event, None if there is no such event."""
    found: bytes | None = conn.scalar(select(schema.events.c.chain).where(schema.events.c.seq == seq))
    return found


def raise_epoch(conn: Connection) -> int:
    """Begin a new epoch and return it; whoever led in an earlier one can't commit any more."""
    epoch = take(conn).epoch + 1
    conn.execute(update(_TABLE).values(epoch=epoch))
    return epoch


def put(conn: Connection, position: Position) -> None:
    """Record where the log has come to; the epoch stays as it is."""
    conn.execute(_WRITE, {"seq": position.seq, "at": position.at, "chain": position.chain})


def link(chain: bytes, event: tuple[int, str, str, str, str, str, str]) -> bytes:
    """Return the chain after an event: SHA-256 of the chain before and of the event as a JSON list.

    The event is its seq, time, kind, subject, actor, source and detail (JSON text).
    """
    return hashlib.sha256(chain + _ENCODER.encode(event)).digest()


def after(last: str, now: str) -> str:
    """Return `now`, or a microsecond after `last` if that is later."""
    if now > last:
        return now
    later = dt.datetime.fromisoformat(last) + dt.timedelta(microseconds=1)
    return later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_ENCODER: Final = msgspec.json.Encoder()
