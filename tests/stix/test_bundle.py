import json

import pytest
import stix2  # type: ignore[import-untyped]  # ships no types
from hypothesis import given
from hypothesis import strategies as st
from tests.stix.examples import indicator_bytes

from lezha.stix import (
    DuplicateKey,
    Invalid,
    Limits,
    NotJson,
    Object,
    StixError,
    TooLarge,
    WrongVersion,
    read,
    slices,
    split,
    write,
)

ONE = indicator_bytes()
TWO = indicator_bytes(id="indicator--11111111-1111-4111-8111-111111111111", name="two")


def objects(raw: bytes, limits: Limits | None = None) -> list[Object]:
    given_objects = list(split(raw, limits or Limits()))
    assert all(isinstance(one, Object) for one in given_objects), given_objects
    return [one for one in given_objects if isinstance(one, Object)]


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
layouts = st.sampled_from([(None, (",", ":")), (None, (" ,  ", " :\t")), (1, (",", ": ")), (2, (" , ", ":"))])


@given(
    elements=st.lists(st.tuples(json_texts, layouts, st.sampled_from(["", " ", "\n\t"])), max_size=5),
    kind=st.sampled_from(['"type":"bundle",', ' "type" : "bundle" ,\n"id":"x",', "", '"more":true,']),
    after=st.sampled_from(["", ',"x":{"objects":[1]}', ' , "spec_version":"2.1"']),
    damage=st.sampled_from(["", " NaN", ' "\\ud800"']),
)
def test_taking_apart_gives_every_element_byte_for_byte(
    elements: list[tuple[object, tuple[int | None, tuple[str, str]], str]], kind: str, after: str, damage: str
) -> None:
    texts = [
        (json.dumps(value, indent=indent, separators=separators, ensure_ascii=False), space)
        for value, (indent, separators), space in elements
    ]
    if damage:  # what msgspec refuses as a whole, so that the careful reader gets its turn
        texts.append((damage.strip(), ""))
    inside = ",".join(space + text + space for text, space in texts)
    raw = f'{{{kind}"objects":[{inside}]{after}}}'.encode()
    assert slices(raw) == [text.encode() for text, _ in texts]


@given(st.lists(st.sampled_from([ONE, TWO, indicator_bytes(description="ë €")]), min_size=1, max_size=4))
def test_a_bundle_that_is_written_holds_the_same_bytes(parts: list[bytes]) -> None:
    raw = write(parts)
    assert [one.raw for one in objects(raw)] == parts
    assert raw == write([read(part) for part in parts])
    assert len(stix2.parse(raw).objects) == len(parts)


def test_a_bundle_of_nothing_has_no_list() -> None:
    assert b"objects" not in write([])
    assert slices(write([])) == []


def test_one_object_alone_is_taken() -> None:
    assert [one.raw for one in objects(b"\n" + ONE + b"\n")] == [ONE]


def test_a_taxii_envelope_is_taken() -> None:
    assert [one.raw for one in objects(b'{"more":false,"objects":[' + ONE + b"," + TWO + b"]}")] == [ONE, TWO]


@pytest.mark.parametrize(
    "raw", [b'{"type":"bundle"}', b'{"objects":[]}', b'{"type":"bundle","objects":[ \n]}']
)
def test_a_bundle_may_be_empty(raw: bytes) -> None:
    assert slices(raw) == []


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (b"NaN", NotJson),
        (b'"\\ud800"', NotJson),
        (b'"\xff"', NotJson),
        (b"tru", NotJson),
        (b"1e999", Invalid),
        (b"9007199254740993", Invalid),
        (b'85,"confidence":5', DuplicateKey),
        (b"[" * 70 + b"]" * 70, TooLarge),
        (b"101", Invalid),
        (b'85,"spec_version":"2.0"', DuplicateKey),
    ],
)
def test_one_bad_object_never_spoils_those_beside_it(part: bytes, error: type[StixError]) -> None:
    bad = TWO.replace(b":85", b":" + part)
    first, second, third = split(b'{"type":"bundle","objects":[' + b" ,\n".join([ONE, bad, ONE]) + b"]}")
    assert isinstance(first, Object)
    assert isinstance(third, Object)
    assert type(second) is error
    assert second.object_id == "indicator--11111111-1111-4111-8111-111111111111"


def test_elements_that_are_no_objects_are_errors_of_their_own() -> None:
    found = list(split(b'{"objects":[1,"a",{},[],null,' + ONE + b"]}"))
    assert [isinstance(one, StixError) for one in found] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"bundle","type":"bundle","objects":[]}',
        b'{"objects":[' + ONE + b'],"objects":[' + TWO + b"]}",
        b'{"objects":[' + ONE + b'],"objects":[' + ONE + b"]}",
        b'{"objects":[],"\\u006fbjects":[' + ONE + b"]}",
        b'{"objects":[NaN],"objects":[]}',
        b'{"more":1,"more":12,"objects":[]}',
        b'{"more":{"a":1,"a":2},"objects":[]}',
    ],
)
def test_a_bundle_that_names_a_property_twice_is_refused_whole(raw: bytes) -> None:
    with pytest.raises(DuplicateKey):
        split(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   \n",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"<html></html>",
        b"[" + ONE + b"]",
        write([ONE, TWO])[:-30],
        write([ONE, TWO])[:-2] + b",]}",
        write([ONE, TWO]) + b"}",
        b'{"objects":[,]}',
        b'{"objects":[NaN,,1]}',
        b'{"objects":[NaN]',
        b'{"type":NaN,"objects":[]}',
        b'{"type":"\xff","objects":[]}',
        b'{"id":"\xff","objects":[]}',
        b'\xef\xbb\xbf{"objects":[]}',
        b"[" * 1_000_000,
    ],
)
def test_a_wrong_or_damaged_file_is_refused_whole(raw: bytes) -> None:
    with pytest.raises(NotJson):
        split(raw)


@pytest.mark.parametrize("raw", [b'{"type":"bundle","objects":{}}', b'{"objects":1}'])
def test_objects_that_are_no_list_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid, match="not a list"):
        split(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'<stix:STIX_Package xmlns:stix="http://stix.mitre.org/stix-1" version="1.2">',
        b'<?xml version="1.0"?>\n<stix:STIX_Package/>',
        b'{"type":"bundle","spec_version":"2.0","id":"bundle--1","objects":[]}',
        b'{"type":"bundle","spec_version":"2.0","objects":[NaN]}',
    ],
)
def test_stix_1_and_2_0_are_refused_whole_with_the_tool_that_upgrades_them(raw: bytes) -> None:
    with pytest.raises(WrongVersion, match="stix2-elevator"):
        split(raw)


@pytest.mark.parametrize("head", [b'{"a":', b'{"objects":[', b'{"type":"bundle","objects":[{"a":['])
def test_a_nesting_bomb_is_refused_in_one_sentence(head: bytes) -> None:
    with pytest.raises(TooLarge, match="nests deeper"):
        split(head + b"[" * 1_000_000)


def test_a_bundle_past_the_size_limit_is_refused() -> None:
    with pytest.raises(TooLarge, match="at once"):
        split(write([ONE]), Limits(bundle_bytes=100))


def test_an_object_past_the_size_limit_is_an_error_of_its_own() -> None:
    large = indicator_bytes(description="x" * 2000)
    first, second = split(write([large, ONE]), Limits(object_bytes=1000))
    assert isinstance(first, TooLarge)
    assert isinstance(second, Object)


@pytest.mark.parametrize("tiny", [b"{}", b"1", ONE])
def test_too_many_objects_are_refused_before_they_are_taken_apart(tiny: bytes) -> None:
    many = b'{"objects":[' + b",".join([tiny] * 11) + b"]}"
    assert len(slices(many, Limits(objects=11))) == 11
    with pytest.raises(TooLarge, match="more than 10 objects"):
        slices(many, Limits(objects=10))


@given(st.binary(max_size=60))
def test_no_input_raises_anything_but_a_stix_error(raw: bytes) -> None:
    for candidate in (raw, b'{"objects":[' + raw, b'{"objects":[' + raw + b"]}", b'{"type":' + raw + b"}"):
        try:
            for one in split(candidate):
                assert isinstance(one, StixError)
        except StixError:
            pass
