"""Node documents: what a member says about its node, signed by the root key that it keeps offline.

A later document takes the place of an earlier one. It may name a new root if the old one has signed it too (compare
The Update Framework, specification §5.3).
"""

from functools import lru_cache
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner, Key
from yarl import URL

from lezha.federation import carried, envelope, tls
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.terms import Time
from lezha.stix import objects, parse
from lezha.stix.errors import StixError
from lezha.stix.limits import LIMITS

_MAX_DOCUMENT: Final = 64 * 1024
_MAX_IDENTITY: Final = 8 * 1024
_MAX_KEYS: Final = 32
_NEVER: Final = "9999-12-31T23:59:59.999999Z"


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to call, at any hour."""

    phone: str = ""
    mail: str = ""


class RevokedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signing key that others may hold since a time. What was seen before that was signed by its member."""

    key: str
    since: Time


class NodeDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's node: who it is, where it listens, by which keys it speaks.

    `identity` is the exact JSON text of the member's STIX identity object and `member` its id. `root` and
    `signing_keys` are raw Ed25519 public keys in hex; the member signs with any of these, or has. `tls_root` is PEM,
    one certificate, or two while one takes the place of the other. Without `endpoints` nobody can connect to the node:
    it connects to others. `carry` is the public key of age to which files for the node are encrypted, if it has one.
    `number` grows with each new document.
    """

    member: str
    name: str
    title: str
    identity: str
    root: str
    signing_keys: tuple[str, ...]
    tls_root: str
    endpoints: tuple[str, ...]
    contact: Contact
    number: int
    issued: str
    revoked: tuple[RevokedKey, ...] = ()
    carry: str = ""

    @property
    def endpoint(self) -> str:
        """Where peers reach the node; empty if they don't."""
        return self.endpoints[0] if self.endpoints else ""

    def verification_keys(self) -> list[Key]:
        """The keys that verify what this member signs."""
        return [envelope.key(public) for public in self.signing_keys]


class KnownDocument(msgspec.Struct, frozen=True):
    """A verified node document with its envelope and the SHA-256 of its payload in hex."""

    document: NodeDocument
    raw: bytes
    digest: str


def sign(document: NodeDocument, *roots: CryptoSigner) -> bytes:
    """Return the signed envelope of a node document; where the root changes both the old and the new one sign."""
    return envelope.seal(msgspec.json.encode(document), PayloadType.NODE, *roots)


def check_follows(known: KnownDocument, held: NodeDocument) -> None:
    """Check that a verified document may take the place of the one that is held of its member. Raises Refused.

    Codes: `wrong_member`, `old_document`, `changed_identity`, `changed_root` if the root that is held has not signed,
    `unrevoked` if a key is no longer revoked, or only since later.
    """
    new = known.document
    if new.member != held.member:
        raise Refused("wrong_member", f"A node document is that of {new.member}, not of {held.member}.")
    if new.number <= held.number:
        raise Refused("old_document", f"Node document {new.number} comes after {held.number}.")
    if new.identity != held.identity:
        raise Refused(
            "changed_identity", "A node document changes who the member is, which needs an introduction."
        )
    if new.root != held.root and not envelope.holds(known.raw, PayloadType.NODE, envelope.key(held.root)):
        raise Refused(
            "changed_root", "A node document names a new root key, and the old one has not signed it."
        )
    revoked = {one.key: one.since for one in new.revoked}
    if any(one.since < revoked.get(one.key, _NEVER) for one in held.revoked):
        raise Refused("unrevoked", "A node document takes back what an earlier one said of a revoked key.")


@lru_cache(maxsize=1024)
def read(raw: bytes) -> KnownDocument:
    """Verify a node document by the root key that it carries itself.

    That proves it whole, not true: the caller compares `root` with a pin, or has operators compare a phrase.
    Raises Refused.
    """
    if len(raw) > _MAX_DOCUMENT:
        raise Refused("too_large", f"A node document has {len(raw)} bytes; {_MAX_DOCUMENT} are allowed.")
    document = _decode(envelope.peek(raw, PayloadType.NODE))
    opened = envelope.open_sealed(raw, PayloadType.NODE, [envelope.key(document.root)])
    return KnownDocument(document, raw, opened.digest)


def _decode(payload: bytes) -> NodeDocument:
    try:
        document = envelope.decode(payload, NodeDocument)
    except ValueError as error:
        raise Refused("malformed_document", f"A node document can't be read: {error}.") from error
    revoked = {one.key for one in document.revoked}
    if not document.signing_keys or revoked.intersection((*document.signing_keys, document.root)):
        raise Refused(
            "malformed_document", "A node document lacks a signing key, or revokes one that it names."
        )
    if len(document.signing_keys) + len(document.revoked) > _MAX_KEYS:
        raise Refused("malformed_document", f"A node document names more than {_MAX_KEYS} signing keys.")
    if not all(map(_is_endpoint, document.endpoints)):
        raise Refused("malformed_document", "An endpoint in a node document is not an https:// URL.")
    document.verification_keys()
    if document.carry:
        carried.check_key(document.carry)
    if len(document.identity) > _MAX_IDENTITY:
        raise Refused(
            "too_large", f"The identity in a node document has more than {_MAX_IDENTITY} characters."
        )
    try:
        # Its type first: a stranger may send this, and objects of other types take long to check.
        if parse.decode(document.identity.encode(), LIMITS).get("type") != "identity":
            raise Refused("malformed_document", "The identity in a node document is none.")
        identity = objects.read(document.identity.encode())
    except StixError as error:
        raise Refused(
            "malformed_document", f"The identity in a node document is not STIX: {error}"
        ) from error
    if (identity.type, identity.id) != ("identity", document.member):
        raise Refused("malformed_document", "The identity in a node document is not that of its member.")
    tls.check_root(document.tls_root, document.member)
    return document


def _is_endpoint(text: str) -> bool:
    try:
        url = URL(text)
        return url.scheme == "https" and bool(url.host) and url.port is not None
    except ValueError:
        return False
