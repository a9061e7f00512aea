"""Release statements: a member's signed word on who may have one content."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from securesystemslib.signer import CryptoSigner, Key

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.terms import Terms, Time
from lezha.stix import objects

MAX_COMPANIONS: Final = 4


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. `content` and `companions` are SHA-256 in hex of the exact bytes.

    `object_id` and `object_version` repeat what the content says, so that a statement whose content was purged
    still tells what it was about. Unknown fields are refused: they might narrow.
    """

    member: str
    content: str
    object_id: Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,320}\Z")]
    object_version: str
    issued: Time
    terms: Terms
    companions: tuple[str, ...] = ()


class KnownStatement(msgspec.Struct, frozen=True):
    """A verified statement, its envelope, and the SHA-256 of its payload in hex: its identity everywhere."""

    statement: Statement
    raw: bytes
    digest: str


class MemberKey(msgspec.Struct, frozen=True):
    """A verification key and the member that it belongs to."""

    member: str
    key: Key


Keyring = Mapping[str, MemberKey]
"""Key id -> key. What is signed by a key that is not here is refused."""


def sign(statement: Statement, one: CryptoSigner) -> KnownStatement:
    """Sign a statement with the member's signing key."""
    payload = msgspec.json.encode(statement)
    raw = envelope.seal(payload, PayloadType.STATEMENT, one)
    return KnownStatement(statement, raw, hashlib.sha256(payload).hexdigest())


def read(raw: bytes, keyring: Keyring) -> KnownStatement:
    """Verify a statement, then parse it, then check that the key is that of the member it names.

    Raises Refused with the code that the receipt will carry.
    """
    opened = envelope.open_sealed(raw, PayloadType.STATEMENT, [entry.key for entry in keyring.values()])
    try:
        statement = envelope.decode(opened.payload, Statement)
    except ValueError as error:
        raise Refused("malformed_statement", f"A signed statement can't be read: {error}.") from error
    if any(keyring[keyid].member != statement.member for keyid in opened.keyids):
        raise Refused("wrong_member", f"A statement in the name of {statement.member} is signed by another.")
    if len(statement.companions) > MAX_COMPANIONS:
        raise Refused("malformed_statement", f"A statement has more than {MAX_COMPANIONS} companions.")
    return KnownStatement(statement, raw, opened.digest)


def claimed_objects(raw: bytes) -> tuple[str, ...]:
    """Return the ids of the object that an envelope seems to speak of, WITHOUT verifying anything."""
    try:
        return objects.claimed_ids(envelope.peek(raw, PayloadType.STATEMENT), "object_id")
    except Refused:
        return ()
