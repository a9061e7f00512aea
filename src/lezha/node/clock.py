"""The one clock of a node."""

import datetime as dt
import re
from typing import Final

_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_AGO: Final = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def utc_now() -> str:
    """Return the present as RFC 3339 UTC with microseconds; such strings sort by time."""
    return stamp(dt.datetime.now(dt.UTC))


def stamp(moment: dt.datetime) -> str:
    """Return `moment`, which must carry a time zone, in the form of `utc_now`."""
    # Not strftime: of years before 1000 it leaves the zeros out, and such a string sorts elsewhere.
    return f"{moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def later(now: str, **delta: float) -> str:
    """Return the time `timedelta(**delta)` after `now`."""
    moment = dt.datetime.strptime(now, _FORMAT).replace(tzinfo=dt.UTC)
    return stamp(moment + dt.timedelta(**delta))


def between(earlier: str, later: str) -> float:
    """Return how many seconds lie between two times as `utc_now` writes them, negative if they go back."""
    return (dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)).total_seconds()


def ahead(told: str, now: str) -> float | None:
    """Return by how many seconds a time that somebody else has told is ahead of `now`, None if it is no time."""
    try:
        moment = dt.datetime.fromisoformat(told)
        return (moment - dt.datetime.fromisoformat(now)).total_seconds()
    except (ValueError, TypeError):  # no time, or one without a zone
        return None


def lasting(seconds: float) -> str:
    """Return a length of time as people say it, rounded down to one unit."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def ago(written: str) -> str | None:
    """Return the time so many hours, days or weeks ago: `24h`, `7d`, `2w`; None if that is not what is written."""
    found = _AGO.fullmatch(written)
    return later(utc_now(), **{_UNITS[found[2]]: -int(found[1])}) if found else None
