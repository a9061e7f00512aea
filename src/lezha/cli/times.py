"""Times as people write them: a moment, or so long ago."""

import contextlib
import datetime as dt
import re
from typing import Final

from lezha.cli.errors import CliError
from lezha.node.clock import later, utc_now

_AGO: Final = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def moment(written: str) -> str:
    """Return a time as the API takes it, of one that may be written as so many hours, days or weeks ago."""
    ago = _AGO.fullmatch(written)
    return later(utc_now(), **{_UNITS[ago[2]]: -int(ago[1])}) if ago else written


def to_come(expires: str) -> str:
    """Return a time until which something may be sent. Raises CliError if it has passed; the node judges the form."""
    with contextlib.suppress(ValueError, TypeError):  # no time, or one without a zone
        if dt.datetime.fromisoformat(expires) <= dt.datetime.now(dt.UTC):
            raise CliError(f"It would be sent to nobody: it expires at {expires}, which is in the past.")
    return expires
