"""What peers have sent here: how far each stream has come, and what was put aside."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from lezha.store import lives, schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts
from lezha.store.views import GENESIS, Head

_BYTES_KEPT: Final = 64 << 20
MOST_NAMES: Final = 64
"""A frame that names more objects than that is not kept."""
PURGED: Final = "purged"
"""All that is said of a frame whose bytes may not be here."""
AHEAD: Final = "clock_ahead"
"""The code of what waits for its time alone."""
_MOST_LIVES: Final = 1000
_NOT_KEPT: Final = "not kept"  # words may quote what was refused, and could not be purged by any name


class Quarantined(msgspec.Struct, frozen=True):
    """A frame that was put aside: nothing of it is live. `detail` says why in words.

    `names` are the ids of the objects that it carries, as far as they could be read: by them it is found for purging.
    """

    member: str
    incarnation: str
    number: int
    code: str
    detail: str
    frame: bytes
    names: tuple[str, ...] = ()


# Asked for every batch: SQLAlchemy takes longer to build a statement than SQLite to run it.
_INBOUND, _LIVES, _ASIDE = schema.inbound, schema.incarnations, schema.quarantine
_HEAD: Final = select(_INBOUND.c.head, _INBOUND.c.chain).where(
    _INBOUND.c.member == bindparam("member"), _INBOUND.c.incarnation == bindparam("incarnation")
)
_MOVE: Final = (
    update(_INBOUND)
    .where(_INBOUND.c.member == bindparam("of"), _INBOUND.c.incarnation == bindparam("life"))
    .values(head=bindparam("head"), chain=bindparam("chain"), at=bindparam("at"))
)
_LIFE: Final = (
    select(_LIVES.c.incarnation, schema.events.c.at)
    .join(schema.events, schema.events.c.seq == _LIVES.c.seq)
    .where(_LIVES.c.member == bindparam("member"))
    .order_by(_LIVES.c.seq.desc())
    .limit(1)
)
_REFUSALS: Final = (
    select(_ASIDE.c.number, _ASIDE.c.code)
    .where(
        _ASIDE.c.member == bindparam("member"),
        _ASIDE.c.incarnation == bindparam("incarnation"),
        _ASIDE.c.number > bindparam("after"),
    )
    .order_by(_ASIDE.c.number)
    .limit(bindparam("limit"))
)


def head(conn: Connection, member: str, incarnation: str) -> Head:
    """Return how far the stream of a peer's incarnation has been taken here."""
    row = conn.execute(_HEAD, {"member": member, "incarnation": incarnation}).first()
    return Head(0, GENESIS) if row is None else Head(row.head, row.chain)


def move(tx: Tx, member: str, incarnation: str, to: Head) -> None:
    """Record that a stream has been taken up to `to`."""
    values = {"head": to.number, "chain": to.chain, "at": tx.at}
    if not tx.conn.execute(_MOVE, values | {"of": member, "life": incarnation}).rowcount:
        tx.conn.execute(insert(schema.inbound).values(member=member, incarnation=incarnation, **values))


def is_alive(tx: Tx, member: str, incarnation: str) -> bool:
    """Note which life of its database a peer sends from; say whether it is the one that was seen last, or a new one.

    An earlier one was copied, or brought back, while another one that was restored from its backup speaks for the
    member; it is known to be earlier if it was seen before, or by the time in its name (`lives.name`). After 1,000
    lives no new one is taken.
    """
    last = tx.conn.execute(_LIFE, {"member": member}).first()
    if last is not None and (last.incarnation == incarnation or _is_earlier(incarnation, last)):
        return bool(last.incarnation == incarnation)
    table = schema.incarnations
    of = select(table.c.incarnation).where(table.c.member == member).order_by(table.c.seq.desc())
    known = list(tx.conn.scalars(of.limit(_MOST_LIVES)))
    if incarnation in known or len(known) == _MOST_LIVES:
        return False
    seq = tx.event("incarnation", member, member, incarnation=incarnation)
    tx.conn.execute(insert(table).values(member=member, incarnation=incarnation, seq=seq))
    return True


def _is_earlier(incarnation: str, last: Row[Any, Any]) -> bool:
    """True if a life began before the last one, which had begun when it was first seen, whatever its name says."""
    this, other = lives.began(incarnation), lives.began(last.incarnation)
    if this is None or other is None:
        return False
    seen = dt.datetime.fromisoformat(last.at).timestamp() * 1000
    return this < min(other, seen)


def put_aside(tx: Tx, items: Sequence[Quarantined]) -> None:
    """Keep refused frames for an analyst to look at; of one peer at most 64 MiB, after that only the codes.

    A frame that names more than 64 objects is not kept either: it must be possible to purge it by each of them.
    """
    before = _sizes(tx.conn, {one.member for one in items})
    sizes = dict(before)
    rows: list[tuple[object, ...]] = []
    named: list[tuple[str, str, str, int]] = []
    early: list[tuple[int, str, str]] = []
    for one in items:
        names = dict.fromkeys(one.names)
        kept = len(names) <= MOST_NAMES and sizes[one.member] + len(one.frame) <= _BYTES_KEPT
        frame, detail = (one.frame, one.detail) if kept else (b"", _NOT_KEPT)
        sizes[one.member] += len(frame)
        seq = tx.event("quarantined", one.member, one.member, number=one.number, code=one.code)
        rows.append((one.member, one.incarnation, one.number, one.code, detail, frame, tx.at, seq))
        named += [(name, one.member, one.incarnation, one.number) for name in names if kept]
        early += [(seq, one.member, "")] if frame and one.code == AHEAD else []
    insert_rows(tx.conn, schema.quarantine, rows)
    insert_rows(tx.conn, schema.quarantined_ids, named)
    insert_rows(tx.conn, schema.ahead, early)
    for member, size in sizes.items():
        if size != before[member]:
            _put_size(tx.conn, member, size)


def forget(conn: Connection, stix_ids: Iterable[str]) -> list[str]:
    """Blank the frames that name any of these objects, with the words about them; return which were named.

    Those are remembered: a frame that names them is not to be kept any more (`forgotten`).
    """
    table, ids = schema.quarantine, schema.quarantined_ids
    rows = list(each(conn, _NAMING, stix_ids))
    found = sorted({row.stix_id for row in rows})
    for row in rows:
        conn.execute(
            update(table)
            .where(
                table.c.member == row.member,
                table.c.incarnation == row.incarnation,
                table.c.number == row.number,
            )
            .values(frame=b"", detail=PURGED)
        )
    for part in parts(found):
        conn.execute(delete(ids).where(ids.c.stix_id.in_(part)))
    there = forgotten(conn, found)
    insert_rows(conn, schema.forgotten, [(stix_id,) for stix_id in found if stix_id not in there])
    for member in {row.member for row in rows}:
        left = select(func.coalesce(func.sum(func.length(table.c.frame)), 0)).where(table.c.member == member)
        _put_size(conn, member, int(conn.scalar(left) or 0))
    return found


def blank(conn: Connection, seq: int) -> None:
    """Destroy the bytes of one frame, and nothing that is said of it."""
    table = schema.quarantine
    row = conn.execute(
        select(table.c.member, func.length(table.c.frame).label("size")).where(table.c.seq == seq)
    ).one()
    conn.execute(update(table).where(table.c.seq == seq).values(frame=b""))
    if row.size:
        _put_size(conn, row.member, _sizes(conn, [row.member])[row.member] - row.size)


def forgotten(conn: Connection, stix_ids: Iterable[str]) -> set[str]:
    """Return those of `stix_ids` by which frames that were put aside have been destroyed here."""
    return {row.stix_id for row in each(conn, _FORGOTTEN, stix_ids)}


def _sizes(conn: Connection, members: Iterable[str]) -> dict[str, int]:
    """Return how many bytes are kept of what each of these members sent and was refused."""
    given = list(members)
    there = {row.member: row.bytes for row in each(conn, _SIZES, given)}
    return {member: there.get(member, 0) for member in given}


def _put_size(conn: Connection, member: str, size: int) -> None:
    table = schema.quarantine_sizes
    changed = conn.execute(update(table).where(table.c.member == member).values(bytes=size))
    if not changed.rowcount:
        conn.execute(insert(table).values(member=member, bytes=size))


_NAMING: Final = select(schema.quarantined_ids).where(schema.quarantined_ids.c.stix_id.in_(KEYS))
_FORGOTTEN: Final = select(schema.forgotten).where(schema.forgotten.c.stix_id.in_(KEYS))
_SIZES: Final = select(schema.quarantine_sizes).where(schema.quarantine_sizes.c.member.in_(KEYS))


def refusals(
    conn: Connection, member: str, incarnation: str, after: int, limit: int
) -> list[tuple[int, str]]:
    """Return (number, code) of what was refused first of a stream above `after`, in order, up to `limit`."""
    given = {"member": member, "incarnation": incarnation, "after": after, "limit": limit}
    rows = conn.execute(_REFUSALS, given)
    return [(row.number, row.code) for row in rows]


def put_aside_counts(conn: Connection, member: str) -> dict[str, int]:
    """Count what was put aside of what a peer sent, by code."""
    table = schema.quarantine
    rows = conn.execute(
        select(table.c.code, func.count()).where(table.c.member == member).group_by(table.c.code)
    )
    return {row[0]: row[1] for row in rows}


def received(conn: Connection, member: str) -> tuple[int, str]:
    """Return how many frames were taken from a peer and when the last came; (0, "") if none."""
    table = schema.inbound
    row = conn.execute(
        select(func.coalesce(func.sum(table.c.head), 0), func.coalesce(func.max(table.c.at), "")).where(
            table.c.member == member
        )
    ).one()
    return int(row[0]), str(row[1])
