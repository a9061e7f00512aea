"""A node's keys take one another's place, whatever interrupts that."""

import datetime as dt
import ssl
from pathlib import Path

import pytest

from lezha.federation import carried, document, envelope, tls
from lezha.federation.document import Contact, NodeDocument
from lezha.node import identity, rotation
from lezha.node.errors import NodeError
from lezha.node.rotation import Changes
from lezha.node.settings import Settings

MEMBER = "identity--5fa1c7f2-7a5c-4f0e-9a55-5d8b0c2f9f10"
SETTINGS = Settings(member=MEMBER, name="tirana", endpoint="https://192.0.2.10:8441")
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SINCE = "2026-02-27T00:00:00.000000Z"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a node whose root key has been taken away from it."""
    folder = tmp_path / "node"
    folder.mkdir()
    identity.create(folder, SETTINGS, "Tirana", Contact("+355", "soc@example.al"), NOW)
    (folder / "keys" / "root.pem").rename(tmp_path / "root.pem")
    return folder


@pytest.fixture
def root(home: Path) -> Path:
    return home.parent / "root.pem"


def present(home: Path) -> NodeDocument:
    return identity.load(home).known.document


def test_a_new_document_changes_what_it_is_to_and_nothing_else(home: Path, root: Path) -> None:
    before = present(home)
    rotation.renew(home, root, Changes(endpoint="", phone="+356"), NOW)
    after = present(home)
    assert (after.number, after.endpoints, after.contact) == (2, (), Contact("+356", "soc@example.al"))
    document.check_follows(identity.load(home).known, before)
    assert (after.signing_keys, after.tls_root, after.root) == (
        before.signing_keys,
        before.tls_root,
        before.root,
    )


def test_a_new_signing_key_is_announced_beside_the_old_one_and_used_after_the_switch(
    home: Path, root: Path
) -> None:
    before = identity.load(home)
    known = rotation.rotate_signing(home, root, NOW)
    assert (len(known.document.signing_keys), known.document.revoked) == (2, ())
    assert identity.load(home).public == before.public
    assert rotation.prepared(home) == ["signing"]
    with pytest.raises(NodeError, match="prepared already"):
        rotation.rotate_signing(home, root, NOW)
    rotation.switch(home, NOW)
    after = identity.load(home)
    assert list(after.signers) == list(known.document.signing_keys)
    assert after.public != before.public
    assert rotation.prepared(home) == []


def test_a_key_that_others_may_hold_is_revoked_and_the_new_one_used_at_once(home: Path, root: Path) -> None:
    first = identity.load(home).public
    rotation.rotate_signing(home, root, NOW)
    rotation.switch(home, NOW)
    rotation.rotate_signing(home, root, NOW)  # prepared beside the one that was taken
    lost = identity.load(home)
    waiting = next(one for one in lost.known.document.signing_keys if one not in lost.signers)
    rotation.rotate_signing(home, root, NOW, SINCE)
    after = identity.load(home)
    assert {(one.key, one.since) for one in after.known.document.revoked} == {
        (lost.public, SINCE),
        (waiting, SINCE),
    }
    assert after.known.document.signing_keys == (after.public, first)
    assert list(after.signers) == [after.public, first]
    assert after.known.document.carry != lost.known.document.carry
    assert rotation.prepared(home) == []


def test_the_key_for_carried_files_is_the_one_that_the_document_names(home: Path, root: Path) -> None:
    path = home / "keys" / identity.CARRY
    before = present(home).carry
    rotation.renew(home, root, Changes(), NOW)
    assert present(home).carry == before == carried.public_key(path.read_text().strip())
    path.unlink()
    rotation.renew(home, root, Changes(), NOW)
    assert present(home).carry == carried.public_key(path.read_text().strip()) != before
    path.write_text("no key\n")
    with pytest.raises(NodeError, match="can't be used"):
        rotation.renew(home, root, Changes(), NOW)


def test_a_new_key_for_carried_files_opens_what_comes_and_the_one_before_what_is_on_its_way(
    home: Path, root: Path
) -> None:
    path = home / "keys" / identity.CARRY
    before, old = present(home), path.read_text()
    known = rotation.rotate_carry(home, root, NOW)
    document.check_follows(known, before)
    assert known.document.carry == carried.public_key(path.read_text().strip()) != before.carry
    (former,) = (home / "keys").glob(identity.FORMER_CARRY)
    assert (former.read_text(), former.stat().st_mode & 0o077) == (old, 0)
    assert identity.load(home).signers  # it is none of the former signing keys
    rotation.rotate_carry(home, root, NOW)
    assert len(list((home / "keys").glob(identity.FORMER_CARRY))) == 2
    path.unlink()
    assert rotation.rotate_carry(home, root, NOW).document.carry == carried.public_key(
        path.read_text().strip()
    )
    path.write_text("no key\n")
    with pytest.raises(NodeError, match="can't be used"):
        rotation.rotate_carry(home, root, NOW)


def test_whatever_interrupts_a_change_the_node_starts_and_the_change_can_be_made_again(
    home: Path, root: Path
) -> None:
    before = identity.load(home)
    # The new key was written, the document not.
    rotation.rotate_signing(home, root, NOW)
    (home / identity.DOCUMENT).write_bytes(before.known.raw)
    assert identity.load(home).public == before.public
    rotation.rotate_signing(home, root, NOW)
    # The document that revokes was written, the new key not put in its place.
    prepared = (home / "keys" / identity.NEXT_SIGNING).read_bytes()
    held = (home / "keys" / identity.SIGNING).read_bytes()
    rotation.rotate_signing(home, root, NOW, SINCE)
    public = identity.load(home).public
    (home / "keys" / identity.SIGNING).rename(home / "keys" / identity.NEXT_SIGNING)
    (home / "keys" / identity.SIGNING).write_bytes(held)
    assert identity.load(home).public == public
    rotation.switch(home, NOW)
    assert identity.load(home).public == public
    assert prepared != (home / "keys" / identity.SIGNING).read_bytes()


def test_a_new_tls_root_is_pinned_beside_the_old_one_until_it_is_used(home: Path, root: Path) -> None:
    before = present(home)
    leaf = identity.load(home).leaf
    known = rotation.rotate_tls(home, root, NOW)
    tls.check_member(_der(leaf), known.document.tls_root, MEMBER)
    with pytest.raises(NodeError, match="prepared already"):
        rotation.rotate_tls(home, root, NOW)
    rotation.switch(home, NOW)
    tls.check_member(_der(leaf), known.document.tls_root, MEMBER)
    with pytest.raises(Exception, match="not issued"):
        tls.check_member(_der(leaf), before.tls_root, MEMBER)
    alone = rotation.renew(home, root, Changes(), NOW).document.tls_root
    tls.check_member(_der(leaf), alone, MEMBER)
    assert before.tls_root not in alone
    assert leaf.stat().st_mode & 0o777 == 0o600


def test_a_new_root_is_vouched_for_by_the_old_one(home: Path, root: Path) -> None:
    before = present(home)
    new = home.parent / "root-2.pem"
    known = rotation.rotate_root(home, root, new, NOW)
    document.check_follows(known, before)
    assert new.stat().st_mode & 0o777 == 0o600
    with pytest.raises(NodeError, match="another key than the root"):
        rotation.renew(home, root, Changes(), NOW)
    rotation.renew(home, new, Changes(), NOW)
    with pytest.raises(NodeError, match="takes the place of no other file"):
        rotation.rotate_root(home, new, root, NOW)


def test_a_root_in_the_place_of_one_that_is_lost_is_vouched_for_by_nobody(home: Path) -> None:
    before = present(home)
    known = rotation.replace_root(home, home.parent / "root-2.pem", NOW)
    with pytest.raises(Exception, match="the old one has not signed"):
        document.check_follows(known, before)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_root_key_changes_nothing(home: Path, content: bytes | None) -> None:
    path = home.parent / "other.pem"
    if content is not None:
        path.write_bytes(content)
    before = (home / identity.DOCUMENT).read_bytes()
    for change in (rotation.rotate_signing, rotation.rotate_tls):
        with pytest.raises(NodeError, match="root key can't be read"):
            change(home, path, NOW)
    assert (home / identity.DOCUMENT).read_bytes() == before
    assert rotation.prepared(home) == []
    assert (
        envelope.public_hex(identity.read_key(home / "keys" / identity.SIGNING)) == identity.load(home).public
    )


def _der(pem: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.read_text().partition("-----BEGIN PRIVATE KEY-----")[0])
