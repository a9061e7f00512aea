"""A peer that was admitted and turns hostile: it has a valid certificate and says what it likes."""

import base64
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tests.battery.nodes import PeerAnswer, RunningNode, as_peer, indicator, lezha, running, until

from lezha.federation import envelope, frame
from lezha.federation.frame import Batch, Frame, FrameKind, Receipt
from lezha.federation.statement import Statement, sign
from lezha.node import identity
from lezha.node.clock import later, utc_now
from lezha.node.identity import Identity
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import read
from lezha.store.views import GENESIS

FRAMES = "/link/v1/frames"
TERMS = Terms(tlp=Tlp.AMBER, audience=Audience(everyone=True))


class HostilePeer:
    """An enrolled peer in the hands of an attacker, with its keys and its certificate."""

    def __init__(self, victim: RunningNode, node: RunningNode) -> None:
        self.victim = victim
        self.identity: Identity = identity.load(node.home)

    def post(self, raw: bytes) -> PeerAnswer:
        return as_peer(self.victim, self.identity.leaf, "POST", FRAMES, raw)

    def statement(self, raw: bytes, signer: CryptoSigner | None = None, **said: Any) -> bytes:
        found = read(raw)
        fields: dict[str, Any] = {
            "member": self.identity.member,
            "content": found.sha256,
            "object_id": found.id,
            "object_version": found.version,
            "issued": utc_now(),
            "terms": TERMS,
        }
        return sign(Statement(**(fields | said)), signer or self.identity.signer).raw

    def send(self, *parcels: tuple[bytes, tuple[bytes, ...]]) -> Receipt:
        """Send (envelope, contents) as the frames of a new stream and return the receipt."""
        previous, frames = GENESIS, []
        for number, (raw, contents) in enumerate(parcels, 1):
            frames.append(Frame(number, FrameKind.STATEMENT, previous, raw, contents))
            previous = frames[-1].chain()
        batch = Batch(frame.PROTOCOL, secrets.token_hex(16), utc_now(), tuple(frames))
        answer = self.post(frame.encode(batch))
        assert answer.status == 200, answer
        keys = identity.load(self.victim.home).known.document.verification_keys()
        return frame.read_receipt(answer.body, keys, self.victim.member, self.identity.member)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostilePeer]:
    with running(tmp_path_factory.mktemp("hostile"), "tirana", "podgorica") as (victim, node):
        node.stop()
        yield HostilePeer(victim, node)


def live(hostile: HostilePeer) -> tuple[int, int]:
    return hostile.victim.count("contents"), hostile.victim.count("statements")


def assert_put_aside(
    hostile: HostilePeer, raw_envelope: bytes, contents: tuple[bytes, ...], code: str
) -> None:
    """Send a bad frame and a good one behind it: the bad one is put aside, the good one is live."""
    good = indicator(f"good-{uuid.uuid4().hex}.example")
    before, quarantined = live(hostile), hostile.victim.count("quarantine")
    told = hostile.victim.get("/peers")[0]["put_aside"].get(code, 0)
    receipt = hostile.send((raw_envelope, contents), (hostile.statement(good), (good,)))
    assert (receipt.head, receipt.refused) == (2, ((1, code),))
    assert live(hostile) == (before[0] + 1, before[1] + 1)
    assert hostile.victim.count("quarantine") == quarantined + 1
    assert hostile.victim.rows("SELECT code FROM quarantine ORDER BY at DESC LIMIT 1") == [(code,)]
    assert hostile.victim.get("/peers")[0]["put_aside"][code] == told + 1
    assert hostile.victim.get("/objects", id=read(good).id)["objects"]


def assert_refused_whole(hostile: HostilePeer, raw: bytes, status: int, code: str | None) -> None:
    before = hostile.victim.written()
    answer = hostile.post(raw)
    assert (answer.status, json.loads(answer.body).get("code")) == (status, code)
    assert hostile.victim.written() == before
    assert hostile.victim.alive


def test_a_statement_that_was_tampered_with_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("tampered.example")
    signed = json.loads(hostile.statement(raw))
    payload = base64.b64decode(signed["payload"]).replace(b'"amber"', b'"clear"')
    tampered = json.dumps(signed | {"payload": base64.b64encode(payload).decode()}).encode()
    assert_put_aside(hostile, tampered, (raw,), "bad_signature")


def test_an_object_whose_bytes_were_altered_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("altered.example")
    assert_put_aside(
        hostile, hostile.statement(raw), (raw.replace(b"altered", b"changed"),), "content_mismatch"
    )


def test_a_statement_by_an_unknown_key_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("unknown-key.example")
    stranger = envelope.signer(Ed25519PrivateKey.generate())
    assert_put_aside(hostile, hostile.statement(raw, stranger), (raw,), "unknown_key")


def test_a_statement_in_another_members_name_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("wrong-name.example")
    forged = hostile.statement(raw, member=hostile.victim.member)
    assert_put_aside(hostile, forged, (raw,), "wrong_member")


def test_an_object_that_claims_another_member_as_its_creator_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("wrong-creator.example", created_by_ref=hostile.victim.member)
    assert_put_aside(hostile, hostile.statement(raw), (raw,), "authority")


def test_a_statement_about_another_object_than_it_carries_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("other-subject.example")
    forged = hostile.statement(raw, object_id=f"indicator--{uuid.uuid4()}")
    assert_put_aside(hostile, forged, (raw,), "content_mismatch")


def test_a_statement_from_the_future_is_put_aside(hostile: HostilePeer) -> None:
    raw = indicator("future.example")
    assert_put_aside(hostile, hostile.statement(raw, issued=later(utc_now(), hours=1)), (raw,), "clock_ahead")


def test_a_statement_from_the_near_future_is_taken_once_its_time_has_come(hostile: HostilePeer) -> None:
    node, raw = hostile.victim, indicator("near-future.example")
    issued = later(utc_now(), minutes=5, seconds=12)
    assert_put_aside(hostile, hostile.statement(raw, issued=issued), (raw,), "clock_ahead")
    (held,) = node.get("/quarantine", code="clock_ahead", limit="1")["held"]
    until(lambda: node.get(f"/quarantine/{held['id']}")["held"]["until"] != "", 15)
    shown = lezha("quarantine", "show", str(held["id"]), "--home", node.home).stdout
    assert f"held until {later(issued, minutes=-5)}: then this node takes it by itself" in shown
    until(lambda: node.get(f"/quarantine/{held['id']}")["held"]["verdict"] == "accepted", 40)
    assert node.get(f"/quarantine/{held['id']}")["held"]["by"] == "node"
    assert utc_now() > later(issued, minutes=-5)
    assert node.get("/objects", value="near-future.example")


def test_bytes_that_are_not_stix_are_put_aside(hostile: HostilePeer) -> None:
    raw = b'{"tlp":"red","tlp":"clear"}'
    said: dict[str, Any] = {"content": hashlib.sha256(raw).hexdigest()}
    assert_put_aside(
        hostile, hostile.statement(indicator("not-stix.example"), **said), (raw,), "invalid_object"
    )


def test_two_objects_of_one_version_by_their_creator_are_equivocation(hostile: HostilePeer) -> None:
    stix_id = f"indicator--{uuid.uuid4()}"
    one, other = (
        indicator(name, id=stix_id, created_by_ref=hostile.identity.member)
        for name in ("one.example", "other.example")
    )
    before = live(hostile)
    receipt = hostile.send((hostile.statement(one), (one,)), (hostile.statement(other), (other,)))
    assert [code for _, code in receipt.refused] == ["equivocation"]
    assert live(hostile) == (before[0] + 2, before[1] + 2)  # both are kept, neither counts
    disputes = hostile.victim.rows("SELECT stix_id FROM disputes")
    assert (stix_id,) in disputes


def test_a_frame_that_continues_another_chain_is_not_taken(hostile: HostilePeer) -> None:
    raw = indicator("fork.example")
    forked = Frame(1, FrameKind.STATEMENT, bytes(31) + b"x", hostile.statement(raw), (raw,))
    before = live(hostile)
    answer = hostile.post(frame.encode(Batch(frame.PROTOCOL, secrets.token_hex(16), utc_now(), (forked,))))
    assert answer.status == 200
    assert live(hostile) == before
    assert hostile.victim.rows("SELECT count(*) FROM events WHERE kind = 'fork'") == [(1,)]


def test_a_batch_that_comes_twice_counts_once(hostile: HostilePeer) -> None:
    raw = indicator("twice.example")
    only = Frame(1, FrameKind.STATEMENT, GENESIS, hostile.statement(raw), (raw,))
    batch = frame.encode(Batch(frame.PROTOCOL, secrets.token_hex(16), utc_now(), (only,)))
    before = live(hostile)
    assert [hostile.post(batch).status for _ in range(2)] == [200, 200]
    assert live(hostile) == (before[0] + 1, before[1] + 1)


def resident_mb(node: RunningNode) -> float:
    assert node.process is not None
    for line in Path(f"/proc/{node.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel tells no RssAnon")


def test_pieces_without_end_cost_a_bounded_memory_and_hold_nothing_up(hostile: HostilePeer) -> None:
    life = secrets.token_hex(16)

    def post(one: Frame) -> Receipt:
        answer = hostile.post(frame.encode(Batch(frame.PROTOCOL, life, utc_now(), (one,))))
        assert answer.status == 200, answer
        keys = identity.load(hostile.victim.home).known.document.verification_keys()
        return frame.read_receipt(answer.body, keys, hostile.victim.member, hostile.identity.member)

    def piece(offset: int, total: int, raw: bytes) -> Frame:
        place = offset.to_bytes(8, "big") + total.to_bytes(8, "big")
        return Frame(1, FrameKind.PIECE, GENESIS, raw, (place,))

    most = frame.MAX_BATCH_BYTES
    before = resident_mb(hostile.victim)
    for number in range(40):  # always another frame, and never its end
        receipt = post(piece(0, most - number, bytes(1 << 20)))
        assert (receipt.head, receipt.begun) == (0, 1 << 20)
    for number in range(7):
        receipt = post(piece(number << 20, most, bytes(1 << 20)))
        assert (receipt.head, receipt.begun) == (0, (number + 1) << 20)
    assert resident_mb(hostile.victim) < before + 64
    raw = indicator("at-last.example")
    receipt = post(Frame(1, FrameKind.STATEMENT, GENESIS, hostile.statement(raw), (raw,)))
    assert (receipt.head, receipt.refused) == (1, ())
    assert hostile.victim.get("/objects", id=read(raw).id)["objects"]


def test_pieces_that_are_no_frame_together_are_refused(hostile: HostilePeer) -> None:
    place = bytes(8) + (64).to_bytes(8, "big")
    one = Frame(1, FrameKind.PIECE, GENESIS, bytes(64), (place,))
    raw = frame.encode(Batch(frame.PROTOCOL, secrets.token_hex(16), utc_now(), (one,)))
    assert_refused_whole(hostile, raw, 422, "malformed_batch")


def test_a_batch_in_another_version_of_the_protocol_is_refused(hostile: HostilePeer) -> None:
    raw = frame.encode(Batch(frame.PROTOCOL + 1, "5a" * 16, utc_now()))
    assert_refused_whole(hostile, raw, 422, "wrong_protocol")


def test_a_batch_that_was_cut_off_is_refused(hostile: HostilePeer) -> None:
    raw = indicator("cut-off.example")
    only = Frame(1, FrameKind.STATEMENT, GENESIS, hostile.statement(raw), (raw,))
    whole = frame.encode(Batch(frame.PROTOCOL, "5a" * 16, utc_now(), (only,)))
    assert_refused_whole(hostile, whole[:-10], 422, "malformed_batch")


def test_a_batch_of_too_many_frames_is_refused(hostile: HostilePeer) -> None:
    void = Frame(1, FrameKind.VOID, GENESIS, bytes(32))
    raw = frame.encode(Batch(frame.PROTOCOL, "5a" * 16, utc_now(), (void,) * (frame.BATCH_FRAMES + 1)))
    assert_refused_whole(hostile, raw, 422, "malformed_batch")


def test_a_giant_batch_is_refused(hostile: HostilePeer) -> None:
    void = Frame(1, FrameKind.VOID, GENESIS, bytes(32), (bytes(frame.MAX_BATCH_BYTES),))
    raw = frame.encode(Batch(frame.PROTOCOL, "5a" * 16, utc_now(), (void,)))
    assert_refused_whole(hostile, raw, 413, None)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"\xff" * 64, b"\x91" * 100_000, msgspec.msgpack.encode(["1", 2, 3])],
    ids=["nothing", "json", "noise", "nesting bomb", "other types"],
)
def test_what_is_not_a_batch_is_refused(hostile: HostilePeer, raw: bytes) -> None:
    assert_refused_whole(hostile, raw, 422, "malformed_batch")


def test_a_batch_that_was_begun_before_the_peer_was_suspended_is_not_taken(hostile: HostilePeer) -> None:
    def slowly(raw: bytes) -> Iterator[bytes]:
        yield raw[:100]
        time.sleep(1)  # the node has seen who it is
        hostile.victim.post("/peers/podgorica/suspend", {})
        yield raw[100:]

    raw = indicator("late.example")
    one = Frame(1, FrameKind.STATEMENT, GENESIS, hostile.statement(raw), (raw,))
    batch = Batch(frame.PROTOCOL, secrets.token_hex(16), utc_now(), (one,))
    before = live(hostile)
    try:
        answer = as_peer(hostile.victim, hostile.identity.leaf, "POST", FRAMES, slowly(frame.encode(batch)))
    finally:
        hostile.victim.post("/peers/podgorica/resume", {})
    keys = identity.load(hostile.victim.home).known.document.verification_keys()
    receipt = frame.read_receipt(answer.body, keys, hostile.victim.member, hostile.identity.member)
    assert receipt.refused == ((1, frame.SUSPENDED),)
    assert live(hostile) == before


def test_the_key_of_the_victim_is_not_needed_for_any_of_this(hostile: HostilePeer) -> None:
    # The tests above would prove nothing if they spoke with the victim's own keys.
    own = Path(hostile.victim.home, "keys", "signing.pem").read_bytes()
    assert own != (hostile.identity.leaf.parent / "signing.pem").read_bytes()
