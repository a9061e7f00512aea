"""Keys and certificates: whether they fit together, and when they end."""

import datetime as dt
import ssl
from collections.abc import Generator, Iterator
from pathlib import Path

from lezha.federation import carried, tls
from lezha.federation.document import NodeDocument
from lezha.federation.errors import Refused
from lezha.node import identity
from lezha.node.doctor import wiring
from lezha.node.doctor.findings import Finding, Grade, due
from lezha.node.errors import NodeError
from lezha.node.identity import Identity
from lezha.node.settings import Settings


def examine(home: Path, settings: Settings, now: str) -> Generator[Finding, None, NodeDocument | None]:
    """Look at the identity and return the node document, or None if it can't be used."""
    try:
        known = identity.load(home)
    except NodeError as error:
        yield Finding(Grade.NOW, "identity", str(error), do="Restore keys/ and node.json from a backup.")
        return None
    document = known.known.document
    if settings.member != document.member:
        yield Finding(
            Grade.NOW,
            "identity",
            f"lezha.toml is for {settings.member}, the node document for {document.member}.",
            do="Put both back from one backup.",
        )
    if (home / "keys" / "root.pem").exists():
        yield Finding(
            Grade.SOON,
            "root_key",
            "keys/root.pem still lies on this machine: who breaks in becomes this member for good.",
            do="Move it to two media offline, see that both can be read, and delete it here.",
        )
    if document.endpoint:  # else it is this node that asks
        yield from wiring.reached_at(settings, document.endpoint)
    yield from _root(home, document, now)
    yield from _leaf(known, document, now)
    yield from _carry(home, document)
    return document


def _carry(home: Path, document: NodeDocument) -> Iterator[Finding]:
    if not document.carry:
        return
    path = home / "keys" / identity.CARRY
    try:
        same = carried.public_key(path.read_text().strip()) == document.carry
        words = "is another key than the node document tells peers"
    except (OSError, ValueError):
        same, words = False, "is missing or can't be used"
    if not same:
        yield Finding(
            Grade.SOON,
            "carry_key",
            f"{path} {words}: files that are carried here can't be opened.",
            do="Restore it from a backup, or delete it and make a new one: lezha identity rotate carry.",
        )


def _root(home: Path, document: NodeDocument, now: str) -> Iterator[Finding]:
    ends = due(tls.expires(document.tls_root.encode()), now, soon_days=365, now_days=60)
    if ends:
        yield Finding(
            ends[0],
            "tls_root",
            "The TLS root that all peers have pinned ends: from then on no link of this node works.",
            ends[1],
            "Make a new one before that day: lezha identity rotate tls (docs/design.md, Identity).",
        )
    path = home / "keys" / "tls-root.pem"
    try:
        certificate = tls.read_pair(path.read_bytes()).certificate.strip()
        same = bool(certificate) and certificate in document.tls_root.encode()
    except (OSError, ValueError):
        same = False
    if not same:
        yield Finding(
            Grade.SOON,
            "tls_root_key",
            f"{path} is missing or is not the root of the node document: certificates can't be renewed.",
            do="Restore it from a backup.",
        )


def _leaf(known: Identity, document: NodeDocument, now: str) -> Iterator[Finding]:
    try:
        pem = known.leaf.read_bytes()
        der = ssl.PEM_cert_to_DER_cert(tls.read_pair(pem).certificate.decode())
        tls.check_member(der, document.tls_root, document.member)
        # It is renewed when 30 days are left: with fewer than 21 something keeps the node from it.
        ends = due(tls.expires(pem), now, soon_days=21, now_days=3)
    except (OSError, ValueError, Refused) as error:
        yield Finding(
            Grade.NOW,
            "leaf",
            f"The certificate of the links can't be used: {error}",
            do="Restore keys/tls-leaf.pem from a backup; the node renews it when it starts.",
        )
        return
    if ends:
        over = dt.datetime.fromisoformat(ends[1]) <= dt.datetime.fromisoformat(now)
        yield Finding(
            ends[0],
            "leaf",
            f"The certificate of the links {'has ended' if over else 'ends, and was not renewed'}: links stop.",
            ends[1],
            "Start the node, which renews it; if it runs, its log says why it does not.",
        )
