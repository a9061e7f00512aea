"""Each rule of docs/design.md, Release by an example; `test_release_oracle` holds the kernel to all of them at once."""

import pytest
from msgspec.structs import replace
from tests.sharing.examples import (
    ALBANIA,
    ALLY,
    AUSTRIA,
    BEFORE,
    EU,
    ISSUED,
    KOSOVO,
    LATER,
    MINISTRY,
    MONTENEGRO,
    NATO,
    NOW,
    OWN_SYSTEM,
    ROSTERS,
    TO_ALL,
    TO_MONTENEGRO,
    TO_NATO,
    WB6,
    community,
    facts,
    rule,
    terms,
    why,
)

from lezha.sharing.community import Community
from lezha.sharing.release import (
    Facts,
    Gate,
    Reason,
    Recipient,
    Released,
    Standing,
    Withheld,
    effective_pap,
    effective_tlp,
    release,
)
from lezha.sharing.terms import Audience, CommunityTerm
from lezha.sharing.tlp import Pap, Tlp

VIENNA = replace(ALLY, id=AUSTRIA)
EVERY_KIND = [ALLY, OWN_SYSTEM, MINISTRY]


def relayed(**changes: object) -> Facts:
    """Albania's statement as it lies at a third member that might pass it on to Montenegro."""
    return facts(terms(onward=True, **changes), author_here=False, came_from=frozenset({ALBANIA}))  # type: ignore[arg-type]  # each test passes what terms takes


# --- to everybody alike ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipient", EVERY_KIND)
def test_what_is_purged_goes_to_nobody(recipient: Recipient) -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL), purged=True), recipient) is Reason.PURGED


def test_what_lacks_a_companion_goes_to_own_systems_alone() -> None:
    incomplete = facts(terms(Tlp.CLEAR, TO_ALL), incomplete=True)
    assert [why(incomplete, one) for one in (ALLY, MINISTRY)] == [Reason.INCOMPLETE] * 2
    assert isinstance(release(incomplete, OWN_SYSTEM, ROSTERS, NOW), Released)


@pytest.mark.parametrize("recipient", EVERY_KIND)
def test_what_is_quarantined_goes_to_nobody(recipient: Recipient) -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL), quarantined=True), recipient) is Reason.QUARANTINED


@pytest.mark.parametrize("recipient", EVERY_KIND)
def test_what_is_recalled_goes_to_nobody(recipient: Recipient) -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL), recalled=True), recipient) is Reason.RECALLED


@pytest.mark.parametrize("recipient", [ALLY, MINISTRY, replace(OWN_SYSTEM, clearance=Tlp.STRICT)])
def test_a_marking_that_cannot_be_read_denies(recipient: Recipient) -> None:
    one = facts(terms(Tlp.CLEAR, TO_ALL), unreadable_marking=True)
    assert why(one, recipient) is Reason.UNREADABLE_MARKING


def test_a_marking_that_cannot_be_read_says_no_more_than_red_to_own_systems() -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL), unreadable_marking=True), OWN_SYSTEM) is None
    assert why(facts(None, unreadable_marking=True), OWN_SYSTEM) is None


@pytest.mark.parametrize(
    ("stated", "own", "narrowest"),
    [
        (Pap.GREEN, (), Pap.GREEN),
        (Pap.GREEN, (Pap.CLEAR,), Pap.GREEN),
        (Pap.CLEAR, (Pap.AMBER, Pap.GREEN), Pap.AMBER),
        (Pap.RED, (Pap.AMBER,), Pap.RED),
    ],
)
def test_pap_only_narrows(stated: Pap, own: tuple[Pap, ...], narrowest: Pap) -> None:
    assert effective_pap(facts(terms(pap=stated), paps=own)) is narrowest
    assert effective_pap(facts(None, paps=own)) is max((*own, Pap.CLEAR), key=list(Pap).index)


@pytest.mark.parametrize("recipient", EVERY_KIND)
def test_an_expired_statement_releases_to_nobody(recipient: Recipient) -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL, expires=BEFORE)), recipient) is Reason.EXPIRED


def test_a_statement_expires_at_its_very_time_and_not_before() -> None:
    assert why(facts(terms(expires=NOW))) is Reason.EXPIRED
    assert why(facts(terms(expires=LATER))) is None


@pytest.mark.parametrize("recipient", EVERY_KIND)
def test_a_suspended_recipient_gets_nothing(recipient: Recipient) -> None:
    assert why(facts(terms(Tlp.CLEAR, TO_ALL)), replace(recipient, suspended=True)) is Reason.SUSPENDED


# --- own systems and constituents -----------------------------------------------------------------------------------


def test_without_a_statement_only_own_systems_get_it() -> None:
    assert why(facts(None), OWN_SYSTEM) is None
    assert why(facts(None), MINISTRY) is Reason.NO_STATEMENT
    assert why(facts(None), ALLY) is Reason.NO_STATEMENT


def test_own_systems_get_it_by_clearance_whatever_the_audience() -> None:
    one = facts(terms(Tlp.RED, Audience()))
    assert why(one, OWN_SYSTEM) is None
    assert why(one, replace(OWN_SYSTEM, clearance=Tlp.STRICT)) is Reason.CLEARANCE


def test_own_systems_need_clearance_for_markings_even_without_a_statement() -> None:
    one = facts(None, markings=(Tlp.RED,))
    assert why(one, replace(OWN_SYSTEM, clearance=Tlp.STRICT)) is Reason.CLEARANCE


@pytest.mark.parametrize("level", [Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER])
def test_a_constituent_gets_up_to_amber(level: Tlp) -> None:
    assert why(facts(terms(level)), MINISTRY) is None


@pytest.mark.parametrize("level", [Tlp.STRICT, Tlp.RED])
def test_a_constituent_never_gets_strict_or_red(level: Tlp) -> None:
    assert why(facts(terms(level)), MINISTRY) is Reason.CONSTITUENT_TLP
    assert why(facts(terms(Tlp.CLEAR), markings=(level,)), MINISTRY) is Reason.CONSTITUENT_TLP


def test_a_constituent_needs_clearance() -> None:
    assert why(facts(), replace(MINISTRY, clearance=Tlp.GREEN)) is Reason.CLEARANCE


def test_an_empty_audience_is_nobody_and_so_no_constituent() -> None:
    assert why(facts(terms(Tlp.CLEAR, Audience())), MINISTRY) is Reason.EMPTY_AUDIENCE


# --- direct ---------------------------------------------------------------------------------------------------------


def test_an_empty_audience_is_nobody() -> None:
    assert why(facts(terms(Tlp.CLEAR, Audience()))) is Reason.EMPTY_AUDIENCE


def test_a_member_of_the_community_gets_it_by_the_current_roster() -> None:
    assert rule(facts()) == "member of NATO, roster 3"


def test_who_is_in_no_named_community_does_not_get_it() -> None:
    assert why(facts(), VIENNA) is Reason.NOT_IN_AUDIENCE


def test_communities_do_not_nest() -> None:
    to_eu = Audience(communities=(CommunityTerm(EU, 3),))
    assert why(facts(terms(audience=to_eu))) is Reason.NOT_IN_AUDIENCE
    assert why(facts(terms(audience=to_eu)), VIENNA) is None


def test_any_one_of_several_communities_suffices() -> None:
    both = Audience(
        communities=(CommunityTerm(EU, 3), CommunityTerm("community--unknown", 1), CommunityTerm(NATO, 3))
    )
    assert why(facts(terms(audience=both))) is None


def test_a_named_member_needs_no_roster() -> None:
    assert why(facts(terms(audience=TO_MONTENEGRO)), rosters={}) is None


def test_everyone_is_every_member() -> None:
    assert why(facts(terms(audience=TO_ALL)), VIENNA) is None


@pytest.mark.parametrize("level", Tlp)
def test_tlp_does_not_choose_the_first_recipient(level: Tlp) -> None:
    assert why(facts(terms(level))) is None


def test_a_member_needs_clearance_for_the_statement() -> None:
    assert why(facts(), replace(ALLY, clearance=Tlp.GREEN)) is Reason.CLEARANCE


def test_markings_narrow() -> None:
    ally = replace(ALLY, clearance=Tlp.AMBER)
    assert why(facts(), ally) is None
    assert why(facts(markings=(Tlp.GREEN, Tlp.RED)), ally) is Reason.CLEARANCE


def test_markings_never_widen() -> None:
    assert why(facts(markings=(Tlp.CLEAR,)), replace(ALLY, clearance=Tlp.GREEN)) is Reason.CLEARANCE


def test_without_the_community_s_roster_it_is_held() -> None:
    assert why(facts(), rosters={WB6: ROSTERS[WB6]}) is Reason.ROSTER_UNKNOWN


def test_the_roster_of_the_statement_is_a_floor() -> None:
    newer = terms(audience=Audience(communities=(CommunityTerm(NATO, 4),)))
    assert why(facts(newer)) is Reason.ROSTER_BEHIND


def test_an_expired_roster_holds_the_objects_of_its_community() -> None:
    stale = ROSTERS | {NATO: community(NATO, {MONTENEGRO: 1}, expires=NOW)}
    assert why(facts(), rosters=stale) is Reason.ROSTER_EXPIRED


def test_an_expired_roster_does_not_hold_what_another_community_gives() -> None:
    stale = ROSTERS | {NATO: community(NATO, {MONTENEGRO: 1}, expires=BEFORE)}
    both = Audience(communities=(CommunityTerm(NATO, 3), CommunityTerm(WB6, 3)))
    assert why(facts(terms(audience=both)), rosters=stale) is None


def test_removal_from_the_roster_counts_at_once() -> None:
    without = ROSTERS | {NATO: community(NATO, {ALBANIA: 1}, number=4)}
    assert why(facts(), rosters=without) is Reason.NOT_IN_AUDIENCE


def test_a_member_until_a_time_is_out_from_then_on_without_any_further_roster() -> None:
    def until(time: str) -> dict[str, Community]:
        return ROSTERS | {NATO: replace(ROSTERS[NATO], until={MONTENEGRO: time})}

    assert why(facts(), rosters=until(LATER)) is None
    assert [why(facts(), rosters=until(time)) for time in (NOW, BEFORE)] == [Reason.MEMBERSHIP_ENDED] * 2


def test_nothing_is_passed_on_to_a_member_whose_time_is_over() -> None:
    ended = ROSTERS | {NATO: replace(ROSTERS[NATO], until={MONTENEGRO: NOW})}
    green = Audience(everyone=True, communities=TO_NATO.communities)
    assert why(relayed(tlp=Tlp.GREEN, audience=green)) is None
    assert why(relayed(tlp=Tlp.GREEN, audience=green), rosters=ended) is Reason.RELAY_TLP


def test_the_end_of_one_membership_does_not_hold_what_another_community_gives() -> None:
    ended = ROSTERS | {NATO: replace(ROSTERS[NATO], until={MONTENEGRO: NOW})}
    both = Audience(communities=(CommunityTerm(NATO, 3), CommunityTerm(WB6, 3)))
    assert why(facts(terms(audience=both)), rosters=ended) is None


def test_who_waits_for_approval_here_gets_nothing() -> None:
    waits = ROSTERS | {NATO: replace(community(NATO, {ALBANIA: 1}), waiting={MONTENEGRO: 1})}
    assert why(facts(terms(future_members=True)), rosters=waits) is Reason.NOT_ADMITTED_HERE


def test_who_was_admitted_later_gets_it_only_where_the_author_says_so() -> None:
    admitted = ROSTERS | {NATO: community(NATO, {MONTENEGRO: 4}, number=4)}
    assert why(facts(), rosters=admitted) is Reason.ADMITTED_LATER
    assert why(facts(terms(future_members=True)), rosters=admitted) is None


def test_who_was_admitted_by_the_very_roster_of_the_statement_is_no_later_member() -> None:
    assert why(facts(), rosters=ROSTERS | {NATO: community(NATO, {MONTENEGRO: 3})}) is None


def test_everyone_does_not_mean_those_who_come_later() -> None:
    newcomer = replace(ALLY, since=NOW)
    assert why(facts(terms(audience=TO_ALL)), newcomer) is Reason.ADMITTED_LATER
    assert why(facts(terms(audience=TO_ALL, future_members=True)), newcomer) is None
    assert why(facts(terms(audience=TO_ALL)), replace(ALLY, since=ISSUED)) is None


def test_who_came_later_than_everyone_may_still_be_in_a_named_community() -> None:
    audience = Audience(everyone=True, communities=TO_NATO.communities)
    assert why(facts(terms(audience=audience)), replace(ALLY, since=NOW)) is None


# --- back to where it came from -------------------------------------------------------------------------------------


def test_the_origin_never_gets_its_own_back() -> None:
    assert why(relayed(audience=TO_ALL, tlp=Tlp.CLEAR), replace(ALLY, id=ALBANIA)) is Reason.CAME_FROM_THERE


def test_who_sent_it_never_gets_it_back() -> None:
    one = replace(relayed(audience=TO_ALL, tlp=Tlp.CLEAR), came_from=frozenset({KOSOVO, MONTENEGRO}))
    assert why(one) is Reason.CAME_FROM_THERE


# --- relay ----------------------------------------------------------------------------------------------------------


def test_nothing_is_passed_on_unless_the_author_says_so() -> None:
    one = facts(terms(Tlp.CLEAR, Audience(everyone=True, members=(MONTENEGRO,))), author_here=False)
    assert why(one) is Reason.NOT_ONWARD


@pytest.mark.parametrize("audience", [TO_ALL, TO_NATO, TO_MONTENEGRO])
def test_clear_is_passed_on_to_all_of_its_audience(audience: Audience) -> None:
    assert why(relayed(tlp=Tlp.CLEAR, audience=audience)) is None


@pytest.mark.parametrize("audience", [TO_NATO, TO_MONTENEGRO])
def test_green_is_passed_on_inside_a_named_community_and_to_the_named(audience: Audience) -> None:
    assert why(relayed(tlp=Tlp.GREEN, audience=audience)) is None


def test_green_for_everyone_is_not_passed_on() -> None:
    assert why(relayed(tlp=Tlp.GREEN, audience=TO_ALL)) is Reason.RELAY_TLP


def test_green_is_not_passed_on_to_those_outside_the_named_community_though_everyone_may_have_it() -> None:
    both = Audience(everyone=True, communities=TO_NATO.communities)
    assert why(relayed(tlp=Tlp.GREEN, audience=both)) is None
    assert why(relayed(tlp=Tlp.GREEN, audience=both), VIENNA) is Reason.RELAY_TLP


def test_amber_is_passed_on_to_the_named_alone() -> None:
    assert why(relayed(tlp=Tlp.AMBER, audience=TO_MONTENEGRO)) is None
    assert why(relayed(tlp=Tlp.AMBER, audience=TO_NATO)) is Reason.RELAY_TLP


@pytest.mark.parametrize("level", [Tlp.STRICT, Tlp.RED])
def test_strict_and_red_are_never_passed_on(level: Tlp) -> None:
    assert why(relayed(tlp=level, audience=TO_MONTENEGRO)) is Reason.RELAY_TLP


def test_a_marking_narrows_what_may_be_passed_on() -> None:
    one = replace(relayed(tlp=Tlp.CLEAR, audience=TO_NATO), markings=(Tlp.AMBER,))
    assert why(one) is Reason.RELAY_TLP


def test_a_relay_cannot_widen_an_audience() -> None:
    assert why(relayed(tlp=Tlp.CLEAR, audience=TO_NATO), VIENNA) is Reason.NOT_IN_AUDIENCE


def test_a_relay_needs_clearance_of_its_recipient_too() -> None:
    assert why(relayed(tlp=Tlp.GREEN), replace(ALLY, clearance=Tlp.CLEAR)) is Reason.CLEARANCE


# --- the decision itself --------------------------------------------------------------------------------------------


def test_a_release_names_what_it_gives_to_whom() -> None:
    outcome = release(facts(), ALLY, ROSTERS, NOW)
    assert isinstance(outcome, Released)
    assert (outcome.statement, outcome.content, outcome.recipient) == ("statement", "content", MONTENEGRO)


@pytest.mark.parametrize(
    ("one", "recipient", "words"),
    [
        (facts(), ALLY, "member of NATO, roster 3"),
        (facts(terms(audience=TO_MONTENEGRO)), ALLY, "named in the audience"),
        (facts(terms(audience=TO_ALL)), ALLY, "published to everyone"),
        (relayed(tlp=Tlp.GREEN), ALLY, "member of NATO, roster 3; passed on as TLP:GREEN allows"),
        (facts(), OWN_SYSTEM, "own system, cleared to TLP:RED"),
        (facts(), MINISTRY, "constituent system, cleared to TLP:RED"),
    ],
)
def test_a_release_says_by_which_rule(one: Facts, recipient: Recipient, words: str) -> None:
    assert rule(one, recipient) == words


@pytest.mark.parametrize("author_here", [True, False])
def test_what_is_withheld_says_whose_word_it_is(author_here: bool) -> None:
    one = facts(terms(audience=Audience()), author_here=author_here)
    assert release(one, ALLY, ROSTERS, NOW) == Withheld(
        "statement", MONTENEGRO, Reason.EMPTY_AUDIENCE, author_here
    )


def test_a_gate_decides_as_if_each_decision_were_its_first() -> None:
    gate = Gate(ALLY, ROSTERS, NOW)
    said = [
        facts(),
        facts(terms(audience=TO_ALL)),
        facts(None),
        facts(terms(Tlp.RED)),
        relayed(tlp=Tlp.GREEN),
    ]
    for one in [*said, *reversed(said), replace(facts(), markings=(Tlp.RED,))]:
        outcome, alone = gate.decide(one), release(one, ALLY, ROSTERS, NOW)
        assert type(outcome) is type(alone)
        assert getattr(outcome, "rule", outcome) == getattr(alone, "rule", alone)


@pytest.mark.parametrize("stated", Tlp)
@pytest.mark.parametrize("own", Tlp)
def test_the_narrowest_level_counts(stated: Tlp, own: Tlp) -> None:
    assert effective_tlp(facts(terms(stated), markings=(own,))) is max(stated, own, key=list(Tlp).index)
    assert effective_tlp(facts(None, markings=(own,))) is own


@pytest.mark.parametrize("seal", [None, object(), True])
def test_nobody_else_can_release(seal: object) -> None:
    with pytest.raises(TypeError, match=r"only lezha\.sharing\.release\.release can release"):
        Released(seal, facts(), ALLY, "because I say so")


def test_every_reason_has_plain_words() -> None:
    assert all(reason.words and reason.words != reason.value for reason in Reason)


def test_every_standing_is_decided() -> None:
    assert set(Standing) == {one.standing for one in EVERY_KIND}
