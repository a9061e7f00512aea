"""What can't be taken is put aside, can be purged by whatever it names, and then does not come back."""

import hashlib
import threading
from collections.abc import Collection
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, said, stream, take, told, written
from tests.flows.alliance import batch as frames
from tests.flows.test_purge import SECRET, misfiled, pair, traces, written_down

from lezha.federation.frame import Batch, Parcel
from lezha.flows import check, purge, vet
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.stix import encode
from lezha.store import inbound, schema

__all__ = ["pair"]  # fixtures: Tirana on both engines, and Podgorica

NAME = misfiled()["id"]
ASIDE = "purged aside"


def carrying(raw: bytes, of: str = NAME) -> Parcel:
    """What Podgorica says of an object, with these bytes."""
    digest = hashlib.sha256(raw).hexdigest()
    return replace(said(PODGORICA, encode(misfiled()), content=digest, object_id=of), contents=(raw,))


RAW = encode(misfiled())
OTHER = told(TIRANA, 2)["id"]
HIDDEN: dict[str, tuple[str, Parcel]] = {
    "the id twice, the last one none": ("invalid_object", carrying(RAW[:-1] + b',"id":"x"}', OTHER)),
    "the id twice, the first one another": ("invalid_object", carrying(b'{"id":"x",' + RAW[1:], OTHER)),
    "the id twice, escaped": ("invalid_object", carrying(RAW[:-1] + b',"\\u0069d":"x"}', OTHER)),
    "not to its end": ("invalid_object", carrying(RAW[:-1], OTHER)),
    "no text": ("invalid_object", carrying(RAW + b"\xff", OTHER)),
    "named by the statement alone": ("invalid_object", carrying(SECRET.encode() * 3)),
    "another than the statement names": ("content_mismatch", carrying(RAW, OTHER)),
}


@pytest.mark.parametrize("what", HIDDEN)
async def test_a_frame_is_purged_by_any_name_that_it_gives_itself(
    pair: tuple[Station, Station], url: str, what: str
) -> None:
    tirana, podgorica = pair
    code, parcel = HIDDEN[what]
    receipt = await take(tirana, podgorica, frames(*stream(parcel)))
    assert receipt.refused == ((1, code),)
    written_down(tirana, url)
    assert traces(tirana, url), "it must be there before, or this test proves nothing"
    done = await purge.purge(tirana.log, tirana.member, [NAME], "names a citizen", "officer")
    assert (done.ids, done.put_aside) == ((NAME,), 1)
    assert traces(tirana, url) == []


def resent(incarnation: str, *parcels: Parcel) -> Batch:
    """The same once more, after the sender was restored."""
    return replace(frames(*stream(*parcels)), incarnation=incarnation)


def kept(here: Station) -> list[tuple[str, str, bool]]:
    """Of what was put aside: code, words, and whether the bytes are there."""
    rows = here.rows(schema.quarantine, "incarnation", "number", "code", "detail", "frame")
    return [(code, detail, bool(raw)) for _, _, code, detail, raw in rows]


@pytest.mark.parametrize("what", HIDDEN)
async def test_a_frame_that_was_purged_does_not_come_back_when_it_is_sent_again(
    pair: tuple[Station, Station], url: str, what: str
) -> None:
    tirana, podgorica = pair
    code, parcel = HIDDEN[what]
    await take(tirana, podgorica, frames(*stream(parcel)))
    await purge.purge(tirana.log, tirana.member, [NAME], "names a citizen", "officer")
    receipt = await take(tirana, podgorica, resent("f" * 16, parcel))
    assert receipt.refused == ((1, code),)
    assert kept(tirana) == [(code, "purged", False)] * 2
    assert NAME not in [name for (name,) in tirana.rows(schema.quarantined_ids, "stix_id")]
    assert traces(tirana, url) == []
    assert list(check.check(tirana.log)) == []


async def test_bytes_that_were_purged_are_not_put_aside_when_a_peer_sends_them_back(
    pair: tuple[Station, Station], url: str
) -> None:
    tirana, podgorica = pair
    await tirana.publish(misfiled(), told(TIRANA, 2))
    await purge.purge(tirana.log, tirana.member, [NAME], "names a citizen", "officer")
    back = said(PODGORICA, RAW), said(PODGORICA, encode(misfiled(description=SECRET * 2)))
    receipt = await take(tirana, podgorica, frames(*stream(*back, said(PODGORICA, encode(told(TIRANA, 2))))))
    assert [code for _, code in receipt.refused] == ["authority"] * 3
    assert [one[1:] for one in kept(tirana)][:2] == [("purged", False)] * 2
    assert kept(tirana)[2][2], "what names nothing that was purged is kept"
    assert tirana.rows(schema.quarantined_ids, "stix_id", "number") == [(OTHER, 3)]
    written_down(tirana, url)
    assert traces(tirana, url) == []


async def test_what_retention_took_is_not_put_aside_again(pair: tuple[Station, Station], url: str) -> None:
    tirana, podgorica = pair
    await tirana.publish(misfiled())
    await take(tirana, podgorica, frames(*stream(said(PODGORICA, RAW))))
    await purge.retire(tirana.log, [Rule("indicator", 1, later(utc_now(), days=1))])
    assert NAME in [
        subject for kind, subject in tirana.rows(schema.events, "kind", "subject") if kind == ASIDE
    ]
    await take(tirana, podgorica, resent("f" * 16, said(PODGORICA, RAW)))
    assert kept(tirana) == [("authority", "purged", False)] * 2
    assert traces(tirana, url) == []


async def test_of_a_frame_that_is_not_kept_no_words_stay_that_quote_it(
    pair: tuple[Station, Station], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica = pair
    quoted = encode(misfiled(indicator_types=SECRET))
    await take(tirana, podgorica, frames(*stream(said(PODGORICA, quoted))))
    assert SECRET in kept(tirana)[0][1], "it must be quoted, or this test proves nothing"
    await purge.purge(tirana.log, tirana.member, [NAME], "names a citizen", "officer")
    monkeypatch.setattr(inbound, "_BYTES_KEPT", 0)
    await take(
        tirana, podgorica, resent("f" * 16, said(PODGORICA, encode(told(TIRANA, 2, indicator_types=SECRET))))
    )
    assert kept(tirana)[1] == ("invalid_object", "not kept", False)
    written_down(tirana, url)
    assert traces(tirana, url) == []


async def test_a_peer_that_names_very_much_holds_up_neither_the_writer_nor_the_event_loop(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica = pair
    names = b",".join(
        b'"id":"indicator--%08d-0000-4000-8000-000000000000"' % number for number in range(2000)
    )
    looked_up: list[int] = []
    checked_in: list[threading.Thread] = []

    def forgotten(_conn: Connection, ids: Collection[str]) -> set[str]:
        looked_up.append(len(ids))
        return set()

    def check_all(*given: Any) -> Any:
        checked_in.append(threading.current_thread())
        return original(*given)

    original = vet.check_all
    monkeypatch.setattr(inbound, "forgotten", forgotten)
    monkeypatch.setattr(vet, "check_all", check_all)
    receipt = await take(tirana, podgorica, frames(*stream(carrying(names))))
    assert receipt.refused == ((1, "invalid_object"),)
    assert looked_up == [0]
    assert checked_in != [threading.current_thread()]


async def test_a_receipt_names_no_more_than_the_batch_has_frames(pair: tuple[Station, Station]) -> None:
    tirana, podgorica = pair
    sent = stream(*(carrying(RAW, OTHER) for _ in range(5)))
    assert len((await take(tirana, podgorica, frames(*sent))).refused) == 5
    assert (await take(tirana, podgorica, frames(*sent[:2]))).refused == (
        (1, "content_mismatch"),
        (2, "content_mismatch"),
    )


@pytest.mark.parametrize("name", ["identity--\0", "x" * 300_000])
async def test_whatever_a_frame_that_is_refused_says_the_rest_goes_on(
    pair: tuple[Station, Station], name: str
) -> None:
    tirana, podgorica = pair
    odd = said(PODGORICA, written(PODGORICA, 1), member=name)
    receipt = await take(tirana, podgorica, frames(*stream(odd, said(PODGORICA, written(PODGORICA, 2)))))
    assert (receipt.head, receipt.refused) == (2, ((1, "wrong_member"),))
    [(_, words, _)] = kept(tirana)
    assert words.startswith("A statement in the name of")
    assert len(words) <= 1000
