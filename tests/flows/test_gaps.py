"""What could not be told to whom: by reason, peer and community, own apart from others'."""

from collections.abc import Callable

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, alliance, deliver, found, told
from tests.stix.examples import RED

from lezha.flows import gaps, share
from lezha.flows.errors import FlowError
from lezha.flows.gaps import Asked, Gaps
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import communities, peers, schema
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica, Pristina and Vienna; NATO is Tirana and Podgorica. Two things were published."""
    here, others = station(TIRANA), [station(one) for one in (PODGORICA, PRISTINA, VIENNA)]
    await here.links(*others)
    await found("NATO", here, others[0])
    await here.publish(told(TIRANA, 1), told(TIRANA, 2, object_marking_refs=[RED]), to=["NATO"])
    for one in others:
        await here.withheld(one)
    return here


def reported(here: Station, cap: int = gaps.CAP, now: str = "", **asked: str) -> Gaps:
    with here.log.read() as conn:
        return gaps.gaps(conn, here.member, Asked(**asked), now or utc_now(), cap)


def counts(report: Gaps) -> dict[str, dict[str, int]]:
    return {one.peer: {gap.reason: gap.count for gap in one.own} for one in report.peers}


async def test_each_peer_has_its_sums_with_examples_and_what_can_be_done(tirana: Station) -> None:
    report = reported(tirana)
    assert counts(report) == {
        "podgorica": {"clearance": 1},
        "pristina": {"not_in_audience": 2},
        "vienna": {"not_in_audience": 2},
    }
    (gap,) = report.peers[0].own
    assert [(one.id, one.type, one.by) for one in gap.examples] == [
        (told(TIRANA, 2)["id"], "indicator", "self")
    ]
    assert (gap.words, gap.clause) == (
        "the recipient is not cleared for its marking",
        "docs/design.md, Release",
    )
    assert gap.remedy.startswith("Publish a tear-line")
    assert report.peers[0].communities == ("NATO",)


async def test_what_others_signed_is_apart(station: Callable[..., Station]) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(here, there, other)
    await there.publish(told(PODGORICA, 7), to=["everyone"])
    await deliver(there, here)
    await here.withheld(other)
    report = reported(here, peer="vienna")
    (vienna,) = report.peers
    assert vienna.own == ()
    assert [(gap.reason, gap.examples[0].by) for gap in vienna.others] == [("not_onward", "podgorica")]


async def test_a_community_sums_up_its_members_and_names_those_without_a_link(tirana: Station) -> None:
    (nato,) = reported(tirana).communities
    assert (nato.community, nato.members, nato.unlinked, nato.own) == ("NATO", 2, 0, {"clearance": 1})
    assert nato.words == {"clearance": "the recipient is not cleared for its marking"}
    await tirana.log.write(lambda tx: tx.conn.execute(schema.peers.delete()))
    (nato,) = reported(tirana).communities
    assert (nato.unlinked, nato.unlinked_members, nato.own) == (1, (PODGORICA.member,), {})


async def test_a_community_whose_roster_has_expired_says_so(tirana: Station) -> None:
    assert [one.expired for one in reported(tirana).communities] == [False]
    assert [one.expired for one in reported(tirana, now=later(utc_now(), days=31)).communities] == [True]


async def test_one_peer_or_one_community_may_be_asked_for(tirana: Station) -> None:
    assert list(counts(reported(tirana, peer="vienna"))) == ["vienna"]
    assert list(counts(reported(tirana, community="nato"))) == ["podgorica"]
    with tirana.log.read() as conn:
        (key,) = communities.current(conn)
    assert list(counts(reported(tirana, community=key))) == ["podgorica"]
    with pytest.raises(FlowError, match=r"no community 'eu'\. Known here: NATO"):
        reported(tirana, community="eu")
    with pytest.raises(NotFound, match="no peer 'atlantis'"):
        reported(tirana, peer="atlantis")


async def test_what_was_withheld_before_is_left_out(tirana: Station) -> None:
    assert set(map(len, counts(reported(tirana, since=utc_now())).values())) == {0}
    assert counts(reported(tirana, since=later(utc_now(), hours=-1)))["vienna"] == {"not_in_audience": 2}


async def test_deciding_anew_does_not_make_an_old_gap_a_new_one(tirana: Station) -> None:
    """Since when something is withheld stays, as long as the reason does."""
    before = utc_now()
    vienna = Station(VIENNA, tirana.log)
    await tirana.log.write(lambda tx: peers.set_state(tx, VIENNA.member, PeerState.ACTIVE, "test"))
    assert set((await tirana.withheld(vienna)).values()) == {"not_in_audience"}
    assert counts(reported(tirana, since=before))["vienna"] == {}
    await tirana.log.write(lambda tx: peers.set_state(tx, VIENNA.member, PeerState.SUSPENDED, "test"))
    await tirana.withheld(vienna)
    assert counts(reported(tirana, since=before))["vienna"] == {"suspended": 2}


async def test_what_is_released_at_last_is_a_gap_no_more(tirana: Station) -> None:
    await tirana.log.write(lambda tx: peers.set_state(tx, PODGORICA.member, PeerState.SUSPENDED, "test"))
    podgorica = Station(PODGORICA, tirana.log)
    await tirana.publish(told(TIRANA, 3), to=["NATO"], tlp=Tlp.AMBER)
    assert list((await tirana.withheld(podgorica)).values()).count("suspended") == 2
    await tirana.log.write(lambda tx: peers.set_state(tx, PODGORICA.member, PeerState.ACTIVE, "test"))
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert counts(reported(tirana))["podgorica"] == {"clearance": 1}


async def test_what_a_peer_has_by_another_statement_is_no_gap(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["vienna"])
    vienna = Station(VIENNA, tirana.log)
    assert (await tirana.withheld(vienna)).keys() == {told(TIRANA, number)["id"] for number in (1, 2)}
    report = reported(tirana, peer="vienna")
    assert counts(report) == {"vienna": {"not_in_audience": 1}}
    assert [one.id for one in report.peers[0].own[0].examples] == [told(TIRANA, 2)["id"]]


async def test_what_its_author_has_recalled_is_no_gap(tirana: Station) -> None:
    """Whether it was withheld before its recall or after."""
    podgorica, vienna = Station(PODGORICA, tirana.log), Station(VIENNA, tirana.log)
    await tirana.recall(told(TIRANA, 1)["id"])
    assert counts(reported(tirana))["vienna"] == {"not_in_audience": 1}
    await tirana.publish(told(TIRANA, 3))
    await tirana.recall(told(TIRANA, 3)["id"])
    for one in (podgorica, vienna):
        assert (await tirana.withheld(one))[told(TIRANA, 3)["id"]] == "recalled"
    report = reported(tirana)
    assert counts(report)["vienna"] == {"not_in_audience": 1}
    assert [one.id for one in report.peers[2].own[0].examples] == [told(TIRANA, 2)["id"]]
    assert report.communities[0].own == {"clearance": 1}


async def test_sums_stop_at_the_cap_and_say_so(tirana: Station) -> None:
    await tirana.publish(*(told(TIRANA, number) for number in range(10, 15)), to=["NATO"])
    await tirana.withheld(Station(VIENNA, tirana.log))
    for cap, shown in ((6, (6, True)), (8, (7, False))):
        report = reported(tirana, cap=cap, peer="vienna")
        assert [(gap.count, gap.capped) for gap in report.peers[0].own] == [shown]
        assert report.cap == cap


async def test_it_is_the_same_on_both_engines(log: Log) -> None:
    here, there = Station(TIRANA, log), Station(VIENNA, log)
    await here.links(Station(PODGORICA, log), there)
    await here.publish(told(TIRANA, 1), to=["podgorica"])
    await here.withheld(there)
    assert counts(reported(here)) == {"podgorica": {}, "vienna": {"not_in_audience": 1}}
