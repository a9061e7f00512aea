"""Tombstones: a member takes back a release statement that it signed.

Who signed the statement is not known to whoever reads a tombstone that comes first. So a tombstone says no more than
that its signer takes back that statement; it counts only where the signer is the statement's origin, which is asked
whenever something is decided (docs/design.md, Recall).
"""

import hashlib
from typing import Annotated, Final

import msgspec
from securesystemslib.signer import CryptoSigner

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.federation.statement import Keyring
from lezha.sharing.terms import Time

MAX_WHY: Final = 200
MAX_BYTES: Final = 8 << 10
"""Of an envelope; one with the longest reason has some 5 KiB."""


class Tombstone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. `statement` is the digest of a statement; `why` is read by all who were ever told of it."""

    member: Annotated[str, msgspec.Meta(max_length=320)]
    statement: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    issued: Time
    why: Annotated[str, msgspec.Meta(max_length=MAX_WHY, pattern=r"\A[^\x00-\x1f\x7f]*\Z")] = ""


class KnownTombstone(msgspec.Struct, frozen=True):
    """A verified tombstone, its envelope, and the SHA-256 of its payload in hex."""

    tombstone: Tombstone
    raw: bytes
    digest: str


def sign(tombstone: Tombstone, one: CryptoSigner) -> KnownTombstone:
    """Sign a tombstone with the member's signing key."""
    payload = msgspec.json.encode(tombstone)
    raw = envelope.seal(payload, PayloadType.TOMBSTONE, one)
    return KnownTombstone(tombstone, raw, hashlib.sha256(payload).hexdigest())


def read(raw: bytes, keyring: Keyring) -> KnownTombstone:
    """Verify a tombstone, then parse it, then check that the key is that of the member it names. Raises Refused."""
    if len(raw) > MAX_BYTES:
        raise Refused("malformed_tombstone", f"A tombstone has {len(raw)} bytes; {MAX_BYTES} are allowed.")
    opened = envelope.open_sealed(raw, PayloadType.TOMBSTONE, [entry.key for entry in keyring.values()])
    try:
        tombstone = envelope.decode(opened.payload, Tombstone)
    except ValueError as error:
        raise Refused("malformed_tombstone", f"A tombstone can't be read: {error}.") from error
    if any(keyring[keyid].member != tombstone.member for keyid in opened.keyids):
        raise Refused("wrong_member", f"A tombstone in the name of {tombstone.member} is signed by another.")
    return KnownTombstone(tombstone, raw, opened.digest)
