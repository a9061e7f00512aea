"""Times as people write them, in the API and on pages."""

import datetime as dt
import re

from lezha.flows.errors import FlowError
from lezha.node.clock import ago, later, stamp, utc_now


def past(written: str, *, utc: bool = False) -> str:
    """Return a time as the log writes it, of one as `moment` takes it or of so many hours, days, weeks ago: 24h.

    Nothing stays nothing. Raises FlowError.
    """
    return ago(written) or moment(written, utc=utc)


def to_come(written: str) -> str:
    """Return a time until which something may be sent, as the log writes it. Raises FlowError if it has passed."""
    found = moment(written)
    if found <= utc_now():
        raise FlowError(f"It would be sent to nobody: it expires at {written}, which is in the past.")
    return found


def end(written: str) -> str:
    """Return until when something lasts: the end of a day in UTC, 2026-03-31, or a time as `moment` takes it.

    Raises FlowError if it has passed.
    """
    day = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written) is not None
    found = moment(written, utc=day)
    try:
        found = later(found, days=1) if day else found
    except OverflowError as error:
        raise FlowError(f"{written[:60]!r} is beyond all times.") from error
    if found <= utc_now():
        raise FlowError(
            f"{written[:60]!r} is in the past: write when it ends, as 2026-03-31 or 2026-03-31T12:00:00Z."
        )
    return found


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
