"""Communities: founded by stewards that are linked, signed by enough of them, and accepted by each for itself."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import MALLORY, PODGORICA, TIRANA, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import NAMES, VIENNA, Station, alliance

from lezha.federation import roster
from lezha.flows import convene
from lezha.flows.convene import Draft, Revision
from lezha.flows.errors import FlowError
from lezha.node.clock import later, utc_now
from lezha.sharing.community import Community
from lezha.store import communities, schema
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState

Three = tuple[Station, Station, Station]
NAMES[MALLORY.member] = "mallory"


def draft(
    name: str = "WB6",
    members: tuple[str, ...] = ("self", "podgorica"),
    stewards: tuple[str, ...] = ("tirana", "podgorica"),
    threshold: int = 2,
) -> Draft:
    return Draft(name, members, stewards, threshold, utc_now(), later(utc_now(), days=30))


def found(here: Station, wanted: Draft) -> bytes:
    with here.log.read() as conn:
        return convene.found(conn, here.convener, wanted)


def cosigned(here: Station, raw: bytes) -> bytes:
    with here.log.read() as conn:
        return convene.cosign(conn, here.convener, raw)


@pytest.fixture
async def three(station: Callable[..., Station]) -> Three:
    stations = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    return stations


async def test_a_community_is_founded_cosigned_and_accepted(three: Three) -> None:
    tirana, podgorica, _ = three
    raw = cosigned(podgorica, found(tirana, draft()))
    for one in (tirana, podgorica):
        community = await convene.accept(one.log, raw, "test")
        assert (community.name, community.number) == ("WB6", 1)
        assert community.members == {TIRANA.member: 1, PODGORICA.member: 1}


async def test_a_draft_writes_nothing(three: Three) -> None:
    tirana, *_ = three
    found(tirana, draft())
    assert tirana.rows(schema.rosters, "name") == []


async def test_a_roster_that_lacks_a_signature_is_not_accepted(three: Three) -> None:
    tirana, *_ = three
    words = "2 stewards of .* must sign roster 1, and 1 has: `lezha community show` says who"
    with pytest.raises(FlowError, match=words):
        await convene.accept(tirana.log, found(tirana, draft()), "test")
    assert tirana.rows(schema.admissions, "member") == []


async def test_who_is_no_steward_does_not_sign(three: Three) -> None:
    tirana, _, vienna = three
    with pytest.raises(FlowError, match="not a steward"):
        cosigned(vienna, found(tirana, draft()))


@pytest.mark.parametrize("raw", [b"", b"{}", b"nonsense", b"\xff"])
async def test_what_is_no_roster_is_neither_signed_nor_accepted(three: Three, raw: bytes) -> None:
    tirana, *_ = three
    with pytest.raises(FlowError):
        cosigned(tirana, raw)
    with pytest.raises(FlowError):
        await convene.accept(tirana.log, raw, "test")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (draft(members=("self", "nobody")), "no peer 'nobody'"),
        (draft(stewards=("self", "nobody")), "no peer 'nobody'"),
        (draft(threshold=0), "threshold"),
        (draft(threshold=3), "threshold"),
        (draft(stewards=("self", "tirana")), "threshold"),
        (draft(name="everyone"), "already"),
    ],
)
async def test_a_draft_that_could_not_work_is_refused(three: Three, wanted: Draft, words: str) -> None:
    with pytest.raises(FlowError, match=words):
        found(three[0], wanted)


@pytest.mark.parametrize("name", ["", "x" * 101, "WB\n6"])
async def test_a_name_that_no_node_would_accept_is_refused_at_once(three: Three, name: str) -> None:
    with pytest.raises(FlowError):
        found(three[0], draft(name=name, stewards=("self",), threshold=1))


async def test_a_name_is_taken_once_here(three: Three) -> None:
    tirana, *_ = three
    raw = found(tirana, draft(stewards=("self",), threshold=1))
    await convene.accept(tirana.log, raw, "test")
    with pytest.raises(FlowError, match="a community 'wb6' here already"):
        found(tirana, draft(name="wb6"))


@pytest.mark.parametrize("state", [PeerState.PENDING, PeerState.SUSPENDED])
async def test_a_peer_that_is_not_active_is_not_made_a_member(
    station: Callable[..., Station], state: PeerState
) -> None:
    tirana, podgorica = station(TIRANA), station(PODGORICA)
    await tirana.links(podgorica, state=state)
    with pytest.raises(FlowError, match="confirm it first"):
        found(tirana, draft())


async def test_another_roster_of_the_same_number_is_refused(log: Log) -> None:
    of = charter(TIRANA)
    await convene.accept(log, roster.draft(a_roster(of), TIRANA.signer), "test")
    other = roster.draft(a_roster(of, members={TIRANA.member: 1}), TIRANA.signer)
    with pytest.raises(FlowError, match="Two different rosters"):
        await convene.accept(log, other, "test")
    with log.read() as conn:
        assert len(communities.current(conn)[of.community].members) == 2


async def test_accepting_twice_changes_nothing(log: Log) -> None:
    raw = roster.draft(a_roster(charter(TIRANA)), TIRANA.signer)
    first = await convene.accept(log, raw, "test")
    assert await convene.accept(log, raw, "test") == first
    with log.read() as conn:
        assert len(conn.execute(schema.events.select()).all()) == 2  # the roster, the admission


async def test_a_later_roster_removes_at_once_and_admits_when_it_is_accepted(log: Log) -> None:
    of = charter(TIRANA)
    await convene.accept(log, roster.draft(a_roster(of), TIRANA.signer), "test")
    later_one = a_roster(of, 2, members={TIRANA.member: 1, VIENNA.member: 2})
    community = await convene.accept(log, roster.draft(later_one, TIRANA.signer), "test")
    assert community.members == {TIRANA.member: 1, VIENNA.member: 2}


async def test_an_older_roster_that_comes_late_changes_nothing_in_force(log: Log) -> None:
    of = charter(TIRANA)
    await convene.accept(
        log, roster.draft(a_roster(of, 2, members={TIRANA.member: 1}), TIRANA.signer), "test"
    )
    community = await convene.accept(log, roster.draft(a_roster(of, 1), TIRANA.signer), "test")
    assert (community.number, community.members) == (2, {TIRANA.member: 1})


async def test_who_gives_itself_the_charter_of_another_founds_another_community(log: Log) -> None:
    await convene.accept(log, roster.draft(a_roster(charter(TIRANA)), TIRANA.signer), "test")
    squatted = replace(charter(TIRANA), stewards=(MALLORY.public,))
    await convene.accept(log, roster.draft(a_roster(squatted), MALLORY.signer), "test")
    with log.read() as conn:
        assert len(communities.current(conn)) == 2


# --- the next roster ------------------------------------------------------------------------------------------------


def revised(here: Station, name: str = "WB6", **changes: Any) -> bytes:
    plain: dict[str, Any] = {"add": {}, "remove": (), "issued": utc_now()}
    with here.log.read() as conn:
        return convene.revise(conn, here.convener, here.members, Revision(name, **(plain | changes)))


def now_in(here: Station) -> Community:
    with here.log.read() as conn:
        (found,) = communities.current(conn).values()
    return found


def choice(here: Station, *names: str) -> convene.Choice:
    return convene.Choice(here.member, here.members, names)


async def agreed(*stations: Station, raw: bytes | None = None, **changes: Any) -> bytes:
    """A roster that the first two of them sign and all accept: WB6 is founded by Tirana, or revised."""
    first, second, *_ = stations
    raw = cosigned(second, raw or (revised(first, **changes) if changes else found(first, draft())))
    for one in stations:
        await convene.accept(one.log, raw, "test")
    return raw


async def test_the_next_roster_is_drafted_from_the_one_held_and_signed_by_its_stewards(three: Three) -> None:
    _, podgorica, vienna = three
    await agreed(*three)
    until, expires = later(utc_now(), days=7), later(utc_now(), days=90)
    await agreed(*three, add={"vienna": until}, remove=("podgorica",), expires=expires)
    for one in three:
        here = now_in(one)
        assert (here.number, here.members) == (2, {TIRANA.member: 1, VIENNA.member: 2})
        assert (here.until, here.expires) == ({VIENNA.member: until}, expires)
    assert vienna.rows(schema.rosters, "number") == [(1,), (2,)]
    assert not podgorica.rows(schema.roster_conflicts, "number")


async def test_without_another_expiry_the_next_roster_expires_when_the_present_one_does(three: Three) -> None:
    await agreed(*three)
    before = now_in(three[0]).expires
    await agreed(*three, add={"vienna": None})
    assert now_in(three[0]).expires == before


async def test_who_was_removed_and_comes_back_is_admitted_by_the_new_number(three: Three) -> None:
    await agreed(*three)
    await agreed(*three, add={"vienna": None}, remove=("podgorica",))
    await agreed(*three, add={"podgorica": None})
    assert now_in(three[0]).members == {TIRANA.member: 1, VIENNA.member: 2, PODGORICA.member: 3}


async def test_a_member_that_is_unknown_here_is_removed_by_its_id(station: Callable[..., Station]) -> None:
    tirana, podgorica = station(TIRANA), station(PODGORICA)
    await alliance(tirana, podgorica)
    of = a_roster(charter(TIRANA, name="WB6"), expires=later(utc_now(), days=30))
    members = {**of.members, VIENNA.member: 1}
    await convene.accept(tirana.log, roster.draft(replace(of, members=members), TIRANA.signer), "test")
    assert VIENNA.member not in roster.peek(revised(tirana, remove=(VIENNA.member,))).members


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "changes nothing"),
        ({"add": {"podgorica": None}}, "changes nothing"),
        ({"add": {"nobody": None}}, "no peer 'nobody'"),
        ({"add": {VIENNA.member: None}}, "no peer"),
        ({"remove": ("vienna",)}, "vienna is no member by roster 1"),
        ({"remove": ("nobody",)}, "no member 'nobody'"),
        ({"remove": ("",)}, "without a name is no member"),
        ({"remove": ("self", "podgorica")}, "Nobody would be left"),
        ({"issued": later(utc_now(), days=31), "add": {"vienna": None}}, "would have expired"),
        ({"name": "EU"}, "No community 'EU' was accepted here. Accepted: WB6"),
    ],
)
async def test_a_next_roster_that_could_not_work_is_refused(
    three: Three, changes: dict[str, Any], words: str
) -> None:
    await agreed(*three)
    with pytest.raises((FlowError, NotFound), match=words):
        revised(three[0], **changes)


async def test_who_is_no_steward_drafts_no_next_roster(three: Three) -> None:
    await agreed(*three)
    with pytest.raises(FlowError, match="not a steward of WB6"):
        revised(three[2], add={"vienna": None})


async def test_stewards_who_hold_different_rosters_find_out_before_they_sign(three: Three) -> None:
    tirana, podgorica, _ = three
    await agreed(*three)
    mine, yours = revised(tirana, add={"vienna": None}), revised(podgorica, remove=("self",))
    await convene.accept(tirana.log, cosigned(podgorica, mine), "test")
    with pytest.raises(FlowError, match="It has number 2, and the latest roster held here is number 2"):
        cosigned(tirana, yours)
    # Podgorica has accepted the other one, which it should not have got two signatures for.
    other = roster.cosign(yours, tirana.party.signer)
    await convene.accept(podgorica.log, other, "test")
    with pytest.raises(FlowError, match="follows another roster 2"):
        cosigned(tirana, revised(podgorica, expires=later(utc_now(), days=60)))


async def test_a_steward_who_lacks_a_roster_does_not_sign_the_one_after(three: Three) -> None:
    tirana, podgorica, _ = three
    first = await agreed(*three)
    second = cosigned(podgorica, revised(tirana, add={"vienna": None}))
    await convene.accept(tirana.log, second, "test")
    with pytest.raises(FlowError, match="It has number 3, and the latest roster held here is number 1"):
        cosigned(podgorica, revised(tirana, expires=later(utc_now(), days=60)))
    assert cosigned(podgorica, first)  # once more changes nothing


async def test_a_steward_who_holds_no_roster_of_it_signs_only_the_first(three: Three) -> None:
    tirana, podgorica, _ = three
    raw = cosigned(podgorica, found(tirana, draft()))
    await convene.accept(tirana.log, raw, "test")
    with pytest.raises(FlowError, match="holds no roster of WB6"):
        cosigned(podgorica, revised(tirana, add={"vienna": None}))


async def test_an_admission_that_is_dated_back_is_not_signed(three: Three) -> None:
    tirana, podgorica, _ = three
    await agreed(*three)
    true = roster.peek(revised(tirana, add={"vienna": None}))
    false = replace(true, members=true.members | {VIENNA.member: 1})
    with pytest.raises(FlowError, match="admitted"):
        cosigned(podgorica, roster.draft(false, tirana.party.signer))


# --- admitted here --------------------------------------------------------------------------------------------------


async def test_some_of_the_members_are_admitted_and_the_others_wait(three: Three) -> None:
    tirana, podgorica, _ = three
    await agreed(*three)
    raw = cosigned(podgorica, revised(tirana, add={"vienna": None}))
    await convene.accept(tirana.log, raw, "test", choice(tirana, "podgorica"))
    assert (set(now_in(tirana).members), now_in(tirana).waiting) == (
        {TIRANA.member, PODGORICA.member}, {VIENNA.member: 2}
    )  # fmt: skip
    with pytest.raises(FlowError, match="nobody"):
        await convene.approve(tirana.log, "WB6", choice(tirana, "nobody"), "test")
    with pytest.raises(FlowError, match="podgorica does not wait for approval in WB6"):
        await convene.approve(tirana.log, "WB6", choice(tirana, "vienna", "podgorica"), "test")
    assert now_in(tirana).waiting == {VIENNA.member: 2}
    await convene.approve(tirana.log, "wb6", choice(tirana, "vienna"), "test")
    assert (now_in(tirana).members[VIENNA.member], now_in(tirana).waiting) == (2, {})


async def test_this_node_s_own_member_is_admitted_whomever_else_one_chooses(three: Three) -> None:
    tirana, podgorica, _ = three
    raw = cosigned(podgorica, found(tirana, draft()))
    await convene.accept(tirana.log, raw, "test", choice(tirana, "podgorica"))
    assert now_in(tirana).waiting == {}
    with pytest.raises(FlowError, match="vienna is no member by roster 1 of WB6"):
        await convene.accept(podgorica.log, raw, "test", choice(podgorica, "vienna"))


async def test_a_second_roster_of_one_number_is_recorded_when_it_is_brought_by_hand(log: Log) -> None:
    of = charter(TIRANA)
    await convene.accept(log, roster.draft(a_roster(of), TIRANA.signer), "test")
    other = roster.draft(a_roster(of, members={TIRANA.member: 1}), TIRANA.signer)
    with pytest.raises(FlowError, match="Two different rosters"):
        await convene.accept(log, other, "test")
    with log.read() as conn:
        (found,) = communities.clashes(conn)
    assert (found.number, found.hash, found.came_from) == (1, roster.digest(other), "")


async def test_one_of_two_communities_of_one_name_is_named_by_its_id(log: Log) -> None:
    for party in (TIRANA, MALLORY):
        await convene.accept(log, roster.draft(a_roster(charter(party)), party.signer), "test")
    with log.read() as conn:
        with pytest.raises(FlowError, match="write the id"):
            convene.accepted(conn, "nato")
        assert convene.accepted(conn, charter(TIRANA).community).id == charter(TIRANA).community
