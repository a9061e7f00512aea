"""How much is taken of each peer, and when it may go on: back-pressure instead of loss. No clock, no network.

Of each peer so many objects are taken in an hour. One that costs much to check counts as several, so that what a peer
can have this node do in an hour is bounded, whatever it sends. What was not used is saved for an hour at most: a peer
that was away catches up at full speed as far as that goes, and goes on at the pace of the limit. What began within the
limit is taken whole, and what it was too much is waited for afterwards.
"""

import math
from typing import Final

AT_ONCE: Final = 4
"""Requests of one peer that are answered at the same time; a sender that keeps to the link makes two."""
OBJECT_BYTES: Final = 16 << 10
"""So many bytes count as an object, however few there are in them."""
PATTERN_CHARS: Final = 256
"""For each so many characters of a pattern its object counts as one more: the grammar takes up to 18 ms for them."""
_HOUR_S: Final = 3600.0
_BUSY_S: Final = 1.0
_TOLD_S: Final = 3600.0


class _Budget:
    """What may still be taken of one peer: objects left at a time, and requests under way."""

    __slots__ = ("at", "left", "told", "under_way")

    def __init__(self, hourly: int, now: float) -> None:
        self.left, self.at = float(hourly), now
        self.under_way = 0
        self.told = -math.inf


class Pace:
    """The budgets of all peers. `now` is any steady clock, in seconds."""

    def __init__(self, hourly: int) -> None:
        """Begin; `hourly` is for peers that have no limit of their own."""
        self._hourly = hourly
        self._budgets: dict[str, _Budget] = {}

    def enter(self, member: str, hourly: int | None, now: float) -> float:
        """Return 0 if a request of a peer may begin, which then has to `leave`; else for how many seconds to wait."""
        limit = self._hourly if hourly is None else hourly
        budget = self._budgets.setdefault(member, _Budget(limit, now))
        budget.left = min(limit, budget.left + (now - budget.at) * limit / _HOUR_S)
        budget.at = now
        if budget.left < 1:
            return (1 - budget.left) * _HOUR_S / limit
        if budget.under_way >= AT_ONCE:
            return _BUSY_S
        budget.under_way += 1
        return 0

    def spend(self, member: str, frames: int, size: int) -> None:
        """Count a batch: as many objects as it has frames, at least one, and one for each 16 KiB."""
        self._budgets[member].left -= max(1, frames, size // OBJECT_BYTES)

    def spend_more(self, member: str, objects: int) -> None:
        """Count what a batch that was counted costs beyond that, as so many objects."""
        self._budgets[member].left -= objects

    def leave(self, member: str) -> None:
        """Note that a request has ended."""
        self._budgets[member].under_way -= 1

    def is_news(self, member: str, now: float) -> bool:
        """Whether this peer is over its limit, of which nobody was told within the last hour; from now on that is so.

        Too many requests at once are no news: connections that were cut leave some behind at a node that is slow.
        """
        budget = self._budgets[member]
        news = budget.left < 1 and now - budget.told >= _TOLD_S
        if news:
            budget.told = now
        return news
