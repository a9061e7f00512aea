"""Node documents: whole, from their own root key, and of one piece with the identity that they speak for."""

import ssl

import pytest
from tests.federation.keys import AT, MALLORY, NOW, PODGORICA, TIRANA, altered
from tests.federation.refusals import refused

from lezha.federation import document, envelope, tls
from lezha.federation.document import RevokedKey
from lezha.federation.envelope import PayloadType


def test_a_document_comes_back_as_it_was_signed() -> None:
    known = document.read(TIRANA.document())
    assert known.document == TIRANA.written()
    assert known.raw == TIRANA.document()


def test_the_digest_is_that_of_what_was_signed_not_of_the_envelope() -> None:
    cosigned = envelope.cosign(TIRANA.document(), PayloadType.NODE, MALLORY.signer)
    assert cosigned != TIRANA.document()
    assert document.read(cosigned).digest == document.read(TIRANA.document()).digest


def test_its_signing_keys_verify_what_the_member_signs() -> None:
    assert [key.keyid for key in TIRANA.written().verification_keys()] == [TIRANA.key.keyid]


def test_a_document_that_another_root_signed_is_refused() -> None:
    raw = document.sign(TIRANA.written(), envelope.signer(MALLORY.root))
    with refused("unknown_key"):
        document.read(raw)


def test_an_altered_document_is_refused() -> None:
    other = PODGORICA.document(root=envelope.public_hex(TIRANA.root))
    import json

    with refused("bad_signature"):
        document.read(altered(TIRANA.document(), payload=json.loads(other)["payload"]))


def test_a_document_of_more_than_64_kib_is_refused() -> None:
    with refused("too_large"):
        document.read(TIRANA.document(title="x" * 70_000))


@pytest.mark.parametrize(
    "changes",
    [
        {"signing_keys": ()},
        {"revoked": (RevokedKey(TIRANA.public, AT),)},
        {"signing_keys": (TIRANA.public,) * 33},
        {"endpoints": ("http://192.0.2.1",)},
        {"member": PODGORICA.member},
        {"identity": "{}"},
        {"identity": PODGORICA.identity()},
        {"tls_root": "no certificate"},
        {"tls_root": 2 * TIRANA.tls_root.certificate.decode()},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with refused("malformed_document"):
        document.read(TIRANA.document(**changes))


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"member":1}', b'{"member":"\xff"}'])
def test_what_is_no_document_is_refused(payload: bytes) -> None:
    with refused("malformed_document"):
        document.read(envelope.seal(payload, PayloadType.NODE, envelope.signer(TIRANA.root)))


def test_a_key_that_is_none_is_refused() -> None:
    with refused("malformed_key"):
        document.read(TIRANA.document(root="00"))


def test_a_node_that_nobody_can_reach_names_no_endpoint() -> None:
    known = document.read(TIRANA.document(endpoints=()))
    assert (known.document.endpoint, TIRANA.written().endpoint) == ("", "https://192.0.2.1:8441")


def test_two_tls_roots_are_named_while_one_takes_the_place_of_the_other() -> None:
    other = tls.make_root(TIRANA.member, NOW)
    both = TIRANA.tls_root.certificate.decode() + other.certificate.decode()
    found = document.read(TIRANA.document(tls_root=both)).document.tls_root
    for root in (TIRANA.tls_root, other):
        leaf = ssl.PEM_cert_to_DER_cert(tls.make_leaf(root, TIRANA.member, NOW).certificate.decode())
        tls.check_member(leaf, found, TIRANA.member)
    with refused("malformed_document"):
        document.read(TIRANA.document(tls_root=both + PODGORICA.tls_root.certificate.decode()))
    with refused("malformed_document"):
        theirs = PODGORICA.tls_root.certificate.decode()
        document.read(TIRANA.document(tls_root=TIRANA.tls_root.certificate.decode() + theirs))
