"""Times as people write them, in the API and on pages."""

import datetime as dt
import re
from typing import Final

from lezha.flows.errors import FlowError
from lezha.node.clock import later, stamp, utc_now

_AGO: Final = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def past(written: str, *, utc: bool = False) -> str:
    """Return a time as the log writes it, of one as `moment` takes it or of so many hours, days, weeks ago: 24h.

    Nothing stays nothing. Raises FlowError.
    """
    ago = _AGO.fullmatch(written)
    return later(utc_now(), **{_UNITS[ago[2]]: -int(ago[1])}) if ago else moment(written, utc=utc)


def moment(written: str, *, utc: bool = False) -> str:
    """Return a time as the log writes it, of one with a zone, or with `utc` of one in UTC without. Raises FlowError."""
    if not written:
        return ""
    try:
        found = dt.datetime.fromisoformat(written)
    except ValueError as error:
        raise FlowError(
            f"{written[:60]!r} is not a time: write 2026-03-31T12:00:00Z, or 24h, 7d, 2w ago."
        ) from error
    if found.tzinfo is None and not utc:
        raise FlowError(f"{written[:60]!r} has no time zone: write 2026-03-31T12:00:00Z.")
    try:
        return stamp(found if found.tzinfo else found.replace(tzinfo=dt.UTC))
    except (ValueError, OverflowError) as error:
        raise FlowError(f"{written[:60]!r} is beyond all times.") from error
