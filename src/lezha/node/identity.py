"""Who this node is: the keys in its folder, and the document that says so to peers.

keys/root.pem     Ed25519; signs node documents; to be kept offline after `lezha init`
keys/signing.pem  Ed25519; signs statements, rosters, receipts
keys/former-*.pem Ed25519; signing keys before it, for the communities whose charters name them
keys/tls-root.pem certificate and key of the TLS root
keys/carry.key    secret key of age; opens files that are carried here
keys/former-carry-*.key  keys before it, for files that are on their way
keys/*.next.pem   what takes the place of signing.pem or tls-root.pem once all peers know of it
keys/tls-leaf.pem certificate and key that the links use
node.json         the signed node document
"""

import datetime as dt
import os
import secrets
import uuid
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from lezha.federation import carried, document, envelope, tls
from lezha.federation.document import Contact, KnownDocument, NodeDocument
from lezha.federation.errors import Refused
from lezha.node import settings as node_settings
from lezha.node.clock import stamp
from lezha.node.errors import NodeError
from lezha.node.settings import Settings

DOCUMENT: Final = "node.json"
SIGNING, NEXT_SIGNING = "signing.pem", "signing.next.pem"
TLS_ROOT, NEXT_TLS_ROOT = "tls-root.pem", "tls-root.next.pem"
CARRY: Final = "carry.key"
FORMER_CARRY: Final = "former-carry-*.key"
LEAF: Final = "tls-leaf.pem"
_RENEW_BEFORE: Final = dt.timedelta(days=30)
ADMIN_TOKEN: Final = "admin.token"  # noqa: S105  # a file's name


class Identity(msgspec.Struct, frozen=True):
    """This node's keys in use. `leaf` is a PEM file with the certificate and key of the links.

    `signers` are its signing keys by their public halves in hex, the one in use first.
    """

    member: str
    known: KnownDocument
    signers: dict[str, CryptoSigner]
    leaf: Path

    @property
    def public(self) -> str:
        """The public half of the signing key in use."""
        return next(iter(self.signers))

    @property
    def signer(self) -> CryptoSigner:
        """What signs."""
        return self.signers[self.public]


def create(home: Path, settings: Settings, title: str, contact: Contact, now: dt.datetime) -> Identity:
    """Make the keys, node document and settings of a new node in the empty folder `home`.

    Files with keys are readable by their owner only. The settings come last: a folder without them is no node.
    """
    keys = home / "keys"
    keys.mkdir(mode=0o700)
    root, signing = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    tls_root = tls.make_root(settings.member, now)
    leaf = tls.make_leaf(tls_root, settings.member, now)
    secret, public = carried.new_key()
    written = NodeDocument(
        member=settings.member,
        name=settings.name,
        title=title,
        identity=_identity_object(settings.member, title, now),
        root=envelope.public_hex(root),
        signing_keys=(envelope.public_hex(signing),),
        tls_root=tls_root.certificate.decode(),
        endpoints=(settings.endpoint,) if settings.endpoint else (),
        contact=contact,
        number=1,
        issued=stamp(now),
        carry=public,
    )
    write_secret(keys / CARRY, f"{secret}\n".encode())
    write_secret(keys / "root.pem", pem(root))
    write_secret(keys / SIGNING, pem(signing))
    write_secret(keys / TLS_ROOT, tls_root.certificate + tls_root.key)
    write_secret(keys / LEAF, leaf.certificate + leaf.key)
    (home / DOCUMENT).write_bytes(document.sign(written, envelope.signer(root)))
    node_settings.write(home, settings)
    return load(home)


def load(home: Path) -> Identity:
    """Read the identity of the node in `home`. Raises NodeError."""
    keys = home / "keys"
    try:
        known = document.read((home / DOCUMENT).read_bytes())
        signing = _in_use(keys, known.document)
        former = [read_key(path) for path in sorted(keys.glob("former-*.pem"))]
    except (OSError, Refused, ValueError) as error:
        raise NodeError(f"The identity of the node in {home} can't be read: {error}") from error
    if envelope.public_hex(signing) not in known.document.signing_keys:
        raise NodeError(f"keys/signing.pem in {home} is not the key that the node document names.")
    return Identity(
        member=known.document.member,
        known=known,
        signers={envelope.public_hex(key): envelope.signer(key) for key in (signing, *former)},
        leaf=keys / LEAF,
    )


def _in_use(keys: Path, by: NodeDocument) -> Ed25519PrivateKey:
    """Read the signing key in use; that which was prepared if the document does not name the one before it any more."""
    signing = read_key(keys / SIGNING)
    if envelope.public_hex(signing) not in by.signing_keys and (keys / NEXT_SIGNING).exists():
        return read_key(keys / NEXT_SIGNING)
    return signing


def renew_leaf(home: Path, member: str, now: dt.datetime) -> bool:
    """Make a new certificate for the links if less than 30 days are left of the present one; say whether it did.

    Peers pin the TLS root that issues it, so they need not be told.
    """
    leaf = home / "keys" / LEAF
    if tls.expires(leaf.read_bytes()) - now > _RENEW_BEFORE:
        return False
    root = tls.read_pair((home / "keys" / TLS_ROOT).read_bytes())
    made = tls.make_leaf(root, member, now)
    write_secret(leaf, made.certificate + made.key)
    return True


def new_member() -> str:
    """Return the id of a new STIX identity (STIX 2.1 §2.9)."""
    return f"identity--{uuid.uuid4()}"


def _identity_object(member: str, title: str, now: dt.datetime) -> str:
    at = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    return msgspec.json.encode(
        {
            "type": "identity",
            "spec_version": "2.1",
            "id": member,
            "created": at,
            "modified": at,
            "name": title,
            "identity_class": "organization",
            "sectors": ["government"],
        }
    ).decode()


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a private Ed25519 key. Raises OSError, ValueError."""
    found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(found, Ed25519PrivateKey):
        raise ValueError(f"{path.name} is not an Ed25519 key.")
    return found


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
