"""People look at what was put aside, and take it after all or let it go; what waits for its time the node takes."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.federation.frame import Frame, FrameKind
from lezha.flows import ingest, receive, vet
from lezha.flows.errors import FlowError
from lezha.flows.purge import NODE
from lezha.flows.receive import Again
from lezha.flows.vet import OVERRULABLE, Receiver
from lezha.store import inbound, peers, quarantine
from lezha.store.errors import StoreError
from lezha.store.log import Log, Tx
from lezha.store.peers import PeerState
from lezha.store.quarantine import Aside, Verdict

_MOST_WHY: Final = 1000
_SHOWN_BYTES: Final = 256 * 1024
_AT_ONCE: Final = 20
"""Of each peer; a frame may take half a second."""
_NOT_BESIDE: Final = " This one is not in the log: the other counts on."
_TIME_CAME: Final = "its time has come"
_AGAIN: Final = frozenset({"unknown_key"})
"""Codes that may not hold any more: the frame is checked anew, and nothing is overruled."""


class Decided(msgspec.Struct, frozen=True):
    """Which frame a person, `actor`, has decided about, and why."""

    item: int
    why: str
    actor: str


class StillRefused(FlowError):
    """A frame can't be taken now; `overrulable` is the code of a further limit that may be set aside, or empty."""

    def __init__(self, message: str, overrulable: str) -> None:
        super().__init__(message)
        self.overrulable = overrulable


class Advice(msgspec.Struct, frozen=True):
    """What a code means for the duty officer, and what to do next."""

    words: str
    next: str


_BROKEN: Final = (
    "Reject it, and tell the peer's operators: their node, or what speaks in its name, is at fault."
)
_CALL: Final = "Call the peer by a number that you know: somebody may use its keys, or stand in between."
_OTHER: Final = "It can't be accepted: ask the member that it names to tell of it itself."
ADVICE: Final[dict[str, Advice]] = {
    "authority": Advice("It claims to be of another member, which has not signed it.", _OTHER),
    "bad_signature": Advice("A signature does not hold: it was altered after it was signed.", _CALL),
    "changed_identity": Advice(
        "The peer's new node document says otherwise than before who the member is.",
        "Call its officer. If that is meant, meet the peer anew: `lezha peer invite NAME --again`.",
    ),
    "changed_root": Advice(
        "The peer's new node document names another root key, and the one that is known here has not signed it.",
        "Call its officer: if it has lost its root key, meet it anew with `lezha peer invite NAME --again`; else "
        "somebody has its signing key.",
    ),
    "clock_ahead": Advice(
        "It is dated more than 5 minutes ahead of this node's clock.",
        "Nothing: this node takes it by itself once its time has come. Compare the clocks. Accept it if it is wanted "
        "now; the date counts as it is, so a later version must be dated later still.",
    ),
    "commitment_order": Advice("A commitment to the peer's own log came out of its order.", _BROKEN),
    "companion": Advice("An object travels beside another one that may not.", _BROKEN),
    "content_mismatch": Advice("The bytes are not those that were signed.", _CALL),
    "equivocation": Advice(
        "Its creator has signed two different contents of one version. Both are in the log and neither counts.",
        "Ask the creator which is meant: a later version settles it. Reject this note when that has come.",
    ),
    "invalid_object": Advice(
        "It is not STIX 2.1, or breaks a limit.",
        "Reject it, and tell the author what is wrong: a corrected version is taken as it comes.",
    ),
    "malformed_checkpoint": Advice("A commitment can't be read.", _BROKEN),
    "malformed_document": Advice("A node document can't be read, or contradicts itself.", _BROKEN),
    "malformed_envelope": Advice("It is not a signed envelope.", _BROKEN),
    "malformed_key": Advice("A public key in it is none.", _BROKEN),
    "malformed_roster": Advice("A roster can't be read, or contradicts itself.", _BROKEN),
    "malformed_statement": Advice("A statement can't be read.", _BROKEN),
    "malformed_tombstone": Advice("A recall can't be read.", _BROKEN),
    "not_origin": Advice("It takes back what another member has published.", _CALL),
    "old_document": Advice(
        "It is an earlier node document of the peer than the one that is known here.",
        "Nothing, if the peer was restored from a backup: its operator puts the newest document back.",
    ),
    "roster_conflict": Advice(
        "Another roster of this community has the same number.",
        "Call the stewards: they signed two. `lezha community show` says which one is in force here.",
    ),
    "roster_not_ours": Advice(
        "This member is not in the roster.",
        "Nothing, if that is right; else ask the stewards.",
    ),
    "taken_key": Advice("The peer's new node document names a key of another member as its own.", _CALL),
    "too_broad": Advice(
        "An indicator would hit far more than one attacker, or names something of one's own.",
        "If it names a machine or a domain of yours, look there first: the peer may have seen it attacked or misused. "
        "Accept it only if sensors shall look for all of that.",
    ),
    "too_large": Advice("It is larger than a link may carry.", _BROKEN),
    "too_many_rosters": Advice(
        "The peer has sent many rosters of communities that were not accepted here.",
        "Accept it if you mean to join that community, then `lezha community accept`; else reject it.",
    ),
    "too_many_tombstones": Advice(
        "The peer has sent very many recalls of what was never here.",
        "Ask the peer why. Accept it if the recall is wanted.",
    ),
    "unknown_key": Advice(
        "It is signed by a key that this node did not know.",
        "Accept checks it anew, in case the key is known by now; a signature can't be overruled.",
    ),
    "unrevoked": Advice("The peer's new node document takes back that a key of it is revoked.", _CALL),
    "wrong_kind": Advice("It is signed as something else than it was sent as.", _CALL),
    "wrong_member": Advice("It is signed by another member than the one in whose name it speaks.", _CALL),
}
_UNKNOWN: Final = Advice("It was refused by an earlier version of this program.", "Reject it.")


class Held(msgspec.Struct, frozen=True):
    """A frame that was put aside, as the duty officer reads it in a list.

    `id` names it here. `number` is that in the peer's stream. `objects` are the ids that it names, as far as they could
    be read. `overrulable` says whether a person may accept it; `kept` is how many of its bytes are still here. Once it
    is decided, `verdict` is `accepted` or `rejected`, with who said so, when and why. `until` is when this node takes
    it by itself, if it waits for that alone and that was looked up, else empty.
    """

    id: int
    peer: str
    member: str
    number: int
    at: str
    code: str
    words: str
    next: str
    overrulable: bool
    objects: tuple[str, ...]
    kept: int
    verdict: str
    by: str
    decided: str
    why: str
    until: str


class Page(msgspec.Struct, frozen=True):
    """What was put aside, newest first. `next` is `before` for the next page, None at the end."""

    held: list[Held]
    next: int | None


class Carried(msgspec.Struct, frozen=True):
    """What a frame carries as far as it can be read. None of it is live, and none of it needs to be true.

    `detail` says in words why it was put aside. `claim` is what its envelope says, and `contents` what comes with it.
    """

    held: Held
    detail: str
    kind: str
    claim: str
    contents: tuple[str, ...]


def page(conn: Connection, peer: str = "", code: str = "", *, decided: bool, before: int, limit: int) -> Page:
    """Return what was put aside of a peer, or of all, newest first; with `decided` also what does not wait any more.

    Raises NotFound for a peer that there is not.
    """
    member = peers.by_name(conn, peer).member if peer else ""
    found = quarantine.listed(
        conn, member=member, code=code, waiting=not decided, before=before, limit=limit + 1
    )
    more = found[limit - 1].seq if len(found) > limit else None
    return Page(_held(conn, found[:limit]), more)


async def show(log: Log, item: int, actor: str) -> Carried:
    """Return what a frame carries; that `actor` saw it is in the log before. Raises NotFound."""

    def work(tx: Tx) -> Carried:
        one = quarantine.get(tx.conn, item)
        found = _carried(one, _held(tx.conn, [one])[0], quarantine.frame(tx.conn, item))
        if found.contents or found.detail:
            tx.event(quarantine.LOOKED, one.member, actor, item=item, number=one.number)
        return found

    return await log.write(work)


async def accept(
    log: Log, receiver: Receiver, decided: Decided, latest: str, also: Sequence[str] = ()
) -> Held:
    """Take a frame now, by the rules for one that comes now but for the limit that it was put aside for.

    `latest` is as for `receive.batch`; `also` are codes of further limits that the person sets aside. In one commit it
    is checked once more that it waits still, taken, and recorded. Raises FlowError if a person may not overrule the
    reason, or if something else is wrong with it now; then nothing has changed. Raises NotFound.
    """
    item, why, actor = decided.item, _reason(decided.why), decided.actor
    with log.read() as conn:
        one, raw = quarantine.get(conn, item), quarantine.frame(conn, item)
        _check_open(conn, one)
    overruled = frozenset((one.code, *also)) - _AGAIN
    if barred := sorted(overruled - OVERRULABLE):
        raise FlowError(f"{_advice(barred[0]).words} Nobody may overrule that. {_advice(barred[0]).next}")
    taken = _read(raw)
    # A commitment that is dated ahead would keep out all that come until then: it is in order once its time has come.
    waived = overruled if taken.kind is not FrameKind.COMMITMENT else frozenset[str]()
    try:
        record = _recorded(one, raw, Decided(item, why, actor), sorted(overruled))
        await receive.again(log, receiver, one.member, Again(taken, latest, waived), record)
    except Refused as refused:
        further = refused.code if refused.code in OVERRULABLE else ""
        hint = f" `--overrule {further}` sets that aside as well." if further else ""
        raise StillRefused(f"It still can't be taken ({refused.code}): {refused}{hint}", further) from refused
    return _again(log, item)


async def take_due(log: Log, receiver: Receiver, latest: str) -> int:
    """Take what waited for its time alone and is not dated after `latest`; return how many frames were looked at.

    Each is taken by the rules for one that comes now, and nothing is set aside. What is in order no more, or was not
    for another reason, waits for a person from now on, and says why. Of each active peer some are looked at, so that
    none holds up the others.
    """
    with log.read() as conn:
        items = [
            item
            for peer in peers.listed(conn)
            if peer.state is PeerState.ACTIVE
            for item in quarantine.due(conn, peer.member, latest, _AT_ONCE)
        ]
    for item in items:
        await _take_due(log, receiver, item, latest)
    return len(items)


async def _take_due(log: Log, receiver: Receiver, item: int, latest: str) -> None:
    with log.read() as conn:
        one, raw = quarantine.get(conn, item), quarantine.frame(conn, item)
    if not raw:  # purged meanwhile
        await log.write(lambda tx: quarantine.leave(tx, item))
        return
    taken = _read(raw)
    try:
        # What its signature covers says when: of a frame whose signature holds no more, nothing.
        date = vet.dated(await asyncio.to_thread(vet.check, taken, receiver, vet.ANY_TIME))
        if date > latest:
            await log.write(lambda tx: quarantine.put_date(tx, item, date))
            return
        record = _recorded(one, raw, Decided(item, _TIME_CAME, NODE), [])
        await receive.again(log, receiver, one.member, Again(taken, latest, frozenset()), record)
    except Refused as refused:
        code, words = refused.code, ingest.storable(str(refused))[:_MOST_WHY]
        words += _NOT_BESIDE if code == "equivocation" else ""
        await log.write(lambda tx: quarantine.restate(tx, item, code, words, NODE))
    except FlowError:
        return  # decided, destroyed, suspended or under another document meanwhile
    except StoreError:
        raise
    except Exception:
        # A mistake of this program must not hold up what is dated after it.
        await log.write(lambda tx: quarantine.leave(tx, item))
        raise


def _recorded(one: Aside, raw: bytes, decided: Decided, overruled: list[str]) -> Callable[[Tx], None]:
    """Return what records that a frame is taken, if it waits still and is still there."""

    def record(tx: Tx) -> None:
        _check_open(tx.conn, quarantine.get(tx.conn, one.seq))
        if quarantine.frame(tx.conn, one.seq) != raw:
            raise FlowError("Its bytes have been destroyed meanwhile: it can't be taken.")
        detail = {"digest": _read(raw).digest().hex(), "overruled": overruled}
        quarantine.decide(tx, one, Verdict.ACCEPTED, decided.why, decided.actor, **detail)

    return record


async def reject(log: Log, decided: Decided) -> Held:
    """Let a frame go: its bytes are destroyed, what it was and who let it go stays. Raises FlowError, NotFound."""
    item, why, actor = decided.item, _reason(decided.why), decided.actor

    def work(tx: Tx) -> None:
        one = quarantine.get(tx.conn, item)
        if one.verdict:
            raise FlowError(_decided(one))
        raw = quarantine.frame(tx.conn, item)
        digest = _read(raw).digest().hex() if raw else ""
        quarantine.decide(tx, one, Verdict.REJECTED, why, actor, digest=digest)

    await log.write(work)
    return _again(log, item)


def _again(log: Log, item: int) -> Held:
    with log.read() as conn:
        return _held(conn, [quarantine.get(conn, item)])[0]


def _check_open(conn: Connection, one: Aside) -> None:
    """Raise FlowError if a frame does not wait for a verdict any more, or nothing may be taken from its peer now."""
    if one.verdict:
        raise FlowError(_decided(one))
    if not one.size:
        gone = "were destroyed here" if one.detail == inbound.PURGED else "were not kept"
        raise FlowError(
            f"Its bytes {gone}: it can't be taken. Reject it, and ask the peer to publish it anew."
        )
    peer = peers.by_member(conn, one.member)
    if peer.state is not PeerState.ACTIVE:
        raise FlowError(
            f"{peer.name} is {peer.state.value}: nothing is taken from it. `lezha peer resume {peer.name}` first."
        )


def _decided(one: Aside) -> str:
    return f"{one.by} has {one.verdict} it already, at {one.decided}."


def _reason(why: str) -> str:
    why = why.strip()
    if not why or len(why) > _MOST_WHY:
        raise FlowError(f"Say why, in at most {_MOST_WHY} characters: that is kept for ever.")
    return why


def _held(conn: Connection, found: Sequence[Aside]) -> list[Held]:
    called = {peer.member: peer.name for peer in peers.listed(conn)}
    seqs = [one.seq for one in found]
    names, dates = quarantine.names(conn, seqs), quarantine.dated(conn, seqs)
    return [
        Held(
            id=one.seq,
            peer=called.get(one.member, ""),
            member=one.member,
            number=one.number,
            at=one.at,
            code=one.code,
            words=_advice(one.code).words,
            next=_advice(one.code).next,
            overrulable=bool(one.size) and not one.verdict and one.code in OVERRULABLE | _AGAIN,
            objects=names.get(one.seq, ()),
            kept=one.size,
            verdict=one.verdict,
            by=one.by,
            decided=one.decided,
            why=one.why,
            until=_until(dates.get(one.seq, "")),
        )
        for one in found
    ]


def _until(date: str) -> str:
    """Return when a frame that is dated so is ahead no more."""
    if not date:
        return ""
    moment = dt.datetime.fromisoformat(date) - vet.CLOCK
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _carried(one: Aside, held: Held, raw: bytes) -> Carried:
    if not raw:
        return Carried(held, one.detail, "", "", ())
    taken = _read(raw)
    return Carried(held, one.detail, taken.kind.value, _claim(taken), tuple(map(_text, taken.contents)))


def _claim(taken: Frame) -> str:
    try:
        return _text(envelope.peek(taken.envelope, PayloadType[taken.kind.name]))
    except (Refused, KeyError):
        return _text(taken.envelope)


def _text(raw: bytes) -> str:
    return raw[:_SHOWN_BYTES].decode(errors="replace")


def _advice(code: str) -> Advice:
    return ADVICE.get(code, _UNKNOWN)


def _read(raw: bytes) -> Frame:
    """Read a frame as this node wrote it down."""
    return msgspec.msgpack.decode(raw, type=Frame)
