"""Batches and receipts in files, for where there is no network: what a record of such a file holds, and who vouches.

A file is `lezha-carried-1` and a line end, then records: the length in 4 bytes, big-endian, and so many bytes in the
age format, encrypted to the one for whom they are. Each record stands by itself: whichever are cut off, repeated or in
another order, the others can be read (docs/link.md, Carried files).
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
import pyrage
from securesystemslib.signer import CryptoSigner

from lezha.federation import envelope, frame
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.federation.statement import Keyring
from lezha.sharing.terms import Time

MAGIC: Final = b"lezha-carried-1\n"
LENGTH_BYTES: Final = 4
MAX_RECORD: Final = frame.MAX_BATCH_BYTES + (1 << 20)


class CarriedKind(StrEnum):
    """What a record holds."""

    BATCH = "batch"
    RECEIPT = "receipt"


class Waybill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender signs: for whom a batch is, the SHA-256 of its bytes in hex, and when that was written."""

    sender: Annotated[str, msgspec.Meta(max_length=320)]
    receiver: Annotated[str, msgspec.Meta(max_length=320)]
    batch: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    at: Time


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    kind: CarriedKind
    envelope: bytes
    batch: bytes = b""


class Opened(msgspec.Struct, frozen=True):
    """A decrypted record: the envelope of a waybill and a batch, or that of a receipt. Nothing of it is verified."""

    kind: CarriedKind
    envelope: bytes
    batch: bytes


def new_key() -> tuple[str, str]:
    """Make a pair of keys for what is carried; return the secret one and the public one."""
    made = pyrage.x25519.Identity.generate()
    return str(made), str(made.to_public())


def public_key(secret: str) -> str:
    """Return the public half of a secret key. Raises ValueError."""
    try:
        return str(pyrage.x25519.Identity.from_str(secret).to_public())
    except pyrage.IdentityError as error:
        raise ValueError("a key for carried files is not a secret key of age") from error


def check_key(public: str) -> None:
    """Check a public key. Raises Refused."""
    try:
        pyrage.x25519.Recipient.from_str(public)
    except pyrage.RecipientError as error:
        raise Refused("malformed_key", "A key for carried files is not a public key of age.") from error


def seal_batch(waybill: Waybill, batch: bytes, one: CryptoSigner, to: str) -> bytes:
    """Return a record with a batch, encrypted to the public key `to`."""
    signed = envelope.seal(msgspec.json.encode(waybill), PayloadType.WAYBILL, one)
    return _seal(_Record(CarriedKind.BATCH, signed, batch), to)


def seal_receipt(receipt: bytes, to: str) -> bytes:
    """Return a record with the envelope of a receipt, encrypted to the public key `to`."""
    return _seal(_Record(CarriedKind.RECEIPT, receipt), to)


def open_record(raw: bytes, secrets: Sequence[str]) -> Opened:
    """Decrypt a record with the secret key to which it is encrypted, one of these. Raises Refused."""
    if len(raw) > MAX_RECORD:
        raise Refused("too_large", f"A record has {len(raw)} bytes; {MAX_RECORD} are allowed.")
    try:
        plain = pyrage.decrypt(raw, [pyrage.x25519.Identity.from_str(one) for one in secrets])
    except pyrage.DecryptError as error:
        raise Refused("not_for_us", "A record is for another node, or was altered on the way.") from error
    return read_record(plain)


def read_record(plain: bytes) -> Opened:
    """Read a decrypted record. Raises Refused."""
    try:
        found = msgspec.msgpack.decode(plain, type=_Record)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed_record", f"A record can't be read: {error}.") from error
    return Opened(found.kind, found.envelope, found.batch)


def read_waybill(opened: Opened, keyring: Keyring, receiver: str) -> Waybill:
    """Verify who sends a batch, and that it is this one, for `receiver`. Raises Refused."""
    keys = [entry.key for entry in keyring.values()]
    found = envelope.open_sealed(opened.envelope, PayloadType.WAYBILL, keys)
    try:
        waybill = envelope.decode(found.payload, Waybill)
    except ValueError as error:
        raise Refused("malformed_record", f"A waybill can't be read: {error}.") from error
    if any(keyring[keyid].member != waybill.sender for keyid in found.keyids):
        raise Refused("wrong_member", f"A waybill in the name of {waybill.sender} is signed by another.")
    if waybill.receiver != receiver:
        raise Refused("wrong_member", f"A batch is for {waybill.receiver}, and not for this member.")
    if waybill.batch != hashlib.sha256(opened.batch).hexdigest():
        raise Refused("content_mismatch", "A batch is not the one that its waybill names.")
    return waybill


def claimed_receiver(receipt: bytes) -> str:
    """Return who seems to have signed a receipt, WITHOUT verifying anything. Raises Refused."""
    try:
        return envelope.decode(envelope.peek(receipt, PayloadType.RECEIPT), frame.Receipt).receiver
    except ValueError as error:
        raise Refused("malformed_receipt", f"A receipt can't be read: {error}.") from error


def _seal(record: _Record, to: str) -> bytes:
    return bytes(pyrage.encrypt(msgspec.msgpack.encode(record), [pyrage.x25519.Recipient.from_str(to)]))
