"""The log becomes views: what each recipient is given, in order; `flows.batches` makes frames of that.

`decide` looks at what has changed since it last looked for a recipient, asks the release kernel, and numbers what is
released, all in one commit. It asks the log, and not its caller, whether the recipient is suspended and what it is
cleared for: no change is decided by what was so before it.

For a link no more is numbered than the peer will soon have: what waits beyond that yields to what is new, since a
number, once given, is for ever.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby, islice, takewhile
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from lezha.federation import frame
from lezha.federation.outbox import Send
from lezha.flows import batches
from lezha.flows.batches import Packed
from lezha.sharing.release import Facts, Gate, Reason, Recipient, Released, Standing, Withheld
from lezha.store import (
    checkpoints,
    communities,
    documents,
    isolation,
    peers,
    policies,
    posts,
    recipients,
    statements,
    tombstones,
    views,
    walk,
)
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState
from lezha.store.tombstones import Stone
from lezha.store.views import Change, Cursor, Entry, Head, ViewKind

_CHANGES_PER_COMMIT: Final = 256
_AGAIN_PER_COMMIT: Final = 1024
_FEW: Final = 16  # rows; to pack more would hold up whoever else wants to write
KINDS: Final = frozenset(
    {
        "statement",
        "roster",
        "admission",
        "peer",
        "constituent",
        "posted",
        posts.TAKEN_BACK,
        "disputed",
        "purged",
        "policy",
        "tombstone",
        tombstones.RETOLD,
        "commitment",
        documents.ANNOUNCED,
        documents.DISCREDITED,
        isolation.ISOLATED,
    }
)
"""The events that may change what a recipient is given."""
WITHHOLDING: Final = KINDS - {"statement", "posted", "commitment", documents.ANNOUNCED}
"""Those by which something may be withheld that was released before."""
_RECALLS: Final = frozenset({"tombstone", tombstones.RETOLD})
_ABOUT_PEERS: Final = frozenset({"roster", "admission", "policy"})
_ABOUT_ONE: Final = frozenset({"peer", "constituent"})
_ENDING: Final = frozenset({"disputed", "purged", posts.TAKEN_BACK})
_TAKEN_BACK: Final = frozenset({"tombstone", documents.DISCREDITED})
QUEUE: Final = 512
"""Rows that wait for a peer's receipt, from which on more are numbered only as it takes some: two full batches."""
_COUNTED: Final = 10_000
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
    return await log.write(lambda tx: decide_in(tx, recipient))


async def decide_recalls(log: Log, recipient: Recipient) -> Head:
    """Number for a peer, for which all else waits, what was taken back of what it was ever offered.

    Returns the head of its view.
    """
    with log.read() as conn:
        if not tombstones.untold(conn, recipient.id):
            return views.head(conn, recipient.id)

    def work(tx: Tx) -> Head:
        _number_stones(tx, recipient, tombstones.untold(tx.conn, recipient.id))
        return views.head(tx.conn, recipient.id)

    return await log.write(work)


class Found(msgspec.Struct, frozen=True):
    """What a look at the log has found for a peer: how it stands, whether this node is isolated, its view's head.

    `is_all` says whether all changes have been decided that are now; `waits` that others are when the peer has taken
    more. `packed` is what can be sent at once, if that is little, as things were after event `seq`: what the same
    commit has written after that is not in it.
    """

    peer: Peer
    isolated: bool
    head: Head
    is_all: bool
    waits: bool = False
    packed: Packed | None = None
    seq: int = 0


class Sender(msgspec.Struct, frozen=True):
    """In whose name frames are packed: the life of its database; and what can be sent now, if anything.

    `acknowledged` is up to which number the peer says that it is, None while it can't be reached.
    """

    incarnation: str
    send: Send | None
    acknowledged: int | None = None


class _Queue(NamedTuple):
    """What waits for a peer's receipt, which it has given up to a number."""

    recipient: str
    acknowledged: int

    def room(self, conn: Connection) -> int:
        """Return how many rows more may be numbered before the peer has taken some."""
        return QUEUE - (views.head(conn, self.recipient).number - self.acknowledged)


class _Decided(NamedTuple):
    """The view's head, None if there is more to decide now; whether some of it waits until the peer has taken more."""

    head: Head | None
    waits: bool = False


async def look(log: Log, member: str, sender: Sender, now: str) -> Found:
    """Decide for the next changes for the peer `member` if it is active, and pack them if they are few.

    All in one commit: for each step of its own the writer would have to be waited for once more. Raises NotFound.
    """
    return await log.write(lambda tx: _look(tx, member, sender, now))


def to_decide(conn: Connection, peer: Peer) -> int:
    """Count the statements that have not been decided for an active peer, up to 10,000."""
    return views.to_decide(conn, peer.member, _COUNTED) if peer.state is PeerState.ACTIVE else 0


def preview(
    conn: Connection, facts: Sequence[Facts], recipients: Sequence[Recipient], now: str
) -> list[Released | Withheld]:
    """Decide for statements that need not be in the log yet: who would get them, and who not and why."""
    gates = [policies.gate(conn, recipient, now) for recipient in recipients]
    return [gate.decide(one) for gate in gates for one in facts]


def _look(tx: Tx, member: str, sender: Sender, now: str) -> Found:
    peer = peers.by_member(tx.conn, member)
    isolated = isolation.present(tx.conn) is not None
    if peer.state is not PeerState.ACTIVE:
        return Found(peer, isolated, views.head(tx.conn, member), is_all=False)
    recipient = peer.recipient()
    decided = _decide_for_link(tx, recipient, sender.acknowledged)
    head = decided.head or views.head(tx.conn, member)
    found = Found(peer, isolated, head, decided.head is not None, decided.waits)
    send = sender.send
    if isolated or send is None or not 0 < head.number - send.after <= _FEW:
        return found
    packed = batches.pack_present(tx.conn, recipient, sender.incarnation, send, now)
    if packed.denied:
        views.void(tx, member, packed.denied)
        return found
    return replace(found, packed=packed, seq=tx.seq)


def decide_in(tx: Tx, recipient: Recipient) -> Head | None:
    """Decide for the next changes by what the recipient is now; as `_decide_present`."""
    active, recipient = not recipient.suspended, recipients.present(tx.conn, recipient)
    if active and recipient.suspended and recipient.standing is Standing.MEMBER:
        # Suspended since its link looked: all but recalls waits (`decide_recalls`).
        return views.head(tx.conn, recipient.id)
    return _decide_present(tx, recipient)


def _decide_for_link(tx: Tx, recipient: Recipient, acknowledged: int | None) -> _Decided:
    """Decide for the next changes of which the peer will soon have what is told of them.

    While it is away nothing is decided once its queue is full. When it is back and more has come than one commit looks
    at, that is put off: what is new from then on goes first, and the rest as the queue empties.
    """
    place = views.cursor(tx.conn, recipient.id)
    changes = views.changes(tx.conn, place.seq, KINDS, _CHANGES_PER_COMMIT)
    many = len(changes) == _CHANGES_PER_COMMIT
    late = place.behind is not None or place.again is not None
    if acknowledged is not None and not (many or late):
        queue = _Queue(recipient.id, acknowledged)
        return _Decided(_decide_next(tx, recipient, place, changes, queue))
    done = views.acknowledged(tx.conn, recipient.id)[0] if acknowledged is None else acknowledged
    queue = _Queue(recipient.id, done)
    if queue.room(tx.conn) > 0:
        return _Decided(_decide_next(tx, recipient, place, changes, queue))
    if acknowledged is None:
        return _Decided(views.head(tx.conn, recipient.id), waits=True)
    if many or place.behind is None:
        _put_off(tx, recipient, place, tx.seq if many else place.seq)
    elif changes:
        _decide_run(tx, recipient, place, changes)
    else:
        return _Decided(views.head(tx.conn, recipient.id), waits=True)
    return _Decided(None)


def _put_off(tx: Tx, recipient: Recipient, place: Cursor, upto: int) -> None:
    """Let all that waits yield to what comes after event `upto`, but for what other things rest on, and for recalls."""
    _number_rosters(tx, recipient)
    _number_documents(tx, recipient, documents.digests(tx.conn))
    _number_commitments(tx, recipient, views.only_void(tx.conn, recipient.id, ViewKind.COMMITMENT))
    _number_commitments(tx, recipient, checkpoints.committed(tx.conn, place.seq))
    _number_stones(tx, recipient, tombstones.untold(tx.conn, recipient.id))
    behind = place.seq if place.behind is None else place.behind
    views.move_cursor(tx, recipient.id, replace(place, seq=upto, behind=behind, until=upto))


def _decide_present(tx: Tx, recipient: Recipient) -> Head | None:
    """Decide for the next changes, however many wait; as `_decide_next`."""
    place = views.cursor(tx.conn, recipient.id)
    return _decide_next(tx, recipient, place, views.changes(tx.conn, place.seq, KINDS, _CHANGES_PER_COMMIT))


def _decide_next(
    tx: Tx, recipient: Recipient, place: Cursor, changes: Sequence[Change], queue: _Queue | None = None
) -> Head | None:
    """Decide for the next of some changes; return the view's head, or None if there may be more changes.

    They are taken in order, so that the order of a view does not depend on how many there are of which it tells
    nothing: what waits behind a roster or an admission waits until all that was withheld has been decided anew. Only
    what was put off comes after what is new. Of what has waited no more is numbered than the `queue` has room for.
    """
    if place.behind is not None:
        return _decide_new_first(tx, recipient, place, changes, queue)
    if place.again is not None:
        _decide_again(tx, policies.gate(tx.conn, recipient, tx.at), place, queue)
        return None
    many = len(changes) == _CHANGES_PER_COMMIT
    if not changes or (_decide_run(tx, recipient, place, changes, queue) and not many):
        return views.head(tx.conn, recipient.id)
    return None


def _decide_new_first(
    tx: Tx, recipient: Recipient, place: Cursor, changes: Sequence[Change], queue: _Queue | None
) -> Head | None:
    """Decide for what is new, and then for some of what was put off, so that this moves on whatever is written."""
    if changes:
        _decide_run(tx, recipient, place, changes)
        place = views.cursor(tx.conn, recipient.id)
    is_all = not changes
    if queue is None or queue.room(tx.conn) > 0:
        is_all = _catch_up(tx, recipient, place, queue) and is_all
    return views.head(tx.conn, recipient.id) if is_all else None


def _catch_up(tx: Tx, recipient: Recipient, place: Cursor, queue: _Queue | None) -> bool:
    """Decide for some of what was put off; say whether nothing is left of it."""
    if place.again is not None:
        _decide_again(tx, policies.gate(tx.conn, recipient, tx.at), place, queue)
        return False
    changes = views.changes(tx.conn, place.behind or 0, KINDS, _CHANGES_PER_COMMIT, place.until)
    if not changes:
        views.move_cursor(tx, recipient.id, Cursor(place.seq))
        return True
    _decide_run(tx, recipient, place, changes, queue, late=True)
    return False


def _decide_run(
    tx: Tx,
    recipient: Recipient,
    place: Cursor,
    changes: Sequence[Change],
    queue: _Queue | None = None,
    *,
    late: bool = False,
) -> bool:
    """Decide for the first of some changes, as far as they are of one sort; say whether those were all.

    Of many, and of what is decided anew, no more is numbered than the `queue` has room for. Those that are `late` had
    been put off.
    """
    inputs = {change.seq for change in changes if _is_input(change, recipient)}
    many = len(changes) == _CHANGES_PER_COMMIT
    if inputs or many or not place.seq:
        # Rosters and documents travel ahead of objects, also where their events lie further on than this commit looks.
        _number_rosters(tx, recipient)
        _number_documents(tx, recipient, documents.digests(tx.conn))
    if any(change.kind == "peer" and change.subject == recipient.id for change in changes):
        _number_commitments(tx, recipient, views.only_void(tx.conn, recipient.id, ViewKind.COMMITMENT))
    anew = changes[0].seq in inputs
    run = list(takewhile(lambda change: (change.seq in inputs) is anew, changes))
    gate = policies.gate(tx.conn, recipient, tx.at)
    if not anew:
        run = _decide_fresh(tx, gate, run, queue if many or late else None, late=late)
    upto = run[-1].seq if run else changes[0].seq - 1
    then = replace(place, behind=upto) if late else replace(place, seq=upto)
    if anew and place.behind is None:
        return _decide_again(tx, gate, replace(then, again=0), queue) and len(run) == len(changes)
    views.move_cursor(tx, recipient.id, replace(then, again=0) if anew else then)
    return len(run) == len(changes)


def _is_input(change: Change, recipient: Recipient) -> bool:
    """True if the change may release to this recipient what was withheld from it."""
    if recipient.standing is Standing.OWN:
        return False  # by clearance alone, which has no events
    return change.kind in _ABOUT_PEERS or (change.kind in _ABOUT_ONE and change.subject == recipient.id)


def _decide_fresh(
    tx: Tx, gate: Gate, changes: Sequence[Change], queue: _Queue | None, *, late: bool
) -> list[Change]:
    """Decide for what has not been decided yet, and return for how much of it, which is all if the queue has room.

    Of what is `late` some may have been decided.
    """
    standing = gate.recipient.standing
    told_late: list[str] = []
    done: list[Change] = []
    # In the order of the log, so that numbers do not depend on where one commit's worth of changes ends.
    for what, group in groupby(changes, _in_order):
        run = list(group)
        if what == "statement":
            hashes = list(dict.fromkeys(c.subject for c in run))
            left = _not_decided(tx.conn, gate, hashes) if late else hashes
            over, first = _decide_statements(tx, gate, left, room=queue.room(tx.conn) if queue else None)
            told_late += over
            if first is not None:
                return [*done, *run[: [c.subject for c in run].index(first)]]
        elif what == "recall" and standing is Standing.MEMBER:
            _number_recalls(tx, gate, run)
        elif what == "commitment":
            _number_commitments(tx, gate.recipient, [c.subject for c in run])
        elif what == documents.ANNOUNCED:
            _number_documents(tx, gate.recipient, [c.subject for c in run])
        done += run
    if standing is Standing.OWN:
        _tell_own(tx, gate, changes, told_late)
    elif standing is Standing.CONSTITUENT:
        _tell_constituent(tx, gate.recipient, changes)
    return done


def _in_order(change: Change) -> str:
    return "recall" if change.kind in _RECALLS else change.kind


def _not_decided(conn: Connection, gate: Gate, hashes: list[str]) -> list[str]:
    recipient = gate.recipient.id
    done = views.offered(conn, recipient, hashes) | views.reasons(conn, recipient, hashes).keys()
    return [one for one in hashes if one not in done]


def _decide_again(tx: Tx, gate: Gate, place: Cursor, queue: _Queue | None = None) -> bool:
    """Decide anew for some of what is withheld, after the statement `place.again`; say whether that was the last.

    No more is numbered than the `queue` has room for.
    """
    recipient = gate.recipient.id
    some, upto = views.withheld_after(tx.conn, recipient, place.again or 0, place.seq, _AGAIN_PER_COMMIT)
    room = queue.room(tx.conn) if queue else None
    _, first = _decide_statements(tx, gate, some, views.reasons(tx.conn, recipient, some), room)
    if first is not None:
        upto = statements.seq_of(tx.conn, first) - 1
    views.move_cursor(tx, recipient, replace(place, again=upto))
    return upto is None


def _decide_statements(
    tx: Tx,
    gate: Gate,
    hashes: list[str],
    before: Mapping[str, Reason] = _NOTHING,
    room: int | None = None,
) -> tuple[list[str], str | None]:
    """Decide for statements that are not in the recipient's view; `before` is why those are withheld that are recorded.

    What is withheld for the same reason as before keeps the time since when it is. At most `room` are released. Return
    what the statements are about of what was purged, or was for a time that is over; and the first one, if there is
    any, for which there was no room: nothing is decided from there on.
    """
    if not hashes:
        return [], None
    recipient = gate.recipient
    facts = statements.facts(tx.conn, hashes)
    decisions = [gate.decide(one) for one in facts]
    fit = _fitting(decisions, room)
    facts, decisions = facts[:fit], decisions[:fit]
    released = [one for one in decisions if isinstance(one, Released)]
    withheld = [one for one in decisions if isinstance(one, Withheld)]
    changed = [one for one in withheld if before.get(one.statement) is not one.reason]
    if before:
        views.no_longer_withheld(
            tx, recipient.id, [*(one.statement for one in released), *(one.statement for one in changed)]
        )
    views.withhold(tx, recipient.id, changed)
    digests = batches.digests(tx.conn, recipient, released)
    _number(
        tx,
        recipient.id,
        [(ViewKind.STATEMENT, one.statement, one.rule, digests[one.statement]) for one in released],
    )
    over = {one.statement for one in decisions if isinstance(one, Withheld) and one.reason is Reason.EXPIRED}
    told_late = [one.content for one in facts if one.purged or one.statement in over]
    return told_late, hashes[fit] if fit < len(hashes) else None


def _fitting(decisions: Sequence[Released | Withheld], room: int | None) -> int:
    """Return how many decisions come before the first release for which there is no room."""
    if room is None:
        return len(decisions)
    places = (place for place, one in enumerate(decisions) if isinstance(one, Released))
    return next(islice(places, max(0, room), None), len(decisions))


def _tell_own(tx: Tx, gate: Gate, changes: Sequence[Change], told_late: Sequence[str]) -> None:
    """Give own systems what came without a statement, and say what of the given may not count any more.

    What is told of only after it was purged or has expired, `told_late`, ends what is before it all the same. What
    others were given of what may not count is void if it was not sent yet (`pack`), and stays with them if it was.
    """
    recipient = gate.recipient
    brought = dict.fromkeys(change.subject for change in changes if change.kind == "posted")
    posted = posts.facts(tx.conn, brought)
    decided = [gate.decide(posted[one]) for one in brought if one in posted]
    rows = [
        (ViewKind.POST, one.content, one.rule, bytes.fromhex(one.content))
        for one in decided
        if isinstance(one, Released)
    ]
    changed = [change.subject for change in changes if change.kind in _ENDING]
    rows += _changes(changed, "may not count any more")
    recalled = [change.subject for change in changes if change.kind in _TAKEN_BACK]
    rows += _changes([one.content for one in statements.subjects(tx.conn, recalled)], "was recalled")
    rows += _changes(told_late, "was told of when it was over")
    for member in dict.fromkeys(change.subject for change in changes if change.kind == "peer"):
        claimed = statements.claims(tx.conn, member, "indicator")
        rows += _changes(views.not_changed(tx.conn, recipient.id, claimed, _CLAIMED), _CLAIMED)
    _number(tx, recipient.id, rows)


def _tell_constituent(tx: Tx, recipient: Recipient, changes: Sequence[Change]) -> None:
    """Say what does not count any more of what a constituent was given by any statement, and of nothing else."""
    recalled = [change.subject for change in changes if change.kind in _TAKEN_BACK]
    ended = [change.subject for change in changes if change.kind in _ENDING]
    ended += [one.content for one in statements.subjects(tx.conn, recalled)]
    # What names as its creator a member that has been linked since needs that member's own word.
    linked = dict.fromkeys(change.subject for change in changes if change.kind == "peer")
    named = [key for member in linked for key in statements.claims(tx.conn, member, "")]
    claimed = dict.fromkeys(views.not_changed(tx.conn, recipient.id, named, _CLAIMED), _CLAIMED)
    ended += claimed
    about = walk.statements_about(tx.conn, ended)
    told = views.offered(tx.conn, recipient.id, [key for keys in about.values() for key in keys])
    # By what it was given, and not by what it would get now: who is suspended has it all the same, and nobody tells it
    # again, once it is back, what it has been told to drop.
    live = {one.content for one in statements.facts(tx.conn, list(told)) if _stands(one, tx.at)}
    over = [key for key, keys in about.items() if key not in live and not told.isdisjoint(keys)]
    rows = [row for key in over for row in _changes([key], claimed.get(key, "does not count any more"))]
    _number(tx, recipient.id, rows)


def _stands(one: Facts, now: str) -> bool:
    """True if nothing has ended what a statement says: whoever was given it may go by it."""
    expired = one.terms is not None and one.terms.expires is not None and one.terms.expires <= now
    return not (one.recalled or one.quarantined or one.purged or expired)


def _changes(contents: Sequence[str], rule: str) -> list[_Row]:
    return [(ViewKind.CHANGE, key, rule, bytes.fromhex(key)) for key in dict.fromkeys(contents)]


def _number_rosters(tx: Tx, recipient: Recipient) -> None:
    if recipient.standing is not Standing.MEMBER or recipient.suspended:
        return
    present = communities.current(tx.conn).values()
    mine = communities.latest(tx.conn, [one.id for one in present if batches.may_have(one, recipient, tx.at)])
    there = views.given(tx.conn, recipient.id, [kept.hash for kept in mine])
    rows = [
        (ViewKind.ROSTER, kept.hash, f"member of {kept.name}", frame.pack_roster(kept.envelope).digest())
        for kept in mine
        if kept.hash not in there
    ]
    _number(tx, recipient.id, rows)


def _number_recalls(tx: Tx, gate: Gate, changes: Sequence[Change]) -> None:
    """Tell who may have a statement that it was taken back: who was ever offered it, or has sent it here since.

    Who may have it from others by the author's terms may be told here too: a relay might keep the recall to itself.
    """
    recipient = gate.recipient
    came = [change.subject for change in changes if change.kind == "tombstone"]
    retold = [change.subject.partition(" ") for change in changes if change.kind == tombstones.RETOLD]
    sent = {statement for member, _, statement in retold if member == recipient.id}
    if came or sent:
        stones = tombstones.about(tx.conn, [*came, *sent])
        offered = views.offered(tx.conn, recipient.id, came)
        rest = [key for key in stones if key not in offered]
        offered |= _told_by_others(statements.facts(tx.conn, rest), gate)
        due = [
            stone
            for key, stone in stones.items()
            if key in sent or (key in offered and stone.sender != recipient.id)
        ]
        _number_stones(tx, recipient, due)


def _told_by_others(facts: Sequence[Facts], gate: Gate) -> set[str]:
    """Return the statements that others may have passed on to a recipient before they were taken back."""
    onward = [one for one in facts if one.terms is not None and one.terms.onward]
    decisions = [gate.decide(replace(one, recalled=False)) for one in onward]
    return {one.statement for one in decisions if isinstance(one, Released)}


def _number_stones(tx: Tx, recipient: Recipient, stones: Sequence[Stone]) -> None:
    there = views.offered(tx.conn, recipient.id, [stone.hash for stone in stones])
    rows = [
        (
            ViewKind.TOMBSTONE,
            stone.hash,
            "told of what was recalled",
            frame.pack_tombstone(stone.envelope).digest(),
        )
        for stone in stones
        if stone.hash not in there
    ]
    _number(tx, recipient.id, rows)


def _number_commitments(tx: Tx, recipient: Recipient, digests: Sequence[str]) -> None:
    """Give a member what this node commits itself to from the time on at which it was enrolled."""
    if not digests or recipient.standing is not Standing.MEMBER or recipient.suspended:
        return
    there = views.given(tx.conn, recipient.id, digests)
    made = checkpoints.commitments(tx.conn, digests, recipient.since)
    _number(
        tx,
        recipient.id,
        [
            (ViewKind.COMMITMENT, digest, "kept by every peer", frame.pack_commitment(envelope).digest())
            for digest, envelope in made.items()
            if digest not in there
        ],
    )


def _number_documents(tx: Tx, recipient: Recipient, digests: Sequence[str]) -> None:
    """Tell a member of this node's documents from the time on at which it was enrolled, each in its order.

    One that went void while it was suspended is told again.
    """
    if recipient.standing is not Standing.MEMBER or recipient.suspended:
        return
    there = views.given(tx.conn, recipient.id, digests)
    made = documents.envelopes(tx.conn, digests, recipient.since)
    rows = [
        (ViewKind.DOCUMENT, digest, "sent to every peer", frame.pack_document(envelope).digest())
        for digest, envelope in made.items()
        if digest not in there
    ]
    _number(tx, recipient.id, rows)


def _number(tx: Tx, recipient: str, rows: Sequence[_Row]) -> None:
    """Append rows, and say so in one event: its chain covers theirs (docs/design.md, Audit)."""
    if not rows:
        return
    head = views.head(tx.conn, recipient)
    first = head.number + 1
    entries: list[Entry] = []
    for kind, ref, rule, digest in rows:
        number = head.number + 1
        head = Head(number, frame.link(head.chain, number, digest))
        entries.append(Entry(number, kind, ref, rule, digest, head.chain))
    views.append(tx, recipient, entries)
    said = views.digest((one.number, one.kind.value, one.ref, one.rule, tx.at) for one in entries)
    tx.event("released", recipient, first=first, last=head.number, chain=head.chain.hex(), rows=said)
