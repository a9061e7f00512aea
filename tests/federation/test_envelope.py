"""Signed things: nothing is believed that is not signed, as what it claims to be, by a key that is known."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.federation.keys import MALLORY, PODGORICA, TIRANA, altered
from tests.federation.refusals import refused

from lezha.federation import envelope
from lezha.federation.envelope import MAX_ENVELOPE, PayloadType
from lezha.federation.errors import Refused

STATEMENT, RECEIPT = PayloadType.STATEMENT, PayloadType.RECEIPT
SEALED = envelope.seal(b'{"a":1}', STATEMENT, TIRANA.signer)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_to_the_same_bytes(payload: bytes) -> None:
    opened = envelope.open_sealed(envelope.seal(payload, STATEMENT, TIRANA.signer), STATEMENT, [TIRANA.key])
    assert opened.payload == payload
    assert opened.digest == hashlib.sha256(payload).hexdigest()
    assert opened.keyids == {TIRANA.key.keyid}


@pytest.mark.parametrize("kind", [kind for kind in PayloadType if kind is not STATEMENT])
def test_one_kind_never_passes_for_another(kind: PayloadType) -> None:
    with refused("wrong_kind"):
        envelope.open_sealed(SEALED, kind, [TIRANA.key])


def test_a_kind_that_is_renamed_breaks_the_signature() -> None:
    with refused("bad_signature"):
        envelope.open_sealed(altered(SEALED, payloadType=RECEIPT.value), RECEIPT, [TIRANA.key])


def test_an_altered_payload_is_refused() -> None:
    with refused("bad_signature"):
        envelope.open_sealed(altered(SEALED, payload=b64(b'{"a":2}')), STATEMENT, [TIRANA.key])


def test_an_altered_signature_is_refused() -> None:
    [signature] = json.loads(SEALED)["signatures"]
    bits = bytearray(base64.b64decode(signature["sig"]))
    bits[7] ^= 1
    with refused("bad_signature"):
        envelope.open_sealed(
            altered(SEALED, signatures=[signature | {"sig": b64(bytes(bits))}]), STATEMENT, [TIRANA.key]
        )


def test_a_key_that_is_not_known_is_refused() -> None:
    with refused("unknown_key"):
        envelope.open_sealed(SEALED, STATEMENT, [PODGORICA.key])


def test_a_signature_under_another_s_key_id_is_refused() -> None:
    forged = json.loads(envelope.seal(b'{"a":1}', STATEMENT, MALLORY.signer))
    forged["signatures"][0]["keyid"] = TIRANA.key.keyid
    with refused("bad_signature"):
        envelope.open_sealed(json.dumps(forged).encode(), STATEMENT, [TIRANA.key])


def test_a_signature_of_a_stranger_beside_a_good_one_does_no_harm() -> None:
    both = envelope.cosign(SEALED, STATEMENT, MALLORY.signer)
    assert envelope.open_sealed(both, STATEMENT, [TIRANA.key]).keyids == {TIRANA.key.keyid}


def test_two_signatures_under_one_key_id_are_refused() -> None:
    [signature] = json.loads(SEALED)["signatures"]
    with refused("malformed_envelope"):
        envelope.open_sealed(altered(SEALED, signatures=[signature, signature]), STATEMENT, [TIRANA.key])


def test_too_many_signatures_are_refused() -> None:
    signatures = [{"keyid": f"{number:064x}", "sig": "AA=="} for number in range(33)]
    with refused("malformed_envelope"):
        envelope.open_sealed(altered(SEALED, signatures=signatures), STATEMENT, [TIRANA.key])


def test_an_envelope_without_signatures_is_refused() -> None:
    with refused("unknown_key"):
        envelope.open_sealed(altered(SEALED, signatures=[]), STATEMENT, [TIRANA.key])


def test_an_envelope_that_is_too_large_is_refused_before_it_is_read() -> None:
    with refused("too_large"):
        envelope.open_sealed(b"{" * (MAX_ENVELOPE + 1), STATEMENT, [TIRANA.key])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"{}",
        altered(SEALED, payload="%%%%%"),
        altered(SEALED, payload="Zë=="),
        altered(SEALED, payload=1),
        altered(SEALED, signatures=[{"keyid": TIRANA.key.keyid, "sig": "A"}]),
        altered(SEALED, signatures=[{"keyid": TIRANA.key.keyid}]),
        altered(SEALED, extra=True),
        SEALED.replace(b'"payloadType"', b'"payloadtype"'),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with refused("malformed_envelope"):
        envelope.open_sealed(raw, STATEMENT, [TIRANA.key])


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_altered_byte_changes_what_an_envelope_says(at: int, by: int) -> None:
    raw = SEALED[:at] + bytes([SEALED[at] ^ by]) + SEALED[at + 1 :]
    try:
        opened = envelope.open_sealed(raw, STATEMENT, [TIRANA.key])
    except Refused:
        return
    assert opened.payload == b'{"a":1}'


@pytest.mark.parametrize("public", ["", "zz", "00" * 31, "00" * 33, "ë"])
def test_what_is_no_key_is_refused(public: str) -> None:
    with refused("malformed_key"):
        envelope.key(public)
