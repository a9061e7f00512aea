"""What is for a peer goes into a file, and what others carried here comes in: the same frames as on a link."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from lezha.federation import carried, document, frame
from lezha.federation.carried import CarriedKind, Opened, Waybill
from lezha.federation.errors import Refused
from lezha.federation.frame import Receipt
from lezha.federation.outbox import Send
from lezha.flows import batches, share
from lezha.flows.batches import Packed
from lezha.flows.errors import FlowError, Isolated
from lezha.node.clock import utc_now
from lezha.node.identity import CARRY, FORMER_CARRY, Identity
from lezha.node.intake import Intake
from lezha.store import isolation, peers, views
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState


class Written(msgspec.Struct, frozen=True):
    """A record for a peer, empty if nothing is left: frames `first` to `last` of its view, which ends at `head`."""

    record: bytes
    first: int
    last: int
    head: int


class Read(msgspec.Struct, frozen=True):
    """What became of a record from `peer`: it is acknowledged up to `head`, `refused` lists (number, code).

    `missing` is the number that a batch lacks before it, 0 if it lacks none. `receipt` is the record to carry back, or
    empty.
    """

    kind: str
    peer: str
    head: int
    refused: tuple[tuple[int, str], ...]
    missing: int
    receipt: bytes


class Carrier:
    """Write and read carried records in the name of a node. `incarnation` names the life of its database."""

    def __init__(
        self, home: Path, log: Log, identity: Callable[[], Identity], incarnation: str, intake: Intake
    ) -> None:
        self._home = home
        self._log = log
        self._identity = identity
        self._incarnation = incarnation
        self._intake = intake

    def starts(self, name: str, *, unanswered: bool) -> int:
        """Return after which frame a file for a peer starts: what it has signed for, or `unanswered`, was written last.

        Raises NotFound.
        """
        with self._log.read() as conn:
            peer = peers.by_name(conn, name)
            signed, _ = views.acknowledged(conn, peer.member)
            return max(signed, views.carried(conn, peer.member)) if unanswered else signed

    async def write(self, name: str, after: int, actor: str) -> Written:
        """Return the next record for a peer, with frames above number `after`.

        Raises FlowError if it may have none or its document names no key for that, Isolated, NotFound.
        """
        with self._log.read() as conn:
            peer = peers.by_name(conn, name)
        key = _key_of(peer)
        head = await share.decide(self._log, peer.recipient())
        while (packed := self._pack(peer, after)).denied:
            await self._log.write(partial(views.void, recipient=peer.member, denied=packed.denied))
        if not packed.batch.frames:
            return Written(b"", after, after, head.number)
        raw = frame.encode(packed.batch)
        identity = self._identity()
        waybill = Waybill(identity.member, peer.member, hashlib.sha256(raw).hexdigest(), utc_now())
        first, last = packed.batch.frames[0].number, packed.batch.frames[-1].number
        await self._log.write(lambda tx: views.carry(tx, peer.member, first, last, actor))
        return Written(carried.seal_batch(waybill, raw, identity.signer, key), first, last, head.number)

    def _pack(self, peer: Peer, after: int) -> Packed:
        """Pack what follows a frame, by what the log says now. Raises FlowError, Isolated."""
        with self._log.read() as conn:
            _check(peers.by_member(conn, peer.member))
            if isolation.present(conn) is not None:
                raise Isolated
            return batches.pack(conn, peer.recipient(), self._incarnation, Send(after), utc_now(), whole=True)

    async def read(self, raw: bytes) -> Read:
        """Take a record that was carried here. Raises FlowError, Refused."""
        opened = carried.open_record(raw, self._secrets())
        if opened.kind is CarriedKind.RECEIPT:
            return await self._take_receipt(opened.envelope)
        return await self._take_batch(opened)

    async def _take_batch(self, opened: Opened) -> Read:
        identity = self._identity()
        waybill = carried.read_waybill(opened, self._intake.members.keyring, identity.member)
        sent = frame.decode(opened.batch)
        receipt = await self._intake.take(waybill.sender, sent, in_time=False)
        said = frame.read_receipt(
            receipt, identity.known.document.verification_keys(), identity.member, waybill.sender
        )
        with self._log.read() as conn:
            peer = peers.by_member(conn, waybill.sender)
        key = document.read(peer.document).document.carry
        answer = carried.seal_receipt(receipt, key) if key else b""
        first = sent.frames[0].number if sent.frames else 0
        missing = said.head + 1 if first > said.head + 1 else 0
        return Read("batch", peer.name, said.head, said.refused, missing, answer)

    async def _take_receipt(self, raw: bytes) -> Read:
        with self._log.read() as conn:
            peer = peers.by_member(conn, carried.claimed_receiver(raw))
        known = document.read(peer.document).document
        said = frame.read_receipt(raw, known.verification_keys(), peer.member, self._identity().member)
        if said.incarnation != self._incarnation:
            raise Refused("superseded", "A receipt is for another life of this node's database.")
        await self._log.write(lambda tx: _keep(tx, peer, said, raw))
        return Read("receipt", peer.name, said.head, said.refused, 0, b"")

    def _secrets(self) -> list[str]:
        """Return the key that peers are told, and those before it: a file may be on its way for long."""
        keys = self._home / "keys"
        try:
            return [path.read_text().strip() for path in (keys / CARRY, *sorted(keys.glob(FORMER_CARRY)))]
        except OSError as error:
            raise FlowError(
                "This node has no key for carried files: `lezha identity rotate carry` makes one."
            ) from error


def _keep(tx: Tx, peer: Peer, said: Receipt, raw: bytes) -> None:
    """Keep a receipt if it speaks of this node's own frames. Raises Refused."""
    entry = views.entry(tx.conn, peer.member, said.head) if said.head else None
    chain = views.GENESIS if not said.head else entry.chain if entry else None
    if chain is None or chain.hex() != said.chain:
        raise Refused("fork", f"{peer.name} holds another frame {said.head} than this node sent.")
    refused = tuple((number, code) for number, code in said.refused if number <= said.head)[
        : frame.BATCH_FRAMES
    ]
    views.keep_receipt(tx, peer.member, said.head, raw, refused)


def _key_of(peer: Peer) -> str:
    _check(peer)
    found = document.read(peer.document).document.carry
    if not found:
        raise FlowError(
            f"The node document of {peer.name} names no key for carried files: its operator makes one with "
            "`lezha identity renew`, and has to bring the document here by a link or an introduction."
        )
    return found


def _check(peer: Peer) -> None:
    if peer.state is not PeerState.ACTIVE:
        raise FlowError(f"{peer.name} is {peer.state.value}: nothing is written for it.")
