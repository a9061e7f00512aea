"""TLS for tools: the listener's own certificate, and those by which tools show who they are."""

import hashlib
import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from lezha.node.errors import NodeError


def context(home: Path, name: str) -> ssl.SSLContext:
    """Return the context of the listener for tools, whose certificate and key are in the PEM file `name`.

    A certificate of the client is asked for, and not demanded: a token will do. Raises NodeError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.num_tickets = 0  # no resumption: every connection shows its certificate
    try:
        made.load_cert_chain(home / name)
    except (OSError, ssl.SSLError) as error:
        raise NodeError(
            f"taxii_listen needs a certificate with its key, PEM, in {home / name}: {error.strerror or error}. "
            "Put it there, or name another file in taxii_certificate."
        ) from None
    made.verify_mode = ssl.CERT_OPTIONAL
    # What is pinned is the certificate itself, whoever has issued it.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


def know(present: ssl.SSLContext, certificates: Iterable[bytes]) -> None:
    """Take these certificates (DER) from whoever shows one, from the next connection on."""
    for one in certificates:
        present.load_verify_locations(cadata=one)


def read(pem: bytes) -> tuple[str, bytes]:
    """Return the SHA-256 in hex and the DER form of the one certificate in a PEM text. Raises NodeError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        found = []
    if len(found) != 1:
        raise NodeError(
            "This is not one certificate in PEM: give the tool's own, without its issuers and without a key."
        )
    der = found[0].public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).hexdigest(), der
