"""Rosters: who is in a community and until when, signed by k of its n stewards.

A community's id is the hash of its charter (name, stewards, threshold), so nobody can squat it or change its
stewards behind the members' backs. Each roster but the first names the one before it, so that stewards who hold
different ones find out before they sign.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Final

import msgspec
from securesystemslib.signer import CryptoSigner, Key

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.terms import Time

_MAX_STEWARDS: Final = 32
_MAX_MEMBERS: Final = 1_000
MAX_NUMBER: Final = 2**31 - 1
_Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]
_Member = Annotated[str, msgspec.Meta(pattern=r"\Aidentity--[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]


class Charter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a community is for ever. `stewards` are Ed25519 public keys in hex; `nonce` makes it unique."""

    name: Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,100}\Z")]
    stewards: tuple[str, ...]
    threshold: int
    nonce: str

    @property
    def community(self) -> str:
        """The id of the community with this charter."""
        return f"community--{hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:40]}"


class ForATime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member that roster number `admitted` admitted, and that is out from `until` on."""

    admitted: _Number
    until: Time


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members of a community.

    `members` maps an identity id to the number of the roster that admitted it, with an end for who is a member for a
    time. `previous` is the digest of the roster with the number before; the first one has none.
    """

    charter: Charter
    number: _Number
    members: dict[_Member, _Number | ForATime]
    issued: Time
    expires: Time
    previous: _Digest = ""

    @property
    def admitted(self) -> dict[str, int]:
        """The members, each with the number of the roster that admitted it."""
        return {
            member: entry.admitted if isinstance(entry, ForATime) else entry
            for member, entry in self.members.items()
        }

    @property
    def until(self) -> dict[str, str]:
        """The ends of the memberships that are for a time."""
        return {member: entry.until for member, entry in self.members.items() if isinstance(entry, ForATime)}

    def ended(self, member: str, now: str) -> bool:
        """True if the membership of `member` was for a time, and that time is over."""
        entry = self.members.get(member)
        return isinstance(entry, ForATime) and entry.until <= now


class KnownRoster(msgspec.Struct, frozen=True):
    """A roster signed by enough stewards, its envelope and the SHA-256 of its payload in hex."""

    roster: Roster
    raw: bytes
    digest: str


def successor(
    latest: KnownRoster, add: Mapping[str, str | None], remove: Collection[str], issued: str, expires: str
) -> Roster:
    """Return the roster to follow `latest`: `add` maps a member to the end of its membership, or None.

    Who is a member keeps its admission, and gets the end that `add` says. Who was removed, also in the same go, or
    whose time was over when the roster was `issued`, is admitted anew by this one, or left out.
    """
    before, number = latest.roster, latest.roster.number + 1
    members = {
        member: entry
        for member, entry in before.members.items()
        if member not in remove and not before.ended(member, issued)
    }
    for member, until in add.items():
        entry = members.get(member, number)
        admitted = entry.admitted if isinstance(entry, ForATime) else entry
        members[member] = admitted if until is None else ForATime(admitted, until)
    return Roster(before.charter, number, members, issued, expires, latest.digest)


def misfit(latest: KnownRoster, roster: Roster) -> str:
    """Say in a sentence why `roster` does not follow `latest`, of the same community; "" if it does."""
    before = latest.roster
    if roster.number != before.number + 1:
        return f"It has number {roster.number}, and the latest roster held here is number {before.number}."
    if roster.previous != latest.digest:
        return f"It follows another roster {before.number} than the one held here: two different ones have been signed."
    admitted = before.admitted
    for member, number in roster.admitted.items():
        old = number < roster.number
        if old and (admitted.get(member) != number or before.ended(member, roster.issued)):
            return f"It says that roster {number} admitted {member}, which the one held here does not say."
    return ""


def draft(roster: Roster, one: CryptoSigner) -> bytes:
    """Return the envelope of a roster with its first signature."""
    return envelope.seal(msgspec.json.encode(roster), PayloadType.ROSTER, one)


def cosign(raw: bytes, one: CryptoSigner) -> bytes:
    """Add a steward's signature to a roster that may still lack some. Raises Refused."""
    peek(raw)
    return envelope.cosign(raw, PayloadType.ROSTER, one)


def peek(raw: bytes) -> Roster:
    """Return a roster WITHOUT verifying it, to show it to an operator. Raises Refused."""
    try:
        roster = envelope.decode(envelope.peek(raw, PayloadType.ROSTER), Roster)
    except ValueError as error:
        raise Refused("malformed_roster", f"A roster can't be read: {error}.") from error
    charter = roster.charter
    sound = (
        1 <= charter.threshold <= len(set(charter.stewards)) == len(charter.stewards) <= _MAX_STEWARDS
        and len(roster.members) <= _MAX_MEMBERS
        and all(admitted <= roster.number for admitted in roster.admitted.values())
        and (roster.number == 1) == (roster.previous == "")
    )
    if not sound:
        raise Refused("malformed_roster", f"The roster of {charter.name!r} contradicts itself.")
    return roster


def digest(raw: bytes) -> str:
    """Return by what a roster is named, WITHOUT verifying it. Raises Refused."""
    return hashlib.sha256(envelope.peek(raw, PayloadType.ROSTER)).hexdigest()


def signed_by(raw: bytes) -> tuple[str, ...]:
    """Return the stewards whose signatures on a roster hold, be they enough or not. Raises Refused."""
    return tuple(
        public
        for public in peek(raw).charter.stewards
        if envelope.holds(raw, PayloadType.ROSTER, envelope.key(public))
    )


def read(raw: bytes) -> KnownRoster:
    """Verify a roster by the stewards of its charter, which its id stands for. Raises Refused."""
    roster = peek(raw)
    keys: list[Key] = [envelope.key(public) for public in roster.charter.stewards]
    opened = envelope.open_sealed(raw, PayloadType.ROSTER, keys, roster.charter.threshold)
    return KnownRoster(roster, raw, opened.digest)
