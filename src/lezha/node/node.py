"""One running node: opens the log, knows the members, keeps the links going."""

import asyncio
import datetime as dt
import ssl
import uuid
from functools import cached_property
from pathlib import Path
from typing import Final

import structlog

from lezha.federation import members as directory
from lezha.federation import tls
from lezha.federation.document import read
from lezha.federation.members import Members
from lezha.flows import ingest, rederive, share
from lezha.flows.convene import Convener
from lezha.flows.introduce import Host
from lezha.flows.publish import Author
from lezha.flows.receive import Receiver
from lezha.node import identity as identities
from lezha.node import settings as node_settings
from lezha.node import upkeep
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.links import Link, Links
from lezha.stix import objects, schema
from lezha.store import engine, peers
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState

_IDLE_S: Final = 30.0
_logger = structlog.get_logger()


class Node:
    """The parts of one node, put together. Made inside the event loop; `close` ends it.

    Raises NodeError if the folder holds no usable node.
    """

    def __init__(self, home: Path) -> None:
        schema.compile_all()
        self._home = home
        self.settings = node_settings.load(home)
        self.identity = identities.load(home)
        identities.renew_leaf(home, self.identity.member, dt.datetime.now(dt.UTC))
        self.log = Log(node_settings.database(home, self.settings), utc_now)
        self._derive_anew()
        self.changes = Changes()
        self.decisive = Changes(share.KINDS)
        self._peer_changes = Changes(frozenset({"peer"}))
        for one in (self.changes, self.decisive, self._peer_changes):
            self.log.on_commit(one.heard)
        self.incarnation = self._incarnation()
        self.links = Links(lambda peer: Link(self.log, self.identity, self.incarnation, self.decisive, peer))
        self.link_tls: ssl.SSLContext = tls.server_context(self.identity.leaf)
        self.members: Members = directory.known([])
        self._refresh()

    @cached_property
    def author(self) -> Author:
        """In whose name this node publishes."""
        own = objects.read(self.identity.known.document.identity.encode())
        return Author(self.identity.member, self.identity.signer, ingest.content(own))

    @property
    def receiver(self) -> Receiver:
        """In whose name this node receives, with the members it knows now."""
        return Receiver(self.identity.member, self.identity.signer, self.members)

    @property
    def convener(self) -> Convener:
        """In whose name this node drafts and signs rosters."""
        return Convener(self.identity.member, self.settings.name, self.identity.signer, self.identity.public)

    @property
    def host(self) -> Host:
        """This node in an introduction."""
        return Host(self.identity.known, self.settings.peer_clearance)

    async def run(self) -> None:
        """Keep the links of active peers going, their certificate young, and to the rules of retention.

        Until cancelled.
        """
        retiring = asyncio.create_task(upkeep.retire(self.log, self.settings.retention), name="retention")
        try:
            while True:
                serial = self._peer_changes.serial
                self.links.keep(self._refresh())
                self._renew_leaf()
                await self._peer_changes.beyond(serial, _IDLE_S)
        finally:
            retiring.cancel()
            await asyncio.gather(retiring, return_exceptions=True)
            await self.links.stop()

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    def _derive_anew(self) -> None:
        """After an upgrade or a restore: what is derived comes from the rules of this program."""
        if rederive.is_due(self.log):
            done = rederive.everything(self.log, lambda done: _logger.info("log.deriving", contents=done))
            if done:
                _logger.info("log.derived", contents=done)

    def _renew_leaf(self) -> None:
        if identities.renew_leaf(self._home, self.identity.member, dt.datetime.now(dt.UTC)):
            self.link_tls.load_cert_chain(self.identity.leaf)
            self.links.renew(self.identity.leaf)

    def _refresh(self) -> list[Peer]:
        """Learn who the members are now. A pending peer is a stranger: its keys verify nothing."""
        with self.log.read() as conn:
            present = [peer for peer in peers.listed(conn) if peer.state is not PeerState.PENDING]
        documents = {peer.member: read(peer.document).document for peer in present}
        for member in documents.keys() - self.members.identities.keys():
            tls.trust(self.link_tls, documents[member].tls_root)
        self.members = directory.known([self.identity.known.document, *documents.values()])
        return present

    def _incarnation(self) -> str:
        with self.log.read() as conn:
            found = engine.get_meta(conn, "incarnation")
        if found is None:
            found = uuid.uuid4().hex
            made = found
            self.log.write_now(lambda tx: engine.set_meta(tx.conn, "incarnation", made))
        return found
