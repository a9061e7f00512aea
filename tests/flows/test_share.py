"""From one log to another: decided, numbered, packed, taken; and withheld where a rule says so."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, alliance, deliver, found, pack, roster, take, told

from lezha.federation.frame import BATCH_BYTES, BATCH_FRAMES, LEAST_BYTES, FrameKind
from lezha.federation.outbox import Send
from lezha.federation.pieces import Pieces
from lezha.flows import batches, convene, introduce, share
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.stix import encode
from lezha.stix.limits import LIMITS
from lezha.store import isolation, schema, statements, views
from lezha.store.log import Log
from lezha.store.peers import PeerState


@pytest.fixture
async def four(station: Callable[..., Station]) -> tuple[Station, Station, Station, Station]:
    """Tirana, Podgorica, Vienna and Pristina, who all know one another."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA), station(PRISTINA)
    await alliance(*stations)
    return stations


Four = tuple[Station, Station, Station, Station]


def ids(*numbers: int) -> list[str]:
    return [told(TIRANA, number)["id"] for number in numbers]


def given(here: Station, to: Station) -> int:
    """How many rows `to`'s view at `here` has."""
    with here.log.read() as conn:
        return views.head(conn, to.member).number


# --- direct ---------------------------------------------------------------------------------------------------------


async def test_what_is_published_to_everyone_reaches_all(four: Four) -> None:
    tirana, *others = four
    await tirana.publish(told(TIRANA, 1))
    for one in others:
        assert (await deliver(tirana, one)).refused == ()
        assert one.holds(*ids(1)) == [True]


async def test_a_community_s_roster_travels_ahead_of_what_was_published_to_it(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER, to=["NATO"])
    sent = await pack(tirana, podgorica)
    assert [one.kind for one in sent.frames] == [FrameKind.ROSTER, FrameKind.STATEMENT]
    await deliver(tirana, vienna)
    assert (given(tirana, vienna), vienna.holds(*ids(1))) == (0, [False])


async def test_a_roster_goes_to_those_in_it_alone(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica)
    await deliver(tirana, podgorica)
    await deliver(tirana, vienna)
    assert (len(podgorica.rows(schema.rosters, "name")), vienna.rows(schema.rosters, "name")) == (1, [])


async def test_why_something_is_withheld_is_recorded(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    await tirana.publish(told(TIRANA, 2), to=["podgorica"])
    await tirana.publish(told(TIRANA, 3), tlp=Tlp.RED, to=["vienna"])
    assert await tirana.withheld(vienna) == dict(
        zip(ids(1, 2, 3), ["not_in_audience", "not_in_audience", "clearance"], strict=True)
    )
    assert await tirana.withheld(podgorica) == {ids(3)[0]: "not_in_audience"}


async def test_numbers_in_a_view_depend_on_that_view_alone(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    for number in range(1, 6):
        await tirana.publish(told(TIRANA, number), to=["vienna" if number % 2 else "podgorica"])
    assert [one.number for one in (await pack(tirana, vienna)).frames] == [1, 2, 3]
    assert [one.number for one in (await pack(tirana, podgorica)).frames] == [1, 2]


async def test_deciding_again_changes_nothing(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    first = await pack(tirana, podgorica)
    again = await pack(tirana, podgorica)
    assert replace(again, sent=first.sent) == first


async def test_a_recipient_that_was_brought_up_to_date_is_sent_only_what_is_new(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    receipt = await deliver(tirana, podgorica)
    await tirana.publish(told(TIRANA, 3))
    assert [one.number for one in (await pack(tirana, podgorica, receipt.head)).frames] == [3]
    assert (await deliver(tirana, podgorica)).head == 3


# --- decided again when an input changes ----------------------------------------------------------------------------


async def test_what_waited_for_a_roster_is_given_when_it_arrives(four: Four) -> None:
    tirana, podgorica, _, pristina = four
    raw = await roster("WB6", tirana, podgorica, pristina)
    await convene.accept(tirana.log, raw, "test")
    await tirana.publish(told(TIRANA, 1), to=["WB6"], onward=True)
    with tirana.log.read() as conn:
        statement = statements.about(conn, ids(1)[0])[0]
    # The object alone, without the roster that would have travelled ahead of it.
    ahead, one = (await pack(tirana, podgorica)).frames
    alone = replace(one, number=1, previous=views.GENESIS)
    await take(podgorica, tirana, replace(await pack(tirana, podgorica), frames=(alone,)))
    assert await podgorica.withheld(pristina) == {ids(1)[0]: "roster_unknown"}
    await convene.accept(podgorica.log, ahead.envelope, "test")
    assert await podgorica.withheld(pristina) == {}
    with podgorica.log.read() as conn:
        assert statement in views.offered(conn, pristina.member, [statement])


async def test_what_waited_for_an_admission_is_given_when_it_is_approved(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    raw = await roster("WB6", tirana, podgorica, pristina)
    await convene.accept(tirana.log, raw, "test")
    await tirana.publish(told(TIRANA, 1), to=["WB6"], onward=True)
    await deliver(
        tirana, podgorica
    )  # the roster came over the link: nobody at Podgorica has admitted its members
    assert await podgorica.withheld(pristina) == {ids(1)[0]: "roster_unknown"}
    await convene.accept(podgorica.log, raw, "test")
    assert await podgorica.withheld(pristina) == {}
    assert await podgorica.withheld(vienna) == {ids(1)[0]: "not_in_audience"}


async def test_what_was_published_while_a_peer_was_pending_is_given_when_it_is_confirmed(
    station: Callable[..., Station],
) -> None:
    tirana, podgorica = station(TIRANA), station(PODGORICA)
    await tirana.links(podgorica, state=PeerState.PENDING)
    await podgorica.links(tirana)
    await tirana.publish(told(TIRANA, 1))
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "suspended"}
    await introduce.confirm(tirana.log, "podgorica", "", "test")
    assert await tirana.withheld(podgorica) == {}
    await deliver(tirana, podgorica)
    assert podgorica.holds(*ids(1)) == [True]


async def test_another_peer_s_change_leaves_a_view_alone(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), to=["vienna"])
    first = await tirana.withheld(podgorica)
    await introduce.change(tirana.log, "vienna", PeerState.SUSPENDED, "test")
    assert await tirana.withheld(podgorica) == first
    assert given(tirana, podgorica) == 0


async def test_more_than_one_commit_s_worth_is_decided_in_order(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(
        *(told(TIRANA, number, pattern="[ipv4-addr:value = '203.0.113.1']") for number in range(1, 601))
    )
    assert (await deliver(tirana, podgorica)).head == 600
    with podgorica.log.read() as conn:
        contents = schema.contents
        arrived = conn.scalars(
            select(contents.c.stix_id).where(contents.c.type == "indicator").order_by(contents.c.seq)
        ).all()
    assert list(arrived) == ids(*range(1, 601))


# --- denied after it was numbered -----------------------------------------------------------------------------------


async def test_what_expires_after_it_was_numbered_goes_as_a_void_frame(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), expires=later(utc_now(), hours=1))
    await tirana.publish(told(TIRANA, 2))
    before = await pack(tirana, podgorica)
    after = await pack(tirana, podgorica, now=later(utc_now(), hours=2))
    assert [one.kind for one in after.frames] == [FrameKind.VOID, FrameKind.STATEMENT]
    assert [one.chain() for one in after.frames] == [one.chain() for one in before.frames]
    receipt = await take(podgorica, tirana, after)
    assert (receipt.head, receipt.refused, podgorica.holds(*ids(1, 2))) == (2, (), [False, True])


async def test_what_is_void_stays_void_whenever_it_is_sent_again(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), expires=later(utc_now(), hours=1))
    await pack(tirana, podgorica, now=later(utc_now(), hours=2))
    again = await pack(tirana, podgorica)  # a clock that was put back
    assert [one.kind for one in again.frames] == [FrameKind.VOID]
    assert await tirana.withheld(podgorica) == {ids(1)[0]: "expired"}


async def test_what_was_void_gets_a_new_number_when_it_is_released_again(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), expires=later(utc_now(), hours=1))
    await pack(tirana, podgorica, now=later(utc_now(), hours=2))
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    sent = await pack(tirana, podgorica)
    assert [(one.number, one.kind) for one in sent.frames] == [(1, FrameKind.VOID), (2, FrameKind.STATEMENT)]


async def test_a_peer_suspended_after_numbering_is_sent_nothing(four: Four) -> None:
    tirana, podgorica, *_ = four
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1))
    await pack(tirana, podgorica)
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    recipient = tirana.peer(podgorica).recipient()
    with tirana.log.read() as conn:
        packed = batches.pack(conn, recipient, "incarnation", Send(0), utc_now())
    assert {one.kind for one in packed.batch.frames} == {FrameKind.VOID}
    assert [one.reason.value for _, one in packed.denied] == [
        "suspended",
        "suspended",
    ]  # the roster, the object


# --- who may have it changes while it is decided --------------------------------------------------------------------


async def test_a_peer_suspended_since_its_link_looked_is_sent_nothing(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    before = tirana.peer(podgorica).recipient()
    await share.decide(tirana.log, before)
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    with tirana.log.read() as conn:
        packed = batches.pack(conn, before, "incarnation", Send(0), utc_now())
    assert [one.kind for one in packed.batch.frames] == [FrameKind.VOID]


async def test_a_peer_suspended_since_its_link_looked_is_given_no_number(four: Four) -> None:
    tirana, podgorica, *_ = four
    before = tirana.peer(podgorica).recipient()
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await tirana.publish(told(TIRANA, 1))
    await share.decide(tirana.log, before)
    assert given(tirana, podgorica) == 0
    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert given(tirana, podgorica) == 1


async def test_a_clearance_given_since_its_link_looked_counts(four: Four) -> None:
    tirana, podgorica, *_ = four
    await introduce.clear(tirana.log, "podgorica", Tlp.CLEAR, "test")
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER, to=["podgorica"])
    before = tirana.peer(podgorica).recipient()
    await share.decide(tirana.log, before)
    await introduce.clear(tirana.log, "podgorica", Tlp.AMBER, "test")
    await share.decide(tirana.log, before)
    assert await tirana.withheld(podgorica) == {}
    assert given(tirana, podgorica) == 1


async def test_a_stranger_is_given_nothing(four: Four, station: Callable[..., Station]) -> None:
    tirana, podgorica, *_ = four
    stranger = replace(
        tirana.peer(podgorica).recipient(), id="identity--00000000-0000-4000-8000-00000000dead"
    )
    await tirana.publish(told(TIRANA, 1))
    assert (await share.decide(tirana.log, stranger)).number == 0


# --- batches --------------------------------------------------------------------------------------------------------


async def test_a_batch_has_at_most_256_frames(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(
        *(told(TIRANA, number, pattern="[ipv4-addr:value = '203.0.113.1']") for number in range(1, 301))
    )
    first = await pack(tirana, podgorica)
    assert len(first.frames) == BATCH_FRAMES
    assert len((await pack(tirana, podgorica, BATCH_FRAMES)).frames) == 300 - BATCH_FRAMES


async def test_a_batch_has_at_most_a_mebibyte(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(*(told(TIRANA, number, description="x" * 400_000) for number in range(1, 6)))
    first = await pack(tirana, podgorica)
    size = sum(len(one.envelope) + sum(map(len, one.contents)) for one in first.frames)
    assert (len(first.frames), BATCH_BYTES // 2 < size <= BATCH_BYTES) == (2, True)
    assert (await deliver(tirana, podgorica)).head == 5


async def test_an_object_that_is_larger_than_a_batch_is_sent_in_pieces(four: Four) -> None:
    tirana, podgorica, *_ = four
    largest = LIMITS.object_bytes - len(encode(told(TIRANA, 1, description="")))
    await tirana.publish(told(TIRANA, 1, description="x" * largest), told(TIRANA, 2))
    (piece,) = (await pack(tirana, podgorica)).frames
    assert (piece.kind, len(piece.envelope)) == (FrameKind.PIECE, BATCH_BYTES)
    assert (await deliver(tirana, podgorica)).refused == ()
    assert podgorica.holds(*ids(1, 2)) == [True, True]


async def test_over_a_line_that_lets_little_through_less_is_sent_at_once(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(*(told(TIRANA, number, description="x" * 3000) for number in range(1, 20)))
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    with tirana.log.read() as conn:
        packed = batches.pack(
            conn, tirana.peer(podgorica).recipient(), "incarnation", Send(0, LEAST_BYTES), utc_now()
        )
    assert 1 < len(packed.batch.frames) < 6
    assert (
        sum(len(one.envelope) + sum(map(len, one.contents)) for one in packed.batch.frames) > LEAST_BYTES // 2
    )


async def test_what_was_denied_between_two_pieces_goes_void(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1, description="x" * 1_047_900), tlp=Tlp.CLEAR)
    pieces = Pieces()
    begun = await take(podgorica, tirana, await pack(tirana, podgorica), pieces=pieces)
    assert (begun.head, begun.begun) == (0, BATCH_BYTES)
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    (void,) = (await pack(tirana, podgorica, begun=BATCH_BYTES)).frames
    assert (void.kind, void.number) == (FrameKind.VOID, 1)
    sent = await pack(tirana, podgorica, begun=BATCH_BYTES)
    assert (await take(podgorica, tirana, sent, pieces=pieces)).head == 1
    assert podgorica.holds(*ids(1)) == [False]


async def test_a_frame_that_is_carried_stays_whole(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1, description="x" * 1_047_900), told(TIRANA, 2))
    recipient = tirana.peer(podgorica).recipient()
    await share.decide(tirana.log, recipient)
    with tirana.log.read() as conn:
        packed = batches.pack(conn, recipient, "incarnation", Send(0), utc_now(), whole=True)
    assert [one.kind for one in packed.batch.frames] == [FrameKind.STATEMENT]


# --- what a link does in one commit ---------------------------------------------------------------------------------


async def looked(sender: Station, to: Station, send: Send | None) -> share.Found:
    """Look once more where all that was there before has been decided."""
    return await share.look(sender.log, to.member, share.Sender("incarnation", send), utc_now())


async def test_a_few_are_decided_numbered_and_packed_in_one_commit(four: Four) -> None:
    tirana, podgorica, *_ = four
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    commits = 0

    def count(_committed: object) -> None:
        nonlocal commits
        commits += 1

    tirana.log.on_commit(count)
    found = await looked(tirana, podgorica, Send(0))
    assert (commits, found.head.number, found.is_all, found.isolated) == (1, 2, True, False)
    assert found.packed is not None
    with tirana.log.read() as conn:
        recipient = tirana.peer(podgorica).recipient()
        again = batches.pack(conn, recipient, "incarnation", Send(0), found.packed.batch.sent)
    assert found.packed == again
    assert (await looked(tirana, podgorica, Send(2))).packed is None, "nothing is left"


async def test_many_are_left_to_be_packed_beside_the_writer(four: Four) -> None:
    tirana, podgorica, *_ = four
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    await tirana.publish(*(told(TIRANA, number) for number in range(1, 40)))
    found = await looked(tirana, podgorica, Send(0))
    assert (found.head.number, found.packed) == (39, None)


async def test_nothing_is_packed_where_nothing_can_be_sent(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    assert (await looked(tirana, podgorica, None)).packed is None
    await tirana.log.write(lambda tx: isolation.begin(tx, "an exercise", "test"))
    found = await looked(tirana, podgorica, Send(0))
    assert (found.isolated, found.packed) == (True, None)


async def test_for_a_peer_that_was_suspended_nothing_is_decided_and_nothing_packed(four: Four) -> None:
    tirana, podgorica, *_ = four
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await tirana.publish(told(TIRANA, 1))
    found = await looked(tirana, podgorica, Send(0))
    assert (found.peer.state, found.head.number, found.packed) == (PeerState.SUSPENDED, 0, None)
    assert given(tirana, podgorica) == 0


async def test_what_was_denied_after_numbering_is_made_void_before_anything_is_packed(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER)
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    await introduce.clear(tirana.log, "podgorica", Tlp.CLEAR, "test")
    assert (await looked(tirana, podgorica, Send(0))).packed is None
    found = await looked(tirana, podgorica, Send(0))
    assert found.packed is not None
    assert [one.kind for one in found.packed.batch.frames] == [FrameKind.VOID]


# --- passed on ------------------------------------------------------------------------------------------------------


async def test_what_may_be_passed_on_goes_on_and_never_back(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, podgorica)
    await deliver(podgorica, vienna)
    assert vienna.holds(*ids(1)) == [True]
    for one in (podgorica, vienna):
        assert await one.withheld(tirana) == {ids(1)[0]: "came_from_there"}
    assert await vienna.withheld(podgorica) == {ids(1)[0]: "came_from_there"}


async def test_what_comes_by_two_ways_is_kept_once(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, podgorica)
    await deliver(tirana, vienna)
    assert (await deliver(podgorica, vienna)).refused == ()
    assert len(vienna.rows(schema.statements, "hash")) == 1


async def test_what_is_not_onward_stays_where_it_was_sent(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR)
    await deliver(tirana, podgorica)
    await deliver(podgorica, vienna)
    assert vienna.holds(*ids(1)) == [False]
    assert await podgorica.withheld(vienna) == {ids(1)[0]: "not_onward"}


# --- nothing else may tell ------------------------------------------------------------------------------------------


async def test_a_view_is_the_same_in_a_world_without_what_is_withheld_from_it(
    station: Callable[..., Station],
) -> None:
    async def world(here: Station, *, secrets: bool) -> list[object]:
        podgorica, vienna = Station(PODGORICA, here.log), Station(VIENNA, here.log)
        await here.links(podgorica, vienna, since="2022-07-01T00:00:00.000000Z")
        for number in range(1, 4):
            if secrets:
                await here.publish(told(TIRANA, 10 * number), tlp=Tlp.RED, to=["vienna"])
            await here.publish(told(TIRANA, number), to=["podgorica"])
        frames = (await pack(here, podgorica)).frames
        # Envelopes are signed at their own time; all else must be the same, byte for byte.
        return [(one.number, one.kind, one.contents) for one in frames]

    assert await world(station(TIRANA), secrets=True) == await world(station(TIRANA), secrets=False)


async def test_nothing_of_what_is_withheld_is_anywhere_in_what_is_sent(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1, name="a secret"), to=["vienna"])
    await tirana.publish(told(TIRANA, 2))
    await deliver(tirana, podgorica)
    with podgorica.log.read() as conn:
        everything = repr([conn.execute(select(table)).all() for table in schema.metadata.sorted_tables])
    assert ids(2)[0] in everything
    assert ids(1)[0] not in everything
    assert "a secret" not in everything


async def test_all_of_this_works_on_postgresql_too(log: Log, station: Callable[..., Station]) -> None:
    tirana, podgorica = Station(TIRANA, log), station(PODGORICA)
    await alliance(tirana, podgorica)
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER, to=["NATO"])
    await tirana.publish(told(TIRANA, 2), expires=later(utc_now(), hours=1))
    await tirana.publish(told(TIRANA, 3), tlp=Tlp.RED)
    sent = await pack(tirana, podgorica, now=later(utc_now(), hours=2))
    assert [one.kind for one in sent.frames] == [FrameKind.ROSTER, FrameKind.STATEMENT, FrameKind.VOID]
    await deliver(tirana, podgorica)
    assert podgorica.holds(*ids(1, 2, 3)) == [True, False, False]
    assert await tirana.withheld(podgorica) == {ids(2)[0]: "expired", ids(3)[0]: "clearance"}
    with podgorica.log.read() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.statements)) == 1
