"""From many hits to few reports, none lost and none counted twice. Pure: the time is always passed in.

The first hit of an indicator is due at once. Later ones are counted, and due when the window since its last report
is over; an indicator without hits for a window starts anew. Reports leave in batches: `take` gives one and keeps
giving the same one, with the same id, until `confirm` names it. Whoever sends may therefore fail, repeat and
reconnect as he likes; whoever receives recognises a repetition by the batch id.

Memory is bounded by the number of indicators that hit, one small count each, however long the node is away; the
batch on its way has at most `max_reports`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from lezha.detection.engine import Hit

__all__ = ["MAX_REPORTS", "Aggregator", "Batch", "Report"]

MAX_REPORTS = 1000  # in one batch


class Report(msgspec.Struct, frozen=True):
    """In how many lines an indicator's observables were seen, and from when to when (UTC), since its last report."""

    key: str
    count: int
    first_seen: datetime
    last_seen: datetime


class Batch(msgspec.Struct, frozen=True):
    """Reports that leave together: for good under this id, taken at this time."""

    id: str
    taken: datetime
    reports: tuple[Report, ...]


class _Window:
    """One indicator: what is not reported yet, and when the window since its last report is over."""

    __slots__ = ("pending", "until")

    def __init__(self) -> None:
        self.pending: Report | None = None
        self.until: datetime | None = None

    def is_over(self, now: datetime, window: timedelta) -> bool:
        # A window that is further off than its length was set before the clock was put back.
        return self.until is None or not now < self.until <= now + window


class Aggregator:
    """Hits in, batches of reports out."""

    def __init__(self, *, run: str, window: timedelta, max_reports: int = MAX_REPORTS) -> None:
        """Begin; `run` must be new for every start of a sensor, for batches are numbered within it."""
        self._run = run
        self._window = window
        self._max_reports = max_reports
        self._windows: dict[str, _Window] = {}
        self._sent = 0
        self._on_its_way: Batch | None = None

    def add(self, hits: Iterable[Hit], now: datetime) -> None:
        """Count the hits of one scan: a line counts once for an indicator, in however many fields it shows it.

        A hit whose record tells no time, or a time to come, was seen `now`.
        """
        for hit in {(hit.key, hit.line_offset): hit for hit in hits}.values():
            seen = now if hit.seen is None or hit.seen > now else hit.seen
            window = self._windows.setdefault(hit.key, _Window())
            window.pending = _counted(window.pending, hit.key, seen)

    def take(self, now: datetime) -> Batch | None:
        """Give the batch that is not confirmed yet, else a new one of what is due, else None."""
        if self._on_its_way is None:
            reports = self._due(now)
            self._forget_quiet(now)
            if reports:
                self._sent += 1
                self._on_its_way = Batch(f"{self._run}-{self._sent}", now, reports)
        return self._on_its_way

    def confirm(self, batch_id: str) -> None:
        """Let go of a batch that arrived; any other id (a late answer to a repetition) changes nothing."""
        if self._on_its_way is not None and self._on_its_way.id == batch_id:
            self._on_its_way = None

    @property
    def pending(self) -> int:
        """How many hits are not confirmed to have arrived."""
        waiting = (window.pending.count for window in self._windows.values() if window.pending is not None)
        under_way = self._on_its_way.reports if self._on_its_way is not None else ()
        return sum(waiting) + sum(report.count for report in under_way)

    def _due(self, now: datetime) -> tuple[Report, ...]:
        reports: list[Report] = []
        for window in self._windows.values():
            if len(reports) == self._max_reports:
                break
            if window.pending is not None and window.is_over(now, self._window):
                reports.append(window.pending)
                window.pending, window.until = None, now + self._window
        return tuple(reports)

    def _forget_quiet(self, now: datetime) -> None:
        quiet = [
            key
            for key, window in self._windows.items()
            if window.pending is None and window.is_over(now, self._window)
        ]
        for key in quiet:
            del self._windows[key]


def _counted(report: Report | None, key: str, seen: datetime) -> Report:
    if report is None:
        return Report(key, 1, seen, seen)
    return Report(key, report.count + 1, min(report.first_seen, seen), max(report.last_seen, seen))
