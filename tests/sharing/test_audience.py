"""May an object that names another be told to these?"""

from hypothesis import given
from msgspec.structs import replace
from tests.sharing.examples import (
    ALBANIA,
    AUSTRIA,
    BEFORE,
    EU,
    KOSOVO,
    LATER,
    MONTENEGRO,
    NATO,
    NOW,
    ROSTERS,
    TO_ALL,
    TO_NATO,
    WB6,
    community,
    facts,
    terms,
)
from tests.sharing.test_release_oracle import MEMBERS, all_terms, audiences, rosters, times

from lezha.sharing import audience
from lezha.sharing.community import Communities, Community
from lezha.sharing.release import Recipient, Released, Standing, release
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Tlp

TO_WB6 = Audience(communities=(CommunityTerm(WB6, 3),))
TO_NATO_4 = Audience(communities=(CommunityTerm(NATO, 4),))
BY_NAME = Audience(members=(MONTENEGRO,))


def within(inner: Audience, outer: list[tuple[str, Audience]], present: Communities, now: str = NOW) -> bool:
    """Compare audiences of terms that are not for future members."""
    told = [(origin, terms(audience=one)) for origin, one in outer]
    return audience.within(terms(audience=inner), told, present, now)


def nato(members: dict[str, int], number: int = 4, **changes: object) -> dict[str, Community]:
    return ROSTERS | {NATO: replace(community(NATO, members, number), **changes)}


@given(all_terms, rosters, times)
def test_an_audience_lies_within_itself(one: Terms, present: Communities, now: str) -> None:
    assert audience.within(one, [("identity--9", one)], present, now)


@given(all_terms, rosters, times)
def test_every_audience_lies_within_everyone(one: Terms, present: Communities, now: str) -> None:
    assert audience.within(one, [("identity--9", terms(audience=TO_ALL))], present, now)


@given(all_terms, all_terms, all_terms, rosters, times)
def test_one_more_statement_about_the_target_never_narrows(
    inner: Terms, outer: Terms, more: Terms, present: Communities, now: str
) -> None:
    if audience.within(inner, [("identity--9", outer)], present, now):
        assert audience.within(inner, [("identity--9", outer), ("identity--8", more)], present, now)


@given(all_terms, all_terms, rosters, times)
def test_whoever_is_told_by_the_inner_terms_is_told_by_the_outer_ones(
    inner: Terms, outer: Terms, present: Communities, now: str
) -> None:
    """As the release kernel decides it, of all but how the object is marked and until when it is sent."""
    inner, outer = (replace(one, tlp=Tlp.CLEAR, expires=None) for one in (inner, outer))
    if outer.audience.everyone or not audience.within(inner, [(ALBANIA, outer)], present, now):
        return
    for member in MEMBERS:
        who = Recipient(member, Standing.MEMBER, Tlp.RED, BEFORE)
        told = release(facts(inner), who, present, now)
        if isinstance(told, Released):
            assert isinstance(release(facts(outer), who, present, now), Released), (member, told.rule)


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


def test_a_member_whose_time_is_over_was_not_told() -> None:
    assert within(BY_NAME, [(ALBANIA, TO_NATO)], nato({MONTENEGRO: 1}, 3, until={MONTENEGRO: LATER}))
    assert not within(BY_NAME, [(ALBANIA, TO_NATO)], nato({MONTENEGRO: 1}, 3, until={MONTENEGRO: NOW}))


def test_a_member_that_waits_for_approval_was_not_told() -> None:
    assert not within(BY_NAME, [(ALBANIA, TO_NATO)], nato({}, 3, waiting={MONTENEGRO: 1}))


def test_a_member_that_was_admitted_later_was_told_only_what_is_for_future_members() -> None:
    later = nato({MONTENEGRO: 4})
    assert not within(BY_NAME, [(ALBANIA, TO_NATO)], later)
    told = [(ALBANIA, terms(audience=TO_NATO, future_members=True))]
    assert audience.within(terms(audience=BY_NAME), told, later, NOW)


def test_what_an_expired_roster_holds_its_members_were_not_told() -> None:
    assert not within(BY_NAME, [(ALBANIA, TO_NATO)], nato({MONTENEGRO: 1}, 3, expires=NOW))


def test_what_is_for_a_later_roster_is_not_within_what_its_newest_member_was_not_told() -> None:
    assert not within(TO_NATO_4, [(ALBANIA, TO_NATO)], nato({ALBANIA: 1, MONTENEGRO: 4}))
    assert not within(TO_NATO_4, [(ALBANIA, TO_NATO)], nato({ALBANIA: 1}, waiting={MONTENEGRO: 4}))


def test_a_renewal_that_admits_nobody_parts_nobody() -> None:
    assert within(TO_NATO_4, [(ALBANIA, TO_NATO)], nato({ALBANIA: 1, MONTENEGRO: 1}))


def test_what_future_members_get_is_not_within_what_they_do_not_get() -> None:
    for_all, for_present = (terms(audience=TO_NATO, future_members=later) for later in (True, False))
    assert not audience.within(for_all, [(ALBANIA, for_present)], ROSTERS, NOW)
    assert audience.within(for_present, [(ALBANIA, for_all)], ROSTERS, NOW)


def test_who_was_admitted_by_the_very_roster_that_a_statement_names_has_it() -> None:
    present = nato({ALBANIA: 3, MONTENEGRO: 4})
    told = [(AUSTRIA, TO_NATO)]
    for member, knows in ((ALBANIA, True), (MONTENEGRO, False)):
        assert within(Audience(members=(member,)), told, present) is knows


def test_terms_whose_roster_has_not_come_cover_nobody() -> None:
    """Roster 4 may have removed whom roster 3, the one that is held, still lists."""
    to_nato_3 = Audience(communities=(CommunityTerm(NATO, 3),))
    held = nato({MONTENEGRO: 1}, 3)
    assert not within(to_nato_3, [(ALBANIA, TO_NATO_4)], held)
    later = [(ALBANIA, terms(audience=TO_NATO_4, future_members=True))]
    assert not audience.within(terms(audience=to_nato_3), later, held, NOW)
    assert within(to_nato_3, [(ALBANIA, TO_NATO_4)], nato({MONTENEGRO: 1}, 4))
