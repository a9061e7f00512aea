"""Where the next page begins (TAXII 2.1 §3.4, `next`): after the date of the last one. The server keeps no page."""

import base64
import binascii
import hashlib
from typing import Final

from lezha.taxii.errors import TaxiiError

_DATE, _CHECK = 8, 6
_LONGEST: Final = 40


def write(after: int, place: str) -> str:
    """Return a token for what follows the date `after` (microseconds) of the list at `place`."""
    raw = after.to_bytes(_DATE, "big")
    return base64.urlsafe_b64encode(raw + _check(raw, place)).decode().rstrip("=")


def read(token: str, place: str) -> int:
    """Return the date that a token of this list holds. Raises TaxiiError for any other text."""
    try:
        if len(token) > _LONGEST:
            raise ValueError(token)
        raw = base64.b64decode(f"{token}{'=' * (-len(token) % 4)}", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != _DATE + _CHECK or _check(raw[:_DATE], place) != raw[_DATE:]:
        raise TaxiiError(
            400, "next is not one that this list has given: begin again without it, with added_after."
        )
    return int.from_bytes(raw[:_DATE], "big")


def _check(raw: bytes, place: str) -> bytes:
    # Against mistakes, not against people: whoever makes one up learns nothing that added_after would not show.
    return hashlib.sha256(raw + place.encode()).digest()[:_CHECK]
