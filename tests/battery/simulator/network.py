"""The network between simulated nodes: TCP with its bad days, as one end of a link sees them.

A connection is opened if packets get through both ways; it is kept, and used for one request after another. A packet
that can't get through waits until it can: TCP sends it again, a while after the way is open. So requests arrive late,
also when nobody waits for the answer any more, and answers are lost while requests arrive. Some requests come a second
time, later. A connection to a node that has begun anew is reset by it, or, with something in between that has
forgotten the connection, stays silent.

At `heal` all ways open. What hangs is found out within RETRANSMISSION_S, as TCP does after outages as short as these.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from lezha.federation import outbox
from lezha.federation.client import TIMEOUT
from lezha.federation.errors import FederationError, LinkFault
from lezha.federation.polled import HOLD_S

RETRANSMISSION_S = 1.5
_CONNECT_S, _READ_S = TIMEOUT.sock_connect or 5.0, TIMEOUT.sock_read or 20.0
_ASKING_S = HOLD_S + _READ_S


class Host(Protocol):
    """A node as the network sees it. `life` rises whenever it begins anew."""

    member: str
    up: bool
    life: int

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that ends when the node does."""

    async def answer(self, sender: str, batch: bytes) -> bytes:
        """Answer who sends a batch."""

    async def give(self, asker: str, receipt: bytes) -> bytes:
        """Answer who asks for a batch."""


Request = Callable[[Host], Coroutine[Any, Any, bytes]]
"""What is asked of a host, once it has arrived there."""


class Network:
    """All ways between hosts, in each direction."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._cut: dict[tuple[str, str], int] = {}
        self._change = asyncio.Event()
        self._healed = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()
        self.hosts: dict[str, Host] = {}
        self.twice = 0.0
        """How likely a request comes again, later."""
        self.silent = 0.0
        """How likely a connection to a node that has begun anew stays silent, instead of being reset."""
        self.slow = 0.005
        """How long a packet is on its way, at most."""

    def cut(self, one: str, other: str) -> None:
        """Let no packet through from one host to another. Cuts add up."""
        self._cut[one, other] = self._cut.get((one, other), 0) + 1

    def mend(self, one: str, other: str) -> None:
        """Take one cut back."""
        if self._cut.get((one, other), 0):
            self._cut[one, other] -= 1
            self._changed()

    def heal(self) -> None:
        """Let everything through, from now on."""
        self._cut.clear()
        self.twice = self.silent = 0.0
        self._changed()
        self._healed.set()

    def is_open(self, one: str, other: str) -> bool:
        return not self._cut.get((one, other), 0)

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def carry(self, one: str, other: str) -> None:
        """Take a packet over, however long that takes."""
        await asyncio.sleep(self.slow * self._chance.random())
        while not self.is_open(one, other):
            await self._change.wait()
            await asyncio.sleep(RETRANSMISSION_S * self._chance.random())

    async def connect(self, one: str, other: str) -> int:
        """Open a connection and return which life of the other host it is to. Raises LinkFault."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self.carry(one, other)
                await self.carry(other, one)
        except TimeoutError as error:
            raise LinkFault(f"{other} can't be reached: it does not answer.") from error
        if not self.hosts[other].up:
            raise LinkFault(f"{other} can't be reached: nothing listens there.")
        return self.hosts[other].life

    async def ask(
        self, one: str, other: str, life: int, request: Request, patience_s: float = _READ_S
    ) -> bytes:
        """Send a request on a connection and return the answer. Raises what the answering does, and LinkFault."""
        asked = asyncio.create_task(self._exchange(one, other, life, request))
        try:
            async with asyncio.timeout(patience_s):
                # Whoever gives up does not call back what is on its way.
                return await asyncio.shield(asked)
        except TimeoutError as error:
            raise LinkFault(f"{other} can't be reached: it does not answer.") from error
        finally:
            if not asked.done():
                self._keep(asked)

    async def _exchange(self, one: str, other: str, life: int, request: Request) -> bytes:
        await self.carry(one, other)
        if self._chance.random() < self.twice:
            self._keep(asyncio.create_task(self._again(other, request)))
        host = self.hosts[other]
        if not host.up or host.life != life:
            if self._chance.random() < self.silent:
                await self._silence()
            raise LinkFault(f"{other} can't be reached: it cut the connection.")
        answer = await _done(host, request)
        if answer is None:
            await self._silence(0.5)
            raise LinkFault(f"{other} can't be reached: it cut the connection.")
        await self.carry(other, one)
        return answer

    async def _again(self, other: str, request: Request) -> None:
        await asyncio.sleep(8 * self._chance.random() ** 2)
        if self.hosts[other].up:
            await _done(self.hosts[other], request)

    async def _silence(self, share: float = 1.0) -> None:
        """Say nothing for long, but not much longer than until all is well."""
        if self.silent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._healed.wait(), 25 * share)
        await asyncio.sleep(RETRANSMISSION_S * self._chance.random())

    def _keep(self, task: "asyncio.Task[bytes] | asyncio.Task[None]") -> None:
        kept = asyncio.create_task(_quietly(task))
        self._late.add(kept)
        kept.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Forget all that is on its way."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


async def _done(host: Host, request: Request) -> bytes | None:
    """Return a host's answer, None if it ended before. Raises what the answering does."""
    task = host.begin(request(host))
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def _quietly(task: "asyncio.Task[bytes] | asyncio.Task[None]") -> None:
    try:
        await task
    except FederationError:
        pass
    except asyncio.CancelledError:
        task.cancel()
        raise


class SimulatedLine:
    """One host's way to another, for `node.links.Link` and `node.pulls.Pull`. `watch` sees each batch as it leaves."""

    lanes: Final = outbox.LANES

    def __init__(self, network: Network, one: str, other: str, watch: Callable[[str, bytes], None]) -> None:
        self._network, self._one, self._other, self._watch = network, one, other, watch
        self._life: int | None = None

    def is_open(self) -> bool:
        return True

    async def opened(self) -> None:
        """It is open."""

    async def send(self, batch: bytes) -> bytes:
        life = await self._connected()
        self._watch(self._other, batch)
        return await self._asked(life, lambda host: host.answer(self._one, batch), _READ_S)

    async def ask(self, receipt: bytes) -> bytes:
        life = await self._connected()
        return await self._asked(life, lambda host: host.give(self._one, receipt), _ASKING_S)

    async def _connected(self) -> int:
        if self._life is None:
            self._life = await self._network.connect(self._one, self._other)
        return self._life

    async def _asked(self, life: int, request: Request, patience_s: float) -> bytes:
        try:
            return await self._network.ask(self._one, self._other, life, request, patience_s)
        except FederationError:
            self._life = None
            raise

    async def abort(self) -> None:
        self._life = None

    async def close(self) -> None:
        self._life = None
