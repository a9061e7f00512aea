"""The audit: what covers what, what a checkpoint tells, who was told and who looked; on both engines."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import INCARNATION, VIENNA, Station, deliver, found, pack, stream, take, told

from lezha.federation import checkpoint, frame
from lezha.federation.checkpoint import Commitment
from lezha.federation.frame import Batch
from lezha.flows import attest, audit, chain, constituents, hand_out, look, purge, share, verify
from lezha.flows.attest import Sealer
from lezha.flows.audit import Span
from lezha.flows.verify import Given, Verdict
from lezha.flows.witness import Who, Witness
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import activity, archive, checkpoints, engine, lives, looks, schema, sequencer, views
from lezha.store import constituents as kept
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx, asked_from

_events, _views, _looks = schema.events, schema.views, schema.looks
ANALYST = Who("arta", "192.0.2.9")


@pytest.fixture
async def tirana(log: Log, station: Callable[..., Station]) -> Station:
    """A log, on each of the engines, that was shared from, looked at and committed to."""
    here, there = Station(TIRANA, log), station(PODGORICA)
    await here.links(there)
    await there.links(here)
    await found("NATO", here, there)
    await here.log.write(lambda tx: lives.begin(tx, INCARNATION))
    await here.publish(told(TIRANA, 1), told(TIRANA, 2), to=["NATO"], tlp=Tlp.AMBER)
    await receipted(here, there)
    with log.read() as conn:
        shown = looks.restricted(conn, (), [told(TIRANA, 1)["id"], told(TIRANA, 2)["id"]])
    await Witness(log, utc_now).saw(ANALYST, "search", "value=203.0.113.1", shown)
    assert await attest.commit_if_due(log, sealer(here), 24, utc_now())
    await receipted(here, there)
    here.there = there  # type: ignore[attr-defined]  # for tests that ask the peer
    return here


async def receipted(here: Station, there: Station) -> None:
    """Bring `there` up to date, and keep the receipt as a link does."""
    receipt = await deliver(here, there)
    raw = frame.sign_receipt(receipt, there.party.signer)
    await here.log.write(lambda tx: views.keep_receipt(tx, there.member, receipt.head, raw, receipt.refused))


def sealer(here: Station, incarnation: str = INCARNATION) -> Sealer:
    return Sealer(here.member, incarnation, here.party.signer)


def verified(here: Station, **given: Any) -> Verdict:
    return verify.verify(here.log, here.member, [here.party.key], Given(**given))


def words(verdict: Verdict) -> str:
    return "; ".join(f"{one.part}: {one.words}" for one in verdict.findings)


def kept_by_peer(here: Station) -> list[tuple[str, bytes]]:
    with here.there.log.read() as conn:  # type: ignore[attr-defined]
        return [(one.at, one.envelope) for one in checkpoints.kept(conn, here.member)]


def rechain(tx: Tx, first: int) -> None:
    """What someone does who can write to the database and knows how the chain is made."""
    link = sequencer.chain_at(tx.conn, first - 1) or sequencer.GENESIS
    for row in tx.conn.execute(select(_events).where(_events.c.seq >= first).order_by(_events.c.seq)).all():
        link = sequencer.link(link, tuple(row)[:-1])
        tx.conn.execute(update(_events).where(_events.c.seq == row.seq).values(chain=link))
    tx.chain = link


def cut(tx: Tx, after: int) -> None:
    """Take events off the end, so that nothing in the database tells of them."""
    for table in (schema.looks, schema.checkpoints):
        tx.conn.execute(delete(table).where(table.c.seq > after))
    tx.conn.execute(delete(_events).where(_events.c.seq > after))
    tx.seq, tx.chain = after, sequencer.chain_at(tx.conn, after) or b""


# --- what verifying finds -----------------------------------------------------------------------------------------


def test_a_log_that_nobody_touched_verifies(tirana: Station) -> None:
    verdict = verified(tirana, commitments=kept_by_peer(tirana))
    assert words(verdict) == ""
    # The log's own checkpoint and its commitment, and the peer's copy of that.
    assert (verdict.fitting, verdict.outside) == (3, 1)
    assert verdict.newest_outside == checkpoint_seq(tirana)


def checkpoint_seq(here: Station) -> int:
    with here.log.read() as conn:
        (made,) = checkpoints.made(conn, 0)
    said = checkpoint.read(made.checkpoint, [here.party.key], here.member)
    return said.seq


# Who could write to the database, and made the chain of events fit afterwards where `rechain` says so.
TAMPERING: dict[str, tuple[str, Callable[[Tx], object]]] = {
    "an event": (
        "the chain does not fit",
        lambda tx: tx.conn.execute(update(_events).where(_events.c.seq == 3).values(actor="nobody")),
    ),
    "from where an event was asked for": (
        "the chain does not fit",
        lambda tx: tx.conn.execute(update(_events).where(_events.c.seq == 3).values(source="192.0.2.66")),
    ),
    "what a row of a view gave": (
        "are not those that event",
        lambda tx: tx.conn.execute(update(_views).where(_views.c.number == 2).values(ref="0" * 64)),
    ),
    "by which rule a row was given": (
        "are not those that event",
        lambda tx: tx.conn.execute(update(_views).where(_views.c.number == 2).values(rule="by chance")),
    ),
    "a row of a view too many": ("and the events tell of", lambda tx: _add_row(tx)),  # noqa: PLW0108  # it is defined below
    "a row of a view that is missing": (
        "and the events tell of",
        lambda tx: tx.conn.execute(delete(_views).where(_views.c.number == _last(tx))),
    ),
    "a receipt": (
        "the receipt for",
        lambda tx: tx.conn.execute(update(schema.receipts).values(envelope=b"{}")),
    ),
    "a void row that no event tells of": (
        "void rows, and the events tell of",
        lambda tx: tx.conn.execute(
            insert(schema.voids).values(recipient=PODGORICA.member, number=1, reason="expired", at=tx.at)
        ),
    ),
    "which objects a look showed": (
        "what is kept of it is not what the event tells of",
        lambda tx: tx.conn.execute(update(_looks).values(contents=looks.pack([1]))),
    ),
    "what a look asked for": (
        "what is kept of it is not what the event tells of",
        lambda tx: tx.conn.execute(update(_looks).values(question="the weather")),
    ),
    "a look that was removed": (
        "what is kept of it is not what the event tells of",
        lambda tx: tx.conn.execute(delete(_looks)),
    ),
    "a look that was forged": (
        "are kept, and the events tell of",
        lambda tx: tx.conn.execute(insert(_looks).values(seq=1, question="", contents=b"\x01")),
    ),
    "a commitment": (
        "the commitment that was made there is not kept",
        lambda tx: tx.conn.execute(delete(schema.checkpoints)),
    ),
    "what opens a commitment": (
        "does not open it",
        lambda tx: tx.conn.execute(update(schema.checkpoints).values(nonce=bytes(32))),
    ),
}


def _last(tx: Tx) -> int:
    return views.head(tx.conn, PODGORICA.member).number


def _add_row(tx: Tx) -> None:
    last = views.entry(tx.conn, PODGORICA.member, _last(tx))
    assert last
    number = last.number + 1
    linked = frame.link(last.chain, number, last.digest)
    views.append(tx, PODGORICA.member, [msgspec.structs.replace(last, number=number, chain=linked)])


@pytest.mark.parametrize("name", TAMPERING)
def test_what_was_changed_in_the_database_is_found(tirana: Station, name: str) -> None:
    expected, tamper = TAMPERING[name]
    tirana.log.write_now(tamper)
    assert expected in words(verified(tirana))


def test_a_chain_that_was_made_anew_is_found_by_what_a_peer_keeps(tirana: Station) -> None:
    def tamper(tx: Tx) -> None:
        tx.conn.execute(update(_events).where(_events.c.seq == 3).values(actor="nobody"))
        rechain(tx, 3)
        tx.conn.execute(delete(schema.checkpoints))

    tirana.log.write_now(tamper)
    verdict = verified(tirana)
    # Of the tampering itself nothing inside tells but the commitment that has to be missing.
    assert {one.part for one in verdict.findings} == {"checkpoints"}
    assert "holds nothing now" in words(verified(tirana, commitments=kept_by_peer(tirana)))


def test_a_chain_that_was_made_anew_is_found_by_the_nodes_own_checkpoint(tirana: Station) -> None:
    def tamper(tx: Tx) -> None:
        tx.conn.execute(update(_events).where(_events.c.seq == 3).values(actor="nobody"))
        rechain(tx, 3)

    tirana.log.write_now(tamper)
    seq = checkpoint_seq(tirana)
    assert f"event {seq} is not the one of" in words(verified(tirana))


async def test_events_cut_off_at_the_end_are_found_by_a_checkpoint_alone(tirana: Station) -> None:
    raw = await attest.make(tirana.log, sealer(tirana), "admin")
    said = checkpoint.read(raw, [tirana.party.key], tirana.member)
    # Up to before the looks, the commitment, and what was released of it; the tables beside are cut too.
    with tirana.log.read() as conn:
        after = conn.execute(select(_events.c.seq).where(_events.c.kind == looks.LOOKED)).scalars().one() - 1
        given = [row.subject for row in conn.execute(select(_events).where(_events.c.seq > after))]
    assert PODGORICA.member in given

    def tamper(tx: Tx) -> None:
        cut(tx, after)
        last = [
            json.loads(row.detail)
            for row in tx.conn.execute(select(_events).where(_events.c.kind == "released"))
        ][-1]["last"]
        tx.conn.execute(delete(_views).where(_views.c.number > last))
        tx.conn.execute(delete(schema.receipts).where(schema.receipts.c.head > last))

    tirana.log.write_now(tamper)
    assert words(verified(tirana)) == ""
    assert verified(tirana).outside == 0
    gone = said.seq - after
    assert f"{gone} were cut off at its end" in words(verified(tirana, checkpoints=[("mine", raw)]))


async def test_a_restored_log_says_what_is_missing(
    tirana: Station, second: str, station: Callable[..., Station]
) -> None:
    with tirana.log.read() as conn:
        blocks = list(archive.dump(conn))
        backed_up = sequencer.read(conn).seq
    await tirana.publish(told(TIRANA, 9), to=["NATO"])
    raw = await attest.make(tirana.log, sealer(tirana), "admin")
    said = checkpoint.read(raw, [tirana.party.key], tirana.member)
    restored = _restore(second, blocks)
    here = Station(TIRANA, restored)
    try:
        await restored.write(lambda tx: lives.begin(tx, "f" * 32))
        await restored.write(lambda tx: tx.events("tested", [str(number) for number in range(20)], "test"))
        assert words(verified(here, commitments=kept_by_peer(tirana))) == ""
        found_wrong = words(verified(here, checkpoints=[("mine", raw)]))
        assert "restored from a backup" in found_wrong
        assert f"Missing are events {backed_up + 1} to {said.seq}" in found_wrong
    finally:
        restored.close()


async def test_a_restored_log_commits_itself_for_no_time_for_which_it_may_have_done_so_before(
    station: Callable[..., Station], second: str
) -> None:
    before, there = station(TIRANA), station(PODGORICA)
    await before.links(there)
    await there.links(before)
    await before.log.write(lambda tx: lives.begin(tx, INCARNATION))
    with before.log.read() as conn:
        blocks = list(archive.dump(conn))
    now = utc_now()
    assert await attest.commit_if_due(before.log, sealer(before), 1, now)
    assert (await deliver(before, there)).refused == ()
    restored = _restore(second, blocks)
    here = Station(TIRANA, restored)
    try:
        await restored.write(lambda tx: lives.begin(tx, "f" * 32))
        assert await attest.commit_if_due(restored, sealer(here), 1, now) is None
        next_one = await attest.commit_if_due(restored, sealer(here), 1, later(now, hours=1))
        assert next_one is not None
        known = attest.check(next_one.commitment, (), there.members, next_one.at)
        assert there.log.write_now(lambda tx: attest.keep(tx, here.member, known)) is None
    finally:
        restored.close()


def _restore(url: str, blocks: list[archive.Rows]) -> Log:
    opened = engine.writer(url)
    with opened.begin() as conn:
        archive.load(conn, blocks)
    opened.dispose()
    return Log(url, utc_now)


def test_what_another_key_has_signed_is_no_checkpoint(tirana: Station) -> None:
    forged = Sealer(tirana.member, INCARNATION, PODGORICA.signer)
    raw = tirana.log.write_now(
        lambda tx: checkpoint.sign(
            checkpoint.Checkpoint(tirana.member, INCARNATION, tx.seq, tx.chain.hex(), tx.at), forged.signer
        )
    )
    verdict = verified(tirana, checkpoints=[("forged", raw)])
    assert "not signed by enough keys" in words(verdict)
    assert verdict.outside == 0


# --- what peers keep ----------------------------------------------------------------------------------------------


def test_a_peer_keeps_what_tells_it_nothing(tirana: Station) -> None:
    ((at, raw),) = kept_by_peer(tirana)
    payload = json.loads(base64.b64decode(json.loads(raw)["payload"]))
    assert set(payload) == {"member", "commitment", "at"}
    assert at == payload["at"] == attest.due(24, utc_now())


async def test_what_a_peer_is_sent_does_not_depend_on_how_much_happens_here(
    tirana: Station, station: Callable[..., Station]
) -> None:
    """Two logs that differ in looks, sign-ins and other peers: a third member is sent frames of one form and length."""
    seen = []
    for busy in (False, True):
        here, there = station(TIRANA), station(PODGORICA)
        await here.links(there)
        if busy:
            await here.links(tirana)  # a peer more
            for _ in range(30):
                await here.log.write(lambda tx: tx.events("signed in", [str(n) for n in range(9)], "arta"))
        await attest.commit_if_due(here.log, sealer(here), 24, utc_now())
        batch = await pack(here, there)
        seen.append([(one.number, one.kind, len(one.envelope), one.contents) for one in batch.frames])
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1


@pytest.mark.parametrize("hidden", [0, 250, 300])
async def test_where_a_commitment_stands_does_not_tell_how_much_is_withheld(
    station: Callable[..., Station], hidden: int
) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await here.links(there, other)
    await here.publish(told(TIRANA, 1))
    if hidden:
        await here.publish(
            *(told(TIRANA, 1000 + number, name="x") for number in range(hidden)), to=["vienna"]
        )
    await here.publish(told(TIRANA, 2))
    await attest.commit_if_due(here.log, sealer(here), 24, utc_now())
    await here.publish(told(TIRANA, 3))
    batch = await pack(here, there)
    assert [one.kind.value for one in batch.frames] == ["statement", "statement", "commitment", "statement"]


async def test_a_commitment_is_made_once_for_a_time_of_the_schedule(tirana: Station) -> None:
    assert await attest.commit_if_due(tirana.log, sealer(tirana), 24, utc_now()) is None
    made = await attest.commit_if_due(tirana.log, sealer(tirana), 24, later(utc_now(), hours=24))
    assert made is not None
    assert made.at == attest.due(24, later(utc_now(), hours=24))


async def test_a_peer_that_was_enrolled_later_is_given_no_earlier_commitment(
    tirana: Station, station: Callable[..., Station]
) -> None:
    late = station(VIENNA)
    await tirana.links(late, since=later(utc_now(), hours=1))
    await share.decide(tirana.log, tirana.peer(late).recipient())
    with tirana.log.read() as conn:
        assert views.head(conn, late.member).number == 0


def commitment(at: str, party: Any = TIRANA, member: str = "", to: str = "0" * 64) -> frame.Parcel:
    said = Commitment(member or party.member, to, at)
    return frame.pack_commitment(checkpoint.sign_commitment(said, party.signer).raw)


async def test_commitments_that_come_too_close_together_are_refused(station: Callable[..., Station]) -> None:
    here, there = station(PODGORICA), station(TIRANA)
    await here.links(there)
    at = utc_now()
    parcels = [
        commitment(at),
        commitment(at),
        commitment(later(at, minutes=4)),
        commitment(later(at, hours=9)),
    ]
    receipt = await take(here, there, Batch(frame.PROTOCOL, INCARNATION, at, stream(*parcels)))
    assert receipt.refused == ((3, "commitment_order"), (4, "clock_ahead"))
    with here.log.read() as conn:
        assert [one.at for one in checkpoints.kept(conn, there.member)] == [at]


async def test_another_commitment_for_the_same_time_is_refused_in_another_life_of_the_sender_too(
    station: Callable[..., Station],
) -> None:
    here, there = station(PODGORICA), station(TIRANA)
    await here.links(there)
    at = utc_now()
    for life, to, refused in (("a" * 32, "0" * 64, ()), ("b" * 32, "1" * 64, ((1, "commitment_order"),))):
        sent = Batch(frame.PROTOCOL, life, at, stream(commitment(at, to=to)))
        assert (await take(here, there, sent)).refused == refused


def test_commitments_are_not_counted_among_what_was_told(tirana: Station) -> None:
    with tirana.log.read() as conn:
        (one,) = look.peer_reports(conn, lambda _member: None, utc_now())
        received = activity.receipts(conn, PODGORICA.member, 10)
    assert (one.delivered, one.queued) == (2, 0)
    assert [taken.statements for taken in received] == [0, 2]  # newest first


async def test_what_a_restored_sender_sends_again_is_kept_once(station: Callable[..., Station]) -> None:
    here, there = station(PODGORICA), station(TIRANA)
    await here.links(there)
    days = [later(utc_now(), hours=-24 * ago) for ago in (2, 1, 0)]
    for life in ("a" * 32, "b" * 32):
        sent = Batch(frame.PROTOCOL, life, utc_now(), stream(*map(commitment, days)))
        assert (await take(here, there, sent)).refused == ()
    with here.log.read() as conn:
        assert [one.at for one in checkpoints.kept(conn, there.member)] == days


async def test_a_peer_cannot_have_another_members_commitment_kept(station: Callable[..., Station]) -> None:
    here, there, other = station(PODGORICA), station(TIRANA), station(VIENNA)
    await here.links(there, other)
    parcel = commitment(utc_now(), VIENNA)
    receipt = await take(here, there, Batch(frame.PROTOCOL, INCARNATION, utc_now(), stream(parcel)))
    assert receipt.refused == ((1, "wrong_member"),)


async def test_a_commitment_that_is_lost_at_the_peer_is_found_there(tirana: Station) -> None:
    there: Station = tirana.there  # type: ignore[attr-defined]
    assert list(chain.walk(there.log, lambda _part, _done: None)) == []
    there.log.write_now(lambda tx: tx.conn.execute(delete(schema.kept_commitments)))
    (one,) = chain.walk(there.log, lambda _part, _done: None)
    assert "is not kept any more" in one.words


# --- what was told ------------------------------------------------------------------------------------------------


def rows_told(here: Station, span: Span | None = None) -> list[audit.Told]:
    blocks = audit.told(here.log, PODGORICA.member, span or Span())
    return [one for block in blocks for one in block]


def test_a_report_says_what_a_peer_was_told(tirana: Station) -> None:
    told_rows = rows_told(tirana)
    assert [one.kind for one in told_rows] == ["roster", "statement", "statement", "commitment"]
    statement = told_rows[1]
    assert (statement.object, statement.tlp, statement.state) == (told(TIRANA, 1)["id"], "amber", "received")
    assert statement.by == TIRANA.member
    assert statement.rule.startswith("member of NATO")
    assert statement.offered < statement.received
    assert "203.0.113" not in repr(told_rows)


def test_a_report_keeps_to_its_time(tirana: Station) -> None:
    offered = [one.offered for one in rows_told(tirana)]
    middle = offered[-1]
    since, until = (rows_told(tirana, span) for span in (Span(since=middle), Span(until=middle)))
    assert [one.offered for one in since] == [at for at in offered if at >= middle]
    assert [one.offered for one in until] == [at for at in offered if at < middle]
    assert since
    assert until


async def test_a_report_says_what_was_denied_before_it_was_sent_and_what_is_offered(tirana: Station) -> None:
    there: Station = tirana.there  # type: ignore[attr-defined]
    soon = later(utc_now(), seconds=30)
    await tirana.publish(told(TIRANA, 3), to=["NATO"], expires=soon)
    await tirana.publish(told(TIRANA, 4), to=["NATO"])
    head = await share.decide(tirana.log, tirana.peer(there).recipient())
    await pack(tirana, there, head.number - 2, later(utc_now(), minutes=1))
    states = {one.object: (one.state, one.why) for one in rows_told(tirana)}
    assert states[told(TIRANA, 3)["id"]] == ("void", "expired")
    assert states[told(TIRANA, 4)["id"]] == ("offered", "")
    assert words(verified(tirana)) == ""


async def test_a_report_says_what_was_taken_back_and_by_which_tombstone(tirana: Station) -> None:
    there: Station = tirana.there  # type: ignore[attr-defined]
    await tirana.recall(told(TIRANA, 1)["id"])
    head = await share.decide(tirana.log, tirana.peer(there).recipient())
    taken = {one.kind: one for one in rows_told(tirana) if one.object == told(TIRANA, 1)["id"]}
    assert taken["statement"].state == "recalled"
    assert taken["statement"].received
    assert (taken["tombstone"].number, taken["tombstone"].state) == (head.number, "offered")
    assert taken["tombstone"].by == TIRANA.member
    await tirana.log.write(lambda tx: views.keep_receipt(tx, there.member, head.number, b"receipt", ()))
    taken = {one.kind: one for one in rows_told(tirana) if one.object == told(TIRANA, 1)["id"]}
    assert (taken["statement"].state, taken["tombstone"].state) == ("recall received", "received")


async def test_a_report_says_what_a_constituent_was_told(tirana: Station) -> None:
    await constituents.admit(tirana.log, "ministry", "", Tlp.AMBER, "officer")
    with tirana.log.read() as conn:
        recipient = kept.by_name(conn, "ministry").recipient()
        assert audit.recipient_named(conn, "ministry") == recipient.id
        assert audit.recipient_named(conn, "constituent:ministry") == recipient.id
        with pytest.raises(NotFound, match="no peer and no constituent 'nobody'"):
            audit.recipient_named(conn, "nobody")
    await hand_out.view(tirana.log, recipient, 0, hand_out.ROWS, utc_now())
    await tirana.recall(told(TIRANA, 1)["id"])
    await hand_out.view(tirana.log, recipient, 0, hand_out.ROWS, utc_now())
    found = [one for block in audit.told(tirana.log, recipient.id, Span()) for one in block]
    of_it = [(one.kind, one.state) for one in found if one.object == told(TIRANA, 1)["id"]]
    assert of_it == [("statement", "recalled"), ("change", "withdrawn")]
    assert {one.state for one in found} <= {"given", "recalled", "withdrawn"}


async def test_a_report_says_what_was_exported_for_a_peer(tirana: Station) -> None:
    with tirana.log.read() as conn:
        shown = looks.of_id(conn, told(TIRANA, 1)["id"])
    await Witness(tirana.log, utc_now).exported(ANALYST, PODGORICA.member, "peer=podgorica", shown)
    await Witness(tirana.log, utc_now).exported(ANALYST, "", "", shown)
    (one,) = [one for one in rows_told(tirana) if one.kind == "export"]
    assert (one.object, one.tlp, one.state) == (told(TIRANA, 1)["id"], "amber", "exported")
    assert "arta" in one.why


# --- who looked ---------------------------------------------------------------------------------------------------


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = "2026-03-01T12:00:00.000000Z"

    def __call__(self) -> str:
        return self.now


def looked(here: Station, by: str = "", stix_id: str = "") -> list[audit.Looked]:
    return [one for block in audit.looked(here.log, Span(), by, stix_id) for one in block]


def kinds(log: Log) -> list[str]:
    with log.read() as conn:
        return list(conn.scalars(select(_events.c.kind).order_by(_events.c.seq)))


async def test_who_looked_at_what_from_where_and_how(tirana: Station) -> None:
    with asked_from("192.0.2.9"):
        await Witness(tirana.log, utc_now).saw(
            ANALYST, "object", told(TIRANA, 1)["id"], [await first(tirana)]
        )
    rows = [one for one in looked(tirana, by="arta", stix_id=told(TIRANA, 1)["id"]) if one.way == "object"]
    (one,) = rows
    assert (one.by, one.source, one.question) == ("arta", "192.0.2.9", told(TIRANA, 1)["id"])
    assert looked(tirana, by="somebody") == []
    assert [one.object for one in looked(tirana) if one.way == "search"] == [
        told(TIRANA, n)["id"] for n in (1, 2)
    ]


async def first(here: Station) -> int:
    with here.log.read() as conn:
        return min(looks.of_id(conn, told(TIRANA, 1)["id"]))


async def test_a_page_that_refreshes_counts_and_no_look_is_lost(tirana: Station) -> None:
    clock = Clock()
    witness = Witness(tirana.log, clock)
    seq = await first(tirana)
    before = len(kinds(tirana.log))
    for second in range(50):
        clock.now = f"2026-03-01T12:00:{second:02d}.000000Z"
        await witness.saw(ANALYST, "desk", "", {seq})
    assert len(kinds(tirana.log)) == before + 1
    await witness.saw(ANALYST, "desk", "", {seq, seq + 1})  # what is new on the page is a look of its own
    await witness.saw(Who("besa", "192.0.2.9"), "desk", "", {seq})  # and so is whoever else looks
    await witness.saw(Who("arta", "192.0.2.10"), "desk", "", {seq})  # or looks from elsewhere
    assert len(kinds(tirana.log)) == before + 4
    clock.now = "2026-03-01T13:00:00.000000Z"
    await witness.saw(ANALYST, "desk", "", {seq})
    assert kinds(tirana.log)[before:] == ["looked"] * 4 + ["looked again", "looked"]
    (again,) = [one for one in looked(tirana) if one.again]
    assert (again.times, again.last, again.by) == (50, "2026-03-01T12:00:49.000000Z", "arta")
    (of,) = [one for one in looked(tirana) if one.event == again.again]
    assert of.way == "desk"
    assert words(verified(tirana)) == ""


async def test_what_was_counted_is_written_when_the_node_stops(tirana: Station) -> None:
    witness, seq = Witness(tirana.log, utc_now), await first(tirana)
    for _ in range(3):
        await witness.saw(ANALYST, "object", "x", {seq})
    await witness.close()
    (again,) = [one for one in looked(tirana) if one.again]
    assert again.times == 2


async def test_a_look_survives_the_purge_of_what_was_looked_at(tirana: Station) -> None:
    await purge.purge(tirana.log, tirana.member, [told(TIRANA, 1)["id"]], "a test", "admin")
    assert told(TIRANA, 1)["id"] in [one.object for one in looked(tirana)]
    assert words(verified(tirana)) == ""


def test_a_question_is_kept_short() -> None:
    assert looks.bounded("x" * 10_000) == "x" * (looks.QUESTION_CHARS - 1) + "…"
    assert looks.bounded("a\0b") == "a�b"


@pytest.mark.parametrize(
    ("tlp", "markings", "expected"),
    [
        (Tlp.CLEAR, None, 0),
        (Tlp.GREEN, None, 0),
        (Tlp.AMBER, None, 1),
        (Tlp.STRICT, None, 1),
        (Tlp.RED, None, 1),
        (Tlp.GREEN, ["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"], 1),  # TLP:RED
        (Tlp.CLEAR, ["marking-definition--00000000-0000-4000-8000-00000000000f"], 1),  # nobody can read it
    ],
)
async def test_what_is_restricted(
    station: Callable[..., Station], tlp: Tlp, markings: list[str] | None, expected: int
) -> None:
    here = station(TIRANA)
    one = told(TIRANA, 1, object_marking_refs=markings)
    await here.publish(one, tlp=tlp)
    with here.log.read() as conn:
        assert len(looks.restricted(conn, (), [one["id"]])) == expected


# --- who tried to get in ------------------------------------------------------------------------------------------


def refused(log: Log) -> list[tuple[str, int]]:
    with log.read() as conn:
        rows = conn.execute(
            select(_events.c.source, _events.c.detail)
            .where(_events.c.kind == "sign-in refused")
            .order_by(_events.c.seq)
        )
        return [(row.source, json.loads(row.detail)["times"]) for row in rows]


async def test_attempts_are_counted_by_the_minute_and_place(log: Log) -> None:
    clock = Clock()
    witness = Witness(log, clock)
    for _ in range(10):
        await witness.refused("192.0.2.66", "an unknown token")
    for number in range(10):  # one network of IPv6 is one place
        await witness.refused(f"2001:db8::{number}", "an unknown token")
    assert refused(log) == [("192.0.2.66", 1), ("2001:db8::/64", 1)]
    clock.now = "2026-03-01T12:01:00.000000Z"
    await witness.tick()
    assert refused(log)[2:] == [("192.0.2.66", 9), ("2001:db8::/64", 9)]


async def test_attempts_from_everywhere_do_not_fill_the_log(log: Log) -> None:
    witness = Witness(log, Clock())
    for number in range(400):
        await witness.refused(f"192.0.{number // 250}.{number % 250}", "an unknown token")
    assert len(refused(log)) == 101


# --- how lists are packed -----------------------------------------------------------------------------------------


@given(st.sets(st.integers(min_value=1, max_value=(1 << 63) - 1)))
def test_lists_of_contents_come_back_as_they_were(numbers: set[int]) -> None:
    assert list(looks.unpack(looks.pack(sorted(numbers)))) == sorted(numbers)


def test_a_list_that_is_cut_off_is_told() -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(looks.unpack(looks.pack([300])[:1]))
