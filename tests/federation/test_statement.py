"""Release statements: in a member's own name alone, and with nothing in them that this node can't read."""

import json

import pytest
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA, keyring
from tests.federation.refusals import refused

from lezha.federation import envelope, statement
from lezha.federation.envelope import PayloadType
from lezha.federation.statement import MAX_COMPANIONS

KNOWN = keyring(TIRANA, PODGORICA)


def signed(payload: object) -> bytes:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return envelope.seal(raw, PayloadType.STATEMENT, TIRANA.signer)


def payload() -> dict[str, object]:
    found: dict[str, object] = json.loads(envelope.peek(TIRANA.says(), PayloadType.STATEMENT))
    return found


def test_a_statement_comes_back_as_it_was_signed() -> None:
    made = statement.sign(TIRANA.statement(), TIRANA.signer)
    assert statement.read(made.raw, KNOWN) == made


def test_a_statement_is_known_by_what_it_says_not_by_who_cosigned_it() -> None:
    raw = TIRANA.says()
    cosigned = envelope.cosign(raw, PayloadType.STATEMENT, MALLORY.signer)
    assert statement.read(cosigned, KNOWN).digest == statement.read(raw, KNOWN).digest


def test_a_statement_in_the_name_of_another_member_is_refused() -> None:
    with refused("wrong_member"):
        statement.read(TIRANA.says(member=PODGORICA.member), KNOWN)


def test_a_statement_by_a_stranger_is_refused() -> None:
    with refused("unknown_key"):
        statement.read(MALLORY.says(), KNOWN)


def test_a_stranger_may_not_speak_in_a_member_s_name() -> None:
    with refused("unknown_key"):
        statement.read(MALLORY.says(member=TIRANA.member), KNOWN)


def test_with_nobody_known_nothing_is_believed() -> None:
    with refused("unknown_key"):
        statement.read(TIRANA.says(), {})


@pytest.mark.parametrize("where", ["statement", "terms", "audience"])
def test_a_field_that_is_not_known_is_refused_for_it_might_narrow(where: str) -> None:
    said = json.loads(json.dumps(payload()))
    place = {"statement": said, "terms": said["terms"], "audience": said["terms"]["audience"]}[where]
    place["not_before"] = AT
    with refused("malformed_statement"):
        statement.read(signed(said), KNOWN)


def test_the_number_of_companions_is_limited() -> None:
    most = ("1" * 64,) * MAX_COMPANIONS
    assert statement.read(TIRANA.says(companions=most), KNOWN).statement.companions == most
    with refused("malformed_statement"):
        statement.read(TIRANA.says(companions=(*most, "2" * 64)), KNOWN)


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"{}", b'{"member":"\xff"}', b"[" * 100_000])
def test_what_is_no_statement_is_refused(said: bytes) -> None:
    with refused("malformed_statement"):
        statement.read(signed(said), KNOWN)


@pytest.mark.parametrize(
    "time",
    [
        "2022-07-15T09:00:00Z",
        "2022-07-15T09:00:00.000000+02:00",
        "",
        "never",
        "2022-07-15T09:00:00.000000Z\n",
        AT + "Z",
    ],
)
def test_a_time_in_another_form_is_refused_for_text_must_compare_as_time_does(time: str) -> None:
    with refused("malformed_statement"):
        statement.read(signed(payload() | {"issued": time}), KNOWN)
    with refused("malformed_statement"):
        statement.read(signed(payload() | {"terms": {"tlp": "red", "audience": {}, "expires": time}}), KNOWN)


@pytest.mark.parametrize("object_id", ["", "a\x00b", "a b", "ë", "x" * 321])
def test_an_object_s_id_is_one_word(object_id: str) -> None:
    with refused("malformed_statement"):
        statement.read(signed(payload() | {"object_id": object_id}), KNOWN)


@pytest.mark.parametrize("tlp", ["white", "RED", "", None, "amber strict"])
def test_a_tlp_that_is_none_is_refused(tlp: object) -> None:
    with refused("malformed_statement"):
        statement.read(signed(payload() | {"terms": {"tlp": tlp, "audience": {"everyone": True}}}), KNOWN)


def test_what_a_statement_seems_to_speak_of_is_seen_without_believing_it() -> None:
    name, other = (f"tool--0000000{number}-0000-4000-8000-000000000000" for number in (1, 2))
    forged = statement.sign(TIRANA.statement(object_id=name), MALLORY.signer).raw
    assert statement.claimed_objects(forged) == (name,)
    twice = f'{{"object_id":"{name}","x":1,"object_id":"{other}"}}'.encode()
    assert statement.claimed_objects(signed(twice)) == (name, other)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"{}", b"[]"])
def test_what_can_t_be_read_seems_to_speak_of_nothing(raw: bytes) -> None:
    assert statement.claimed_objects(raw) == ()
    assert statement.claimed_objects(signed(raw)) == ()
