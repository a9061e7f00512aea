"""The quick reader against the simple one, on input made to fall between them."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.stix import strict_json

from lezha.stix import Limits, StixError
from lezha.stix.parse import decode, decode_with_references

DEPTH = 6

spaces = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n"])
# Few names, so that many stand twice; some are the same name written otherwise.
names = st.sampled_from(
    [
        '"a"', '"\\u0061"', '"b"', '""', '":"', '"\\":"', '"a\\\\"', '" :"', '"x_ref"', '"x_refs"',
        '"\\ud83d\\ude00"', '"\U0001f600"', '"\\ud800"', '"ë"',
    ]
)  # fmt: skip
numbers = st.sampled_from(
    [
        "0", "-0", "-0.0", "01", "1.", ".5", "+1", "1e5", "1E+2", "0.1", "123456789.123456789", "5e-324",
        "9007199254740991", "-9007199254740991", "9007199254740992", "-9007199254740993", "9007199254740991.0",
        "9007199254740993.0", "1e16", "9223372036854775808", "18446744073709551616", "99999999999999999999999",
        "-99999999999999999999999", "1e308", "1e309", "-1e400", "1.7976931348623159e308", "NaN", "Infinity",
        "-Infinity", "2.2250738585072011e-308", "0.30000000000000004", "1e22", "1e23", "8.5e15",
    ]
)  # fmt: skip
strings = st.sampled_from(
    [
        '""', '":"', '" : "', '"\\":"', '"a\\" :"', '"\\\\"', '"\\\\\\":"', '"{[\\"x\\":["', '"\\u0000"', '"\t"',
        '"\x7f"', '"\\/"', '"\\x"', '"\\u12"', '"\\udc00"', '"\\ud83d"', '"\\ud83d\\ude00"', '"a--b"', "'a'",
        '"identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"', '"\u2028"', '"\ufeff"', '"',
    ]
)  # fmt: skip
words = st.sampled_from(["true", "false", "null", "nul", "True", "undefined", ""])


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    return "".join(draw(part) for part in (spaces, names, spaces, st.just(":"), spaces, values, spaces))


def joined(parts: list[str], brackets: str) -> str:
    return brackets[0] + ",".join(parts) + brackets[1]


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(members(values), max_size=4).map(lambda parts: joined(parts, "{}"))


texts = st.recursive(
    numbers | strings | words,
    lambda inner: objects(inner) | st.lists(inner, max_size=3).map(lambda parts: joined(parts, "[]")),
    max_leaves=10,
)
damages = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 2), st.binary(max_size=2) | st.sampled_from([b'"', b":"])),
    max_size=2,
)


def damaged(raw: bytes, damage: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in damage:
        raw = raw[:at] + put + raw[at + length :]
    return raw


def outcome(read: Any, raw: bytes) -> tuple[Any, ...]:
    try:
        return ("taken", repr(read(raw)))  # repr tells 0 from -0.0 and 1 from True
    except StixError as error:
        return ("refused", type(error), error.clause)


@settings(max_examples=1500, deadline=None)
@given(texts | objects(texts), damages)
@example('{"a" :1,"a":2}', [])
@example('{"a" :1,"a":":"}', [])
@example('{"a"\n:{"b":1},"a":{"b":2,"c":"\\":"}}', [])
@example('{"a":100000000000000000000}', [])
@example('{"a":[[[[[[1]]]]]]}', [])
def test_what_is_read_quickly_is_what_the_simple_reader_reads(
    text: str, damage: list[tuple[int, int, bytes]]
) -> None:
    raw = damaged(text.encode("utf-8"), damage)
    limits = Limits(depth=DEPTH)
    assert outcome(lambda raw: decode(raw, limits), raw) == outcome(
        lambda raw: strict_json.decode(raw, DEPTH), raw
    )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=30))
def test_any_bytes_are_read_as_the_simple_reader_reads_them(raw: bytes) -> None:
    for candidate in (raw, b'{"a":"' + raw + b'"}', b'{"' + raw + b'":1,"a":2}'):
        assert outcome(decode, candidate) == outcome(strict_json.decode, candidate)


@given(objects(texts))
def test_references_are_found_in_whichever_way_an_object_was_read(text: str) -> None:
    try:
        data, references = decode_with_references(text.encode("utf-8"))
    except StixError:
        return
    assert [name for name, _ in references] == list(reference_names(data))


def reference_names(node: Any) -> Any:
    if isinstance(node, list):
        for value in node:
            yield from reference_names(value)
    if isinstance(node, dict):
        for name, value in node.items():
            is_named = isinstance(value, list) or (isinstance(value, str) and "--" in value)
            if name.endswith(("_ref", "_refs")) and is_named:
                yield name
            yield from reference_names(value)
