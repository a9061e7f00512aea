"""What a policy would change before it is in force, as it then comes about."""

from collections.abc import Callable

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, alliance, deliver, found, told
from tests.flows.test_national_policy import ALL, NO_RED, NOTHING, put

from lezha.flows import constituents, foresee, hand_out
from lezha.flows.foresee import Effect, Foreseen
from lezha.node.clock import utc_now
from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.tlp import Pap, Tlp
from lezha.store import constituents as kept
from lezha.store import kinds, views
from lezha.store.log import Log

RULE = "nothing under PAP:RED (line 2)"


@pytest.fixture
async def three(log: Log, station: Callable[..., Station]) -> tuple[Station, Station, Station]:
    """Tirana with a log on either engine, and two peers."""
    stations = Station(TIRANA, log), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    return stations


Three = tuple[Station, Station, Station]
IDS = [told(TIRANA, number)["id"] for number in range(10)]


async def receipted(here: Station, to: Station) -> None:
    """Bring `to` up to date, and keep its receipt as a link does."""
    head = (await deliver(here, to)).head
    await here.log.write(lambda tx: views.keep_receipt(tx, to.member, head, b"receipt", ()))


def seen(tirana: Station, text: str, limit: int = 5) -> Foreseen:
    return foresee.foresee(tirana.log, tirana.member, CedarPolicy(text), utc_now(), limit)


def effect(found: Foreseen, peer: str) -> Effect:
    (one,) = [one for one in found.peers if one.peer == peer]
    return one


MINISTRY = "ministry"


async def admit(here: Station, clearance: Tlp = Tlp.AMBER) -> None:
    await constituents.admit(here.log, MINISTRY, "Ministry of Finance", clearance, "officer")


async def asks(here: Station) -> None:
    """Let the ministry ask for its view."""
    with here.log.read() as conn:
        recipient = kept.by_name(conn, MINISTRY).recipient()
    await hand_out.view(here.log, recipient, 0, hand_out.ROWS, utc_now())


def served(found: Foreseen) -> Effect:
    (one,) = found.constituents
    assert one.constituent == MINISTRY
    return one


def changes(one: Effect) -> tuple[int, int, int]:
    return one.told, one.waiting, one.released


async def test_it_counts_what_a_peer_has_and_what_it_waits_for(three: Three) -> None:
    tirana, podgorica, vienna = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await receipted(tirana, podgorica)
    await tirana.publish(told(TIRANA, 2), told(TIRANA, 3), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 4))
    for one in (podgorica, vienna):
        await tirana.withheld(one)
    found = seen(tirana, NO_RED)
    assert (found.statements, found.in_force, found.permits, found.unpermitted) == (4, "", True, 0)
    assert changes(effect(found, "podgorica")) == (1, 2, 0)
    assert changes(effect(found, "vienna")) == (0, 3, 0)
    assert effect(found, "podgorica").rules == {RULE: 3}
    assert [(one.line, one.withholds) for one in found.rules] == [(1, None), (2, 6)]
    assert [(one.id, one.change, one.rule) for one in effect(found, "podgorica").examples] == [
        (IDS[3], "waiting", RULE),
        (IDS[2], "waiting", RULE),
        (IDS[1], "told", RULE),
    ]


async def test_what_was_recalled_nobody_has_or_waits_for(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await receipted(tirana, podgorica)
    await tirana.publish(told(TIRANA, 2), pap=Pap.RED)
    await tirana.withheld(podgorica)
    await tirana.recall(IDS[1])
    found = seen(tirana, NO_RED)
    assert (found.statements, changes(effect(found, "podgorica"))) == (1, (0, 1, 0))
    assert [(one.id, one.change) for one in effect(found, "podgorica").examples] == [(IDS[2], "waiting")]


async def test_what_it_says_is_what_comes_about(three: Three) -> None:
    tirana, podgorica, vienna = three
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 3), told(TIRANA, 4))
    for one in (podgorica, vienna):
        await tirana.withheld(one)
    foreseen = [changes(effect(seen(tirana, NO_RED), one.name)) for one in (podgorica, vienna)]
    assert foreseen == [(0, 2, 0)] * 2
    await put(tirana, NO_RED)
    for one in (podgorica, vienna):
        await deliver(tirana, one)
        assert one.holds(*IDS[1:5]) == [False, False, True, True]
    foreseen = [changes(effect(seen(tirana, ALL), one.name)) for one in (podgorica, vienna)]
    assert foreseen == [(0, 0, 2)] * 2
    await put(tirana, ALL)
    for one in (podgorica, vienna):
        await deliver(tirana, one)
        assert one.holds(*IDS[1:5]) == [True] * 4


async def test_a_constituent_has_what_it_was_handed_and_waits_for_what_it_would_get(three: Three) -> None:
    tirana, *_ = three
    await admit(tirana)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    assert changes(served(seen(tirana, NO_RED))) == (0, 1, 0)
    await asks(tirana)
    assert changes(served(seen(tirana, NO_RED))) == (1, 0, 0)
    await tirana.publish(told(TIRANA, 2), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 3))
    await tirana.publish(told(TIRANA, 4), pap=Pap.RED, tlp=Tlp.STRICT)
    found = seen(tirana, NO_RED)
    assert changes(served(found)) == (1, 1, 0)
    assert served(found).rules == {RULE: 2}
    assert [(one.id, one.change) for one in served(found).examples] == [
        (IDS[1], "told"),
        (IDS[2], "waiting"),
    ]
    assert [one.withholds for one in found.rules] == [None, 2]


async def test_what_a_constituent_would_get_is_what_it_then_gets(three: Three) -> None:
    tirana, *_ = three
    await admit(tirana)
    await put(tirana, NO_RED)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    assert changes(served(seen(tirana, ALL))) == (0, 0, 1)
    await asks(tirana)
    assert changes(served(seen(tirana, ALL))) == (0, 0, 1)
    await put(tirana, ALL)
    await asks(tirana)
    assert changes(served(seen(tirana, NO_RED))) == (1, 0, 0)


async def test_a_suspended_constituent_waits_for_nothing(three: Three) -> None:
    tirana, *_ = three
    await admit(tirana)
    await constituents.change(tirana.log, MINISTRY, "officer", suspended=True)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    assert changes(served(seen(tirana, NO_RED))) == (0, 0, 0)


async def test_a_rule_about_constituents_changes_nothing_for_peers(three: Three) -> None:
    tirana, *_ = three
    await admit(tirana)
    await tirana.publish(told(TIRANA, 1))
    found = seen(tirana, f"{ALL}forbid (principal is Constituent, action, resource);")
    assert changes(served(found)) == (0, 1, 0)
    assert [changes(one) for one in found.peers] == [(0, 0, 0)] * 2


async def test_what_is_withheld_by_another_rule_is_not_counted(three: Three) -> None:
    tirana, podgorica, vienna = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED, to=["vienna"])
    for one in (podgorica, vienna):
        await tirana.withheld(one)
    found = seen(tirana, NO_RED)
    assert [changes(effect(found, one)) for one in ("podgorica", "vienna")] == [(0, 0, 0), (0, 1, 0)]


async def test_what_is_void_is_not_counted(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.withheld(podgorica)
    await put(tirana, NO_RED)
    await deliver(tirana, podgorica)
    assert changes(effect(seen(tirana, NOTHING), "podgorica")) == (0, 0, 0)
    await put(tirana, None)
    await tirana.withheld(podgorica)
    assert changes(effect(seen(tirana, NOTHING), "podgorica")) == (0, 1, 0)


async def test_the_policy_in_force_changes_nothing(three: Three) -> None:
    tirana, podgorica, _ = three
    await put(tirana, NO_RED)
    await tirana.publish(told(TIRANA, 1), pap=Pap.RED)
    await tirana.publish(told(TIRANA, 2))
    await tirana.withheld(podgorica)
    found = seen(tirana, NO_RED)
    assert found.sha256 == found.in_force
    assert [changes(one) for one in found.peers] == [(0, 0, 0)] * 2


async def test_what_no_rule_permits_is_counted_apart(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1))
    await tirana.withheld(podgorica)
    found = seen(tirana, NOTHING)
    assert (found.permits, found.unpermitted, found.rules) == (False, 1, [])


async def test_names_are_told_and_what_nobody_knows_is_seen(three: Three) -> None:
    tirana, podgorica, _ = three
    eu = await found("EU", tirana, podgorica)
    text = "".join(
        f"forbid (principal in {one}, action, resource);\n"
        for one in (f'Community::"{eu.id}"', 'Community::"community--none"')
    ) + "".join(
        f'forbid (principal == Member::"{one}", action, resource);\n'
        for one in (podgorica.member, tirana.member, "identity--none")
    )
    assert [(one.line, one.name) for one in seen(tirana, text).names] == [
        (1, "EU"),
        (2, ""),
        (3, "podgorica"),
        (4, "this member"),
        (5, ""),
    ]


async def test_examples_are_the_newest_and_no_more_than_asked_for(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica, _ = three
    monkeypatch.setattr(foresee, "_BLOCK", 2)
    for number in range(1, 8):
        await tirana.publish(told(TIRANA, number), pap=Pap.RED)
    await tirana.withheld(podgorica)
    one = effect(seen(tirana, NO_RED, limit=3), "podgorica")
    assert changes(one) == (0, 7, 0)
    assert [example.id for example in one.examples] == IDS[7:4:-1]
    assert effect(seen(tirana, NO_RED, limit=0), "podgorica").examples == []


async def test_objects_of_one_kind_are_asked_about_once(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(*(told(TIRANA, number) for number in range(1, 60)))
    await tirana.withheld(podgorica)
    policy = CedarPolicy(NO_RED)
    foresee.foresee(tirana.log, tirana.member, policy, utc_now(), 5)
    assert policy.asked == 2  # a kind, toward each of two peers


async def test_progress_is_told_to_the_end(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    tirana, *_ = three
    monkeypatch.setattr(foresee, "_BLOCK", 4)
    await tirana.publish(*(told(TIRANA, number) for number in range(1, 10)))
    heard: list[tuple[int, int]] = []
    foresee.foresee(
        tirana.log,
        tirana.member,
        CedarPolicy(ALL),
        utc_now(),
        5,
        lambda done, total: heard.append((done, total)),
    )
    assert heard == [(4, 9), (8, 9), (9, 9)]
    with tirana.log.read() as conn:
        assert kinds.extent(conn)[1] == 9
