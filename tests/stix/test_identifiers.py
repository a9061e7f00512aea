from typing import Any

import pytest
import stix2.registry  # type: ignore[import-untyped]  # ships no types
from hypothesis import given
from hypothesis import strategies as st
from tests.stix.examples import OBSERVABLE, SOME_ID, sco

from lezha.stix import read
from lezha.stix.clauses import OBSERVABLE_OBJECTS
from lezha.stix.identifiers import CONTRIBUTING, deterministic_id, type_of


def test_every_observable_has_its_contributing_properties() -> None:
    assert set(CONTRIBUTING) == set(OBSERVABLE_OBJECTS)


@pytest.mark.parametrize(
    ("properties", "identifier"),
    [
        ({"type": "ipv4-addr", "value": "198.51.100.3"}, "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"),
        (
            {"type": "domain-name", "value": "example.com"},
            "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
        ),
        ({"type": "mutex", "name": "__CLEANSWEEP__"}, "mutex--f93fe911-e545-5239-b9b0-597840d0c871"),
        (
            {"type": "autonomous-system", "number": 15139},
            "autonomous-system--3aa27478-50b5-5ab8-9da9-cdc12b657fff",
        ),
        (
            {"type": "email-addr", "value": "john@example.com"},
            "email-addr--7165e2a9-671f-585d-b1e1-ca59c671d934",
        ),
        (
            {"type": "windows-registry-key", "key": "HKEY_LOCAL_MACHINE\\System\\Foo\\Bar"},
            "windows-registry-key--1884b770-b679-522a-a9c7-45fadaaec7bb",
        ),
    ],
)
def test_the_ids_of_the_specification_s_examples_are_found_again(
    properties: dict[str, Any], identifier: str
) -> None:
    assert deterministic_id(properties) == identifier


@pytest.mark.parametrize("kind", sorted(set(OBSERVABLE) - {"process", "email-message"}))
def test_ids_are_those_that_the_library_of_oasis_gives(kind: str) -> None:
    raw = sco(kind, **OBSERVABLE[kind])
    properties = {name: value for name, value in read(raw).data.items() if name != "id"}
    library = stix2.registry.STIX2_OBJ_MAPS["2.1"]["observables"][kind]
    del properties["type"]
    assert deterministic_id({"type": kind, **properties}) == library(**properties)["id"]


def test_of_several_hashes_the_first_of_the_order_counts() -> None:
    hashes = {"SHA-256": "a" * 64, "SHA-1": "b" * 40, "TLSH": "c" * 70}
    one = {"type": "file", "hashes": {"SHA-1": "b" * 40}}
    assert deterministic_id({"type": "file", "hashes": hashes}) == deterministic_id(one)


def test_what_does_not_contribute_does_not_change_the_id() -> None:
    bare = {"type": "url", "value": "https://a.example/"}
    assert deterministic_id(bare | {"defanged": False, "x_note": "a", "id": "url--1"}) == deterministic_id(
        bare
    )


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"type": 5, "value": "a"},
        {"type": "indicator", "name": "a"},
        {"type": "x-observable", "value": "a"},
        {"type": "process", "pid": 1},
        {"type": "email-message", "is_multipart": False},
        {"type": "autonomous-system", "number": 2**60},
        {"type": "url", "value": "\ud800"},
    ],
)
def test_what_has_no_deterministic_id_has_none(properties: dict[str, Any]) -> None:
    assert deterministic_id(properties) is None


def test_an_id_of_its_own_is_no_error_where_something_contributes() -> None:
    version_5 = f"url--{SOME_ID.replace('-4', '-5', 1)}"
    for identifier in (version_5, f"url--{SOME_ID}"):
        assert read(sco("url", value="https://a.example/", id=identifier)).id == identifier


def test_the_type_is_read_from_an_id() -> None:
    assert type_of(f"x-thing--{SOME_ID}") == "x-thing"
    assert type_of(f"x--thing--{SOME_ID}") is None
    assert type_of("x-thing--1") is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_type(text: str) -> None:
    kind = type_of(f"{text}--{SOME_ID}")
    assert kind in (None, text)
