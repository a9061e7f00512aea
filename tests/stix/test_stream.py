"""However a file is cut into chunks, its objects come out byte for byte; whatever is wrong with it is said where."""

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stix.examples import indicator_bytes
from tests.stix.test_bundle import json_texts, layouts

from lezha.stix import (
    DuplicateKey,
    Invalid,
    Limits,
    NotJson,
    StixError,
    TooLarge,
    WrongVersion,
    slices,
    stream,
    write,
)
from lezha.stix.stream import Element, Skipped, Splitter

ONE = indicator_bytes()
TWO = indicator_bytes(id="indicator--11111111-1111-4111-8111-111111111111", name="two")
SMALL = Limits(object_bytes=1000)


def pieces(raw: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    at = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return (raw[start:end] for start, end in pairwise(at))


def take_apart(raw: bytes, cuts: Iterable[int] = (), limits: Limits | None = None) -> list[Element | Skipped]:
    """Take it apart object by object, and in bulk: that must be the same."""
    cuts = list(cuts)
    outcomes = []
    for bulk in (len(raw) + 1, 0):
        with patch.object(stream, "_BULK", bulk):
            splitter = Splitter(limits or Limits())
            found = [one for chunk in pieces(raw, cuts) for one in splitter.feed(chunk)]
            splitter.finish()
            outcomes.append(found)
    assert [(one.end, type(one)) for one in outcomes[0]] == [(one.end, type(one)) for one in outcomes[1]]
    return outcomes[1]


def raws(raw: bytes, cuts: Iterable[int] = ()) -> list[bytes]:
    found = take_apart(raw, cuts)
    for one in found:
        assert isinstance(one, Element)
        assert raw[: one.end].endswith(one.raw)
    return [one.raw for one in found if isinstance(one, Element)]


def until_error(raw: bytes, cuts: Iterable[int] = ()) -> tuple[int, StixError]:
    """How many objects came before the error, and the error."""
    splitter, count = Splitter(), 0
    try:
        for chunk in pieces(raw, cuts):
            for _ in splitter.feed(chunk):
                count += 1
        splitter.finish()
    except StixError as error:
        return count, error
    raise AssertionError("nothing is wrong with it")


cuts = st.lists(st.integers(0, 1 << 20), max_size=12)
deep = st.integers(1, 12).map(lambda levels: json.loads("[" * levels + '"]"' + "]" * levels))
elements = st.lists(st.tuples(json_texts | deep, layouts, st.sampled_from(["", " ", "\n\t"])), max_size=6)


def layout(told: list[tuple[Any, Any, str]], objects_only: bool = False) -> list[tuple[str, str]]:
    return [
        (
            json.dumps(
                {"v": value} if objects_only else value, indent=indent, separators=marks, ensure_ascii=False
            ),
            space,
        )
        for value, (indent, marks), space in told
    ]


# --- what is taken --------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    told=elements,
    kind=st.sampled_from(
        ['"type":"bundle",', ' "type" : "bundle" ,\n"id":"x",', "", '"more":true,', '"\\u0061":[{}],']
    ),
    after=st.sampled_from(["", ',"x":{"objects":[1]}', ' , "spec_version":"2.1"', ' ,\n"y":1 ']),
    damage=st.sampled_from(["", "NaN", '"\\ud800"', "tru"]),
    cuts=cuts,
)
def test_a_bundle_cut_anywhere_gives_what_it_gives_as_a_whole(
    told: list[tuple[Any, Any, str]], kind: str, after: str, damage: str, cuts: list[int]
) -> None:
    texts = [*layout(told), *([(damage, "")] if damage else [])]
    inside = ",".join(space + text + space for text, space in texts)
    raw = f' {{{kind}"objects":[{inside}]{after}}}\n'.encode()
    assert raws(raw, cuts) == [text.encode() for text, _ in texts] == slices(raw)


@settings(max_examples=200, deadline=None)
@given(told=elements, cuts=cuts, kind=st.sampled_from(["list", "row", "lines"]))
def test_lists_and_rows_of_objects_give_each_byte_for_byte(
    told: list[tuple[Any, Any, str]], cuts: list[int], kind: str
) -> None:
    texts = layout(told, objects_only=True)
    if kind == "list":
        raw = "[" + ",".join(space + text + space for text, space in texts) + "]"
    else:
        raw = "".join(space + text + ("\n" if kind == "lines" else "") for text, space in texts) or '{"v":1}'
    expected = [text.encode() for text, _ in texts] or ([] if kind == "list" else [b'{"v":1}'])
    assert raws(raw.encode(), cuts) == expected


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(st.text(max_size=5), json_texts, max_size=4), shape=layouts, cuts=cuts)
def test_an_object_alone_is_given_as_it_stands(value: dict[str, Any], shape: Any, cuts: list[int]) -> None:
    indent, marks = shape
    raw = json.dumps({"type": "x"} | value, indent=indent, separators=marks).encode()
    assert raws(b"\n" + raw + b"\n", cuts) == [raw]


@pytest.mark.parametrize(
    "raw", [b'{"type":"bundle"}', b'{"objects":[]}', b'{"type":"bundle","objects":[ \n]}', b"[ ]"]
)
def test_a_file_may_hold_nothing(raw: bytes) -> None:
    assert raws(raw, range(100)) == []


@settings(max_examples=100, deadline=None)
@given(cuts=cuts, kind=st.sampled_from(["bundle", "list", "lines"]))
def test_after_a_jump_it_goes_on_with_the_next_object(cuts: list[int], kind: str) -> None:
    parts = [indicator_bytes(name=f"number {number}") for number in range(5)]
    raw = {"bundle": write(parts), "list": b"[" + b" , ".join(parts) + b"]", "lines": b"\n".join(parts)}[kind]
    for number, one in enumerate(take_apart(raw)):
        splitter = Splitter()
        while not splitter.begun:
            next(iter(splitter.feed(raw)))
        splitter.jump(one.end)
        rest = [again for chunk in pieces(raw[one.end :], cuts) for again in splitter.feed(chunk)]
        splitter.finish()
        assert [again.raw for again in rest if isinstance(again, Element)] == parts[number + 1 :]
        assert [again.end for again in rest] == [again.end for again in take_apart(raw)][number + 1 :]


@pytest.mark.parametrize("between", [b",", b" ,\n  ", b"\n", b"\r\n", b"\n\n", b" "], ids=repr)
@pytest.mark.parametrize(
    "bad", [None, b'{"a":NaN}', b"[" * 20 + b"]" * 20, b'{"a":[{"type":"b"},{"type":"c"}]}']
)
def test_many_objects_come_out_in_order_with_their_offsets(between: bytes, bad: bytes | None) -> None:
    parts = [indicator_bytes(name=f"number {number}") for number in range(400)]
    if bad is not None and (b"," in between or bad.startswith(b"{")):
        parts[50:50] = parts[250:250] = [bad]
    raw = between.join(parts)
    raw = b"[ " + raw + b" ]" if b"," in between else raw + b"\n"
    for size in (20_000, 100_000, 1 << 20):
        splitter = Splitter()
        found = [one for at in range(0, len(raw), size) for one in splitter.feed(raw[at : at + size])]
        splitter.finish()
        assert [raw[one.end - len(part) : one.end] for one, part in zip(found, parts, strict=True)] == parts
        assert [one.raw for one in found if isinstance(one, Element)] == parts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b'{"a":1}', b"7", b"{", b'{"b":[1,\n2]}', b"", b'"x"', b"[1]"]), max_size=6))
def test_lines_that_are_no_objects_end_a_row_in_bulk_as_they_do_one_by_one(lines: list[bytes]) -> None:
    outcomes = []
    for bulk in (0, 1 << 20):
        splitter, found = Splitter(), list[object]()
        with patch.object(stream, "_BULK", bulk):
            try:
                for one in splitter.feed(b"{}\n" + b"\n".join(lines) + b"\n"):
                    found.append(one)
                splitter.finish()
            except StixError as error:
                found.append(str(error))
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]


# --- objects that are too large -------------------------------------------------------------------------------------


LARGE = indicator_bytes(id="indicator--22222222-2222-4222-8222-222222222222", description="x" * 3000)


@settings(max_examples=100, deadline=None)
@given(cuts=cuts, kind=st.sampled_from(["bundle", "list", "lines", "first of lines", "word", "string"]))
def test_an_object_that_is_too_large_is_passed_over_and_named(cuts: list[int], kind: str) -> None:
    raw = {
        "bundle": write([ONE, LARGE, TWO]),
        "list": b"[" + b",".join([ONE, LARGE, TWO]) + b"]",
        "lines": b"\n".join([ONE, LARGE, TWO]),
        "first of lines": b"\n".join([LARGE, ONE, TWO]),
        "word": b"[" + ONE + b"," + b"1" * 3000 + b"," + TWO + b"]",
        "string": b"[" + ONE + b',"' + b"\\n" * 1500 + b'",' + TWO + b"]",
    }[kind]
    found = take_apart(raw, cuts, SMALL)
    assert [one.raw for one in found if isinstance(one, Element)] == [ONE, TWO]
    [skipped] = [one for one in found if isinstance(one, Skipped)]
    assert "1,000 per object" in str(skipped.error)
    assert raw[skipped.end - 1 : skipped.end] in (b"}", b"1", b'"')
    if kind not in ("word", "string"):
        assert skipped.error.object_id == "indicator--22222222-2222-4222-8222-222222222222"


def test_an_object_of_the_largest_size_is_taken() -> None:
    limits = Limits(object_bytes=len(ONE))
    for raw in (ONE, write([ONE]), write([ONE, ONE])):
        assert all(isinstance(one, Element) for one in take_apart(raw, limits=limits))
    smaller = Limits(object_bytes=len(ONE) - 1)
    for raw in (ONE, write([ONE]), write([ONE, ONE])):
        assert all(isinstance(one, Skipped) for one in take_apart(raw, limits=smaller))


@pytest.mark.parametrize("inside", [b"[", b'"', b'{"', b'[]"', b" ", b'\\"'], ids=repr)
@pytest.mark.parametrize("head", [b'{"type":"x","y":', b'[{"y":"', b'{"objects":[{"y":', b"["])
def test_hostile_input_without_end_costs_no_memory(head: bytes, inside: bytes) -> None:
    splitter, chunk = Splitter(Limits(object_bytes=64_000)), inside * (16_000 // len(inside))
    tracemalloc.start()
    try:
        for data in [head, *[chunk] * 60]:
            for _ in splitter.feed(data):
                pass
    except StixError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 600_000


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "before", "error", "words"),
    [
        (b"", 0, NotJson, "it is empty"),
        (b"  \n", 0, NotJson, "it is empty"),
        (b"%PDF-1.7", 0, NotJson, "not a JSON object"),
        (b"\x1f\x8b\x08", 0, NotJson, "not a JSON object"),
        (b"\xef\xbb\xbf" + write([ONE]), 0, NotJson, "byte order mark"),
        (b"<stix:STIX_Package/>" + b" " * 9000, 0, WrongVersion, "stix2-elevator"),
        (b'{"type":"bundle","spec_version":"2.0","objects":[' + ONE + b"]}", 0, WrongVersion, "stix2-elevator"),
        (b'{"objects":[' + ONE + b'],"spec_version":"2.0"}', 1, WrongVersion, "stix2-elevator"),
        (b'{"objects":[' + ONE + b'],"objects":[' + TWO + b"]}", 1, DuplicateKey, '"objects" twice'),
        (b'{"objects":[' + ONE + b'],"\\u006fbjects":[' + TWO + b"]}", 1, DuplicateKey, '"objects" twice'),
        (b'{"objects":1,"objects":[' + TWO + b"]}", 0, DuplicateKey, '"objects" twice'),
        (b'{"type":"bundle","id":1,"id":2,"objects":[]}', 0, DuplicateKey, '"id" twice'),
        (b'{"objects":[],"more":{"a":1,"a":2}}', 0, DuplicateKey, '"a" twice'),
        (b'{"objects":[],"more":NaN}', 0, NotJson, "NaN"),
        (b'{"objects":[' + ONE + b'],"type":"report"}', 1, Invalid, "not bundle"),
        (b'{"type":"bundle","objects":{}}', 0, Invalid, "not a list"),
        (b'{"objects":7}', 0, Invalid, "not a list"),
        (write([ONE, TWO])[:-30], 1, NotJson, f"ends at byte {len(write([ONE, TWO])) - 30:,} before the list"),
        (write([ONE, TWO])[:-2], 2, NotJson, "before the list of objects does"),
        (write([ONE, TWO])[:-1], 2, NotJson, "before the bundle does"),
        (ONE + b"\n" + TWO[:-9], 1, NotJson, "before the last object does"),
        (write([ONE, TWO])[:-2] + b",]}", 2, NotJson, "an object was due"),
        (write([ONE, TWO]) + b"}", 2, NotJson, "nothing more was due"),
        (write([ONE, TWO]) + write([ONE]), 2, NotJson, "nothing more was due"),
        (b"[" + ONE + TWO + b"]", 1, NotJson, f"at byte {len(ONE) + 1:,} there is"),
        (b"[" + ONE + b" garbage," + TWO + b"]", 1, NotJson, "a comma or the end of the list was due"),
        (b"[" + ONE + b',12"x"]', 2, NotJson, "a comma or the end of the list was due"),
        (b"[" + ONE + b",,1]", 1, NotJson, "an object was due"),
        (b"[,]", 0, NotJson, "an object was due"),
        (b"[" + ONE + b"}", 1, NotJson, "a comma or the end"),
        (ONE + b"," + TWO, 1, NotJson, "another object"),
        (ONE + b"\nhello", 1, NotJson, "another object"),
        (b"{1:2}", 0, NotJson, "a name in quotes"),
        (b'{"a" 2}', 0, NotJson, "a colon"),
        (b'{"a":}', 0, NotJson, "a value"),
        (b'{"a":1 "b":2}', 0, NotJson, "a comma or a closing brace"),
        (b'{"a":1,}', 0, NotJson, "a name in quotes"),
        (b'{"a\xff":1}', 0, NotJson, "can't be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_after_what_came_before_it(
    raw: bytes, before: int, error: type[StixError], words: str
) -> None:
    for cuts in ((), range(0, len(raw), 7), range(len(raw))):
        count, found = until_error(raw, cuts)
        assert (count, type(found)) == (before, error)
        assert words in str(found)


def test_a_bundle_with_too_much_beside_its_list_is_refused() -> None:
    for raw in (
        b'{"type":"bundle","x":"' + b"x" * (1 << 20) + b'"',
        b'{"objects":[],"x":"' + b"x" * (1 << 20),
    ):
        count, found = until_error(raw)
        assert (count, type(found)) == (0, TooLarge)


def test_a_bad_object_is_given_like_any_other() -> None:
    bad = [b'{"a":NaN}', b'{"a":[1}]', b'{"\xff"}', b"[" * 70 + b"]" * 70, b"{}"]
    raw = b'{"objects":[' + b",".join([ONE, *bad, TWO]) + b"]}"
    assert raws(raw) == raws(raw, range(len(raw))) == [ONE, *bad, TWO]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), cuts)
def test_no_input_raises_anything_but_a_stix_error_and_chunks_change_nothing(
    raw: bytes, cuts: list[int]
) -> None:
    for candidate in (
        raw,
        b'{"objects":[' + raw,
        b'{"objects":[' + raw + b"]}",
        b'{"type":' + raw + b"}",
        b"[" + raw,
    ):
        outcomes = []
        for at, bulk in product(((), cuts), (0, 1 << 20)):
            splitter, found = Splitter(), list[object]()
            with patch.object(stream, "_BULK", bulk):
                try:
                    for chunk in pieces(candidate, at):
                        for one in splitter.feed(chunk):
                            found.append(one)
                    splitter.finish()
                except StixError as error:
                    found.append(type(error))
            outcomes.append(found)
        assert outcomes[1:] == outcomes[:1] * 3
