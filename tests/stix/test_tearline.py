"""What is left of an object: nothing that was to go, and everything else as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.stix import clauses, encode, markings, objects, tearline
from lezha.stix.tearline import Wanted

CLEAR, GREEN, AMBER, RED = (markings.TLP2_IDS[level] for level in ("clear", "green", "amber", "red"))
OTHER = "marking-definition--00000000-0000-4000-8000-000000000000"
ME = "identity--00000000-0000-4000-8000-000000000001"
VICTIM = "identity--00000000-0000-4000-8000-000000000002"
FAMILY = "malware--00000000-0000-4000-8000-000000000003"
NEW = "report--00000000-0000-4000-8000-00000000000f"
NOW = "2026-01-05T08:00:00.000Z"


def report(**changes: Any) -> dict[str, Any]:
    plain = {
        "type": "report", "spec_version": "2.1", "id": "report--00000000-0000-4000-8000-000000000004",
        "created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T09:00:00.000Z", "created_by_ref": ME,
        "name": "Wiper at the ministry", "description": "How it came in", "published": "2022-07-15T08:00:00Z",
        "object_refs": [FAMILY, VICTIM], "labels": ["wiper", "ministry"], "object_marking_refs": [RED],
        "external_references": [{"source_name": "internal", "url": "https://wiki.example/1"}],
    }  # fmt: skip
    return plain | changes


def wanted(**changes: Any) -> Wanted:
    plain: dict[str, Any] = {"level": "green", "properties": {}, "refs": {}, "changes": {}}
    return Wanted(**({"id": NEW, "now": NOW} | plain | changes))


def tear(data: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, str]]:
    made, dropped = tearline.tear(data, wanted(**changes))
    return made, {one.what: one.why for one in dropped}


def test_it_has_an_id_a_time_and_a_marking_of_its_own() -> None:
    made, dropped = tear(report())
    assert (made["id"], made["created"], made["modified"]) == (NEW, NOW, NOW)
    assert made["object_marking_refs"] == [GREEN]
    assert dropped == {RED: "TLP:RED, replaced by TLP:GREEN"}
    same = ("name", "description", "object_refs", "labels", "created_by_ref", "external_references")
    assert all(made[name] == report()[name] for name in same)
    objects.read(encode(made))


def test_properties_and_references_go_as_they_are_named() -> None:
    made, dropped = tear(report(), properties={"description": "said"}, refs={VICTIM: "hidden"})
    assert "description" not in made
    assert made["object_refs"] == [FAMILY]
    assert (dropped["description"], dropped[VICTIM]) == ("said", "hidden")
    assert VICTIM not in str(made)


def test_a_reference_goes_wherever_it_is_named() -> None:
    nested = {
        "extension-definition--x": {"extension_type": "property-extension", "a": [{"b_ref": VICTIM, "c": 1}]}
    }
    made, _ = tear(
        report(extensions=nested, x_target_ref=VICTIM, x_only_refs=[VICTIM]), refs={VICTIM: "hidden"}
    )
    assert VICTIM not in str(made)
    assert made["extensions"]["extension-definition--x"]["a"] == [{"c": 1}]
    assert not {"x_target_ref", "x_only_refs"} & made.keys()


def test_what_was_empty_before_stays() -> None:
    made, _ = tear(report(x_empty=[], x_object={}), refs={VICTIM: "hidden"})
    assert (made["x_empty"], made["x_object"]) == ([], {})


def test_what_a_granular_marking_makes_narrower_goes_whole() -> None:
    granular = [
        {"marking_ref": RED, "selectors": ["labels.[1]", "external_references.[0].url"]},
        {"marking_ref": CLEAR, "selectors": ["name"]},
        {"marking_ref": OTHER, "selectors": ["description"]},
        {"lang": "en", "selectors": ["name"]},
    ]
    made, dropped = tear(report(granular_markings=granular))
    assert not {"labels", "external_references", "description", "granular_markings"} & made.keys()
    assert made["name"] == report()["name"]
    assert dropped["labels"] == "it is marked TLP:RED"
    assert dropped["description"] == "its marking can't be read"
    assert made["object_marking_refs"] == [GREEN]


def test_a_marking_that_is_no_tlp_stays_unless_it_is_said_to_go() -> None:
    assert tear(report(object_marking_refs=[RED, OTHER]))[0]["object_marking_refs"] == [GREEN, OTHER]
    made, dropped = tear(report(object_marking_refs=[RED, OTHER]), refs={OTHER: "said"})
    assert made["object_marking_refs"] == [GREEN]
    assert dropped[OTHER] == "said"


def test_texts_may_be_given_anew() -> None:
    made, _ = tear(report(), changes={"name": "Wiper"}, properties={"name": "said"})
    assert made["name"] == "Wiper"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"properties": {"descripton": "said"}},
            "it has no 'descripton' to leave out: it has name, description",
        ),
        ({"refs": {NEW: "said"}}, f"it does not name {NEW}"),
    ],
)
def test_what_is_not_there_cannot_be_left_out(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tear(report(), **changes)


def test_every_property_that_is_kept_is_listed() -> None:
    made, _ = tear(report(x_note="internal"), properties={"labels": "said"})
    assert tearline.kept(made) == [
        "name", "description", "published", "object_refs", "external_references", "x_note",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(clauses.OBSERVABLE_OBJECTS))
def test_an_id_that_follows_from_a_value_cannot_be_another(kind: str) -> None:
    assert "follows from their value" in tearline.refuse(kind)


def test_what_others_are_understood_by_cannot_be_torn() -> None:
    assert tearline.refuse("marking-definition")
    assert tearline.refuse("report") == tearline.refuse("x-custom") == ""


KEYS = st.sampled_from(["a", "b_ref", "c_refs", "d", "e_refs"])
IDS = st.sampled_from([VICTIM, FAMILY, ME])
VALUES = st.recursive(
    IDS | st.integers(0, 3) | st.lists(IDS, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS.map("x_".__add__), VALUES, max_size=4))
def test_nothing_names_what_was_left_out(more: dict[str, Any]) -> None:
    whole = report(**more)
    made, _ = tear(whole, refs={VICTIM: "hidden"})
    assert VICTIM not in objects.reread(encode(made)).refs
    kept = set(objects.reread(encode(whole)).refs) - {VICTIM}
    assert set(objects.reread(encode(made)).refs) >= kept
