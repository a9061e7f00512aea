"""A member's new node document reaches its peers, and takes the place of the old one only if it may."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from tests.federation.keys import PODGORICA, TIRANA, Party
from tests.flows.alliance import (
    SENSOR,
    VIENNA,
    Station,
    alliance,
    batch,
    deliver,
    pack,
    said,
    stream,
    take,
    told,
    written,
)

from lezha.federation import checkpoint, document, envelope, frame
from lezha.federation.checkpoint import Commitment
from lezha.federation.document import RevokedKey
from lezha.federation.frame import FrameKind
from lezha.flows import detect, introduce, renew, share
from lezha.flows.errors import FlowError
from lezha.node.clock import later, utc_now
from lezha.store import checkpoints, documents, schema, views
from lezha.store.checkpoints import Made
from lezha.store.log import Log
from lezha.store.peers import PeerState

Three = tuple[Station, Station, Station]
ONE, TWO = (str(told(TIRANA, number)["id"]) for number in (1, 2))


@pytest.fixture
async def three(station: Callable[[Party], Station]) -> Three:
    """Tirana, Podgorica and Vienna, who all know one another."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    return stations


def other_key(party: Party, number: int = 9) -> Party:
    """The same member with another signing key."""
    made = copy.copy(party)
    made.signing = Ed25519PrivateKey.from_private_bytes(bytes([number, 2]) * 16)
    made.signer, made.public = envelope.signer(made.signing), envelope.public_hex(made.signing)
    made.key = envelope.key(made.public)
    return made


def later_document(one: Station, *roots: Ed25519PrivateKey, **changes: Any) -> bytes:
    """A document after the first, signed by the station's root unless others are given."""
    new = replace(one.document, **({"number": 2} | changes))
    return document.sign(new, *map(envelope.signer, roots or (one.party.root,)))


async def announce(one: Station, raw: bytes) -> None:
    """Start the station's node with another document, as it were."""
    known = document.read(raw)
    await one.log.write(lambda tx: renew.announce(tx, known))
    one.document = known.document


async def receipted(one: Station, by: Station, *refused: tuple[int, str]) -> None:
    """Deliver what is there and keep the receipt, as the link does."""
    head = (await deliver(one, by)).head
    await one.log.write(lambda tx: views.keep_receipt(tx, by.member, head, b"", refused))


def held(here: Station, of: Station) -> int:
    return document.read(here.peer(of).document).document.number


async def test_a_new_document_is_in_force_at_every_peer_that_it_reaches(three: Three) -> None:
    tirana, podgorica, vienna = three
    await announce(tirana, later_document(tirana, endpoints=("https://192.0.2.9:8441",)))
    for other in (podgorica, vienna):
        receipt = await deliver(tirana, other)
        assert (receipt.head, receipt.refused, held(other, tirana)) == (1, (), 2)
        assert other.peer(tirana).endpoint == "https://192.0.2.9:8441"


async def test_what_is_signed_by_a_new_key_counts_once_the_document_is_there(three: Three) -> None:
    tirana, podgorica, _ = three
    before, tirana.party = tirana.party, other_key(TIRANA)
    keys = (tirana.party.public, before.public)
    await announce(tirana, later_document(tirana, signing_keys=keys))
    tirana.__dict__.pop("author", None)
    await tirana.publish(told(TIRANA, 1))
    receipt = await deliver(tirana, podgorica)
    assert (receipt.head, receipt.refused) == (2, ())
    assert podgorica.holds(ONE) == [True]


async def test_a_document_ends_its_batch_and_what_comes_with_it_all_the_same_is_left_for_the_next(
    three: Three,
) -> None:
    tirana, podgorica, _ = three
    turned = other_key(TIRANA)
    raw = later_document(tirana, signing_keys=(turned.public, TIRANA.public))
    await announce(tirana, raw)
    await tirana.publish(told(TIRANA, 2))
    sent = await pack(tirana, podgorica)
    assert [one.kind for one in sent.frames] == [FrameKind.DOCUMENT]

    frames = stream(frame.pack_document(raw), said(turned, written(TIRANA, 1)))
    receipt = await take(podgorica, tirana, batch(*frames))
    assert (receipt.head, receipt.refused) == (1, ())
    receipt = await take(podgorica, tirana, batch(*frames))
    assert (receipt.head, receipt.refused, podgorica.holds(ONE)) == (2, (), [True])


async def test_whoever_joined_later_was_introduced_by_it_already(station: Callable[[Party], Station]) -> None:
    tirana, podgorica = station(TIRANA), station(PODGORICA)
    await tirana.links(podgorica, since=later(utc_now(), minutes=1))
    await announce(tirana, later_document(tirana))
    head = await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert head.number == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"number": 1, "title": "Another"}, "old_document"),
        ({"number": 0}, "old_document"),
        ({"identity": TIRANA.identity("Somebody else")}, "changed_identity"),
        ({"signing_keys": (PODGORICA.public,)}, "taken_key"),
    ],
)
async def test_a_document_that_may_not_follow_is_refused_and_the_old_one_stays(
    three: Three, changes: dict[str, Any], code: str
) -> None:
    tirana, podgorica, _ = three
    raw = later_document(tirana, **changes)
    receipt = await take(podgorica, tirana, batch(*stream(frame.pack_document(raw))))
    assert receipt.refused == ((1, code),)
    assert held(podgorica, tirana) == 1


async def test_nobody_brings_the_document_of_another(three: Three) -> None:
    tirana, podgorica, vienna = three
    raw = later_document(tirana)
    receipt = await take(podgorica, vienna, batch(*stream(frame.pack_document(raw))))
    assert receipt.refused == ((1, "wrong_member"),)
    assert held(podgorica, tirana) == 1


async def test_a_new_root_counts_if_the_old_one_has_signed_it_and_only_then(three: Three) -> None:
    tirana, podgorica, vienna = three
    root = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    public = envelope.public_hex(root)
    alone = later_document(tirana, root, root=public)
    receipt = await take(podgorica, tirana, batch(*stream(frame.pack_document(alone))))
    assert receipt.refused == ((1, "changed_root"),)
    both = later_document(tirana, root, TIRANA.root, root=public)
    receipt = await take(vienna, tirana, batch(*stream(frame.pack_document(both))))
    assert (receipt.refused, held(vienna, tirana)) == ((), 2)
    third = later_document(tirana, root, root=public, number=3)
    follow = stream(frame.pack_document(both), frame.pack_document(third))
    receipt = await take(vienna, tirana, batch(follow[1]))
    assert (receipt.refused, held(vienna, tirana)) == ((), 3)


async def test_the_same_document_again_changes_nothing(three: Three) -> None:
    tirana, podgorica, _ = three
    raw = later_document(tirana)
    await take(podgorica, tirana, batch(*stream(frame.pack_document(raw))))
    again = replace(batch(*stream(frame.pack_document(raw))), incarnation="fedcba9876543210")
    receipt = await take(podgorica, tirana, again)
    assert (receipt.refused, held(podgorica, tirana)) == ((), 2)


async def test_a_document_with_contents_is_refused(three: Three) -> None:
    tirana, podgorica, _ = three
    parcel = replace(frame.pack_document(later_document(tirana)), contents=(b"{}",))
    receipt = await take(podgorica, tirana, batch(*stream(parcel)))
    assert receipt.refused == ((1, "malformed_document"),)


async def test_what_a_key_signed_after_it_was_given_away_ends_and_what_was_seen_before_stays(
    three: Three,
) -> None:
    tirana, podgorica, vienna = three
    turned = other_key(TIRANA)
    await take(podgorica, tirana, batch(*stream(said(TIRANA, written(TIRANA, 1)))))
    since = utc_now()
    forged = stream(said(TIRANA, written(TIRANA, 1)), said(TIRANA, written(TIRANA, 2)))
    await take(podgorica, tirana, batch(forged[1]))
    assert await podgorica.watches() == ["203.0.113.1", "203.0.113.2"]

    revoked = (RevokedKey(TIRANA.public, since),)
    raw = later_document(tirana, signing_keys=(turned.public,), revoked=revoked)
    after = stream(frame.pack_document(raw), start=3, previous=forged[1].chain())
    receipt = await take(podgorica, tirana, batch(*after))
    assert (receipt.refused, held(podgorica, tirana)) == ((), 2)
    assert await podgorica.watches() == ["203.0.113.1"]
    # It is passed on to nobody any more, and whatever else is signed by that key is refused.
    assert await podgorica.withheld(vienna) == {ONE: "admitted_later", TWO: "recalled"}
    more = stream(said(TIRANA, written(TIRANA, 3)), start=4, previous=after[0].chain())
    receipt = await take(podgorica, tirana, batch(*more))
    assert receipt.refused == ((4, "unknown_key"),)


async def test_a_revocation_stays_and_can_only_reach_further_back(three: Three) -> None:
    tirana, podgorica, _ = three
    early = utc_now()
    first = stream(said(TIRANA, written(TIRANA, 1)), said(TIRANA, written(TIRANA, 2)))
    await take(podgorica, tirana, batch(first[0]))
    late = utc_now()
    await take(podgorica, tirana, batch(first[1]))
    turned, end = other_key(TIRANA).public, first[1]

    async def revoke(number: int, at: int, *revoked: RevokedKey) -> tuple[tuple[int, str], ...]:
        nonlocal end
        raw = later_document(tirana, signing_keys=(turned,), revoked=revoked, number=number)
        (end,) = stream(frame.pack_document(raw), start=at, previous=end.chain())
        return (await take(podgorica, tirana, batch(end))).refused

    assert await revoke(2, 3, RevokedKey(TIRANA.public, late)) == ()
    assert await podgorica.watches() == ["203.0.113.1"]
    assert await revoke(3, 4) == ((4, "unrevoked"),)
    assert await revoke(3, 5, RevokedKey(TIRANA.public, utc_now())) == ((5, "unrevoked"),)
    assert await revoke(3, 6, RevokedKey(TIRANA.public, early)) == ()
    assert await podgorica.watches() == []
    kinds = podgorica.rows(schema.events, "kind", "actor")
    assert kinds.count(("discredited", tirana.member)) == 2


async def test_a_document_that_will_not_be_taken_has_nothing_looked_through(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana, podgorica, vienna = three
    await take(podgorica, tirana, batch(*stream(said(TIRANA, written(TIRANA, 1)))))
    looked: list[object] = []

    def looks(*given: object) -> list[object]:
        looked.append(given)
        return []

    monkeypatch.setattr(documents, "seen_between", looks)
    forged = replace(
        tirana.document,
        number=2,
        root=envelope.public_hex(VIENNA.root),
        signing_keys=(VIENNA.public,),
        revoked=(RevokedKey(TIRANA.public, "2020-01-01T00:00:00.000000Z"),),
    )
    raw = document.sign(forged, envelope.signer(VIENNA.root))
    receipt = await take(podgorica, vienna, batch(*stream(frame.pack_document(raw))))
    assert receipt.refused == ((1, "wrong_member"),)
    assert looked == []


async def test_who_knows_a_document_is_told_alike_on_both_engines(
    log: Log, station: Callable[[Party], Station]
) -> None:
    tirana, podgorica = Station(TIRANA, log), station(PODGORICA)
    await alliance(tirana, podgorica)
    raw = later_document(tirana)
    await announce(tirana, raw)

    def unaware() -> list[str]:
        with log.read() as conn:
            return renew.unaware(conn, document.read(raw))

    assert unaware() == ["podgorica"]
    await receipted(tirana, podgorica)
    assert unaware() == []
    # And what a key given away has spoilt, told to this engine.
    await podgorica.publish(told(PODGORICA, 1))
    await deliver(podgorica, tirana)
    turned, since = other_key(PODGORICA).public, "2020-01-01T00:00:00.000000Z"
    podgorica_new = later_document(
        podgorica, signing_keys=(turned,), revoked=(RevokedKey(PODGORICA.public, since),)
    )
    await announce(podgorica, podgorica_new)
    assert (await deliver(podgorica, tirana)).refused == ()
    assert await tirana.watches() == []


async def test_a_sensor_that_has_it_is_told_that_it_ended(three: Three) -> None:
    tirana, podgorica, _ = three
    since = utc_now()
    first = stream(said(TIRANA, written(TIRANA, 1)))
    await take(podgorica, tirana, batch(*first))
    feed = await detect.feed(podgorica.log, SENSOR, 0, utc_now())
    raw = later_document(
        tirana, signing_keys=(other_key(TIRANA).public,), revoked=(RevokedKey(TIRANA.public, since),)
    )
    await take(
        podgorica, tirana, batch(*stream(frame.pack_document(raw), start=2, previous=first[0].chain()))
    )
    changed = await detect.feed(podgorica.log, SENSOR, feed.head, utc_now())
    assert [one.observables for one in changed.items] in ([], [()])
    assert await podgorica.watches() == []


async def test_an_earlier_document_in_the_folder_is_noticed(three: Three) -> None:
    tirana, _, _ = three
    first = tirana.document
    await announce(tirana, later_document(tirana))
    with pytest.raises(FlowError, match="peers were told of 2"):
        await announce(tirana, document.sign(first, envelope.signer(TIRANA.root)))


async def test_who_does_not_know_the_document_yet_is_told_by_name(three: Three) -> None:
    tirana, podgorica, vienna = three
    raw = later_document(tirana)
    known = document.read(raw)
    await announce(tirana, raw)

    def unaware() -> list[str]:
        with tirana.log.read() as conn:
            return renew.unaware(conn, known)

    assert unaware() == ["podgorica", "vienna"]
    for other in (podgorica, vienna):
        await receipted(tirana, other)
    assert unaware() == []
    await receipted(tirana, podgorica, (1, "changed_root"))
    assert unaware() == ["podgorica"]


async def test_a_suspended_peer_is_not_told(three: Three) -> None:
    tirana, podgorica, _ = three
    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await announce(tirana, later_document(tirana))
    head = await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert head.number == 0


async def test_what_a_node_said_of_itself_and_went_void_while_a_peer_was_suspended_is_told_again(
    three: Three,
) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(told(TIRANA, 1))
    head = (await deliver(tirana, podgorica)).head
    raw = later_document(tirana)
    await announce(tirana, raw)
    made = checkpoint.sign_commitment(
        Commitment(TIRANA.member, "5" * 64, "2026-03-01T12:00:00.000000Z"), TIRANA.signer
    )
    kept = Made(0, made.commitment.at, b"", b"", made.digest, made.raw)
    await tirana.log.write(lambda tx: checkpoints.add(tx, "commitment", made.digest, "node", kept))
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())

    await introduce.change(tirana.log, "podgorica", PeerState.SUSPENDED, "test")
    await tirana.recall(ONE)
    recipient = tirana.peer(podgorica).recipient()
    assert (await share.decide_recalls(tirana.log, recipient)).number == head + 3
    sent = await pack(tirana, podgorica, head)
    assert [one.kind for one in sent.frames] == [FrameKind.VOID, FrameKind.VOID, FrameKind.TOMBSTONE]
    assert (await take(podgorica, tirana, sent)).head == head + 3
    await tirana.log.write(lambda tx: views.keep_receipt(tx, podgorica.member, head + 3, b"receipt", ()))

    await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")
    with tirana.log.read() as conn:
        assert renew.unaware(conn, document.read(raw)) == ["podgorica", "vienna"]
    sent = await pack(tirana, podgorica, head + 3)
    assert [one.kind for one in sent.frames] == [FrameKind.DOCUMENT]
    assert (await deliver(tirana, podgorica)).refused == ()
    assert podgorica.peer(tirana).document == raw
    assert [member for member, _ in podgorica.rows(schema.kept_commitments, "member", "at")] == [
        TIRANA.member
    ]
    await share.decide(tirana.log, tirana.peer(podgorica).recipient())
    assert len(tirana.rows(schema.voids, "number")) == 2
