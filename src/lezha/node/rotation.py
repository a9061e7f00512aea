"""A node's keys take one another's place: what is new is announced first, and used once all peers know of it.

Each change makes a new node document, signed by the root key, which is brought back for that from where it is kept
offline. The running node is not disturbed: it announces the document when it is started next (docs/operations.md,
Keys).
"""

import datetime as dt
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from lezha.federation import carried, document, envelope, tls
from lezha.federation.document import Contact, KnownDocument, NodeDocument, RevokedKey
from lezha.node import identity as identities
from lezha.node.clock import stamp
from lezha.node.errors import NodeError


class Changes(msgspec.Struct, frozen=True):
    """What a new document says otherwise than the one before; None leaves it as it is."""

    endpoint: str | None = None
    phone: str | None = None
    mail: str | None = None


def renew(home: Path, root: Path, changes: Changes, now: dt.datetime) -> KnownDocument:
    """Make a new document of the node in `home`; a TLS root that is not in use any more is left out of it.

    `root` is the file with the root key. Raises NodeError.
    """
    before = identities.load(home).known.document
    contact = Contact(
        before.contact.phone if changes.phone is None else changes.phone,
        before.contact.mail if changes.mail is None else changes.mail,
    )
    endpoints = before.endpoints if changes.endpoint is None else tuple(filter(None, [changes.endpoint]))
    return _issue(home, [read_root(root, before)], replace(before, contact=contact, endpoints=endpoints), now)


def rotate_signing(home: Path, root: Path, now: dt.datetime, since: str = "") -> KnownDocument:
    """Make a new signing key for the node in `home`.

    It is used once all peers know of it. With `since`, the time since when others may hold the present one, it is used
    at once, the present one is revoked, and the key for carried files is a new one; the time is one of RFC 3339 in UTC.
    Raises NodeError.
    """
    keys = home / "keys"
    loaded = identities.load(home)
    before, vouching = loaded.known.document, read_root(root, loaded.known.document)
    made = Ed25519PrivateKey.generate()
    public = envelope.public_hex(made)
    if not since and _is_next_signing(home, before):
        raise NodeError("A new signing key is prepared already: it is used once all peers know of it.")
    identities.write_secret(keys / identities.NEXT_SIGNING, identities.pem(made))
    if not since:
        written = replace(before, signing_keys=(public, *before.signing_keys))
        return _issue(home, [vouching], written, now)
    # Whatever was prepared is gone too: it lay beside the one that others may hold.
    former = tuple(one for one in loaded.signers if one != loaded.public and one in before.signing_keys)
    lost = [one for one in before.signing_keys if one not in former]
    written = replace(
        before,
        signing_keys=(public, *former),
        revoked=(*before.revoked, *(RevokedKey(one, since) for one in lost)),
    )
    _new_carry_key(home)  # who has one key may have the others: what is on its way is carried again
    issued = _issue(home, [vouching], written, now)
    switch(home, now)
    return issued


def rotate_tls(home: Path, root: Path, now: dt.datetime) -> KnownDocument:
    """Make a new TLS root for the node in `home`, used once all peers know of it. Raises NodeError."""
    before = identities.load(home).known.document
    vouching = read_root(root, before)
    if _tls_roots(home) == before.tls_root and (home / "keys" / identities.NEXT_TLS_ROOT).exists():
        raise NodeError("A new TLS root is prepared already: it is used once all peers know of it.")
    made = tls.make_root(before.member, now)
    identities.write_secret(home / "keys" / identities.NEXT_TLS_ROOT, made.certificate + made.key)
    return _issue(home, [vouching], before, now)


def rotate_carry(home: Path, root: Path, now: dt.datetime) -> KnownDocument:
    """Make a new key for carried files for the node in `home`.

    Peers encrypt to it once they have the document. The key before it stays in the folder and opens what was encrypted
    to it, until somebody deletes it. Raises NodeError.
    """
    before = identities.load(home).known.document
    vouching = read_root(root, before)
    keys = home / "keys"
    if (keys / identities.CARRY).exists():
        public = _carry_key(home)
        former = keys / identities.FORMER_CARRY.replace("*", public.removeprefix("age1")[:16])
        identities.write_secret(former, (keys / identities.CARRY).read_bytes())
    _new_carry_key(home)
    return _issue(home, [vouching], before, now)


def rotate_root(home: Path, root: Path, new: Path, now: dt.datetime) -> KnownDocument:
    """Make a new root key, in the new file `new`; both sign the document that names it. Raises NodeError."""
    before = identities.load(home).known.document
    vouching = read_root(root, before)
    made = Ed25519PrivateKey.generate()
    _write_new(new, identities.pem(made))
    written = replace(before, root=envelope.public_hex(made))
    return _issue(home, [made, vouching], written, now)


def replace_root(home: Path, new: Path, now: dt.datetime) -> KnownDocument:
    """Make a new root key, in the new file `new`, where the old one is lost; no peer takes that without meeting again.

    Raises NodeError.
    """
    before = identities.load(home).known.document
    made = Ed25519PrivateKey.generate()
    _write_new(new, identities.pem(made))
    return _issue(home, [made], replace(before, root=envelope.public_hex(made)), now)


def prepared(home: Path) -> list[str]:
    """Return what waits in `home` to take its place: `signing`, `TLS root`."""
    named = {identities.NEXT_SIGNING: "signing", identities.NEXT_TLS_ROOT: "TLS root"}
    return [words for name, words in named.items() if (home / "keys" / name).exists()]


def switch(home: Path, now: dt.datetime) -> None:
    """Let what is prepared take its place: all peers know of it. Interrupted, it is done again from the beginning."""
    keys = home / "keys"
    known = document.read((home / identities.DOCUMENT).read_bytes()).document
    if (keys / identities.NEXT_SIGNING).exists():
        before = identities.read_key(keys / identities.SIGNING)
        public = envelope.public_hex(before)
        if public in known.signing_keys:
            identities.write_secret(keys / f"former-{public[:16]}.pem", identities.pem(before))
        (keys / identities.NEXT_SIGNING).rename(keys / identities.SIGNING)
    if (keys / identities.NEXT_TLS_ROOT).exists():
        root = tls.read_pair((keys / identities.NEXT_TLS_ROOT).read_bytes())
        leaf = tls.make_leaf(root, known.member, now)
        identities.write_secret(keys / identities.LEAF, leaf.certificate + leaf.key)
        (keys / identities.NEXT_TLS_ROOT).rename(keys / identities.TLS_ROOT)


def read_root(path: Path, by: NodeDocument) -> Ed25519PrivateKey:
    """Read the root key that a document names. Raises NodeError."""
    try:
        found = identities.read_key(path)
    except (OSError, ValueError) as error:
        raise NodeError(f"The root key can't be read from {path}: {error}") from error
    if envelope.public_hex(found) != by.root:
        raise NodeError(f"{path} holds another key than the root {by.root[:16]}… of this node.")
    return found


def _issue(
    home: Path, roots: list[Ed25519PrivateKey], written: NodeDocument, now: dt.datetime
) -> KnownDocument:
    named = replace(
        written,
        number=written.number + 1,
        issued=stamp(now),
        tls_root=_tls_roots(home),
        carry=_carry_key(home),
    )
    raw = document.sign(named, *map(envelope.signer, roots))
    known = document.read(raw)  # what no peer would take is not written
    identities.write_secret(home / identities.DOCUMENT, raw)
    return known


def _carry_key(home: Path) -> str:
    """Return the public half of the key for carried files, made for a node that has none. Raises NodeError."""
    path = home / "keys" / identities.CARRY
    if not path.exists():
        return _new_carry_key(home)
    try:
        return carried.public_key(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise NodeError(f"{path} can't be used: {error}. Put it back from a backup, or delete it.") from error


def _new_carry_key(home: Path) -> str:
    secret, public = carried.new_key()
    identities.write_secret(home / "keys" / identities.CARRY, f"{secret}\n".encode())
    return public


def _tls_roots(home: Path) -> str:
    """Return the certificates of the TLS root in use and of the one that is prepared."""
    files = [home / "keys" / name for name in (identities.TLS_ROOT, identities.NEXT_TLS_ROOT)]
    return b"".join(tls.read_pair(one.read_bytes()).certificate for one in files if one.exists()).decode()


def _is_next_signing(home: Path, by: NodeDocument) -> bool:
    """Say whether a signing key is prepared of which the present document tells; one that it does not was given up."""
    path = home / "keys" / identities.NEXT_SIGNING
    return path.exists() and envelope.public_hex(identities.read_key(path)) in by.signing_keys


def _write_new(path: Path, data: bytes) -> None:
    if path.exists():
        raise NodeError(f"{path} is there already: a new key takes the place of no other file.")
    try:
        identities.write_secret(path, data)
    except OSError as error:
        raise NodeError(f"{path} can't be written: {error.strerror}.") from error
