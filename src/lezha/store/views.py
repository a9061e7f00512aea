"""Views: the numbered list of what each recipient was given, and how far each decision has come."""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, exists, false, func, insert, or_, select, update

from lezha.sharing.release import Reason, Withheld
from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows, parts, record

GENESIS: Final = bytes(32)
_STRETCH: Final = 1024  # of the log, events
_STRETCHES: Final = 64
_ENCODER: Final = msgspec.json.Encoder()


class ViewKind(StrEnum):
    """What a row of a view gives, and of what `ref` is the hash.

    A statement, the tombstone that takes one back, a roster, a commitment to this node's log, or a document of this
    node; to own systems also a content that came without a statement, and one that was given before and may not count
    any more.
    """

    STATEMENT = "statement"
    TOMBSTONE = "tombstone"
    ROSTER = "roster"
    COMMITMENT = "commitment"
    DOCUMENT = "document"
    POST = "post"
    CHANGE = "change"


class Entry(msgspec.Struct, frozen=True):
    """Row `number` (1, 2, 3 … without holes) of one recipient's view; `chain` includes all rows before."""

    number: int
    kind: ViewKind
    ref: str
    rule: str
    digest: bytes
    chain: bytes


class Head(msgspec.Struct, frozen=True):
    """The last number of a view and its chain; 0 and 32 zero bytes for an empty one."""

    number: int
    chain: bytes


class Cursor(msgspec.Struct, frozen=True):
    """The seq up to which events have been decided for a recipient.

    While what was withheld is decided anew on account of one of them, `again` is the seq of the last statement done.
    While some of them are put off, they are those after `behind` up to `until`.
    """

    seq: int
    again: int | None = None
    behind: int | None = None
    until: int = 0


class Change(msgspec.Struct, frozen=True):
    """An event that may change what a recipient is given."""

    seq: int
    kind: str
    subject: str


# Statements on the way of every object are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_VIEWS, _EVENTS = schema.views, schema.events
_HEAD: Final = (
    select(_VIEWS.c.number, _VIEWS.c.chain)
    .where(_VIEWS.c.recipient == bindparam("recipient"))
    .order_by(_VIEWS.c.number.desc())
    .limit(1)
)
_ENTRIES: Final = (
    select(_VIEWS.c.number, _VIEWS.c.kind, _VIEWS.c.ref, _VIEWS.c.rule, _VIEWS.c.digest, _VIEWS.c.chain)
    .where(_VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.number > bindparam("after"))
    .order_by(_VIEWS.c.number)
    .limit(bindparam("limit"))
)
_OFFERED: Final = select(_VIEWS.c.ref).where(
    _VIEWS.c.recipient == bindparam("recipient"), _VIEWS.c.ref.in_(KEYS)
)
_GIVEN: Final = _OFFERED.where(
    ~exists().where(schema.voids.c.recipient == _VIEWS.c.recipient, schema.voids.c.number == _VIEWS.c.number)
)
_LATER: Final = _VIEWS.alias("later")
# Begun with what is void, which is little, and not with all that was ever numbered.
_ONLY_VOID: Final = (
    select(_VIEWS.c.ref)
    .join(
        schema.voids,
        and_(schema.voids.c.recipient == _VIEWS.c.recipient, schema.voids.c.number == _VIEWS.c.number),
    )
    .where(
        schema.voids.c.recipient == bindparam("recipient"),
        schema.voids.c.reason == Reason.SUSPENDED.value,
        _VIEWS.c.kind == bindparam("kind"),
        ~exists().where(
            _LATER.c.recipient == _VIEWS.c.recipient,
            _LATER.c.ref == _VIEWS.c.ref,
            _LATER.c.number > _VIEWS.c.number,
        ),
    )
    .order_by(_VIEWS.c.number)
)
_CHANGED: Final = _OFFERED.where(_VIEWS.c.kind == ViewKind.CHANGE.value, _VIEWS.c.rule == bindparam("rule"))
_REFUSED: Final = select(schema.refusals.c.number).where(
    schema.refusals.c.recipient == bindparam("recipient"), schema.refusals.c.number.in_(KEYS)
)
_REASONS: Final = select(schema.withheld.c.statement, schema.withheld.c.reason).where(
    schema.withheld.c.recipient == bindparam("recipient"), schema.withheld.c.statement.in_(KEYS)
)
_VOIDED: Final = select(schema.voids.c.number).where(
    schema.voids.c.recipient == bindparam("recipient"), schema.voids.c.number > bindparam("after")
)
_MOVE: Final = (
    update(schema.cursors)
    .where(schema.cursors.c.recipient == bindparam("of"))
    .values(
        seq=bindparam("seq"), again=bindparam("again"), behind=bindparam("behind"), until=bindparam("until")
    )
)
_RECEIPT: Final = select(schema.receipts.c.head).where(
    schema.receipts.c.recipient == bindparam("recipient"), schema.receipts.c.head == bindparam("head")
)
_CURSOR: Final = select(schema.cursors).where(schema.cursors.c.recipient == bindparam("recipient"))
_STATEMENTS, _WITHHELD = schema.statements, schema.withheld
_FEW_WITHHELD: Final = (
    select(_STATEMENTS.c.seq, _STATEMENTS.c.hash)
    .join(_WITHHELD, _WITHHELD.c.statement == _STATEMENTS.c.hash)
    .where(_WITHHELD.c.recipient == bindparam("recipient"))
    .limit(bindparam("limit"))
)
# Asked so that it begins with a stretch of the log and not with all that is withheld, which may be a million.
_WITHHELD_BETWEEN: Final = (
    select(_STATEMENTS.c.seq, _STATEMENTS.c.hash)
    .where(
        _STATEMENTS.c.seq > bindparam("after"),
        _STATEMENTS.c.seq <= bindparam("upto"),
        exists()
        .where(_WITHHELD.c.recipient == bindparam("recipient"), _WITHHELD.c.statement == _STATEMENTS.c.hash)
        .correlate(_STATEMENTS),
    )
    .order_by(_STATEMENTS.c.seq)
)
_LAST: Final = (1 << 63) - 1
_CHANGES: Final = (
    select(_EVENTS.c.seq, _EVENTS.c.kind, _EVENTS.c.subject)
    .where(
        _EVENTS.c.seq > bindparam("after"),
        _EVENTS.c.seq <= bindparam("upto"),
        _EVENTS.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(_EVENTS.c.seq)
    .limit(bindparam("limit"))
)


def head(conn: Connection, recipient: str) -> Head:
    """Return the head of a recipient's view."""
    row = conn.execute(_HEAD, {"recipient": recipient}).first()
    return Head(0, GENESIS) if row is None else Head(row.number, row.chain)


def append(tx: Tx, recipient: str, entries: Sequence[Entry]) -> None:
    """Append numbered rows. They never change afterwards."""
    if entries:
        rows = [
            (
                recipient,
                one.number,
                one.kind.value,
                bytes.fromhex(one.ref),
                one.rule,
                one.digest,
                one.chain,
                tx.seq,
                tx.at,
            )
            for one in entries
        ]
        insert_rows(tx.conn, schema.views, rows)


def digest(rows: Iterable[tuple[int, str, str, str, str]]) -> str:
    """Return in hex what an event's chain covers of rows: SHA-256 of number, kind, ref, rule, time, a JSON line each.

    The chain of the view covers what a peer can check: number and frame.
    """
    state = hashlib.sha256()
    for row in rows:
        state.update(_ENCODER.encode(row))
        state.update(b"\n")
    return state.hexdigest()


def digest_of(conn: Connection, recipient: str, first: int, last: int) -> str:
    """Return the digest of rows as they are kept."""
    columns = (_VIEWS.c.number, _VIEWS.c.kind, _VIEWS.c.ref, _VIEWS.c.rule, _VIEWS.c.at)
    rows = conn.execute(
        select(*columns)
        .where(_VIEWS.c.recipient == recipient, _VIEWS.c.number.between(first, last))
        .order_by(_VIEWS.c.number)
    )
    return digest(tuple(row) for row in rows)


def entries(conn: Connection, recipient: str, after: int, limit: int) -> list[Entry]:
    """Return up to `limit` rows numbered above `after`, in order."""
    rows = conn.execute(_ENTRIES, {"recipient": recipient, "after": after, "limit": limit})
    return [record(row._mapping, Entry) for row in rows]


def entry(conn: Connection, recipient: str, number: int) -> Entry | None:
    """Return one row, or None."""
    found = entries(conn, recipient, number - 1, 1)
    return found[0] if found and found[0].number == number else None


def offered(conn: Connection, recipient: str, refs: Iterable[str]) -> set[str]:
    """Return those of `refs` that are in the recipient's view."""
    return {row.ref for row in each(conn, _OFFERED, refs, recipient=recipient)}


def given(conn: Connection, recipient: str, refs: Iterable[str]) -> set[str]:
    """Return those of `refs` that are in the recipient's view in a row that is not void."""
    return {row.ref for row in each(conn, _GIVEN, refs, recipient=recipient)}


def only_void(conn: Connection, recipient: str, kind: ViewKind) -> list[str]:
    """Return what was numbered for a recipient as this kind and is void in every row, in the order of its rows."""
    return list(dict.fromkeys(conn.scalars(_ONLY_VOID, {"recipient": recipient, "kind": kind.value})))


def not_changed(conn: Connection, recipient: str, refs: Sequence[str], rule: str) -> list[str]:
    """Return those of `refs` of which a view does not say yet, by this rule, that they may not count any more."""
    said = {row.ref for row in each(conn, _CHANGED, refs, recipient=recipient, rule=rule)}
    return [ref for ref in refs if ref not in said]


def withhold(tx: Tx, recipient: str, decisions: Sequence[Withheld]) -> None:
    """Record why each of the statements, for which no reason is recorded, is withheld from a recipient."""
    rows = [
        {
            "recipient": recipient,
            "statement": one.statement,
            "own": one.author_here,
            "reason": one.reason.value,
            "at": tx.at,
        }
        for one in decisions
    ]
    if rows:
        tx.conn.execute(insert(schema.withheld), rows)


def no_longer_withheld(tx: Tx, recipient: str, statements: Sequence[str]) -> None:
    """Forget the recorded reasons for statements that are now given."""
    _forget(tx.conn, recipient, statements)


def withheld_from(conn: Connection, recipient: str) -> dict[str, Reason]:
    """Return the statements withheld from a recipient, in the order of the log, with the reasons."""
    table, statements = schema.withheld, schema.statements
    rows = conn.execute(
        select(table.c.statement, table.c.reason)
        .join(statements, statements.c.hash == table.c.statement)
        .where(table.c.recipient == recipient)
        .order_by(statements.c.seq)
    )
    return {row.statement: Reason(row.reason) for row in rows}


def withheld_after(
    conn: Connection, recipient: str, after: int, upto: int, some: int
) -> tuple[list[str], int | None]:
    """Return withheld statements that follow `after` up to `upto`, in the order of the log, and where to go on.

    They are about `some`, fewer if the log is long and little is withheld; None where to go on is the end.
    """
    rows = conn.execute(_FEW_WITHHELD, {"recipient": recipient, "limit": some + 1}).all()
    if len(rows) <= some:
        return [key for seq, key in sorted(map(tuple, rows)) if after < seq <= upto], None
    found: list[str] = []
    for _ in range(_STRETCHES):
        if after >= upto or len(found) >= some:
            break
        between: dict[str, Any] = {
            "recipient": recipient,
            "after": after,
            "upto": min(after + _STRETCH, upto),
        }
        found += [row.hash for row in conn.execute(_WITHHELD_BETWEEN, between)]
        after = between["upto"]
    return found, after if after < upto else None


def withheld_counts(conn: Connection, recipient: str, *, own: bool) -> dict[str, int]:
    """Count what is withheld from a recipient, by reason: what this member signed itself, or what others did."""
    table = schema.withheld
    rows = conn.execute(
        select(table.c.reason, func.count())
        .where(table.c.recipient == recipient, table.c.own == own)
        .group_by(table.c.reason)
    )
    return {row[0]: row[1] for row in rows}


def cursor(conn: Connection, recipient: str) -> Cursor:
    """Return how far events have been decided for a recipient."""
    row = conn.execute(_CURSOR, {"recipient": recipient}).first()
    return Cursor(0) if row is None else Cursor(row.seq, row.again, row.behind, row.until)


def move_cursor(tx: Tx, recipient: str, to: Cursor) -> None:
    """Record how far events have been decided for a recipient."""
    values = msgspec.structs.asdict(to)
    if not tx.conn.execute(_MOVE, values | {"of": recipient}).rowcount:
        tx.conn.execute(insert(schema.cursors).values(recipient=recipient, **values))


def to_decide(conn: Connection, recipient: str, most: int) -> int:
    """Count the statements that have not been decided for a recipient, up to `most`."""
    place, seq = cursor(conn, recipient), _STATEMENTS.c.seq
    put_off = false() if place.behind is None else seq.between(place.behind + 1, place.until)
    asked = select(seq).where(or_(seq > place.seq, put_off)).limit(most)
    return conn.scalar(select(func.count()).select_from(asked.subquery())) or 0


def changes(
    conn: Connection, after: int, kinds: Iterable[str], limit: int, upto: int = _LAST
) -> list[Change]:
    """Return up to `limit` events of these kinds after `after` and up to `upto`, in order."""
    rows = conn.execute(_CHANGES, {"after": after, "upto": upto, "kinds": sorted(kinds), "limit": limit})
    return [Change(row.seq, row.kind, row.subject) for row in rows]


def acknowledged(conn: Connection, recipient: str) -> tuple[int, str]:
    """Return the highest number that the recipient has signed for and when; (0, "") if none."""
    table = schema.receipts
    row = conn.execute(
        select(table.c.head, table.c.at)
        .where(table.c.recipient == recipient)
        .order_by(table.c.head.desc())
        .limit(1)
    ).first()
    return (0, "") if row is None else (row.head, row.at)


def keep_receipt(
    tx: Tx, recipient: str, head_number: int, envelope: bytes, refused: Sequence[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Keep a signed receipt and what it refused; return what of that is new.

    One that acknowledges nothing new is not kept.
    """
    if tx.conn.scalar(_RECEIPT, {"recipient": recipient, "head": head_number}) is None:
        kept = {"recipient": recipient, "head": head_number, "envelope": envelope, "at": tx.at}
        tx.conn.execute(insert(schema.receipts), kept)
        digest = hashlib.sha256(envelope).hexdigest()
        tx.event("receipt", recipient, recipient, head=head_number, refused=len(refused), digest=digest)
    codes = dict(refused)
    known = {row.number for row in each(tx.conn, _REFUSED, codes, recipient=recipient)}
    new = [(number, code) for number, code in codes.items() if number not in known]
    insert_rows(tx.conn, schema.refusals, [(recipient, number, code, tx.at) for number, code in new])
    return new


def carry(tx: Tx, recipient: str, first: int, last: int, actor: str) -> None:
    """Record that frames were written into a file for a recipient."""
    table = schema.carried
    tx.conn.execute(delete(table).where(table.c.recipient == recipient))
    tx.conn.execute(insert(table).values(recipient=recipient, number=last, at=tx.at))
    tx.event("carried", recipient, actor, first=first, last=last)


def carried(conn: Connection, recipient: str) -> int:
    """Return the last frame that was written into a file for a recipient, 0 if none was."""
    table = schema.carried
    return int(conn.scalar(select(table.c.number).where(table.c.recipient == recipient)) or 0)


def refused_counts(conn: Connection, recipient: str) -> dict[str, int]:
    """Count what a recipient refused, by its code."""
    table = schema.refusals
    rows = conn.execute(
        select(table.c.code, func.count()).where(table.c.recipient == recipient).group_by(table.c.code)
    )
    return {row[0]: row[1] for row in rows}


def delivered(conn: Connection, recipient: str, number: int) -> int:
    """Count the statements that the rows of a view up to `number` gave; not those in void rows, nor refused ones."""
    table, voids, refusals = schema.views, schema.voids, schema.refusals
    void = select(voids.c.number).where(voids.c.recipient == recipient)
    refused = select(refusals.c.number).where(refusals.c.recipient == recipient)
    found = conn.scalar(
        select(func.count()).where(
            table.c.recipient == recipient,
            table.c.number <= number,
            table.c.kind == ViewKind.STATEMENT.value,
            table.c.number.not_in(void),
            table.c.number.not_in(refused),
        )
    )
    return found or 0


def void(tx: Tx, recipient: str, denied: Sequence[tuple[int, Withheld]]) -> None:
    """Make rows void for ever, since what they gave has been denied before it was sent.

    The statements are withheld from now on, and get a new number if they are released again; so do rosters, of which
    nothing else is recorded.
    """
    rows = [
        {"recipient": recipient, "number": number, "reason": one.reason.value, "at": tx.at}
        for number, one in denied
    ]
    if rows:
        tx.conn.execute(insert(schema.voids), rows)
        tx.event("voided", recipient, numbers=[(number, one.reason.value) for number, one in denied])
        stated = [one for _, one in denied if one.statement]
        no_longer_withheld(tx, recipient, [one.statement for one in stated])
        withhold(tx, recipient, stated)


def voided(conn: Connection, recipient: str, after: int) -> set[int]:
    """Return the numbers above `after` of rows that are void."""
    return {row.number for row in conn.execute(_VOIDED, {"recipient": recipient, "after": after})}


def find(conn: Connection, recipient: str, ref: str) -> Entry | None:
    """Return the latest row of a view that gives `ref`, or None; void rows give nothing."""
    table = schema.views
    voids = select(schema.voids.c.number).where(schema.voids.c.recipient == recipient)
    rows = select(func.max(table.c.number)).where(table.c.recipient == recipient, table.c.ref == ref)
    number = conn.scalar(rows.where(table.c.number.not_in(voids)))
    return None if number is None else entry(conn, recipient, number)


def reasons(conn: Connection, recipient: str, statements: Iterable[str]) -> dict[str, Reason]:
    """Return why each of some statements is withheld from a recipient, as far as it is."""
    rows = each(conn, _REASONS, statements, recipient=recipient)
    return {row.statement: Reason(row.reason) for row in rows}


def reason(conn: Connection, recipient: str, statement: str) -> Reason | None:
    """Return why a statement is withheld from a recipient, or None if it is not."""
    table = schema.withheld
    found = conn.scalar(
        select(table.c.reason).where(table.c.recipient == recipient, table.c.statement == statement)
    )
    return None if found is None else Reason(found)


def _forget(conn: Connection, recipient: str, statements: Sequence[str]) -> None:
    table = schema.withheld
    for part in parts(statements):
        conn.execute(delete(table).where(table.c.recipient == recipient, table.c.statement.in_(part)))
