"""The one clock of a node."""

import datetime as dt

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


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
