"""TLS 1.3 on both sides, each side pinned to the other's TLS root (RFC 8446, RFC 5280).

A leaf names its member twice: by URI (`lezha:identity--…`), which the server checks, and by a DNS name under the
reserved `.invalid` (RFC 6761), which lets OpenSSL check the server's identity inside the handshake, before a byte
is sent. Neither is ever resolved.
"""

import datetime as dt
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lezha.federation.errors import Refused

_ROOT_LIFE: Final = dt.timedelta(days=3650)
_LEAF_LIFE: Final = dt.timedelta(days=90)
_BACKDATE: Final = dt.timedelta(minutes=10)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate raises where that is to blame: `cryptography` has no common name for it."""


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def server_name(member: str) -> str:
    """Return the DNS name that stands for `member` in its certificate."""
    return f"{member.removeprefix('identity--')}.member.lezha.invalid"


def make_root(member: str, now: dt.datetime) -> Pair:
    """Make a member's TLS root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _root_name(member)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + _ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def make_leaf(root: Pair, member: str, now: dt.datetime) -> Pair:
    """Make a certificate for the member's node, for both directions, valid for 90 days."""
    issuer = x509.load_pem_x509_certificate(root.certificate)
    issuer_key = serialization.load_pem_private_key(root.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("The TLS root's key is not an elliptic-curve key.")
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.UniformResourceIdentifier(_uri(member)), x509.DNSName(server_name(member))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + _LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def read_pair(pem: bytes) -> Pair:
    """Split a PEM file with a certificate and, after it, its key."""
    begin = pem.index(b"-----BEGIN PRIVATE KEY-----")
    return Pair(pem[:begin], pem[begin:])


def expires(pem: bytes) -> dt.datetime:
    """Return when the first certificate in a PEM file ends."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def server_context(leaf: Path) -> ssl.SSLContext:
    """Return the context of the peers' listener. `leaf` is a PEM file with certificate and key.

    A certificate of the client is asked for, not demanded, since enrolment comes before one is known; every other
    route demands it (`check_member`). `trust` adds the roots that may have issued it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # no resumption: every connection shows its certificate
    context.load_cert_chain(leaf)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def check_root(root: str, member: str) -> None:
    """Check that `root` (PEM) is one certificate that can issue others, or two, made for `member`. Raises Refused.

    Subject and key identifier must be their own: OpenSSL finds issuers by them, and a copy of another member's would
    cut that member off.
    """
    try:
        certificates = x509.load_pem_x509_certificates(root.encode())
        sound = len(certificates) in (1, 2) and all(_is_root(one, member) for one in certificates)
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), root)
    except (*_UNREADABLE, ssl.SSLError) as error:
        raise Refused("malformed_document", f"A TLS root can't be read: {error}.") from error
    if not sound or len(set(certificates)) != len(certificates):
        raise Refused(
            "malformed_document",
            "A TLS root must be one certificate that can issue others, made for its member, or two while it changes.",
        )


def _is_root(certificate: x509.Certificate, member: str) -> bool:
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    named = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    own = x509.SubjectKeyIdentifier.from_public_key(_elliptic(certificate.public_key()))
    return constraints.ca and named == own and certificate.subject == _root_name(member)


def trust(context: ssl.SSLContext, root: str) -> None:
    """Let connections from now on be verified against `root` (PEM) too."""
    context.load_verify_locations(cadata=root)


def client_context(leaf: Path | None, root: str) -> ssl.SSLContext:
    """Return the context for connecting to the one peer whose TLS root is `root` (PEM).

    Without `leaf` no certificate is shown: a node that does not know this one yet would cut the connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=root)
    if leaf is not None:
        context.load_cert_chain(leaf)
    return context


@lru_cache(maxsize=256)
def check_member(der: bytes, root: str, member: str) -> None:
    """Check that a verified client certificate was issued by `root` (PEM) for `member`. Raises Refused."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        issuers = x509.load_pem_x509_certificates(root.encode())
    except _UNREADABLE as error:
        raise Refused("wrong_certificate", f"The certificate of {member} can't be read.") from error
    if not any(_issued(leaf, issuer) for issuer in issuers):
        raise Refused("wrong_certificate", f"The certificate was not issued by the TLS root of {member}.")
    if claimed_member(der) != member:
        raise Refused("wrong_certificate", f"The certificate does not name {member}.")


def _issued(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


@lru_cache(maxsize=64)
def claimed_member(der: bytes) -> str | None:
    """Return the member that a certificate names, or None. A claim: `check_member` decides."""
    try:
        names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except _UNREADABLE:
        return None
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return (
        uris[0].removeprefix("lezha:") if len(uris) == 1 and uris[0].startswith("lezha:identity--") else None
    )


def _root_name(member: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lezha TLS root {server_name(member)}"[:64])])


def _elliptic(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the key is not an elliptic-curve key")
    return key


def _uri(member: str) -> str:
    return f"lezha:{member}"


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
