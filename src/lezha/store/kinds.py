"""Statements by what a national policy sees of them, newest first, and which recipients were given them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, case, exists, func, select

from lezha.sharing.release import Reason
from lezha.store import schema
from lezha.store.rows import KEYS, each
from lezha.store.tombstones import RECALLED
from lezha.store.views import ViewKind

_STATEMENTS, _CONTENTS = schema.statements, schema.contents
_VIEWS, _VOIDS, _WITHHELD = schema.views, schema.voids, schema.withheld
_BEFORE: Final = (
    select(
        _STATEMENTS.c.seq,
        _STATEMENTS.c.hash,
        _STATEMENTS.c.origin,
        _STATEMENTS.c.own,
        _STATEMENTS.c.terms,
        _CONTENTS.c.type,
        _CONTENTS.c.markings,
        _CONTENTS.c.stix_id,
        _CONTENTS.c.name,
    )
    .join(_CONTENTS, _CONTENTS.c.seq == _STATEMENTS.c.content)
    .where(_STATEMENTS.c.seq < bindparam("before"), ~RECALLED)
    .order_by(_STATEMENTS.c.seq.desc())
    .limit(bindparam("limit"))
)
_IS_VOID: Final = exists().where(_VOIDS.c.recipient == _VIEWS.c.recipient, _VOIDS.c.number == _VIEWS.c.number)
_GIVEN: Final = (_VIEWS.c.ref.in_(KEYS), _VIEWS.c.kind == ViewKind.STATEMENT.value, ~_IS_VOID)
_MEMBERS: Final[BindParameter[Any]] = bindparam("members", expanding=True)
# Sorted and grouped by what no index has: SQLite would otherwise look through the whole view of each recipient.
_ROWS: Final = select(_VIEWS.c.ref, _VIEWS.c.number).where(*_GIVEN, _VIEWS.c.recipient == bindparam("member"))
_RECIPIENT: Final = (_VIEWS.c.recipient + "").label("member")
_BY_POLICY: Final = select(_WITHHELD.c.recipient, _WITHHELD.c.statement).where(
    _WITHHELD.c.recipient.in_(_MEMBERS),
    _WITHHELD.c.statement.in_(KEYS),
    _WITHHELD.c.reason == Reason.POLICY.value,
)


class Spoken(NamedTuple):
    """A statement and what it is about; `terms` and `markings` are JSON text."""

    seq: int
    hash: str
    origin: str
    own: bool
    terms: str
    type: str
    markings: str
    stix_id: str
    name: str


def extent(conn: Connection) -> tuple[int, int]:
    """Return the number after the last statement, and how many there are that were not recalled."""
    row = conn.execute(
        select(func.coalesce(func.max(_STATEMENTS.c.seq), 0), func.count()).where(~RECALLED)
    ).one()
    return row[0] + 1, row[1]


def before(conn: Connection, seq: int, limit: int) -> list[Spoken]:
    """Return up to `limit` statements before `seq` that were not recalled, newest first."""
    return [Spoken(*row) for row in conn.execute(_BEFORE, {"before": seq, "limit": limit})]


def acknowledged(conn: Connection) -> dict[str, int]:
    """Return for each recipient the highest number that it has signed for."""
    table = schema.receipts
    rows = conn.execute(select(table.c.recipient, func.max(table.c.head)).group_by(table.c.recipient))
    return {row[0]: row[1] for row in rows}


def given(
    conn: Connection, statements: Iterable[str], members: Sequence[str], heads: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Count by recipient those of the statements that were sent, up to its number in `heads`, and those that wait."""
    if not members:
        return {}
    head = case({member: heads.get(member, 0) for member in members}, value=_VIEWS.c.recipient, else_=0)
    waits = func.sum(case((_VIEWS.c.number > head, 1), else_=0)).label("waits")
    query = (
        select(_RECIPIENT, func.count().label("rows"), waits)
        .where(*_GIVEN, _VIEWS.c.recipient.in_(_MEMBERS))
        .group_by(_RECIPIENT)
    )
    found: dict[str, tuple[int, int]] = {}
    for row in each(conn, query, statements, members=list(members)):
        told, waited = found.get(row.member, (0, 0))
        found[row.member] = (told + row.rows - row.waits, waited + row.waits)
    return found


def rows_of(conn: Connection, statements: Iterable[str], member: str, limit: int) -> list[tuple[str, int]]:
    """Return up to `limit` of the statements that are in a recipient's view, with their numbers, the last first."""
    if limit <= 0:
        return []
    rows = each(conn, _ROWS, statements, member=member)
    return sorted(((row.ref, row.number) for row in rows), key=lambda one: -one[1])[:limit]


def withheld_by_policy(
    conn: Connection, statements: Iterable[str], members: Sequence[str]
) -> dict[str, list[str]]:
    """Return by recipient those of the statements that the national policy in force withholds."""
    found: dict[str, list[str]] = {}
    if members:
        for row in each(conn, _BY_POLICY, statements, members=list(members)):
            found.setdefault(row.recipient, []).append(row.statement)
    return found
