"""One node from its folder: what it is made of, whom it knows, and that it stays itself over a restart."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import written

from lezha.cli.node import make
from lezha.federation import frame
from lezha.federation.document import Contact
from lezha.federation.frame import Receipt
from lezha.flows import batches, publish, share
from lezha.flows.publish import Request
from lezha.node import database, identity, links, settings
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.errors import NodeError
from lezha.node.links import Link, World
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle
from lezha.store import peers, views
from lezha.store.errors import StoreError
from lezha.store.log import Reader
from lezha.store.peers import Peer, PeerState
from lezha.store.views import GENESIS


@pytest.fixture(autouse=True)
def _own_mask() -> Iterator[None]:
    mask = os.umask(0o022)  # a node's folder closes itself, whatever the mask
    os.umask(mask)
    yield
    os.umask(mask)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "tirana"
    settings = Settings(identity.new_member(), "tirana", endpoint="https://192.0.2.1:8441")
    make(folder, settings, "National CSIRT", Contact())
    return folder


@contextmanager
def running(home: Path) -> Iterator[Node]:
    node = Node(home)
    try:
        yield node
    finally:
        node.close()


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]


def podgorica(state: PeerState = PeerState.ACTIVE) -> Peer:
    raw = PODGORICA.document(name="podgorica")
    return Peer(
        PODGORICA.member, "podgorica", state, "", Tlp.STRICT, utc_now(), 1, "https://192.0.2.2:8441", raw
    )


async def test_a_node_speaks_in_its_member_s_name(home: Path) -> None:
    with running(home) as node:
        member = node.settings.member
        assert {node.author.member, node.receiver.member, node.convener.member, node.identity.member} == {
            member
        }
        assert node.author.identity.stix_id == member
        assert node.host.known.document.member == member


async def test_a_node_keeps_its_incarnation_over_a_restart(home: Path) -> None:
    with running(home) as node:
        first = node.incarnation
    with running(home) as node:
        assert node.incarnation == first


async def test_two_nodes_have_two_incarnations(home: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", Settings(identity.new_member(), "other", endpoint="https://x:1"), "", Contact())
    with running(home) as one, running(tmp_path / "other") as other:
        assert one.incarnation != other.incarnation


async def test_everything_in_a_node_s_folder_is_its_owner_s_alone(home: Path) -> None:
    with running(home):
        assert open_to_others(home) == []


@pytest.mark.parametrize("state", [PeerState.ACTIVE, PeerState.SUSPENDED])
async def test_a_confirmed_peer_is_a_member_whose_word_can_be_verified(home: Path, state: PeerState) -> None:
    with running(home) as node:
        node.log.write_now(lambda tx: peers.add(tx, podgorica(state), "test"))
    with running(home) as node:
        assert PODGORICA.member in node.members.identities
        assert PODGORICA.key.keyid in node.members.keyring


async def test_a_pending_peer_is_a_stranger_whose_keys_verify_nothing(home: Path) -> None:
    with running(home) as node:
        node.log.write_now(lambda tx: peers.add(tx, podgorica(PeerState.PENDING), "test"))
    with running(home) as node:
        assert PODGORICA.member not in node.members.identities
        assert PODGORICA.key.keyid not in node.members.keyring


async def test_a_peer_that_is_confirmed_while_the_node_runs_is_known_at_once(home: Path) -> None:
    with running(home) as node:
        loops = asyncio.create_task(node.run())
        await node.log.write(lambda tx: peers.add(tx, podgorica(PeerState.PENDING), "test"))
        await node.log.write(lambda tx: peers.set_state(tx, PODGORICA.member, PeerState.ACTIVE, "test"))
        async with asyncio.timeout(10):
            while node.links.get(PODGORICA.member) is None:  # noqa: ASYNC110  # the node announces this to nobody
                await asyncio.sleep(0.01)
        assert PODGORICA.member in node.members.identities
        loops.cancel()
        await asyncio.gather(loops, return_exceptions=True)


class Answering:
    """The connection to a peer that takes whatever is sent, and says that it refused these."""

    lanes = 2

    def __init__(self, sender: str, refused: tuple[tuple[int, str], ...] = ()) -> None:
        self._sender, self.refused = sender, refused

    def is_open(self) -> bool:
        return True

    async def opened(self) -> None:
        """It is open."""

    async def send(self, raw: bytes) -> bytes:
        sent = frame.decode(raw)
        head, chain = (sent.frames[-1].number, sent.frames[-1].chain()) if sent.frames else (0, GENESIS)
        receipt = Receipt(
            PODGORICA.member, self._sender, sent.incarnation, head, chain.hex(), utc_now(), self.refused
        )
        return frame.sign_receipt(receipt, PODGORICA.signer)

    async def abort(self) -> None:
        """Nothing is under way that could be stopped."""

    async def close(self) -> None:
        """Nothing is open."""


async def test_what_is_packed_for_a_peer_is_read_beside_the_event_loop(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in: list[threading.Thread] = []

    def pack(*given: Any) -> batches.Packed:
        read_in.append(threading.current_thread())
        return packed(*given)

    packed = batches.pack
    monkeypatch.setattr(batches, "pack", pack)
    with running(home) as node:
        await told_and_sent(node, Answering(node.settings.member), objects=20)
        with node.log.read() as conn:
            assert views.acknowledged(conn, PODGORICA.member)[0] == 20
    assert read_in
    assert threading.current_thread() not in read_in


async def test_a_receipt_that_could_not_be_kept_is_asked_for_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [StoreError("The disk is full.")]
    keep = views.keep_receipt

    def once(*given: Any) -> None:
        if failing:
            raise failing.pop()
        keep(*given)

    monkeypatch.setattr(views, "keep_receipt", once)
    monkeypatch.setattr(links, "_ERROR_PAUSE_S", 0.01)
    with running(home) as node:
        await node.log.write(lambda tx: peers.add(tx, podgorica(), "test"))
        client = Answering(node.settings.member)
        world = World(dial=lambda *_: client)
        link = Link(node.log, node.identity, "5a" * 16, Changes(share.KINDS), podgorica(), world)
        node.log.on_commit(link._changes.heard)
        task = asyncio.create_task(link.run())
        terms = Terms(Tlp.CLEAR, Audience(everyone=True))
        request = Request(bundle.write([written(TIRANA)]), terms, strict=False)
        await publish.publish(node.log, node.author, node.members, request, "test")
        # What is waited for happens in a task of its own, which tells nobody.
        while failing or link.state.phase != "up to date":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with node.log.read() as conn:
            assert views.acknowledged(conn, PODGORICA.member)[0] == 1
        task.cancel()
        await asyncio.wait([task])


async def told_and_sent(node: Node, client: Answering, objects: int = 1) -> None:
    """Have the node publish objects and send them to Podgorica."""
    await node.log.write(lambda tx: peers.add(tx, podgorica(), "test"))
    terms = Terms(Tlp.CLEAR, Audience(everyone=True))
    request = Request(
        bundle.write([written(TIRANA, number) for number in range(1, objects + 1)]), terms, strict=False
    )
    await publish.publish(node.log, node.author, node.members, request, "test")
    link = node._link(podgorica())
    while link.state.phase != "up to date":
        idle = asyncio.create_task(link._step(client))
        await asyncio.wait([idle], timeout=0.5)
        idle.cancel()


async def test_of_what_a_peer_says_that_it_refused_only_what_was_sent_is_kept(home: Path) -> None:
    refused = ((0, "authority"), (1, "companion"), (2, "authority"), (1 << 50, "authority"))
    with running(home) as node:
        await told_and_sent(node, Answering(node.settings.member, refused))
        with node.log.read() as conn:
            assert views.refused_counts(conn, PODGORICA.member) == {"companion": 1}


def test_a_node_whose_database_is_gone_does_not_begin_anew(home: Path) -> None:
    for file in home.glob("lezha.db*"):
        file.unlink()
    with pytest.raises(NodeError, match=r"gone.*lezha restore"):
        database.open_log(home, settings.load(home))
    with pytest.raises(StoreError, match="There is no log"):
        Reader(f"sqlite:///{home / 'lezha.db'}")
    assert list(home.glob("lezha.db*")) == []


async def test_a_folder_without_a_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="no node in"):
        Node(tmp_path)
