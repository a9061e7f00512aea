"""Every kind of bad input is refused for what is wrong with it, and costs nothing of what stands beside it."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stix.bad import general, objects, observables, text
from tests.stix.bad.case import Case, Whole
from tests.stix.examples import AMBER, AUTHOR, SOME_ID, indicator, indicator_bytes, versioned

import lezha.stix
from lezha.stix import Object, StixError, WrongVersion, encode, read, split, write

BEFORE = versioned("tool", name="before", id="tool--22222222-2222-4222-8222-222222222222")
AFTER = versioned("tool", name="after", id="tool--33333333-3333-4333-8333-333333333333")

CASES = [
    *general.IDENTIFIERS,
    *general.TYPES,
    *general.DAYS,
    *general.GENERAL,
    *objects.OBJECTS,
    *objects.META,
    *observables.OBSERVABLES,
    *observables.CONTAINER,
    *text.JSON,
]
WHOLE = text.WHOLE

cases = pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])


@cases
def test_what_is_sound_is_taken(case: Case) -> None:
    assert read(case.sound).raw == case.sound


@cases
def test_what_is_bad_is_refused_under_its_clause_and_named(case: Case) -> None:
    with pytest.raises(StixError) as caught:
        read(case.bad)
    assert (type(caught.value), caught.value.clause) == (case.error, case.clause), str(caught.value)
    assert caught.value.object_id == case.object_id


@cases
def test_what_is_bad_costs_nothing_of_what_stands_beside_it(case: Case) -> None:
    before, bad, after = split(b'{"type":"bundle","objects":[' + b",".join((BEFORE, case.bad, AFTER)) + b"]}")
    assert isinstance(before, Object)
    assert isinstance(after, Object)
    assert (before.raw, after.raw) == (BEFORE, AFTER)
    assert isinstance(bad, StixError)
    assert (type(bad), bad.clause, bad.object_id) == (case.error, case.clause, case.object_id)


@cases
def test_no_error_carries_control_characters_or_the_whole_object(case: Case) -> None:
    with pytest.raises(StixError) as caught:
        read(case.bad)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("whole", WHOLE, ids=[whole.claim for whole in WHOLE])
def test_what_cannot_be_taken_apart_is_refused_as_a_whole(whole: Whole) -> None:
    with pytest.raises(StixError) as caught:
        list(split(whole.raw))
    assert (type(caught.value), caught.value.clause) == (whole.error, whole.clause)


def test_every_clause_that_the_code_cites_has_its_bad_case() -> None:
    kept = {case.clause for case in CASES} | {whole.clause for whole in WHOLE}
    folder = Path(lezha.stix.__file__).parent
    # What only the splitter of streams says has its cases in test_stream.py.
    files = [file for file in sorted(folder.glob("*.py")) if file.name != "stream.py"]
    code = "".join(file.read_text("utf-8") for file in files)
    cited = set(re.findall(r'clause="((?:STIX|RFC|limit) [^"]+)"', code))
    assert cited - kept == set()


@pytest.mark.parametrize("whole", [whole for whole in WHOLE if whole.error is WrongVersion])
def test_older_stix_is_refused_with_the_tool_that_upgrades_it(whole: Whole) -> None:
    with pytest.raises(WrongVersion, match="stix2-elevator"):
        list(split(whole.raw))


json_values = st.recursive(
    st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([AMBER, AUTHOR, "2022-02-30", "\0", '":', "\U0001f600"]),
    lambda inner: (
        st.lists(inner | st.none(), min_size=1, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner | st.none(), min_size=1, max_size=3)
    ),
    max_leaves=8,
)
# Every property that a case names, with what it holds there and with what no schema expects.
said = [json.loads(raw) for case in CASES if case not in text.JSON for raw in (case.sound, case.bad)]
stated = st.sampled_from([(name, value) for data in said for name, value in data.items()])
odd = st.none() | st.sampled_from(
    [[], {}, "", 0, -1, True, [None], [[]], {"a": None}, {"0": {}}, [{}], ["a"]]
)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(said),
    st.lists(stated, max_size=3),
    st.dictionaries(stated.map(lambda pair: pair[0]), odd | json_values, max_size=2),
)
def test_nothing_that_an_object_says_raises_anything_but_a_stix_error(
    data: dict[str, Any], more: list[tuple[str, Any]], odd_ones: dict[str, Any]
) -> None:
    raw = encode(data | dict(more) | odd_ones | {"type": data["type"], "id": data.get("id")})
    with suppress(StixError):
        assert read(raw).raw == raw


custom = st.dictionaries(
    st.from_regex(r"x_[a-z0-9_]{1,20}(?<!_bin)(?<!_hex)", fullmatch=True), json_values, max_size=4
)
known: list[dict[str, Any]] = [
    indicator(),
    {"type": "url", "id": f"url--{SOME_ID}", "value": "https://a.example/"},
    {
        "type": "x-thing", "spec_version": "2.1", "id": f"x-thing--{SOME_ID}", "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
    },
    {"type": "x-observable", "id": f"x-observable--{SOME_ID}"},
]  # fmt: skip
layouts = st.sampled_from([(",", ":"), (", ", ": "), (",\n  ", " : "), ("\t,\r\n", "\n:\t")])


def written(data: dict[str, Any], layout: tuple[str, str], ascii_only: bool) -> bytes:
    return json.dumps(data, separators=layout, ensure_ascii=ascii_only).encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(known), custom, layouts, st.booleans()), max_size=4))
def test_objects_go_through_a_bundle_byte_for_byte_whatever_they_hold(
    parts: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str], bool]],
) -> None:
    raws = [written(data | more, layout, ascii_only) for data, more, layout, ascii_only in parts]
    taken = list(split(write(raws)))
    assert [one.raw for one in taken if isinstance(one, Object)] == raws
    assert write(one for one in taken if isinstance(one, Object)) == write(raws)


@given(json_values)
def test_extensions_and_custom_properties_pass_unharmed(value: object) -> None:
    extension = "extension-definition--11111111-1111-4111-8111-111111111111"
    held = {"extension_type": "property-extension", "whatever": value}
    raw = encode(indicator(extensions={extension: held}, x_whatever=value))
    assert read(raw).raw == raw
    assert read(indicator_bytes(x_whatever=[{"deep": [[], None, {}]}])).data["x_whatever"] == [
        {"deep": [[], None, {}]}
    ]
