"""What is recorded of contents and statements for each recipient: given, signed for, refused, void, withheld.

Every question begins with the hashes that it is about, so that it costs the same whatever the log holds.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, select

from lezha.store import schema
from lezha.store.rows import KEYS, each, record

_VIEWS, _VOIDS, _REFUSALS = schema.views, schema.voids, schema.refusals
_RECEIPTS, _WITHHELD = schema.receipts, schema.withheld


class Given(msgspec.Struct, frozen=True):
    """Row `number` of a recipient's view. Times are empty and codes too where there is nothing to say.

    `signed` is when the recipient's receipt for it came, `refused` the code by which it refused it, `void` why it was
    made void before it was sent.
    """

    recipient: str
    ref: str
    number: int
    rule: str
    at: str
    signed: str
    refused: str
    void: str
    void_at: str


class Kept(msgspec.Struct, frozen=True):
    """That a statement is withheld from a recipient, since when, and by the code of which reason."""

    recipient: str
    statement: str
    reason: str
    at: str


_SIGNED: Final = (
    select(_RECEIPTS.c.at)
    .where(_RECEIPTS.c.recipient == _VIEWS.c.recipient, _RECEIPTS.c.head >= _VIEWS.c.number)
    .order_by(_RECEIPTS.c.head)
    .limit(1)
    .correlate(_VIEWS)
    .scalar_subquery()
)
_GIVEN: Final = (
    select(
        _VIEWS.c.recipient,
        _VIEWS.c.ref,
        _VIEWS.c.number,
        _VIEWS.c.rule,
        _VIEWS.c.at,
        _SIGNED.label("signed"),
        _REFUSALS.c.code.label("refused"),
        _VOIDS.c.reason.label("void"),
        _VOIDS.c.at.label("void_at"),
    )
    .outerjoin(_VOIDS, and_(_VOIDS.c.recipient == _VIEWS.c.recipient, _VOIDS.c.number == _VIEWS.c.number))
    .outerjoin(
        _REFUSALS, and_(_REFUSALS.c.recipient == _VIEWS.c.recipient, _REFUSALS.c.number == _VIEWS.c.number)
    )
    .where(_VIEWS.c.ref.in_(KEYS), _VIEWS.c.kind.in_(("statement", "post")))
    .order_by(_VIEWS.c.recipient, _VIEWS.c.number)
)
_KEPT: Final = select(_WITHHELD.c.recipient, _WITHHELD.c.statement, _WITHHELD.c.reason, _WITHHELD.c.at).where(
    _WITHHELD.c.statement.in_(KEYS), _WITHHELD.c.recipient.in_(bindparam("recipients", expanding=True))
)


def given(conn: Connection, refs: Iterable[str]) -> list[Given]:
    """Return all rows of views that give any of these statements or contents, of each recipient in order."""
    found = []
    for row in each(conn, _GIVEN, refs):
        values = {name: value if value is not None else "" for name, value in row._mapping.items()}
        found.append(record(values, Given))
    return found


def withheld(conn: Connection, statements: Iterable[str], recipients: Sequence[str]) -> list[Kept]:
    """Return which of these statements are withheld from which of these recipients, as it is recorded."""
    return [record(row._mapping, Kept) for row in each(conn, _KEPT, statements, recipients=list(recipients))]
