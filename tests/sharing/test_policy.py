"""A national policy narrows what the kernel releases, refuses what it can't decide, and is read strictly."""

import hashlib
import sys
from collections.abc import Sequence
from contextlib import suppress

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.sharing.examples import (
    ALBANIA,
    ALLY,
    AUSTRIA,
    BEFORE,
    EU,
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
    terms,
)
from tests.sharing.test_release_oracle import TIMES, all_facts, recipients, rosters

from lezha.sharing import cedar
from lezha.sharing.cedar import MAX_BYTES, MAX_NESTING, MAX_RULE, CedarPolicy, Named, Rule
from lezha.sharing.community import Communities, Community
from lezha.sharing.errors import PolicyError
from lezha.sharing.policy import PolicedGate, Policy, What, Who, narrowed, toward
from lezha.sharing.release import Facts, Gate, Reason, Recipient, Released, Withheld, release
from lezha.sharing.terms import Audience
from lezha.sharing.tlp import Pap, Tlp

ALL = "permit (principal, action, resource);\n"
INDICATOR = facts(terms(Tlp.GREEN, TO_ALL), type="indicator")


def decide(
    text: str, one: Facts = INDICATOR, recipient: Recipient = ALLY, rosters: Communities = ROSTERS
) -> Released | Withheld:
    return by(CedarPolicy(text), one, recipient, rosters)


def by(
    policy: Policy | None, one: Facts, recipient: Recipient, rosters: Communities = ROSTERS, now: str = NOW
) -> Released | Withheld:
    return narrowed(release(one, recipient, rosters, now), one, toward(policy, recipient, rosters, now))


def rule(
    text: str, one: Facts = INDICATOR, recipient: Recipient = ALLY, rosters: Communities = ROSTERS
) -> str | None:
    """By which rule the policy withholds it; None if it leaves."""
    outcome = decide(text, one, recipient, rosters)
    if isinstance(outcome, Released):
        return None
    assert outcome.reason is Reason.POLICY
    return outcome.rule


# --- what a rule may go by ------------------------------------------------------------------------------------------


def forbid(condition: str, scope: str = "principal, action, resource") -> str:
    return f'{ALL}@id("it")\nforbid ({scope}) when {{ {condition} }};'


VIENNA = replace(ALLY, id=AUSTRIA)
RELAYED = replace(
    INDICATOR,
    author_here=False,
    origin=KOSOVO,
    terms=terms(Tlp.GREEN, TO_NATO, onward=True),
    came_from=frozenset({KOSOVO}),
)


@pytest.mark.parametrize(
    ("text", "hit", "passed"),
    [
        (forbid('resource.type == "indicator"'), INDICATOR, replace(INDICATOR, type="malware")),
        (
            forbid('resource.tlp == Tlp::"amber"'),
            replace(INDICATOR, markings=(Tlp.AMBER,)),
            INDICATOR,
        ),
        (
            forbid('resource.pap == Pap::"red"'),
            facts(terms(audience=TO_ALL, pap=Pap.RED), type="indicator"),
            INDICATOR,
        ),
        (forbid("true", 'principal, action == Action::"relay", resource'), RELAYED, INDICATOR),
        (forbid("true", 'principal, action == Action::"tell", resource'), INDICATOR, RELAYED),
        (forbid(f'resource.origin == Member::"{KOSOVO}"'), RELAYED, INDICATOR),
        (forbid("resource.audience.everyone"), INDICATOR, facts(terms(audience=TO_NATO), type="indicator")),
        (
            forbid("resource.audience.named"),
            facts(terms(audience=TO_MONTENEGRO), type="indicator"),
            INDICATOR,
        ),
        (
            forbid(f'resource.audience.communities.contains(Community::"{NATO}")'),
            facts(terms(audience=TO_NATO), type="indicator"),
            INDICATOR,
        ),
    ],
)
def test_a_rule_goes_by_what_the_object_and_its_statement_are(text: str, hit: Facts, passed: Facts) -> None:
    assert (rule(text, hit), rule(text, passed)) == ("it (line 2)", None)


@pytest.mark.parametrize(
    ("text", "hit", "passed"),
    [
        (forbid("true", f'principal == Member::"{AUSTRIA}", action, resource'), VIENNA, ALLY),
        (forbid("true", f'principal in Community::"{NATO}", action, resource'), ALLY, VIENNA),
        (forbid("true", "principal is Constituent, action, resource"), MINISTRY, ALLY),
        (forbid("true", "principal is Member, action, resource"), ALLY, MINISTRY),
        (forbid('principal.clearance == Tlp::"red"'), ALLY, replace(ALLY, clearance=Tlp.GREEN)),
    ],
)
def test_a_rule_goes_by_who_the_recipient_is(text: str, hit: Recipient, passed: Recipient) -> None:
    assert (rule(text, recipient=hit), rule(text, recipient=passed)) == ("it (line 2)", None)


def test_another_member_that_is_named_is_not_the_recipient() -> None:
    to_both = Audience(communities=TO_NATO.communities, members=(AUSTRIA,))
    assert rule(forbid("resource.audience.named"), facts(terms(audience=to_both), type="report")) is None


def test_what_is_not_permitted_is_withheld() -> None:
    assert rule("") == rule("// nothing\n") == "no rule of it permits this"
    narrow = 'permit (principal, action, resource) when { resource.type == "malware" };'
    assert rule(narrow) == "no rule of it permits this"
    assert rule(narrow, replace(INDICATOR, type="malware")) is None


def test_of_several_rules_that_forbid_the_first_in_the_file_is_named() -> None:
    text = ALL + "".join(f'@id("{name}") forbid (principal, action, resource);\n' for name in "cab")
    assert {rule(text) for _ in range(20)} == {"c (line 2)"}


def test_a_rule_without_a_name_is_called_by_its_line() -> None:
    assert rule(f"// one; two\n{ALL}\n\nforbid (principal, action, resource);") == "the rule in line 5"


def test_own_systems_are_not_asked_about() -> None:
    assert isinstance(decide("", recipient=OWN_SYSTEM), Released)


def test_what_the_kernel_withholds_keeps_its_reason() -> None:
    outcome = decide("", facts(terms(audience=TO_NATO), type="report"), VIENNA)
    assert isinstance(outcome, Withheld)
    assert (outcome.reason, outcome.rule) == (Reason.NOT_IN_AUDIENCE, "")


def test_a_gate_with_a_policy_gives_what_the_policy_leaves_of_the_kernels_decision() -> None:
    policy = CedarPolicy(forbid('resource.type == "indicator"'))
    kernel = Gate(ALLY, ROSTERS, NOW)
    gate = PolicedGate(ALLY, ROSTERS, NOW, policy)
    assert (gate.recipient, gate.communities) == (ALLY, ROSTERS)
    report, secret = replace(INDICATOR, type="report"), replace(INDICATOR, terms=None)
    assert gate.decide(INDICATOR) == Withheld("statement", MONTENEGRO, Reason.POLICY, True, "it (line 2)")
    assert gate.decide(secret) == kernel.decide(secret)
    without = PolicedGate(ALLY, ROSTERS, NOW, None)
    for one, by in ((report, gate), (INDICATOR, without)):
        outcome, alone = by.decide(one), kernel.decide(one)
        assert isinstance(outcome, Released)
        assert isinstance(alone, Released)
        assert (outcome.statement, outcome.recipient, outcome.rule) == (
            alone.statement,
            alone.recipient,
            alone.rule,
        )


def test_a_gate_asks_about_the_communities_of_its_moment() -> None:
    policy = CedarPolicy(forbid("true", f'principal in Community::"{NATO}", action, resource'))
    to_nato = facts(terms(Tlp.GREEN, TO_NATO), type="indicator")
    assert isinstance(PolicedGate(ALLY, ROSTERS, NOW, CedarPolicy(ALL)).decide(to_nato), Released)
    late = PolicedGate(ALLY, ROSTERS, LATER, CedarPolicy(ALL)).decide(to_nato)
    assert isinstance(late, Withheld)
    assert late.reason is not Reason.POLICY
    without = {NATO: replace(ROSTERS[NATO], members={ALBANIA: 1})}
    to_all = replace(INDICATOR, terms=terms(Tlp.GREEN, TO_ALL))
    assert isinstance(PolicedGate(ALLY, ROSTERS, NOW, policy).decide(to_all), Withheld)
    assert isinstance(PolicedGate(ALLY, without, NOW, policy).decide(to_all), Released)


# --- it fails closed ------------------------------------------------------------------------------------------------


def test_an_object_of_which_the_type_is_not_known_does_not_leave() -> None:
    assert rule(ALL, replace(INDICATOR, type="")) == "what kind of object it is is not known here"


def test_whether_a_member_is_still_in_an_expired_roster_is_held_against_it_either_way() -> None:
    stale = ROSTERS | {NATO: community(NATO, {MONTENEGRO: 1}, expires=BEFORE)}
    is_in = forbid("true", f'principal in Community::"{NATO}", action, resource')
    is_out = f'{ALL}forbid (principal, action, resource) unless {{ principal in Community::"{NATO}" }};'
    assert [rule(text, rosters=stale) is not None for text in (is_in, is_out)] == [True, True]
    assert [rule(text) is not None for text in (is_in, is_out)] == [True, False]


@pytest.mark.parametrize(
    ("roster", "now"),
    [
        (community(NATO, {MONTENEGRO: 1}, expires=NOW), NOW),
        (replace(community(NATO, {MONTENEGRO: 1}), until={MONTENEGRO: NOW}), NOW),
    ],
    ids=["the roster expires", "the membership ends"],
)
def test_from_the_moment_at_which_a_membership_may_be_over_it_is_not_relied_on(
    roster: Community, now: str
) -> None:
    policy = CedarPolicy(
        f'{ALL}forbid (principal, action, resource) unless {{ principal in Community::"{NATO}" }};'
    )
    assert isinstance(by(policy, INDICATOR, ALLY, {NATO: roster}, now), Withheld)
    assert isinstance(by(policy, INDICATOR, ALLY, {NATO: roster}, BEFORE), Released)


def test_a_rule_that_fails_withholds_and_is_not_left_out() -> None:
    # Cedar leaves out a rule that fails, also one that forbids: integers overflow beyond 64 bits.
    failing = f"{ALL}forbid (principal, action, resource) when {{ 9223372036854775807 + 1 == 0 }};"
    answer = cedarpy.is_authorized(
        {"principal": 'Member::"m"', "action": 'Action::"tell"', "resource": 'Object::"o"', "context": {}},
        failing,
        [],
    )
    assert answer.allowed, "by itself Cedar would let it leave"
    said = "it could not be decided: error while evaluating policy `policy{}`: integer overflow"
    assert str(rule(failing)).startswith(said.format(1))
    several = str(rule(failing + failing.removeprefix(ALL)))
    assert sorted(one.partition(" while")[0] for one in several.split("; ")) == [
        "error",
        "it could not be decided: error",
    ]


def test_an_answer_that_the_engine_can_not_give_withholds() -> None:
    policy = CedarPolicy(ALL)
    who = Who(ALLY.standing, ALLY.id, Tlp.RED, frozenset())
    kind = What(True, ALBANIA, "indicator", Tlp.GREEN, Pap.GREEN, True, frozenset(), False)
    assert policy.refusal(who, kind) is None
    unknown = policy.refusal(who, kind._replace(tlp="ultraviolet"))  # type: ignore[arg-type]  # what mypy forbids
    assert str(unknown).startswith("it could not be decided:")
    # Held against the schema too: a type is a text.
    odd = policy.refusal(who, kind._replace(type=5))  # type: ignore[arg-type]  # what mypy forbids
    assert str(odd).startswith("it could not be decided: ")


def test_an_odd_name_is_nothing_but_a_name() -> None:
    odd = 'x", action, resource); permit (principal == Member::"\n\u202e'
    assert rule(
        forbid("true", "principal is Constituent, action, resource"), recipient=replace(MINISTRY, id=odd)
    )
    assert rule(ALL, replace(INDICATOR, type=odd, origin=odd)) is None


# --- it is read strictly --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{ALL}\npermit (principal, action", r"policy\.cedar, line 3: this is not Cedar \(unexpected end"),
        ("permit (principal, action", r"^policy\.cedar, line 1: this is not Cedar"),
        (f"{ALL}/* */", r"policy\.cedar, line 2: this is not Cedar"),
        (forbid('resource.tlp == Tlp::"gren"'), r'policy\.cedar, line 2 \(it\): entity `Tlp::"gren"`'),
        (forbid("resource.marking"), r"policy\.cedar, line 2 \(it\): attribute `marking`"),
        (
            f"{ALL}forbid (principal, action, resource) when {{ resource.marking }};",
            r"^policy\.cedar, line 2: attribute `marking`",
        ),
        (forbid("resource.type > 1"), r"policy\.cedar, line 2 \(it\): unexpected type"),
        (
            forbid("true", 'principal, action == Action::"send", resource'),
            r"line 2 \(it\): unrecognized action",
        ),
        (forbid("true", "principal is Peer, action, resource"), "line 2"),
        (f"{ALL}forbid (principal == ?principal, action, resource);", "line 2: a template"),
        (
            '@id("a")\n' + ALL + '@id("a")\n' + ALL,
            r"^policy\.cedar, line 3: another rule has the @id 'a' already",
        ),
        (f'@id("{"n" * 201}") {ALL}', r"^policy\.cedar, line 1: its @id is longer than 200 characters"),
        (forbid("(" * (MAX_NESTING + 1)), "line 3: brackets are nested more than 50 deep"),
        (forbid(f'resource.type == "{"t" * MAX_RULE}"'), "line 2: the rule is longer than 16 KiB"),
        (f"// {'c' * MAX_BYTES}\n{ALL}", "larger than 256 KiB"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        CedarPolicy(text, "policy.cedar")


def test_every_rule_that_the_schema_does_not_bear_is_named_once() -> None:
    with pytest.raises(PolicyError) as caught:
        CedarPolicy(
            forbid("resource.one") + forbid("resource.two").replace('@id("it")\n', ""), "policy.cedar"
        )
    first, second = (f"attribute `{name}` on entity type `Object` not found." for name in ("one", "two"))
    assert sorted(str(caught.value).split(" policy.cedar, ")) in (
        [f"line 4: {second}", f"policy.cedar, line 2 (it): {first}"],
        [f"line 2 (it): {first}", f"policy.cedar, line 4: {second}"],
    )


def test_whatever_is_written_is_a_policy_or_a_policy_error() -> None:
    pieces = st.sampled_from(
        [
            "permit",
            "forbid",
            "(principal, action, resource)",
            ";",
            "when",
            "{",
            "}",
            '"',
            "//",
            "\n",
            "@id",
            "\x00",
        ]
    )

    @given(st.lists(pieces | st.text(max_size=8), max_size=30).map(" ".join))
    @settings(max_examples=300, deadline=None)
    def check(text: str) -> None:
        with suppress(PolicyError):
            CedarPolicy(text)

    check()


def test_a_policy_says_whom_it_names_and_where() -> None:
    text = (
        f'{ALL}forbid (principal in Community::"{EU}", action, resource)\nwhen {{ resource.origin == '
        f'Member::"{ALBANIA}" || [Member::"{KOSOVO}"].contains(resource.origin) }};\n'
        f'forbid (principal == Member::"{ALBANIA}", action, resource);\n'
        'forbid (principal == Constituent::"ministry", action, resource) when { resource.tlp == Tlp::"red" };'
    )
    assert set(CedarPolicy(text).named) == {
        Named("Community", EU, 2),
        Named("Member", ALBANIA, 2),
        Named("Member", KOSOVO, 2),
        Named("Constituent", "ministry", 5),
    }


def test_a_policy_tells_its_rules_as_the_file_has_them() -> None:
    text = (
        f'// ü\n{ALL}@id("it") forbid (principal, action, resource);\n@other("a") {ALL}@id {ALL}@id("") {ALL}'
    )
    policy = CedarPolicy(text)
    assert policy.rules == (
        Rule(2, "", True),
        Rule(3, "it", False),
        Rule(4, "", True),
        Rule(5, "", True),
        Rule(6, "", True),
    )
    assert [str(one) for one in policy.rules[:2]] == ["the rule in line 2", "it (line 3)"]
    assert (policy.text, policy.digest) == (text, hashlib.sha256(text.encode("utf-8")).hexdigest())


def test_a_name_may_have_200_characters() -> None:
    assert CedarPolicy(f'@id("{"é" * 200}") {ALL}').rules[0].name == "é" * 200


def test_the_engine_is_asked_once_about_each_kind() -> None:
    policy = CedarPolicy(ALL)
    assert policy.asked == 0
    for one in (INDICATOR, replace(INDICATOR, content="another"), replace(INDICATOR, type="report")):
        assert isinstance(by(policy, one, ALLY), Released)
    assert policy.asked == 2


def test_without_the_engine_a_policy_is_refused_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with pytest.raises(
        PolicyError, match=r"^A national policy needs .* cedarpy: pip install 'lezha\[policy\]' \("
    ):
        CedarPolicy(ALL)


def test_the_schema_that_is_shipped_is_one() -> None:
    assert "entity Object" in str(cedarpy.Schema.from_str(cedar.schema()))


# --- any policy narrows ---------------------------------------------------------------------------------------------

CONDITIONS = [
    *(f'resource.tlp == Tlp::"{level}"' for level in Tlp),
    *(f'resource.pap == Pap::"{level}"' for level in Pap),
    *(f'resource.audience.communities.contains(Community::"{one}")' for one in ("community--1", WB6)),
    'resource.type == "indicator"',
    'resource.origin == Member::"identity--1"',
    'principal == Member::"identity--2"',
    'principal in Community::"community--1"',
    'principal.clearance in [Tlp::"clear", Tlp::"green"]',
    "principal is Constituent",
    "resource.audience.everyone",
    "resource.audience.named",
    "9223372036854775807 + 1 == 0",
]
ACTIONS = ["action", 'action == Action::"tell"', 'action == Action::"relay"']


@st.composite
def rules(draw: st.DrawFn) -> str:
    effect = draw(st.sampled_from(["permit", "forbid"]))
    scope = f"(principal, {draw(st.sampled_from(ACTIONS))}, resource)"
    clauses: Sequence[tuple[str, str]] = draw(
        st.lists(st.tuples(st.sampled_from(["when", "unless"]), st.sampled_from(CONDITIONS)), max_size=3)
    )
    return f"{effect} {scope} {' '.join(f'{word} {{ {what} }}' for word, what in clauses)};"


@given(
    st.lists(rules(), max_size=4).map("\n".join),
    st.lists(st.tuples(all_facts, recipients, rosters, st.sampled_from(TIMES)), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_what_is_released_under_any_policy_is_released_without_it(
    text: str, asked: list[tuple[Facts, Recipient, Communities, str]]
) -> None:
    policy = CedarPolicy(text)
    for one, recipient, present, now in asked:
        kind = replace(one, type="indicator")
        without, under = by(None, kind, recipient, present, now), by(policy, kind, recipient, present, now)
        if isinstance(without, Withheld):
            assert under == without
        elif isinstance(under, Withheld):
            assert (under.reason, bool(under.rule)) == (Reason.POLICY, True)
            assert recipient.standing != "own"
        else:
            assert (under.statement, under.rule) == (without.statement, without.rule)
