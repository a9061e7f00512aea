"""What is numbered becomes frames to send: all that leaves a node on a stream is made here.

The rules are asked once more, and the log is asked what the recipient is by now: what has been denied since it was
numbered goes as a void frame. Rows are read with their bytes, so no more of them at a time than are likely to go.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from lezha.federation import frame
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel
from lezha.federation.outbox import Send
from lezha.sharing.community import Community
from lezha.sharing.release import Gate, Reason, Recipient, Released, Standing, Withheld
from lezha.store import (
    checkpoints,
    communities,
    documents,
    policies,
    recipients,
    statements,
    tombstones,
    views,
)
from lezha.store.views import Entry, ViewKind

_AT_A_TIME: Final = 32


class Packed(msgspec.Struct, frozen=True):
    """Frames to send, and the rows among them that must be made void before: (number, why).

    What is withheld names no statement where a roster is.
    """

    batch: Batch
    denied: tuple[tuple[int, Withheld], ...]


class _Due(NamedTuple):
    """A numbered row, what is sent for it, and why that has been denied; neither if it can't be sent any more."""

    entry: Entry
    parcel: Parcel | None
    denied: Withheld | None


def pack(
    conn: Connection, recipient: Recipient, incarnation: str, send: Send, now: str, *, whole: bool = False
) -> Packed:
    """Pack frames for a peer: at most 256 of them and as many bytes as `send` says, but at least one.

    If the first one alone is larger, a piece of it is sent, unless frames have to be `whole`.
    What has been denied since it was numbered goes as a void frame, and does so whenever it is sent again.
    """
    present = recipients.present(conn, recipient)
    return pack_present(conn, present, incarnation, send, now, whole=whole)


def pack_present(
    conn: Connection, recipient: Recipient, incarnation: str, send: Send, now: str, *, whole: bool = False
) -> Packed:
    """As `pack`, for a recipient as it is in the log now."""
    previous = _chain_at(conn, recipient.id, send.after)
    void = views.voided(conn, recipient.id, send.after)
    frames: list[Frame] = []
    denied: list[tuple[int, Withheld]] = []
    size = 0
    for entry, found, why in _due(conn, recipient, send, now):
        parcel = None if entry.number in void else found
        size += 0 if parcel is None else parcel.size
        if frames and size > send.most:
            break
        frames.append(_frame(entry, parcel, previous))
        if why is not None and entry.number not in void:
            denied.append((entry.number, why))
        if size > send.most and not whole:
            frames = [frame.cut(frames[0], send.begun, send.most)]
            break
        previous = entry.chain
        if frames[-1].kind is FrameKind.DOCUMENT:
            break  # what follows may be signed by a key that the peer knows only once it has this
    return Packed(Batch(frame.PROTOCOL, incarnation, now, tuple(frames)), tuple(denied))


def pack_recalls(conn: Connection, recipient: Recipient, incarnation: str, send: Send, now: str) -> Batch:
    """Pack the tombstones that follow alone, at most 256, for a peer that takes nothing else of this member.

    At least one, and as many bytes as `send` says. They leave gaps in the numbers, and are told again in their turn
    once the peer goes on.
    """
    numbers = tombstones.numbers(conn, recipient.id, send.after)[: frame.BATCH_FRAMES]
    rows = [views.entries(conn, recipient.id, number - 1, 1)[0] for number in numbers]
    stones = tombstones.envelopes(conn, [one.ref for one in rows])
    frames = [
        _frame(one, frame.pack_tombstone(stones[one.ref]), _chain_at(conn, recipient.id, one.number - 1))
        for one in rows
        if one.ref in stones
    ]
    sizes = accumulate(len(one.envelope) for one in frames)
    frames = frames[: max(1, sum(size <= send.most for size in sizes))]
    return Batch(frame.PROTOCOL, incarnation, now, tuple(frames))


def digests(conn: Connection, recipient: Recipient, released: Sequence[Released]) -> dict[str, bytes]:
    """Return for each row what its chain is made of: the frame's digest; none but members are sent frames."""
    if recipient.standing is not Standing.MEMBER:
        return {one.statement: bytes.fromhex(one.statement) for one in released}
    return {key: parcel.digest() for key, parcel in _pack(conn, released).items()}


def may_have(community: Community, recipient: Recipient, now: str) -> bool:
    """True if a recipient may have the community's roster: it is a member now, as far as this node has approved it."""
    return recipient.id in community.members and not community.ended(recipient.id, now)


def _due(conn: Connection, recipient: Recipient, send: Send, now: str) -> Iterator[_Due]:
    """Give the rows that follow, at most 256."""
    gate = policies.gate(conn, recipient, now)
    after, upto = send.after, send.after + (1 if send.begun else frame.BATCH_FRAMES)
    while some := views.entries(conn, recipient.id, after, min(_AT_A_TIME, upto - after)):
        parcels, denied = _parcels(conn, some, gate, now)
        yield from (_Due(one, parcels.get(one.ref), denied.get(one.ref)) for one in some)
        after = some[-1].number


def _frame(entry: Entry, parcel: Parcel | None, previous: bytes) -> Frame:
    """Return the frame of a row; without a parcel it is void."""
    if parcel is None:
        return Frame(entry.number, FrameKind.VOID, previous, entry.digest)
    return Frame(entry.number, parcel.kind, previous, parcel.envelope, parcel.contents)


def _parcels(
    conn: Connection, entries: Sequence[Entry], gate: Gate, now: str
) -> tuple[dict[str, Parcel], dict[str, Withheld]]:
    """Pack what may still be sent of numbered rows, and say what of them has been denied since."""
    told = [entry.ref for entry in entries if entry.kind is ViewKind.STATEMENT]
    recipient = gate.recipient
    decisions = [gate.decide(one) for one in statements.facts(conn, told)]
    parcels = _pack(conn, [one for one in decisions if isinstance(one, Released)])
    denied = {one.statement: one for one in decisions if isinstance(one, Withheld)}
    for ref in [entry.ref for entry in entries if entry.kind is ViewKind.ROSTER]:
        kept = communities.by_hash(conn, ref)
        # Also an earlier roster: whoever was removed since is told nothing of the community any more.
        community = gate.communities.get(kept.community) if kept is not None else None
        if recipient.suspended:
            denied[ref] = Withheld("", recipient.id, Reason.SUSPENDED)
        elif kept is not None and community is not None and may_have(community, recipient, now):
            parcels[ref] = frame.pack_roster(kept.envelope)
    # A recall is told whatever else is denied, to a suspended peer too.
    stones = [entry.ref for entry in entries if entry.kind is ViewKind.TOMBSTONE]
    parcels |= {ref: frame.pack_tombstone(raw) for ref, raw in tombstones.envelopes(conn, stones).items()}
    committed = [entry.ref for entry in entries if entry.kind is ViewKind.COMMITMENT]
    own = [entry.ref for entry in entries if entry.kind is ViewKind.DOCUMENT]
    if recipient.suspended:
        denied |= {ref: Withheld("", recipient.id, Reason.SUSPENDED) for ref in [*committed, *own]}
        return parcels, denied
    for digest, envelope in checkpoints.commitments(conn, committed).items():
        parcels[digest] = frame.pack_commitment(envelope)
    for digest, envelope in documents.envelopes(conn, own).items():
        parcels[digest] = frame.pack_document(envelope)
    return parcels, denied


def _pack(conn: Connection, released: Sequence[Released]) -> dict[str, Parcel]:
    kept = statements.parcels(conn, [one.statement for one in released]) if released else {}
    return {one.statement: frame.pack_statement(one, *kept[one.statement]) for one in released}


def _chain_at(conn: Connection, recipient: str, number: int) -> bytes:
    entry = views.entry(conn, recipient, number) if number else None
    return views.GENESIS if entry is None else entry.chain
