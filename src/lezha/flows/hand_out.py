"""A constituent's view goes out when it asks: what it may have, and what of that may not count any more."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.flows import share
from lezha.flows.errors import Isolated
from lezha.sharing.release import Facts, Recipient, Released, effective_pap, effective_tlp
from lezha.store import engine, isolation, policies, recipients, statements, views
from lezha.store.log import Log
from lezha.store.statements import Subject
from lezha.store.views import Entry, ViewKind

ROWS: Final = 1000
_BYTES: Final = 8 << 20
_DECIDING_S: Final = 5.0


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """Row `number` of a view. `kind` is `object`, `withdrawn` or `nothing`.

    An `object` is given as its author wrote it, with whose word on it this is, by what it must be handled, and until
    when. What is `withdrawn` was given in an earlier row and does not count any more, unless a later one gives it
    again. A row that was denied before it was handed out gives `nothing`.
    """

    number: int
    kind: str
    id: str = ""
    origin: str = ""
    tlp: str = ""
    pap: str = ""
    until: str = ""
    object: msgspec.Raw = msgspec.Raw(b"")


class Handout(msgspec.Struct, frozen=True):
    """Rows in order; `head` is the number to go on after, `more` says that there are more of them now.

    When `incarnation` is another than before, the node was restored from a backup: read from row 0.
    """

    rows: tuple[Row, ...]
    head: int
    more: bool
    incarnation: str


async def view(log: Log, recipient: Recipient, after: int, limit: int, now: str) -> Handout:
    """Bring the view up to date and return what follows row `after`: at most `limit` rows and 8 MiB, at least one.

    What takes longer than 5 s to decide is left for the next time; `more` says so. To one that is suspended its view
    ends before the next row that gives something. Raises Isolated.
    """
    end = time.monotonic() + _DECIDING_S
    while (head := await share.decide_some(log, recipient)) is None and time.monotonic() < end:
        pass
    found = await asyncio.to_thread(_read, log, recipient, after, limit, now)
    return found if head is not None else msgspec.structs.replace(found, more=True)


def _read(log: Log, recipient: Recipient, after: int, limit: int, now: str) -> Handout:
    with log.read() as conn:
        if isolation.present(conn) is not None:
            raise Isolated
        # Deciding may have taken seconds: who was suspended meanwhile is handed nothing.
        recipient = recipients.present(conn, recipient)
        entries = views.entries(conn, recipient.id, after, limit + 1)
        if recipient.suspended:
            # What it was to be given waits for it: passed over now, it would never be given.
            entries = list(takewhile(lambda one: one.kind is ViewKind.CHANGE, entries))
        rows = _rows(conn, recipient, entries[:limit], now)
        incarnation = engine.get_meta(conn, "incarnation") or ""
    return Handout(tuple(rows), rows[-1].number if rows else after, len(rows) < len(entries), incarnation)


def _rows(conn: Connection, recipient: Recipient, entries: Sequence[Entry], now: str) -> list[Row]:
    gate = policies.gate(conn, recipient, now)
    told = [entry.ref for entry in entries if entry.kind is ViewKind.STATEMENT]
    facts = {one.statement: one for one in statements.facts(conn, told)}
    decided = [gate.decide(one) for one in facts.values()]
    given = {one.statement: one for one in decided if isinstance(one, Released)}
    subjects = {one.statement: one for one in statements.subjects(conn, given)}
    changed = [entry.ref for entry in entries if entry.kind is ViewKind.CHANGE]
    names = {one.content: one.stix_id for one in statements.subjects_of(conn, changed)}
    rows: list[Row] = []
    size = 0
    for start in range(0, len(entries), _AT_ONCE):
        part = entries[start : start + _AT_ONCE]
        bodies = _bodies(conn, [given[entry.ref] for entry in part if entry.ref in given])
        for entry in part:
            row = _row(entry, facts, subjects, bodies, names)
            size += len(bytes(row.object))
            if rows and size > _BYTES:
                return rows
            rows.append(row)
    return rows


_AT_ONCE: Final = 16  # rows: each may have a megabyte


def _bodies(conn: Connection, released: Sequence[Released]) -> dict[str, bytes]:
    kept = statements.parcels(conn, [one.statement for one in released])
    return {key: parts[0] for key, (_, parts) in kept.items()}


def _row(
    entry: Entry,
    facts: Mapping[str, Facts],
    subjects: Mapping[str, Subject],
    bodies: Mapping[str, bytes],
    names: Mapping[str, str],
) -> Row:
    if entry.ref in names:
        return Row(entry.number, "withdrawn", names[entry.ref])
    raw = bodies.get(entry.ref)
    if raw is None:
        return Row(entry.number, "nothing")
    one, about = facts[entry.ref], subjects[entry.ref]
    return Row(
        number=entry.number,
        kind="object",
        id=about.stix_id,
        origin=one.origin,
        tlp=effective_tlp(one).value,
        pap=effective_pap(one).value,
        until=(one.terms.expires or "") if one.terms else "",
        object=msgspec.Raw(raw),
    )
