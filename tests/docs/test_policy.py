"""The examples of docs/policy.md do what the page says they do, and its table is the schema."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.sharing.examples import ALBANIA, ALLY, KOSOVO, LATER, NOW, facts, terms

from lezha.sharing import cedar
from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.community import Community
from lezha.sharing.policy import narrowed, toward
from lezha.sharing.release import Facts, Recipient, Released, Withheld, release
from lezha.sharing.terms import Audience
from lezha.sharing.tlp import Pap, Tlp

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
WITHIN_THE_EU, PERSONAL_DATA = (
    CedarPolicy(text, "docs/policy.md")
    for text in re.findall(r"^```cedar\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
((_, EU),) = [(one.kind, one.id) for one in WITHIN_THE_EU.named]
(LESS_TRUSTED,) = [one.id for one in PERSONAL_DATA.named]
MEMBERS_ONLY = "mail addresses and messages to named members only"
ABOVE_GREEN = "nothing above GREEN to this ally until further notice"

VIENNA = replace(ALLY, id="identity--a7000000-0000-4000-8000-000000000000")
SUSPECT = replace(ALLY, id=LESS_TRUSTED)
TO_ALL = Audience(everyone=True)


def why(
    policy: CedarPolicy, one: Facts, recipient: Recipient, rosters: Mapping[str, Community] | None = None
) -> str | None:
    """By which rule, without its line, it is withheld; None if it leaves."""
    present = rosters or {}
    outcome = narrowed(release(one, recipient, present, NOW), one, toward(policy, recipient, present, NOW))
    if isinstance(outcome, Released):
        return None
    assert isinstance(outcome, Withheld)
    return outcome.rule.partition(" (line")[0]


def object_of(
    stix_type: str, audience: Audience = TO_ALL, tlp: Tlp = Tlp.GREEN, pap: Pap = Pap.GREEN
) -> Facts:
    return facts(terms(tlp, audience, pap=pap), type=stix_type)


def test_pap_red_stays_within_the_eu() -> None:
    rosters = {EU: Community(EU, "EU", 1, LATER, {VIENNA.id: 1})}
    red, green = object_of("indicator", pap=Pap.RED), object_of("indicator")
    assert why(WITHIN_THE_EU, red, ALLY, rosters) == "PAP:RED stays within the EU"
    assert why(WITHIN_THE_EU, red, VIENNA, rosters) is None
    assert why(WITHIN_THE_EU, green, ALLY, rosters) is None


@pytest.mark.parametrize("stix_type", ["email-addr", "email-message", "user-account"])
def test_personal_data_goes_to_members_that_are_named(stix_type: str) -> None:
    named = Audience(members=(ALLY.id,))
    assert why(PERSONAL_DATA, object_of(stix_type), ALLY) == MEMBERS_ONLY
    assert why(PERSONAL_DATA, object_of(stix_type, named), ALLY) is None
    assert why(PERSONAL_DATA, object_of("indicator"), ALLY) is None


def test_the_ally_that_is_trusted_less_gets_up_to_green_and_nothing_of_others() -> None:
    assert why(PERSONAL_DATA, object_of("indicator"), SUSPECT) is None
    assert why(PERSONAL_DATA, object_of("indicator", tlp=Tlp.AMBER), SUSPECT) == ABOVE_GREEN
    assert why(PERSONAL_DATA, object_of("indicator", tlp=Tlp.AMBER), ALLY) is None
    passed_on = replace(
        object_of("indicator", tlp=Tlp.CLEAR),
        terms=terms(Tlp.CLEAR, TO_ALL, onward=True),
        author_here=False,
        origin=ALBANIA,
        came_from=frozenset({KOSOVO}),
    )
    assert why(PERSONAL_DATA, passed_on, SUSPECT) == "and nothing of others"
    assert why(PERSONAL_DATA, passed_on, ALLY) is None


def test_the_page_names_every_attribute_of_the_schema() -> None:
    schema = re.sub(r"//[^\n]*", "", cedar.schema())
    records = dict(re.findall(r"(?:entity|type) (\w+)[^={;]*= \{(.*?)\};?", schema, re.DOTALL))
    attributes = {
        f"{owner}.{name}"
        for record, owner in {
            "Member": "principal",
            "Object": "resource",
            "Audience": "resource.audience",
        }.items()
        for name in re.findall(r"(\w+):", records[record])
    }
    told = set(re.findall(r"`((?:principal|resource)\.[\w.]+)`", PAGE))
    assert told == attributes - {"resource.audience"}
    for kind, label in [("Tlp", Tlp), ("Pap", Pap)]:
        (values,) = re.findall(rf"entity {kind} enum \[([^\]]*)\]", schema)
        assert [one.strip(' "') for one in values.split(",")] == [one.value for one in label]
