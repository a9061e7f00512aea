"""Word of commits, for loops that wait for something new, and when each event became durable."""

import asyncio
import bisect
import contextlib
from collections import deque
from typing import Final

from lezha.store.log import Committed

_REMEMBERED: Final = 20_000
_PATIENCE_S: Final = 0.5


class Changes:
    """Wake all who wait whenever the log has grown by events of `kinds`, None for any but the `quiet` ones.

    To be made inside the event loop.
    """

    def __init__(self, kinds: frozenset[str] | None = None, quiet: frozenset[str] = frozenset()) -> None:
        self._kinds = kinds
        self._quiet = quiet
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.create_future()
        self._recent: deque[Committed] = deque(maxlen=_REMEMBERED)
        self._actors: frozenset[str] = frozenset()
        self._since = 0
        self.serial = 0

    def heard(self, committed: Committed) -> None:
        """Take word of a commit; may be called from any thread."""
        if committed.kinds - self._quiet if self._kinds is None else self._kinds & committed.kinds:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who waited
                self._loop.call_soon_threadsafe(self._wake, committed)

    async def beyond(self, serial: int, seconds: float, but: str = "") -> int:
        """Return the present serial once it differs from `serial`, or after `seconds`.

        If all that is new was caused by the actor `but`, that is told half a second later.
        """
        waits = False
        with contextlib.suppress(TimeoutError):
            # Not wait_for: until Python 3.12 it loses a cancellation that comes in the moment of a change.
            async with asyncio.timeout(seconds) as limit:
                while self.serial == serial or self._is_all_of(but, serial):
                    if self.serial != serial and not waits:
                        waits = True
                        limit.reschedule(self._loop.time() + min(seconds, _PATIENCE_S))
                    await asyncio.shield(self._next)
        return self.serial

    def _is_all_of(self, actor: str, serial: int) -> bool:
        """True if one actor has caused all that came after `serial`."""
        return self._actors == {actor} and self._since <= serial

    def kinds_since(self, seq: int) -> frozenset[str]:
        """Return the kinds of events of those remembered commits that go on beyond event `seq`."""
        found: set[str] = set()
        for one in reversed(self._recent):
            if one.last <= seq:
                break
            found |= one.kinds
        return frozenset(found)

    def committed_at(self, seq: int) -> float | None:
        """Return the monotonic instant since which event `seq` is durable, None if that is long ago."""
        position = bisect.bisect_left(self._recent, seq, key=lambda one: one.last)
        if position < len(self._recent) and self._recent[position].first <= seq:
            return self._recent[position].instant
        return None

    def _wake(self, committed: Committed) -> None:
        self._recent.append(committed)
        if committed.actors != self._actors:
            self._actors, self._since = committed.actors, self.serial
        self.serial += 1
        waiting, self._next = self._next, self._loop.create_future()
        waiting.set_result(None)
