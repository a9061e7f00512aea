"""What an audit reads of what recipients were given: rows of views beside the events whose chain covers them."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp, strictest
from lezha.store import schema, views
from lezha.store.rows import KEYS, each

_VIEWS, _VOIDS, _RECEIPTS, _REFUSALS = schema.views, schema.voids, schema.receipts, schema.refusals
_STATEMENTS, _CONTENTS, _EVENTS = schema.statements, schema.contents, schema.events
_STONES: Final = schema.tombstones
_GIVEN: Final = _CONTENTS.alias("given")
_ROWS: Final = (
    select(
        _VIEWS.c.number,
        _VIEWS.c.kind,
        _VIEWS.c.ref,
        _VIEWS.c.rule,
        _VIEWS.c.at,
        _STATEMENTS.c.origin,
        _STATEMENTS.c.terms,
        func.coalesce(_CONTENTS.c.hash, _GIVEN.c.hash).label("content"),
        func.coalesce(_CONTENTS.c.stix_id, _GIVEN.c.stix_id).label("stix_id"),
        func.coalesce(_CONTENTS.c.version, _GIVEN.c.version).label("version"),
        _CONTENTS.c.markings,
        _VOIDS.c.reason.label("void"),
        _REFUSALS.c.code.label("refused"),
    )
    .outerjoin(_STONES, _STONES.c.hash == _VIEWS.c.ref)
    .outerjoin(_STATEMENTS, _STATEMENTS.c.hash == func.coalesce(_STONES.c.statement, _VIEWS.c.ref))
    .outerjoin(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
    .outerjoin(_GIVEN, _GIVEN.c.hash == _VIEWS.c.ref)
    .outerjoin(_VOIDS, (_VOIDS.c.recipient == _VIEWS.c.recipient) & (_VOIDS.c.number == _VIEWS.c.number))
    .outerjoin(
        _REFUSALS, (_REFUSALS.c.recipient == _VIEWS.c.recipient) & (_REFUSALS.c.number == _VIEWS.c.number)
    )
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.number > bindparam("after"))
    .order_by(_VIEWS.c.number)
    .limit(bindparam("limit"))
)
_HEADS: Final = (
    select(_RECEIPTS.c.head, _RECEIPTS.c.at)
    .where(_RECEIPTS.c.recipient == bindparam("recipient"), _RECEIPTS.c.head > bindparam("after"))
    .order_by(_RECEIPTS.c.head)
    .limit(bindparam("limit"))
)


class Row(msgspec.Struct, frozen=True):
    """A row of a recipient's view as an audit shows it: never with a name or a value.

    `ref` is the hash of what was given: a statement, whose `content` and object stand beside it, a tombstone, beside
    which are those of the statement that it takes back, a content, or a roster or a commitment, of which they are
    empty. `tlp` is the narrowest of the statement's and the object's own. `void` says why it was denied before it was
    sent, `refused` by which code the recipient refused it; both may be empty.
    """

    number: int
    kind: str
    ref: str
    rule: str
    at: str
    origin: str
    content: str
    stix_id: str
    version: str
    tlp: str
    void: str
    refused: str


class Release(msgspec.Struct, frozen=True):
    """What an event says of rows of a view; `rows` is empty where an earlier version of the program numbered them."""

    first: int
    last: int
    chain: str
    rows: str = ""


class Said(msgspec.Struct, frozen=True):
    """What an event says of a receipt; `digest` is empty where an earlier version of the program took it."""

    head: int
    digest: str = ""


class Denied(msgspec.Struct, frozen=True):
    """What an event says of void rows: number and reason of each."""

    numbers: tuple[tuple[int, str], ...]


def rows(conn: Connection, recipient: str, after: int, limit: int) -> list[Row]:
    """Return up to `limit` rows numbered above `after`, in order."""
    found = conn.execute(_ROWS, {"recipient": recipient, "after": after, "limit": limit})
    return [_row(row) for row in found]


def receipts(conn: Connection, recipient: str, after: int, limit: int) -> list[tuple[int, str]]:
    """Return up to `limit` signed receipts with a head above `after`, in order: head and time."""
    found = conn.execute(_HEADS, {"recipient": recipient, "after": after, "limit": limit})
    return [(row.head, row.at) for row in found]


def before(conn: Connection, recipient: str, at: str) -> int:
    """Return the last number that a recipient was given before a time."""
    table = _VIEWS
    found = select(func.max(table.c.number)).where(table.c.recipient == recipient, table.c.at < at)
    return conn.scalar(found) or 0


def release_fits(conn: Connection, recipient: str, said: Release) -> bool:
    """Say whether the rows that an event speaks of are there as it says."""
    last = views.entry(conn, recipient, said.last)
    if last is None or last.chain.hex() != said.chain:
        return False
    return not said.rows or views.digest_of(conn, recipient, said.first, said.last) == said.rows


def voids(conn: Connection, recipient: str, numbers: Iterable[int]) -> dict[int, str]:
    """Return why each of these numbers is void, as far as they are."""
    question = select(_VOIDS.c.number, _VOIDS.c.reason).where(
        _VOIDS.c.recipient == recipient, _VOIDS.c.number.in_(KEYS)
    )
    return {row.number: row.reason for row in each(conn, question, numbers)}


def receipt(conn: Connection, recipient: str, head: int) -> bytes | None:
    """Return the envelope of a receipt, None if it is not kept."""
    found: bytes | None = conn.scalar(
        select(_RECEIPTS.c.envelope).where(_RECEIPTS.c.recipient == recipient, _RECEIPTS.c.head == head)
    )
    return found


def totals(conn: Connection) -> dict[str, tuple[int, int, int]]:
    """Return for each recipient the head of its view, how many rows are void, and how many receipts are kept."""
    heads = dict(
        _pairs(conn, select(_VIEWS.c.recipient, func.max(_VIEWS.c.number)).group_by(_VIEWS.c.recipient))
    )
    void = dict(_pairs(conn, select(_VOIDS.c.recipient, func.count()).group_by(_VOIDS.c.recipient)))
    taken = dict(_pairs(conn, select(_RECEIPTS.c.recipient, func.count()).group_by(_RECEIPTS.c.recipient)))
    return {
        one: (heads.get(one, 0), void.get(one, 0), taken.get(one, 0))
        for one in heads.keys() | void.keys() | taken.keys()
    }


def _pairs(conn: Connection, question: Any) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in conn.execute(question)]


def _row(row: Any) -> Row:
    levels: list[Tlp] = []
    if row.terms is not None:
        levels = [msgspec.json.decode(row.terms, type=Terms).tlp, *_MARKINGS.decode(row.markings)]
    return Row(
        number=row.number,
        kind=row.kind,
        ref=row.ref,
        rule=row.rule,
        at=row.at,
        origin=row.origin or "",
        content=row.content or "",
        stix_id=row.stix_id or "",
        version=row.version or "",
        tlp=strictest(levels).value if levels else "",
        void=row.void or "",
        refused=row.refused or "",
    )


_MARKINGS: Final = msgspec.json.Decoder(tuple[Tlp, ...])
