"""Times as people write them: a moment, or so long ago."""

import re
from typing import Final

from lezha.node.clock import later, utc_now

_AGO: Final = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def moment(written: str) -> str:
    """Return a time as the API takes it, of one that may be written as so many hours, days or weeks ago."""
    ago = _AGO.fullmatch(written)
    return later(utc_now(), **{_UNITS[ago[2]]: -int(ago[1])}) if ago else written
