"""What a frame carries is verified before the writer sees it: who signed it, whose it is, and whether it is sound."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner

from lezha.detection import breadth
from lezha.detection.constituency import Constituency
from lezha.federation import roster, statement, tombstone
from lezha.federation.checkpoint import KnownCommitment
from lezha.federation.document import KnownDocument, NodeDocument
from lezha.federation.errors import Refused
from lezha.federation.frame import Frame, FrameKind
from lezha.federation.members import Members
from lezha.federation.pace import PATTERN_CHARS
from lezha.federation.roster import KnownRoster
from lezha.federation.statement import KnownStatement
from lezha.federation.tombstone import KnownTombstone
from lezha.flows import attest, ingest, renew
from lezha.flows.renew import Spoilt
from lezha.stix import objects
from lezha.stix.clauses import COMPANION_TYPES
from lezha.stix.errors import StixError
from lezha.store.contents import Content

_REMEMBERED_BYTES: Final = 8192
_WATCHED: Final = "indicator"

OVERRULABLE: Final = frozenset({"too_broad", "clock_ahead", "too_many_rosters", "too_many_tombstones"})
"""The codes of limits that this node sets itself, and that a person may set aside for one frame."""
ANY_TIME: Final = "9999-12-31T23:59:59.999999Z"
CLOCK: Final = dt.timedelta(minutes=5)
"""So far what comes may be dated ahead of this node's clock."""


class Receiver(msgspec.Struct, frozen=True):
    """Who receives: the member, its node document and key for receipts, the members that it knows, what is its own."""

    member: str
    document: NodeDocument
    signer: CryptoSigner
    members: Members
    own: Constituency = Constituency()


class Told(msgspec.Struct, frozen=True):
    """What a statement frame carries, verified. `beyond` says which limit of this node's own it is beyond, if any."""

    known: KnownStatement
    contents: tuple[Content, ...]
    beyond: Refused | None = None

    @property
    def by_creator(self) -> bool:
        """Whether the creator of the object signed it."""
        return self.contents[0].creator == self.known.statement.member


class Unfit(msgspec.Struct, frozen=True):
    """Why a frame is put aside, and the ids of the objects that it seems to carry or to speak of."""

    reason: Refused
    names: tuple[str, ...] = ()


class Renewal(msgspec.Struct, frozen=True):
    """A peer's new document, verified, and what it discredits of what is held."""

    known: KnownDocument
    looked: Spoilt


Checked = Told | KnownTombstone | KnownRoster | KnownCommitment | Renewal | Unfit | None


def weight(frames: Iterable[Frame]) -> int:
    """Return as how many objects more what frames carry counts, for the patterns in it."""
    return sum(objects.claimed_pattern(raw) // PATTERN_CHARS for one in frames for raw in one.contents)


def check_all(frames: Sequence[Frame], receiver: Receiver, latest: str) -> list[tuple[Frame, Checked]]:
    """Verify what frames carry, each by itself."""
    # All signatures first: one piece of work many times costs less than all of it frame by frame, by a tenth.
    said = [_said(one, receiver.members) for one in frames]
    return [(one, _check(one, found, receiver, latest)) for one, found in zip(frames, said, strict=True)]


def check(one: Frame, receiver: Receiver, latest: str, overruled: frozenset[str] = frozenset()) -> Checked:
    """Verify what a frame carries, without a look at the log. `overruled` are limits that a person sets aside."""
    return _check(one, _said(one, receiver.members), receiver, latest, overruled)


def _said(one: Frame, members: Members) -> KnownStatement | Refused | None:
    """Verify the statement that a frame carries, if it carries one; return why it is refused if it is."""
    if one.kind is not FrameKind.STATEMENT:
        return None
    try:
        return statement.read(one.envelope, members.keyring)
    except Refused as refused:
        return refused


def _check(
    one: Frame,
    said: KnownStatement | Refused | None,
    receiver: Receiver,
    latest: str,
    overruled: frozenset[str] = frozenset(),
) -> Checked:
    try:
        if one.kind is FrameKind.VOID:
            return None
        if one.kind is FrameKind.ROSTER:
            return _check_roster(one, receiver)
        if one.kind is FrameKind.TOMBSTONE:
            return _check_tombstone(one, receiver.members)
        if one.kind is FrameKind.COMMITMENT:
            return attest.check(one.envelope, one.contents, receiver.members, latest)
        if one.kind is FrameKind.DOCUMENT:
            return Renewal(renew.check_document(one.envelope, one.contents), Spoilt())
        if not isinstance(said, KnownStatement):
            raise said or Refused("malformed_batch", "A piece of a frame is no frame.")
        told = _check_statement(one, said, receiver.members)
        return replace(told, beyond=_beyond(told, receiver.own, latest, overruled))
    except Refused as refused:
        return Unfit(refused, names(one))


def dated(found: Checked) -> str:
    """Return the latest date in what a frame carries that is never to be ahead; empty if there is none."""
    if isinstance(found, KnownCommitment):
        return found.commitment.at
    if isinstance(found, Told):
        return max(found.known.statement.issued, *(content.version for content in found.contents))
    return ""


def names(one: Frame) -> tuple[str, ...]:
    """Return the ids by which a frame that can't be taken can be found for purging."""
    found = [statement.claimed_objects(one.envelope), *map(objects.claimed_ids, one.contents)]
    return tuple(dict.fromkeys(name for names in found for name in names))


def _check_roster(one: Frame, receiver: Receiver) -> KnownRoster:
    known = roster.read(one.envelope)
    if one.contents:
        raise Refused("malformed_roster", "A roster frame carries contents.")
    if receiver.member not in known.roster.members:
        raise Refused(
            "roster_not_ours", f"This member is not in the roster of {known.roster.charter.name!r}."
        )
    return known


def _check_tombstone(one: Frame, members: Members) -> KnownTombstone:
    if one.contents:
        raise Refused("malformed_tombstone", "A tombstone's frame carries contents.")
    return tombstone.read(one.envelope, members.keyring)


def _beyond(told: Told, own: Constituency, latest: str, overruled: frozenset[str]) -> Refused | None:
    """Hold this node's own limits against what is else in order."""
    until = ANY_TIME if "clock_ahead" in overruled else latest
    if told.known.statement.issued > until:
        return Refused(
            "clock_ahead", f"A statement was signed at {told.known.statement.issued}, not yet here."
        )
    for content in told.contents:
        # STIX 2.1 §3.6: the latest `modified` counts; one that is to come would count for as long.
        if content.version > until:
            return Refused(
                "clock_ahead", f"{content.stix_id} says that it is of {content.version}, not yet here."
            )
    subject = told.contents[0]
    watched = subject.type == _WATCHED and not subject.revoked
    words = breadth.faults(subject.observables, own) if watched and "too_broad" not in overruled else ""
    return Refused("too_broad", f"{subject.stix_id} is too broad: {words}.") if words else None


def _check_statement(one: Frame, known: KnownStatement, members: Members) -> Told:
    said = known.statement
    digests = tuple(hashlib.sha256(raw).hexdigest() for raw in one.contents)
    if digests != (said.content, *said.companions):
        raise Refused("content_mismatch", f"The bytes of {said.object_id} are not those that were signed.")
    try:
        subject, *companions = one.contents
        kept = (ingest.content(objects.read(subject)), *map(_companion, companions))
    except StixError as error:
        raise Refused("invalid_object", str(error)) from error
    if tuple(content.hash for content in kept) != digests:
        raise Refused(
            "content_mismatch", f"The bytes of {said.object_id} have white space around the object."
        )
    _check_subject(kept[0], said.object_id, said.object_version)
    for content in kept[1:]:
        if content.type not in COMPANION_TYPES:
            raise Refused("companion", f"{content.stix_id} may not travel as a companion.")
    for content in kept:
        _check_identity(content, said.member, members)
    # docs/design.md, Authority: what claims a member as creator needs that member's own statement.
    creator = kept[0].creator
    if creator in members.identities and creator != said.member:
        raise Refused(
            "authority", f"{said.object_id} claims {creator} as creator but {said.member} signed it."
        )
    return Told(known, kept)


def _companion(raw: bytes) -> Content:
    # The same few identities travel with every statement.
    return _remembered(raw) if len(raw) <= _REMEMBERED_BYTES else ingest.content(objects.read(raw))


@lru_cache(maxsize=256)
def _remembered(raw: bytes) -> Content:
    return ingest.content(objects.read(raw))


def _check_subject(content: Content, object_id: str, version: str) -> None:
    if (content.stix_id, content.version) != (object_id, version):
        raise Refused("content_mismatch", f"The statement speaks of {object_id} {version}, its bytes do not.")


def _check_identity(content: Content, member: str, members: Members) -> None:
    identity = members.identities.get(content.stix_id)
    if identity is not None and content.stix_id != member and content.hash != identity:
        raise Refused("authority", f"{member} says who {content.stix_id} is, which only that member can.")


def by_creators(checked: Iterable[tuple[Frame, Checked]]) -> list[Content]:
    """Return the objects that their creators tell of."""
    return [found.contents[0] for _, found in checked if isinstance(found, Told) and found.by_creator]
