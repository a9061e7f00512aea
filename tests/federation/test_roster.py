"""Rosters: true if k of the n stewards of the charter signed, and the charter is what the id stands for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA, Party, altered, charter
from tests.federation.keys import roster as written
from tests.federation.refusals import refused

from lezha.federation import envelope, roster
from lezha.federation.envelope import PayloadType
from lezha.federation.roster import ForATime, KnownRoster

VIENNA = Party(3)
MANY = {f"identity--{number:08x}-0000-4000-8000-000000000000": 1 for number in range(1001)}
SOON, LATER = "2022-07-16T09:00:00.000000Z", "2024-07-15T09:00:00.000000Z"
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
        written(TWO_OF_THREE, members=MANY),
        written(TWO_OF_THREE, members={"identity--1": 1}),
        written(TWO_OF_THREE, members={TIRANA.member.upper(): 1}),
        written(TWO_OF_THREE, members={TIRANA.member: ForATime(2, AT)}),
        written(TWO_OF_THREE, members={TIRANA.member: ForATime(1, "2022-07-15")}),
        written(TWO_OF_THREE, previous="0" * 64),
        written(TWO_OF_THREE, 2, previous=""),
        written(TWO_OF_THREE, 2, previous="0" * 63),
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


def test_the_longest_roster_is_read() -> None:
    longest = dict(list(MANY.items())[:1000])
    of = written(charter(TIRANA), members={member: ForATime(1, SOON) for member in longest})
    assert len(roster.read(roster.draft(of, TIRANA.signer)).roster.members) == 1000


def test_a_member_is_admitted_by_a_number_or_by_a_number_and_an_end_alone() -> None:
    entries = {TIRANA.member: 1, PODGORICA.member: ForATime(1, SOON)}
    known = roster.read(roster.draft(written(charter(TIRANA), members=entries), TIRANA.signer))
    assert known.roster.admitted == {TIRANA.member: 1, PODGORICA.member: 1}
    assert known.roster.until == {PODGORICA.member: SOON}
    for entry in ([1], {"admitted": 1}, {"admitted": 1, "until": None}, "1", True, 1.5, None):
        payload = json.loads(envelope.peek(known.raw, PayloadType.ROSTER))
        payload["members"][TIRANA.member] = entry
        with refused("malformed_roster"):
            roster.read(envelope.seal(json.dumps(payload).encode(), PayloadType.ROSTER, TIRANA.signer))


# --- the next one ---------------------------------------------------------------------------------------------------

FIRST = roster.read(signed_by(TIRANA, PODGORICA))


def second(
    add: dict[str, str | None] | None = None, *remove: str, latest: KnownRoster = FIRST
) -> roster.Roster:
    return roster.successor(latest, add or {}, remove, SOON, LATER)


def known(of: roster.Roster) -> KnownRoster:
    return roster.read(signed_by(TIRANA, PODGORICA, of=of))


def test_the_next_roster_has_the_next_number_and_names_the_one_before() -> None:
    one = second({VIENNA.member: None}, PODGORICA.member)
    assert (one.number, one.previous, one.issued, one.expires) == (2, FIRST.digest, SOON, LATER)
    assert one.members == {TIRANA.member: 1, VIENNA.member: 2}
    assert roster.misfit(FIRST, one) == ""


def test_who_is_removed_and_comes_back_is_admitted_anew() -> None:
    assert second({PODGORICA.member: None}, PODGORICA.member).admitted[PODGORICA.member] == 2
    without = known(second({}, PODGORICA.member))
    assert second({PODGORICA.member: None}, latest=without).admitted[PODGORICA.member] == 3


def test_a_new_end_keeps_the_admission_while_the_membership_lasts() -> None:
    for_a_time = known(second({PODGORICA.member: LATER}))
    assert for_a_time.roster.members[PODGORICA.member] == ForATime(1, LATER)
    assert second({PODGORICA.member: None}, latest=for_a_time).members[PODGORICA.member] == 1


def test_whose_time_is_over_is_left_out_or_admitted_anew() -> None:
    over = known(second({PODGORICA.member: SOON}))
    assert second(latest=over).members == {TIRANA.member: 1}
    assert second({PODGORICA.member: LATER}, latest=over).members[PODGORICA.member] == ForATime(3, LATER)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"number": 1, "previous": ""}, "number 1"),
        ({"number": 3}, "number 3"),
        ({"previous": "0" * 64}, "another roster 1"),
        ({"members": {VIENNA.member: 1}}, "admitted"),
        ({"members": {VIENNA.member: ForATime(1, LATER)}}, "admitted"),
    ],
)
def test_what_does_not_follow_the_roster_held_is_told_apart(changes: dict[str, object], words: str) -> None:
    assert words in roster.misfit(FIRST, replace(second(), **changes))


def test_a_membership_that_is_over_is_not_revived_under_its_old_number() -> None:
    over = known(second({PODGORICA.member: SOON}))
    revived = replace(second(latest=over), members={PODGORICA.member: ForATime(1, LATER)})
    assert "admitted" in roster.misfit(over, revived)


def test_who_has_signed_is_told_before_there_are_enough() -> None:
    assert roster.signed_by(signed_by(PODGORICA, MALLORY)) == (PODGORICA.public,)
    forged = json.loads(signed_by(TIRANA, PODGORICA))
    forged["signatures"][0]["sig"] = forged["signatures"][1]["sig"]
    assert roster.signed_by(json.dumps(forged).encode()) == (PODGORICA.public,)


PARTIES = st.sampled_from([Party(number).member for number in range(1, 6)])
ENDS = st.sampled_from([None, SOON, LATER])


@given(st.lists(st.tuples(st.dictionaries(PARTIES, ENDS), st.sets(PARTIES)), max_size=5))
def test_whatever_is_changed_the_next_roster_follows_and_dates_no_admission_back(
    changes: list[tuple[dict[str, str | None], set[str]]],
) -> None:
    latest = known(written(charter(TIRANA)))
    for number, (add, remove) in enumerate(changes, 2):
        before = latest.roster
        one = roster.successor(latest, add, remove, AT if number % 2 else SOON, LATER)
        assert roster.misfit(latest, one) == ""
        for member, admitted in one.admitted.items():
            stayed = member not in remove and not before.ended(member, one.issued)
            assert admitted == (before.admitted.get(member, number) if stayed else number)
        latest = known(one)
