import hashlib

from tests.federation.keys import PODGORICA, TIRANA

from lezha.federation import members


def test_each_key_belongs_to_the_member_whose_document_names_it() -> None:
    known = members.known([TIRANA.written(), PODGORICA.written()])
    assert {key: entry.member for key, entry in known.keyring.items()} == {
        TIRANA.key.keyid: TIRANA.member,
        PODGORICA.key.keyid: PODGORICA.member,
    }


def test_each_member_is_known_by_its_own_identity_object() -> None:
    known = members.known([TIRANA.written(name="tirana")])
    assert known.identities == {TIRANA.member: hashlib.sha256(TIRANA.identity().encode()).hexdigest()}
    assert known.names == {TIRANA.member: "tirana"}


def test_whoever_lists_another_s_key_does_not_take_it_over() -> None:
    thief = PODGORICA.written(signing_keys=TIRANA.written().signing_keys)
    known = members.known([TIRANA.written(), thief])
    assert known.keyring[TIRANA.key.keyid].member == TIRANA.member
