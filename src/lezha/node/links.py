"""The sending loops: one task per active peer."""

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from lezha.federation import document, frame, refusals
from lezha.federation.client import PeerClient
from lezha.federation.contact import Contact
from lezha.federation.errors import Busy, FederationError, Fenced
from lezha.federation.flights import Flights, Landed
from lezha.federation.frame import Batch
from lezha.federation.outbox import Await, Fork, Greet, Outbox, Pause, Send, Wait
from lezha.federation.polled import Polled
from lezha.federation.tls import client_context
from lezha.flows import batches, share
from lezha.flows.batches import Packed
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.store import isolation, peers, statements, tombstones, views
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState
from lezha.store.views import Head

_IDLE_S: Final = 30.0
_SOON_S: Final = 0.01
_FORK_PAUSE_S: Final = 30.0
_ERROR_PAUSE_S: Final = 5.0
_ASKED_S: Final = 60.0
_LATENCIES_KEPT: Final = 10_000
_logger = structlog.get_logger()


class LinkState(msgspec.Struct):
    """What an operator wants to know of a link. Latencies are commit here → receipt, in ms.

    `heard` is when the peer last made contact or signed a receipt, `skew_s` by how much its clock was ahead then.
    `refused` counts by code what it refused since this process began.
    """

    phase: str = "starting"
    fault: str = ""
    last_receipt: str = ""
    heard: str = ""
    skew_s: float | None = None
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    latencies: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=_LATENCIES_KEPT))

    def contact(self) -> Contact:
        """Return how the link is, to be noted."""
        return Contact(self.heard, (), self.phase, self.fault, self.skew_s)


class Line(Protocol):
    """The way to one peer. `PeerClient` is the one there is outside of tests.

    So many batches can be under way at once as it has `lanes`.
    """

    @property
    def lanes(self) -> int:
        """Batches that can be under way at once."""

    def is_open(self) -> bool:
        """Whether something can be sent now."""

    async def opened(self) -> None:
        """Wait until something can be sent. Raises LinkFault if that takes too long."""

    async def send(self, batch: bytes) -> bytes:
        """Carry a batch over and return the receipt's envelope. Raises LinkFault."""

    async def abort(self) -> None:
        """Stop what is under way at once: no byte more of it leaves this program."""

    async def close(self) -> None:
        """Give the way up."""


class World(msgspec.Struct, frozen=True):
    """What a link has of the world around its node: the ways to peers, the time, and chance."""

    dial: Callable[[str, str, ssl.SSLContext], Line] = PeerClient
    now: Callable[[], str] = utc_now
    seconds: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


_WORLD: Final = World()


class Link:
    """Send one peer its view, for ever. Nothing that the peer or the network does ends the task."""

    def __init__(
        self,
        log: Log,
        identity: Identity,
        incarnation: str,
        changes: Changes,
        peer: Peer,
        world: World = _WORLD,
    ) -> None:
        self._log = log
        self._identity = identity
        self._incarnation = incarnation
        self._changes = changes
        self._world = world
        self._member = peer.member
        self._peer = peer
        self._decided = -1
        self._waits = False
        self._head = Head(0, views.GENESIS)
        self._due = 0
        self._recalls = -1
        self._told_apart = 0
        self._isolated = False
        self._know(peer)
        self._contact = asyncio.Event()
        self._polled = Polled()
        self._line: Line = self._polled
        self._asked = -_ASKED_S
        self._idling: asyncio.Future[int] | None = None
        self._life = ""
        self._heard = world.seconds()
        self._outbox = Outbox(incarnation, world.chance)
        self._flights = Flights()
        self._keeping: asyncio.Task[None] | None = None
        self._noted: frozenset[tuple[int, str]] = frozenset()
        self.state = LinkState()

    def contact(self, incarnation: str, skew_s: float | None = None) -> None:
        """Note that the peer made contact, and by how much its clock is ahead: end a pause.

        In a new life of its database it may lack what an earlier one acknowledged: it is greeted, to learn that.
        """
        self.state.heard = self._world.now()
        self.state.skew_s = skew_s
        self._contact.set()
        if incarnation != self._life:
            self._life = incarnation
            self._greet()

    def _greet(self) -> None:
        """Greet the peer next, and do that now if nothing else is to be done."""
        self._outbox.quiet()
        if self._idling is not None:
            self._idling.cancel()

    def renew(self, leaf: Path) -> None:
        """Show the certificate in `leaf` on connections from now on."""
        self._context.load_cert_chain(leaf)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            known, asked = self._peer.document, self._is_asked()
            client: Line = self._polled
            if not asked:
                client = self._world.dial(self._document.endpoint, self._member, self._context)
            self._line = client
            self._outbox.lanes = client.lanes
            try:
                await self._run(client, known, asked=asked)
            finally:
                await self._drop()
                await client.close()
            self._know(self._peer)

    async def ask(self, receipt: bytes) -> bytes:
        """Give the peer, which asks, the next batch, or nothing after a while; `receipt` is for the one before."""
        self._asked = self._world.seconds()
        self.state.heard = self._world.now()
        self._contact.set()
        if not receipt:  # it begins anew: what it holds may be less than it has acknowledged
            self._greet()
        return await self._polled.ask(receipt)

    async def answer(self) -> None:
        """Answer the peer's question, if one waits, by nothing."""
        await self._polled.close()

    def _is_asked(self) -> bool:
        """Whether the peer fetches its batches: nobody can connect to it, or it has asked of late."""
        return not self._document.endpoint or self._world.seconds() - self._asked < _ASKED_S

    async def _run(self, client: Line, known: bytes, *, asked: bool) -> None:
        """Run for as long as the peer's document is the one that is `known`, and the way to it stays the same."""
        while self._peer.document == known and self._is_asked() is asked:
            try:
                await self._step(client)
            except Fork as fork:
                await self._drop()
                self._fault("fork", str(fork))
                await self._pause(_FORK_PAUSE_S)
            except Fenced as fenced:
                await self._fail("fenced off", str(fenced))
                await self._pause(_FORK_PAUSE_S)
            except Busy as busy:
                self._fault("held back", str(busy))
                self._outbox.held(busy.seconds)
                await self._drop()
            except FederationError as error:
                await self._fail("unreachable", str(error))
            except Exception:
                _logger.exception("link.error", peer=self._member)
                await self._fail("error", "This node made a mistake; it is in its log.")
                await self._pause(_ERROR_PAUSE_S)

    async def _fail(self, phase: str, words: str) -> None:
        self._fault(phase, words)
        self._outbox.failed()
        await self._drop()

    async def _drop(self) -> None:
        """Give up what is under way: whether it arrived is learnt by the next greeting."""
        self._outbox.dropped()
        if self._flights:
            await self._line.abort()
        await self._flights.drop()

    def _know(self, peer: Peer) -> None:
        """Know the peer by its present document: where it is, and by which keys it speaks."""
        self._document = document.read(peer.document).document
        self._keys = self._document.verification_keys()
        self._context = client_context(self._identity.leaf, self._document.tls_root)

    async def _step(self, client: Line) -> None:
        if self._flights.has_landed:
            await self._receipted(client, self._flights.land())
            return
        serial = self._changes.serial
        packed: Packed | None = None
        if serial != self._decided:
            done, packed = await self._decide(client)
            if done:
                self._decided = serial
        if self._isolated or (self._peer.state is not PeerState.ACTIVE and not self._owes()):
            await self._drop()
            self.state.phase = "isolated" if self._isolated else self._peer.state.value
            await self._idle(serial)
        elif not self._flights and not client.is_open():
            await self._decide_all(serial)
            await client.opened()  # what was decided before may not be so any more
        else:
            await self._proceed(client, serial, packed)

    async def _proceed(self, client: Line, serial: int, packed: Packed | None) -> None:
        """Do what comes next. `packed` is what can be sent at once; `serial` tells up to where has been decided."""
        match self._outbox.next(self._due):
            case Greet():
                batch = Batch(frame.PROTOCOL, self._incarnation, self._world.now())
                await self._receipted(client, Landed(batch, *await self._carry(client, batch)))
            case Send() as send:
                await self._send(client, send, packed)
            case Await() | Wait() if serial != self._decided:
                pass  # there is more to decide
            case Await():
                await self._await(serial)
            case Wait():
                await self._kept()
                self.state.phase = "up to date"
                await self._idle(serial)
                if self._world.seconds() - self._heard >= _IDLE_S:
                    self._outbox.quiet()
            case Pause() as pause:
                await self._drop()
                await self._decide_all(serial)
                await self._rest(client, pause)

    async def _await(self, serial: int) -> None:
        """Wait for the oldest answer, or for something new: what is under way is dropped when this node is isolated."""
        await self._flights.wait(self._beyond(serial))
        if not self._flights.has_landed:
            # Something is new. Where receipts come soon, it goes with what comes until then.
            await self._flights.wait(seconds=_SOON_S)

    async def _rest(self, client: Line, pause: Pause) -> None:
        if pause.firm:
            await asyncio.sleep(pause.seconds)
        elif client is not self._polled or not client.is_open():  # a peer that asks now is not kept waiting
            await self._pause(pause.seconds)

    async def _decide_all(self, serial: int) -> None:
        """Decide, while nothing can be sent, for what waits, as far as the queue is not full."""
        while serial != self._decided:
            done, _ = await self._decide(None)
            if done:
                self._decided = serial

    async def _decide(self, client: Line | None) -> tuple[bool, Packed | None]:
        """Decide for what has changed, or some of it; say whether that is all for now, and give what can be sent.

        What is due is up to which number the peer is to be told now. Without a `client` nothing can be sent.
        """
        if self._peer.state is PeerState.ACTIVE:
            sender = self._sender(client)
            found = await share.look(self._log, self._member, sender, self._world.now())
            self._peer, self._isolated, self._head = found.peer, found.isolated, found.head
            self._waits = found.waits
            if found.peer.state is PeerState.ACTIVE:
                if found.waits:
                    await self._decide_recalls()
                self._due = self._head.number
                # What came into the same commit after this look may have taken back what it has packed.
                is_due = not self._changes.kinds_since(found.seq) & share.WITHHOLDING
                return found.is_all, found.packed if is_due else None
            self._recalls = -1  # what is due is not all any more, but these
        with self._log.read() as conn:
            self._peer = peers.by_member(conn, self._member)
            self._isolated = isolation.present(conn) is not None
        if self._peer.state is PeerState.ACTIVE:
            return False, None
        if await self._decide_recalls():
            with self._log.read() as conn:
                self._due = max(tombstones.numbers(conn, self._member), default=0)
        return True, None

    def _sender(self, client: Line | None) -> share.Sender:
        if client is None or self._isolated:
            return share.Sender(self._incarnation, None)
        send = self._outbox.would_send() if client.is_open() else None
        return share.Sender(self._incarnation, send, self._outbox.acknowledged)

    async def _decide_recalls(self) -> bool:
        """Number that what the peer was ever offered was recalled, if something was since; say whether it was.

        That is all that a peer which is not active hears of, and what does not wait until its queue is shorter.
        """
        with self._log.read() as conn:
            newest = tombstones.newest(conn)
        if newest == self._recalls:
            return False
        self._head = await share.decide_recalls(self._log, self._peer.recipient())
        self._recalls = newest
        return True

    def _owes(self) -> bool:
        """Whether a recall is still to be told."""
        done = self._outbox.acknowledged
        return self._due > 0 and (done is None or done < self._due)

    async def _send(self, client: Line, send: Send, packed: Packed | None) -> None:
        """Send what is packed, or what follows a number; or make void what was denied since, to ask the rules again."""
        if packed is None:
            # Beside the event loop: PostgreSQL lets nobody read a table that a purge writes anew.
            packed = await asyncio.to_thread(self._pack, send)
        if packed is None:
            return
        if packed.denied:
            denied = packed.denied
            await self._log.write(lambda tx: views.void(tx, self._member, denied))
            return
        self._outbox.sent(packed.batch)
        self._flights.begin(packed.batch, self._carry(client, packed.batch))

    def _pack(self, send: Send) -> Packed | None:
        """Pack by what the log says now; None if this node is isolated since it was last looked."""
        with self._log.read() as conn:
            if isolation.present(conn) is not None:
                return None
            return batches.pack(conn, self._peer.recipient(), self._incarnation, send, self._world.now())

    async def _carry(self, client: Line, batch: Batch) -> tuple[bytes, float]:
        raw = await client.send(frame.encode(batch))
        return raw, self._world.seconds()

    async def _receipted(self, client: Line, landed: Landed) -> None:
        batch, raw, arrived = landed
        receipt = frame.read_receipt(raw, self._keys, self._member, self._identity.member)
        self.state.heard = self._world.now()
        if (receipt.head + 1, frame.SUSPENDED) in receipt.refused:
            await self._tell_apart(client, receipt.head)
            return
        if receipt.head > self._head.number:  # what was carried in a file was numbered beside this link
            with self._log.read() as conn:
                self._head = views.head(conn, self._member)
        before = self._outbox.acknowledged
        self._outbox.receipted(receipt, self._head.number, self._chain_at(batch, receipt.head))
        if self._waits:
            self._decided = -1  # the peer has taken some: there may be room for more
        self._heard = arrived
        self.state.phase, self.state.fault, self.state.last_receipt = "sending", "", receipt.at
        refused = receipt.refused_of(batch)
        if receipt.head != (before or 0) or not self._noted.issuperset(refused):
            await self._keep(receipt.head, landed, refused, before)

    async def _keep(
        self, head: int, landed: Landed, refused: tuple[tuple[int, str], ...], before: int | None
    ) -> None:
        """Keep a receipt while what follows goes on, and note how long that took which is new since `before`."""
        await self._kept()
        measured = before if landed.batch.frames and before is not None else head

        def work(tx: Tx) -> tuple[list[tuple[int, str]], list[int]]:
            new = views.keep_receipt(tx, self._member, head, landed.receipt, refused)
            seqs = statements.seqs_in_view(tx.conn, self._member, measured, head) if measured < head else []
            return new, seqs

        async def keep() -> None:
            new, seqs = await self._log.write(work)
            instants = [self._changes.committed_at(seq) for seq in seqs]
            self.state.latencies.extend((landed.arrived - one) * 1e3 for one in instants if one is not None)
            self._noted = frozenset(refused)
            if new:
                self.state.refused.update(refusals.known(code) for _, code in new)
                _logger.warning("link.refused", peer=self._peer.name, refused=new)

        self._keeping = asyncio.create_task(keep())

    async def _kept(self) -> None:
        """Wait until the last receipt is kept. Raises StoreError if it can't be; then the peer is greeted again."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await keeping

    async def _tell_apart(self, client: Line, head: int) -> None:
        """Tell a peer that has suspended this member what was recalled, once, ahead of all that it does not take."""
        await self._fail("held", "The peer has suspended this member: it takes recalls, and nothing else.")
        send = replace(self._outbox.first_send(), after=max(head, self._told_apart))
        with self._log.read() as conn:
            if isolation.present(conn) is not None:
                return
            batch = batches.pack_recalls(
                conn, self._peer.recipient(), self._incarnation, send, self._world.now()
            )
        if not batch.frames:
            return
        self._outbox.sent(batch)  # if it fails, less goes at once the next time
        self._flights.begin(batch, self._carry(client, batch))
        while not self._flights.has_landed:
            await self._flights.wait(self._beyond(self._changes.serial))
            if self._is_isolated():
                await self._drop()
                return
        frame.read_receipt(self._flights.land().receipt, self._keys, self._member, self._identity.member)
        self._told_apart = batch.frames[-1].number
        self._outbox.dropped()

    def _is_isolated(self) -> bool:
        with self._log.read() as conn:
            return isolation.present(conn) is not None

    def _chain_at(self, batch: Batch, number: int) -> bytes | None:
        if number == 0:
            return views.GENESIS
        if number > self._head.number:
            return None
        if batch.frames and batch.frames[-1].number == number and not batch.piece:
            return batch.frames[-1].chain()
        with self._log.read() as conn:
            entry = views.entry(conn, self._member, number)
        return entry.chain if entry else None

    async def _idle(self, serial: int) -> None:
        """Wait for something new, for a new life of the peer, or for long."""
        self._idling = self._beyond(serial)
        try:
            await asyncio.wait([self._idling])
        finally:
            self._idling.cancel()

    def _beyond(self, serial: int) -> "asyncio.Future[int]":
        """Wait for something new; what the peer has brought itself is next to nothing to it, and is looked at later."""
        return asyncio.ensure_future(self._changes.beyond(serial, _IDLE_S, self._member))

    async def _pause(self, seconds: float) -> None:
        self._contact.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._contact.wait()

    def _fault(self, phase: str, words: str) -> None:
        if (self.state.phase, self.state.fault) != (phase, words):
            _logger.warning("link.fault", peer=self._peer.name, phase=phase, fault=words)
        self.state.phase, self.state.fault = phase, words


class Links:
    """All sending loops; one begins when its peer is confirmed. If not `here`, another process has them."""

    def __init__(self, make: Callable[[Peer], Link], *, here: bool = True) -> None:
        self.here: Final = here
        self._make = make
        self._running: dict[str, tuple[Link, asyncio.Task[None]]] = {}

    def keep(self, present: list[Peer]) -> None:
        """Begin the loops of peers that have none; those that are suspended are told of recalls alone."""
        for peer in present:
            if peer.state is not PeerState.PENDING and peer.member not in self._running:
                link = self._make(peer)
                self._running[peer.member] = (link, asyncio.create_task(link.run(), name=f"link {peer.name}"))

    def get(self, member: str) -> Link | None:
        """Return the link to a member, if one runs."""
        found = self._running.get(member)
        return found[0] if found else None

    def states(self) -> dict[str, LinkState]:
        """Return how each link is, by member."""
        return {member: link.state for member, (link, _) in self._running.items()}

    def renew(self, leaf: Path) -> None:
        """Let all links show the certificate in `leaf` on connections from now on."""
        for link, _ in self._running.values():
            link.renew(leaf)

    async def answer_all(self) -> None:
        """Answer the questions of all peers that wait: by nothing."""
        for link, _ in self._running.values():
            await link.answer()

    async def stop(self) -> None:
        """End all loops. What was not acknowledged is sent after the next start."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
