"""Every decoder of bytes that come from outside: what it is given, and what it may raise. Anything else is a bug.

What is signed is read only after its signature holds, so that random bytes never get there: those decoders are given
payloads, which are signed before. `SEEDS` are what the corpus of each begins with.
"""

import contextlib
import gzip
import hashlib
import io
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.federation.keys import NOW, TIRANA, charter, roster
from tests.stix.examples import DOMAIN, indicator, versioned

from lezha.detection import constituency, pattern
from lezha.detection.readers import reader
from lezha.detection.sensor import Batch as Reports
from lezha.detection.sensor import Report
from lezha.federation import (
    carried,
    checkpoint,
    document,
    enrolment,
    envelope,
    frame,
    statement,
    tls,
    tombstone,
)
from lezha.federation import roster as rosters
from lezha.federation.carried import CarriedKind, Opened, Waybill
from lezha.federation.checkpoint import Checkpoint, Commitment
from lezha.federation.client import _title
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import EnrolmentError, Refused
from lezha.federation.frame import Batch, Frame, FrameKind, Receipt
from lezha.federation.statement import MemberKey
from lezha.federation.tombstone import Tombstone
from lezha.flows import ingest
from lezha.flows.errors import FlowError
from lezha.node import packing
from lezha.node.errors import NodeError
from lezha.stix import bundle, encode, markings, objects, timestamps
from lezha.stix.errors import StixError
from lezha.stix.stream import Splitter
from lezha.store import schema
from lezha.web import sensors
from lezha.web.peers import _message

MEMBER = TIRANA.member
KEYRING = {TIRANA.key.keyid: MemberKey(MEMBER, TIRANA.key)}
KEYS = [TIRANA.key]
AT = "2026-03-01T12:00:00.000000Z"
_ROOT = envelope.signer(TIRANA.root)
_ZEEK = reader("zeek")


class Target(NamedTuple):
    """A decoder, what it may raise, and what to begin with."""

    read: Callable[[bytes], object]
    may_raise: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def try_out(self, raw: bytes) -> None:
        """Read bytes; raise whatever the decoder must not."""
        with contextlib.suppress(*self.may_raise):
            self.read(raw)


def _sealed(kind: PayloadType, read: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Have a payload read as if it were signed by its member."""
    signer = _ROOT if kind is PayloadType.NODE else TIRANA.signer
    return lambda payload: read(envelope.seal(payload, kind, signer))


def _payload(raw: bytes, kind: PayloadType) -> bytes:
    return envelope.peek(raw, kind)


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: read(raw.decode("utf-8", "surrogateescape"))


def _object(raw: bytes) -> object:
    """All that is made of an object that comes in."""
    return ingest.content(objects.read(raw))


def _streamed(raw: bytes) -> object:
    """A file of objects, in two pieces and in one: what comes of both must be the same."""
    middle = len(raw) // 2
    one, two = _split([raw]), _split([raw[:middle], raw[middle:]])
    assert one == two, (one, two)
    return one


def _split(chunks: Iterable[bytes]) -> list[object]:
    splitter = Splitter()
    found: list[object] = []
    try:
        for chunk in chunks:
            found.extend(splitter.feed(chunk))
        splitter.finish()
    except StixError as error:
        found.append(type(error))
    return found


def _bundle(raw: bytes) -> object:
    return list(bundle.split(raw))


def _marking(raw: bytes) -> object:
    found = objects.read(raw)
    return markings.read_marking(found.data) if found.type == "marking-definition" else None


def _zeek(raw: bytes) -> object:
    record = _ZEEK.parse(raw)
    return None if record is None else (_ZEEK.seen(record), _ZEEK.joined(record))


def _inside(raw: bytes) -> object:
    return list(packing.unpacked(io.BytesIO(gzip.compress(raw, 1, mtime=0))))


def _constituency(text: str) -> object:
    return constituency.parse(text.split("\n"))


def _roster() -> bytes:
    return rosters.draft(roster(charter(TIRANA), 1), TIRANA.signer)


_FRAMES = (
    Frame(1, FrameKind.STATEMENT, bytes(32), b"envelope", (b"content", b"companion")),
    Frame(2, FrameKind.VOID, bytes(32), bytes(32)),
    Frame(3, FrameKind.TOMBSTONE, bytes(32), b"envelope"),
)
_RECEIPT = Receipt(MEMBER, MEMBER, "5a" * 16, 3, "0" * 64, AT, ((2, "bad_signature"),))
_LEAF = x509.load_pem_x509_certificate(tls.make_leaf(TIRANA.tls_root, MEMBER, NOW).certificate)
_OFFER = enrolment.Offer("a" * 16, "b" * 32, "https://192.0.2.1:8441", "c" * 64)
_IDENTITY = TIRANA.identity().encode()
_INDICATOR = encode(indicator())
_STIX = (
    _INDICATOR,
    _IDENTITY,
    *(versioned(kind, **DOMAIN[kind]) for kind in ("malware", "grouping") if kind in DOMAIN),
)
_STATED = encode(
    {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2022-07-15T08:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "PAP:RED"},
    }
)
_REPORTS = msgspec.json.encode(Reports("a", NOW, (Report("b", 2, NOW, NOW),)))
_HEADER = packing.Header(
    packing.FORMAT,
    packing.VERSION,
    "0.1.0",
    schema.VERSION,
    MEMBER,
    "tirana",
    AT,
    "sqlite",
    {"meta": ["name", "value"]},
)
_BACKUP = gzip.decompress(b"".join(packing.packed([_HEADER, packing.File("node.json", b"{}")])))
_ENVELOPES = (TIRANA.says(), _roster(), TIRANA.document())

TARGETS: dict[str, Target] = {
    "batch": Target(
        frame.decode,
        (Refused,),
        (
            frame.encode(Batch(1, "5a" * 16, AT)),
            frame.encode(Batch(1, "5a" * 16, AT, _FRAMES)),
        ),
    ),
    "pieces": Target(
        lambda raw: frame.join(raw, _FRAMES[0]), (Refused,), tuple(map(msgspec.msgpack.encode, _FRAMES))
    ),
    "envelope": Target(
        lambda raw: envelope.open_sealed(raw, PayloadType.STATEMENT, KEYS), (Refused,), _ENVELOPES
    ),
    "statement": Target(
        _sealed(PayloadType.STATEMENT, lambda raw: statement.read(raw, KEYRING)),
        (Refused,),
        (_payload(TIRANA.says(), PayloadType.STATEMENT),),
    ),
    "carried record": Target(
        carried.read_record,
        (Refused,),
        (msgspec.msgpack.encode(("batch", b"envelope", b"batch")), msgspec.msgpack.encode(("receipt", b"x"))),
    ),
    "waybill": Target(
        lambda payload: carried.read_waybill(
            Opened(CarriedKind.BATCH, envelope.seal(payload, PayloadType.WAYBILL, TIRANA.signer), b""),
            KEYRING,
            MEMBER,
        ),
        (Refused,),
        (msgspec.json.encode(Waybill(MEMBER, MEMBER, hashlib.sha256(b"").hexdigest(), AT)),),
    ),
    "claimed receiver": Target(
        carried.claimed_receiver,
        (Refused,),
        (frame.sign_receipt(_RECEIPT, TIRANA.signer),),
    ),
    "claimed objects": Target(statement.claimed_objects, (), (TIRANA.says(),)),
    "claimed ids": Target(objects.claimed_ids, (), _STIX),
    "claimed pattern": Target(objects.claimed_pattern, (), _STIX),
    "tombstone": Target(
        _sealed(PayloadType.TOMBSTONE, lambda raw: tombstone.read(raw, KEYRING)),
        (Refused,),
        (msgspec.json.encode(Tombstone(MEMBER, "1" * 64, AT, "why")),),
    ),
    "roster": Target(
        _sealed(PayloadType.ROSTER, rosters.read), (Refused,), (_payload(_roster(), PayloadType.ROSTER),)
    ),
    "node document": Target(
        _sealed(PayloadType.NODE, document.read),
        (Refused,),
        (_payload(TIRANA.document(), PayloadType.NODE),),
    ),
    "receipt": Target(
        _sealed(PayloadType.RECEIPT, lambda raw: frame.read_receipt(raw, KEYS, MEMBER, MEMBER)),
        (Refused,),
        (msgspec.json.encode(_RECEIPT),),
    ),
    "checkpoint": Target(
        _sealed(PayloadType.CHECKPOINT, lambda raw: checkpoint.read(raw, KEYS, MEMBER)),
        (Refused,),
        (msgspec.json.encode(Checkpoint(MEMBER, "5a" * 16, 7, "0" * 64, AT)),),
    ),
    "commitment": Target(
        _sealed(PayloadType.COMMITMENT, lambda raw: checkpoint.read_commitment(raw, KEYS, MEMBER)),
        (Refused,),
        (msgspec.json.encode(Commitment(MEMBER, "0" * 64, AT)),),
    ),
    "claimed commitment": Target(
        checkpoint.claimed,
        (Refused,),
        (checkpoint.sign_commitment(Commitment(MEMBER, "0" * 64, AT), TIRANA.signer).raw,),
    ),
    "invitation": Target(
        _text(enrolment.read_offer), (EnrolmentError,), (enrolment.write_offer(_OFFER).encode(),)
    ),
    "enrolment, commit": Target(
        lambda raw: _message(raw, enrolment.Commit),
        (EnrolmentError,),
        (msgspec.json.encode(enrolment.Commit("a" * 16, "b" * 32, "c" * 64)),),
    ),
    "enrolment, reveal": Target(
        lambda raw: _message(raw, enrolment.Reveal),
        (EnrolmentError,),
        (msgspec.json.encode(enrolment.Reveal("a" * 16, "b" * 32, "c" * 64, "{}")),),
    ),
    "words of an error": Target(_title, (), (b'{"title":"The batch is too large","code":"too_large"}',)),
    "certificate": Target(
        tls.claimed_member,
        (),
        (_LEAF.public_bytes(Encoding.DER),),
    ),
    "object": Target(_object, (StixError,), _STIX),
    "bundle": Target(_bundle, (StixError,), (bundle.write(_STIX), _INDICATOR)),
    "file of objects": Target(
        _streamed,
        (StixError,),
        (bundle.write(_STIX), b"[" + _INDICATOR + b"]", _INDICATOR + b"\n" + _IDENTITY),
    ),
    "marking": Target(
        _marking,
        (StixError,),
        (markings.definition("amber"), _STATED),
    ),
    "time": Target(
        _text(timestamps.normalise), (StixError,), (b"2026-03-01T12:00:00.123Z", b"2016-12-31T23:59:60Z")
    ),
    "pattern": Target(
        _text(lambda text: pattern.read(text, "stix")),
        (),
        (
            b"[ipv4-addr:value = '203.0.113.7']",
            b"[file:hashes.'SHA-256' = 'aa' OR file:name IN ('a')] FOLLOWEDBY [url:value LIKE 'x%'] WITHIN 5 SECONDS",
        ),
    ),
    "reports of a sensor": Target(sensors.read_reports, (FlowError,), (_REPORTS,)),
    "line of Zeek": Target(
        _zeek,
        (),
        (
            b'{"ts":1700000000.5,"uid":"C1","id.orig_h":"192.0.2.1","id.resp_p":8080,"host":"a.example","uri":"/x"}',
            b'{"ts":"2026-03-01T12:00:00Z","query":"a.example"}',
        ),
    ),
    "inside of a backup": Target(_inside, (NodeError,), (_BACKUP,)),
    "constituency": Target(
        _text(_constituency), (ValueError,), (b"192.0.2.0/24\nexample.al\n2001:db8::/32",)
    ),
}
"""By name, which is also that of the folder in corpus/."""
