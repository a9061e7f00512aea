"""What was put aside, as people look at it, and what they decided about it; and what waits for its time alone."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, and_, delete, func, insert, select, update

from lezha.store import inbound, schema
from lezha.store.errors import NotFound
from lezha.store.log import Tx
from lezha.store.rows import record

LOOKED: Final = "looked at quarantine"
"""The event that tells who was shown what a frame carries that was put aside."""
_NO_NUMBER: Final = 1 << 62
_TABLE: Final = schema.quarantine
_VERDICTS: Final = schema.verdicts
_AHEAD: Final = schema.ahead


class Verdict(StrEnum):
    """What a person has decided about a frame that was put aside."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Aside(msgspec.Struct, frozen=True):
    """A frame that was put aside. `detail` may quote it; `size` is how many bytes of it are kept.

    `verdict` with who gave it, why and when, is empty as long as it waits for one.
    """

    seq: int
    member: str
    incarnation: str
    number: int
    code: str
    detail: str
    at: str
    size: int
    verdict: str
    by: str
    why: str
    decided: str


def listed(
    conn: Connection, *, member: str = "", code: str = "", waiting: bool = True, before: int = 0, limit: int
) -> list[Aside]:
    """Return what was put aside, newest first, below seq `before` unless that is 0; of what waits, or of all."""
    query = _ASIDE.order_by(_TABLE.c.seq.desc()).limit(limit)
    if member:
        query = query.where(_TABLE.c.member == member)
    if code:
        query = query.where(_TABLE.c.code == code)
    if waiting:
        query = query.where(_VERDICTS.c.item.is_(None))
    if before:
        query = query.where(_TABLE.c.seq < before)
    return [record(row._mapping, Aside) for row in conn.execute(query)]


def waiting(conn: Connection, most: int, member: str = "") -> int:
    """Count what waits for somebody's verdict, of one member or of all, up to `most`; not what waits for its time."""
    query = _TO_VERDICT.where(_VERDICTS.c.item.is_(None), _AHEAD.c.item.is_(None)).limit(most)
    if member:
        query = query.where(_TABLE.c.member == member)
    return conn.scalar(select(func.count()).select_from(query.subquery())) or 0


def early(conn: Connection, most: int) -> int:
    """Count what waits for its time, up to `most`."""
    return conn.scalar(select(func.count()).select_from(select(_AHEAD.c.item).limit(most).subquery())) or 0


def due(conn: Connection, member: str, latest: str, limit: int) -> list[int]:
    """Return what of a member is not dated after `latest`, the earliest first; before it what was not looked up yet."""
    query = select(_AHEAD.c.item).where(_AHEAD.c.member == member, _AHEAD.c.dated <= latest)
    return list(conn.scalars(query.order_by(_AHEAD.c.dated, _AHEAD.c.item).limit(limit)))


def dated(conn: Connection, seqs: Iterable[int]) -> dict[int, str]:
    """Return what each of these is dated that waits for its time; empty where that was not looked up yet."""
    query = select(_AHEAD.c.item, _AHEAD.c.dated).where(_AHEAD.c.item.in_(list(seqs)))
    return {row.item: row.dated for row in conn.execute(query)}


def put_date(tx: Tx, seq: int, date: str) -> None:
    """Note what a frame is dated that waits for its time."""
    tx.conn.execute(update(_AHEAD).where(_AHEAD.c.item == seq).values(dated=date))


def leave(tx: Tx, seq: int) -> None:
    """Have a frame wait for its time no more."""
    tx.conn.execute(delete(_AHEAD).where(_AHEAD.c.item == seq))


def restate(tx: Tx, seq: int, code: str, words: str, actor: str) -> None:
    """Say that a frame whose time has come waits for a person now, and why. Of a frame that is gone nothing is said."""
    one = get(tx.conn, seq)
    leave(tx, seq)
    if one.verdict or not one.size:
        return
    tx.conn.execute(update(_TABLE).where(_TABLE.c.seq == seq).values(code=code, detail=words))
    tx.event("quarantine kept", one.member, actor, item=seq, number=one.number, code=code, before=one.code)


def get(conn: Connection, seq: int) -> Aside:
    """Return one. Raises NotFound."""
    row = conn.execute(_ASIDE.where(_TABLE.c.seq == seq)).one_or_none() if 0 < seq < _NO_NUMBER else None
    if row is None:
        raise NotFound(
            f"Nothing was put aside under the number {seq}: `lezha quarantine list` shows what was."
        )
    return record(row._mapping, Aside)


def frame(conn: Connection, seq: int) -> bytes:
    """Return the bytes of a frame; none if they are not kept, or not any more."""
    return conn.scalar(select(_TABLE.c.frame).where(_TABLE.c.seq == seq)) or b""


def names(conn: Connection, seqs: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Return the ids that each names of the objects that it carries, as far as they could be read."""
    ids = schema.quarantined_ids
    same = and_(
        ids.c.member == _TABLE.c.member,
        ids.c.incarnation == _TABLE.c.incarnation,
        ids.c.number == _TABLE.c.number,
    )
    found: dict[int, tuple[str, ...]] = {}
    query = select(_TABLE.c.seq, ids.c.stix_id).join(ids, same).where(_TABLE.c.seq.in_(list(seqs)))
    for row in conn.execute(query.order_by(_TABLE.c.seq, ids.c.stix_id)):
        found[row.seq] = (*found.get(row.seq, ()), row.stix_id)
    return found


def decide(tx: Tx, one: Aside, verdict: Verdict, why: str, actor: str, **detail: object) -> None:
    """Record what a person, or the node itself, has decided, and destroy the bytes that were kept.

    Nobody needs them here any more. What the frame was refused for, its number and the names in it stay.
    """
    tx.conn.execute(
        insert(_VERDICTS).values(item=one.seq, verdict=verdict.value, actor=actor, why=why, at=tx.at)
    )
    inbound.blank(tx.conn, one.seq)
    leave(tx, one.seq)
    tx.event(
        f"quarantine {verdict.value}",
        one.member,
        actor,
        item=one.seq,
        number=one.number,
        code=one.code,
        why=why,
        **detail,
    )


_OF_IT: Final = _VERDICTS.c.item == _TABLE.c.seq
_TO_VERDICT: Final = (
    select(_TABLE.c.seq).outerjoin(_VERDICTS, _OF_IT).outerjoin(_AHEAD, _AHEAD.c.item == _TABLE.c.seq)
)
_COLUMNS: Final[Sequence[Any]] = (
    _TABLE.c.seq,
    _TABLE.c.member,
    _TABLE.c.incarnation,
    _TABLE.c.number,
    _TABLE.c.code,
    _TABLE.c.detail,
    _TABLE.c.at,
    func.length(_TABLE.c.frame).label("size"),
    func.coalesce(_VERDICTS.c.verdict, "").label("verdict"),
    func.coalesce(_VERDICTS.c.actor, "").label("by"),
    func.coalesce(_VERDICTS.c.why, "").label("why"),
    func.coalesce(_VERDICTS.c.at, "").label("decided"),
)
_ASIDE: Final[Select[Any]] = select(*_COLUMNS).outerjoin(_VERDICTS, _OF_IT)
