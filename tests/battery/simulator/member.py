"""One simulated node: its real log, flows and links, on a disk that can be slow, in a process that can die."""

import asyncio
import math
import random
import sqlite3
from collections.abc import Coroutine, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tests.battery.simulator.network import Network, SimulatedLine
from tests.battery.simulator.virtual import Disk, VirtualLog, seconds, wall_clock
from tests.federation.keys import NOW, Party

from lezha.federation import document, frame, tls
from lezha.federation import members as directory
from lezha.federation.document import KnownDocument
from lezha.federation.errors import Busy, Fenced, LinkFault, Refused
from lezha.federation.frame import Batch
from lezha.federation.members import Members
from lezha.federation.pace import Pace
from lezha.flows import ingest, rederive, share
from lezha.flows.attest import Sealer
from lezha.flows.convene import Convener
from lezha.flows.publish import Author
from lezha.flows.vet import Receiver
from lezha.node import pulls, upkeep
from lezha.node.changes import Changes
from lezha.node.clock import ahead
from lezha.node.identity import Identity
from lezha.node.intake import Intake
from lezha.node.links import Link, Links, World
from lezha.node.pulls import Pull, Pulls
from lezha.node.settings import Settings
from lezha.sharing.tlp import Tlp
from lezha.stix import objects
from lezha.store import archive, engine, lives, peers
from lezha.store.archive import Rows
from lezha.store.errors import StoreError
from lezha.store.peers import Peer, PeerState

ENROLLED = "2026-01-01T00:00:00.000000Z"


class Watcher:
    """Sees every batch as it leaves a node, and every one that a node has taken."""

    def sees(self, sender: "Member", receiver: str, batch: bytes) -> None:
        """Look at a batch."""

    def took(self, receiver: "Member", sender: str, sent: Batch, receipt: bytes) -> None:
        """Look at a batch that was taken, and at its receipt."""

    def forgot(self, member: "Member") -> None:
        """Note that a node has lost what it knew, and knows what it once did."""


class Member:
    """A member with its node. What it holds in memory goes when it crashes; its database is in `path`.

    If it is not `reachable`, or if it `asks`, it asks its peers for what they have for it. If it `keeps_up`, it cleans
    up and commits itself to its log, every hour.
    """

    def __init__(
        self, number: int, folder: Path, network: Network, chance: random.Random, watcher: Watcher
    ) -> None:
        self.party = party(number)
        self.member, self.name = self.party.member, f"node{number}"
        self.reachable, self.asks, self.keeps_up = True, False, False
        self.hourly = HOURLY
        self.path = folder / f"{self.name}.db"
        self.network, self.watcher = network, watcher
        self.chance = chance
        self.disk = Disk(chance)
        self.clock = wall_clock(chance.uniform(-100, 100))
        self.linked: list[Member] = []
        """Those of its peers that it has a way to: all others it knows, and hears of from relays."""
        self.up = False
        self.life = 0
        self.restored = False
        self.ruled = 0.0
        """When its rules changed last: a peer's state, a roster."""
        self._leaf = leaf(number, folder)
        self._number = number
        self._tasks: dict[asyncio.Task[Any], None] = {}
        """In order, so that they end in the same one each time."""
        self._crashing = asyncio.Lock()

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, as `node.node.Node` does."""
        self.log = VirtualLog(f"sqlite:///{self.path}", self.clock, self.disk)
        changes = Changes(share.KINDS)
        self.log.on_commit(changes.heard)
        with self.log.read() as conn:
            found = engine.get_meta(conn, "incarnation")
            before = engine.get_meta(conn, lives.BEGUN) or ""
            present = peers.listed(conn)
        chance = self.chance.getrandbits(128) if not found else 0
        incarnation = found or lives.name(self.clock(), before, chance.to_bytes(16, "big")[:10])
        self.log.write_now(lambda tx: lives.begin(tx, incarnation))
        self.members = _directory(self.known, *(_read(one.document) for one in present))
        self.incarnation = incarnation
        self.intake = _WatchedIntake(self)
        world = World(self._line, self.clock, seconds, self.chance.random)
        self.links = Links(lambda peer: Link(self.log, self.identity, incarnation, changes, peer, world))
        asking = pulls.World(self._line, self.clock, seconds, self.chance.random)
        self.pulls = Pulls(
            lambda peer: Pull(self.log, lambda: self.identity, self.intake, self.links, peer, asking)
        )
        self.view = sqlite3.connect(self.path, isolation_level=None)
        linked = {one.member for one in self.linked}
        present = [one for one in present if one.member in linked]
        self.links.keep(present)
        if self.asks or not self.reachable:
            self.pulls.keep(present)
        self.up, self.life = True, self.life + 1
        if self.keeps_up:
            home = self.path.parent / self.name
            home.mkdir(exist_ok=True)
            committing = upkeep.commit(home, self.log, self.sealer, 1, self.clock)
            self._tasks |= {asyncio.create_task(one): None for one in (upkeep.clean(self.log), committing)}

    def refresh(self) -> None:
        """Learn the documents of the members anew, as `node.node.Node` does."""
        with self.log.read() as conn:
            present = peers.listed(conn)
        self.members = _directory(self.known, *(_read(one.document) for one in present))

    async def stop(self) -> None:
        """End at once, in the midst of whatever it does."""
        self.up = False
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(self.links.stop(), self.pulls.stop(), *self._tasks, return_exceptions=True)
        self.view.close()
        self.log.close()

    def know(self, others: Iterable["Member"]) -> None:
        """Have these as peers; `tests/flows/test_introduce.py` tells how that comes about."""
        rows = [
            Peer(
                one.member,
                one.name,
                PeerState.ACTIVE,
                "",
                Tlp.STRICT,
                ENROLLED,
                1,
                one.endpoint,
                one.known.raw,
            )
            for one in others
        ]
        log = VirtualLog(f"sqlite:///{self.path}", self.clock, self.disk)
        for row in rows:
            log.write_now(lambda tx, row=row: peers.add(tx, row, "test"))  # type: ignore[misc]  # as it is now
        log.close()

    def back_up(self) -> list[Rows]:
        """Return all rows, as `lezha backup` takes them."""
        with self.log.read() as conn:
            return list(archive.dump(conn))

    def restore(self, rows: list[Rows]) -> None:
        """Have the rows of a backup in place of the database, as `lezha restore` does."""
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()
        empty = engine.writer(f"sqlite:///{self.path}")
        with empty.begin() as conn:
            archive.load(conn, rows, rederive.into_empty)
        empty.dispose()
        self.restored = True
        self.watcher.forgot(self)

    # --- what it does -------------------------------------------------------------------------------------------------

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that ends when the node does."""
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    async def answer(self, sender: str, batch: bytes) -> bytes:
        """Take a batch, as `web.peers.frames` does. Raises LinkFault or Fenced where that answers with an error."""
        try:
            await self._wait_for_turn(sender)
            try:
                sent = self.intake.decode(sender, batch)
                if link := self.links.get(sender):
                    link.contact(sent.incarnation, ahead(sent.sent, self.clock()))
                return await self.intake.take(sender, sent)
            finally:
                self.intake.pace.leave(sender)
        except (Refused, StoreError) as error:
            kind = Fenced if isinstance(error, Refused) and error.code == frame.SUPERSEDED else LinkFault
            raise kind(f"{self.name} answered with an error: {error}") from error

    async def give(self, asker: str, receipt: bytes) -> bytes:
        """Give out a batch, as `web.peers.pull` does. Raises LinkFault where that answers with an error."""
        if not receipt:
            await self._wait_for_turn(asker)
            self.intake.pace.spend(asker, 0, 0)
            self.intake.pace.leave(asker)
        link = self.links.get(asker)
        batch = await link.ask(receipt) if link else b""
        if batch:
            self.watcher.sees(self, asker, batch)
        return batch

    async def _wait_for_turn(self, sender: str) -> None:
        """Send a peer away that has sent too much, as `web.peers` does. Raises Busy."""
        with self.log.read() as conn:
            hourly = peers.by_member(conn, sender).hourly
        wait = math.ceil(self.intake.pace.enter(sender, hourly, seconds()))
        if wait:
            if self.intake.pace.is_news(sender, seconds()):
                await self.log.write(lambda tx: tx.event("too fast", sender, sender))
            raise Busy(f"{self.name} takes no more for {wait} s.", min(wait, 60))

    @property
    def known(self) -> KnownDocument:
        """Its node document."""
        return known(self._number, self.endpoint)

    @property
    def endpoint(self) -> str:
        return ENDPOINT if self.reachable else ""

    @property
    def identity(self) -> Identity:
        return Identity(self.member, self.known, {self.party.public: self.party.signer}, self._leaf)

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.member, self.incarnation, self.party.signer)

    @property
    def author(self) -> Author:
        return Author(self.member, self.party.signer, _identity(self.known))

    @property
    def receiver(self) -> Receiver:
        return Receiver(self.member, self.known.document, self.party.signer, self.members)

    @property
    def convener(self) -> Convener:
        return Convener(self.member, self.name, {self.party.public: self.party.signer})

    def _line(self, _endpoint: str, member: str, _context: object) -> SimulatedLine:
        return SimulatedLine(
            self.network, self.member, member, lambda to, raw: self.watcher.sees(self, to, raw)
        )


class _WatchedIntake(Intake):
    """Takes batches for a member, and has them looked at."""

    def __init__(self, member: Member) -> None:
        super().__init__(
            member.log,
            lambda: member.receiver,
            member.refresh,
            Pace(member.hourly),
            member.clock,
        )
        self._taker = member

    async def take(self, member: str, sent: Batch, *, in_time: bool = True) -> bytes:
        receipt = await super().take(member, sent, in_time=in_time)
        self._taker.watcher.took(self._taker, member, sent, receipt)
        return receipt


ENDPOINT = "https://192.0.2.1:8441"
HOURLY = Settings("", "").peer_hourly


@cache
def party(number: int) -> Party:
    return Party(number)


@cache
def known(number: int, endpoint: str) -> KnownDocument:
    one = party(number)
    name = f"node{number}"
    ends = (endpoint,) if endpoint else ()
    said = one.document(name=name, title=name.title(), identity=one.identity(name), endpoints=ends)
    return document.read(said)


@cache
def leaf(number: int, folder: Path) -> Path:
    """Return a file with a certificate and key that are never used: in the simulation there is no TLS."""
    made = tls.make_leaf(party(number).tls_root, party(number).member, NOW)
    path = folder / f"leaf{number}.pem"
    path.write_bytes(made.certificate + made.key)
    return path


@cache
def _read(raw: bytes) -> KnownDocument:
    return document.read(raw)


@cache
def _identity(one: KnownDocument) -> Any:
    return ingest.content(objects.read(one.document.identity.encode()))


def _directory(own: KnownDocument, *others: KnownDocument) -> Members:
    return directory.known([one.document for one in (own, *others)])
