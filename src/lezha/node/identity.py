"""Who this node is: the keys in its folder, and the document that says so to peers.

keys/root.pem     Ed25519; signs node documents; to be kept offline after `lezha init`
keys/signing.pem  Ed25519; signs statements, rosters, receipts
keys/tls-root.pem certificate and key of the TLS root
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

from lezha.federation import document, envelope, tls
from lezha.federation.document import Contact, KnownDocument, NodeDocument
from lezha.federation.errors import Refused
from lezha.node import settings as node_settings
from lezha.node.clock import stamp
from lezha.node.errors import NodeError
from lezha.node.settings import Settings

DOCUMENT: Final = "node.json"
_RENEW_BEFORE: Final = dt.timedelta(days=30)
ADMIN_TOKEN: Final = "admin.token"  # noqa: S105  # a file's name


class Identity(msgspec.Struct, frozen=True):
    """This node's keys in use. `leaf` is a PEM file with the certificate and key of the links."""

    member: str
    known: KnownDocument
    signer: CryptoSigner
    public: str
    leaf: Path


def create(home: Path, settings: Settings, title: str, contact: Contact, now: dt.datetime) -> Identity:
    """Make the keys, node document and settings of a new node in the empty folder `home`.

    Files with keys are readable by their owner only. The settings come last: a folder without them is no node.
    """
    keys = home / "keys"
    keys.mkdir(mode=0o700)
    root, signing = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    tls_root = tls.make_root(settings.member, now)
    leaf = tls.make_leaf(tls_root, settings.member, now)
    written = NodeDocument(
        member=settings.member,
        name=settings.name,
        title=title,
        identity=_identity_object(settings.member, title, now),
        root=envelope.public_hex(root),
        signing_keys=(envelope.public_hex(signing),),
        tls_root=tls_root.certificate.decode(),
        endpoints=(settings.endpoint,),
        contact=contact,
        number=1,
        issued=stamp(now),
    )
    write_secret(keys / "root.pem", _pem(root))
    write_secret(keys / "signing.pem", _pem(signing))
    write_secret(keys / "tls-root.pem", tls_root.certificate + tls_root.key)
    write_secret(keys / "tls-leaf.pem", leaf.certificate + leaf.key)
    (home / DOCUMENT).write_bytes(document.sign(written, envelope.signer(root)))
    node_settings.write(home, settings)
    return load(home)


def load(home: Path) -> Identity:
    """Read the identity of the node in `home`. Raises NodeError."""
    try:
        known = document.read((home / DOCUMENT).read_bytes())
        signing = serialization.load_pem_private_key(
            (home / "keys" / "signing.pem").read_bytes(), password=None
        )
    except (OSError, Refused, ValueError) as error:
        raise NodeError(f"The identity of the node in {home} can't be read: {error}") from error
    if (
        not isinstance(signing, Ed25519PrivateKey)
        or envelope.public_hex(signing) not in known.document.signing_keys
    ):
        raise NodeError(f"keys/signing.pem in {home} is not the key that the node document names.")
    return Identity(
        member=known.document.member,
        known=known,
        signer=envelope.signer(signing),
        public=envelope.public_hex(signing),
        leaf=home / "keys" / "tls-leaf.pem",
    )


def renew_leaf(home: Path, member: str, now: dt.datetime) -> bool:
    """Make a new certificate for the links if less than 30 days are left of the present one; say whether it did.

    Peers pin the TLS root that issues it, so they need not be told.
    """
    leaf = home / "keys" / "tls-leaf.pem"
    if tls.expires(leaf.read_bytes()) - now > _RENEW_BEFORE:
        return False
    root = tls.read_pair((home / "keys" / "tls-root.pem").read_bytes())
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


def _pem(key: Ed25519PrivateKey) -> bytes:
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
