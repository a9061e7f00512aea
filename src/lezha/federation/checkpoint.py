"""Checkpoints: signed words on how far a log has come, by which it is found out later whether it was changed.

A *checkpoint* says number and chain of an event. It is for the member itself and for who oversees it. What peers keep
is a *commitment*: a hash over a random number, that number and that chain. It tells them nothing of the log, neither
how long it is nor whether it grew; the random number, which stays here, opens it.
"""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Annotated, Final, TypeVar

import msgspec
from securesystemslib.signer import CryptoSigner, Key

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.terms import Time

MAX_BYTES: Final = 4096
"""The largest envelope of a checkpoint or a commitment."""

_NONCE_BYTES: Final = 32
_LABEL: Final = b"lezha checkpoint 1\n"
_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

T = TypeVar("T", "Checkpoint", "Commitment")


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Event `seq` of this member's log has this chain. `incarnation` names the life of the database, `at` the time."""

    member: str
    incarnation: str
    seq: _Number
    chain: _Hash
    at: Time


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hash that says later what the log was at the time `at` of a schedule, and nothing before it is opened."""

    member: str
    commitment: _Hash
    at: Time


class KnownCommitment(msgspec.Struct, frozen=True):
    """A verified commitment, its envelope and the SHA-256 of its payload in hex."""

    commitment: Commitment
    raw: bytes
    digest: str


def nonce() -> bytes:
    """Return a random number for one commitment."""
    return secrets.token_bytes(_NONCE_BYTES)


def commit(number: bytes, seq: int, chain: bytes) -> str:
    """Return the hash that the random number opens: SHA-256(label | number | u64(seq) | chain) in hex."""
    return hashlib.sha256(_LABEL + number + seq.to_bytes(8, "big") + chain).hexdigest()


def sign(one: Checkpoint, signer: CryptoSigner) -> bytes:
    """Return the signed envelope of a checkpoint."""
    return envelope.seal(msgspec.json.encode(one), PayloadType.CHECKPOINT, signer)


def sign_commitment(one: Commitment, signer: CryptoSigner) -> KnownCommitment:
    """Sign a commitment."""
    payload = msgspec.json.encode(one)
    raw = envelope.seal(payload, PayloadType.COMMITMENT, signer)
    return KnownCommitment(one, raw, hashlib.sha256(payload).hexdigest())


def read(raw: bytes, keys: Iterable[Key], member: str) -> Checkpoint:
    """Verify a member's checkpoint. Raises Refused."""
    opened = envelope.open_sealed(_short(raw), PayloadType.CHECKPOINT, keys)
    return _of(_decoded(opened.payload, Checkpoint), member)


def read_commitment(raw: bytes, keys: Iterable[Key], member: str) -> KnownCommitment:
    """Verify a member's commitment. Raises Refused."""
    opened = envelope.open_sealed(_short(raw), PayloadType.COMMITMENT, keys)
    return KnownCommitment(_of(_decoded(opened.payload, Commitment), member), raw, opened.digest)


def claimed(raw: bytes) -> str:
    """Return whose commitment this says it is, WITHOUT verifying it. Raises Refused."""
    return _decoded(envelope.peek(_short(raw), PayloadType.COMMITMENT), Commitment).member


def _short(raw: bytes) -> bytes:
    if len(raw) > MAX_BYTES:
        raise Refused("too_large", f"A checkpoint has {len(raw)} bytes; {MAX_BYTES} are allowed.")
    return raw


def _decoded(payload: bytes, kind: type[T]) -> T:
    try:
        return envelope.decode(payload, kind)
    except ValueError as error:
        raise Refused("malformed_checkpoint", f"A checkpoint can't be read: {error}.") from error


def _of(one: T, member: str) -> T:
    if one.member != member:
        raise Refused("wrong_member", f"A checkpoint is that of {one.member}.")
    return one
