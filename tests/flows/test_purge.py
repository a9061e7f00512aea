"""What is purged is gone from every file of the database; that it was here stays."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import PRISTINA, VIENNA, Station, deliver, pack, said, stream, take, told, written
from tests.flows.alliance import batch as frames

from lezha.federation.frame import FrameKind
from lezha.flows import check, detect, ingest, look, purge, rederive
from lezha.flows.errors import FlowError
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import contents, schema, search
from lezha.store.errors import StoreError
from lezha.store.log import Log
from lezha.store.search import Query

SECRET = "qytetari-1985-tirane"
SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)


@pytest.fixture
async def pair(log: Log, station: Callable[..., Station]) -> tuple[Station, Station]:
    """Tirana, on each of the engines, and Podgorica."""
    tirana, podgorica = Station(TIRANA, log), station(PODGORICA)
    await tirana.links(podgorica)
    await podgorica.links(tirana)
    return tirana, podgorica


def misfiled(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {
        "name": f"{SECRET}-name",
        "description": f"names {SECRET} by mistake",
        "labels": [f"{SECRET}-label"],
        "pattern": f"[domain-name:value = '{SECRET}.example'] OR [url:value = 'http://x.example/{SECRET}']",
    }
    return told(TIRANA, number, **(plain | changes))


def found(here: Station, **query: Any) -> list[str]:
    with here.log.read() as conn:
        return [one.id for one in search.find(conn, Query(**query))]


def traces(here: Station, url: str) -> list[str]:
    """Name the files of the database in which any form of the secret stands."""
    forms = {SECRET.encode(), SECRET[::-1].encode(), SECRET.replace("-", " ").encode()}
    forms |= {part.encode() for part in SECRET.split("-") if len(part) > 5}
    return [
        path.name for path in files(here, url) if any(form in path.read_bytes().lower() for form in forms)
    ]


def files(here: Station, url: str) -> list[Path]:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return [one for one in path.parent.iterdir() if one.is_file()]
    with here.log.read() as conn:
        data = Path(conn.exec_driver_sql("SHOW data_directory").scalar_one())
        names = conn.exec_driver_sql(
            "SELECT pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i', 't')"
        )
        toast = conn.exec_driver_sql(
            "SELECT pg_relation_filepath(c.reltoastrelid) FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.reltoastrelid <> 0"
        )
        return [data / name for (name,) in (*names, *toast)]


def written_down(here: Station, url: str) -> None:
    """Have PostgreSQL write its files, which it does when it likes; SQLite has done it."""
    if url.startswith("postgresql"):
        with here.log._writer.connect() as conn:
            conn.exec_driver_sql("CHECKPOINT")


async def test_nothing_of_what_is_purged_is_left_in_the_database_s_files(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), *(told(TIRANA, number) for number in range(2, 40)))
    await tirana.publish(misfiled(1, modified="2022-07-16T09:30:00.123Z"))
    written_down(tirana, url)
    assert traces(tirana, url), "it must be there before, or this test proves nothing"
    done = await purge.purge(tirana.log, tirana.member, [misfiled()["id"]], "names a citizen", "officer")
    assert (done.versions, done.ids) == (2, (misfiled()["id"],))
    assert traces(tirana, url) == []
    assert found(tirana, text="exercise")[:3], "the words of all others are still found"


async def test_the_hash_the_statement_and_the_audit_stay(pair: tuple[Station, Station]) -> None:
    tirana, podgorica = pair
    published = await tirana.publish(misfiled())
    await deliver(tirana, podgorica)
    hashes = tirana.rows(schema.contents, "hash")
    await purge.purge(tirana.log, tirana.member, [misfiled()["id"]], "names a citizen", "officer")
    assert tirana.rows(schema.contents, "hash") == hashes
    assert (published.taken[0][1],) in tirana.rows(schema.statements, "hash")
    with tirana.log.read() as conn:
        events = schema.events
        row = conn.execute(select(events).where(events.c.kind == "purged")).one()
        report = look.object_report(conn, misfiled()["id"])
        assert (row.actor, json.loads(row.detail)) == ("officer", {"why": "names a citizen"})
        assert report[0].told == () or report[0].found.name == ""
    assert list(check.check(tirana.log)) == []


async def test_what_was_purged_is_not_told_to_anyone_any_more(pair: tuple[Station, Station]) -> None:
    tirana, podgorica = pair
    await tirana.publish(misfiled())
    sent = await pack(tirana, podgorica)
    await purge.purge(tirana.log, tirana.member, [misfiled()["id"]], "a mistake", "officer")
    again = await pack(tirana, podgorica)
    assert [one.kind for one in sent.frames] == [FrameKind.STATEMENT]
    assert [one.kind for one in again.frames] == [FrameKind.VOID]
    assert await tirana.withheld(podgorica) == {misfiled()["id"]: "purged"}
    await deliver(tirana, podgorica)
    assert podgorica.holds(misfiled()["id"]) == [False]


async def test_a_sensor_stops_looking_for_what_was_purged(pair: tuple[Station, Station]) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled())
    first = await detect.feed(tirana.log, SENSOR, 0, utc_now())
    assert [len(one.observables) for one in first.items] == [2]
    await purge.purge(tirana.log, tirana.member, [misfiled()["id"]], "a mistake", "officer")
    then = await detect.feed(tirana.log, SENSOR, first.head, utc_now())
    assert [(one.key, one.observables) for one in then.items] == [(first.items[0].key, ())]
    anew = await detect.feed(tirana.log, SENSOR, 0, utc_now())
    assert [one.observables for one in anew.items] == [()]


async def test_what_was_purged_does_not_come_back(pair: tuple[Station, Station]) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), misfiled(2))
    await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    raw = bundle.write([encode(misfiled(1)), encode(misfiled(3))])
    taken = await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
    assert (taken.new, [one.clause for one in taken.rejected]) == (1, ["lezha purge"])
    rederive.everything(tirana.log)
    assert found(tirana, values=(("domain", f"{SECRET}.example"),), by_value=True) == [
        misfiled(3)["id"],
        misfiled(2)["id"],
    ]
    with tirana.log.read() as conn, pytest.raises(Exception, match="purged here"):
        contents.raw(conn, _hash(tirana, misfiled(1)["id"]))


async def test_a_frame_that_was_put_aside_loses_what_is_purged(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, podgorica = pair
    raw = encode(misfiled(1))
    refused = said(TIRANA, raw, signer=PODGORICA)
    receipt = await take(tirana, podgorica, frames(*stream(refused)))
    assert [code for _, code in receipt.refused] == ["wrong_member"]
    await tirana.publish(misfiled(1))
    await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert tirana.rows(schema.quarantine, "frame") == [(b"",)]
    assert traces(tirana, url) == []


async def test_what_was_put_aside_and_never_taken_is_purged_by_its_name(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, podgorica = pair
    refused = said(TIRANA, encode(misfiled(1)), signer=PODGORICA)
    await take(tirana, podgorica, frames(*stream(refused, said(PODGORICA, written(PODGORICA, 2)))))
    written_down(tirana, url)
    assert traces(tirana, url), "it must be there before, or this test proves nothing"
    done = await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "names a citizen", "officer")
    assert (done.versions, done.ids, done.put_aside) == (0, (misfiled(1)["id"],), 1)
    assert tirana.rows(schema.quarantine, "code", "detail", "frame") == [("wrong_member", "purged", b"")]
    assert traces(tirana, url) == []
    with tirana.log.read() as conn:
        events = schema.events
        row = conn.execute(select(events).where(events.c.kind == "purged aside")).one()
        assert (row.subject, row.actor) == (misfiled(1)["id"], "officer")
    assert list(check.check(tirana.log)) == []


@pytest.mark.parametrize("where", ["1", "id > 10", "id = (SELECT max(id) FROM texts_data)"])
async def test_a_damaged_index_of_words_stops_no_purge(
    pair: tuple[Station, Station], url: str, where: str
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), told(TIRANA, 2))
    if url.startswith("postgresql"):
        tirana.log.write_now(lambda tx: tx.conn.exec_driver_sql("DELETE FROM texts"))
    else:
        damage = f"UPDATE texts_data SET block = x'00' WHERE {where}"
        tirana.log.write_now(lambda tx: tx.conn.exec_driver_sql(damage))
    done = await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert done.versions == 1
    assert traces(tirana, url) == []
    rederive.everything(tirana.log)
    assert found(tirana, text="exercise") == [told(TIRANA, 2)["id"]]
    assert list(check.check(tirana.log)) == []


async def test_a_purge_lets_others_write_while_it_waits_for_a_reader(
    pair: tuple[Station, Station], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1))
    monkeypatch.setattr("lezha.store.engine._SCRUB_TRIES", 100_000)
    with tirana.log.read() as conn:
        conn.execute(select(schema.contents)).all()
        purging = asyncio.create_task(
            purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
        )
        for number in range(2, 8):
            await tirana.publish(told(TIRANA, number))
            assert found(tirana, type="indicator")
            await asyncio.sleep(0.1)
        assert not purging.done(), "it waits for the reader"
    assert (await purging).versions == 1
    assert traces(tirana, url) == []


async def test_no_copies_of_what_is_purged_stay_in_the_gaps_of_pages(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, _ = pair
    chance = random.Random(3)  # an order in which pages are split and joined all over
    marks = {number: f"zq{chance.getrandbits(64):016x}qz" for number in range(3000)}
    order = chance.sample(list(marks), len(marks))
    for start in range(0, len(order), 500):
        await tirana.publish(
            *(_marked(number, marks[number], chance) for number in order[start : start + 500])
        )
    gone = chance.sample(list(marks), 1500)
    ids = [_marked(number, marks[number], chance)["id"] for number in gone]
    assert (await purge.purge(tirana.log, tirana.member, ids, "a mistake", "officer")).versions == len(gone)
    left = b"\n".join(path.read_bytes() for path in files(tirana, url))
    there = set(re.findall(rb"zq[0-9a-f]{16}qz", left)) | set(re.findall(rb"zq[0-9a-f]{16}qz", left[::-1]))
    assert there.isdisjoint({marks[number].encode() for number in gone})
    assert there >= {mark.encode() for number, mark in marks.items() if number not in set(gone)}
    assert list(check.check(tirana.log)) == []


def _marked(number: int, mark: str, chance: random.Random) -> dict[str, Any]:
    pattern = f"[domain-name:value = '{mark}.example']"
    return told(TIRANA, number, name=mark, labels=[mark], pattern=pattern, x_pad="p" * chance.randrange(300))


async def test_bytes_that_were_damaged_are_purged_too(pair: tuple[Station, Station]) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), told(TIRANA, 2))
    seq = (
        select(schema.contents.c.seq).where(schema.contents.c.stix_id == misfiled(1)["id"]).scalar_subquery()
    )
    damage = update(schema.bodies).where(schema.bodies.c.content == seq).values(bytes=b'{"type":"indica\x00')
    tirana.log.write_now(lambda tx: tx.conn.execute(damage))
    done = await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert done.versions == 1
    assert rederive.is_due(tirana.log)
    rederive.everything(tirana.log)
    assert found(tirana, text="exercise") == [told(TIRANA, 2)["id"]]


async def test_a_peer_s_identity_is_kept_as_long_as_it_is_a_peer(pair: tuple[Station, Station]) -> None:
    tirana, podgorica = pair
    with pytest.raises(FlowError, match="podgorica is a peer"):
        await purge.purge(tirana.log, tirana.member, [podgorica.member], "a mistake", "officer")


async def test_versions_of_many_megabytes_are_purged_some_at_a_time(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, _ = pair
    days = [f"2022-07-{day}T09:30:00.123Z" for day in range(16, 29)]
    for day in days:
        await tirana.publish(misfiled(1, modified=day, description=f"{SECRET} " * 40_000))
    done = await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert done.versions == len(days)
    assert traces(tirana, url) == []


async def test_a_purge_that_was_interrupted_is_cleaned_up_after(
    pair: tuple[Station, Station], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), *(told(TIRANA, number) for number in range(2, 20)))

    def busy(_log: Log) -> None:
        raise StoreError("somebody is reading")

    monkeypatch.setattr(Log, "scrub", busy)
    with pytest.raises(StoreError, match="reading"):
        await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert tirana.bytes_of(misfiled(1)["id"]) == []
    monkeypatch.undo()
    assert await purge.clean_if_due(tirana.log)
    assert traces(tirana, url) == []
    assert not await purge.clean_if_due(tirana.log)
    again = await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    assert (again.versions, again.ids) == (0, (misfiled(1)["id"],))


async def test_what_was_purged_is_not_published_again(pair: tuple[Station, Station]) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1))
    await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    done = await tirana.publish(misfiled(1), misfiled(2))
    assert [one.clause for one in done.rejected] == ["lezha purge"]
    assert [stix_id for stix_id, _ in done.taken] == [misfiled(2)["id"]]


async def test_a_companion_that_is_purged_stops_no_link_and_no_sensor(
    pair: tuple[Station, Station], station: Callable[..., Station]
) -> None:
    tirana, podgorica = pair
    vienna = station(VIENNA)
    await tirana.links(vienna)
    vendor = {"name": SECRET, "id": "identity--00000000-0000-4000-8000-00000000c15a", "type": "identity"}
    times = {
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T08:00:00.000Z",
        "spec_version": "2.1",
    }
    onward = Terms(Tlp.CLEAR, Audience(everyone=True), onward=True, future_members=True)
    beside = said(PODGORICA, written(PODGORICA, 1), encode(vendor | times), terms=onward)
    receipt = await take(
        tirana, podgorica, frames(*stream(beside, said(PODGORICA, written(PODGORICA, 2), terms=onward)))
    )
    assert receipt.refused == ()
    assert [one.kind for one in (await pack(tirana, vienna)).frames] == [FrameKind.STATEMENT] * 2
    await purge.purge(tirana.log, tirana.member, [vendor["id"]], "a mistake", "officer")
    assert [one.kind for one in (await pack(tirana, vienna)).frames] == [FrameKind.VOID, FrameKind.STATEMENT]
    feed = await detect.feed(tirana.log, SENSOR, 0, utc_now())
    assert [len(one.observables) for one in feed.items] == [1, 1], "own systems look for both"
    await tirana.links(pristina := station(PRISTINA))
    assert await tirana.withheld(pristina) == {told(PODGORICA, 1)["id"]: "incomplete"}


@pytest.mark.parametrize("why", ["", "   ", "x" * 1001])
async def test_without_a_reason_nothing_is_purged(pair: tuple[Station, Station], why: str) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled())
    with pytest.raises(FlowError, match="Say why"):
        await purge.purge(tirana.log, tirana.member, [misfiled()["id"]], why, "officer")
    assert tirana.bytes_of(misfiled()["id"]) == [encode(misfiled())]


async def test_one_s_own_identity_and_what_is_not_held_can_t_be_purged(pair: tuple[Station, Station]) -> None:
    tirana, _ = pair
    for ids, words in (([tirana.member], "own identity"), ([misfiled()["id"]], "Nothing of")):
        with pytest.raises(FlowError, match=words):
            await purge.purge(tirana.log, tirana.member, ids, "why", "officer")


async def test_retention_purges_what_is_old_enough_of_its_type_and_nothing_else(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1), misfiled(2))
    await tirana.publish(
        {
            "type": "domain-name",
            "id": "domain-name--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "value": "stays.example",
        }
    )
    young, old = (
        Rule("indicator", 30, moment) for moment in (later(utc_now(), days=-30), later(utc_now(), days=1))
    )
    assert purge.due(tirana.log, [young]) == {"indicator": 0}
    assert await purge.retire(tirana.log, [young]) == {}
    assert purge.due(tirana.log, [old]) == {"indicator": 2}
    assert await purge.retire(tirana.log, [old], actor="officer") == {"indicator": 2}
    assert {actor for kind, actor in tirana.rows(schema.events, "kind", "actor") if kind == "purged"} == {
        "officer"
    }
    assert await purge.retire(tirana.log, [old]) == {}
    assert traces(tirana, url) == []
    assert found(tirana, text="stays") == ["domain-name--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]
    assert list(check.check(tirana.log)) == []


@pytest.mark.parametrize("kind", ["identity", "marking-definition", "extension-definition"])
async def test_retention_never_takes_what_others_need(pair: tuple[Station, Station], kind: str) -> None:
    with pytest.raises(FlowError, match="can't name"):
        await purge.retire(pair[0].log, [Rule(kind, 1, utc_now())])


def _hash(here: Station, stix_id: str) -> str:
    with here.log.read() as conn:
        return search.versions(conn, stix_id)[0].hash


async def test_while_somebody_still_sees_what_is_purged_the_purge_does_not_claim_that_it_is_gone(
    pair: tuple[Station, Station], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, _ = pair
    await tirana.publish(misfiled(1))
    monkeypatch.setattr("lezha.store.engine._SCRUB_TRIES", 1)
    with tirana.log.read() as conn:
        conn.execute(select(schema.meta)).all()
        with pytest.raises(StoreError, match="reading the database"):
            await purge.purge(tirana.log, tirana.member, [misfiled(1)["id"]], "a mistake", "officer")
    tirana.log.scrub()
    assert traces(tirana, url) == []


SECOND, THIRD = "2022-07-16T09:30:00.123Z", "2022-07-17T09:30:00.123Z"


@pytest.mark.parametrize(
    ("taken", "kept", "state"),
    [
        ({"modified": SECOND, "revoked": True}, {}, "superseded"),
        ({"modified": SECOND}, {}, "superseded"),
        ({"revoked": True}, {"modified": SECOND}, "after its revocation"),
        ({}, {"modified": SECOND}, "current"),
    ],
)
@pytest.mark.parametrize("imported", [True, False])
async def test_what_is_purged_gives_no_other_version_its_place(
    pair: tuple[Station, Station],
    taken: dict[str, Any],
    kept: dict[str, Any],
    state: str,
    imported: bool,
) -> None:
    tirana, _ = pair

    async def arrives(changes: dict[str, Any]) -> None:
        if imported:
            raw = bundle.write([encode(misfiled(**changes))])
            await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
        else:
            await tirana.publish(misfiled(**changes))

    await arrives(taken)
    between = utc_now()
    await arrives(kept)
    before = await detect.feed(tirana.log, SENSOR, 0, utc_now())
    assert await purge.retire(tirana.log, [Rule("indicator", 1, between)]) == {"indicator": 1}
    running = {one.key: one.observables for one in before.items}
    running |= {
        one.key: one.observables
        for one in (await detect.feed(tirana.log, SENSOR, before.head, utc_now())).items
    }
    anew = {one.key: one.observables for one in (await detect.feed(tirana.log, SENSOR, 0, utc_now())).items}
    assert running == anew
    assert any(anew.values()) == (state == "current")
    with tirana.log.read() as conn:
        listed = look.listed(conn, search.find(conn, Query(limit=10)))
    assert {one.barred or one.state.value for one in listed if one.type == "indicator"} == {"purged", state}
