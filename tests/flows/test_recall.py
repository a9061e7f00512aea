"""What a member takes back ends everywhere it was told, in any order of arrival; nobody else hears of it."""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import delete
from tests.federation.keys import PODGORICA, TIRANA, Party
from tests.flows.alliance import (
    INCARNATION,
    PRISTINA,
    SENSOR,
    VIENNA,
    Station,
    alliance,
    batch,
    copied,
    deliver,
    digest,
    found,
    pack,
    said,
    stream,
    take,
    taken_back,
    told,
    written,
)
from tests.stix.examples import versioned

from lezha.federation import frame
from lezha.federation.frame import Batch, FrameKind, Parcel
from lezha.federation.outbox import Send
from lezha.flows import batches, check, detect, ingest, introduce, look, purge, recall, receive, share
from lezha.flows.errors import FlowError
from lezha.flows.recall import Limit
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import schema, search, statements, tombstones, views
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState
from lezha.store.search import Query

ONE, TWO = (str(told(TIRANA, number)["id"]) for number in (1, 2))
ADDRESS = "203.0.113.1"
MAKER = "identity--00000000-0000-4000-8000-00000000c15a"


@pytest.fixture
async def four(station: Callable[..., Station]) -> tuple[Station, Station, Station, Station]:
    """Tirana, Podgorica, Vienna and Pristina, who all know one another."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA), station(PRISTINA)
    await alliance(*stations)
    return stations


Four = tuple[Station, Station, Station, Station]


def ids(number: int) -> str:
    return str(told(TIRANA, number)["id"])


def kinds(sent: Batch) -> list[str]:
    return [one.kind.value for one in sent.frames]


def state(here: Station, stix_id: str = ONE) -> list[str]:
    """What pages call each version of an object, the newest first."""
    with here.log.read() as conn:
        return [
            one.barred or one.state.value for one in look.listed(conn, search.find(conn, Query(id=stix_id)))
        ]


async def passed_on(four: Four) -> None:
    """Tirana's object is at Podgorica and at Vienna, which has it from both."""
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True, to=["podgorica", "vienna"])
    await deliver(tirana, podgorica)
    await deliver(tirana, vienna)
    await deliver(podgorica, vienna)
    for one in (podgorica, vienna):
        await signed_for(tirana, one, 1)


async def sent_anew(to: Station, sender: Station, *parcels: Parcel, life: int = 1) -> dict[int, str]:
    """Take a stream of its own, and return what was refused."""
    sent = replace(batch(*stream(*parcels)), incarnation=f"{life:032x}")
    return dict((await take(to, sender, sent)).refused)


# --- what a recall does -----------------------------------------------------------------------------------------------


async def test_what_is_recalled_ends_at_home_and_at_all_who_were_told(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await passed_on(four)
    assert [await one.watches() for one in four[:3]] == [[ADDRESS]] * 3
    done = await tirana.recall(ONE, why="a busy resolver")
    for one in (podgorica, vienna):
        assert (await deliver(tirana, one)).refused == ()
    assert [(await one.watches(), state(one)) for one in four[:3]] == [([], ["recalled"])] * 3
    assert [(one.id, one.because) for one in done.recalled] == [(ONE, "")]
    assert {one.peer: (one.held, one.offered, one.never) for one in done.peers} == {
        "podgorica": (1, 0, 0),
        "vienna": (1, 0, 0),
        "pristina": (0, 0, 1),
    }
    assert podgorica.holds(ONE) == [True], "its bytes stay until they are purged"


async def test_a_running_sensor_hears_that_something_was_recalled(four: Four) -> None:
    tirana, podgorica, *_ = four
    await passed_on(four)
    before = await detect.feed(podgorica.log, SENSOR, 0, utc_now())
    await tirana.recall(ONE)
    await deliver(tirana, podgorica)
    after = await detect.feed(podgorica.log, SENSOR, before.head, utc_now())
    assert [(one.key, one.observables) for one in after.items] == [(f"{TIRANA.member} {ONE}", ())]


async def test_who_was_never_offered_it_hears_nothing(four: Four) -> None:
    tirana, podgorica, _, pristina = four
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 2))
    await deliver(tirana, podgorica)
    before = await pack(tirana, pristina)
    await tirana.recall(ONE, why="a secret of Podgorica's")
    after = await pack(tirana, pristina)
    assert replace(after, sent=before.sent) == before
    await deliver(tirana, pristina)
    assert pristina.rows(schema.tombstones, "why") == []


async def test_what_was_numbered_and_not_sent_goes_void_and_is_recalled(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await pack(tirana, podgorica)
    await tirana.recall(ONE)
    assert kinds(await pack(tirana, podgorica)) == ["void", "tombstone"]
    assert (await deliver(tirana, podgorica)).head == 2
    assert podgorica.holds(ONE) == [False]


async def test_it_is_told_once(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    assert len((await tirana.recall(ONE)).recalled) == 1
    again = await tirana.recall(ONE)
    assert (again.recalled, again.before) == ((), 1)
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    assert (await deliver(tirana, podgorica)).head == 2


async def test_a_dry_run_says_the_same_and_does_nothing(four: Four) -> None:
    tirana, *_ = four
    await passed_on(four)
    asked = recall.Request(ONE)
    before = recall.preview(tirana.log, tirana.author, tirana.members, asked, utc_now())
    assert (before.at, tirana.rows(schema.tombstones, "hash")) == ("", [])
    done = await tirana.recall(ONE)
    assert replace(done, at="") == before
    assert {one.limit for one in done.uncalled} == {
        Limit.HOSTILE,
        Limit.ONWARD,
        Limit.EXPORTS,
        Limit.BACKUPS,
    }


async def test_it_works_on_both_engines(log: Log, station: Callable[..., Station]) -> None:
    tirana, podgorica = Station(TIRANA, log), station(PODGORICA)
    await alliance(tirana, podgorica)
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    await deliver(tirana, podgorica)
    await podgorica.publish(told(PODGORICA, 3), told(PODGORICA, 4))
    await deliver(podgorica, tirana)
    await tirana.recall(ONE)
    await podgorica.recall(told(PODGORICA, 3)["id"])
    await deliver(podgorica, tirana)
    await deliver(tirana, podgorica)
    for one in (tirana, podgorica):
        assert await one.watches() == ["203.0.113.2", "203.0.113.4"]
    await signed_for(tirana, podgorica, 3)
    assert tirana.fates(ONE) == {"podgorica": "recall received"}


# --- only the origin --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
async def test_a_tombstone_by_another_than_the_origin_never_counts(four: Four, first: bool) -> None:
    tirana, podgorica, vienna, _ = four
    statement = said(TIRANA, written(TIRANA))
    forged = taken_back(VIENNA, digest(statement))
    if first:
        assert await sent_anew(podgorica, vienna, forged) == {}
    await sent_anew(podgorica, tirana, statement)
    if not first:
        assert await sent_anew(podgorica, vienna, forged) == {1: "not_origin"}
    assert (await podgorica.watches(), state(podgorica)) == ([ADDRESS], ["current"])
    # And what the origin says is not kept out by it.
    await sent_anew(podgorica, tirana, taken_back(TIRANA, digest(statement)), life=2)
    assert (await podgorica.watches(), state(podgorica)) == ([], ["recalled"])


async def test_a_tombstone_in_another_s_name_is_refused(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    statement = said(TIRANA, written(TIRANA))
    await sent_anew(podgorica, tirana, statement)
    forged = taken_back(TIRANA, digest(statement), signer=VIENNA)
    assert await sent_anew(podgorica, vienna, forged) == {1: "wrong_member"}
    assert await podgorica.watches() == [ADDRESS]


async def test_what_others_signed_can_t_be_recalled_and_whose_it_is_is_said(four: Four) -> None:
    _, podgorica, *_ = four
    await passed_on(four)
    with pytest.raises(FlowError, match=r"the word of tirana.*store purge"):
        await podgorica.recall(ONE)
    with pytest.raises(NotFound):
        await podgorica.recall(TWO)
    raw = bundle.write([encode(told(PODGORICA, 3))])
    await ingest.take(podgorica.log, podgorica.members, podgorica.member, raw, "test")
    with pytest.raises(FlowError, match="never published"):
        await podgorica.recall(told(PODGORICA, 3)["id"])
    with pytest.raises(FlowError, match="own identity"):
        await podgorica.recall(podgorica.member)
    with pytest.raises(FlowError, match="200 letters"):
        await podgorica.recall(ONE, why="x" * 201)


# --- any order --------------------------------------------------------------------------------------------------------


async def test_an_object_that_its_recall_has_overtaken_arrives_dead(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    late = await pack(tirana, podgorica)  # it is on its way for long
    await deliver(tirana, vienna)
    await deliver(vienna, podgorica)
    await tirana.recall(ONE)
    await deliver(tirana, vienna)
    await deliver(vienna, podgorica)
    assert (await take(podgorica, tirana, late)).refused == ()
    await deliver(podgorica, pristina)
    assert (await podgorica.watches(), state(podgorica), pristina.holds(ONE)) == ([], ["recalled"], [False])


async def test_a_recall_that_comes_before_anything_of_its_object_is_kept_for_it(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    statement = said(TIRANA, written(TIRANA))
    await sent_anew(podgorica, vienna, taken_back(TIRANA, digest(statement)))
    await sent_anew(podgorica, tirana, statement)
    assert (podgorica.holds(ONE), state(podgorica), await podgorica.watches()) == ([True], ["recalled"], [])
    for other in (vienna, pristina):
        assert await podgorica.withheld(other) == {ONE: "recalled"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_in_whatever_order_they_come_the_end_is_the_same(
    station: Callable[..., Station], order: tuple[int, ...]
) -> None:
    here = station(PODGORICA)
    tirana, vienna = Station(TIRANA, here.log), Station(VIENNA, here.log)
    await here.links(tirana, vienna)
    statement = said(TIRANA, written(TIRANA))
    stone = taken_back(TIRANA, digest(statement))
    steps = [(tirana, statement), (vienna, statement), (tirana, stone), (vienna, stone)]
    for life, number in enumerate((*order, *order)):  # and all of it once more
        await sent_anew(here, steps[number][0], steps[number][1], life=life)
    assert (await here.watches(), state(here)) == ([], ["recalled"])
    assert len(here.rows(schema.tombstones, "hash")) == 1
    assert await here.withheld(vienna) == {ONE: "came_from_there"} or await here.withheld(vienna) == {
        ONE: "recalled"
    }


steps = st.sampled_from(["publish", "recall", "a-b", "a-c", "b-c", "c-b", "b-a", "c-a"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(steps, max_size=14))
async def test_whoever_tells_whom_when_what_stands_at_the_end_is_what_its_author_says(
    empty: Path, story: list[str]
) -> None:
    with copied(empty) as first, copied(empty) as second, copied(empty) as third:
        places = {"a": Station(TIRANA, first), "b": Station(PODGORICA, second), "c": Station(VIENNA, third)}
        await alliance(*places.values())
        author, stands = places["a"], False
        for step in story:
            if step == "publish":
                await author.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
                stands = True
            elif step == "recall":
                with suppress(NotFound):
                    await author.recall(ONE)
                stands = False
            else:
                await deliver(places[step[0]], places[step[2]])
        for one, other in (*itertools.permutations("abc", 2), *itertools.permutations("abc", 2)):
            assert (await deliver(places[one], places[other])).refused == ()
        for here in places.values():
            assert await here.watches() == ([ADDRESS] if stands else [])
            assert state(here) in ([["current"]] if stands else [["recalled"], []])
            assert list(check.check(here.log)) == []


async def test_numbers_do_not_depend_on_how_much_is_decided_in_one_commit(
    four: Four, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica, vienna, _ = four
    both = ["podgorica", "vienna"]
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), to=both)
    for one in (podgorica, vienna):
        await pack(tirana, one)
    for number in (3, 4):
        await tirana.publish(told(TIRANA, number), to=both)
        await tirana.recall(ids(number - 2))
    await tirana.publish(told(TIRANA, 5), to=both)
    together = kinds(await pack(tirana, podgorica))
    monkeypatch.setattr(share, "_CHANGES_PER_COMMIT", 1)
    assert kinds(await pack(tirana, vienna)) == together


async def test_a_peer_may_have_so_many_tombstones_waiting_and_no_more(
    four: Four, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica, vienna, _ = four
    monkeypatch.setattr(receive, "_MOST_IDLE", 3)
    ahead = [taken_back(TIRANA, f"{number:064x}") for number in range(5)]
    assert await sent_anew(podgorica, vienna, *ahead) == {
        4: "too_many_tombstones",
        5: "too_many_tombstones",
    }
    assert await sent_anew(podgorica, vienna, *ahead[:3], life=2) == {}, "those are here already"
    assert await sent_anew(podgorica, tirana, ahead[4]) == {}, "each peer has its own"
    statement = said(TIRANA, written(TIRANA))
    await sent_anew(podgorica, vienna, statement, taken_back(TIRANA, digest(statement)), life=3)
    assert await podgorica.watches() == [], "what is held can always be recalled"


# --- relays -----------------------------------------------------------------------------------------------------------


async def test_a_relay_passes_the_recall_on_to_all_it_told_and_not_back(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, podgorica)
    await deliver(podgorica, vienna)
    await tirana.recall(ONE)
    await deliver(tirana, podgorica)
    assert await vienna.watches() == [ADDRESS]
    await deliver(podgorica, vienna)
    assert await vienna.watches() == []
    assert kinds(await pack(podgorica, tirana)) == []
    assert kinds(await pack(podgorica, vienna)) == ["void", "tombstone"]
    assert podgorica.fates(ONE) == {"tirana": "withheld", "vienna": "recalled"}


async def test_a_recall_does_not_go_back_to_where_it_came_from(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    for one in (podgorica, vienna):
        await deliver(tirana, one)
    for one, other in ((podgorica, vienna), (vienna, podgorica)):
        assert kinds(await pack(one, other)) == ["statement"]  # each would tell the other
    await tirana.recall(ONE)
    await deliver(tirana, vienna)
    assert kinds(await pack(vienna, podgorica)) == ["void", "tombstone"]
    await deliver(vienna, podgorica)
    assert kinds(await pack(podgorica, vienna)) == ["void"]


async def test_a_relay_that_strips_the_recall_keeps_nobody_from_it(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, podgorica)
    await deliver(podgorica, vienna)  # and never anything again
    await tirana.recall(ONE)
    await deliver(tirana, vienna)
    assert await vienna.watches() == []


@pytest.mark.parametrize("purged", [False, True])
async def test_a_relay_that_sends_it_again_after_its_recall_brings_nothing_back(
    four: Four, purged: bool
) -> None:
    tirana, podgorica, vienna, pristina = four
    await passed_on(four)
    frames = [one for one in (await pack(tirana, vienna)).frames if one.kind is FrameKind.STATEMENT]
    await tirana.recall(ONE)
    await deliver(tirana, vienna)
    if purged:
        await purge.purge(vienna.log, vienna.member, [ONE], "it was recalled", "test")
    for life in (7, 8):
        await sent_anew(
            vienna, podgorica, *(Parcel(one.kind, one.envelope, one.contents) for one in frames), life=life
        )
    assert (await vienna.watches(), state(vienna)[0]) == ([], "purged" if purged else "recalled")
    assert await vienna.withheld(pristina) in ({ONE: "recalled"}, {ONE: "not_in_audience"}, {ONE: "purged"})
    # Who sends it does not know that it was recalled, and is told so, once.
    assert kinds(await pack(vienna, podgorica)) == ["tombstone"]


async def test_an_origin_that_was_restored_learns_from_its_peers_what_it_had_recalled(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    await passed_on(four)
    await tirana.recall(ONE)
    await deliver(tirana, podgorica)
    assert kinds(await pack(podgorica, tirana)) == []

    def older(tx: Any) -> None:
        """As a backup from before the recall."""
        stones = tx.conn.scalars(
            tombstones._STONES.select().with_only_columns(tombstones._STONES.c.hash)
        ).all()
        tx.conn.execute(delete(schema.views).where(schema.views.c.ref.in_(stones)))
        tx.conn.execute(delete(schema.tombstones))

    await tirana.log.write(older)
    assert await tirana.watches() == [ADDRESS]
    sent = replace(await pack(tirana, podgorica), incarnation="f" * 32)
    await take(podgorica, tirana, sent)
    assert await podgorica.watches() == []
    assert kinds(await pack(podgorica, tirana)) == ["tombstone"]
    await deliver(podgorica, tirana)
    assert await tirana.watches() == []
    assert "tombstone" in kinds(await pack(tirana, vienna))


# --- suspended members ------------------------------------------------------------------------------------------------


async def test_a_suspended_peer_is_told_of_the_recall_and_of_nothing_else(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    head = (await deliver(tirana, podgorica)).head
    await found("NATO", tirana, podgorica)
    await tirana.publish(told(TIRANA, 2))
    await pack(tirana, podgorica, head)  # numbered, not sent yet
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await tirana.publish(told(TIRANA, 3))
    await tirana.recall(ONE)
    assert (await share.decide_recalls(tirana.log, tirana.peer(podgorica).recipient())).number == 4
    sent = await _packed(tirana, podgorica, head)
    assert kinds(sent) == ["void", "void", "tombstone"]
    assert b"203.0.113.2" not in frame.encode(sent)
    assert (await take(podgorica, tirana, sent)).head == 4
    assert (await podgorica.watches(), podgorica.holds(TWO)) == ([], [False])
    # What waited comes when it is active again, its roster too.
    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    assert kinds(await pack(tirana, podgorica, 4)) == ["roster", "statement", "statement"]
    assert (await deliver(tirana, podgorica)).refused == ()
    assert await podgorica.watches() == ["203.0.113.2", "203.0.113.3"]


async def test_from_a_suspended_peer_a_recall_is_taken_and_nothing_else(four: Four) -> None:
    tirana, podgorica, *_ = four
    await passed_on(four)
    await introduce.change(podgorica.log, "tirana", PeerState.SUSPENDED, "test")
    await tirana.publish(told(TIRANA, 2), to=["podgorica"])
    await tirana.recall(ONE)
    sent = await pack(tirana, podgorica, 1)
    assert kinds(sent) == ["statement", "tombstone"]
    receipt = frame.read_receipt(
        await receive.recalls(podgorica.log, podgorica.receiver, tirana.member, sent),
        [PODGORICA.key],
        podgorica.member,
        tirana.member,
    )
    assert (receipt.head, receipt.refused) == (1, ((2, "suspended"),))
    assert (podgorica.holds(TWO), await podgorica.watches()) == ([False], [])
    # Nothing was lost by it.
    await introduce.change(podgorica.log, "tirana", PeerState.ACTIVE, "test")
    assert (await deliver(tirana, podgorica)).refused == ()
    assert (podgorica.holds(TWO), await podgorica.watches()) == ([True], ["203.0.113.2"])


async def test_a_suspended_peer_can_bring_no_forged_recall(four: Four) -> None:
    _, podgorica, vienna, _ = four
    await passed_on(four)
    await introduce.change(podgorica.log, "vienna", PeerState.SUSPENDED, "test")
    with podgorica.log.read() as conn:
        (statement,) = statements.about(conn, ONE)
    forged = [taken_back(VIENNA, statement), taken_back(TIRANA, statement, signer=VIENNA)]
    await receive.recalls(podgorica.log, podgorica.receiver, vienna.member, batch(*stream(*forged)))
    assert (await podgorica.watches(), podgorica.rows(schema.tombstones, "hash")) == ([ADDRESS], [])


async def test_recalls_alone_can_be_packed_for_a_peer_that_takes_nothing_else(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    await tirana.recall(ONE)
    full = await pack(tirana, podgorica)
    await tirana.publish(told(TIRANA, 3))
    await pack(tirana, podgorica)
    await tirana.recall(TWO)
    full = await pack(tirana, podgorica)
    with tirana.log.read() as conn:
        recipient = tirana.peer(podgorica).recipient()
        alone = batches.pack_recalls(conn, recipient, INCARNATION, Send(0), utc_now())
    assert alone.frames == tuple(one for one in full.frames if one.kind is FrameKind.TOMBSTONE)


async def test_of_recalls_alone_as_many_are_packed_as_may_go_at_once(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(*(told(TIRANA, number) for number in range(1, 4)))
    await pack(tirana, podgorica)
    for number in range(1, 4):
        await tirana.recall(told(TIRANA, number)["id"])
    await pack(tirana, podgorica)
    recipient = tirana.peer(podgorica).recipient()
    with tirana.log.read() as conn:
        [one, *_] = batches.pack_recalls(conn, recipient, INCARNATION, Send(0), utc_now()).frames
        packed = [
            batches.pack_recalls(conn, recipient, INCARNATION, Send(0, most), utc_now())
            for most in (1, 2 * len(one.envelope), 1 << 14)
        ]
    assert [len(sent.frames) for sent in packed] == [1, 2, 3]


# --- what else stands -------------------------------------------------------------------------------------------------


async def test_another_live_statement_about_the_same_content_keeps_it(four: Four) -> None:
    tirana, podgorica, vienna, _ = four
    vendor = told(TIRANA, 1, created_by_ref="identity--00000000-0000-4000-8000-00000000c15a")
    await tirana.publish(vendor, to=["podgorica"])
    await vienna.publish(vendor, to=["podgorica", "tirana"])
    for one in (tirana, vienna):
        await deliver(one, podgorica)
    await deliver(vienna, tirana)
    done = await tirana.recall(ONE)
    assert {one.limit: one.words for one in done.uncalled}[Limit.OTHERS].startswith("The word of vienna")
    await deliver(tirana, podgorica)
    assert (await podgorica.watches(), state(podgorica)) == ([ADDRESS], ["current"])
    assert (await tirana.watches(), state(tirana)) == ([ADDRESS], ["current"])


async def test_two_statements_of_one_member_are_recalled_together(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.CLEAR)
    await deliver(tirana, podgorica)
    assert len((await tirana.recall(ONE)).recalled) == 2
    await deliver(tirana, podgorica)
    assert await podgorica.watches() == []


async def test_what_is_published_again_after_its_recall_counts(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    await tirana.recall(ONE)
    await deliver(tirana, podgorica)
    first = await tirana.publish(told(TIRANA, 1))
    assert first.taken == (await tirana.publish(told(TIRANA, 1))).taken
    await deliver(tirana, podgorica)
    for one in (tirana, podgorica):
        assert (await one.watches(), state(one)) == ([ADDRESS], ["current"])


async def test_one_version_can_be_recalled_and_the_one_before_it_counts_again(four: Four) -> None:
    tirana, podgorica, *_ = four
    later_one = told(
        TIRANA, 1, modified="2022-08-09T00:00:00.000Z", pattern="[ipv4-addr:value = '198.51.100.7']"
    )
    await tirana.publish(told(TIRANA, 1))
    await tirana.publish(later_one)
    await deliver(tirana, podgorica)
    assert await podgorica.watches() == ["198.51.100.7"]
    with pytest.raises(NotFound, match="published no version"):
        await tirana.recall(ONE, version="2000-01-01T00:00:00.000Z")
    done = await tirana.recall(ONE, version="2022-08-09T00:00:00Z")
    assert (len(done.recalled), len(done.stands)) == (1, 1)
    await deliver(tirana, podgorica)
    for one in (tirana, podgorica):
        assert (await one.watches(), sorted(state(one))) == ([ADDRESS], ["current", "recalled"])


async def test_what_was_brought_here_too_is_looked_for_here_and_that_is_said(four: Four) -> None:
    tirana, podgorica, *_ = four
    raw = bundle.write([encode(told(TIRANA, 1))])
    await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    done = await tirana.recall(ONE)
    assert Limit.BROUGHT in {one.limit for one in done.uncalled}
    await deliver(tirana, podgorica)
    assert (await tirana.watches(), state(tirana), await podgorica.watches()) == ([ADDRESS], ["current"], [])


async def test_what_was_recalled_lets_nobody_be_told_of_it_by_name(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await tirana.recall(ONE)
    done = await tirana.publish(told(TIRANA, 9), note(TIRANA, ONE))
    ((rejected),) = done.rejected
    assert (rejected.id, rejected.clause) == (note(TIRANA, ONE)["id"], "lezha references")
    assert "was recalled" in rejected.reason


# --- what was derived -------------------------------------------------------------------------------------------------


def note(party: Party, *about: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {
        "type": "note",
        "spec_version": "2.1",
        "id": f"note--{number:08d}-0000-4000-8000-000000000000",
        "created_by_ref": party.member,
        "created": "2022-07-15T09:00:00.000Z",
        "modified": "2022-07-15T09:00:00.000Z",
        "content": "what we know of it",
        "object_refs": list(about),
    }
    return plain | changes


def tie(party: Party, source: str, target: str, kind: str = "derived-from") -> dict[str, Any]:
    return {
        "type": "relationship",
        "spec_version": "2.1",
        "id": "relationship--00000001-0000-4000-8000-000000000000",
        "created_by_ref": party.member,
        "created": "2022-07-15T09:00:00.000Z",
        "modified": "2022-07-15T09:00:00.000Z",
        "relationship_type": kind,
        "source_ref": source,
        "target_ref": target,
    }


NOTE, UPON = note(TIRANA, ONE)["id"], note(TIRANA, ONE, number=2)["id"]


async def test_what_names_it_is_recalled_with_it_and_what_names_that(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(
        told(TIRANA, 1),
        told(TIRANA, 2),
        note(TIRANA, ONE),
        note(TIRANA, NOTE, number=2),
        note(TIRANA, TWO, number=3),
    )
    await deliver(tirana, podgorica)
    done = await tirana.recall(ONE)
    assert {one.id: one.because for one in done.recalled} == {ONE: "", NOTE: ONE, UPON: NOTE}
    await deliver(tirana, podgorica)
    assert [state(podgorica, one)[0] for one in (ONE, NOTE, UPON, TWO)] == ["recalled"] * 3 + ["current"]


async def test_what_was_derived_can_be_left_and_that_is_said(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1), note(TIRANA, ONE))
    await deliver(tirana, podgorica)
    done = await tirana.recall(ONE, keep_derived=True)
    assert [one.id for one in done.recalled] == [ONE]
    assert Limit.DERIVED in {one.limit for one in done.uncalled}
    assert [one.id for one in (await tirana.recall(ONE)).recalled] == [NOTE], "it can still be taken back"


async def test_what_was_recalled_goes_beside_nothing_to_anybody_new(four: Four) -> None:
    """Those who have what names it go on; a relay passes it on no more either, and what is published again goes."""
    tirana, podgorica, vienna, pristina = four
    maker = dict(json.loads(versioned("identity", id=MAKER, name="A source")))
    named = told(TIRANA, 1, created_by_ref=MAKER)
    await tirana.publish(maker, named, tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, podgorica)
    done = await tirana.recall(MAKER, keep_derived=True)
    assert Limit.BESIDE in {one.limit for one in done.uncalled}
    assert await tirana.withheld(vienna) == {MAKER: "recalled", ONE: "incomplete"}
    await deliver(tirana, vienna)
    await deliver(tirana, podgorica)
    assert state(podgorica) == ["current"]
    assert await podgorica.withheld(pristina) == {MAKER: "recalled", ONE: "incomplete"}
    assert vienna.holds(ONE, MAKER) == [False, False]

    await tirana.publish(maker, named, tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, vienna)
    assert vienna.holds(ONE, MAKER) == [True, True]


async def test_a_version_that_was_recalled_goes_beside_nothing_new(four: Four) -> None:
    tirana, podgorica, *_ = four
    first = dict(json.loads(versioned("identity", id=MAKER, name="A source")))
    second = first | {"name": "Our man in Vienna", "modified": "2022-08-09T00:00:00.000Z"}
    await tirana.publish(first)
    await tirana.publish(second, told(TIRANA, 1, created_by_ref=MAKER), to=["vienna"])
    done = await tirana.recall(MAKER, version="2022-08-09T00:00:00.000000Z")
    assert (len(done.recalled), Limit.BESIDE in {one.limit for one in done.uncalled}) == (1, True)
    await tirana.publish(told(TIRANA, 1, created_by_ref=MAKER))
    await deliver(tirana, podgorica)
    assert (podgorica.holds(ONE), podgorica.bytes_of(MAKER)) == ([True], [encode(first)])


async def test_what_was_numbered_before_its_companion_was_recalled_goes_void(four: Four) -> None:
    tirana, podgorica, *_ = four
    maker = dict(json.loads(versioned("identity", id=MAKER, name="A source")))
    await tirana.publish(maker, to=["vienna"])
    await tirana.publish(maker, told(TIRANA, 1, created_by_ref=MAKER))
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    await tirana.recall(MAKER, keep_derived=True)
    await deliver(tirana, podgorica)
    assert podgorica.holds(ONE, MAKER) == [False, False]


async def test_a_recall_of_what_goes_beside_nothing_does_not_say_so(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1), note(TIRANA, ONE))
    done = await tirana.recall(ONE, keep_derived=True)
    assert Limit.BESIDE not in {one.limit for one in done.uncalled}


async def test_what_names_it_stays_if_all_who_have_it_may_still_know_it(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 1, modified="2022-08-09T00:00:00.000Z"))
    await tirana.publish(note(TIRANA, ONE), to=["podgorica"])
    await tirana.publish(note(TIRANA, ONE, number=2))
    done = await tirana.recall(ONE, version="2022-08-09T00:00:00.000000Z")
    assert [one.id for one in done.recalled] == [ONE, UPON]


async def test_what_nobody_was_told_of_stays(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await tirana.publish(note(TIRANA, ONE), to=[])
    assert [one.id for one in (await tirana.recall(ONE)).recalled] == [ONE]


async def test_what_others_said_of_it_is_theirs(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    await podgorica.publish(note(PODGORICA, ONE), to=["tirana"])
    await deliver(podgorica, tirana)
    assert [one.id for one in (await tirana.recall(ONE)).recalled] == [ONE]
    assert state(tirana, NOTE) == ["current"]


async def test_a_tear_line_is_recalled_with_what_it_was_derived_from(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 2))
    await tirana.publish(tie(TIRANA, TWO, ONE), to=["podgorica"])
    done = await tirana.recall(ONE)
    assert {one.id.partition("--")[0]: one.because for one in done.recalled} == {
        "indicator": ONE,
        "relationship": ONE,
    }
    assert {one.id for one in done.recalled} >= {ONE, TWO}
    assert await tirana.watches() == []


async def test_what_is_related_in_another_way_is_no_tear_line(four: Four) -> None:
    tirana, *_ = four
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2), tie(TIRANA, TWO, ONE, "related-to"))
    assert TWO not in {one.id for one in (await tirana.recall(ONE)).recalled}


async def test_a_recall_has_a_limit_and_says_what_to_do(four: Four, monkeypatch: pytest.MonkeyPatch) -> None:
    tirana, *_ = four
    monkeypatch.setattr(recall, "_MOST", 1)
    await tirana.publish(told(TIRANA, 1), note(TIRANA, ONE), note(TIRANA, ONE, number=2))
    with pytest.raises(FlowError, match="keep-derived"):
        await tirana.recall(ONE)
    assert tirana.rows(schema.tombstones, "hash") == []


# --- the ledger -------------------------------------------------------------------------------------------------------


async def test_the_ledger_says_how_far_everything_has_come(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    await tirana.publish(told(TIRANA, 1), to=["podgorica", "vienna"], expires=later(utc_now(), hours=1))
    assert tirana.fates(ONE) == {}, "nothing was decided yet"
    assert await tirana.withheld(pristina) == {ONE: "not_in_audience"}
    await pack(tirana, podgorica)
    await pack(tirana, vienna, now=later(utc_now(), hours=2))
    assert tirana.fates(ONE) == {"podgorica": "offered", "vienna": "void", "pristina": "withheld"}
    await signed_for(tirana, podgorica, 1)
    assert tirana.fates(ONE)["podgorica"] == "received"
    await tirana.recall(ONE)
    assert tirana.fates(ONE) == {"podgorica": "recalled", "vienna": "recalled", "pristina": "withheld"}
    await pack(tirana, podgorica)
    await signed_for(tirana, podgorica, 2)
    assert tirana.fates(ONE)["podgorica"] == "recall received"


async def test_the_ledger_says_what_was_refused_and_why(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await pack(tirana, podgorica)
    await signed_for(tirana, podgorica, 1, (1, "authority"))
    with tirana.log.read() as conn:
        (report,) = look.object_report(conn, ONE)
    assert [(one.peer, one.state, one.why) for one in report.told] == [("podgorica", "refused", "authority")]


async def test_a_report_says_who_recalled_it_when_and_why(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    await tirana.recall(ONE, why="a busy resolver")
    await deliver(tirana, podgorica)
    for one in (tirana, podgorica):
        with one.log.read() as conn:
            (report,) = look.object_report(conn, ONE)
        assert [(each.by, each.why) for each in report.recalls] == [(tirana.member, "a busy resolver")]


async def signed_for(here: Station, by: Station, head: int, *refused: tuple[int, str]) -> None:
    await here.log.write(lambda tx: views.keep_receipt(tx, by.member, head, b"", refused))


async def _packed(sender: Station, to: Station, after: int) -> Batch:
    """What a link to a suspended peer would send."""
    recipient = sender.peer(to).recipient()
    with sender.log.read() as conn:
        packed = batches.pack(conn, recipient, INCARNATION, Send(after), utc_now())
    await sender.log.write(lambda tx: views.void(tx, to.member, packed.denied))
    return packed.batch
