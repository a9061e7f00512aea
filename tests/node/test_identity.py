"""The identity of a node: keys that only their owner can read, and that belong to its document."""

import datetime as dt
import ssl
from pathlib import Path

import pytest

from lezha.federation import tls
from lezha.federation.document import Contact
from lezha.node import identity
from lezha.node.errors import NodeError
from lezha.node.identity import Identity
from lezha.node.settings import Settings, load
from lezha.stix import objects

NOW = dt.datetime.now(dt.UTC)


def make(home: Path, name: str = "tirana") -> Identity:
    home.mkdir()
    settings = Settings(identity.new_member(), name, endpoint="https://192.0.2.1:8441")
    return identity.create(home, settings, "National CSIRT", Contact("+355"), NOW)


def test_a_node_that_was_made_can_be_loaded(tmp_path: Path) -> None:
    made = make(tmp_path / "node")
    found = identity.load(tmp_path / "node")
    assert (found.member, found.public, found.known) == (made.member, made.public, made.known)


def test_every_key_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    make(tmp_path / "node")
    keys = sorted((tmp_path / "node" / "keys").iterdir())
    assert [path.name for path in keys] == [
        "carry.key",
        "root.pem",
        "signing.pem",
        "tls-leaf.pem",
        "tls-root.pem",
    ]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert (tmp_path / "node" / "keys").stat().st_mode & 0o777 == 0o700


def test_the_node_document_holds_no_private_key(tmp_path: Path) -> None:
    made = make(tmp_path / "node")
    assert "PRIVATE" not in made.known.document.tls_root
    assert b"PRIVATE" not in (tmp_path / "node" / identity.DOCUMENT).read_bytes()


def test_the_document_says_who_the_member_is_in_stix(tmp_path: Path) -> None:
    made = make(tmp_path / "node")
    one = objects.read(made.known.document.identity.encode())
    assert (one.type, one.id, one.data["name"]) == ("identity", made.member, "National CSIRT")


def test_the_certificate_of_the_links_speaks_for_the_member(tmp_path: Path) -> None:
    made = make(tmp_path / "node")
    pem = made.leaf.read_text().partition("-----BEGIN EC")[0].partition("-----BEGIN PRIVATE")[0]
    tls.check_member(ssl.PEM_cert_to_DER_cert(pem), made.known.document.tls_root, made.member)


def test_the_settings_come_last_so_that_what_is_half_made_is_no_node(tmp_path: Path) -> None:
    home = tmp_path / "node"
    (home / "keys").mkdir(parents=True)  # what an interrupted attempt leaves
    with pytest.raises(FileExistsError):
        identity.create(home, Settings(identity.new_member(), "tirana"), "", Contact(), NOW)
    with pytest.raises(NodeError):
        load(home)


def test_another_node_s_signing_key_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    key = "keys/signing.pem"
    (tmp_path / "one" / key).write_bytes((tmp_path / "two" / key).read_bytes())
    with pytest.raises(NodeError, match="is not the key that the node document names"):
        identity.load(tmp_path / "one")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path / "one")
    (tmp_path / "one/keys/signing.pem").write_bytes(
        made.leaf.read_bytes().split(b"-----END CERTIFICATE-----\n")[1]
    )
    with pytest.raises(NodeError, match="is not an Ed25519 key"):
        identity.load(tmp_path / "one")


@pytest.mark.parametrize("name", ["node.json", "keys/signing.pem"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path / "node")
    (tmp_path / "node" / name).unlink()
    with pytest.raises(NodeError, match=name):
        identity.load(tmp_path / "node")


@pytest.mark.parametrize("name", ["node.json", "keys/signing.pem"])
def test_a_file_that_is_damaged_is_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path / "node")
    (tmp_path / "node" / name).write_bytes(b"nonsense")
    with pytest.raises(NodeError, match="can't be read"):
        identity.load(tmp_path / "node")


def test_a_document_that_was_altered_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "node")
    path = tmp_path / "node" / identity.DOCUMENT
    path.write_bytes(path.read_bytes().replace(b'"sig":"', b'"sig":"AA'))
    with pytest.raises(NodeError, match="can't be read"):
        identity.load(tmp_path / "node")


def test_a_secret_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        identity.write_secret(tmp_path / "taken", b"secret")
    identity.write_secret(tmp_path / "free", b"secret")
    assert (tmp_path / "free").read_bytes() == b"secret"
    assert (tmp_path / "free").stat().st_mode & 0o777 == 0o600


def test_a_certificate_that_ends_soon_is_renewed_under_the_same_root(tmp_path: Path) -> None:
    made = make(tmp_path / "node")
    before = made.leaf.read_bytes()
    assert not identity.renew_leaf(tmp_path / "node", made.member, NOW + dt.timedelta(days=59))
    assert made.leaf.read_bytes() == before
    assert identity.renew_leaf(tmp_path / "node", made.member, NOW + dt.timedelta(days=61))
    after = tls.read_pair(made.leaf.read_bytes()).certificate.decode()
    tls.check_member(ssl.PEM_cert_to_DER_cert(after), made.known.document.tls_root, made.member)
    assert tls.expires(after.encode()) - tls.expires(before) == dt.timedelta(days=61)
    assert made.leaf.stat().st_mode & 0o777 == 0o600


def test_two_nodes_are_two_members() -> None:
    assert identity.new_member() != identity.new_member()
