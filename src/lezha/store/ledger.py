"""What became of a statement towards one recipient: the one place that says so, for every page, answer and report."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, select

from lezha.sharing.release import Reason
from lezha.store import schema, tombstones, views
from lezha.store.rows import KEYS, each


class Fate(StrEnum):
    """How far a statement has come with a recipient. The value is stable: it appears in `--json`.

    `withheld`: never numbered for it. `offered`: numbered, and not signed for. `received`: signed for. `refused`:
    signed for as put aside. `void`: denied after it was numbered, so it went without what it stood for. `recalled`: it
    was offered, and its author took it back. `recall received`: the recipient has signed for that.
    """

    WITHHELD = "withheld"
    OFFERED = "offered"
    RECEIVED = "received"
    REFUSED = "refused"
    VOID = "void"
    RECALLED = "recalled"
    RECALL_RECEIVED = "recall received"


class Line(msgspec.Struct, frozen=True):
    """One statement towards one recipient. `why` is the rule, the reason in words, the code, or who says so."""

    fate: Fate
    why: str


_VIEWS, _VOIDS, _REFUSALS = schema.views, schema.voids, schema.refusals
_ROWS: Final = (
    select(
        _VIEWS.c.ref,
        _VIEWS.c.number,
        _VIEWS.c.rule,
        _VOIDS.c.reason.label("void"),
        _REFUSALS.c.code.label("refused"),
    )
    .outerjoin(_VOIDS, and_(_VOIDS.c.recipient == _VIEWS.c.recipient, _VOIDS.c.number == _VIEWS.c.number))
    .outerjoin(
        _REFUSALS, and_(_REFUSALS.c.recipient == _VIEWS.c.recipient, _REFUSALS.c.number == _VIEWS.c.number)
    )
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.ref.in_(KEYS))
)
_WITHHELD: Final = select(schema.withheld.c.statement, schema.withheld.c.reason).where(
    schema.withheld.c.recipient == bindparam("recipient"), schema.withheld.c.statement.in_(KEYS)
)


def lines(conn: Connection, recipient: str, statements: Sequence[str]) -> dict[str, Line]:
    """Return what became of each of some statements; one about which nothing was decided yet is left out."""
    stones = tombstones.about(conn, statements)
    refs = [*statements, *(one.hash for one in stones.values())]
    given = sorted(each(conn, _ROWS, refs, recipient=recipient), key=lambda row: row.number)
    rows = {row.ref: row for row in given}  # the last row of each
    reasons = {row.statement: row.reason for row in each(conn, _WITHHELD, statements, recipient=recipient)}
    signed_for, _ = views.acknowledged(conn, recipient)
    found: dict[str, Line] = {}
    for key in statements:
        row, stone = rows.get(key), stones.get(key)
        if row is None:
            if key in reasons:
                found[key] = Line(Fate.WITHHELD, Reason(reasons[key]).words)
        elif stone is not None:
            told = rows.get(stone.hash)
            heard = told is not None and told.number <= signed_for and told.refused is None
            found[key] = Line(Fate.RECALL_RECEIVED if heard else Fate.RECALLED, stone.why)
        elif row.void is not None:
            found[key] = Line(Fate.VOID, Reason(row.void).words)
        elif row.refused is not None:
            found[key] = Line(Fate.REFUSED, row.refused)
        else:
            found[key] = Line(Fate.RECEIVED if row.number <= signed_for else Fate.OFFERED, row.rule)
    return found
