"""May an object that names another be told to these?"""

from hypothesis import given
from tests.sharing.examples import (
    ALBANIA,
    AUSTRIA,
    EU,
    KOSOVO,
    MONTENEGRO,
    NATO,
    ROSTERS,
    TO_ALL,
    TO_NATO,
    WB6,
)
from tests.sharing.test_release_oracle import audiences, rosters

from lezha.sharing.audience import within
from lezha.sharing.community import Communities
from lezha.sharing.terms import Audience, CommunityTerm

TO_WB6 = Audience(communities=(CommunityTerm(WB6, 3),))


@given(audiences, rosters)
def test_an_audience_lies_within_itself(one: Audience, present: Communities) -> None:
    assert within(one, [("identity--9", one)], present)


@given(audiences, rosters)
def test_every_audience_lies_within_everyone(one: Audience, present: Communities) -> None:
    assert within(one, [("identity--9", Audience(everyone=True))], present)


@given(audiences, audiences, audiences, rosters)
def test_one_more_statement_about_the_target_never_narrows(
    inner: Audience, outer: Audience, more: Audience, present: Communities
) -> None:
    if within(inner, [("identity--9", outer)], present):
        assert within(inner, [("identity--9", outer), ("identity--8", more)], present)


@given(audiences, rosters)
def test_everyone_lies_only_within_everyone(outer: Audience, present: Communities) -> None:
    assert within(TO_ALL, [("identity--9", outer)], present) is outer.everyone


def test_nothing_but_nobody_lies_within_what_no_statement_tells() -> None:
    assert within(Audience(), [], ROSTERS)
    assert not within(Audience(members=(AUSTRIA,)), [], ROSTERS)


def test_a_community_does_not_lie_within_another_though_all_its_members_are_in_both() -> None:
    everyone_in_nato_is_in_wb6 = set(ROSTERS[NATO].members) <= set(ROSTERS[WB6].members)
    assert everyone_in_nato_is_in_wb6
    assert not within(TO_NATO, [(ALBANIA, TO_WB6)], ROSTERS)


def test_a_community_does_not_lie_within_its_members_by_name() -> None:
    by_name = Audience(members=tuple(ROSTERS[NATO].members))
    assert not within(TO_NATO, [(ALBANIA, by_name)], ROSTERS)


def test_a_member_of_the_community_may_be_told() -> None:
    assert within(Audience(members=(MONTENEGRO,)), [(ALBANIA, TO_NATO)], ROSTERS)
    assert not within(Audience(members=(MONTENEGRO, KOSOVO)), [(ALBANIA, TO_NATO)], ROSTERS)


def test_the_origin_of_a_statement_has_what_it_wrote() -> None:
    assert within(Audience(members=(AUSTRIA,)), [(AUSTRIA, TO_NATO)], ROSTERS)


def test_statements_add_up() -> None:
    both = Audience(communities=(CommunityTerm(NATO, 3), CommunityTerm(EU, 3)))
    to_eu = Audience(communities=(CommunityTerm(EU, 3),))
    assert not within(both, [(ALBANIA, TO_NATO)], ROSTERS)
    assert within(both, [(ALBANIA, TO_NATO), (AUSTRIA, to_eu)], ROSTERS)


def test_a_community_of_which_no_roster_is_here_has_no_known_members() -> None:
    assert not within(Audience(members=(MONTENEGRO,)), [(ALBANIA, TO_NATO)], {})
    assert within(TO_NATO, [(ALBANIA, TO_NATO)], {})
