"""What peers have sent here: how far each stream has come, and what was put aside."""

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts
from lezha.store.views import GENESIS, Head

_BYTES_KEPT: Final = 64 << 20
_MOST_NAMES: Final = 64


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


def head(conn: Connection, member: str, incarnation: str) -> Head:
    """Return how far the stream of a peer's incarnation has been taken here."""
    table = schema.inbound
    row = conn.execute(
        select(table.c.head, table.c.chain).where(
            table.c.member == member, table.c.incarnation == incarnation
        )
    ).first()
    return Head(0, GENESIS) if row is None else Head(row.head, row.chain)


def move(tx: Tx, member: str, incarnation: str, to: Head) -> None:
    """Record that a stream has been taken up to `to`."""
    table = schema.inbound
    changed = tx.conn.execute(
        update(table)
        .where(table.c.member == member, table.c.incarnation == incarnation)
        .values(head=to.number, chain=to.chain, at=tx.at)
    )
    if not changed.rowcount:
        tx.conn.execute(
            insert(table).values(
                member=member, incarnation=incarnation, head=to.number, chain=to.chain, at=tx.at
            )
        )


def put_aside(tx: Tx, item: Quarantined) -> None:
    """Keep a refused frame for an analyst to look at; of one peer at most 64 MiB, after that only the reason.

    A frame that names more than 64 objects is not kept either: it must be possible to purge it by each of them.
    """
    table = schema.quarantine
    kept = select(func.sum(func.length(table.c.frame))).where(table.c.member == item.member)
    row = msgspec.structs.asdict(item) | {"at": tx.at}
    names = tuple(dict.fromkeys(row.pop("names")))
    if len(names) > _MOST_NAMES or (tx.conn.scalar(kept) or 0) + len(item.frame) > _BYTES_KEPT:
        row["frame"], names = b"", ()
    tx.conn.execute(insert(table).values(**row))
    keys = (item.member, item.incarnation, item.number)
    insert_rows(tx.conn, schema.quarantined_ids, [(name, *keys) for name in names])
    tx.event("quarantined", item.member, "peer", number=item.number, code=item.code)


def forget(conn: Connection, stix_ids: Iterable[str]) -> list[str]:
    """Blank the frames that name any of these objects, with the words about them; return which were named."""
    table, ids = schema.quarantine, schema.quarantined_ids
    found: set[str] = set()
    for row in each(conn, _NAMING, stix_ids):
        found.add(row.stix_id)
        conn.execute(
            update(table)
            .where(
                table.c.member == row.member,
                table.c.incarnation == row.incarnation,
                table.c.number == row.number,
            )
            .values(frame=b"", detail="purged")
        )
    for part in parts(found):
        conn.execute(delete(ids).where(ids.c.stix_id.in_(part)))
    return sorted(found)


_NAMING: Final = select(schema.quarantined_ids).where(schema.quarantined_ids.c.stix_id.in_(KEYS))


def refusals(conn: Connection, member: str, incarnation: str, after: int) -> list[tuple[int, str]]:
    """Return (number, code) of what was refused of a stream above `after`, in order."""
    table = schema.quarantine
    rows = conn.execute(
        select(table.c.number, table.c.code)
        .where(table.c.member == member, table.c.incarnation == incarnation, table.c.number > after)
        .order_by(table.c.number)
    )
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
