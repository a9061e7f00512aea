"""What has to hold in the simulation, said a second time and without the code that is tested.

At every moment (`Guard.sees`): no batch leaves a node with a statement that its receiver may not have by what the
sender knows then, or that the receiver has sent itself, or whose object was purged at the sender.

In the end (`faults`): what a member may have from a neighbour that has it, it has; nothing is there twice; nothing was
refused; nothing forked; every recall, roster and commitment is where it belongs; every receipt was kept; what was
purged is gone.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from tests.battery.simulator.member import Member, Watcher
from tests.battery.simulator.virtual import seconds

from lezha.federation import envelope, frame
from lezha.federation.envelope import PayloadType
from lezha.federation.frame import Batch, FrameKind

_PURGED = "SELECT 1 FROM purges JOIN contents ON contents.seq = purges.content WHERE contents.hash = :one"
_CAME = (
    "SELECT hash FROM statements JOIN arrivals ON arrivals.statement = statements.seq "
    "WHERE arrivals.member = :one"
)
GRACE_S = 0.02
"""A batch that was packed before the rules changed may leave a moment after."""


class Held(Protocol):
    """What a member holds, whatever runs on it: a simulated node or a process."""

    @property
    def member(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def view(self) -> sqlite3.Connection: ...
    @property
    def restored(self) -> bool:
        """Whether it has lost what it knew, and was brought back from a backup."""

    @property
    def linked(self) -> "Sequence[Held]":
        """Those to which it has a way."""


class Guard(Watcher):
    """Looks at every batch as it leaves."""

    def __init__(self, hostile: str = "") -> None:
        self.hostile = hostile
        self.faults: list[str] = []
        self.carried = 0
        self._came: dict[tuple[str, bytes, str], float] = {}
        """When a statement came to a member from another one."""
        self._heads: dict[tuple[str, str, str], int] = {}
        """How far members have signed for streams: receiver, sender, life."""

    def took(self, receiver: Member, sender: str, sent: Batch, receipt: bytes) -> None:
        head = json.loads(envelope.peek(receipt, PayloadType.RECEIPT))["head"]
        stream = (receiver.member, sender, sent.incarnation)
        before = self._heads.get(stream, 0)
        self._heads[stream] = max(before, head)
        for one in sent.frames:
            # What comes late, and had gone as void meanwhile, is not looked at any more.
            taken = before < one.number <= head and sender != self.hostile
            if one.kind is FrameKind.STATEMENT and taken:
                self._came.setdefault((receiver.member, _digest(one), sender), seconds())

    def forgot(self, member: Member) -> None:
        self._came = {key: at for key, at in self._came.items() if key[0] != member.member}
        self._heads = {key: head for key, head in self._heads.items() if key[0] != member.member}

    def sees(self, sender: Member, receiver: str, batch: bytes) -> None:
        for one in frame.decode(batch).frames:
            self.carried += 1
            if seconds() - sender.ruled > GRACE_S and (why := _forbidden(sender, receiver, one)):
                self._note(sender, receiver, one, why)
            if one.kind is FrameKind.STATEMENT:
                came = self._came.get((sender.member, _digest(one), receiver))
                if came is not None and seconds() - came > GRACE_S:
                    self._note(sender, receiver, one, "it came from there")

    def _note(self, sender: Member, receiver: str, one: frame.Frame, why: str) -> None:
        self.faults.append(f"{seconds():.3f} {sender.name} sent {one.kind} {one.number} to {receiver}: {why}")


def _digest(one: frame.Frame) -> bytes:
    return hashlib.sha256(envelope.peek(one.envelope, PayloadType.STATEMENT)).digest()


def _forbidden(sender: Member, receiver: str, one: frame.Frame) -> str:
    """Return why a frame may not be sent, empty if it may."""
    if one.kind is FrameKind.ROSTER:
        payload = json.loads(envelope.peek(one.envelope, PayloadType.ROSTER))
        named = receiver in payload["members"]
        return "" if named and not _suspended(sender, receiver) else "not a roster of its"
    if one.kind is FrameKind.COMMITMENT:
        payload = json.loads(envelope.peek(one.envelope, PayloadType.COMMITMENT))
        fits = payload["member"] == sender.member and not _suspended(sender, receiver)
        return "" if fits else "not a commitment of its own for a peer"
    if one.kind is not FrameKind.STATEMENT:
        return ""
    said = json.loads(envelope.peek(one.envelope, PayloadType.STATEMENT))
    recalled = "SELECT 1 FROM tombstones WHERE statement = :one AND member = :two"
    if _rows(sender, recalled, _digest(one), said["member"]):
        return "it was recalled"
    if _rows(sender, _PURGED, bytes.fromhex(said["content"])):
        return "it was purged"
    return "" if may_have(sender, receiver, said) else "it may not have that"


def may_have(holder: Held, receiver: str, said: dict[str, Any]) -> bool:
    """Whether a holder of a statement may give it to a neighbour: docs/design.md, Release, for what is told here."""
    terms = said["terms"]
    audience = terms["audience"]
    if receiver == said["member"] or _suspended(holder, receiver):
        return False
    named = receiver in audience["members"]
    admitted = any(
        (number := _admitted(holder, term, receiver)) is not None
        and (number <= term["floor"] or terms["future_members"])
        for term in audience["communities"]
    )
    if not (named or admitted or audience["everyone"]):
        return False
    if said["member"] == holder.member:
        return True
    relayed = {"clear": True, "green": named or admitted, "amber": named}
    return terms["onward"] and relayed[terms["tlp"]]


def _suspended(holder: Held, other: str) -> bool:
    return _rows(holder, "SELECT state FROM peers WHERE member = :one", other) != [("active",)]


def _admitted(holder: Held, term: dict[str, Any], member: str) -> int | None:
    """Return by which roster a member is in a community, as a holder knows and has approved it; None if it is not."""
    latest = _rows(
        holder,
        "SELECT number, members FROM rosters WHERE community = :one ORDER BY number DESC LIMIT 1",
        term["id"],
    )
    if not latest or latest[0][0] < term["floor"]:
        return None
    number = json.loads(latest[0][1]).get(member)
    approved = _rows(
        holder,
        "SELECT 1 FROM admissions WHERE community = :one AND member = :two AND number = :three",
        term["id"],
        member,
        number,
    )
    return number if approved else None


def faults(members: Sequence[Held], hostile: str = "") -> Iterator[str]:
    """Give all that is not as it should be once everything is settled. What is `hostile` may do wrong."""
    for one in members:
        yield from _alone(one, hostile)
        for other in one.linked:
            if other in members:
                yield from _between(one, other)


def invented(members: Sequence[Member]) -> Iterator[str]:
    """Give what members hold of one another that its origin has never said."""
    for kind, query in (
        ("statement", "SELECT hash, origin FROM statements"),
        ("tombstone", "SELECT hash, member FROM tombstones"),
    ):
        said = {one.member: set(_rows(one, query)) for one in members}
        for one in members:
            for digest, origin in said[one.member]:
                if origin in said and (digest, origin) not in said[origin]:
                    yield f"{one.name} holds {kind} {digest.hex()}, which {origin} has never signed"


def put_aside(one: Member, sender: str) -> list[tuple[str, bytes]]:
    """Return the codes and the frames, as far as they are kept, of what a node has put aside of what a member sent."""
    return _rows(one, "SELECT code, frame FROM quarantine WHERE member = :one", sender)


def held_of(one: Member, contents: Iterable[bytes]) -> list[bytes]:
    """Return those of some contents that a node holds, whoever told of them."""
    return [raw for raw in contents if _rows(one, "SELECT 1 FROM bodies WHERE bytes = :one", raw)]


def events(one: Member, subject: str) -> dict[str, int]:
    """Count what a node has recorded about a member, by kind."""
    return dict(_rows(one, "SELECT kind, count(*) FROM events WHERE subject = :one GROUP BY kind", subject))


def _alone(one: Held, hostile: str) -> Iterator[str]:
    for code, detail in _rows(one, "SELECT code, detail FROM quarantine WHERE member <> :one", hostile):
        yield f"{one.name} refused something: {code}, {detail}"
    for kind, subject, count in _rows(
        one,
        "SELECT kind, subject, count(*) FROM events WHERE kind IN ('content', 'statement', 'tombstone', 'roster') "
        "GROUP BY kind, subject HAVING count(*) > 1",
    ):
        yield f"{one.name} has taken {kind} {subject} {count} times"
    for kind, subject in _rows(
        one,
        "SELECT kind, subject FROM events WHERE kind IN ('fork', 'disputed', 'roster conflict', 'too fast') "
        "AND subject <> :one AND subject NOT IN (SELECT lower(hex(hash)) FROM contents WHERE creator = :one)",
        hostile,
    ):
        yield f"{one.name} recorded a {kind} by {subject}"
    numbered = (
        "SELECT recipient, kind, hex(ref), count(*) FROM views LEFT JOIN voids USING (recipient, number) "
        "WHERE voids.number IS NULL GROUP BY recipient, kind, ref HAVING count(*) > 1"
    )
    for recipient, kind, ref, count in _rows(one, numbered):
        yield f"{one.name} has {kind} {ref} {count} times in its view for {recipient}"


def _between(one: Held, other: Held) -> Iterator[str]:
    """What `one` has and `other` should have from it."""
    # Of which recall does not matter: a node that was restored may have forgotten one, and made another.
    stones = _rows(
        one,
        "SELECT DISTINCT tombstones.statement, tombstones.member FROM tombstones "
        "JOIN views ON views.ref = tombstones.statement "
        "WHERE views.recipient = :one AND tombstones.sender <> :one",
        other.member,
    )
    for statement, _ in set(stones) - set(_rows(other, "SELECT statement, member FROM tombstones")):
        yield f"{other.name} was not told by {one.name} that {statement.hex()} is recalled"
    if _suspended(one, other.member) or _suspended(other, one.member):
        return
    held = dict(_rows(other, "SELECT hash, 1 FROM statements"))
    mine = (
        "SELECT hash, envelope FROM statements WHERE hash NOT IN (SELECT statement FROM tombstones) "
        "AND content NOT IN (SELECT content FROM purges)"
    )
    # Nobody is told what came from there: a node that was restored gets it back from whoever gave it to it before.
    came = _rows(one, _CAME, other.member) if other.restored else []
    held |= {digest: 1 for (digest,) in came}
    for digest, raw in _rows(one, mine):
        said = json.loads(envelope.peek(bytes(raw), PayloadType.STATEMENT))
        if digest not in held and may_have(one, other.member, said):
            yield f"{other.name} lacks statement {digest.hex()} of {said['member']}, which {one.name} has"
    latest = dict(_rows(other, "SELECT community, max(number) FROM rosters GROUP BY community"))
    for community, number in _rows(one, "SELECT community, max(number) FROM rosters GROUP BY community"):
        admitted = _admitted(one, {"id": community, "floor": 0}, other.member) is not None
        if admitted and latest.get(community, 0) < number:
            yield f"{other.name} lacks roster {number} of {community}, which {one.name} has"
    kept = _rows(other, "SELECT at FROM kept_commitments WHERE member = :one", one.member)
    mine = (
        "SELECT checkpoints.at FROM checkpoints JOIN events ON events.seq = checkpoints.seq WHERE digest <> '' "
        "AND events.at >= (SELECT since FROM peers WHERE member = :one)"
    )
    for (at,) in set(_rows(one, mine, other.member)) - set(kept):
        yield f"{other.name} lacks the commitment of {one.name} for {at}"
    head = _rows(one, "SELECT coalesce(max(number), 0) FROM views WHERE recipient = :one", other.member)[0][0]
    acknowledged = _rows(
        one, "SELECT coalesce(max(head), 0) FROM receipts WHERE recipient = :one", other.member
    )[0][0]
    if acknowledged < head:
        yield f"{one.name} has a receipt of {other.name} for {acknowledged} of {head} frames"


def _rows(one: Held, query: str, *values: object) -> list[Any]:
    return one.view.execute(query, dict(zip(("one", "two", "three"), values, strict=False))).fetchall()


def names(one: Member, stix_id: str) -> dict[bytes, str]:
    """Return what a node calls the versions of an object that it holds, by their digests."""
    return dict(_rows(one, "SELECT hash, name FROM contents WHERE stix_id = :one AND name <> ''", stix_id))


def left_of_purged(one: Member, called: dict[bytes, str]) -> Iterator[str]:
    """Give what is left at a node, also in the gaps of its files, of what it has purged; `called` are names of that."""
    query = "SELECT hash FROM contents JOIN purges ON purges.content = contents.seq"
    gone = {called[digest] for (digest,) in _rows(one, query) if digest in called}
    if gone:
        files = b"\n".join(path.read_bytes() for path in one.path.parent.glob(f"{one.path.name}*"))
        for name in gone:
            if re.search(rb"(?<![0-9])" + re.escape(name.encode()), files):
                yield f"{name} is still in the files of {one.name}, which has purged it"


def statements(one: Held) -> list[Any]:
    """Return the digests of all statements that a node holds."""
    return _rows(one, "SELECT hash FROM statements")
