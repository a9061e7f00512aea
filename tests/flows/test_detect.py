"""The loop closes: indicators to a sensor, its reports into sightings, and these to the origin alone."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from tests.federation.keys import AT, PODGORICA, TIRANA
from tests.flows.alliance import (
    PRISTINA,
    VIENNA,
    Station,
    alliance,
    deliver,
    said,
    stream,
    take,
    told,
    written,
)
from tests.flows.alliance import batch as frames

from lezha.detection.feed import Feed
from lezha.detection.sensor import Batch, Report
from lezha.flows import detect, ingest, purge, share
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import schema, statements, views
from lezha.store.log import Log

SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
SEEN = datetime(2022, 7, 15, 9, 30, tzinfo=UTC)
INDICATOR = told(TIRANA, 1)["id"]
Four = tuple[Station, Station, Station, Station]


def keyed(author: Any, number: int) -> str:
    """The key under which a sensor is given an author's indicator."""
    return f"{author.member} {told(author, number)['id']}"


KEY = keyed(TIRANA, 1)


def reports(*keys: str, batch_id: str = "run-1", count: int = 3) -> Batch:
    return Batch(batch_id, SEEN, tuple(Report(key, count, SEEN, SEEN) for key in keys))


async def feed(here: Station, after: int = 0, now: str = "", sensor: Recipient = SENSOR) -> Feed:
    return await detect.feed(here.log, sensor, after, now or utc_now())


async def report(
    here: Station, batch: Batch, sensor: Recipient = SENSOR
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    taken = await detect.report(here.log, here.author, sensor, batch)
    return taken.sightings, taken.unknown


def object_of(here: Station, stix_id: str) -> dict[str, Any]:
    [raw] = here.bytes_of(stix_id)
    found: dict[str, Any] = json.loads(raw)
    return found


@pytest.fixture
async def four(station: Callable[..., Station]) -> Four:
    """Tirana's indicator is at Podgorica, whose sensor watches for it; Vienna and Pristina are there too."""
    stations = tirana, podgorica, *_ = station(TIRANA), station(PODGORICA), station(VIENNA), station(PRISTINA)
    await alliance(*stations)
    await tirana.publish(told(TIRANA, 1), tlp=Tlp.AMBER, to=["podgorica"])
    await deliver(tirana, podgorica)
    await feed(podgorica)
    return stations


# --- to the sensor --------------------------------------------------------------------------------------------------


async def test_a_sensor_is_given_what_to_watch_for(four: Four) -> None:
    _, podgorica, *_ = four
    [item] = (await feed(podgorica)).items
    assert (item.key, item.observables, item.unmatched) == (KEY, (("ipv4", "203.0.113.1"),), "")


async def test_a_sensor_gets_the_rows_after_the_one_it_names(four: Four) -> None:
    _, podgorica, *_ = four
    head = (await feed(podgorica)).head
    assert await feed(podgorica, head) == Feed(head, ())
    await podgorica.publish(told(PODGORICA, 2))
    later_rows = await feed(podgorica, head)
    assert (later_rows.head, [item.key for item in later_rows.items]) == (
        head + 1,
        [keyed(PODGORICA, 2)],
    )


async def test_what_is_no_indicator_takes_a_number_but_is_nothing_to_watch_for(four: Four) -> None:
    _, podgorica, *_ = four
    head = (await feed(podgorica)).head
    malware = {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--00000001-0000-4000-8000-000000000000",
    }
    at = {"created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T08:00:00.000Z", "is_family": False}
    await podgorica.publish(malware | at)
    assert await feed(podgorica, head) == Feed(head + 1, ())


async def test_a_sensor_is_not_given_what_it_is_not_cleared_for(four: Four) -> None:
    _, podgorica, *_ = four
    low = Recipient("sensor:2", Standing.OWN, Tlp.GREEN)
    await podgorica.publish(told(PODGORICA, 2), tlp=Tlp.GREEN)
    assert [item.key for item in (await feed(podgorica, sensor=low)).items] == [keyed(PODGORICA, 2)]


async def test_a_revoked_indicator_is_told_of_with_nothing_to_watch_for(four: Four) -> None:
    tirana, podgorica, *_ = four
    head = (await feed(podgorica)).head
    await tirana.publish(told(TIRANA, 1, revoked=True, modified="2022-07-16T09:00:00.000Z"), to=["podgorica"])
    await deliver(tirana, podgorica)
    [item] = (await feed(podgorica, head)).items
    assert (item.key, item.version, item.observables) == (KEY, "2022-07-16T09:00:00.000000Z", ())


async def test_another_member_s_word_on_an_indicator_never_ends_its_author_s_watch(four: Four) -> None:
    _, podgorica, vienna, _ = four
    head = (await feed(podgorica)).head
    squatted = told(TIRANA, 1, revoked=True, modified="2999-01-01T00:00:00.000Z")
    del squatted["created_by_ref"]
    await vienna.publish(squatted, to=["podgorica"])
    await deliver(vienna, podgorica)
    assert KEY not in {item.key for item in (await feed(podgorica, head)).items}


async def test_what_was_brought_here_and_is_published_then_is_watched_for_once(four: Four) -> None:
    _, podgorica, *_ = four
    raw = bundle.write([encode(told(PODGORICA, 5))])
    await ingest.take(podgorica.log, podgorica.members, podgorica.member, raw, "test")
    before = await feed(podgorica)
    posted = f" {told(PODGORICA, 5)['id']}"
    assert [len(one.observables) for one in before.items if one.key == posted] == [1]
    await podgorica.publish(told(PODGORICA, 5))
    [*items] = (await feed(podgorica, before.head)).items
    assert {one.key: len(one.observables) for one in items} == {posted: 0, keyed(PODGORICA, 5): 1}
    await purge.purge(podgorica.log, podgorica.member, [told(PODGORICA, 5)["id"]], "a mistake", "test")
    anew = {one.key: one.observables for one in (await feed(podgorica)).items}
    assert anew.pop(KEY)
    assert not any(anew.values())


async def test_one_statement_that_has_ended_ends_no_watch_that_another_allows(four: Four) -> None:
    _, podgorica, *_ = four
    soon = later(utc_now(), seconds=30)
    for number, first, then in ((6, None, soon), (7, soon, None)):
        await podgorica.publish(told(PODGORICA, number), expires=first)
        await podgorica.publish(told(PODGORICA, number), expires=then, to=["vienna"])
        items = (await feed(podgorica, now=later(utc_now(), minutes=5))).items
        assert [len(one.observables) for one in items if one.key == keyed(PODGORICA, number)] == [1]


async def test_a_report_about_what_was_purged_stops_no_other(four: Four) -> None:
    _, podgorica, *_ = four
    await podgorica.publish(told(PODGORICA, 2))
    await feed(podgorica)
    await purge.purge(podgorica.log, podgorica.member, [told(PODGORICA, 2)["id"]], "a mistake", "test")
    sightings, unknown = await report(podgorica, reports(keyed(PODGORICA, 2), KEY))
    assert (len(sightings), unknown) == (1, (keyed(PODGORICA, 2),))


async def test_a_running_sensor_hears_that_an_indicator_was_forged(station: Callable[..., Station]) -> None:
    podgorica, vienna, tirana = station(PODGORICA), station(VIENNA), station(TIRANA)
    await podgorica.links(vienna, since=AT)
    forged = said(VIENNA, written(TIRANA, 1))
    assert (await take(podgorica, vienna, frames(*stream(forged)))).refused == ()
    before = await feed(podgorica)
    key = f"{VIENNA.member} {INDICATOR}"
    assert {one.key: len(one.observables) for one in before.items} == {key: 1}
    await podgorica.links(tirana, since=AT)
    then = await feed(podgorica, before.head)
    assert {one.key: one.observables for one in then.items} == {key: ()}
    await podgorica.log.write(lambda tx: tx.event("peer", tirana.member, "test"))
    assert (await feed(podgorica, then.head)).items == (), "it is said once"


async def test_a_report_that_makes_no_sense_is_left_out_and_named(four: Four) -> None:
    _, podgorica, *_ = four
    assert await report(podgorica, reports(KEY, count=-1)) == ((), (KEY,))


def labels_of(here: Station, sighting: str) -> list[str]:
    found: list[str] = object_of(here, sighting).get("labels", [])
    return found


LATER, LATEST = "2022-07-16T09:00:00.000Z", "2022-07-17T09:00:00.000Z"


async def brought(here: Station, *given: dict[str, Any]) -> None:
    raw = bundle.write([encode(one) for one in given])
    await ingest.take(here.log, here.members, here.member, raw, "test")


@pytest.mark.parametrize("imported", [True, False])
async def test_a_report_is_taken_though_what_was_told_last_was_purged(
    log: Log, station: Callable[..., Station], imported: bool
) -> None:
    podgorica, vienna = Station(PODGORICA, log), station(VIENNA)
    await alliance(podgorica, vienna)
    drill = told(PRISTINA, 2)
    real = told(PRISTINA, 2, modified=LATER, labels=None)
    await vienna.publish(drill)
    await deliver(vienna, podgorica)
    between = utc_now()
    if imported:
        await brought(podgorica, real)
        await brought(podgorica, drill)
    else:
        await vienna.publish(real)
        await vienna.publish(drill, tlp=Tlp.CLEAR)
        await deliver(vienna, podgorica)
    await feed(podgorica)
    key = f"{'' if imported else VIENNA.member} {real['id']}"
    [made], _ = await report(podgorica, reports(key))
    assert labels_of(podgorica, made) == [], "of the version that counts, not of the one that was told last"
    assert await purge.retire(log, [Rule("indicator", 1, between)]) == {"indicator": 1}
    [made], unknown = await report(podgorica, reports(key, batch_id="run-2"))
    assert (labels_of(podgorica, made), unknown) == ([], ())


async def test_a_report_of_what_counts_no_more_is_taken_as_what_was_told(four: Four) -> None:
    tirana, podgorica, *_ = four
    await tirana.publish(told(TIRANA, 1, revoked=True, modified=LATEST), to=["podgorica"])
    await deliver(tirana, podgorica)
    assert len((await report(podgorica, reports(KEY)))[0]) == 1
    await feed(podgorica)
    assert len((await report(podgorica, reports(KEY, batch_id="run-2")))[0]) == 1


async def test_a_batch_that_comes_twice_makes_its_sightings_once_though_the_indicator_has_changed(
    four: Four,
) -> None:
    tirana, podgorica, *_ = four
    [made], _ = await report(podgorica, reports(KEY))
    await tirana.publish(told(TIRANA, 1, labels=None, modified=LATER), to=["podgorica"])
    await deliver(tirana, podgorica)
    await feed(podgorica)
    assert await report(podgorica, reports(KEY)) == ((made,), ())
    assert labels_of(podgorica, made) == ["exercise"]


@pytest.mark.parametrize("by_creator", [True, False])
async def test_who_forged_an_indicator_is_not_told_who_saw_it(
    log: Log, station: Callable[..., Station], by_creator: bool
) -> None:
    podgorica, vienna, tirana = Station(PODGORICA, log), station(VIENNA), station(TIRANA)
    await podgorica.links(vienna, since=AT)
    forged = said(VIENNA, written(TIRANA, 1))
    assert (await take(podgorica, vienna, frames(*stream(forged)))).refused == ()
    await feed(podgorica)
    await podgorica.links(tirana, since=AT)
    if by_creator:
        await take(podgorica, tirana, frames(*stream(said(TIRANA, written(TIRANA, 1)))))
        await feed(podgorica)
    key = f"{VIENNA.member} {INDICATOR}"
    made, unknown = await report(podgorica, reports(key, KEY))
    assert (len(made), unknown) == ((1, (key,)) if by_creator else (0, (key, KEY)))


@pytest.mark.parametrize(
    "seen",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
        SEEN.replace(tzinfo=None),
    ],
)
async def test_a_report_of_a_time_that_can_t_be_written_costs_no_other(four: Four, seen: datetime) -> None:
    _, podgorica, *_ = four
    await podgorica.publish(told(PODGORICA, 2))
    await feed(podgorica)
    whole = reports(KEY)
    batch = replace(whole, reports=(Report(keyed(PODGORICA, 2), 1, seen, seen), *whole.reports))
    made, unknown = await report(podgorica, batch)
    assert (len(made), unknown) == (1, (keyed(PODGORICA, 2),))


async def test_an_indicator_in_capital_letters_is_sighted_as_any_other(
    log: Log, station: Callable[..., Station]
) -> None:
    podgorica, tirana = Station(PODGORICA, log), station(TIRANA)
    await alliance(podgorica, tirana)
    loud = told(TIRANA, 1, id="indicator--ABCDEF01-0000-4000-8000-00000000C15A")
    await tirana.publish(loud, told(TIRANA, 2))
    await deliver(tirana, podgorica)
    keys = [one.key for one in (await feed(podgorica)).items]
    made, unknown = await report(podgorica, reports(*keys))
    assert (len(made), unknown) == (2, ())
    assert {object_of(podgorica, one)["sighting_of_ref"] for one in made} == {
        loud["id"],
        told(TIRANA, 2)["id"],
    }
    await deliver(podgorica, tirana)
    assert tirana.holds(*made) == [True, True]


@pytest.mark.parametrize(
    "key", ["", " ", "\0", f"{KEY}\0", f"\ud800 {INDICATOR}", INDICATOR, f"x {INDICATOR}"]
)
async def test_a_key_that_no_sensor_was_given_costs_no_other(
    log: Log, station: Callable[..., Station], key: str
) -> None:
    podgorica, tirana = Station(PODGORICA, log), station(TIRANA)
    await alliance(podgorica, tirana)
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    await feed(podgorica)
    made, unknown = await report(podgorica, reports(key, KEY))
    assert (len(made), unknown) == (1, (key,))


async def test_what_expires_after_it_was_numbered_is_nothing_to_watch_for(four: Four) -> None:
    _, podgorica, *_ = four
    await podgorica.publish(told(PODGORICA, 2), expires=later(utc_now(), hours=1))
    now = await feed(podgorica)
    then = await feed(podgorica, now=later(utc_now(), hours=2))
    watched = [{item.key for item in told.items if item.observables} for told in (now, then)]
    assert watched[0] - watched[1] == {keyed(PODGORICA, 2)}
    assert then.head == now.head


def valued(number: int, count: int) -> dict[str, Any]:
    """An indicator with so many values."""
    values = " OR ".join(f"ipv4-addr:value = '198.51.{number}.{one}'" for one in range(count))
    return told(PODGORICA, number, pattern=f"[{values}]")


async def pages(here: Station) -> list[Feed]:
    """All answers to a sensor that starts."""
    got = [await feed(here)]
    while got[-1].more:
        got.append(await feed(here, got[-1].head))
    return got


@pytest.fixture
async def five(log: Log) -> Station:
    """Podgorica with indicators of 3, 1, 2, 9 and 1 values."""
    podgorica = Station(PODGORICA, log)
    await podgorica.publish(*(valued(number, count) for number, count in enumerate((3, 1, 2, 9, 1), 1)))
    return podgorica


@pytest.mark.parametrize(
    ("limit", "most", "sizes"),
    [
        ("_VALUES", 20_000, [[3, 1, 2, 9, 1]]),
        ("_VALUES", 16, [[3, 1, 2, 9, 1]]),
        ("_VALUES", 15, [[3, 1, 2, 9], [1]]),
        ("_VALUES", 4, [[3, 1], [2], [9], [1]]),
        ("_VALUES", 1, [[3], [1], [2], [9], [1]]),
        ("_BYTES", 1, [[3], [1], [2], [9], [1]]),
        ("_ROWS", 2, [[3, 1], [2, 9], [1]]),
    ],
)
async def test_an_answer_holds_few_large_indicators_but_always_one(
    five: Station, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, sizes: list[list[int]]
) -> None:
    [whole] = await pages(five)
    monkeypatch.setattr(detect, limit, most)
    got = await pages(five)
    assert [[len(one.observables) for one in page.items] for page in got] == sizes
    assert [page.head for page in got] == [page.items[-1].number for page in got]
    assert tuple(one for page in got for one in page.items) == whole.items


async def test_what_is_told_again_further_on_costs_an_answer_once(
    five: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    await five.publish(valued(4, 9), tlp=Tlp.CLEAR)
    monkeypatch.setattr(detect, "_VALUES", 9)
    assert [[len(one.observables) for one in page.items] for page in await pages(five)] == [
        [3, 1, 2],
        [9],
        [1],
        [9],
    ]
    monkeypatch.setattr(detect, "_VALUES", 10)
    assert [[len(one.observables) for one in page.items] for page in await pages(five)][1:] == [[1, 9]]


async def test_what_takes_long_to_decide_is_left_for_the_next_answer(
    five: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = await pages(five)
    other = replace(SENSOR, id="sensor:2")
    monkeypatch.setattr(share, "_CHANGES_PER_COMMIT", 2)
    monkeypatch.setattr(detect, "_DECIDING_S", -1.0)
    first = await feed(five, sensor=other)
    assert (len(first.items), first.more) == (2, True)
    got = [first]
    while got[-1].more:
        got.append(await feed(five, got[-1].head, sensor=other))
    assert tuple(one for page in got for one in page.items) == whole.items


async def test_an_answer_is_read_beside_the_event_loop(
    five: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    entries = views.entries

    def noted(*given: Any) -> Any:
        threads.add(threading.get_ident())
        return entries(*given)

    monkeypatch.setattr(views, "entries", noted)
    await feed(five)
    assert threads
    assert threading.get_ident() not in threads


# --- from the sensor ------------------------------------------------------------------------------------------------


async def test_a_report_makes_a_sighting_that_says_who_saw_what_how_often_and_when(four: Four) -> None:
    _, podgorica, *_ = four
    [made], unknown = await report(podgorica, reports(KEY))
    assert unknown == ()
    one = object_of(podgorica, made)
    assert (one["sighting_of_ref"], one["created_by_ref"], one["count"]) == (INDICATOR, PODGORICA.member, 3)
    assert one["first_seen"] == one["last_seen"] == "2022-07-15T09:30:00.000Z"


async def test_a_batch_that_comes_twice_makes_its_sightings_once(four: Four) -> None:
    _, podgorica, *_ = four
    first = await report(podgorica, reports(KEY))
    kept = podgorica.rows(schema.statements, "hash")
    assert await report(podgorica, reports(KEY)) == first
    assert podgorica.rows(schema.statements, "hash") == kept


async def test_another_batch_makes_another_sighting(four: Four) -> None:
    _, podgorica, *_ = four
    first, _ = await report(podgorica, reports(KEY))
    second, _ = await report(podgorica, reports(KEY, batch_id="run-2"))
    assert first != second


async def test_batches_of_two_sensors_under_one_id_are_two(four: Four) -> None:
    _, podgorica, *_ = four
    other = replace(SENSOR, id="sensor:2")
    await feed(podgorica, sensor=other)
    first, _ = await report(podgorica, reports(KEY))
    second, _ = await report(podgorica, reports(KEY), other)
    assert first != second


async def test_an_indicator_that_this_sensor_was_never_given_is_unknown(four: Four) -> None:
    _, podgorica, *_ = four
    low = Recipient("sensor:2", Standing.OWN, Tlp.GREEN)
    await feed(podgorica, sensor=low)
    nowhere = keyed(TIRANA, 99)
    assert await report(podgorica, reports(KEY, nowhere), low) == ((), (KEY, nowhere))
    assert podgorica.rows(schema.contents, "type").count(("sighting",)) == 0


async def test_the_known_of_a_batch_are_taken_beside_the_unknown(four: Four) -> None:
    _, podgorica, *_ = four
    made, unknown = await report(podgorica, reports(keyed(TIRANA, 99), KEY))
    assert (len(made), unknown) == (1, (keyed(TIRANA, 99),))


async def test_what_is_no_indicator_is_not_sighted(four: Four) -> None:
    _, podgorica, *_ = four
    malware = {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--00000001-0000-4000-8000-000000000000",
    }
    at = {"created": "2022-07-15T08:00:00.000Z", "modified": "2022-07-15T08:00:00.000Z", "is_family": False}
    await podgorica.publish(malware | at)
    await feed(podgorica)
    key = f"{PODGORICA.member} {malware['id']}"
    made, unknown = await report(podgorica, reports(key, KEY))
    assert (len(made), unknown) == (1, (key,))


async def test_an_exercise_stays_one(four: Four) -> None:
    _, podgorica, *_ = four
    real = told(PODGORICA, 2, labels=None)
    await podgorica.publish(real)
    await feed(podgorica)
    [drill, earnest], _ = await report(podgorica, reports(KEY, keyed(PODGORICA, 2)))
    assert object_of(podgorica, drill)["labels"] == ["exercise"]
    assert "labels" not in object_of(podgorica, earnest)


# --- home again, and nowhere else -----------------------------------------------------------------------------------


async def test_a_sighting_goes_to_the_origin_of_the_indicator_and_to_nobody_else(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    [made], _ = await report(podgorica, reports(KEY))
    for one in (tirana, vienna, pristina):
        await deliver(podgorica, one)
    assert [one.holds(made) for one in (tirana, vienna, pristina)] == [[True], [False], [False]]
    assert (await podgorica.withheld(vienna))[made] == "not_in_audience"
    assert (await podgorica.withheld(pristina))[made] == "not_in_audience"
    assert made not in await podgorica.withheld(tirana)


async def test_the_origin_passes_a_sighting_on_to_nobody(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    [made], _ = await report(podgorica, reports(KEY))
    await deliver(podgorica, tirana)
    reasons = {one.name: (await tirana.withheld(one))[made] for one in (podgorica, vienna, pristina)}
    assert reasons == {
        "podgorica": "came_from_there",
        "vienna": "not_in_audience",
        "pristina": "not_in_audience",
    }


async def test_a_sighting_of_what_was_passed_on_goes_to_its_author(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    await tirana.publish(told(TIRANA, 2), tlp=Tlp.CLEAR, onward=True)
    await deliver(tirana, vienna)
    await deliver(vienna, pristina)
    await feed(pristina)
    [made], _ = await report(pristina, reports(keyed(TIRANA, 2)))
    for one in (tirana, podgorica, vienna):
        await deliver(pristina, one)
    assert [one.holds(made) for one in (tirana, podgorica, vienna)] == [[True], [False], [False]]


async def test_a_sighting_of_an_own_indicator_goes_to_nobody(four: Four) -> None:
    tirana, podgorica, vienna, pristina = four
    await podgorica.publish(told(PODGORICA, 2))
    await feed(podgorica)
    [made], _ = await report(podgorica, reports(keyed(PODGORICA, 2)))
    for one in (tirana, vienna, pristina):
        assert (await podgorica.withheld(one))[made] == "empty_audience"


async def test_a_sighting_is_strict_and_not_onward(four: Four) -> None:
    _, podgorica, *_ = four
    [made], _ = await report(podgorica, reports(KEY))
    with podgorica.log.read() as conn:
        [one] = statements.facts(conn, statements.about(conn, made))
    assert one.terms is not None
    assert (one.terms.tlp, one.terms.onward, one.terms.audience.members) == (
        Tlp.STRICT,
        False,
        (TIRANA.member,),
    )


async def test_the_loop_closes_on_postgresql_too(log: Log, station: Callable[..., Station]) -> None:
    tirana, podgorica = station(TIRANA), Station(PODGORICA, log)
    await alliance(tirana, podgorica)
    await tirana.publish(told(TIRANA, 1))
    await deliver(tirana, podgorica)
    await feed(podgorica)
    [made], _ = await report(podgorica, reports(KEY))
    assert await report(podgorica, reports(KEY)) == ((made,), ())
    await deliver(podgorica, tirana)
    assert tirana.holds(made) == [True]
