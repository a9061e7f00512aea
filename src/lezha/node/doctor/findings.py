"""What the doctor finds, and in which order it is told."""

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from lezha.node.clock import stamp


class Grade(StrEnum):
    """How much a finding matters: `NOW` is broken or open, `SOON` will break, `NOTE` is good to know."""

    NOW = "now"
    SOON = "soon"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """Something found: `what` is so, since or from `when` on (RFC 3339 UTC, empty for at present), and what to `do`."""

    grade: Grade
    code: str
    what: str
    when: str = ""
    do: str = ""


_ORDER: Final = list(Grade)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Return findings, the gravest first; of each grade what is so already, and then what is due first."""
    return sorted(found, key=lambda one: (_ORDER.index(one.grade), one.when, one.code, one.what))


def due(ends: dt.datetime, now: str, soon_days: float, now_days: float) -> tuple[Grade, str] | None:
    """Return how much it matters that something ends, and when it does, or None if that is far off."""
    left = ends - dt.datetime.fromisoformat(now)
    if left > dt.timedelta(days=soon_days):
        return None
    return (Grade.NOW if left <= dt.timedelta(days=now_days) else Grade.SOON), stamp(ends)
