"""Asking peers for what they have for this node, where they can't connect to it: one task per peer."""

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog

from lezha.federation import document
from lezha.federation.client import PeerClient
from lezha.federation.errors import FederationError
from lezha.federation.outbox import pause
from lezha.federation.tls import client_context
from lezha.node.clock import ahead, utc_now
from lezha.node.identity import Identity
from lezha.node.intake import Intake
from lezha.node.links import Links
from lezha.store import peers
from lezha.store.errors import StoreError
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState

_ERROR_PAUSE_S: Final = 5.0
_LONGEST_REST_S: Final = 60.0
_logger = structlog.get_logger()


class Line(Protocol):
    """The way to one peer that is asked. `PeerClient` is the one there is outside of tests."""

    async def ask(self, receipt: bytes) -> bytes:
        """Bring the receipt for the batch before and return the next one, or nothing. Raises LinkFault."""

    async def close(self) -> None:
        """Give the way up."""


class World(msgspec.Struct, frozen=True):
    """What a task that asks has of the world around its node: the ways to peers, the time, and chance."""

    dial: Callable[[str, str, ssl.SSLContext], Line] = PeerClient
    now: Callable[[], str] = utc_now
    seconds: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


_WORLD: Final = World()


class Pull:
    """Ask one peer for its batches, for ever. Nothing that the peer or the network does ends the task."""

    def __init__(
        self,
        log: Log,
        identity: Callable[[], Identity],
        intake: Intake,
        links: Links,
        peer: Peer,
        world: World = _WORLD,
    ) -> None:
        self._log = log
        self._identity = identity
        self._intake = intake
        self._links = links
        self._world = world
        self._peer = peer
        self._failures = 0
        self._fault = ""

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            known = document.read(self._peer.document).document
            if not known.endpoint:
                return  # neither can connect to the other: what they have for one another is carried
            context = client_context(self._identity().leaf, known.tls_root)
            client = self._world.dial(known.endpoint, self._peer.member, context)
            try:
                await self._ask(client)
            except (FederationError, StoreError) as error:
                self._tell(str(error))
            except Exception:
                _logger.exception("pull.error", peer=self._peer.name)
                await asyncio.sleep(_ERROR_PAUSE_S)
            finally:
                await client.close()
            self._failures += 1
            await asyncio.sleep(pause(self._failures, self._world.chance()))
            with self._log.read() as conn:
                self._peer = peers.by_member(conn, self._peer.member)

    async def _ask(self, client: Line) -> None:
        receipt = b""
        while True:
            await self._rest()
            raw = await client.ask(receipt)
            if raw:
                sent = self._intake.decode(self._peer.member, raw)
                if link := self._links.get(self._peer.member):
                    link.contact(sent.incarnation, ahead(sent.sent, self._world.now()))
                receipt = await self._intake.take(self._peer.member, sent)
            self._failures = 0
            self._tell("")

    async def _rest(self) -> None:
        """Ask for no more before more may be taken of the peer."""
        pace, member = self._intake.pace, self._peer.member
        while True:
            with self._log.read() as conn:  # somebody may give it another limit meanwhile
                hourly = peers.by_member(conn, member).hourly
            seconds = pace.enter(member, hourly, self._world.seconds())
            if not seconds:
                pace.leave(member)
                return
            await asyncio.sleep(min(seconds, _LONGEST_REST_S))

    def _tell(self, fault: str) -> None:
        if fault and fault != self._fault:
            _logger.warning("pull.fault", peer=self._peer.name, fault=fault)
        self._fault = fault


class Pulls:
    """All tasks that ask; one begins when its peer is confirmed."""

    def __init__(self, make: Callable[[Peer], Pull]) -> None:
        self._make = make
        self._running: dict[str, asyncio.Task[None]] = {}

    def keep(self, present: list[Peer]) -> None:
        """Begin to ask peers that are not asked yet, or were not while nobody could connect to them."""
        for peer in present:
            running = self._running.get(peer.member)
            if peer.state is not PeerState.PENDING and peer.endpoint and (running is None or running.done()):
                self._running[peer.member] = asyncio.create_task(
                    self._make(peer).run(), name=f"pull {peer.name}"
                )

    async def stop(self) -> None:
        """End all tasks. What was not acknowledged is asked for after the next start."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
