from datetime import date

import pytest
import stix2  # type: ignore[import-untyped]  # ships no types

from lezha.cli.demo.bundle import LABEL, TLP, Part, parts, values
from lezha.stix import Object, split
from lezha.stix.markings import tlp_level

AUTHOR = "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11"
DAY = date(2022, 7, 15)

# Who may come to hold each part: a part is the narrower, the fewer of these.
HOLDERS: dict[Part, set[str]] = {
    "everyone": {"al", "me", "at", "xk"},
    "wb6": {"al", "me", "xk"},
    "nato": {"al", "me"},
}


def objects(part: Part) -> list[Object]:
    found = list(split(parts(AUTHOR, DAY)[part]))
    assert all(isinstance(one, Object) for one in found), found
    return [one for one in found if isinstance(one, Object)]


@pytest.mark.parametrize("part", TLP)
def test_every_object_is_stix_that_is_labelled_marked_and_signed_for(part: Part) -> None:
    for one in objects(part):
        assert one.labels == (LABEL,)
        assert [tlp_level(marking) for marking in one.markings] == [TLP[part]]
        assert one.created_by == AUTHOR
        assert stix2.parse(one.raw).id == one.id


@pytest.mark.parametrize("part", TLP)
def test_every_indicator_is_valid_for_the_day_and_names_its_source(part: Part) -> None:
    indicators = [one for one in objects(part) if one.type == "indicator"]
    assert [one.data["name"] for one in indicators] == list(values(part))
    for one in indicators:
        assert (one.data["valid_from"], one.data["valid_until"]) == (
            "2022-07-15T00:00:00.000Z",
            "2022-07-16T00:00:00.000Z",
        )
        assert one.data["name"] in one.data["pattern"]
        assert one.data["external_references"][0]["source_name"]
        assert one.data["confidence"] in (15, 50, 85)


def test_references_lead_only_to_what_at_least_the_same_members_may_hold() -> None:
    held_by = {one.id: HOLDERS[part] for part in TLP for one in objects(part)}
    for part in TLP:
        for one in objects(part):
            for named in set(one.refs) - {AUTHOR}:
                assert HOLDERS[part] <= held_by[named], (part, one.type, named)


def test_no_part_tells_a_value_or_an_id_that_others_of_its_holders_must_not_have() -> None:
    for part in TLP:
        raw = parts(AUTHOR, DAY)[part]
        for narrower in TLP:
            if not HOLDERS[part] <= HOLDERS[narrower]:
                for secret in (*values(narrower), *(one.id for one in objects(narrower))):
                    assert secret.encode() not in raw


def test_no_object_is_in_two_parts() -> None:
    ids = [one.id for part in TLP for one in objects(part)]
    assert len(ids) == len(set(ids))


def test_a_day_and_an_author_give_the_same_bytes_and_others_give_other_ids() -> None:
    assert parts(AUTHOR, DAY) == parts(AUTHOR, DAY)
    other_author = AUTHOR.replace("7c0f", "7c0e")
    ids = {one.id for one in objects("nato")}
    for author, day in ((other_author, DAY), (AUTHOR, date(2022, 7, 16))):
        others = {one.id for one in split(parts(author, day)["nato"]) if isinstance(one, Object)}
        assert len(others) == len(ids)
        assert not others & ids


@pytest.mark.parametrize("value", ["45bf0057", "3c9dc8ad", "8f6e7653"])
def test_a_dual_use_tool_says_so_and_counts_for_little(value: str) -> None:
    (one,) = [
        one
        for part in TLP
        for one in objects(part)
        if one.type == "indicator" and one.data["name"].startswith(value)
    ]
    assert "Dual use" in one.data["description"]
    assert one.data["confidence"] == 15
