"""The log becomes views, and views become frames.

`decide` looks at what has changed since it last looked for a recipient, asks the release kernel, and numbers what is
released, all in one commit. `pack` packs numbered rows for sending and asks once more: what has been denied since
goes as a void frame.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import frame
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel
from lezha.sharing.community import Communities
from lezha.sharing.release import Facts, Reason, Recipient, Released, Standing, Withheld, release
from lezha.store import communities, posts, statements, views
from lezha.store.log import Log, Tx
from lezha.store.views import Change, Entry, Head, ViewKind

_CHANGES_PER_COMMIT: Final = 256
KINDS: Final = frozenset({"statement", "roster", "admission", "peer", "posted", "disputed", "purged"})
"""The events that may change what a recipient is given."""
_ABOUT_PEERS: Final = frozenset({"roster", "admission"})
_NOTHING: Final[Mapping[str, Reason]] = MappingProxyType({})
_CLAIMED: Final = "names as its creator a member that is known here"
_Row = tuple[ViewKind, str, str, bytes]
"""A row of a view: kind, ref, rule and digest."""


async def decide(log: Log, recipient: Recipient) -> Head:
    """Bring the view of `recipient` up to date and return its head."""
    while (head := await decide_some(log, recipient)) is None:
        pass
    return head


async def decide_some(log: Log, recipient: Recipient) -> Head | None:
    """Decide for the next changes; return the head of the view, or None if there may be more of them."""
    return await log.write(lambda tx: _decide_some(tx, recipient))


def preview(
    conn: Connection, facts: Sequence[Facts], recipients: Sequence[Recipient], now: str
) -> list[Released | Withheld]:
    """Decide for statements that need not be in the log yet: who would get them, and who not and why."""
    present = communities.current(conn)
    return [release(one, recipient, present, now) for recipient in recipients for one in facts]


class Packed(msgspec.Struct, frozen=True):
    """Frames to send, and the rows among them that must be made void before: (number, why)."""

    batch: Batch
    denied: tuple[tuple[int, Withheld], ...]


def pack(conn: Connection, recipient: Recipient, incarnation: str, after: int, now: str) -> Packed:
    """Pack the frames numbered above `after` for a peer: at most 256 of them and 1 MiB, but at least one.

    What has been denied since it was numbered goes as a void frame, and does so whenever it is sent again.
    """
    previous = _chain_at(conn, recipient.id, after)
    entries = views.entries(conn, recipient.id, after, frame.BATCH_FRAMES)
    parcels, denied = _parcels(conn, entries, recipient, now)
    void = views.voided(conn, recipient.id, after)
    frames: list[Frame] = []
    size = 0
    for entry in entries:
        parcel = None if entry.number in void else parcels.get(entry.ref)
        size += 0 if parcel is None else parcel.size
        if frames and size > frame.BATCH_BYTES:
            break
        if parcel is None:
            frames.append(Frame(entry.number, FrameKind.VOID, previous, entry.digest))
        else:
            frames.append(Frame(entry.number, parcel.kind, previous, parcel.envelope, parcel.contents))
        previous = entry.chain
    batch = Batch(frame.PROTOCOL, incarnation, now, tuple(frames))
    last = frames[-1].number if frames else 0
    fresh = [
        (entry.number, denied[entry.ref])
        for entry in entries
        if entry.ref in denied and entry.number not in void and entry.number <= last
    ]
    return Packed(batch, tuple(fresh))


def _decide_some(tx: Tx, recipient: Recipient) -> Head | None:
    """Decide for the next changes; return the view's head, or None if there may be more changes."""
    changed_before = views.cursor(tx.conn, recipient.id)
    changes = views.changes(tx.conn, changed_before, KINDS, _CHANGES_PER_COMMIT)
    if not changes:
        return views.head(tx.conn, recipient.id)
    present = communities.current(tx.conn)
    inputs = [
        c for c in changes if c.kind in _ABOUT_PEERS or (c.kind == "peer" and c.subject == recipient.id)
    ]
    fresh = dict.fromkeys(c.subject for c in changes if c.kind == "statement")
    if inputs or len(changes) == _CHANGES_PER_COMMIT or not changed_before:
        # Rosters travel ahead of objects, also where their events lie further on than this commit looks.
        _number_rosters(tx, recipient)
    if inputs:
        before = views.withheld_from(tx.conn, recipient.id)
        again = [key for key in before if key not in fresh]
        for start in range(0, len(again), _CHANGES_PER_COMMIT):
            _decide_statements(tx, recipient, present, again[start : start + _CHANGES_PER_COMMIT], before)
    told_late = _decide_statements(tx, recipient, present, list(fresh))
    if recipient.standing is Standing.OWN:
        _tell_own(tx, recipient, present, changes, told_late)
    views.move_cursor(tx, recipient.id, changes[-1].seq)
    return views.head(tx.conn, recipient.id) if len(changes) < _CHANGES_PER_COMMIT else None


def _decide_statements(
    tx: Tx,
    recipient: Recipient,
    present: Communities,
    hashes: list[str],
    before: Mapping[str, Reason] = _NOTHING,
) -> list[str]:
    """Decide for statements that are not in the recipient's view; `before` is why those are withheld that are recorded.

    What is withheld for the same reason as before keeps the time since when it is. Return what the statements are about
    of what was purged.
    """
    if not hashes:
        return []
    facts = statements.facts(tx.conn, hashes)
    decisions = [release(one, recipient, present, tx.at) for one in facts]
    released = [one for one in decisions if isinstance(one, Released)]
    withheld = [one for one in decisions if isinstance(one, Withheld)]
    changed = [one for one in withheld if before.get(one.statement) is not one.reason]
    if before:
        views.no_longer_withheld(
            tx, recipient.id, [*(one.statement for one in released), *(one.statement for one in changed)]
        )
    views.withhold(tx, recipient.id, changed)
    digests = _digests(tx.conn, recipient, released)
    _number(
        tx,
        recipient.id,
        [(ViewKind.STATEMENT, one.statement, one.rule, digests[one.statement]) for one in released],
    )
    return [one.content for one in facts if one.purged]


def _digests(conn: Connection, recipient: Recipient, released: Sequence[Released]) -> dict[str, bytes]:
    """Return for each row what its chain is made of: the frame's digest; own systems are sent no frames."""
    if recipient.standing is Standing.OWN:
        return {one.statement: bytes.fromhex(one.statement) for one in released}
    return {key: parcel.digest() for key, parcel in _pack(conn, released).items()}


def _tell_own(
    tx: Tx, recipient: Recipient, present: Communities, changes: Sequence[Change], told_late: Sequence[str]
) -> None:
    """Give own systems what came without a statement, and say what of the given may not count any more.

    What is told of only after it was purged, `told_late`, ends what is before it all the same. What others were given
    of what may not count is void if it was not sent yet (`pack`), and stays with them if it was.
    """
    posted = posts.facts(tx.conn, [change.subject for change in changes if change.kind == "posted"])
    decided = [release(one, recipient, present, tx.at) for one in posted.values()]
    rows = [
        (ViewKind.POST, one.content, one.rule, bytes.fromhex(one.content))
        for one in decided
        if isinstance(one, Released)
    ]
    changed = [change.subject for change in changes if change.kind in ("disputed", "purged")]
    rows += _changes(changed, "may not count any more")
    rows += _changes(told_late, "was told of after it was purged")
    for member in dict.fromkeys(change.subject for change in changes if change.kind == "peer"):
        claimed = statements.claims(tx.conn, member)
        rows += _changes(views.not_changed(tx.conn, recipient.id, claimed, _CLAIMED), _CLAIMED)
    _number(tx, recipient.id, rows)


def _changes(contents: Sequence[str], rule: str) -> list[_Row]:
    return [(ViewKind.CHANGE, key, rule, bytes.fromhex(key)) for key in dict.fromkeys(contents)]


def _number_rosters(tx: Tx, recipient: Recipient) -> None:
    if recipient.standing is not Standing.MEMBER or recipient.suspended:
        return
    ours = communities.accepted(tx.conn)
    mine = [k for k in communities.latest(tx.conn) if k.community in ours and recipient.id in k.members]
    there = views.offered(tx.conn, recipient.id, [kept.hash for kept in mine])
    rows = [
        (ViewKind.ROSTER, kept.hash, f"member of {kept.name}", frame.pack_roster(kept.envelope).digest())
        for kept in mine
        if kept.hash not in there
    ]
    _number(tx, recipient.id, rows)


def _number(tx: Tx, recipient: str, rows: Sequence[_Row]) -> None:
    """Append rows."""
    if not rows:
        return
    head = views.head(tx.conn, recipient)
    entries: list[Entry] = []
    for kind, ref, rule, digest in rows:
        number = head.number + 1
        head = Head(number, frame.link(head.chain, number, digest))
        entries.append(Entry(number, kind, ref, rule, digest, head.chain))
    views.append(tx, recipient, entries)


def _parcels(
    conn: Connection, entries: Sequence[Entry], recipient: Recipient, now: str
) -> tuple[dict[str, Parcel], dict[str, Withheld]]:
    """Pack what may still be sent of numbered rows, and say what of them has been denied since."""
    told = [entry.ref for entry in entries if entry.kind is ViewKind.STATEMENT]
    present = communities.current(conn) if told else {}
    decisions = [release(one, recipient, present, now) for one in statements.facts(conn, told)]
    parcels = _pack(conn, [one for one in decisions if isinstance(one, Released)])
    for entry in entries:
        if entry.kind is ViewKind.ROSTER and not recipient.suspended:
            kept = communities.by_hash(conn, entry.ref)
            if kept is not None and recipient.id in kept.members:
                parcels[entry.ref] = frame.pack_roster(kept.envelope)
    return parcels, {one.statement: one for one in decisions if isinstance(one, Withheld)}


def _pack(conn: Connection, released: Sequence[Released]) -> dict[str, Parcel]:
    kept = statements.parcels(conn, [one.statement for one in released]) if released else {}
    return {one.statement: frame.pack_statement(one, *kept[one.statement]) for one in released}


def _chain_at(conn: Connection, recipient: str, number: int) -> bytes:
    entry = views.entry(conn, recipient, number) if number else None
    return views.GENESIS if entry is None else entry.chain
