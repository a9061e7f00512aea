"""Rosters: who is in a community, signed by k of its n stewards.

A community's id is the hash of its charter (name, stewards, threshold), so nobody can squat it or change its
stewards behind the members' backs.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from securesystemslib.signer import CryptoSigner, Key

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.terms import Time

_MAX_STEWARDS: Final = 32
_MAX_MEMBERS: Final = 1_000


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


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members of a community. `members` maps identity id to the number of the roster that admitted it."""

    charter: Charter
    number: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    members: dict[str, int]
    issued: Time
    expires: Time


class KnownRoster(msgspec.Struct, frozen=True):
    """A roster signed by enough stewards, its envelope and the SHA-256 of its payload in hex."""

    roster: Roster
    raw: bytes
    digest: str


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
        and all(1 <= admitted <= roster.number for admitted in roster.members.values())
    )
    if not sound:
        raise Refused("malformed_roster", f"The roster of {charter.name!r} contradicts itself.")
    return roster


def read(raw: bytes) -> KnownRoster:
    """Verify a roster by the stewards of its charter, which its id stands for. Raises Refused."""
    roster = peek(raw)
    keys: list[Key] = [envelope.key(public) for public in roster.charter.stewards]
    opened = envelope.open_sealed(raw, PayloadType.ROSTER, keys, roster.charter.threshold)
    return KnownRoster(roster, raw, opened.digest)
