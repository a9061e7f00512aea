"""The sensor process: follows logs, matches what its node tells it, and reports.

Three loops share one engine. *Learn* keeps the index as the node's view of this sensor says, from row 1 after each
start; when the node was restored it reads anew, and drops what was not told again once it has come to the end. *Watch*
scans what the logs grow by. *Tell* delivers batches of reports until each is confirmed. A node that is away stops none
of the matching: reports wait, and are delivered once it is back.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from lezha.detection.engine import Engine, Reader
from lezha.detection.errors import UplinkError
from lezha.detection.feed import Item
from lezha.detection.follow import Follower, follow
from lezha.detection.observable import Kind, Observable
from lezha.detection.sensor import Aggregator
from lezha.detection.uplink import Uplink
from lezha.stix import timestamps
from lezha.stix.errors import StixError

_PAUSE_S: Final = 1.0
_TELL_S: Final = 0.05
_EXPIRY_S: Final = 1.0
_logger = structlog.get_logger()


class Counts(msgspec.Struct):
    """What the sensor has done since it started."""

    lines: int = 0
    skipped: int = 0
    hits: int = 0
    reported: int = 0
    indicators: int = 0
    unmatched: int = 0


def _end(item: Item) -> dt.datetime | None:
    try:
        return timestamps.parse(item.valid_until) if item.valid_until else None
    except StixError as error:
        _logger.warning("sensor.no_end", indicator=item.key, reason=str(error))
        return None


class Station:
    """One sensor. `reader` makes the reader for a file; `clock` tells the present time in UTC."""

    def __init__(
        self,
        engine: Engine,
        aggregator: Aggregator,
        follower: Follower,
        reader: Callable[[Path], Reader],
        uplink: Uplink,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._engine = engine
        self._aggregator = aggregator
        self._follower = follower
        self._reader = reader
        self._uplink = uplink
        self._clock = clock
        self._readers: dict[Path, Reader] = {}
        self._watched: dict[str, Item] = {}
        self._ending: dict[str, dt.datetime] = {}
        self._found = asyncio.Event()
        self.counts = Counts()

    async def run(self) -> None:
        """Work until cancelled, or until the node refuses the token (UplinkError)."""
        loops = (self._learn(), self._watch(), self._tell(), self._forget_expired())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._uplink.close()

    async def _learn(self) -> None:
        head, incarnation = 0, ""
        untold: set[str] = set()  # what a node told in another incarnation, and has not told again
        while True:
            try:
                feed = await self._uplink.fetch(head, incarnation)
            except UplinkError as error:
                await self._rest("learn", error)
                continue
            if incarnation and feed.incarnation != incarnation:
                _logger.warning("sensor.reads_anew", indicators=len(self._watched))
                untold = set(self._watched)
                head, incarnation = 0, ""
                continue
            incarnation = feed.incarnation
            for item in feed.items:
                self._take(item)
                untold.discard(item.key)
            head = feed.head
            if not feed.more:
                self._drop_all(untold)
                untold = set()

    async def _watch(self) -> None:
        async for path, chunk in follow(self._follower):
            reader = self._readers.get(path)
            if reader is None:
                reader = self._readers[path] = self._reader(path)
            scan = self._engine.scan(chunk, reader)
            self.counts.lines += scan.lines
            self.counts.skipped += scan.skipped
            if scan.hits:
                self.counts.hits += len(scan.hits)
                self._aggregator.add(scan.hits, self._clock())
                self._found.set()
            await asyncio.sleep(0)

    async def _tell(self) -> None:
        while True:
            batch = self._aggregator.take(self._clock())
            if batch is None:
                self._found.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE_S):
                        await self._found.wait()
                await asyncio.sleep(_TELL_S)  # let a burst become one batch
                continue
            try:
                taken = await self._uplink.deliver(batch)
            except UplinkError as error:
                await self._rest("tell", error)
                continue
            self._aggregator.confirm(batch.id)
            self.counts.reported += len(taken.sightings)

    async def _forget_expired(self) -> None:
        while True:
            now = self._clock()
            self._drop_all([key for key, end in self._ending.items() if end <= now])
            await asyncio.sleep(_EXPIRY_S)

    def _take(self, item: Item) -> None:
        self._drop(item.key)
        end = _end(item)
        if end is not None and end <= self._clock():
            return
        for kind, value in item.observables:
            self._engine.add(Observable(Kind(kind), value), item.key)
        self._watched[item.key] = item
        if end is not None:
            self._ending[item.key] = end
        if item.unmatched:
            self.counts.unmatched += 1
            _logger.warning("sensor.unmatched", indicator=item.key, reason=item.unmatched)
        self.counts.indicators = len(self._watched)

    def _drop_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._drop(key)

    def _drop(self, key: str) -> None:
        item = self._watched.pop(key, None)
        self._ending.pop(key, None)
        for kind, value in item.observables if item else ():
            self._engine.remove(Observable(Kind(kind), value), key)
        self.counts.indicators = len(self._watched)

    async def _rest(self, loop: str, error: UplinkError) -> None:
        if error.final:
            raise error
        _logger.warning("sensor.node_away", loop=loop, reason=str(error))
        await asyncio.sleep(_PAUSE_S)
