"""The log becomes views, and views become frames.

`decide` looks at what has changed since it last looked for a recipient, asks the release kernel, and numbers what is
released, all in one commit. `batch` packs numbered rows for sending and asks once more: what has been denied since
goes as a void frame.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from lezha.federation import frame
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel
from lezha.sharing.community import Communities
from lezha.sharing.release import Facts, Reason, Recipient, Released, Standing, Withheld, release
from lezha.store import communities, statements, views
from lezha.store.log import Log, Tx
from lezha.store.views import Entry, Head, ViewKind

_CHANGES_PER_COMMIT: Final = 256
_KINDS: Final = ("statement", "roster", "admission", "peer")


async def decide(log: Log, recipient: Recipient) -> Head:
    """Bring the view of `recipient` up to date and return its head."""
    while True:
        with log.read() as conn:
            head = views.head(conn, recipient.id)
            waiting = views.changes(conn, views.cursor(conn, recipient.id), _KINDS, 1)
        if not waiting:
            return head
        await log.write(lambda tx: _decide_some(tx, recipient))


def preview(
    conn: Connection, facts: Sequence[Facts], recipients: Sequence[Recipient], now: str
) -> list[Released | Withheld]:
    """Decide for statements that need not be in the log yet: who would get them, and who not and why."""
    present = communities.current(conn)
    return [release(one, recipient, present, now) for recipient in recipients for one in facts]


def batch(conn: Connection, recipient: Recipient, incarnation: str, after: int, now: str) -> Batch:
    """Pack the frames numbered above `after` for a peer: at most 256 of them, or the first that reach 1 MiB."""
    present = communities.current(conn)
    previous = _chain_at(conn, recipient.id, after)
    frames: list[Frame] = []
    size = 0
    for entry in views.entries(conn, recipient.id, after, frame.BATCH_FRAMES):
        parcel = _parcel(conn, entry, recipient, present, now)
        if isinstance(parcel, Parcel):
            packed = Frame(entry.number, parcel.kind, previous, parcel.envelope, parcel.contents)
            size += parcel.size
        else:
            packed = Frame(entry.number, FrameKind.VOID, previous, entry.digest)
        frames.append(packed)
        previous = entry.chain
        if size >= frame.BATCH_BYTES:
            break
    return Batch(frame.PROTOCOL, incarnation, now, tuple(frames))


def _decide_some(tx: Tx, recipient: Recipient) -> None:
    changes = views.changes(tx.conn, views.cursor(tx.conn, recipient.id), _KINDS, _CHANGES_PER_COMMIT)
    if not changes:
        return
    present = communities.current(tx.conn)
    inputs = [c for c in changes if c.kind != "statement" and (c.kind != "peer" or c.subject == recipient.id)]
    hashes: dict[str, None] = {}
    if inputs:
        _number_rosters(tx, recipient)
        hashes.update(dict.fromkeys(views.withheld_from(tx.conn, recipient.id)))
    hashes.update(dict.fromkeys(c.subject for c in changes if c.kind == "statement"))
    wanted = list(hashes)
    for start in range(0, len(wanted), _CHANGES_PER_COMMIT):
        _decide_statements(tx, recipient, present, wanted[start : start + _CHANGES_PER_COMMIT])
    views.move_cursor(tx, recipient.id, changes[-1].seq)


def _decide_statements(tx: Tx, recipient: Recipient, present: Communities, hashes: list[str]) -> None:
    there = views.offered(tx.conn, recipient.id, hashes)
    facts = statements.facts(tx.conn, [key for key in hashes if key not in there])
    decisions = [release(one, recipient, present, tx.at) for one in facts]
    released = [one for one in decisions if isinstance(one, Released)]
    views.withhold(tx, [one for one in decisions if isinstance(one, Withheld)])
    views.no_longer_withheld(tx, recipient.id, [one.statement for one in released])
    parcels = [(ViewKind.STATEMENT, one.statement, one.rule, _pack(tx.conn, one)) for one in released]
    _number(tx, recipient.id, parcels)


def _number_rosters(tx: Tx, recipient: Recipient) -> None:
    if recipient.standing is not Standing.MEMBER or recipient.suspended:
        return
    mine = [kept for kept in communities.latest(tx.conn) if recipient.id in kept.members]
    there = views.offered(tx.conn, recipient.id, [kept.hash for kept in mine])
    parcels = [
        (ViewKind.ROSTER, kept.hash, f"member of {kept.name}", frame.pack_roster(kept.envelope))
        for kept in mine
        if kept.hash not in there
    ]
    _number(tx, recipient.id, parcels)


def _number(tx: Tx, recipient: str, parcels: Sequence[tuple[ViewKind, str, str, Parcel]]) -> None:
    head = views.head(tx.conn, recipient)
    entries: list[Entry] = []
    for kind, ref, rule, parcel in parcels:
        number, digest = head.number + 1, parcel.digest()
        head = Head(number, frame.link(head.chain, number, digest))
        entries.append(Entry(number, kind, ref, rule, digest, head.chain))
    views.append(tx, recipient, entries)


def _parcel(
    conn: Connection, entry: Entry, recipient: Recipient, present: Communities, now: str
) -> Parcel | Reason:
    if entry.kind is ViewKind.ROSTER:
        kept = communities.by_hash(conn, entry.ref)
        if kept is None or recipient.suspended:
            return Reason.NOT_IN_AUDIENCE
        return frame.pack_roster(kept.envelope)
    decision = release(statements.facts(conn, [entry.ref])[0], recipient, present, now)
    return decision.reason if isinstance(decision, Withheld) else _pack(conn, decision)


def _pack(conn: Connection, released: Released) -> Parcel:
    envelope, contents = statements.parts(conn, released.statement)
    return frame.pack_statement(released, envelope, contents)


def _chain_at(conn: Connection, recipient: str, number: int) -> bytes:
    entry = views.entry(conn, recipient, number) if number else None
    return views.GENESIS if entry is None else entry.chain
