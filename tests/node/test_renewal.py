"""Certificates of the links renew by themselves."""

import datetime as dt
from pathlib import Path

from lezha.federation import tls
from lezha.federation.document import Contact
from lezha.node import identity
from lezha.node.settings import Settings

MEMBER = "identity--5fa1c7f2-7a5c-4f0e-9a55-5d8b0c2f9f10"
SETTINGS = Settings(member=MEMBER, name="tirana", endpoint="https://192.0.2.10:8441")
BORN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_a_certificate_with_more_than_thirty_days_left_is_kept(tmp_path: Path) -> None:
    leaf = identity.create(tmp_path, SETTINGS, "Tirana", Contact(), BORN).leaf
    before = leaf.read_bytes()
    assert not identity.renew_leaf(tmp_path, MEMBER, BORN + dt.timedelta(days=59))
    assert leaf.read_bytes() == before


def test_a_certificate_with_less_than_thirty_days_left_is_renewed_under_the_root_that_peers_pin(
    tmp_path: Path,
) -> None:
    made = identity.create(tmp_path, SETTINGS, "Tirana", Contact(), BORN)
    now = BORN + dt.timedelta(days=61)
    assert identity.renew_leaf(tmp_path, MEMBER, now)
    assert tls.expires(made.leaf.read_bytes()) > now + dt.timedelta(days=80)
    certificate = made.leaf.read_bytes().partition(b"-----BEGIN PRIVATE KEY-----")[0]
    tls.check_member(_der(certificate), made.known.document.tls_root, MEMBER)


def test_a_renewed_certificate_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    made = identity.create(tmp_path, SETTINGS, "Tirana", Contact(), BORN)
    identity.renew_leaf(tmp_path, MEMBER, BORN + dt.timedelta(days=61))
    assert made.leaf.stat().st_mode & 0o777 == 0o600


def _der(pem: bytes) -> bytes:
    import ssl

    return ssl.PEM_cert_to_DER_cert(pem.decode())
