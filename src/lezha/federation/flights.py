"""Batches of one link that are under way, oldest first, and what comes back for each."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, NamedTuple

from lezha.federation.frame import Batch


class Landed(NamedTuple):
    """A batch, the envelope of the receipt for it, and the instant at which that came, in seconds."""

    batch: Batch
    receipt: bytes
    arrived: float


class Flights:
    """What is under way; true if that is anything."""

    def __init__(self) -> None:
        self._flights: deque[tuple[Batch, asyncio.Task[tuple[bytes, float]]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._flights)

    @property
    def has_landed(self) -> bool:
        """Whether the answer to the oldest is there."""
        return bool(self._flights) and self._flights[0][1].done()

    def begin(self, batch: Batch, carrying: Coroutine[Any, Any, tuple[bytes, float]]) -> None:
        """Send a batch on its way; `carrying` returns the receipt's envelope and when it came."""
        self._flights.append((batch, asyncio.create_task(carrying)))

    def land(self) -> Landed:
        """Take the oldest, which has landed. Raises what its carrying raised; then it counts as under way still."""
        batch, answer = self._flights[0]
        receipt, arrived = answer.result()
        self._flights.popleft()
        return Landed(batch, receipt, arrived)

    async def wait(self, also: "asyncio.Future[Any] | None" = None, seconds: float | None = None) -> None:
        """Wait until the oldest has landed, or for `also`, which is cancelled then, or for so many seconds."""
        waited: set[asyncio.Future[Any]] = {self._flights[0][1]}
        every = waited | {also} if also else waited
        try:
            await asyncio.wait(every, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if also is not None:
                also.cancel()

    async def drop(self) -> None:
        """Give up all of them: whether they arrived is not known."""
        dropped = [answer for _, answer in self._flights]
        self._flights.clear()
        for one in dropped:
            one.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)
