"""What is recorded of contents and statements for each recipient: given, signed for, refused, void, withheld.

Every question begins with the hashes that it is about, so that it costs the same whatever the log holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    distinct,
    exists,
    func,
    literal,
    select,
    union_all,
)

from lezha.sharing.release import Reason
from lezha.store import schema
from lezha.store.rows import KEYS, each, record
from lezha.store.tombstones import COUNTS
from lezha.store.views import ViewKind

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


class Withdrawn(msgspec.Struct, frozen=True):
    """That row `number` of a recipient's view says of a content that it does not count any more."""

    recipient: str
    content: str
    number: int
    at: str


class Kept(msgspec.Struct, frozen=True):
    """That a statement is withheld from a recipient, since when, and by the code of which reason."""

    recipient: str
    statement: str
    reason: str
    at: str


class Sum(msgspec.Struct, frozen=True):
    """How many object versions a recipient does not get for one reason: of this member's own statements, or others'.

    `looked` is how many decisions were looked at, the newest ones. What the recipient has by another statement is not
    counted, though it is withheld by this one, nor is what its author has recalled.
    """

    own: bool
    reason: Reason
    count: int
    looked: int


class Example(msgspec.Struct, frozen=True):
    """A statement that is withheld, with what it is about, who signed it, and since when it is withheld."""

    statement: str
    id: str
    type: str
    name: str
    by: str
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
_WITHDRAWN: Final = (
    select(_VIEWS.c.recipient, _VIEWS.c.ref.label("content"), _VIEWS.c.number, _VIEWS.c.at)
    .where(_VIEWS.c.ref.in_(KEYS), _VIEWS.c.kind == ViewKind.CHANGE.value)
    .order_by(_VIEWS.c.recipient, _VIEWS.c.number)
)
_KEPT: Final = select(_WITHHELD.c.recipient, _WITHHELD.c.statement, _WITHHELD.c.reason, _WITHHELD.c.at).where(
    _WITHHELD.c.statement.in_(KEYS), _WITHHELD.c.recipient.in_(bindparam("recipients", expanding=True))
)


_STATEMENTS, _CONTENTS = schema.statements, schema.contents
_OTHERS: Final = _STATEMENTS.alias("others")
# One within the other, so that SQLite, which keeps no statistics, does not walk all of a recipient's view instead.
_VOID: Final = (
    exists()
    .where(_VOIDS.c.recipient == _VIEWS.c.recipient, _VOIDS.c.number == _VIEWS.c.number)
    .correlate(_VIEWS)
)
_IN_VIEW: Final = (
    exists()
    .where(_VIEWS.c.ref == _OTHERS.c.hash, _VIEWS.c.recipient == bindparam("recipient"), ~_VOID)
    .correlate(_OTHERS)
)
_HAS_IT: Final = (
    exists()
    .where(_OTHERS.c.content == _STATEMENTS.c.content, _OTHERS.c.seq != _STATEMENTS.c.seq, _IN_VIEW)
    .correlate(_STATEMENTS)
)


# What its author has taken back nobody is to have. What the revocation of a key ended still waits to be published anew.
_TAKEN_BACK: Final = exists().where(COUNTS).correlate(_STATEMENTS)
_MISSED: Final = and_(~_HAS_IT, ~_TAKEN_BACK)


def _newest(own: Any, reason: Any) -> Any:
    """Select the newest decisions of one kind about one recipient: an index has them side by side."""
    return (
        select(_WITHHELD.c.statement, _WITHHELD.c.at)
        .where(
            _WITHHELD.c.recipient == bindparam("recipient"),
            _WITHHELD.c.own == own,
            _WITHHELD.c.reason == reason,
            _WITHHELD.c.at >= bindparam("since"),
        )
        .order_by(_WITHHELD.c.at.desc())
        .limit(bindparam("most"))
        .subquery("newest")
    )


def _sum(own: bool, reason: Reason) -> Select[str, bool, int, int]:
    newest = _newest(own, reason.value)
    return (
        select(
            literal(reason.value).label("reason"),
            literal(own).label("own"),
            func.count(distinct(case((_MISSED, _STATEMENTS.c.content)))).label("number"),
            func.count().label("looked"),
        )
        .select_from(newest)
        .join(_STATEMENTS, _STATEMENTS.c.hash == newest.c.statement)
    )


def _examples() -> Select[Any]:
    newest = _newest(bindparam("own"), bindparam("reason"))
    return (
        select(
            newest.c.statement,
            _CONTENTS.c.stix_id.label("id"),
            _CONTENTS.c.type,
            _CONTENTS.c.name,
            _STATEMENTS.c.origin.label("by"),
            newest.c.at,
        )
        .select_from(newest)
        .join(_STATEMENTS, _STATEMENTS.c.hash == newest.c.statement)
        .join(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
        .where(_MISSED)
        .order_by(newest.c.at.desc())
        .limit(bindparam("limit"))
    )


_FEW: Final = 20
_SUMS: Final = union_all(*(_sum(own, reason) for own in (True, False) for reason in Reason))
_EXAMPLES: Final = _examples()


def sums(conn: Connection, recipient: str, since: str, most: int) -> list[Sum]:
    """Count what a recipient does not get since a time, by reason, looking at the newest `most` decisions of each."""
    rows = conn.execute(_SUMS, {"recipient": recipient, "since": since, "most": most})
    return [Sum(bool(row.own), Reason(row.reason), row.number, row.looked) for row in rows if row.number]


def examples(conn: Connection, recipient: str, wanted: Sum, since: str, limit: int) -> list[Example]:
    """Return the newest of what a sum counts."""
    given = {"own": wanted.own, "reason": wanted.reason.value, "since": since, "limit": limit}
    # What is among the newest few need not be sorted out of all that were looked at.
    found = _some(conn, given | {"recipient": recipient, "most": min(_FEW, wanted.looked)})
    if len(found) < limit:
        found = _some(conn, given | {"recipient": recipient, "most": wanted.looked})
    return found


def _some(conn: Connection, asked: Mapping[str, object]) -> list[Example]:
    return [record(row._mapping, Example) for row in conn.execute(_EXAMPLES, asked)]


def given(conn: Connection, refs: Iterable[str]) -> list[Given]:
    """Return all rows of views that give any of these statements or contents, of each recipient in order."""
    found = []
    for row in each(conn, _GIVEN, refs):
        values = {name: value if value is not None else "" for name, value in row._mapping.items()}
        found.append(record(values, Given))
    return found


def withdrawn(conn: Connection, contents: Iterable[str]) -> list[Withdrawn]:
    """Return all rows of views that say that any of these contents does not count, of each recipient in order."""
    return [record(row._mapping, Withdrawn) for row in each(conn, _WITHDRAWN, contents)]


def withheld(conn: Connection, statements: Iterable[str], recipients: Sequence[str]) -> list[Kept]:
    """Return which of these statements are withheld from which of these recipients, as it is recorded."""
    return [record(row._mapping, Kept) for row in each(conn, _KEPT, statements, recipients=list(recipients))]
