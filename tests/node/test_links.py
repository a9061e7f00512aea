"""What a link does with what is under way when its node is isolated."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import written
from tests.node.test_node import home, podgorica

from lezha.federation import frame, outbox
from lezha.federation.errors import LinkFault
from lezha.federation.frame import Receipt
from lezha.flows import publish, recall, share
from lezha.flows.publish import Request
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.links import Link, World
from lezha.node.node import Node
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle
from lezha.store import isolation, peers
from lezha.store.views import GENESIS

__all__ = ["home"]  # the fixture

LARGE = 1 << 19


class Slow:
    """The connections to a peer that answers greetings; what else is sent leaves for as long as nobody aborts it.

    As with TCP, a request that is merely cancelled goes on leaving.
    """

    lanes = outbox.LANES

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._open: list[asyncio.Future[bytes]] = []
        self.has_suspended = False
        self.begun: list[bytes] = []
        self.leaving: list[bytes] = []

    def is_open(self) -> bool:
        return True

    async def opened(self) -> None:
        """It is open."""

    async def send(self, raw: bytes) -> bytes:
        sent = frame.decode(raw)
        if not sent.frames:
            chain = GENESIS.hex()
            refused = ((1, frame.SUSPENDED),) if self.has_suspended else ()
            receipt = Receipt(PODGORICA.member, self._sender, sent.incarnation, 0, chain, utc_now(), refused)
            return frame.sign_receipt(receipt, PODGORICA.signer)
        self.begun.append(raw)
        self.leaving.append(raw)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._open.append(answer)
        return await answer

    async def abort(self) -> None:
        self.leaving.clear()
        for answer in self._open:
            if not answer.done():
                answer.set_exception(LinkFault("It was cut."))

    async def close(self) -> None:
        """Nothing is thrown away."""


class Story:
    """A node with one peer, the way to it, and the link that uses that."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.line = Slow(node.settings.member)
        self._published = 0
        self._changes = Changes(share.KINDS)
        node.log.on_commit(self._changes.heard)
        peer = podgorica()
        node.log.write_now(lambda tx: peers.add(tx, peer, "test"))
        world = World(dial=lambda *_: self.line)
        self.link = Link(node.log, node.identity, node.incarnation, self._changes, peer, world)

    async def publish(self, size: int = 0) -> None:
        self._published += 1
        made = written(TIRANA, self._published, description="x" * size)
        request = Request(bundle.write([made]), Terms(Tlp.CLEAR, Audience(everyone=True)), strict=False)
        await publish.publish(self.node.log, self.node.author, self.node.members, request, "test")

    async def isolate(self) -> None:
        await self.node.log.write(lambda tx: isolation.begin(tx, "a test", "test"))

    async def under_way(self, batches: int) -> None:
        """Wait until so many batches leave."""
        while len(self.line.leaving) < batches:  # noqa: ASYNC110  # the link tells nobody
            await asyncio.sleep(0.01)

    async def has_stopped(self) -> None:
        """Wait until the link has seen that its node is isolated, and all that came since."""
        while self.link.state.phase != "isolated" or self.link._decided != self._changes.serial:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def told(home: Path) -> AsyncIterator[Story]:
    """Tell a story of a node that runs."""
    node = Node(home)
    story = Story(node)
    task = asyncio.create_task(story.link.run())
    try:
        async with asyncio.timeout(30):
            yield story
    finally:
        task.cancel()
        await asyncio.wait([task])
        node.close()


@pytest.mark.parametrize("batches", [1, outbox.LANES])
async def test_isolation_stops_what_is_under_way_and_nothing_leaves_after_it(
    home: Path, batches: int
) -> None:
    """With as many under way as there may be, the link waits for an answer that does not come."""
    async with told(home) as story:
        for number in range(batches):
            await story.publish(LARGE)
            await story.under_way(number + 1)
        await story.isolate()
        await story.has_stopped()
        assert story.line.leaving == []
        await story.publish()
        await story.has_stopped()
        assert story.line.leaving == []
        assert len(story.line.begun) == batches


async def test_what_isolation_has_stopped_is_sent_again_at_its_end(home: Path) -> None:
    async with told(home) as story:
        await story.publish(LARGE)
        await story.under_way(1)
        await story.isolate()
        await story.has_stopped()
        await story.node.log.write(lambda tx: isolation.end(tx, "test"))
        await story.under_way(1)
        first, again = map(frame.decode, story.line.begun)
        assert again.frames == first.frames


async def test_isolation_stops_recalls_that_are_told_apart(home: Path) -> None:
    """A peer that has suspended this member is told of recalls alone: they leave no more than anything else."""
    async with told(home) as story:
        await story.publish()
        await story.under_way(1)
        node, made = story.node, json.loads(written(TIRANA, 1))["id"]
        await recall.recall(node.log, node.author, node.members, recall.Request(made), "test")
        story.line.has_suspended = True
        await story.line.abort()
        await story.under_way(1)
        kinds = {one.kind for one in frame.decode(story.line.leaving[0]).frames}
        assert kinds == {frame.FrameKind.TOMBSTONE}
        await story.isolate()
        await story.has_stopped()
        assert story.line.leaving == []
