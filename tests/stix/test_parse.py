import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.stix import DuplicateKey, Invalid, Limits, NotJson, StixError, TooLarge
from lezha.stix.parse import decode

LARGEST = 2**53 - 1

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5), st.booleans())
def test_what_json_writes_is_read_as_it_was(data: dict[str, object], ascii_only: bool) -> None:
    assert decode(json.dumps(data, ensure_ascii=ascii_only).encode()) == data


@pytest.mark.parametrize(
    "text",
    [
        '{"tlp":"red","tlp":"clear"}',
        '{"a":{"tlp":"red","b":1,"tlp":"red"}}',
        '{"a":[{"x":1},{"tlp":"red","tlp":"clear"}]}',
        '{"tlp":"red","\\u0074lp":"clear"}',
    ],
)
def test_a_name_given_twice_is_refused_at_any_depth(text: str) -> None:
    with pytest.raises(DuplicateKey, match=r'"tlp" twice \(RFC 8259 §4\)'):
        decode(text.encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[1]",
        b"null",
        b'{"a":1}{',
        b'{"a":1,}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"{'a':1}",
        b'{"a":"\x01"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\uDC00 x"}',
        b'{"\\ud800":1}',
        b'\xef\xbb\xbf{"a":1}',
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_not_a_json_object_in_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(NotJson):
        decode(raw)


@pytest.mark.parametrize("digits", [str(2**53), str(-(2**53)), "9" * 5000, "1e999", "-1e999"])
def test_a_number_that_a_double_cannot_hold_is_refused(digits: str) -> None:
    with pytest.raises(Invalid):
        decode(b'{"a":' + digits.encode() + b"}")


@pytest.mark.parametrize("digits", [LARGEST, -LARGEST, 0])
def test_the_largest_integers_are_taken(digits: int) -> None:
    assert decode(b'{"a":%d}' % digits) == {"a": digits}


def test_a_surrogate_pair_is_one_character() -> None:
    assert decode(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_nesting_is_taken_up_to_the_limit_and_no_further() -> None:
    limits = Limits(depth=4)
    assert decode(b'{"a":[[[]]]}', limits)
    with pytest.raises(TooLarge, match="deeper than the 4 levels"):
        decode(b'{"a":[[[[]]]]}', limits)


def test_brackets_within_strings_are_not_nesting() -> None:
    assert decode(b'{"a":"[[[[\\"[[[[{{{{","b":[]}', Limits(depth=2))


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'[{"a":'])
def test_a_nesting_bomb_is_refused_before_it_is_parsed(unit: bytes) -> None:
    with pytest.raises(TooLarge):
        decode(b'{"a":' + unit * 100_000)


def test_an_object_past_the_size_limit_is_refused() -> None:
    with pytest.raises(TooLarge, match="11 bytes and this node takes 10"):
        decode(b'{"a":12345}', Limits(object_bytes=10))


@given(st.binary(max_size=40))
def test_no_input_raises_anything_but_a_stix_error(raw: bytes) -> None:
    for candidate in (raw, b"{" + raw + b"}", b'{"a":' + raw + b"}"):
        with suppress(StixError):
            decode(candidate)
