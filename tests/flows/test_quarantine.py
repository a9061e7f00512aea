"""People look at what was put aside, and take it after all or let it go."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import (
    VIENNA,
    Station,
    batch,
    digest,
    revocation,
    said,
    stream,
    take,
    taken_back,
    told,
    written,
)

from lezha.detection import constituency
from lezha.federation.frame import Parcel
from lezha.flows import check, introduce, purge, quarantine, receive
from lezha.flows.errors import FlowError
from lezha.flows.quarantine import ADVICE, Decided, Held
from lezha.node.clock import later, utc_now
from lezha.store import quarantine as kept
from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState

LINK = Path(__file__).parents[2] / "docs" / "link.md"
BROAD = "203.0.0.0/12"
OWN = "198.51.100.7"


def telling_of(value: str, number: int = 1) -> bytes:
    return written(TIRANA, number, name=value, pattern=f"[ipv4-addr:value = '{value}']")


@pytest.fixture
async def pair(log: Log, station: Callable[..., Station]) -> tuple[Station, Station]:
    """Podgorica, on each of the engines, and Tirana, which sends; Podgorica knows Vienna too."""
    podgorica, tirana = Station(PODGORICA, log), station(TIRANA)
    podgorica.own = constituency.parse(["198.51.100.0/24"])
    await podgorica.links(tirana, station(VIENNA))
    return podgorica, tirana


async def refused(here: Station, sender: Station, *parcels: Parcel) -> list[Held]:
    """Have parcels come as a stream, and return what was put aside of them, oldest first."""
    await take(here, sender, batch(*stream(*parcels)))
    return waiting(here)


def waiting(here: Station) -> list[Held]:
    with here.log.read() as conn:
        return quarantine.page(conn, decided=False, before=0, limit=99).held[::-1]


async def accept(here: Station, item: int, also: Sequence[str] = (), latest: str = "") -> Held:
    latest = latest or later(utc_now(), minutes=5)
    return await quarantine.accept(
        here.log, here.receiver, Decided(item, "asked Tirana", "officer"), latest, also
    )


def whole(here: Station) -> bool:
    """Whether the log is what it should be."""
    return list(check.check(here.log)) == []


# --- what is put aside ----------------------------------------------------------------------------------------------

ASIDE: dict[str, tuple[str, Parcel]] = {
    "a large network": ("too_broad", said(TIRANA, telling_of(BROAD))),
    "an own address": ("too_broad", said(TIRANA, telling_of(OWN))),
    "a public suffix beside another name": (
        "too_broad",
        said(TIRANA, written(TIRANA, pattern="[domain-name:value IN ('evil.example', 'gov.al')]")),
    ),
    "a version that is to come": (
        "clock_ahead",
        said(TIRANA, written(TIRANA, modified=later(utc_now(), hours=1))),
    ),
    "a companion that is to come": (
        "clock_ahead",
        said(TIRANA, written(TIRANA), TIRANA.identity().replace("2022", "2222").encode()),
    ),
    "a statement that is to come": (
        "clock_ahead",
        said(TIRANA, written(TIRANA), issued=later(utc_now(), hours=1)),
    ),
}


@pytest.mark.parametrize("what", ASIDE)
async def test_what_this_node_limits_is_put_aside_and_can_be_accepted(
    pair: tuple[Station, Station], what: str
) -> None:
    here, sender = pair
    code, parcel = ASIDE[what]
    [held] = await refused(here, sender, parcel, said(TIRANA, written(TIRANA, 2)))
    assert (held.peer, held.number, held.code, held.overrulable) == ("tirana", 1, code, True)
    assert told(TIRANA)["id"] in held.objects
    assert here.holds(told(TIRANA)["id"], told(TIRANA, 2)["id"]) == [False, True]
    done = await accept(here, held.id)
    assert (done.verdict, done.by, done.why, done.kept) == ("accepted", "officer", "asked Tirana", 0)
    assert here.holds(told(TIRANA)["id"]) == [True]
    assert here.bytes_of(told(TIRANA)["id"]) == [parcel.contents[0]]
    assert waiting(here) == []
    assert whole(here)


async def test_sensors_look_for_what_was_accepted_and_not_before(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    assert await here.watches() == []
    await accept(here, held.id)
    assert await here.watches() == [OWN]


async def test_a_revocation_of_what_is_too_broad_is_taken(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    gone = written(TIRANA, pattern=f"[ipv4-addr:value = '{BROAD}']", revoked=True)
    assert await refused(here, sender, said(TIRANA, gone)) == []


async def test_what_one_brings_oneself_may_be_as_broad_as_one_likes(pair: tuple[Station, Station]) -> None:
    here, _ = pair
    await here.publish(told(PODGORICA, pattern=f"[ipv4-addr:value = '{BROAD}']"))
    assert await here.watches() == [BROAD]


# --- what nobody may overrule ---------------------------------------------------------------------------------------

GOOD = said(TIRANA, written(TIRANA))
NEVER: dict[str, tuple[str, Parcel]] = {
    "altered bytes": ("content_mismatch", replace(GOOD, contents=(written(TIRANA, description="altered"),))),
    "another member's object": ("authority", said(TIRANA, written(VIENNA))),
    "a stranger's word": ("unknown_key", said(TIRANA, written(TIRANA), signer=VIENNA, member=VIENNA.member)),
    "a member in another's name": ("wrong_member", said(VIENNA, written(VIENNA), signer=TIRANA)),
    "no STIX": ("invalid_object", said(TIRANA, b'{"id":"indicator--x"}')),
}


@pytest.mark.parametrize("what", sorted(set(NEVER) - {"a stranger's word"}))
async def test_what_is_wrong_with_a_frame_itself_nobody_can_overrule(
    pair: tuple[Station, Station], what: str
) -> None:
    here, sender = pair
    code, parcel = NEVER[what]
    [held] = await refused(here, sender, parcel)
    assert (held.code, held.overrulable) == (code, False)
    before = here.rows(schema.events, "seq")
    for also in ((), ("too_broad",)):
        with pytest.raises(FlowError, match="Nobody may overrule that"):
            await accept(here, held.id, also)
    assert here.rows(schema.events, "seq") == before
    assert waiting(here) == [held]


@pytest.mark.parametrize("code", ["bad_signature", "authority", "content_mismatch", "nonsense"])
async def test_no_other_code_can_be_named_beside(pair: tuple[Station, Station], code: str) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    with pytest.raises(FlowError, match="Nobody may overrule that"):
        await accept(here, held.id, (code,))
    assert waiting(here) == [held]


async def test_what_was_altered_in_quarantine_is_checked_like_anything_that_comes(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    both = said(TIRANA, telling_of(BROAD), issued=later(utc_now(), hours=1))
    [held] = await refused(here, sender, both)
    assert held.code == "clock_ahead"
    with pytest.raises(FlowError, match="too_broad"):
        await accept(here, held.id)
    assert here.holds(told(TIRANA)["id"]) == [False]
    assert waiting(here) == [held]
    await accept(here, held.id, ["too_broad"])
    assert here.holds(told(TIRANA)["id"]) == [True]


async def test_a_key_that_is_known_by_now_is_no_reason_any_more(
    pair: tuple[Station, Station], station: Callable[..., Station]
) -> None:
    _, sender = pair
    alone = station(PODGORICA)
    await alone.links(sender)
    [held] = await refused(alone, sender, said(VIENNA, written(VIENNA)))
    assert (held.code, held.overrulable) == ("unknown_key", True)
    with pytest.raises(FlowError, match="still can't be taken"):
        await accept(alone, held.id)
    await alone.links(station(VIENNA))
    await accept(alone, held.id)
    assert alone.holds(told(VIENNA)["id"]) == [True]


async def test_a_version_in_dispute_is_not_accepted_beside_the_other(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    one, other = (written(TIRANA, pattern=f"[ipv4-addr:value = '{value}']") for value in ("203.0.113.1", OWN))
    [held] = await refused(here, sender, said(TIRANA, one), said(TIRANA, other))
    with pytest.raises(FlowError, match="equivocation"):
        await accept(here, held.id)
    assert here.bytes_of(told(TIRANA)["id"]) == [one]
    assert await here.watches() == ["203.0.113.1"]


# --- once, and by whom ----------------------------------------------------------------------------------------------


async def test_a_rejected_frame_leaves_the_proof_and_no_bytes(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    parcel = said(TIRANA, telling_of(OWN))
    [held] = await refused(here, sender, parcel)
    done = await quarantine.reject(here.log, Decided(held.id, "our own resolver", "officer"))
    assert (done.code, done.number, done.verdict, done.by) == ("too_broad", 1, "rejected", "officer")
    assert (done.why, done.kept, done.overrulable) == ("our own resolver", 0, False)
    assert [raw for (raw,) in here.rows(schema.quarantine, "frame")] == [b""]
    told_of = [row for row in here.rows(schema.events, "kind", "actor", "detail") if "rejected" in row[0]]
    assert [(kind, actor) for kind, actor, _ in told_of] == [("quarantine rejected", "officer")]
    assert parcel.digest().hex() in told_of[0][2]
    assert whole(here)
    with here.log.read() as conn:
        assert quarantine.page(conn, decided=True, before=0, limit=9).held == [done]


async def test_a_verdict_is_given_once(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    first, second = await refused(
        here, sender, said(TIRANA, telling_of(OWN)), said(TIRANA, telling_of(OWN, 2))
    )
    both = await asyncio.gather(accept(here, first.id), accept(here, first.id), return_exceptions=True)
    assert sorted(isinstance(one, FlowError) for one in both) == [False, True]
    await quarantine.reject(here.log, Decided(second.id, "why", "officer"))
    for item in (first.id, second.id):
        with pytest.raises(FlowError, match="already"):
            await accept(here, item)
        with pytest.raises(FlowError, match="already"):
            await quarantine.reject(here.log, Decided(item, "why", "officer"))
    assert here.holds(told(TIRANA, 1)["id"], told(TIRANA, 2)["id"]) == [True, False]


@pytest.mark.parametrize("why", ["", "   ", "x" * 1001])
async def test_a_verdict_has_a_reason(pair: tuple[Station, Station], why: str) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    with pytest.raises(FlowError, match="Say why"):
        await quarantine.accept(here.log, here.receiver, Decided(held.id, why, "officer"), utc_now())
    with pytest.raises(FlowError, match="Say why"):
        await quarantine.reject(here.log, Decided(held.id, why, "officer"))
    assert waiting(here) == [held]


async def test_a_frame_that_was_purged_cannot_be_accepted(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    await purge.purge(here.log, here.member, [told(TIRANA)["id"]], "names a citizen", "officer")
    with pytest.raises(FlowError, match="destroyed"):
        await accept(here, held.id)
    await quarantine.reject(here.log, Decided(held.id, "gone", "officer"))
    assert whole(here)


async def test_a_purge_between_looking_and_taking_wins(
    pair: tuple[Station, Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    again = receive.again

    async def late(*given: object) -> None:
        await purge.purge(here.log, here.member, [told(TIRANA)["id"]], "names a citizen", "officer")
        await again(*given)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(receive, "again", late)
    with pytest.raises(FlowError, match="destroyed"):
        await accept(here, held.id)
    assert here.holds(told(TIRANA)["id"]) == [False]


async def test_nothing_is_accepted_from_a_suspended_peer(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(OWN)))
    await introduce.change(here.log, "tirana", PeerState.SUSPENDED, "officer")
    with pytest.raises(FlowError, match="suspended"):
        await accept(here, held.id)


async def test_what_was_recalled_meanwhile_arrives_dead(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    parcel = said(TIRANA, telling_of(OWN))
    [held] = await refused(here, sender, parcel, taken_back(TIRANA, digest(parcel)))
    await accept(here, held.id)
    assert await here.watches() == []


async def test_who_is_shown_what_a_frame_carries_is_in_the_log(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    parcel = said(TIRANA, telling_of(OWN))
    [held] = await refused(here, sender, parcel)
    found = await quarantine.show(here.log, held.id, "officer")
    assert (found.held, found.kind) == (held, "statement")
    assert found.contents == (parcel.contents[0].decode(),)
    assert OWN in found.detail
    assert told(TIRANA)["id"] in found.claim
    assert [row for row in here.rows(schema.events, "kind", "actor") if row[0].startswith("looked")] == [
        ("looked at quarantine", "officer")
    ]


async def test_the_receipt_of_what_was_accepted_stays_what_it_was(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    sent = batch(*stream(said(TIRANA, telling_of(OWN))))
    first = await take(here, sender, sent)
    await accept(here, waiting(here)[0].id)
    second = await take(here, sender, sent)
    assert second.refused == first.refused == ((1, "too_broad"),)
    assert second.head == first.head


async def test_what_was_accepted_is_not_put_aside_when_it_comes_again(
    pair: tuple[Station, Station], station: Callable[..., Station]
) -> None:
    here, sender = pair
    parcel = said(TIRANA, telling_of(OWN))
    [held] = await refused(here, sender, parcel)
    await accept(here, held.id)
    restored = replace(batch(*stream(parcel)), incarnation="f" * 16)
    assert (await take(here, sender, restored)).refused == ()
    assert (await take(here, station(VIENNA), batch(*stream(parcel)))).refused == ()
    assert waiting(here) == []
    assert await here.watches() == [OWN]


async def test_what_is_beyond_a_limit_puts_nothing_into_dispute(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    good, other = said(TIRANA, written(TIRANA)), said(TIRANA, telling_of(OWN))
    [held] = await refused(here, sender, good, other)
    assert held.code == "too_broad"
    assert await here.watches() == ["203.0.113.1"]


async def test_what_is_not_there_is_not_found(pair: tuple[Station, Station]) -> None:
    here, _ = pair
    for act in (
        accept(here, 77),
        quarantine.reject(here.log, Decided(77, "why", "x")),
        quarantine.show(here.log, 77, "x"),
    ):
        with pytest.raises(NotFound):
            await act


async def test_a_list_comes_page_by_page_and_by_peer(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await refused(here, sender, *(said(TIRANA, telling_of(OWN, number)) for number in range(1, 6)))
    with here.log.read() as conn:
        seen: list[int] = []
        before: int | None = 0
        while before is not None:
            page = quarantine.page(conn, "tirana", "too_broad", decided=False, before=before, limit=2)
            seen += [one.number for one in page.held]
            before = page.next
        assert seen == [5, 4, 3, 2, 1]
        assert quarantine.page(conn, "vienna", decided=False, before=0, limit=2).held == []
        with pytest.raises(NotFound):
            quarantine.page(conn, "nobody", decided=False, before=0, limit=2)


@pytest.mark.parametrize("item", [0, -1, 1, 1 << 62, 10**20])
async def test_a_number_under_which_nothing_is_is_told_as_such(
    pair: tuple[Station, Station], item: int
) -> None:
    here, _ = pair
    with pytest.raises(NotFound, match="Nothing was put aside"):
        await quarantine.show(here.log, item, "officer")
    with pytest.raises(NotFound, match="Nothing was put aside"):
        await quarantine.reject(here.log, Decided(item, "why", "officer"))


def test_every_code_of_a_receipt_has_words_and_a_next_step() -> None:
    table = LINK.read_text().partition("## Codes of refusal")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    told_in_receipts = {code.strip(" `") for _, code, _, where, _ in rows if "receipt" in where}
    assert len(told_in_receipts) > 20
    assert told_in_receipts == set(ADVICE)


# --- what changes while it is checked -------------------------------------------------------------------------------


async def test_what_was_checked_by_a_key_that_is_revoked_meanwhile_is_not_accepted(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    before = here.receiver
    aside, revoked = stream(said(TIRANA, telling_of(BROAD)), revocation(sender))
    await take(here, sender, batch(aside))
    await take(here, sender, batch(revoked))
    [held] = waiting(here)
    decided = Decided(held.id, "asked Tirana", "officer")
    with pytest.raises(FlowError, match="has another node document"):
        await quarantine.accept(here.log, before, decided, utc_now())
    with pytest.raises(FlowError, match=r"\(unknown_key\)"):
        await accept(here, held.id)
    assert here.holds(told(TIRANA)["id"]) == [False]
    assert waiting(here) == [held]


async def test_what_has_waited_for_its_time_is_not_taken_by_a_key_that_is_revoked_meanwhile(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    before = here.receiver
    ahead = said(TIRANA, telling_of("203.0.113.9"), issued=later(utc_now(), hours=1))
    aside, revoked = stream(ahead, revocation(sender))
    await take(here, sender, batch(aside))
    await take(here, sender, batch(revoked))
    assert await quarantine.take_due(here.log, before, later(utc_now(), hours=2)) == 1
    assert [one.code for one in waiting(here)] == ["clock_ahead"]
    assert await pass_by(here, hours=2) == 1
    assert [one.code for one in waiting(here)] == ["unknown_key"]
    assert here.holds(told(TIRANA)["id"]) == [False]


# --- what waits for its time ----------------------------------------------------------------------------------------


async def pass_by(here: Station, **ahead: float) -> int:
    """Let a node look at what waits for its time, as its clock will be then."""
    return await quarantine.take_due(
        here.log, here.receiver, later(utc_now(), minutes=5 + 60 * ahead.get("hours", 0))
    )


async def test_what_is_dated_ahead_is_taken_once_its_time_has_come_and_not_before(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    at = later(utc_now(), hours=1)
    parcel = said(TIRANA, telling_of("203.0.113.9"), issued=at)
    [held] = await refused(here, sender, parcel)
    assert (held.code, held.until) == ("clock_ahead", "")
    assert await pass_by(here) == 1  # it is looked up
    assert [one.until for one in waiting(here)] == [later(at, minutes=-5)]
    assert await pass_by(here, hours=0.9) == 0
    assert here.holds(told(TIRANA)["id"]) == [False]
    assert await pass_by(here, hours=1.1) == 1
    assert here.holds(told(TIRANA)["id"]) == [True]
    assert waiting(here) == []
    with here.log.read() as conn:
        [done] = quarantine.page(conn, decided=True, before=0, limit=9).held
    assert (done.verdict, done.by, done.why, done.until) == ("accepted", "node", "its time has come", "")
    assert await here.watches() == ["203.0.113.9"]
    assert await pass_by(here, hours=99) == 0
    assert whole(here)


@pytest.mark.parametrize("what", [name for name in ASIDE if ASIDE[name][0] == "clock_ahead"])
async def test_whatever_of_it_is_dated_ahead_decides(pair: tuple[Station, Station], what: str) -> None:
    here, sender = pair
    [held] = await refused(here, sender, ASIDE[what][1])
    await pass_by(here)
    [held] = waiting(here)
    years = "companion" in what
    assert (held.until > later(utc_now(), days=999 * 365 // 10)) == years
    await pass_by(here, hours=2)
    assert here.holds(told(TIRANA)["id"]) == [not years]
    assert len(waiting(here)) == years


async def test_a_second_content_of_a_version_that_was_held_back_ends_the_first_one(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    first, second = (said(TIRANA, telling_of(one)) for one in ("203.0.113.9", "203.0.113.10"))
    held_back = said(TIRANA, telling_of("203.0.113.10"), issued=later(utc_now(), hours=1))
    assert second.contents == held_back.contents
    receipt = await take(here, sender, batch(*stream(first, held_back)))
    assert receipt.refused == ((2, "clock_ahead"),)
    assert await here.watches() == ["203.0.113.9"]
    await pass_by(here)
    assert await pass_by(here, hours=2) == 1
    assert len(here.rows(schema.disputes, "stix_id")) == 1
    assert await here.watches() == []
    assert whole(here)


async def test_what_is_not_in_order_then_waits_for_a_person_and_says_why(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    [held] = await refused(here, sender, said(TIRANA, telling_of(BROAD), issued=later(utc_now(), hours=1)))
    with here.log.read() as conn:
        assert desk_counts(conn) == (0, 1)
    await pass_by(here)
    await pass_by(here, hours=2)
    [now] = waiting(here)
    assert (now.id, now.code, now.until, now.overrulable) == (held.id, "too_broad", "", True)
    assert now.words == ADVICE["too_broad"].words
    assert here.holds(told(TIRANA)["id"]) == [False]
    with here.log.read() as conn:
        assert desk_counts(conn) == (1, 0)
    assert ("quarantine kept", "node") in here.rows(schema.events, "kind", "actor")
    assert await pass_by(here, hours=3) == 0
    await accept(here, held.id, latest=later(utc_now(), hours=2))
    assert here.holds(told(TIRANA)["id"]) == [True]
    assert whole(here)


def desk_counts(conn: Connection) -> tuple[int, int]:
    return kept.waiting(conn, 99), kept.early(conn, 99)


async def test_of_a_suspended_peer_nothing_is_taken_and_nothing_is_lost(
    pair: tuple[Station, Station],
) -> None:
    here, sender = pair
    await refused(here, sender, said(TIRANA, written(TIRANA), issued=later(utc_now(), hours=1)))
    await introduce.change(here.log, "tirana", PeerState.SUSPENDED, "test")
    assert await pass_by(here, hours=2) == 0
    await introduce.change(here.log, "tirana", PeerState.ACTIVE, "test")
    assert await pass_by(here, hours=2) == 1
    assert here.holds(told(TIRANA)["id"]) == [True]


async def test_one_peers_many_do_not_hold_up_anothers(
    pair: tuple[Station, Station], station: Callable[..., Station]
) -> None:
    here, sender = pair
    at = later(utc_now(), hours=1)
    await refused(
        here, sender, *(said(TIRANA, written(TIRANA, number), issued=at) for number in range(1, 50))
    )
    await take(here, station(VIENNA), batch(*stream(said(VIENNA, written(VIENNA), issued=at))))
    assert await pass_by(here) == 21
    assert await pass_by(here, hours=2) == 21
    assert here.holds(told(VIENNA)["id"]) == [True]
    while await pass_by(here, hours=2):
        pass
    assert waiting(here) == []
    assert all(here.holds(*(told(TIRANA, number)["id"] for number in range(1, 50))))


async def test_what_was_purged_meanwhile_is_not_taken(pair: tuple[Station, Station]) -> None:
    here, sender = pair
    await refused(here, sender, said(TIRANA, written(TIRANA), issued=later(utc_now(), hours=1)))
    await purge.purge(here.log, here.member, [told(TIRANA)["id"]], "a court order", "officer")
    assert await pass_by(here, hours=2) == 1
    assert await pass_by(here, hours=2) == 0
    assert here.holds(told(TIRANA)["id"]) == [False]
