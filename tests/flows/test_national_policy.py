"""A member's national policy between the log and its peers: what it forbids never leaves, and is decided anew."""

from collections.abc import Callable

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, alliance, deliver, found, pack, take, told

from lezha.federation.frame import FrameKind
from lezha.flows import export, publish, share
from lezha.node.clock import utc_now
from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.tlp import Pap, Tlp
from lezha.store import policies, schema, views

ALL = "permit (principal, action, resource);\n"
NO_RED = (
    f'{ALL}@id("nothing under PAP:RED")\n'
    'forbid (principal, action, resource) when { resource.pap == Pap::"red" };'
)
NO_RELAY = f'{ALL}forbid (principal, action == Action::"relay", resource);'
NOTHING = ""


@pytest.fixture
async def three(station: Callable[..., Station]) -> tuple[Station, Station, Station]:
    stations = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    return stations


Three = tuple[Station, Station, Station]
IDS = [told(TIRANA, number)["id"] for number in range(5)]


async def put(station: Station, text: str | None) -> None:
    await station.log.write(
        lambda tx: policies.adopt(tx, None if text is None else CedarPolicy(text), "node")
    )


async def test_what_the_policy_forbids_is_withheld_and_never_leaves(three: Three) -> None:
    tirana, podgorica, _ = three
    await put(tirana, NO_RED)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 2))
    assert await tirana.withheld(podgorica) == {IDS[1]: "national_policy"}
    await deliver(tirana, podgorica)
    assert podgorica.holds(IDS[1], IDS[2]) == [False, True]
    assert [one.number for one in (await pack(tirana, podgorica)).frames] == [1]


async def test_the_policy_is_that_of_each_member_who_passes_on(three: Three) -> None:
    tirana, podgorica, vienna = three
    await put(podgorica, NO_RELAY)
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    await podgorica.publish(told(PODGORICA, 2))
    await deliver(tirana, podgorica)
    assert await podgorica.withheld(vienna) == {IDS[1]: "national_policy"}
    await deliver(podgorica, vienna)
    assert vienna.holds(IDS[1], IDS[2]) == [False, True]


async def test_who_is_in_a_community_is_decided_by_the_current_roster(three: Three) -> None:
    tirana, podgorica, vienna = three
    eu = await found("EU", tirana, vienna)
    await put(
        tirana,
        f'{ALL}forbid (principal, action, resource) unless {{ principal in Community::"{eu.id}" }};',
    )
    await tirana.publish(told(TIRANA, 1))
    assert [await tirana.withheld(one) for one in (podgorica, vienna)] == [{IDS[1]: "national_policy"}, {}]


async def test_what_was_numbered_and_not_sent_goes_as_a_void_frame(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 2))
    before = await pack(tirana, podgorica)
    await put(tirana, NO_RED)
    after = await pack(tirana, podgorica)
    assert [one.kind for one in after.frames] == [FrameKind.VOID, FrameKind.STATEMENT]
    assert [one.chain() for one in after.frames] == [one.chain() for one in before.frames]
    await take(podgorica, tirana, after)
    assert podgorica.holds(IDS[1], IDS[2]) == [False, True]
    assert tirana.rows(schema.voids, "recipient", "reason") == [(podgorica.member, "national_policy")]


async def test_what_is_no_longer_forbidden_is_given(three: Three) -> None:
    tirana, podgorica, vienna = three
    await put(tirana, NO_RED)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 2), pap=Pap.RED, to=["vienna"])
    await tirana.withheld(podgorica)
    for text in (ALL, None):
        await put(tirana, text)
        assert await tirana.withheld(podgorica) == {IDS[2]: "not_in_audience"}
    assert await tirana.withheld(vienna) == {}
    await deliver(tirana, podgorica)
    assert podgorica.holds(IDS[1], IDS[2]) == [True, False]


async def test_what_was_void_by_the_policy_is_given_under_a_new_number_when_it_allows_it(
    three: Three,
) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await pack(tirana, podgorica)
    await put(tirana, NO_RED)
    await pack(tirana, podgorica)
    await put(tirana, None)
    assert [(one.number, one.kind) for one in (await pack(tirana, podgorica)).frames] == [
        (1, FrameKind.VOID),
        (2, FrameKind.STATEMENT),
    ]


async def test_what_was_sent_stays_sent(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await deliver(tirana, podgorica)
    await put(tirana, NO_RED)
    assert await tirana.withheld(podgorica) == {}
    assert podgorica.holds(IDS[1]) == [True]
    with tirana.log.read() as conn:
        assert views.head(conn, podgorica.member).number == 1


async def test_a_peer_that_was_restored_is_not_sent_again_what_is_forbidden_by_now(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await deliver(tirana, podgorica)
    await put(tirana, NO_RED)
    assert [one.kind for one in (await pack(tirana, podgorica, after=0)).frames] == [FrameKind.VOID]


async def test_the_author_sees_it_before_publishing(three: Three) -> None:
    tirana, *_ = three
    await put(tirana, NO_RED)
    request = tirana.request(told(TIRANA, 1), pap=Pap.RED)
    seen = publish.preview(tirana.log, tirana.author, tirana.members, request, utc_now())
    assert {one.peer: (one.gets, one.withheld) for one in seen.outlook} == {
        "podgorica": (0, {"national_policy": 1}),
        "vienna": (0, {"national_policy": 1}),
    }


async def test_an_export_for_a_peer_leaves_out_what_is_forbidden(three: Three) -> None:
    tirana, *_ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 2))
    await put(tirana, NO_RED)
    own = export.own_system("export:test")
    everything = export.stretch(tirana.log, 0, "", "indicator")
    for_peer, for_own = (export.page(tirana.log, peer, own, everything, utc_now()) for peer in ("vienna", ""))
    assert (len(for_peer.objects), for_peer.head.withheld) == (1, {"national_policy": 1})
    assert len(for_own.objects) == 2


async def test_own_sensors_are_given_what_no_peer_may_have(three: Three) -> None:
    tirana, *_ = three
    await put(tirana, NOTHING)
    await tirana.publish(told(TIRANA, 1))
    head = await share.decide(tirana.log, export.own_system("sensor:1"))
    assert head.number >= 1


async def test_rosters_travel_whatever_the_policy_forbids(three: Three) -> None:
    tirana, podgorica, _ = three
    await put(tirana, NOTHING)
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    assert [one.kind for one in (await pack(tirana, podgorica)).frames] == [FrameKind.ROSTER]


async def test_a_change_of_policy_gives_nothing_that_the_rules_withhold(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), to=["vienna"])
    for wanted in (NO_RED, NOTHING, NO_RED):
        await put(tirana, wanted)
        assert await tirana.withheld(podgorica) == {IDS[1]: "not_in_audience"}
