"""One running node: opens the log, knows the members, keeps the links going."""

import asyncio
import contextlib
import datetime as dt
import secrets
import ssl
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import structlog

from lezha.detection import breadth, constituency
from lezha.detection.constituency import Constituency
from lezha.federation import members as directory
from lezha.federation import tls
from lezha.federation.document import read
from lezha.federation.door import Door
from lezha.federation.members import Members
from lezha.federation.pace import Pace
from lezha.flows import ingest, rederive, renew, share, witness
from lezha.flows.attest import Sealer
from lezha.flows.convene import Convener
from lezha.flows.errors import FlowError
from lezha.flows.introduce import Host
from lezha.flows.publish import Author
from lezha.flows.vet import Receiver
from lezha.flows.witness import Witness
from lezha.node import database, national, rotation, tools, upkeep
from lezha.node import identity as identities
from lezha.node import settings as node_settings
from lezha.node.carry import Carrier
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.errors import NodeError
from lezha.node.intake import Intake
from lezha.node.links import Link, Links
from lezha.node.pulls import Pull, Pulls
from lezha.node.watch import Watch
from lezha.stix import objects, schema
from lezha.store import certificates, engine, lives, peers, policies
from lezha.store.contents import Content
from lezha.store.errors import StoreError, Superseded
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState

_IDLE_S: Final = 30.0
_logger = structlog.get_logger()


class Node:
    """The parts of one node, put together. Made inside the event loop; `close` ends it.

    Of the processes on one database one `leads`: it runs the links and all that is done but once. The others serve
    people and tools. Raises NodeError if the folder holds no usable node, StoreError if the database can't be used or
    another process leads.
    """

    def __init__(self, home: Path, *, leads: bool = True) -> None:
        schema.compile_all()
        breadth.load()
        self.home = home
        self._leads = leads
        self.settings = node_settings.load(home)
        self.identity = identities.load(home)
        self._policy = national.wanted(home, self.settings) if leads else None
        self.changes = Changes(quiet=witness.QUIET)
        self.decisive = Changes(share.KINDS | {peers.TRUST})
        self._peer_changes = Changes(frozenset({"peer", certificates.ADDED}))
        self._superseded = asyncio.Event()
        self.log: Log = database.open_log(home, self.settings, leads=leads)
        with contextlib.ExitStack() as undo:
            undo.callback(self.log.close)
            for one in (self.changes, self.decisive, self._peer_changes):
                self.log.on_commit(one.heard)
            self.incarnation = self._take_lead() if leads else self._follow()
            self.witness = Witness(self.log, utc_now)
            self.links = Links(self._link, here=leads)
            self.intake = Intake(
                self.log, lambda: self.receiver, self.refresh, Pace(self.settings.peer_hourly)
            )
            self.door = Door(self.settings.link_per_address)
            self.carrier = (
                Carrier(home, self.log, lambda: self.identity, self.incarnation, self.intake)
                if leads
                else None
            )
            self.pulls = Pulls(
                lambda peer: Pull(self.log, lambda: self.identity, self.intake, self.links, peer)
            )
            self.link_tls: ssl.SSLContext = tls.server_context(self.identity.leaf)
            self.tools_tls = (
                tools.context(home, self.settings.taxii_certificate) if self.settings.taxii_listen else None
            )
            self._know_tools()
            self.members: Members = directory.known([])
            self._trusted: set[str] = set()
            self.refresh()
            undo.pop_all()

    def _know_tools(self) -> None:
        """Take from now on the certificates that have been bound to tokens since."""
        if self.tools_tls is not None:
            with self.log.read() as conn:
                tools.know(self.tools_tls, certificates.listed(conn))

    @cached_property
    def _own(self) -> Content:
        return ingest.content(objects.read(self.identity.known.document.identity.encode()))

    @cached_property
    def _constituency(self) -> Constituency:
        return constituency.parse(self.settings.constituency)

    @property
    def author(self) -> Author:
        """In whose name this node publishes."""
        return Author(self.identity.member, self.identity.signer, self._own, self._constituency)

    @property
    def receiver(self) -> Receiver:
        """In whose name this node receives, with the members it knows now."""
        return Receiver(
            self.identity.member,
            self.identity.known.document,
            self.identity.signer,
            self.members,
            self._constituency,
        )

    @property
    def convener(self) -> Convener:
        """In whose name this node drafts and signs rosters."""
        return Convener(self.identity.member, self.settings.name, self.identity.signers)

    @property
    def sealer(self) -> Sealer:
        """In whose name this node commits itself to its log."""
        return Sealer(self.identity.member, self.incarnation, self.identity.signer)

    @property
    def host(self) -> Host:
        """This node in an introduction."""
        return Host(self.identity.known, self.settings.peer_clearance)

    async def run(self) -> None:
        """Know the members as they are now; if this process leads, do what is done but once. Until cancelled.

        That is: keep the links of active peers going, their certificate young, and to the rules of retention. Raises
        Superseded once another process leads.
        """
        keeping = asyncio.create_task(self._keep())
        losing = asyncio.create_task(self._superseded.wait())
        tasks: list[asyncio.Task[Any]] = [keeping, losing, asyncio.create_task(upkeep.witness(self.witness))]
        watch = Watch(self.log, self.links) if self._leads else None
        if watch is not None:
            tasks.append(asyncio.create_task(watch.run()))
            tasks.append(asyncio.create_task(upkeep.retire(self.log, self.settings.retention)))
            tasks.append(asyncio.create_task(upkeep.clean(self.log)))
            tasks.append(asyncio.create_task(upkeep.take_held(self.log, lambda: self.receiver)))
            hours = self.settings.checkpoint_hours
            tasks.append(asyncio.create_task(upkeep.commit(self.home, self.log, self.sealer, hours)))
        try:
            await asyncio.wait([keeping, losing], return_when=asyncio.FIRST_COMPLETED)
            if self._superseded.is_set():
                raise Superseded("Another process has taken the lead of this node: this one has stopped.")
            keeping.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(
                StoreError
            ):  # counts of what is in the log already, what was seen of peers
                await self.witness.close()
                if watch is not None:
                    await watch.close()
            await self.pulls.stop()
            await self.links.stop()

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    async def _keep(self) -> None:
        while True:
            serial = self._peer_changes.serial
            try:
                present = self.refresh()
                self._know_tools()
                if self._leads:
                    self.links.keep(present)
                    if self.settings.pull or not self.identity.known.document.endpoint:
                        self.pulls.keep(present)
                    self._renew_keys()
            except StoreError as error:
                _logger.warning("node.database", reason=str(error))
            await self._peer_changes.beyond(serial, _IDLE_S)

    def _take_lead(self) -> str:
        """Become the process that runs the links; return the incarnation."""
        loop = asyncio.get_running_loop()
        self.log.on_superseded(lambda: _when_running(loop, self._superseded.set))
        self.log.lead()
        national.put_into_force(self.log, self._policy)
        identities.renew_leaf(self.home, self.identity.member, dt.datetime.now(dt.UTC))
        self._derive_anew()
        incarnation = self._incarnation()
        self.log.write_now(lambda tx: lives.note_settings(tx, node_settings.told(self.settings)))
        try:
            self.log.write_now(lambda tx: renew.announce(tx, self.identity.known))
        except FlowError as error:
            raise NodeError(str(error)) from error
        self._switch_keys()
        return incarnation

    def _follow(self) -> str:
        """Check that another process has the log ready; return the incarnation, empty if it has none yet.

        Raises NodeError, or StoreError if this process can't ask the policy in force.
        """
        if rederive.is_due(self.log):
            raise NodeError(
                "This node's log has to be derived anew first, as after an upgrade: start `lezha serve` on it, and "
                "then this process again."
            )
        with self.log.read() as conn:
            policies.current(conn)
            return engine.get_meta(conn, "incarnation") or ""

    def _link(self, peer: Peer) -> Link:
        return Link(self.log, self.identity, self.incarnation, self.decisive, peer)

    def _derive_anew(self) -> None:
        """After an upgrade or a restore: what is derived comes from the rules of this program."""
        if rederive.is_due(self.log):
            done = rederive.everything(self.log, lambda done: _logger.info("log.deriving", contents=done))
            if done:
                _logger.info("log.derived", contents=done)

    def _switch_keys(self) -> bool:
        """Use the keys that were prepared once all peers know of them; say whether that has happened now."""
        if not rotation.prepared(self.home):
            return False
        with self.log.read() as conn:
            unaware = renew.unaware(conn, self.identity.known)
        if unaware:
            return False
        rotation.switch(self.home, dt.datetime.now(dt.UTC))
        self.identity = identities.load(self.home)
        _logger.info("node.keys_changed", document=self.identity.known.document.number)
        return True

    def _renew_keys(self) -> None:
        changed = self._switch_keys()
        if identities.renew_leaf(self.home, self.identity.member, dt.datetime.now(dt.UTC)) or changed:
            self.link_tls.load_cert_chain(self.identity.leaf)
            self.links.renew(self.identity.leaf)

    def refresh(self) -> list[Peer]:
        """Learn who the members are now, by their present documents. A pending peer is a stranger: it has no keys."""
        with self.log.read() as conn:
            present = [peer for peer in peers.listed(conn) if peer.state is not PeerState.PENDING]
        documents = {peer.member: read(peer.document).document for peer in present}
        for root in {one.tls_root for one in documents.values()} - self._trusted:
            tls.trust(self.link_tls, root)
            self._trusted.add(root)
        self.members = directory.known([self.identity.known.document, *documents.values()])
        return present

    def _incarnation(self) -> str:
        with self.log.read() as conn:
            found = engine.get_meta(conn, "incarnation")
            before = engine.get_meta(conn, lives.BEGUN) or ""
        made = found or lives.name(utc_now(), before, secrets.token_bytes(10))
        self.log.write_now(lambda tx: lives.begin(tx, made))
        return made


def _when_running(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the node with it
        loop.call_soon_threadsafe(then)
