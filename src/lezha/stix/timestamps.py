"""STIX timestamps (STIX 2.1 §2.16): RFC 3339 in UTC with `Z`, read, written and made sortable as text."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted

_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))(?:\.([0-9]+))?Z"
)


def normalise(text: str) -> str:
    """Return `text` at exactly six digits, so that comparing the text compares the times.

    Digits past the microsecond are cut off. A leap second (`:60`) is kept and sorts where it belongs. Raises
    Invalid if it is not a timestamp of STIX or not a day of the calendar.
    """
    # A feed states the same few times over and over; what is longer than a nanosecond needs is not kept.
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _normalise(text)


def _normalise(text: str) -> str:
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise _not_a_time(text)
    day, time, fraction = found.groups()
    try:
        date.fromisoformat(day)
    except ValueError:
        raise _not_a_time(text) from None
    return f"{day}{time}.{(fraction or '')[:6]:0<6}Z"


_LONGEST_REMEMBERED: Final = len("2022-07-15T00:00:00.000000000Z")
_remembered: Final = lru_cache(maxsize=1024)(_normalise)


def parse(text: str) -> datetime:
    """Return the moment of `text` in UTC; a leap second counts as the last microsecond before it."""
    exact = normalise(text)
    if exact[17:19] == "60":
        exact = f"{exact[:17]}59.999999Z"
    return datetime.fromisoformat(exact)


def render(moment: datetime) -> str:
    """Return `moment` as STIX writes `created` and `modified`: UTC, milliseconds, the rest cut off.

    Raises ValueError if `moment` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no place in STIX")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _not_a_time(text: str) -> Invalid:
    return Invalid(f"{quoted(text)} is not a time such as 2022-07-15T00:00:00.000Z", clause="STIX 2.1 §2.16")
