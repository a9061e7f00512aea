"""What a peer sends: taken whole or put aside whole, each once, whatever it is and however often it comes."""

import asyncio
import hashlib
import json
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import func, select
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA, altered, charter
from tests.federation.keys import roster as a_roster
from tests.flows.alliance import (
    INCARNATION,
    VIENNA,
    Station,
    batch,
    digest,
    free,
    revocation,
    said,
    stream,
    take,
    taken_back,
    told,
    written,
)
from tests.stix.examples import sco

from lezha.federation import checkpoint, frame, roster, statement
from lezha.federation.checkpoint import Commitment
from lezha.federation.envelope import PayloadType, seal
from lezha.federation.frame import FrameKind, Parcel, read_receipt
from lezha.federation.pace import PATTERN_CHARS, Pace
from lezha.federation.pieces import Pieces
from lezha.federation.turn import Turn
from lezha.flows import convene, introduce, receive, vet
from lezha.flows.errors import NothingTaken
from lezha.flows.receive import Arrival
from lezha.node.clock import later, utc_now
from lezha.node.intake import Intake
from lezha.stix import encode
from lezha.stix.lines import current
from lezha.store import communities, contents, inbound, schema, statements, views
from lezha.store.log import Committed, Log
from lezha.store.peers import PeerState

GOOD_HASHES = [hashlib.sha256(written(TIRANA, number)).hexdigest() for number in range(1, 6)]
GOOD = [said(TIRANA, written(TIRANA, number)) for number in range(1, 6)]


@pytest.fixture
async def pair(log: Log, station: Callable[..., Station]) -> tuple[Station, Station]:
    """Podgorica, on each of the engines, and Tirana, which sends; Podgorica knows Vienna too."""
    podgorica, tirana = Station(PODGORICA, log), station(TIRANA)
    await podgorica.links(tirana, station(VIENNA))
    return podgorica, tirana


def live(here: Station) -> dict[str, list[str]]:
    """Object id -> origins of its statements."""
    with here.log.read() as conn:
        table, held = schema.statements, schema.contents
        rows = conn.execute(
            select(held.c.stix_id, table.c.origin)
            .join(held, held.c.seq == table.c.content)
            .order_by(table.c.seq)
        )
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row.stix_id, []).append(row.origin)
    return found


def ids(*numbers: int) -> dict[str, list[str]]:
    return {told(TIRANA, number)["id"]: [TIRANA.member] for number in numbers}


# --- what is in order -----------------------------------------------------------------------------------------------


async def test_what_is_in_order_is_live_when_the_receipt_is_there(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    frames = stream(*GOOD)
    receipt = await take(here, sender, batch(*frames))
    assert (receipt.head, receipt.chain, receipt.refused) == (5, frames[-1].chain().hex(), ())
    assert live(here) == ids(1, 2, 3, 4, 5)


async def test_the_bytes_of_an_object_are_kept_as_they_came(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    raw = json.dumps(told(TIRANA, 9, x_unknown={"a": [1.10, "ë"]}), indent=3, ensure_ascii=True).encode()
    parcel = said(TIRANA, raw)
    await take(here, sender, batch(*stream(parcel)))
    with here.log.read() as conn:
        [key] = statements.about(conn, told(TIRANA, 9)["id"])
        assert statements.parcels(conn, [key]) == {key: (parcel.envelope, [raw])}


async def test_who_sent_it_is_kept_so_that_it_never_goes_back(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await take(here, sender, batch(*stream(said(VIENNA, written(VIENNA, 1)))))
    with here.log.read() as conn:
        [one] = statements.facts(conn, statements.about(conn, told(VIENNA, 1)["id"]))
    assert (one.origin, one.came_from, one.author_here) == (VIENNA.member, frozenset({TIRANA.member}), False)


async def test_companions_are_kept_without_a_statement_of_their_own(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    identity = sender.document.identity.encode()
    await take(here, sender, batch(*stream(said(TIRANA, written(TIRANA, 1), identity))))
    assert here.holds(TIRANA.member) == [True]
    assert TIRANA.member not in live(here)


async def test_a_void_frame_moves_the_head_and_leaves_nothing(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    first, second, third = stream(*GOOD[:3])
    void = replace(second, kind=FrameKind.VOID, envelope=second.digest(), contents=())
    receipt = await take(here, sender, batch(first, void, third))
    assert (receipt.head, receipt.chain, receipt.refused) == (3, third.chain().hex(), ())
    assert live(here) == ids(1, 3)


async def test_a_roster_is_kept_but_admits_nobody_by_itself(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    raw = roster.draft(a_roster(charter(TIRANA)), TIRANA.signer)
    receipt = await take(here, sender, batch(*stream(Parcel(FrameKind.ROSTER, raw))))
    assert receipt.refused == ()
    with here.log.read() as conn:
        assert communities.current(conn) == {}
        assert [one.number for one in communities.offered(conn, 100)] == [1]


async def test_the_same_statement_from_two_members_is_live_once(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    vienna = Station(VIENNA, sender.log)
    await take(here, sender, batch(*stream(GOOD[0])))
    receipt = await take(here, vienna, batch(*stream(GOOD[0])))
    assert receipt.refused == ()
    assert live(here) == ids(1)
    with here.log.read() as conn:
        [one] = statements.facts(conn, statements.about(conn, told(TIRANA, 1)["id"]))
    assert one.came_from == {TIRANA.member, VIENNA.member}


async def test_variants_by_creators_without_a_key_here_live_side_by_side(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    cisa = "identity--00000000-0000-4000-8000-00000000c15a"
    one, other = (written(TIRANA, 1, created_by_ref=cisa, description=words) for words in ("one", "other"))
    receipt = await take(here, sender, batch(*stream(said(TIRANA, one), said(VIENNA, other))))
    assert receipt.refused == ()
    assert live(here) == {told(TIRANA, 1)["id"]: [TIRANA.member, VIENNA.member]}


LONG = "".join(
    random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4000)
)  # can't be compressed


@pytest.mark.parametrize(
    "raw",
    [
        written(TIRANA, 1, name="a\x00b"),
        sco("url", value="http://evil.example/a\x00b"),
        sco("domain-name", value="evil\x00.example"),
        sco("x-custom", created_by_ref="a\x00b", valid_until="a\x00b", name="\x00"),
        sco("x-custom", created_by_ref=f"identity--{LONG}", name=LONG, labels=["a\x00b", LONG]),
        written(TIRANA, 1, labels=["a\x00b", LONG, "👁" * 4000], name=LONG),
        sco("url", value=f"http://evil.example/{LONG}"),
        sco("url", value=f"http://evil.example/{LONG[:2570]}"),
    ],
    ids=range(8),
)
async def test_text_that_a_database_may_not_take_stops_no_stream(
    pair: tuple[Station, Station], raw: bytes
) -> None:
    here, sender = pair
    receipt = await take(here, sender, batch(*stream(said(TIRANA, raw), GOOD[1])))
    assert receipt.head == 2
    assert live(here).items() >= ids(2).items()


# --- what is not ----------------------------------------------------------------------------------------------------


def tampered(parcel: Parcel, **changes: object) -> Parcel:
    return replace(parcel, envelope=altered(parcel.envelope, **changes))


def with_payload(**changes: object) -> Parcel:
    """Tirana's statement with a payload that Statement would not write."""
    import base64

    payload = json.loads(base64.b64decode(json.loads(GOOD[1].envelope)["payload"])) | changes
    raw = json.dumps(payload).encode()
    return replace(GOOD[1], envelope=seal(raw, PayloadType.STATEMENT, TIRANA.signer))


BAD: dict[str, tuple[str, Parcel]] = {
    "altered object bytes": (
        "content_mismatch",
        replace(GOOD[1], contents=(written(TIRANA, 2, description="altered"),)),
    ),
    "another object's bytes": ("content_mismatch", replace(GOOD[1], contents=GOOD[2].contents)),
    "no bytes": ("content_mismatch", replace(GOOD[1], contents=())),
    "a companion that was not signed": (
        "content_mismatch",
        replace(GOOD[1], contents=(*GOOD[1].contents, TIRANA.identity().encode())),
    ),
    "white space around the object": ("content_mismatch", said(TIRANA, b" " + written(TIRANA, 2))),
    "another id in the statement": (
        "content_mismatch",
        said(TIRANA, written(TIRANA, 2), object_id="indicator--x"),
    ),
    "another version in the statement": (
        "content_mismatch",
        said(TIRANA, written(TIRANA, 2), object_version=AT),
    ),
    "an altered statement": (
        "bad_signature",
        tampered(GOOD[1], payload=json.loads(GOOD[2].envelope)["payload"]),
    ),
    "a stranger's statement": ("unknown_key", said(MALLORY, written(MALLORY, 2))),
    "a stranger in a member's name": ("unknown_key", said(TIRANA, written(TIRANA, 2), signer=MALLORY)),
    "a member in another's name": ("wrong_member", said(VIENNA, written(VIENNA, 2), signer=TIRANA)),
    "a receipt": ("wrong_kind", replace(GOOD[1], envelope=seal(b"{}", PayloadType.RECEIPT, TIRANA.signer))),
    "no envelope": ("malformed_envelope", replace(GOOD[1], envelope=b"\x00\xff")),
    "an unknown field": ("malformed_statement", with_payload(embargo="2099")),
    "an id with a NUL": ("malformed_statement", with_payload(object_id="indicator--\x00")),
    "another form of time": ("malformed_statement", with_payload(issued="2022-07-15T09:00:00Z")),
    "text that is no UTF-8": (
        "malformed_statement",
        replace(GOOD[1], envelope=seal(b'{"member":"\xff"}', PayloadType.STATEMENT, TIRANA.signer)),
    ),
    "not STIX": ("invalid_object", said(TIRANA, b'{"id":"indicator--x"}')),
    "duplicate keys": (
        "invalid_object",
        said(TIRANA, written(TIRANA, 2)[:-1] + b',"name":"203.0.113.99"}', object_version=AT),
    ),
    "a clock that is ahead": (
        "clock_ahead",
        said(TIRANA, written(TIRANA, 2), issued=later(utc_now(), hours=1)),
    ),
    "a companion of another type": ("companion", said(TIRANA, written(TIRANA, 2), written(TIRANA, 7))),
    "a companion that gives itself out for a member": (
        "authority",
        said(TIRANA, written(TIRANA, 2), VIENNA.identity("Not Vienna").encode()),
    ),
    "an object that another member wrote": ("authority", said(TIRANA, written(VIENNA, 2))),
    "an identity that is another member's": (
        "authority",
        said(TIRANA, VIENNA.identity("Not Vienna").encode()),
    ),
    "a roster with contents": (
        "malformed_roster",
        Parcel(FrameKind.ROSTER, roster.draft(a_roster(charter(TIRANA)), TIRANA.signer), (b"{}",)),
    ),
    "a roster without this member": (
        "roster_not_ours",
        Parcel(
            FrameKind.ROSTER,
            roster.draft(a_roster(charter(TIRANA), members={TIRANA.member: 1}), TIRANA.signer),
        ),
    ),
    "a roster that its stewards did not sign": (
        "unknown_key",
        Parcel(FrameKind.ROSTER, roster.draft(a_roster(charter(VIENNA)), TIRANA.signer)),
    ),
    "a statement as a roster": ("wrong_kind", Parcel(FrameKind.ROSTER, GOOD[1].envelope)),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_frame_is_put_aside_with_its_code_and_those_after_it_are_taken(
    station: Callable[..., Station], what: str
) -> None:
    code, parcel = BAD[what]
    here, sender = station(PODGORICA), station(TIRANA)
    await here.links(sender, station(VIENNA))
    receipt = await take(here, sender, batch(*stream(GOOD[0], parcel, GOOD[2])))
    assert (receipt.head, receipt.refused) == (3, ((2, code),))
    assert live(here) == ids(1, 3)
    assert here.rows(schema.quarantine, "number", "code") == [(2, code)]
    assert here.rows(schema.rosters, "number") == []
    assert len(here.rows(schema.contents, "hash")) == 2  # nothing of it, companions included


async def test_refusals_are_kept_by_both_engines(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    receipt = await take(here, sender, batch(*stream(*(parcel for _, parcel in BAD.values()))))
    assert [code for _, code in receipt.refused] == [code for code, _ in BAD.values()]
    assert live(here) == {}


def counting(here: Station, *numbers: int) -> dict[str, str | None]:
    """Object id -> the content that counts of what Tirana told."""
    names = [told(TIRANA, number)["id"] for number in numbers]
    with here.log.read() as conn:
        lines = statements.lines(conn, names)
    found = {name: current(lines[name][TIRANA.member]) for name in names}
    return {name: one.hash if one else None for name, one in found.items()}


async def test_two_versions_of_one_truth_are_equivocation(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    again = said(TIRANA, written(TIRANA, 1, description="something else"))
    receipt = await take(here, sender, batch(*stream(GOOD[0], again, GOOD[1])))
    assert receipt.refused == ((2, "equivocation"),)
    assert counting(here, 1, 2) == {told(TIRANA, 1)["id"]: None, told(TIRANA, 2)["id"]: GOOD_HASHES[1]}


async def test_equivocation_is_found_over_batches_and_senders(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await take(here, sender, batch(*stream(GOOD[0])))
    again = said(TIRANA, written(TIRANA, 1, description="something else"))
    receipt = await take(here, Station(VIENNA, sender.log), batch(*stream(again)))
    assert receipt.refused == ((1, "equivocation"),)


NOTE = {
    "type": "identity",
    "spec_version": "2.1",
    "id": "identity--00000000-0000-4000-8000-0000000000aa",
    "created_by_ref": PODGORICA.member,
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "name": "Ministry",
}


async def test_a_forged_companion_stops_nobody_from_publishing_the_object_itself(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    forged = said(TIRANA, written(TIRANA, 1), encode(NOTE | {"name": "Not the ministry"}))
    assert (await take(here, sender, batch(*stream(forged)))).refused == ()
    assert [stix_id for stix_id, _ in (await here.publish(NOTE)).taken] == [NOTE["id"]]
    assert [stix_id for stix_id, _ in (await here.publish(NOTE, to=("tirana",))).taken] == [NOTE["id"]]
    with pytest.raises(NothingTaken) as refused:
        await here.publish(NOTE | {"name": "Another ministry"})
    assert [one.clause for one in refused.value.rejected] == ["STIX 2.1 §3.6.1"]


async def test_a_companion_that_a_third_member_made_is_taken(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    beside = said(TIRANA, written(TIRANA, 1), encode(NOTE | {"created_by_ref": VIENNA.member}))
    assert (await take(here, sender, batch(*stream(beside)))).refused == ()
    assert here.holds(str(NOTE["id"])) == [True]


async def test_a_second_statement_about_the_same_bytes_is_none(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    again = said(TIRANA, written(TIRANA, 1), issued="2022-07-16T09:00:00.000000Z")
    receipt = await take(here, sender, batch(*stream(GOOD[0], again)))
    assert receipt.refused == ()
    assert live(here) == {told(TIRANA, 1)["id"]: [TIRANA.member] * 2}


async def test_another_roster_of_one_number_is_put_aside(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    of = charter(TIRANA)
    one, other = (
        Parcel(FrameKind.ROSTER, roster.draft(a_roster(of, expires=expires), TIRANA.signer))
        for expires in ("2023-01-01T00:00:00.000000Z", "2024-01-01T00:00:00.000000Z")
    )
    await convene.accept(here.log, one.envelope, "test")
    receipt = await take(here, sender, batch(*stream(other, GOOD[0])))
    assert receipt.refused == ((1, "roster_conflict"),)
    assert here.rows(schema.rosters, "expires") == [("2023-01-01T00:00:00.000000Z",)]


async def test_an_analyst_finds_the_whole_frame_in_quarantine(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    parcel = said(TIRANA, written(VIENNA, 2))
    await take(here, sender, batch(*stream(parcel)))
    [(member, detail, kept)] = here.rows(schema.quarantine, "member", "detail", "frame")
    assert member == TIRANA.member
    assert VIENNA.member in detail
    assert parcel.contents[0] in kept


# --- streams --------------------------------------------------------------------------------------------------------


async def test_a_batch_that_comes_twice_is_acknowledged_twice_and_taken_once(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    frames = stream(GOOD[0], BAD["not STIX"][1], GOOD[2])
    first = await take(here, sender, batch(*frames))
    events = here.rows(schema.events, "seq")
    second = await take(here, sender, batch(*frames))
    assert replace(second, at=first.at) == first
    assert here.rows(schema.events, "seq") == events


async def test_a_gap_is_answered_with_the_head(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    frames = stream(*GOOD)
    receipt = await take(here, sender, batch(*frames[:2], *frames[3:]))
    assert (receipt.head, receipt.chain) == (2, frames[1].chain().hex())
    assert live(here) == ids(1, 2)


async def test_a_fork_is_not_taken_and_alarms(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    frames = stream(*GOOD)
    await take(here, sender, batch(*frames[:2]))
    forked = stream(*GOOD[3:], start=3, previous=bytes(31) + b"\x01")
    receipt = await take(here, sender, batch(*forked))
    assert (receipt.head, receipt.chain) == (2, frames[1].chain().hex())
    assert live(here) == ids(1, 2)
    with here.log.read() as conn:
        assert [one.subject for one in views.changes(conn, 0, ["fork"], 10)] == [TIRANA.member]


async def test_another_incarnation_is_another_stream_and_takes_nothing_twice(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    frames = stream(*GOOD)
    await take(here, sender, batch(*frames))
    receipt = await take(here, sender, replace(batch(*frames), incarnation="f" * 32))
    assert receipt.head == 5
    assert live(here) == ids(1, 2, 3, 4, 5)


async def test_a_greeting_is_answered_with_the_head_and_writes_nothing(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await take(here, sender, batch(*stream(*GOOD[:2])))
    events = here.rows(schema.events, "seq")
    assert (await take(here, sender, batch())).head == 2
    assert here.rows(schema.events, "seq") == events


async def test_a_peer_cannot_move_the_stream_of_another(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await take(here, sender, batch(*stream(*GOOD[:2])))
    await take(here, Station(VIENNA, sender.log), batch(*stream(*GOOD[:1])))
    with here.log.read() as conn:
        assert inbound.head(conn, TIRANA.member, INCARNATION).number == 2
        assert inbound.head(conn, VIENNA.member, INCARNATION).number == 1


STREAM = stream(
    Parcel(FrameKind.ROSTER, roster.draft(a_roster(charter(TIRANA)), TIRANA.signer)),
    GOOD[0],
    BAD["an object that another member wrote"][1],
    GOOD[1],
    said(TIRANA, written(TIRANA, 1, description="equivocation")),
    GOOD[1],  # the same statement under a second number
    BAD["no envelope"][1],
    GOOD[4],
)
STATE = {
    "rosters": ("community", "number", "hash"),
    "inbound": ("member", "incarnation", "head", "chain"),
    "quarantine": ("member", "number", "code", "frame"),
}


def state(here: Station) -> dict[str, object]:
    """What is held, by hash, whatever its numbers are."""
    tables = schema.metadata.tables
    held, said, came = tables["contents"], tables["statements"], tables["arrivals"]
    bodies, values = tables["bodies"], tables["observables"]
    subject = said.join(held, held.c.seq == said.c.content)
    queries = {
        "contents": select(held.c.hash, held.c.stix_id, bodies.c.bytes).join(bodies),
        "statements": select(said.c.hash, held.c.hash, said.c.origin, said.c.envelope).select_from(subject),
        "arrivals": select(said.c.hash, came.c.member).join(came),
        "observables": select(values.c.kind, values.c.value, held.c.hash).join(
            held, held.c.seq == values.c.content
        ),
    }
    with here.log.read() as conn:
        found = {name: sorted(map(tuple, conn.execute(query))) for name, query in queries.items()}
    return found | {name: here.rows(tables[name], *columns) for name, columns in STATE.items()}


async def receiving(empty: Path, senders: list[Station], slices: list[tuple[int, int]]) -> dict[str, object]:
    """A new Podgorica's state after it was sent these parts of the stream, and then whatever it still lacked."""
    path = shutil.copyfile(empty, empty.with_name(f"{uuid4().hex}.db"))
    log = Log(f"sqlite:///{path}", utc_now)
    here = Station(PODGORICA, log)
    try:
        await here.links(*senders, since=AT)
        for start, length in slices:
            await take(here, senders[0], batch(*STREAM[start : start + length]))
        head = (await take(here, senders[0], batch())).head
        await take(here, senders[0], batch(*STREAM[head:]))
        return state(here)
    finally:
        log.close()
        path.unlink()


@pytest.fixture
async def once(empty: Path, station: Callable[..., Station]) -> tuple[list[Station], dict[str, object]]:
    senders = [station(TIRANA), station(VIENNA)]
    return senders, await receiving(empty, senders, [(0, len(STREAM))])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slices=st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, len(STREAM))), max_size=6))
async def test_however_frames_are_resent_cut_or_overlap_the_state_is_the_same(
    empty: Path, once: tuple[list[Station], dict[str, object]], slices: list[tuple[int, int]]
) -> None:
    senders, expected = once
    assert await receiving(empty, senders, slices) == expected


def test_the_stream_of_that_property_has_something_of_everything(
    once: tuple[list[Station], dict[str, object]],
) -> None:
    _, expected = once
    sizes = {name: len(rows) for name, rows in expected.items() if isinstance(rows, list)}
    assert sizes == {
        "contents": 4,
        "statements": 4,
        "arrivals": 4,
        "rosters": 1,
        "inbound": 1,
        "quarantine": 3,
        "observables": 4,
    }


async def test_many_frames_at_once_are_taken_in_order(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    parcels = [
        said(TIRANA, written(TIRANA, number, name=f"n{number}", pattern="[ipv4-addr:value = '203.0.113.1']"))
        for number in range(1, 101)
    ]
    receipt = await take(here, sender, batch(*stream(*parcels)))
    assert receipt.head == 100
    with here.log.read() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.statements)) == 100
        assert len(contents.ids_held(conn, [told(TIRANA, n)["id"] for n in range(1, 101)])) == 100


def test_the_examples_of_bad_frames_would_be_good_without_what_is_bad_in_them() -> None:
    # Otherwise a frame might be refused for a reason of the test's own making.
    assert encode(told(TIRANA, 2)) == GOOD[1].contents[0]


async def test_each_signature_is_checked_once_whether_it_holds_or_not(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    podgorica, tirana = pair
    checked: list[bytes] = []
    read = statement.read

    def noted(raw: bytes, keyring: Any) -> Any:
        checked.append(raw)
        return read(raw, keyring)

    monkeypatch.setattr(statement, "read", noted)
    good, stranger = said(TIRANA, written(TIRANA, 1)), said(MALLORY, written(MALLORY, 2))
    frames = stream(good, stranger)
    receipt = await take(podgorica, tirana, batch(*frames))
    assert (receipt.head, receipt.refused) == (2, ((2, "unknown_key"),))
    assert checked == [one.envelope for one in frames]


@pytest.mark.parametrize(("size", "beside"), [(200, False), (12_000, True)])
async def test_what_may_take_long_to_check_is_checked_beside_the_event_loop(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch, size: int, beside: bool
) -> None:
    podgorica, tirana = pair
    checked_in: list[threading.Thread] = []
    check = vet.check_all

    def noted(*given: Any) -> Any:
        checked_in.append(threading.current_thread())
        return check(*given)

    monkeypatch.setattr(vet, "check_all", noted)
    raw = written(TIRANA, 1, description="x" * size)
    await take(podgorica, tirana, batch(*stream(said(TIRANA, raw))))
    assert [one is not threading.current_thread() for one in checked_in] == [beside]


# --- what changes while a batch is checked ----------------------------------------------------------------------------


async def test_of_a_peer_that_is_suspended_meanwhile_nothing_more_is_taken(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    await introduce.change(here.log, "tirana", PeerState.SUSPENDED, "test")
    receipt = await take(here, sender, batch(*stream(GOOD[0])))  # it was active when it began
    assert (receipt.head, receipt.refused) == (0, ((1, "suspended"),))
    assert live(here) == {}


REVOKED_MEANWHILE: dict[str, Parcel] = {
    "a statement": GOOD[0],
    "a tombstone": taken_back(TIRANA, digest(GOOD[0])),
    "a commitment": frame.pack_commitment(
        checkpoint.sign_commitment(Commitment(TIRANA.member, "5" * 64, AT), TIRANA.signer).raw
    ),
}


@pytest.mark.parametrize("what", REVOKED_MEANWHILE)
async def test_what_was_checked_by_a_key_that_is_revoked_meanwhile_is_left_and_refused_next_time(
    pair: tuple[Station, Station], what: str
) -> None:
    here, sender = pair
    before = here.receiver
    sent = stream(revocation(sender), REVOKED_MEANWHILE[what])
    assert (await take(here, sender, batch(sent[0]))).head == 1
    arrival = Arrival(batch(sent[1]), later(utc_now(), minutes=5), Pieces(), Turn(None), free)
    receipt = read_receipt(
        await receive.batch(here.log, before, sender.member, arrival),
        [here.party.key],
        here.member,
        sender.member,
    )
    assert (receipt.head, live(here)) == (1, {})
    receipt = await take(here, sender, batch(sent[1]))
    assert (receipt.head, receipt.refused, live(here)) == (2, ((2, "unknown_key"),), {})


async def test_a_greeting_is_answered_with_what_was_put_aside_last(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    bad = replace(GOOD[1], contents=(b"{}",))
    await take(here, sender, batch(*stream(GOOD[0], bad, GOOD[2])))
    receipt = await take(here, sender, batch())
    assert (receipt.head, receipt.refused) == (3, ((2, "content_mismatch"),))
    assert receipt.refused_of(batch()) == ((2, "content_mismatch"),)
    assert replace(receipt, refused=((4, "x"), (0, "x"))).refused_of(batch()) == ()


# --- a batch is taken in parts --------------------------------------------------------------------------------------


async def test_what_others_write_goes_between_two_parts_of_a_batch(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "_PER_COMMIT", 2)
    here, sender = pair
    loop = asyncio.get_running_loop()
    between: list[asyncio.Future[Any]] = []
    counted = select(func.count()).select_from(schema.statements)

    def count() -> None:
        between.append(here.log.submit(lambda tx: tx.conn.scalar(counted)))

    def heard(committed: Committed) -> None:
        if "statement" in committed.kinds:
            loop.call_soon_threadsafe(count)

    here.log.on_commit(heard)
    parcels = [said(TIRANA, written(TIRANA, number)) for number in range(1, 6)]
    assert (await take(here, sender, batch(*stream(*parcels)))).head == 5
    assert await asyncio.gather(*between) == [2, 4, 5]


async def test_behind_a_part_of_which_something_is_left_nothing_is_looked_at(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "_PER_COMMIT", 2)
    here, sender = pair
    looked: list[list[int]] = []
    taken = receive._take

    def noted(*given: Any) -> Any:
        looked.append([one.number for one, _ in given[4]])
        return taken(*given)

    monkeypatch.setattr(receive, "_take", noted)
    frames = list(stream(*(said(TIRANA, written(TIRANA, number)) for number in range(1, 8))))
    del frames[3]
    receipt = await take(here, sender, batch(*frames))
    assert (receipt.head, len(live(here))) == (3, 3)
    assert looked == [[1, 2], [3, 5]]


# --- what it costs ----------------------------------------------------------------------------------------------------


def of_length(length: int, number: int) -> Parcel:
    """A statement of an indicator whose pattern has so many characters."""
    pattern = "[file:name = 'x' AND file:size > 1]"
    return said(TIRANA, written(TIRANA, number, pattern=pattern + " " * (length - len(pattern))))


@pytest.mark.parametrize("length", [255, 8192])
async def test_a_long_pattern_counts_as_many_objects_whenever_it_is_checked(
    pair: tuple[Station, Station], length: int
) -> None:
    here, sender = pair
    more = length // PATTERN_CHARS
    spent: list[int] = []
    sent = stream(of_length(length, 1), of_length(length, 2), of_length(length, 3))
    await take(here, sender, batch(*sent[:2]), spend=spent.append)
    await take(here, sender, batch(*sent[:2]), spend=spent.append)  # taken before, and not checked again
    assert spent == [2 * more, 0]


async def test_a_long_pattern_counts_as_many_objects_when_the_last_piece_of_its_frame_comes(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    spent: list[int] = []
    [whole] = stream(of_length(8192, 1))
    pieces, half = Pieces(), 4096
    first, last = frame.cut(whole, 0, half), frame.cut(whole, half, frame.BATCH_BYTES)
    await take(here, sender, batch(first), pieces=pieces, spend=spent.append)
    receipt = await take(here, sender, batch(last), pieces=pieces, spend=spent.append)
    assert (receipt.head, spent) == (1, [0, 8192 // PATTERN_CHARS])


async def test_what_patterns_cost_is_at_the_expense_of_what_their_peer_may_send_unless_they_were_carried(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    intake = Intake(here.log, lambda: here.receiver, lambda: None, Pace(10))
    sent = stream(of_length(8192, 1), of_length(8192, 2))
    await intake.take(sender.member, batch(sent[0]), in_time=False)
    assert intake.pace.enter(sender.member, None, 0) == 0
    await intake.take(sender.member, intake.decode(sender.member, frame.encode(batch(sent[1]))))
    assert intake.pace.enter(sender.member, None, 0) == (8192 // PATTERN_CHARS + 1 - 10 + 1) * 360
