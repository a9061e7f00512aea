"""A peer's batch goes into the log, or into quarantine; the signed receipt follows the commit."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from lezha.federation import document, frame, inbox, roster
from lezha.federation.checkpoint import KnownCommitment
from lezha.federation.errors import Refused
from lezha.federation.frame import Batch, Frame, FrameKind, Receipt
from lezha.federation.inbox import Placement
from lezha.federation.pieces import Pieces
from lezha.federation.roster import KnownRoster
from lezha.federation.tombstone import KnownTombstone
from lezha.federation.turn import Turn
from lezha.flows import attest, authority, ingest, renew, vet
from lezha.flows.errors import FlowError
from lezha.flows.vet import Checked, Receiver, Renewal, Told, Unfit
from lezha.store import communities, contents, inbound, peers, statements, tombstones
from lezha.store.communities import KeptRoster
from lezha.store.disputes import Question
from lezha.store.errors import Conflict
from lezha.store.inbound import Quarantined
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState
from lezha.store.statements import Signed
from lezha.store.tombstones import Stone
from lezha.store.views import Head

# What is checked at once, about as fast as a thread would begin; else the event loop would wait for it. Patterns cost
# most: one of 16 KiB may take a second.
_INLINE_FRAMES: Final = 2
_INLINE_BYTES: Final = 6144
_PER_COMMIT: Final = 64
_MOST_WORDS: Final = 1000  # characters
_MOST_IDLE: Final = 10_000  # tombstones of one peer that take back nothing that is held


class Arrival(msgspec.Struct, frozen=True):
    """A batch as it came from a peer.

    `latest` is the RFC 3339 UTC time that neither a statement's `issued` nor the time of an object's version may pass:
    now and some minutes for clocks. `pieces` are those of frames that are on their way, `turn` is its place among the
    same peer's batches. `spend` is told as how many objects more it counts, before what counts so is checked.
    """

    sent: Batch
    latest: str
    pieces: Pieces
    turn: Turn
    spend: Callable[[int], None]


class _Taken(NamedTuple):
    """How far a stream is taken, what of the batch was put aside, and when that was so."""

    head: Head
    refused: tuple[tuple[int, str], ...]
    at: str


async def from_peer(log: Log, receiver: Receiver, peer: Peer, arrival: Arrival) -> bytes:
    """Take a batch as the state of the peer allows, as `batch` or as `recalls`; return the envelope of the receipt."""
    if peer.state is PeerState.ACTIVE:
        return await batch(log, receiver, peer.member, arrival)
    return await recalls(log, receiver, peer.member, arrival.sent)


async def batch(log: Log, receiver: Receiver, sender: str, arrival: Arrival) -> bytes:
    """Take a batch from the member `sender` and return the envelope of the receipt.

    Each frame is taken whole, put aside whole, or, from the first gap or fork on, left alone. What the receipt
    acknowledges is durable. A piece that completes no frame is as good as a greeting.
    """
    with log.read() as conn:
        done = inbound.head(conn, sender, arrival.sent.incarnation).number
    sent = _whole(sender, arrival, done)
    fresh = _as_far_as_known([one for one in sent.frames if one.number > done])
    if _is_little(fresh):
        arrival.spend(vet.weight(fresh))
        checked, asked = _check(log, receiver, fresh, arrival.latest)
    else:
        arrival.spend(await asyncio.to_thread(vet.weight, fresh))
        checked, asked = await asyncio.to_thread(_check, log, receiver, fresh, arrival.latest)
    # A third of a second for each megabyte: neither the event loop nor the writer waits for that.
    said = await asyncio.to_thread(authority.weigh, log, asked) if asked else {}
    if any(isinstance(found, Renewal) for _, found in checked):
        checked = await asyncio.to_thread(_look_back, log, sender, checked)
    await arrival.turn.come()
    taken = await _take_all(log, checked, partial(_take, receiver, sender, sent, said))
    begun = arrival.pieces.there(sender, sent.incarnation, taken.head.number + 1)
    return _receipt(receiver, sender, sent.incarnation, taken, begun)


def _whole(sender: str, arrival: Arrival, done: int) -> Batch:
    """Return a batch with the frame that its piece completes, or with none if it completes none."""
    piece = arrival.sent.piece
    if piece is None:
        return arrival.sent
    whole = arrival.pieces.take(sender, arrival.sent) if piece.number == done + 1 else None
    return replace(arrival.sent, frames=(whole,) if whole else ())


def _check(
    log: Log, receiver: Receiver, fresh: Sequence[Frame], latest: str
) -> tuple[list[tuple[Frame, Checked]], list[Question]]:
    """Verify frames, and find out what has to be weighed of them."""
    checked = vet.check_all(fresh, receiver, latest)
    return checked, authority.ask(log, vet.by_creators(checked))


async def recalls(log: Log, receiver: Receiver, sender: str, sent: Batch) -> bytes:
    """Take from a member that is suspended what was recalled, and nothing else; return the envelope of the receipt.

    No frame is taken in its turn, so that nothing is lost once the member is active again: the receipt says so.
    """
    stones = [one for one in sent.frames if one.kind is FrameKind.TOMBSTONE]
    checked = await asyncio.to_thread(vet.check_all, stones, receiver, "")
    known = [found for _, found in checked if isinstance(found, KnownTombstone)]

    def work(tx: Tx) -> _Taken:
        _check_life(tx, sender, sent)
        _keep_tombstones(tx, sender, known)
        head = inbound.head(tx.conn, sender, sent.incarnation)
        return _Taken(head, ((head.number + 1, frame.SUSPENDED),), tx.at)

    return _receipt(receiver, sender, sent.incarnation, await log.write(work))


class Again(msgspec.Struct, frozen=True):
    """A frame that was put aside, to be taken as if it came now but for what is `overruled` of `OVERRULABLE`.

    `latest` is as for `batch`.
    """

    frame: Frame
    latest: str
    overruled: frozenset[str]


async def again(log: Log, receiver: Receiver, sender: str, held: Again, also: Callable[[Tx], None]) -> None:
    """Take a frame of the member `sender` that was put aside; `also` is done first in the same commit.

    Raises Refused if it can't be taken, and FlowError if what it was checked by is out of date; then nothing is
    written. A second content of a version is taken as always, and neither counts then; but for who sets a limit aside
    it is a reason to refuse.
    """
    one, overruled = held.frame, held.overruled
    found = await asyncio.to_thread(vet.check, one, receiver, held.latest, overruled)
    if isinstance(found, Unfit):
        raise found.reason
    checked = [(one, found)]
    asked = authority.ask(log, vet.by_creators(checked))
    said = await asyncio.to_thread(authority.weigh, log, asked)

    def work(tx: Tx) -> None:
        also(tx)
        if _is_out_of_date(tx, receiver, checked):
            raise FlowError(
                "Who signed it has another node document since a moment ago. Nothing has changed: try again."
            )
        for _, why in _keep(tx, receiver, sender, checked, said, overruled):
            if overruled or why.reason.code != "equivocation":
                raise why.reason

    await log.write(work)


def _receipt(receiver: Receiver, sender: str, incarnation: str, taken: _Taken, begun: int = 0) -> bytes:
    receipt = Receipt(
        receiver=receiver.member,
        sender=sender,
        incarnation=incarnation,
        head=taken.head.number,
        chain=taken.head.chain.hex(),
        at=taken.at,
        refused=taken.refused,
        begun=begun or UNSET,
    )
    return frame.sign_receipt(receipt, receiver.signer)


async def _take_all(
    log: Log,
    checked: Sequence[tuple[Frame, Checked]],
    take: Callable[[Sequence[tuple[Frame, Checked]], Tx], _Taken],
) -> _Taken:
    """Take what was checked, some in each commit: what others want to write goes between two of them."""
    start = 0
    while True:
        some = checked[start : start + _PER_COMMIT]
        taken = await log.write(partial(take, some))
        start += len(some)
        if (
            start >= len(checked) or taken.head.number < some[-1][0].number
        ):  # what was left, and all behind it
            return taken


def _as_far_as_known(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the frames up to the first node document: those after it may need its keys, and come again."""
    ends = (place for place, one in enumerate(frames, 1) if one.kind is FrameKind.DOCUMENT)
    return frames[: next(ends, len(frames))]


def _look_back(
    log: Log, sender: str, checked: Sequence[tuple[Frame, Checked]]
) -> list[tuple[Frame, Checked]]:
    """Find what new documents discredit, beside the writer: a member may have signed a million statements."""
    with log.read() as conn:
        return [
            (one, replace(found, looked=renew.look_back(conn, sender, found.known)))
            if isinstance(found, Renewal)
            else (one, found)
            for one, found in checked
        ]


def _is_little(frames: Sequence[Frame]) -> bool:
    size = sum(len(part) for one in frames for part in (one.envelope, *one.contents))
    return len(frames) <= _INLINE_FRAMES and size <= _INLINE_BYTES


def _take(
    receiver: Receiver,
    sender: str,
    sent: Batch,
    said: Mapping[str, str],
    checked: Sequence[tuple[Frame, Checked]],
    tx: Tx,
) -> _Taken:
    _check_life(tx, sender, sent)
    start = head = inbound.head(tx.conn, sender, sent.incarnation)
    if peers.by_member(tx.conn, sender).state is not PeerState.ACTIVE:  # suspended while it was checked
        stones = [found for _, found in checked if isinstance(found, KnownTombstone)]
        _keep_tombstones(tx, sender, stones)
        return _Taken(head, ((head.number + 1, frame.SUSPENDED),), tx.at)
    if _is_out_of_date(tx, receiver, checked):
        checked = []
    taken: list[tuple[Frame, Checked]] = []
    for one, found in checked:
        placement = inbox.place(head.number, head.chain, one)
        if placement is Placement.FORK:
            tx.event("fork", sender, sender, incarnation=sent.incarnation, number=one.number)
        if placement is Placement.NEXT:
            taken.append((one, found))
            head = Head(one.number, one.chain())
        elif placement is not Placement.DUPLICATE:
            break
    unfit = _keep(tx, receiver, sender, taken, said)
    _put_aside(tx, sender, sent.incarnation, unfit)
    if head != start:
        inbound.move(tx, sender, sent.incarnation, head)
    # After a greeting, of the last that were taken: the receipts that said so may have been lost.
    before = sent.frames[0].number - 1 if sent.frames else max(0, head.number - frame.BATCH_FRAMES)
    most = len(sent.frames) or frame.BATCH_FRAMES
    refused = inbound.refusals(tx.conn, sender, sent.incarnation, before, most)
    return _Taken(head, tuple(refused), tx.at)


def _is_out_of_date(tx: Tx, receiver: Receiver, checked: Sequence[tuple[Frame, Checked]]) -> bool:
    """True if who signed what was checked has another document by now: nothing is taken then.

    A key may be revoked while a batch that it has signed waits behind another one, which then comes again.
    """
    signed = {found.known.statement.member for _, found in checked if isinstance(found, Told)}
    signed |= {found.tombstone.member for _, found in checked if isinstance(found, KnownTombstone)}
    signed |= {found.commitment.member for _, found in checked if isinstance(found, KnownCommitment)}
    for member in signed - {receiver.member}:
        present = document.read(peers.by_member(tx.conn, member).document).document
        if receiver.members.documents.get(member) != present:
            return True
    return False


def _check_life(tx: Tx, sender: str, sent: Batch) -> None:
    """Refuse what comes from an earlier life of the sender's database. Raises Refused."""
    if not inbound.is_alive(tx, sender, sent.incarnation):
        raise Refused(
            "superseded",
            "Another database speaks for this member since, restored from a backup of this one.",
        )


def _keep(
    tx: Tx,
    receiver: Receiver,
    sender: str,
    taken: Sequence[tuple[Frame, Checked]],
    said: Mapping[str, str],
    overruled: frozenset[str] = frozenset(),
) -> list[tuple[Frame, Unfit]]:
    """Write what is in order and return the frames that are not, or are in dispute, with the reasons."""
    taken = _within_limits(tx, taken)
    refused = [(one, found) for one, found in taken if isinstance(found, Unfit)]
    for one, found in taken:
        if isinstance(found, KnownRoster) and (reason := _keep_roster(tx, found, sender, overruled)):
            refused.append((one, Unfit(reason)))
        if isinstance(found, KnownCommitment) and (reason := attest.keep(tx, sender, found)):
            refused.append((one, Unfit(reason)))
    told = [(one, found) for one, found in taken if isinstance(found, Told)]
    _keep_statements(tx, receiver, sender, [found for _, found in told])
    stones = [(one, found) for one, found in taken if isinstance(found, KnownTombstone)]
    unfit = _keep_tombstones(tx, sender, [found for _, found in stones], overruled)
    refused += [(one, Unfit(unfit[found.digest])) for one, found in stones if found.digest in unfit]
    # Last: what came with it was signed before it, by keys that it may revoke.
    for one, found in taken:
        if isinstance(found, Renewal) and (
            reason := renew.renewed(tx, receiver.document, sender, found.known, found.looked)
        ):
            refused.append((one, Unfit(reason)))
    # Both contents of a version in dispute are kept, and neither counts (docs/design.md, Authority).
    clashing = authority.settle(tx, vet.by_creators(taken), said)
    for one, found in told:
        subject = found.contents[0]
        if found.by_creator and subject.hash in clashing:
            words = f"{subject.creator} signed two different {subject.stix_id} of one version."
            refused.append((_bare(one), Unfit(Refused("equivocation", words))))
    return refused


def _within_limits(tx: Tx, taken: Sequence[tuple[Frame, Checked]]) -> list[tuple[Frame, Checked]]:
    """Let go of what is beyond this node's limits, unless it is here: accepted by a person, or this member's own."""
    beyond = [found.known.digest for _, found in taken if isinstance(found, Told) and found.beyond]
    held = statements.known(tx.conn, beyond)
    return [
        (one, Unfit(found.beyond, vet.names(one)))
        if isinstance(found, Told) and found.beyond and found.known.digest not in held
        else (one, found)
        for one, found in taken
    ]


def _put_aside(tx: Tx, sender: str, incarnation: str, unfit: Sequence[tuple[Frame, Unfit]]) -> None:
    """Keep frames that can't be taken; of what names something that was purged here, its code alone."""
    # What names more is not kept whatever it names: it must not hold up the writer.
    names = {name for _, why in unfit if len(why.names) <= inbound.MOST_NAMES for name in why.names}
    gone = {*contents.purged_ids(tx.conn, names), *inbound.forgotten(tx.conn, names)}
    items: list[Quarantined] = []
    for one, why in unfit:
        words = ingest.storable(str(why.reason))[:_MOST_WORDS]  # some are the peer's own
        item = Quarantined(sender, incarnation, one.number, why.reason.code, words, b"")
        if gone.isdisjoint(why.names):
            item = replace(item, frame=msgspec.msgpack.encode(one), names=why.names)
        else:
            item = replace(item, detail=inbound.PURGED)
        items.append(item)
    inbound.put_aside(tx, items)


def _bare(one: Frame) -> Frame:
    # What it carried is in the log.
    return replace(one, envelope=b"", contents=())


def _keep_roster(tx: Tx, known: KnownRoster, sender: str, overruled: frozenset[str]) -> Refused | None:
    kept = kept_roster(known)
    if "too_many_rosters" not in overruled and not communities.has_room(tx.conn, kept.community, sender):
        words = f"{sender} has sent {communities.OFFERED} rosters of communities that were not accepted here."
        return Refused("too_many_rosters", words)
    try:
        communities.add(tx, kept, sender, came_from=sender)
    except Conflict as conflict:
        communities.clash(tx, kept, sender, came_from=sender)
        return Refused("roster_conflict", str(conflict))
    return None


def _keep_statements(tx: Tx, receiver: Receiver, sender: str, told: Sequence[Told]) -> None:
    fresh = contents.add(tx, [content for one in told for content in one.contents], sender)
    signed = [
        Signed(
            hash=one.known.digest,
            content=one.known.statement.content,
            origin=one.known.statement.member,
            own=one.known.statement.member == receiver.member,
            terms=one.known.statement.terms,
            issued=one.known.statement.issued,
            envelope=one.known.raw,
            companions=one.known.statement.companions,
        )
        for one in told
    ]
    new = statements.add(tx, signed, sender, fresh)
    communities.signed_by(tx, _floors(signed))
    statements.arrived(tx, [one.hash for one in signed], sender, new)
    tombstones.retold(tx, sender, [one.hash for one in signed])


def _keep_tombstones(
    tx: Tx, sender: str, known: Sequence[KnownTombstone], overruled: frozenset[str] = frozenset()
) -> dict[str, Refused]:
    """Keep tombstones, and return why some have no place here, by digest.

    One that comes before its statement is kept, so that this arrives dead; of those a peer may have so many waiting.
    """
    if not known:
        return {}
    new = tombstones.new(tx.conn, [_stone(one, sender) for one in known])
    origins = statements.origins(tx.conn, (one.statement for one in new))
    ahead = any(one.statement not in origins for one in new)
    room = _MOST_IDLE - tombstones.idle(tx.conn, sender, _MOST_IDLE) if ahead else 0
    if "too_many_tombstones" in overruled:
        room = len(new)
    unfit: dict[str, Refused] = {}
    for one in new:
        origin = origins.get(one.statement)
        if origin is not None and origin != one.member:
            words = f"{one.member} takes back a statement that {origin} signed: only its origin can."
            unfit[one.hash] = Refused("not_origin", words)
        elif origin is None and room <= 0:
            words = (
                f"{_MOST_IDLE} tombstones from this peer wait already for statements that nobody has sent."
            )
            unfit[one.hash] = Refused("too_many_tombstones", words)
        elif origin is None:
            room -= 1
    tombstones.add(tx, [one for one in new if one.hash not in unfit], sender)
    return unfit


def _stone(known: KnownTombstone, sender: str) -> Stone:
    return Stone(
        hash=known.digest,
        statement=known.tombstone.statement,
        member=known.tombstone.member,
        issued=known.tombstone.issued,
        why=known.tombstone.why,
        sender=sender,
        envelope=known.raw,
    )


def _floors(signed: Sequence[Signed]) -> dict[tuple[str, str], int]:
    """Return the highest number of a community's roster by which each member signed."""
    found: dict[tuple[str, str], int] = {}
    for one in signed:
        for term in one.terms.audience.communities:
            key = (term.id, one.origin)
            found[key] = max(found.get(key, 0), min(term.floor, roster.MAX_NUMBER))
    return found


def kept_roster(known: KnownRoster) -> KeptRoster:
    """Return what the log keeps of a verified roster."""
    return KeptRoster(
        community=known.roster.charter.community,
        name=known.roster.charter.name,
        number=known.roster.number,
        hash=known.digest,
        expires=known.roster.expires,
        members=known.roster.admitted,
        envelope=known.raw,
        until=known.roster.until,
    )
