"""Signed things: DSSE v1 envelopes (github.com/secure-systems-lab/dsse) with Ed25519 signatures.

Each kind has a payload type of its own, which the verifier demands: a receipt can never pass for a statement.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as SecuresystemsError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from lezha.federation.errors import Refused
from lezha.stix import parse
from lezha.stix.limits import LIMITS

T = TypeVar("T")

MAX_ENVELOPE: Final = 1 << 20
_MAX_SIGNATURES: Final = 32


class PayloadType(StrEnum):
    """The kinds of signed things."""

    NODE = "application/vnd.lezha.node.v1+json"
    STATEMENT = "application/vnd.lezha.statement.v1+json"
    TOMBSTONE = "application/vnd.lezha.tombstone.v1+json"
    ROSTER = "application/vnd.lezha.roster.v1+json"
    RECEIPT = "application/vnd.lezha.receipt.v1+json"
    CHECKPOINT = "application/vnd.lezha.checkpoint.v1+json"
    COMMITMENT = "application/vnd.lezha.commitment.v1+json"
    WAYBILL = "application/vnd.lezha.waybill.v1+json"


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    payload: str
    payloadType: str  # noqa: N815  # the name in the DSSE specification
    signatures: list[_Signature]


class Opened(msgspec.Struct, frozen=True):
    """A verified payload, its SHA-256 in hex, and the ids of the keys that signed it."""

    payload: bytes
    digest: str
    keyids: frozenset[str]


def signer(private: Ed25519PrivateKey) -> CryptoSigner:
    """Return what signs with `private`."""
    return CryptoSigner(private)


def public_hex(private: Ed25519PrivateKey) -> str:
    """Return the raw public key in hex."""
    return private.public_key().public_bytes_raw().hex()


def key(public: str) -> Key:
    """Return the verification key for a raw Ed25519 public key in hex. Raises Refused."""
    try:
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    except ValueError as error:
        raise Refused("malformed_key", f"A key is not an Ed25519 public key in hex: {error}.") from error


def seal(payload: bytes, kind: PayloadType, *signers: CryptoSigner) -> bytes:
    """Sign `payload` as a `kind` with each of `signers` and return the envelope."""
    envelope = Envelope(payload, kind.value, {})
    for one in signers:
        envelope.sign(one)
    return msgspec.json.encode(envelope.to_dict())


def cosign(raw: bytes, kind: PayloadType, one: CryptoSigner) -> bytes:
    """Add a signature to an envelope and return it. Raises Refused if it can't be read."""
    envelope = _parse(raw, kind)
    envelope.sign(one)
    return msgspec.json.encode(envelope.to_dict())


def open_sealed(raw: bytes, kind: PayloadType, keys: Iterable[Key], threshold: int = 1) -> Opened:
    """Verify an envelope and return its payload, not yet parsed.

    Raises Refused: `malformed_envelope`, `wrong_kind`, `unknown_key` if fewer than `threshold` of its signatures
    name one of `keys`, `bad_signature` if fewer hold.
    """
    envelope = _parse(raw, kind)
    named = [one for one in keys if one.keyid in envelope.signatures]
    if len(named) < threshold:
        raise Refused("unknown_key", "It is not signed by enough keys that this node knows for it.")
    try:
        accepted = envelope.verify(named, threshold)
    except SecuresystemsError as error:
        raise Refused("bad_signature", "Its signature does not hold: it was altered on the way.") from error
    digest = hashlib.sha256(envelope.payload).hexdigest()
    return Opened(envelope.payload, digest, frozenset(accepted))


def holds(raw: bytes, kind: PayloadType, one: Key) -> bool:
    """True if an envelope carries a signature by this key that holds. Raises Refused if it can't be read."""
    envelope = _parse(raw, kind)
    try:
        return bool(envelope.verify([one], 1)) if one.keyid in envelope.signatures else False
    except SecuresystemsError:
        return False


def decode(payload: bytes, kind: type[T]) -> T:
    """Read a payload as a `kind`, strictly: a name that stands twice has two meanings, and is refused.

    Raises ValueError, of which msgspec's and STIX's errors are.
    """
    return msgspec.convert(parse.decode(payload, LIMITS), kind)


def peek(raw: bytes, kind: PayloadType) -> bytes:
    """Return the payload WITHOUT verifying it: to find out which keys to ask for, or to show it."""
    return _parse(raw, kind).payload


def _parse(raw: bytes, kind: PayloadType) -> Envelope:
    if len(raw) > MAX_ENVELOPE:
        raise Refused("too_large", f"A signed envelope has {len(raw)} bytes; {MAX_ENVELOPE} are allowed.")
    try:
        wire = msgspec.json.decode(raw, type=_Wire)
        if wire.payloadType == kind.value and len(wire.signatures) <= _MAX_SIGNATURES:
            return Envelope.from_dict(msgspec.to_builtins(wire))
    except (ValueError, SecuresystemsError) as error:  # msgspec's errors and base64's are ValueErrors
        raise Refused("malformed_envelope", f"It is not a DSSE envelope: {error}.") from error
    if wire.payloadType != kind.value:
        raise Refused("wrong_kind", f"It is signed as {wire.payloadType!r}, not as {kind.value!r}.")
    raise Refused("malformed_envelope", f"It has more than {_MAX_SIGNATURES} signatures.")
