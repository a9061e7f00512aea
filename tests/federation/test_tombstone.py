"""Tombstones: in a member's own name alone, strict, and with a reason that is short."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA, keyring
from tests.federation.refusals import refused

from lezha.federation import envelope, tombstone
from lezha.federation.envelope import PayloadType
from lezha.federation.tombstone import MAX_BYTES, MAX_WHY, Tombstone

KNOWN = keyring(TIRANA, PODGORICA)
ONE = Tombstone(TIRANA.member, "ab" * 32, AT, "a busy resolver")


def signed(payload: object) -> bytes:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return envelope.seal(raw, PayloadType.TOMBSTONE, TIRANA.signer)


def payload(**changes: Any) -> dict[str, Any]:
    plain = {"member": TIRANA.member, "statement": "ab" * 32, "issued": AT, "why": ""}
    return plain | changes


def test_a_tombstone_comes_back_as_it_was_signed() -> None:
    made = tombstone.sign(ONE, TIRANA.signer)
    assert tombstone.read(made.raw, KNOWN) == made


def test_a_reason_need_not_be_given() -> None:
    assert tombstone.read(tombstone.sign(replace(ONE, why=""), TIRANA.signer).raw, KNOWN).tombstone.why == ""


def test_a_tombstone_in_the_name_of_another_member_is_refused() -> None:
    with refused("wrong_member"):
        tombstone.read(tombstone.sign(ONE, PODGORICA.signer).raw, KNOWN)


def test_a_tombstone_is_small_whatever_is_around_what_it_says() -> None:
    long = replace(ONE, why="\N{WHITE SMILING FACE}" * MAX_WHY, member=TIRANA.member)
    assert len(tombstone.sign(long, TIRANA.signer).raw) < MAX_BYTES
    padded = signed(json.dumps(payload()).encode() + b" " * MAX_BYTES)
    with refused("malformed_tombstone"):
        tombstone.read(padded, KNOWN)


def test_a_tombstone_by_a_stranger_is_refused() -> None:
    with refused("unknown_key"):
        tombstone.read(tombstone.sign(ONE, MALLORY.signer).raw, KNOWN)


def test_a_statement_never_passes_for_a_tombstone() -> None:
    with refused("wrong_kind"):
        tombstone.read(TIRANA.says(), KNOWN)


@pytest.mark.parametrize(
    "said",
    [
        payload(also="this"),
        payload(statement="ab"),
        payload(statement="AB" * 32),
        payload(statement="ab" * 32 + "\n"),
        payload(issued="2022-07-15T09:00:00Z"),
        payload(why="x" * (MAX_WHY + 1)),
        payload(why="two\nlines"),
        {"member": TIRANA.member},
        [],
        b"",
        b'{"member":"a","member":"b"}',
        b'{"member":"\xff"}',
    ],
)
def test_what_is_no_tombstone_is_refused(said: object) -> None:
    with refused("malformed_tombstone"):
        tombstone.read(signed(said), KNOWN)
