"""Rosters: true if k of the n stewards of the charter signed, and the charter is what the id stands for."""

import pytest
from msgspec.structs import replace
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA, Party, altered, charter
from tests.federation.keys import roster as written
from tests.federation.refusals import refused

from lezha.federation import envelope, roster
from lezha.federation.envelope import PayloadType

VIENNA = Party(3)
TWO_OF_THREE = charter(TIRANA, PODGORICA, VIENNA, threshold=2)


def signed_by(*parties: Party, of: roster.Roster | None = None) -> bytes:
    first, *others = parties
    raw = roster.draft(of or written(TWO_OF_THREE), first.signer)
    for one in others:
        raw = roster.cosign(raw, one.signer)
    return raw


@pytest.mark.parametrize("stewards", [(TIRANA, PODGORICA), (VIENNA, TIRANA), (TIRANA, PODGORICA, VIENNA)])
def test_a_roster_holds_that_enough_stewards_signed(stewards: tuple[Party, ...]) -> None:
    assert roster.read(signed_by(*stewards)).roster == written(TWO_OF_THREE)


def test_one_steward_too_few_is_not_enough() -> None:
    with refused("unknown_key"):
        roster.read(signed_by(TIRANA))


def test_a_stranger_does_not_count_as_a_steward() -> None:
    with refused("unknown_key"):
        roster.read(signed_by(TIRANA, MALLORY))


def test_a_steward_who_signs_twice_counts_once() -> None:
    with refused("unknown_key"):
        roster.read(signed_by(TIRANA, TIRANA))


def test_a_steward_under_two_spellings_of_one_key_counts_once() -> None:
    spelt_twice = replace(charter(TIRANA, threshold=2), stewards=(TIRANA.public, TIRANA.public.upper()))
    with refused("bad_signature"):
        roster.read(signed_by(TIRANA, of=written(spelt_twice)))


def test_a_signature_on_another_roster_does_not_count() -> None:
    import json

    second = json.loads(signed_by(PODGORICA, of=written(TWO_OF_THREE, 2)))
    first = json.loads(signed_by(TIRANA))
    mixed = altered(signed_by(TIRANA), signatures=first["signatures"] + second["signatures"])
    with refused("bad_signature"):
        roster.read(mixed)


def test_the_id_of_a_community_stands_for_its_whole_charter() -> None:
    others = [
        replace(TWO_OF_THREE, name="EU"),
        replace(TWO_OF_THREE, threshold=1),
        replace(TWO_OF_THREE, nonce="11" * 16),
        replace(TWO_OF_THREE, stewards=(*TWO_OF_THREE.stewards[:2], MALLORY.public)),
    ]
    assert len({one.community for one in [TWO_OF_THREE, *others]}) == 5


def test_a_later_roster_is_of_the_same_community() -> None:
    later = roster.read(signed_by(TIRANA, VIENNA, of=written(TWO_OF_THREE, 2)))
    assert later.roster.charter.community == TWO_OF_THREE.community


def test_a_draft_can_be_shown_before_it_is_signed_by_all() -> None:
    assert roster.peek(signed_by(TIRANA)).members.keys() == {TIRANA.member, PODGORICA.member}


@pytest.mark.parametrize(
    "of",
    [
        written(replace(TWO_OF_THREE, threshold=0)),
        written(replace(TWO_OF_THREE, threshold=4)),
        written(replace(TWO_OF_THREE, threshold=-1)),
        written(replace(TWO_OF_THREE, stewards=(TIRANA.public, TIRANA.public))),
        written(replace(TWO_OF_THREE, stewards=(), threshold=0)),
        written(replace(TWO_OF_THREE, stewards=tuple(f"{n:064x}" for n in range(33)))),
        written(replace(TWO_OF_THREE, name="")),
        written(replace(TWO_OF_THREE, name="NATO\x00")),
        written(TWO_OF_THREE, 0),
        written(TWO_OF_THREE, 2**31),
        written(TWO_OF_THREE, members={TIRANA.member: 2}),
        written(TWO_OF_THREE, members={TIRANA.member: 0}),
        written(TWO_OF_THREE, members={f"identity--{n}": 1 for n in range(1001)}),
        written(TWO_OF_THREE, expires="never"),
        written(TWO_OF_THREE, issued=AT.removesuffix("Z")),
    ],
)
def test_a_roster_that_contradicts_itself_is_refused(of: roster.Roster) -> None:
    with refused("malformed_roster"):
        roster.read(roster.draft(of, TIRANA.signer))


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"charter":"\xff"}'])
def test_what_is_no_roster_is_refused(payload: bytes) -> None:
    with refused("malformed_roster"):
        roster.read(envelope.seal(payload, PayloadType.ROSTER, TIRANA.signer))
