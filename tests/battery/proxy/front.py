"""A TCP proxy in front of a node's listener for peers, which brings the bad days of a network to real sockets.

Bytes go through as they are, TLS included, as long as the weather is fair. The weather of a front says what happens to
its connections from now on; a thread of its own carries the bytes, so that whoever tells the story may wait.

A direction of a connection that has lost bytes is lost for good: what comes after them is thrown away too, an end or a
reset included, as if a machine in between had forgotten the connection. Neither end is told when the weather is fair
again: they have to find out by themselves.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final, TypeVar

T = TypeVar("T")

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 16 << 10
_RESENT_S: Final = 1.0
"""How long after the way is open TCP sends again what was held up, at most."""
_PATIENCE_S: Final = 10
_ACCEPTED_S: Final = 0.05
"""How long it takes until what has been accepted is a connection here."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time at all; then close() sends a reset."""


class Side(Enum):
    """A direction: to the node, or from it."""

    INWARD = "inward"
    OUTWARD = "outward"


BOTH: Final = frozenset(Side)


@dataclass(frozen=True)
class Weather:
    """What happens to bytes and connections now. The default is fair: nothing."""

    refused: bool = False
    """Nothing listens: new connections are refused."""
    silent: bool = False
    """New connections are accepted, and nothing is ever said on them."""
    swallowed: frozenset[Side] = frozenset()
    """Bytes in these directions are thrown away."""
    held: frozenset[Side] = frozenset()
    """Bytes in these directions wait for other weather."""
    delay_s: float = 0.0
    """What is read at once is late by this, and by up to half as much more or less."""
    bytes_per_s: int = 0
    """How much goes through in each direction of a connection, 0 for as much as there is."""
    ends_after: int = 0
    """A direction of a connection ends within so many bytes, 0 for never: in the middle of whatever it is."""
    ends_silently: bool = False
    """It ends by losing what comes then, and not by a reset of the connection."""

    def words(self) -> str:
        """Say what differs from fair weather."""
        found = [f"{one.name}={_shown(getattr(self, one.name))}" for one in fields(self)]
        usual = [f"{one.name}={_shown(one.default)}" for one in fields(self)]
        return ", ".join(one for one in found if one not in usual) or "fair"


def _shown(value: object) -> str:
    return "+".join(sorted(side.value for side in value)) if isinstance(value, frozenset) else str(value)


FAIR: Final = Weather()


class Front:
    """The proxy in front of one listener. To be called from any thread but that of its loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port: int, node_port: int, chance: random.Random
    ) -> None:
        self.port: Final = port
        self._loop = loop
        self._node_port = node_port
        self._chance = chance
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.carried = 0
        """Bytes that went through, in both directions."""

    @property
    def weather(self) -> Weather:
        """The weather now."""
        return self._weather

    def become(self, weather: Weather) -> None:
        """Change the weather; what is lost stays lost."""
        self._in_loop(self._become(weather))

    def cut(self, *, reset: bool) -> int:
        """End all connections that there are, and return how many: by a reset, or by an end that looks orderly."""
        return self._in_loop(self._cut(reset))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    async def _become(self, weather: Weather) -> None:
        self._weather = weather
        if weather.refused and self._server is not None:
            self._server.close()
            self._server = None
        if not weather.refused and self._server is None:
            self._server = await asyncio.start_server(self._accept, _HOST, self.port, limit=_CHUNK)
        for one in self._connections:
            one.expect(weather)
        self._changed.set()
        self._changed = asyncio.Event()

    async def _cut(self, reset: bool) -> int:
        present = [one for one in self._connections if not one.lost]
        for one in present:
            one.end(reset=reset)
        return len(present)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        connection.expect(self._weather)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._node_port)
        except asyncio.CancelledError:
            connection.end(reset=True)
        finally:
            self._connections.discard(connection)

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(_ACCEPTED_S)
        running = [one.task for one in self._connections]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # --- what its connections ask ---------------------------------------------------------------------------------

    def drawn(self, most: int) -> int:
        """Draw a number from 1 to `most`, or 0 if that is 0."""
        return self._chance.randint(1, most) if most else 0

    async def passage(self, side: Side, size: int) -> None:
        """Wait for as long as so many bytes need."""
        weather = self._weather
        if weather.delay_s:
            await asyncio.sleep(weather.delay_s * self._chance.uniform(0.5, 1.5))
        if weather.bytes_per_s:
            await asyncio.sleep(size / weather.bytes_per_s)
        while side in self._weather.held:
            await self._changed.wait()
            await asyncio.sleep(_RESENT_S * self._chance.random())


class _Connection:
    """One connection through a front: `near` is who connected, `far` the node."""

    def __init__(self, front: Front, near: asyncio.StreamWriter) -> None:
        self._front = front
        self._writers = {Side.OUTWARD: near}
        self._ends = dict.fromkeys(Side, 0)
        self._silently = False
        self.lost: set[Side] = set()
        task = asyncio.current_task()
        assert task is not None
        self.task: Final = task

    def expect(self, weather: Weather) -> None:
        """Draw where each direction ends by this weather."""
        self._ends = {side: self._front.drawn(weather.ends_after) for side in Side}
        self._silently = weather.ends_silently

    async def run(self, near: asyncio.StreamReader, node_port: int) -> None:
        """Carry bytes until both ends have ended; for ever, if one of them will never hear of that."""
        if self._front.weather.silent:
            self.lost |= BOTH
            await _drained(near)
            self.end(reset=False)
            return
        try:
            far, self._writers[Side.INWARD] = await asyncio.open_connection(_HOST, node_port, limit=_CHUNK)
        except OSError:  # the node is not there
            self.end(reset=True)
            return
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(self._pump(Side.INWARD, near))
            pumps.create_task(self._pump(Side.OUTWARD, far))
        if self.lost:
            await asyncio.Event().wait()
        self.end(reset=False)

    def end(self, *, reset: bool) -> None:
        """End it to both sides."""
        for writer in self._writers.values():
            if reset:
                _reset(writer)
            else:
                writer.close()

    async def _pump(self, side: Side, reader: asyncio.StreamReader) -> None:
        """Carry the bytes of one direction, and then its end."""
        writer = self._writers[side]
        while True:
            try:
                chunk = await reader.read(_CHUNK)
            except OSError:
                self._end(side, reset=True)
                return
            await self._front.passage(side, len(chunk))
            if side in self._front.weather.swallowed:
                self.lost.add(side)
            if not chunk:
                self._end(side, reset=False)
                return
            if side not in self.lost:
                await self._pass(side, writer, chunk)

    async def _pass(self, side: Side, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        left = self._ends[side]
        if left and len(chunk) >= left:
            chunk = chunk[:left]
        self._front.carried += len(chunk)
        if not writer.is_closing():
            with contextlib.suppress(OSError):  # the other end is gone: the pump from there says so
                writer.write(chunk)
                await writer.drain()
        if left and len(chunk) == left:
            if self._silently:
                self.lost.add(side)
            else:
                self.end(reset=True)
        self._ends[side] = max(0, left - len(chunk))

    def _end(self, side: Side, *, reset: bool) -> None:
        """Tell one end that the other has ended, if word of it gets through."""
        writer = self._writers[side]
        if side in self.lost or side in self._front.weather.swallowed:
            self.lost.add(side)
        elif reset:
            _reset(writer)
        elif not writer.is_closing():
            with contextlib.suppress(OSError):
                writer.write_eof()


async def _drained(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(_CHUNK):
            pass


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        found: socket.socket = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Fronts:
    """All fronts of a story, in one thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self._made: list[Front] = []

    def before(self, node_port: int, port: int) -> Front:
        """Stand before a node's port, at another one."""
        front = Front(self._loop, port, node_port, random.Random(self._chance.random()))
        self._made.append(front)
        front.become(FAIR)
        return front

    async def close(self) -> None:
        """Close all of them."""
        for one in self._made:
            await one.close()


@contextmanager
def fronts(seed: int) -> Iterator[Fronts]:
    """Run the thread of fronts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fronts", daemon=True)
    thread.start()
    made = Fronts(loop, random.Random(seed))
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(made.close(), loop).result(_PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE_S)
        loop.close()
