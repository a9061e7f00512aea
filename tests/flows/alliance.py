"""Stations: members with keys and logs that publish, decide, send and receive as nodes do, without the network."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from tests.federation.keys import AT, PODGORICA, TIRANA, Party
from tests.stix.examples import indicator

from lezha.detection.constituency import Constituency
from lezha.federation import document, envelope, frame, members, tombstone
from lezha.federation.document import NodeDocument, RevokedKey
from lezha.federation.envelope import PayloadType
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel, Receipt
from lezha.federation.members import Members
from lezha.federation.outbox import Send
from lezha.federation.pieces import Pieces
from lezha.federation.statement import sign
from lezha.federation.tombstone import Tombstone
from lezha.federation.turn import Turn
from lezha.flows import batches, convene, detect, ingest, look, publish, recall, receive, share
from lezha.flows.convene import Convener, Draft
from lezha.flows.introduce import Host
from lezha.flows.publish import Author, Published, Request
from lezha.flows.recall import Recalled
from lezha.flows.receive import Arrival
from lezha.flows.vet import Receiver
from lezha.node.clock import later, utc_now
from lezha.sharing.community import Community
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode, objects, timestamps
from lezha.store import contents, peers, schema, statements, views
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState

VIENNA, PRISTINA = Party(3), Party(4)
NAMES = {
    TIRANA.member: "tirana",
    PODGORICA.member: "podgorica",
    VIENNA.member: "vienna",
    PRISTINA.member: "pristina",
}
SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
INCARNATION = "0123456789abcdef"


class Station:
    """One member with its log."""

    def __init__(self, party: Party, log: Log) -> None:
        self.party, self.log, self.member, self.name = party, log, party.member, NAMES[party.member]
        self.own = Constituency()
        self.document = party.written(
            name=self.name, title=self.name.title(), identity=party.identity(self.name)
        )

    @cached_property
    def host(self) -> Host:
        raw = self.party.document(
            name=self.name, title=self.name.title(), identity=self.party.identity(self.name)
        )
        return Host(document.read(raw), Tlp.STRICT)

    @cached_property
    def author(self) -> Author:
        identity = ingest.content(objects.read(self.document.identity.encode()))
        return Author(self.member, self.party.signer, identity)

    @property
    def convener(self) -> Convener:
        return Convener(self.member, self.name, {self.party.public: self.party.signer})

    @property
    def members(self) -> Members:
        with self.log.read() as conn:
            linked = [_read(peer.document) for peer in peers.listed(conn)]
        return members.known([self.document, *linked])

    @property
    def receiver(self) -> Receiver:
        return Receiver(self.member, self.party.written(), self.party.signer, self.members, self.own)

    async def links(self, *others: "Station", state: PeerState = PeerState.ACTIVE, since: str = "") -> None:
        """Know these as peers; `test_introduce` tells how that comes about."""
        at = since or utc_now()

        def work(tx: Tx) -> None:
            for one in others:
                raw = one.host.known.raw
                peer = Peer(one.member, one.name, state, "", Tlp.STRICT, at, 1, "https://192.0.2.1", raw)
                peers.add(tx, peer, "test")

        await self.log.write(work)

    def peer(self, other: "Station") -> Peer:
        with self.log.read() as conn:
            return peers.by_member(conn, other.member)

    def request(
        self, *told: dict[str, Any], to: Sequence[str] = ("everyone",), strict: bool = False, **terms: Any
    ) -> Request:
        with self.log.read() as conn:
            audience = publish.audience(conn, to)
        raw = bundle.write([encode(one) for one in told])
        plain = Terms(tlp=Tlp.GREEN, audience=audience)
        return Request(raw, msgspec.structs.replace(plain, **terms), strict)

    async def publish(self, *told: dict[str, Any], **terms: Any) -> Published:
        return await publish.publish(
            self.log, self.author, self.members, self.request(*told, **terms), "test"
        )

    async def recall(self, stix_id: str, **how: Any) -> Recalled:
        return await recall.recall(
            self.log, self.author, self.members, recall.Request(stix_id, **how), "test"
        )

    async def watches(self, now: str = "") -> list[str]:
        """The values that a sensor looks for which starts now."""
        feed = await detect.feed(self.log, SENSOR, 0, now or utc_now())
        return sorted(value for item in feed.items for _, value in item.observables)

    def fates(self, stix_id: str) -> dict[str, str]:
        """What became of the newest statement about an object, by peer."""
        with self.log.read() as conn:
            told = [one for report in look.object_report(conn, stix_id) for one in report.told]
        return {one.peer: one.state.value for one in told}

    async def withheld(self, other: "Station") -> dict[str, str]:
        """Object id -> why it is withheld from `other`, as decided now."""
        await share.decide(self.log, self.peer(other).recipient())
        with self.log.read() as conn:
            reasons = views.withheld_from(conn, other.member)
            found = statements.facts(conn, list(reasons))
            rows = conn.execute(select(schema.contents.c.hash, schema.contents.c.stix_id))
            names = {row.hash: row.stix_id for row in rows}
        return {names[one.content]: reasons[one.statement].value for one in found}

    def holds(self, *stix_ids: str) -> list[bool]:
        with self.log.read() as conn:
            held = contents.ids_held(conn, stix_ids)
        return [one in held for one in stix_ids]

    def bytes_of(self, stix_id: str) -> list[bytes]:
        """The bytes of all versions of an object."""
        with self.log.read() as conn:
            table, bodies = schema.contents, schema.bodies
            of = bodies.c.content == table.c.seq
            return list(
                conn.scalars(select(bodies.c.bytes).join(table, of).where(table.c.stix_id == stix_id))
            )

    def rows(self, table: Any, *columns: str) -> list[tuple[Any, ...]]:
        """Some columns of a table, in order of their values."""
        with self.log.read() as conn:
            return sorted(tuple(row) for row in conn.execute(select(*(table.c[name] for name in columns))))


@cache
def _read(raw: bytes) -> NodeDocument:
    return document.read(raw).document


@contextmanager
def copied(empty: Path) -> Iterator[Log]:
    """Open a copy of an empty log for an example of hypothesis."""
    path = shutil.copyfile(empty, empty.with_name(f"{uuid4().hex}.db"))
    log = Log(f"sqlite:///{path}", utc_now)
    try:
        yield log
    finally:
        log.close()
        path.unlink()


async def alliance(*stations: Station) -> None:
    """Have all know all."""
    for one in stations:
        await one.links(*(other for other in stations if other is not one))


async def roster(name: str, steward: Station, *others: Station) -> bytes:
    """The first roster of a community, signed by its one steward; nobody has accepted it yet."""
    draft = Draft(
        name,
        ("self", *(one.name for one in others)),
        ("self",),
        1,
        utc_now(),
        later(utc_now(), days=30),
    )
    with steward.log.read() as conn:
        return convene.found(conn, steward.convener, draft)


async def found(name: str, steward: Station, *others: Station) -> Community:
    """Found a community that all its members have accepted."""
    raw = await roster(name, steward, *others)
    for one in others:
        await convene.accept(one.log, raw, "test")
    return await convene.accept(steward.log, raw, "test")


async def pack(sender: Station, to: Station, after: int = 0, now: str = "", begun: int = 0) -> Batch:
    """What the sender's link would send next; what is denied by now is made void before."""
    recipient = sender.peer(to).recipient()
    await share.decide(sender.log, recipient)
    with sender.log.read() as conn:
        packed = batches.pack(conn, recipient, INCARNATION, Send(after, begun=begun), now or utc_now())
    if packed.denied:
        await sender.log.write(lambda tx: views.void(tx, to.member, packed.denied))
    return packed.batch


def free(_objects: int) -> None:
    """Let what is taken cost its peer nothing."""


async def take(
    receiver: Station,
    sender: Station,
    sent: Batch,
    latest: str = "",
    pieces: Pieces | None = None,
    spend: Callable[[int], None] = free,
) -> Receipt:
    """Carry a batch over and the receipt back."""
    latest = latest or later(utc_now(), minutes=5)
    arrival = Arrival(frame.decode(frame.encode(sent)), latest, pieces or Pieces(), Turn(None), spend)
    raw = await receive.batch(receiver.log, receiver.receiver, sender.member, arrival)
    return frame.read_receipt(raw, [receiver.party.key], receiver.member, sender.member)


async def deliver(sender: Station, to: Station) -> Receipt:
    """Bring `to` up to date."""
    head = await share.decide(sender.log, sender.peer(to).recipient())
    receipt = await take(to, sender, Batch(frame.PROTOCOL, INCARNATION, utc_now()))
    refused: tuple[tuple[int, str], ...] = ()
    pieces = Pieces()
    while receipt.head < head.number:
        sent = await pack(sender, to, receipt.head, begun=receipt.begun or 0)
        receipt = await take(to, sender, sent, pieces=pieces)
        refused += receipt.refused
    return msgspec.structs.replace(receipt, refused=refused)


# --- what a hostile peer makes by hand ------------------------------------------------------------------------------


def said(party: Party, raw: bytes, *companions: bytes, signer: Party | None = None, **changes: Any) -> Parcel:
    """A statement about `raw` as it would be right, apart from `changes`."""
    data = json.loads(raw)
    version = str(data.get("modified", ""))
    digests = tuple(hashlib.sha256(one).hexdigest() for one in companions)
    plain = {
        "content": hashlib.sha256(raw).hexdigest(),
        "object_id": data["id"],
        "object_version": timestamps.normalise(version) if version else "",
        "companions": digests,
    }
    statement = party.statement(**(plain | changes))
    return Parcel(FrameKind.STATEMENT, sign(statement, (signer or party).signer).raw, (raw, *companions))


def taken_back(party: Party, statement: str, signer: Party | None = None, **changes: Any) -> Parcel:
    """The tombstone of a statement, given by its digest."""
    made = Tombstone(party.member, statement, AT)
    made = msgspec.structs.replace(made, **changes)
    return Parcel(FrameKind.TOMBSTONE, tombstone.sign(made, (signer or party).signer).raw)


def digest(told: Parcel) -> str:
    """The digest of the statement in a parcel."""
    return hashlib.sha256(envelope.peek(told.envelope, PayloadType.STATEMENT)).hexdigest()


def stream(*parcels: Parcel, start: int = 1, previous: bytes = views.GENESIS) -> tuple[Frame, ...]:
    """Number and chain parcels."""
    frames: list[Frame] = []
    for number, one in enumerate(parcels, start):
        frames.append(Frame(number, one.kind, previous, one.envelope, one.contents))
        previous = frames[-1].chain()
    return tuple(frames)


def batch(*frames: Frame) -> Batch:
    return Batch(frame.PROTOCOL, INCARNATION, utc_now(), frames)


def told(party: Party, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Indicator `number` of a member."""
    plain = {
        "id": f"indicator--{number:08d}-0000-4000-8000-000000000000",
        "created_by_ref": party.member,
        "name": f"203.0.113.{number}",
        "pattern": f"[ipv4-addr:value = '203.0.113.{number}']",
        "object_marking_refs": None,
    }
    return indicator(**(plain | changes))


def revocation(one: Station) -> Parcel:
    """A station's next node document: others may have held its signing key for a minute, and it has another one."""
    turned = Ed25519PrivateKey.from_private_bytes(bytes([77]) * 32)
    new = msgspec.structs.replace(
        one.document,
        number=2,
        signing_keys=(envelope.public_hex(turned),),
        revoked=(RevokedKey(one.party.public, later(utc_now(), minutes=-1)),),
    )
    return frame.pack_document(document.sign(new, envelope.signer(one.party.root)))


def written(party: Party, number: int = 1, **changes: Any) -> bytes:
    return encode(told(party, number, **changes))
