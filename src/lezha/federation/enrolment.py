"""Introducing two nodes: single-use invitation, commit-then-reveal, and a phrase that operators compare.

The invitation pins the inviter's node document, so the invited node knows whom it talks to. The phrase lets both
operators find out, over the telephone, that nobody stands between them. It depends on a random number of each
side, and the invited node commits to its own before it sees the other's, so nobody can search for documents that
give the same phrase; 50 bits are then more than enough (compare RFC 6189 §4.4.1, ZRTP).
"""

import base64
import hashlib
import secrets
from typing import Final

import msgspec

from lezha.federation.errors import EnrolmentError

_PREFIX: Final = "lezha-invitation-1."
_PHRASE_GROUPS: Final = 3
NONCE_BYTES: Final = 32


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an invitation says: where to go, which node document to expect there, and the secret to show."""

    id: str
    secret: str
    endpoint: str
    document: str


class Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First message of the invited node."""

    invitation: str
    secret: str
    commitment: str


class Committed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reply to Commit: the inviter's random number in hex."""

    nonce: str


class Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Second message of the invited node: its random number in hex and its node document (an envelope)."""

    invitation: str
    secret: str
    nonce: str
    document: str


def write_offer(offer: Offer) -> str:
    """Return an invitation as one line of text."""
    return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(offer)).decode().rstrip("=")


def read_offer(text: str) -> Offer:
    """Read an invitation. Raises EnrolmentError."""
    body = text.strip()
    if not body.startswith(_PREFIX) or len(body) > 4096:
        raise EnrolmentError(f"This is not an invitation: it does not begin with {_PREFIX!r}.")
    body = body.removeprefix(_PREFIX)
    try:
        offer = msgspec.msgpack.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Offer)
    except ValueError as error:
        raise EnrolmentError("This invitation is damaged: copy it again, whole, on one line.") from error
    if not offer.endpoint.startswith("https://"):
        raise EnrolmentError("This invitation leads to no https:// endpoint: ask for a new one.")
    return offer


def new_nonce() -> str:
    """Return 32 random bytes in hex."""
    return secrets.token_hex(NONCE_BYTES)


def commitment(nonce: str, document: bytes) -> str:
    """Return what binds the invited node to its random number and document."""
    return hashlib.sha256(b"lezha commitment 1\n" + bytes.fromhex(nonce) + document).hexdigest()


def phrase(inviter: str, invited: str, inviter_nonce: str, invited_nonce: str) -> str:
    """Return the phrase to compare, 15 digits in groups of five.

    `inviter` and `invited` are the hex digests of the node documents.
    """
    parts = (inviter, invited, inviter_nonce, invited_nonce)
    state = hashlib.sha256(b"lezha phrase 1\n" + b"".join(bytes.fromhex(part) for part in parts)).digest()
    number = int.from_bytes(state[:16], "big") % 10 ** (5 * _PHRASE_GROUPS)
    digits = f"{number:0{5 * _PHRASE_GROUPS}d}"
    return " ".join(digits[start : start + 5] for start in range(0, len(digits), 5))
