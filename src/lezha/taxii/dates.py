"""Dates of TAXII 2.1 (§1.5, §3.1): RFC 3339 in UTC. Here they are whole microseconds since 1970."""

import datetime as dt
import re
from typing import Final

from lezha.taxii.errors import TaxiiError

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND: Final = 1_000_000
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,20}))?(?:[Zz]|[+-]00:00)", re.ASCII)


def read(text: str) -> int:
    """Return a date in microseconds. A fraction may be missing; digits beyond the microsecond are cut off.

    Raises ValueError.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text[:60])
    whole = dt.datetime.fromisoformat(f"{found[1].upper()}+00:00") - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * _SECOND + int(f"{(found[2] or '')[:6]:0<6}")


def asked(name: str, text: str) -> int:
    """Return the date that a parameter gives. Raises TaxiiError."""
    try:
        return read(text)
    except ValueError:
        raise TaxiiError(
            400, f"{name} must be a time in UTC such as 2026-03-01T12:00:00.000000Z, and is {text[:60]!r}."
        ) from None


def asked_version(text: str) -> str:
    """Return the version that a parameter gives as a date of six digits, to be compared as text. Raises TaxiiError."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise TaxiiError(
            400,
            f"match[version] takes first, last, all, or times such as 2026-03-01T12:00:00.000Z, not {text[:60]!r}.",
        )
    return f"{found[1].upper()}.{(found[2] or '')[:6]:0<6}Z"


def short(text: str) -> str:
    """Return a date of six digits after the second with three, if the others are zeros."""
    return (
        f"{text[:-4]}Z" if text.endswith("000Z") and len(text) == len("2026-03-01T12:00:00.000000Z") else text
    )


def write(microseconds: int) -> str:
    """Return a date as text, with six digits after the second."""
    moment = _EPOCH + dt.timedelta(microseconds=microseconds)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
