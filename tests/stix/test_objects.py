from contextlib import suppress
from hashlib import sha256

import pytest
import stix2  # type: ignore[import-untyped]  # ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stix.examples import AMBER, AUTHOR, RED, indicator, indicator_bytes, sco

from lezha.stix import Limits, StixError, TooLarge, encode, objects, read

words = st.text(max_size=20)


@given(
    name=words,
    custom=st.dictionaries(st.from_regex(r"x_[a-z]{3,9}(?<!_ref)", fullmatch=True), words, max_size=3),
    spaces=st.sampled_from(["", " ", "\n  ", "\t"]),
)
def test_bytes_survive_whatever_they_say(name: str, custom: dict[str, str], spaces: str) -> None:
    raw = indicator_bytes(name=name, **custom).replace(b'":', f'"{spaces}:{spaces}'.encode(), 1)
    read_again = read(raw)
    assert read_again.raw == raw
    assert read_again.sha256 == sha256(raw).hexdigest()


def test_whitespace_around_an_object_is_no_part_of_it() -> None:
    raw = indicator_bytes()
    assert read(b" \r\n\t" + raw + b"\n") == read(raw)


def test_an_object_tells_what_the_node_asks_of_it() -> None:
    read_object = read(indicator_bytes())
    assert read_object.id == "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
    assert read_object.type == "indicator"
    assert read_object.version == "2022-07-15T09:30:00.123000Z"
    assert read_object.created_by == AUTHOR
    assert read_object.labels == ("exercise",)
    assert read_object.markings == (AMBER,)
    assert read_object.refs == (AUTHOR,)
    assert not read_object.revoked
    assert read_object.data["name"] == "203.0.113.7"


def test_revoked_is_seen() -> None:
    assert read(indicator_bytes(revoked=True)).revoked


def test_a_marking_definition_has_the_version_of_its_creation() -> None:
    marking = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2022-07-15T08:00:00.500Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright"},
    }
    assert read(encode(marking)).version == "2022-07-15T08:00:00.500000Z"


def test_an_observable_has_no_version_and_no_creator() -> None:
    address = read(sco("ipv4-addr", value="203.0.113.7"))
    assert (address.version, address.created_by, address.labels) == ("", None, ())


def test_a_granular_marking_counts_for_the_whole_object() -> None:
    granular = [{"selectors": ["description"], "marking_ref": RED}]
    assert read(indicator_bytes(granular_markings=granular)).markings == (AMBER, RED)


def test_markings_of_embedded_observables_count_for_the_whole_object() -> None:
    data = {
        "type": "observed-data",
        "spec_version": "2.1",
        "id": "observed-data--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
        "first_observed": "2022-07-15T08:00:00Z",
        "last_observed": "2022-07-15T08:00:00Z",
        "number_observed": 1,
        "objects": {
            "0": {
                "type": "ipv4-addr",
                "id": "ipv4-addr--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
                "value": "203.0.113.7",
                "object_marking_refs": [RED],
            }
        },
    }
    assert read(encode(data)).markings == (RED,)


def test_ids_named_at_any_depth_are_references_except_its_own() -> None:
    one = "malware--11111111-1111-4111-8111-111111111111"
    two = "campaign--22222222-2222-4222-8222-222222222222"
    three = "tool--33333333-3333-4333-8333-333333333333"
    extension = "extension-definition--44444444-4444-4444-8444-444444444444"
    data = indicator(
        x_first_ref=one,
        x_self_ref="indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        x_ticket_ref="not an id",
        extensions={
            extension: {
                "extension_type": "property-extension",
                "deep": [[{"some_refs": [two, one, 7]}], {"last_ref": three}],
            }
        },
    )
    assert set(read(encode(data)).refs) == {AUTHOR, one, two, three}


def test_an_object_that_names_too_many_others_is_refused() -> None:
    named = [f"malware--11111111-1111-4111-8111-{n:012d}" for n in range(4)]
    read(indicator_bytes(x_many_refs=named), Limits(refs=6))
    with pytest.raises(TooLarge, match="more than 5"):
        read(indicator_bytes(x_many_refs=named), Limits(refs=5))


def test_an_error_names_the_object_the_clause_and_what_to_do() -> None:
    with pytest.raises(StixError) as caught:
        read(indicator_bytes(valid_until="2022-07-14T00:00:00Z"))
    assert caught.value.object_id == "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
    assert str(caught.value) == (
        "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f: valid_until is not later than valid_from "
        "(STIX 2.1 §4.7); correct it at its source and send it again."
    )


@pytest.mark.parametrize(
    "damage", [(b":85", b":NaN"), (b":85", b':85,"name":"x"'), (b"203", b"\xff"), (b"}", b"")]
)
def test_an_object_that_cannot_be_read_is_still_named(damage: tuple[bytes, bytes]) -> None:
    with pytest.raises(StixError) as caught:
        read(indicator_bytes().replace(*damage))
    assert caught.value.object_id == "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


def test_an_error_does_not_repeat_control_characters_of_a_hostile_object() -> None:
    with pytest.raises(StixError) as caught:
        read(indicator_bytes(id="indicator--\x1b[2J'; DROP TABLE contents; --/../../etc/passwd"))
    assert caught.value.object_id is None
    assert "\x1b" not in str(caught.value)


def test_what_is_taken_stix2_parses_too() -> None:
    assert stix2.parse(read(indicator_bytes()).raw).id == read(indicator_bytes()).id


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=5)
    | st.sampled_from([AUTHOR, RED, "2.1", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
EXTENSION = "extension-definition--44444444-4444-4444-8444-444444444444"
OTHER_NAMES = ["revoked", "extensions", "granular_markings", "external_references", "valid_until", "x_ref"]
names = st.sampled_from([*indicator(), *OTHER_NAMES])


@settings(max_examples=400)
@given(
    kind=st.sampled_from(
        ["indicator", "x-thing", "ipv4-addr", "marking-definition", "bundle", "observed-data"]
    ),
    changes=st.dictionaries(names, json_values, max_size=3),
    extension=json_values,
)
def test_no_object_raises_anything_but_a_stix_error(
    kind: str, changes: dict[str, object], extension: object
) -> None:
    identity = f"{kind}--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
    data = indicator(type=kind, id=identity, extensions={EXTENSION: {"extension_type": extension}}) | changes
    for candidate in (data, indicator(**changes)):
        with suppress(StixError):
            read(encode(candidate))


A, B = (f"tool--0000000{number}-0000-4000-8000-000000000000" for number in (1, 2))


@pytest.mark.parametrize(
    ("raw", "claimed"),
    [
        (f'{{"id":"{A}"}}', (A,)),
        (f' {{"id" : "{A}","x":{{"id":"{B}"}}}}', (A,)),
        (f'{{"x":{{"id":"{B}"}},"id":"{A}"}}', (A,)),
        (f'{{"id":"{A}","id":"{B}","id":"x","id":1}}', (A, B)),
        (f'{{"id":"{A}","\\u0069d":"{B}"}}', (A, B)),
        (f'{{"id":"{A}","x":{{"id":"{B}"}}', (A, B)),
        (f'[{{"id":"{A}"}},["id","{B}"]]', (A,)),
        (f'{{"id":"{A}","x":{"9" * 5000}}}', (A,)),
        (f'{{"id":"{A}","x":{"[" * 100_000}', (A,)),
        ('{"id":"x"}', ()),
        ("", ()),
    ],
    ids=range(11),
)
def test_all_ids_that_an_object_gives_itself_are_seen_though_it_can_t_be_taken(
    raw: str, claimed: tuple[str, ...]
) -> None:
    assert objects.claimed_ids(raw.encode()) == claimed
    of = raw.replace('"id"', '"of"').replace("\\u0069d", "\\u006ff")
    assert objects.claimed_ids(of.encode(), "of") == claimed


def test_bytes_that_are_no_text_are_looked_through() -> None:
    assert objects.claimed_ids(f'{{"id":"{A}","x":"'.encode() + b"\xff") == (A,)


@pytest.mark.parametrize(
    ("raw", "length"),
    [
        (indicator_bytes(pattern="[a:b = 'c']"), 11),
        (indicator_bytes(pattern="[a:b = '\u0444']"), 11),
        (indicator_bytes(pattern="[a:b = '\u0444']").replace("\u0444".encode(), b"\\u0444"), 11),
        (indicator_bytes(pattern="[a:b = 'c']").replace(b"pattern", b"p\\u0061ttern", 1), 11),
        (b'{"x":{"pattern":"12345"}}', 0),
        (b'{"pattern":12345}', 17),
        (b'{"pattern":"12345"', 18),
        (b"[" * 100_000, 100_000),
    ],
    ids=range(8),
)
def test_how_long_the_pattern_of_an_object_is_can_be_told_before_it_is_checked(
    raw: bytes, length: int
) -> None:
    assert objects.claimed_pattern(raw) == length
