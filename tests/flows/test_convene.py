"""Communities: founded by stewards that are linked, signed by enough of them, and accepted by each for itself."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.federation.keys import MALLORY, PODGORICA, TIRANA, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import NAMES, VIENNA, Station, alliance

from lezha.federation import roster
from lezha.flows import convene
from lezha.flows.convene import Draft
from lezha.flows.errors import FlowError
from lezha.node.clock import later, utc_now
from lezha.store import communities, schema
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
    with pytest.raises(FlowError, match="not signed by enough"):
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
