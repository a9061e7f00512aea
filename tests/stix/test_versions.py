import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stix.examples import AUTHOR, indicator, sco, versioned

from lezha.stix import Invalid, Object, encode, read
from lezha.stix.versions import check_successor, same_substance

FIRST = indicator(created="2022-07-15T08:00:00.000Z", modified="2022-07-15T08:00:00.000Z")
OTHER = "identity--11111111-1111-4111-8111-111111111111"
NEXT = "2022-07-15T09:00:00.000Z"


def version(**changes: Any) -> Object:
    data = {name: value for name, value in (FIRST | changes).items() if value is not None}
    return read(encode(data))


def assert_refused(old: Object, new: Object, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        check_successor(old, new)
    assert (caught.value.clause, caught.value.object_id) == ("STIX 2.1 §3.6", new.id)


def test_a_later_version_may_say_anything_else() -> None:
    check_successor(version(), version(modified=NEXT, name="another", labels=None, confidence=None))


def test_an_earlier_version_may_come_late() -> None:
    check_successor(version(modified=NEXT, revoked=True), version())


def test_the_same_version_may_come_again_written_otherwise() -> None:
    old = version()
    check_successor(old, read(json.dumps(old.data, indent=2, sort_keys=True).encode()))


def test_one_version_has_one_content() -> None:
    assert_refused(version(), version(name="another"), "under the same version")


def test_the_same_time_written_otherwise_is_the_same_version() -> None:
    finer = "2022-07-15T08:00:00.000000Z"
    check_successor(version(), version(created=finer, modified=NEXT))
    assert_refused(version(), version(modified=finer, name="another"), "under the same version")


def test_the_time_of_creation_stays() -> None:
    assert_refused(version(), version(created="2022-07-15T08:00:00.001Z", modified=NEXT), "created at")


@pytest.mark.parametrize("creators", [(AUTHOR, OTHER), (AUTHOR, None), (None, AUTHOR)])
def test_the_creator_stays(creators: tuple[str | None, str | None]) -> None:
    old, new = creators
    assert_refused(version(created_by_ref=old), version(created_by_ref=new, modified=NEXT), "created by")


def test_nothing_comes_after_a_revocation() -> None:
    revoked = version(revoked=True)
    assert_refused(revoked, version(modified=NEXT), "was revoked")
    assert_refused(revoked, version(modified=NEXT, revoked=True), "was revoked")


def test_a_revocation_that_comes_late_ends_what_is_held() -> None:
    assert_refused(version(modified=NEXT), version(revoked=True), "was revoked")


def test_a_marking_definition_never_changes() -> None:
    def marking(statement: str) -> Object:
        return read(
            versioned(
                "marking-definition", definition_type="statement", definition={"statement": statement}
            ).replace(b',"modified":"2022-07-15T08:00:00.000Z"', b"")
        )

    check_successor(marking("a"), marking("a"))
    assert_refused(marking("a"), marking("b"), "under the same version")


def test_observables_have_no_versions() -> None:
    check_successor(
        read(sco("url", value="https://a.example/")), read(sco("url", value="https://b.example/"))
    )


def test_two_objects_are_no_versions_of_one() -> None:
    with pytest.raises(ValueError, match="different ids"):
        check_successor(version(), version(id="indicator--11111111-1111-4111-8111-111111111111"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":[1,2]}', b' {"b" : [1.0, 2e0],\n"a": 1.00 } ', True),
        (b'{"a":"\\u00eb\\/"}', '{"a":"ë/"}'.encode(), True),
        (b'{"a":-0.0}', b'{"a":0}', True),
        (b'{"a":0.1}', b'{"a":0.10000000000000001}', True),
        (b'{"a":1e2}', b'{"a":100}', True),
        (b'{"a":[1,2]}', b'{"a":[2,1]}', False),
        (b'{"a":"1"}', b'{"a":1}', False),
        (b'{"a":true}', b'{"a":1}', False),
        (b'{"a":null}', b"{}", False),
        (b'{"a":"\xc3\xab"}', b'{"a":"e\xcc\x88"}', False),
        (b'{"a":1,"a":1}', b'{"a":1,"a":1}', False),
        (b'{"a":NaN}', b'{"a":NaN}', False),
        (b'{"a":9007199254740993}', b'{"a":9007199254740993}', False),
        (b"", b"", False),
        (b"[1]", b"[1]", False),
        (b"[" * 100_000, b"[" * 100_000, False),
    ],
)
def test_substance_is_what_the_canonical_form_says(one: bytes, other: bytes, same: bool) -> None:
    assert same_substance(one, other) is same
    assert same_substance(other, one) is same


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.randoms())
def test_order_and_layout_change_no_substance(data: dict[str, Any], random: Any) -> None:
    names = list(data)
    random.shuffle(names)
    compact = json.dumps(data, separators=(",", ":")).encode("utf-8")
    spread = json.dumps({name: data[name] for name in names}, indent=3).encode("utf-8")
    assert same_substance(compact, spread) is same_substance(compact, compact)


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_comparing_never_raises(one: bytes, other: bytes) -> None:
    assert same_substance(one, other) in (True, False)
