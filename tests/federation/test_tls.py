"""TLS on both sides: a real handshake over loopback, and who is let in by which certificate."""

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from tests.federation.keys import MALLORY, PODGORICA, TIRANA, Party
from tests.federation.refusals import refused

from lezha.federation import tls
from lezha.federation.tls import Pair

NOW = dt.datetime.now(dt.UTC)


def leaf(root: Pair, member: str, folder: Path) -> Path:
    """A file with a certificate for `member` from `root`, and its key."""
    pair = tls.make_leaf(root, member, NOW)
    path = folder / f"{abs(hash(pair.certificate))}.pem"
    path.write_bytes(pair.certificate + pair.key)
    return path


def der(root: Pair, member: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(tls.make_leaf(root, member, NOW).certificate.decode())


def server(leaf_file: Path, *trusted: Party) -> ssl.SSLContext:
    context = tls.server_context(leaf_file)
    for one in trusted:
        tls.trust(context, one.tls_root.certificate.decode())
    return context


class Seen(msgspec.Struct):
    """What the server saw of a connection."""

    version: str | None = None
    certificate: bytes | None = None
    error: Exception | None = None


def connect(listening: ssl.SSLContext, calling: ssl.SSLContext, name: str) -> tuple[str | None, Seen]:
    """Shake hands over loopback, one byte each way; return the TLS version here and what the server saw."""
    seen = Seen()
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(10)

        def serve() -> None:
            try:
                with door.accept()[0] as plain, listening.wrap_socket(plain, server_side=True) as link:
                    seen.version, seen.certificate = link.version(), link.getpeercert(binary_form=True)
                    link.sendall(link.recv(1))
            except OSError as error:
                seen.error = error

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(door.getsockname(), timeout=10) as plain,
                calling.wrap_socket(plain, server_hostname=name) as link,
            ):
                link.sendall(b"?")
                version = link.version() if link.recv(1) else None
        finally:
            thread.join()
    return version, seen


@pytest.fixture
def tirana(tmp_path: Path) -> ssl.SSLContext:
    """Tirana's listener; it knows Podgorica."""
    return server(leaf(TIRANA.tls_root, TIRANA.member, tmp_path), PODGORICA)


def podgorica(tmp_path: Path, **changes: Any) -> ssl.SSLContext:
    """Podgorica calling Tirana."""
    file = changes.get("leaf", leaf(PODGORICA.tls_root, PODGORICA.member, tmp_path))
    return tls.client_context(file, TIRANA.tls_root.certificate.decode())


def test_two_nodes_shake_hands_by_tls_1_3_and_show_their_certificates(
    tirana: ssl.SSLContext, tmp_path: Path
) -> None:
    version, seen = connect(tirana, podgorica(tmp_path), tls.server_name(TIRANA.member))
    assert (version, seen.version) == ("TLSv1.3", "TLSv1.3")
    assert seen.certificate is not None
    tls.check_member(seen.certificate, PODGORICA.tls_root.certificate.decode(), PODGORICA.member)


def test_a_listener_refuses_tls_1_2(tirana: ssl.SSLContext, tmp_path: Path) -> None:
    old = podgorica(tmp_path)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(tirana, old, tls.server_name(TIRANA.member))


def test_a_caller_refuses_tls_1_2(tirana: ssl.SSLContext, tmp_path: Path) -> None:
    tirana.minimum_version = ssl.TLSVersion.TLSv1_2
    tirana.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(tirana, podgorica(tmp_path), tls.server_name(TIRANA.member))


def test_a_stranger_may_connect_without_a_certificate_to_be_introduced(
    tirana: ssl.SSLContext, tmp_path: Path
) -> None:
    version, seen = connect(tirana, podgorica(tmp_path, leaf=None), tls.server_name(TIRANA.member))
    assert version == "TLSv1.3"
    assert seen.certificate is None


def test_a_certificate_of_a_root_that_is_not_known_ends_the_handshake(
    tirana: ssl.SSLContext, tmp_path: Path
) -> None:
    mallory = podgorica(tmp_path, leaf=leaf(MALLORY.tls_root, PODGORICA.member, tmp_path))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(tirana, mallory, tls.server_name(TIRANA.member))


def test_a_root_that_is_trusted_later_counts_from_the_next_connection(
    tirana: ssl.SSLContext, tmp_path: Path
) -> None:
    late = podgorica(tmp_path, leaf=leaf(MALLORY.tls_root, MALLORY.member, tmp_path))
    tls.trust(tirana, MALLORY.tls_root.certificate.decode())
    _, seen = connect(tirana, late, tls.server_name(TIRANA.member))
    assert seen.certificate is not None


def test_a_caller_refuses_a_server_of_another_root(tmp_path: Path) -> None:
    impostor = server(leaf(MALLORY.tls_root, TIRANA.member, tmp_path), PODGORICA)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(impostor, podgorica(tmp_path), tls.server_name(TIRANA.member))


def test_a_caller_refuses_a_server_that_has_another_name(tmp_path: Path) -> None:
    other = server(leaf(TIRANA.tls_root, MALLORY.member, tmp_path), PODGORICA)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        connect(other, podgorica(tmp_path), tls.server_name(TIRANA.member))


def test_a_caller_refuses_an_expired_server(tmp_path: Path) -> None:
    pair = tls.make_leaf(TIRANA.tls_root, TIRANA.member, NOW - dt.timedelta(days=91))
    file = tmp_path / "old.pem"
    file.write_bytes(pair.certificate + pair.key)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        connect(server(file, PODGORICA), podgorica(tmp_path), tls.server_name(TIRANA.member))


# --- which certificate speaks for which member ----------------------------------------------------------------------


def test_a_leaf_of_the_pinned_root_that_names_the_member_is_taken() -> None:
    tls.check_member(der(TIRANA.tls_root, TIRANA.member), TIRANA.tls_root.certificate.decode(), TIRANA.member)


def test_a_leaf_of_another_root_is_refused() -> None:
    with refused("wrong_certificate"):
        tls.check_member(
            der(MALLORY.tls_root, TIRANA.member), TIRANA.tls_root.certificate.decode(), TIRANA.member
        )


def test_a_leaf_of_another_root_that_calls_itself_the_same_is_refused() -> None:
    twin = tls.make_root(TIRANA.member, NOW)
    with refused("wrong_certificate"):
        tls.check_member(der(twin, TIRANA.member), TIRANA.tls_root.certificate.decode(), TIRANA.member)


def test_a_leaf_that_names_another_member_is_refused() -> None:
    # Every root is trusted by the one listener: a member must not be able to issue for another.
    with refused("wrong_certificate"):
        tls.check_member(
            der(PODGORICA.tls_root, TIRANA.member), PODGORICA.tls_root.certificate.decode(), PODGORICA.member
        )


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"\x30\x03\x02\x01\x01"])
def test_what_is_no_certificate_speaks_for_nobody(raw: bytes) -> None:
    assert tls.claimed_member(raw) is None
    with refused("wrong_certificate"):
        tls.check_member(raw, TIRANA.tls_root.certificate.decode(), TIRANA.member)


def test_a_root_speaks_for_nobody() -> None:
    assert tls.claimed_member(ssl.PEM_cert_to_DER_cert(TIRANA.tls_root.certificate.decode())) is None


def test_a_leaf_is_valid_for_ninety_days_and_cannot_issue_others() -> None:
    certificate = x509.load_der_x509_certificate(der(TIRANA.tls_root, TIRANA.member))
    assert certificate.not_valid_after_utc - NOW < dt.timedelta(days=90, minutes=1)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_leaf_cannot_stand_for_a_root() -> None:
    pair = tls.make_leaf(TIRANA.tls_root, TIRANA.member, NOW)
    with refused("malformed_document"):
        tls.check_root(pair.certificate.decode(), TIRANA.member)


def test_a_root_made_for_another_member_is_refused() -> None:
    with refused("malformed_document"):
        tls.check_root(TIRANA.tls_root.certificate.decode(), PODGORICA.member)


def test_what_openssl_cannot_load_is_no_root() -> None:
    with refused("malformed_document"):
        tls.check_root("\u00e9" + TIRANA.tls_root.certificate.decode(), TIRANA.member)
