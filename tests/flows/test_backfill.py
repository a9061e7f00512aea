"""What waits for a peer yields to what is new: no more is numbered than the peer will soon have."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import INCARNATION, VIENNA, Station, alliance, deliver, found, take, told

from lezha.federation.outbox import Send
from lezha.flows import attest, batches, convene, introduce, share
from lezha.flows.convene import Revision
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import schema, tombstones, views
from lezha.store.peers import PeerState
from lezha.store.views import Cursor, Head

pytestmark = pytest.mark.usefixtures("narrow")
QUEUE, PER_COMMIT = 4, 3
Three = tuple[Station, Station, Station]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "QUEUE", QUEUE)
    monkeypatch.setattr(share, "_CHANGES_PER_COMMIT", PER_COMMIT)
    monkeypatch.setattr(share, "_AGAIN_PER_COMMIT", PER_COMMIT)
    monkeypatch.setattr(views, "_STRETCH", 2)


@pytest.fixture
async def three(station: Callable[..., Station]) -> Three:
    """Tirana, Podgorica and Vienna, who know one another and have all that there is."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    for other in stations[1:]:
        await deliver(stations[0], other)
    return stations


async def looked(here: Station, to: Station, acknowledged: int | None) -> share.Found:
    """Decide as a link does, until it has to wait."""
    while True:
        sender = share.Sender(INCARNATION, None, acknowledged)
        found = await share.look(here.log, to.member, sender, utc_now())
        if found.is_all:
            return found


async def publish(here: Station, *numbers: int) -> None:
    """Publish one by one, as people do."""
    for number in numbers:
        await here.publish(told(here.party, number))


def ids(*numbers: int) -> list[str]:
    return [told(TIRANA, number)["id"] for number in numbers]


def order(here: Station, to: Station) -> list[str]:
    """What `to` was given, in order: objects by their ids, all else by its kind."""
    with here.log.read() as conn:
        rows = views.entries(conn, to.member, 0, 1000)
        names = {
            row.hash: row.stix_id
            for row in conn.execute(
                schema.statements.select()
                .join(schema.contents, schema.contents.c.seq == schema.statements.c.content)
                .with_only_columns(schema.statements.c.hash, schema.contents.c.stix_id)
            )
        }
    return [names.get(one.ref, one.kind.value) for one in rows]


def place(here: Station, to: Station) -> Cursor:
    with here.log.read() as conn:
        return views.cursor(conn, to.member)


async def take_some(here: Station, to: Station, after: int, count: int) -> Head:
    """Carry the next rows over."""
    with here.log.read() as conn:
        packed = batches.pack(conn, here.peer(to).recipient(), INCARNATION, Send(after), utc_now())
    receipt = await take(to, here, replace(packed.batch, frames=packed.batch.frames[:count]))
    assert receipt.refused == ()
    await here.log.write(lambda tx: views.keep_receipt(tx, to.member, receipt.head, b"", ()))
    with here.log.read() as conn:
        return views.head(conn, to.member)


async def caught_up(here: Station, to: Station, after: int) -> None:
    """Send and decide in turn, as a link does, until all is there."""
    while True:
        found = await looked(here, to, after)
        if found.head.number == after:
            assert not found.waits
            return
        await take_some(here, to, after, 2)
        after = min(after + 2, found.head.number)


async def test_while_a_peer_is_away_no_more_is_numbered_than_its_queue_holds(three: Three) -> None:
    tirana, podgorica, _ = three
    for number in range(1, 10):
        await publish(tirana, number)
        await looked(tirana, podgorica, None)
    found = await looked(tirana, podgorica, None)
    assert (found.head.number, found.waits) == (QUEUE, True)
    assert order(tirana, podgorica) == ids(*range(1, 5))


async def test_what_is_new_goes_before_what_waited_while_the_peer_was_away(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 20))
    await looked(tirana, podgorica, None)
    waiting = len(order(tirana, podgorica))
    assert waiting <= QUEUE + PER_COMMIT
    assert (await looked(tirana, podgorica, 0)).waits
    await publish(tirana, 20)
    assert (await looked(tirana, podgorica, 0)).waits
    assert order(tirana, podgorica)[waiting:] == ids(20)
    await caught_up(tirana, podgorica, 0)
    came = order(tirana, podgorica)
    assert sorted(came) == sorted(ids(*range(1, 21)))
    assert [one for one in came if one not in ids(20)] == ids(*range(1, 20))
    assert all(podgorica.holds(*ids(*range(1, 21))))
    assert place(tirana, podgorica).behind is None


async def test_few_that_are_new_are_taken_in_order_however_long_the_queue_is(three: Three) -> None:
    tirana, podgorica, _ = three
    for number in range(1, 20):
        await publish(tirana, number)
        await looked(tirana, podgorica, 0)
    assert order(tirana, podgorica) == ids(*range(1, 20))


async def test_who_goes_away_again_in_the_middle_gets_all_once(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 12))
    await looked(tirana, podgorica, None)
    await looked(tirana, podgorica, 0)
    await publish(tirana, 12, 13)
    await looked(tirana, podgorica, 0)
    await publish(tirana, *range(14, 25))
    assert (await looked(tirana, podgorica, None)).waits
    numbered = order(tirana, podgorica)
    await looked(tirana, podgorica, 0)
    await publish(tirana, 25)
    await looked(tirana, podgorica, 0)
    assert order(tirana, podgorica) == [*numbered, *ids(25)]
    await caught_up(tirana, podgorica, 0)
    assert sorted(order(tirana, podgorica)) == sorted(ids(*range(1, 26)))


async def test_what_was_withheld_of_what_waited_is_recorded_once(three: Three) -> None:
    tirana, podgorica, vienna = three
    for number in range(1, 20):
        await tirana.publish(told(TIRANA, number), to=["vienna" if number % 2 else "everyone"])
    await looked(tirana, podgorica, 0)
    await looked(tirana, podgorica, None)
    await caught_up(tirana, podgorica, 0)
    await caught_up(tirana, vienna, 0)
    assert order(tirana, podgorica) == ids(*range(2, 20, 2))
    assert sorted(await tirana.withheld(podgorica)) == sorted(ids(*range(1, 20, 2)))
    assert sorted(order(tirana, vienna)) == sorted(ids(*range(1, 20)))


async def test_a_recall_of_what_was_offered_does_not_wait_behind_the_rest(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 20))
    await looked(tirana, podgorica, None)
    await tirana.recall(ids(1)[0])
    await tirana.recall(ids(19)[0])  # that was never offered
    before = order(tirana, podgorica)
    await looked(tirana, podgorica, 0)
    assert order(tirana, podgorica) == [*before, "tombstone"]
    await caught_up(tirana, podgorica, 0)
    came = order(tirana, podgorica)
    assert came.count("tombstone") == 1
    assert ids(19)[0] not in came
    assert podgorica.holds(*ids(1, 19, 18)) == [False, False, True]


async def test_a_recall_is_numbered_for_a_peer_that_is_away_with_a_full_queue(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 20))
    assert (await looked(tirana, podgorica, None)).waits
    await tirana.recall(ids(1)[0])
    head = await share.decide_recalls(tirana.log, tirana.peer(podgorica).recipient())
    with tirana.log.read() as conn:
        assert tombstones.numbers(conn, podgorica.member) == [head.number]
    await caught_up(tirana, podgorica, 0)
    assert order(tirana, podgorica).count("tombstone") == 1


async def test_rosters_and_commitments_go_ahead_of_what_waits(three: Three) -> None:
    tirana, podgorica, vienna = three
    await publish(tirana, *range(1, 10))
    await looked(tirana, podgorica, None)
    await found("NATO", tirana, podgorica, vienna)
    await publish(tirana, *range(10, 20))
    await looked(tirana, podgorica, 0)
    await tirana.publish(told(TIRANA, 20), tlp=Tlp.AMBER, to=["NATO"])
    await looked(tirana, podgorica, 0)
    *_, before, last = order(tirana, podgorica)
    assert (before, last) == ("roster", ids(20)[0])
    await caught_up(tirana, podgorica, 0)
    assert order(tirana, podgorica).count("roster") == 1
    assert all(podgorica.holds(*ids(*range(1, 21))))


async def test_what_an_admission_releases_yields_to_what_is_new(three: Three) -> None:
    tirana, podgorica, vienna = three
    await found("NATO", tirana, podgorica)
    for number in range(1, 20):
        await tirana.publish(told(TIRANA, number), to=["NATO"], future_members=True)
    await deliver(tirana, vienna)
    assert order(tirana, vienna) == []
    with tirana.log.read() as conn:
        revision = Revision("NATO", {"vienna": None}, (), utc_now())
        raw = convene.revise(conn, tirana.convener, tirana.members, revision)
    await convene.accept(tirana.log, raw, "test")
    assert (await looked(tirana, vienna, 0)).waits
    before = len(order(tirana, vienna))
    assert before <= QUEUE + PER_COMMIT
    await tirana.publish(told(TIRANA, 20), to=["NATO"])
    await looked(tirana, vienna, 0)
    assert order(tirana, vienna)[before:] == ids(20)
    await caught_up(tirana, vienna, 0)
    assert sorted(order(tirana, vienna)) == sorted(["roster", *ids(*range(1, 21))])


async def test_who_needs_all_at_once_gets_what_was_put_off_too(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 20))
    await looked(tirana, podgorica, None)
    await looked(tirana, podgorica, 0)
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert sorted(order(tirana, podgorica)) == sorted(ids(*range(1, 20)))
    assert place(tirana, podgorica).behind is None


async def test_what_waits_moves_on_while_something_else_is_written_before_each_look(three: Three) -> None:
    tirana, podgorica, _ = three
    await publish(tirana, *range(1, 30))
    await looked(tirana, podgorica, None)
    head = 0
    for _ in range(60):
        await tirana.log.write(lambda tx: tx.event("posted", "00" * 32))
        sender = share.Sender(INCARNATION, None, head)
        head = (await share.look(tirana.log, podgorica.member, sender, utc_now())).head.number
    assert head == 29


@pytest.mark.parametrize("hidden", [{7: 2, 9: 1, 10: 1}, {8: 1, 9: 2, 11: 1}])
async def test_the_order_does_not_depend_on_what_is_not_told(
    station: Callable[..., Station], hidden: dict[int, int]
) -> None:
    assert await order_with(station, hidden) == await order_with(station, {})


async def order_with(station: Callable[..., Station], hidden: dict[int, int]) -> list[str]:
    """The order of what waited and of what came meanwhile; after some objects there are so many that are not told."""
    tirana, podgorica, vienna = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(tirana, podgorica, vienna)
    for other in (podgorica, vienna):
        await deliver(tirana, other)
    for number in range(1, 30):
        await publish(tirana, number)
        for one in range(hidden.get(number, 0)):
            await tirana.publish(told(TIRANA, 100 + number * 3 + one), to=["vienna"])
    await looked(tirana, podgorica, None)
    await looked(tirana, podgorica, 0)
    after = 0
    for number in range(40, 46):
        after += 2
        await looked(tirana, podgorica, after)
        await publish(tirana, number)
        await looked(tirana, podgorica, after)
    await caught_up(tirana, podgorica, after)
    return order(tirana, podgorica)


async def test_a_commitment_that_went_void_is_told_before_a_later_one(three: Three) -> None:
    tirana, podgorica, _ = three
    await commit(tirana, -5)
    await publish(tirana, *range(1, 9))
    await looked(tirana, podgorica, None)
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    with tirana.log.read() as conn:
        recipient = tirana.peer(podgorica).recipient()
        denied = batches.pack(conn, recipient, INCARNATION, Send(0), utc_now()).denied
    await tirana.log.write(lambda tx: views.void(tx, podgorica.member, denied))
    await commit(tirana, -3)
    await publish(tirana, *range(9, 14))
    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    await caught_up(tirana, podgorica, 0)  # nothing is refused
    assert order(tirana, podgorica).count("commitment") == 3


async def commit(here: Station, hours: int) -> None:
    sealer = attest.Sealer(here.member, INCARNATION, here.party.signer)
    await attest.commit_if_due(here.log, sealer, 1, later(utc_now(), hours=hours))


async def test_what_an_admission_releases_fills_the_queue_and_no_more(three: Three) -> None:
    tirana, _, vienna = three
    await found("NATO", tirana)
    for number in range(1, 10):
        await tirana.publish(told(TIRANA, number), to=["NATO"], future_members=True)
    await deliver(tirana, vienna)
    with tirana.log.read() as conn:
        revision = Revision("NATO", {"vienna": None}, (), utc_now())
        raw = convene.revise(conn, tirana.convener, tirana.members, revision)
    await convene.accept(tirana.log, raw, "test")
    assert (await looked(tirana, vienna, 0)).head.number == QUEUE
