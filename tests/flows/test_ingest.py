"""What is taken without a statement is for own systems alone, and whose it is counts as it does in publishing."""

import json
import random
from collections.abc import Callable

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, batch, said, stream, told, written
from tests.flows.alliance import take as carry
from tests.stix.examples import sco

from lezha.flows import ingest, share
from lezha.flows.errors import NothingTaken
from lezha.flows.ingest import Taken
from lezha.stix import bundle, encode, objects
from lezha.store import contents, schema, search
from lezha.store.log import Log
from lezha.store.search import Query

STRANGER = "identity--00000000-0000-4000-8000-00000000c15a"


async def take(here: Station, *parts: bytes) -> Taken:
    return await ingest.take(here.log, here.members, here.member, bundle.write(parts), "test")


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    here = station(TIRANA)
    await here.links(station(PODGORICA))
    return here


async def test_objects_are_kept_byte_for_byte_and_nothing_is_signed(tirana: Station) -> None:
    raw = json.dumps(told(TIRANA, 1), indent=1).encode()
    assert await take(tirana, raw) == Taken(1, 0, 0, ())
    assert tirana.rows(schema.bodies, "bytes") == [(raw,)]
    assert tirana.rows(schema.statements, "hash") == []


async def test_nobody_is_given_what_was_taken(tirana: Station) -> None:
    await take(tirana, encode(told(TIRANA, 1)))
    recipient = tirana.peer(Station(PODGORICA, tirana.log)).recipient()
    assert (await share.decide(tirana.log, recipient)).number == 0


async def test_what_is_there_already_is_unchanged(tirana: Station) -> None:
    first, second = encode(told(TIRANA, 1)), encode(told(TIRANA, 2))
    await take(tirana, first)
    events = len(tirana.rows(schema.events, "seq"))
    assert await take(tirana, first, second, second) == Taken(1, 2, 0, ())
    assert len(tirana.rows(schema.events, "seq")) == events + 1


async def test_a_bad_object_spoils_nothing(tirana: Station) -> None:
    bad = encode(told(TIRANA, 2)).replace(b"85", b"NaN")
    taken = await take(tirana, encode(told(TIRANA, 1)), bad, encode(told(TIRANA, 3)))
    assert (taken.new, taken.refused) == (2, 1)
    assert [(one.id, one.clause) for one in taken.rejected] == [(told(TIRANA, 2)["id"], "RFC 8259 §6")]


async def test_what_another_member_wrote_is_not_taken_and_a_stranger_s_is(tirana: Station) -> None:
    taken = await take(
        tirana,
        encode(told(PODGORICA, 1)),
        PODGORICA.identity("Not Podgorica").encode(),
        encode(told(TIRANA, 3, created_by_ref=STRANGER)),
    )
    assert (taken.new, taken.refused) == (1, 2)
    assert ["podgorica" in one.reason for one in taken.rejected] == [True, True]


async def test_what_another_member_has_sent_is_unchanged_when_it_comes_again(tirana: Station) -> None:
    podgorica = Station(PODGORICA, tirana.log)
    raw = encode(told(PODGORICA, 1))
    await deliver_from(podgorica, tirana, raw)
    assert await take(tirana, raw) == Taken(0, 1, 0, ())


async def deliver_from(sender: Station, receiver: Station, raw: bytes) -> None:
    sent = batch(*stream(said(PODGORICA, raw, PODGORICA.identity("podgorica").encode())))
    assert (await carry(receiver, sender, sent)).refused == ()


async def test_other_bytes_of_an_own_version_are_not_taken(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    taken = await take(tirana, encode(told(TIRANA, 1, description="changed")))
    assert [one.clause for one in taken.rejected] == ["STIX 2.1 §3.6.1"]


async def test_of_many_rejected_the_first_thousand_are_named_and_all_counted(tirana: Station) -> None:
    taken = await take(tirana, *[b"{}"] * 1001)
    assert (taken.new, taken.refused, len(taken.rejected)) == (0, 1001, 1000)


async def test_what_is_no_bundle_is_refused_whole(tirana: Station) -> None:
    with pytest.raises(NothingTaken):
        await ingest.take(tirana.log, tirana.members, tirana.member, b"[", "test")


LONG = "".join(
    random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4000)
)  # can't be compressed


@pytest.mark.parametrize(
    "raw",
    [
        sco("x-custom", created_by_ref=f"identity--{LONG}", name=LONG, labels=["a\0b", LONG]),
        written(TIRANA, 1, labels=["a\0b", LONG, "\U0001f441" * 4000], name=LONG, description=LONG * 20),
        sco("url", value=f"http://evil.example/{LONG}"),
        sco("url", value=f"http://evil.example/{LONG[:2580]}"),
    ],
    ids=range(4),
)
def test_either_engine_keeps_whatever_is_valid_however_long_its_parts_are(log: Log, raw: bytes) -> None:
    kept = ingest.content(objects.read(raw))
    log.write_now(lambda tx: contents.add(tx, [kept], "test"))
    with log.read() as conn:
        assert contents.raw(conn, kept.hash) == raw
        for label in kept.labels:
            assert [one.hash for one in search.find(conn, Query(label=label))] == [kept.hash]
