"""What a client asks for of a list (TAXII 2.1 §3.4): filters, and from where on."""

from collections.abc import Iterable
from typing import Final

import msgspec

from lezha.taxii import dates, paging
from lezha.taxii.errors import TaxiiError

MOST: Final = 1000
"""Objects of one page at most, and if nothing is asked for."""
_MOST_VALUES: Final = 100
_LONGEST: Final = 300
_WORDS: Final = frozenset({"first", "last", "all"})
SPEC_VERSION: Final = "2.1"
"""That of all that is held: STIX 2.1 alone is taken."""


class Versions(msgspec.Struct, frozen=True):
    """Which versions of each object are asked for; `exact` are dates of versions, of six digits."""

    first: bool = False
    last: bool = True
    all: bool = False
    exact: frozenset[str] = frozenset()


class Filters(msgspec.Struct, frozen=True):
    """What is asked for; empty means anything. `after` is a date: only what was added later."""

    after: int = 0
    limit: int = MOST
    ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    versions: Versions = Versions()
    no_spec_version: bool = False
    """No version of STIX that is held here is asked for: nothing fits."""


def read(query: Iterable[tuple[str, str]], place: str) -> Filters:
    """Read the parameters of a request for the list at `place`. Unknown ones mean nothing here. Raises TaxiiError.

    Where the same page is asked for by `next` and by `added_after`, the later of both counts: some clients move both.
    """
    given: dict[str, str] = {}
    for name, value in query:
        given[name] = f"{given[name]},{value}" if name in given and name.startswith("match[") else value
    after = dates.asked("added_after", given["added_after"]) if given.get("added_after") else 0
    if token := given.get("next"):
        after = max(after, paging.read(token, place))
    return Filters(
        after=after,
        limit=_limit(given.get("limit", "")),
        ids=_values(given, "match[id]"),
        types=_values(given, "match[type]"),
        versions=versions(_values(given, "match[version]")),
        no_spec_version=_misses(_values(given, "match[spec_version]")),
    )


def versions(values: frozenset[str]) -> Versions:
    """Read `match[version]` (§3.4.1): first, last, all, or times of versions; the last one if nothing is said.

    Raises TaxiiError.
    """
    if not values:
        return Versions()
    exact = frozenset(dates.asked_version(one) for one in values - _WORDS)
    return Versions("first" in values, "last" in values, "all" in values, exact)


def _limit(text: str) -> int:
    if not text:
        return MOST
    # §3.4: a limit is positive. How many a page has at most is the server's affair.
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise TaxiiError(400, f"limit must be a whole number above 0, and is {text[:20]!r}.")
    return MOST if len(text.lstrip("0")) > len(str(MOST)) else min(MOST, int(text))


def _values(given: dict[str, str], name: str) -> frozenset[str]:
    """Return the values of a filter; a comma between them means or."""
    values = frozenset(one.strip() for one in given.get(name, "").split(",")) - {""}
    if len(values) > _MOST_VALUES or any(len(one) > _LONGEST for one in values):
        raise TaxiiError(400, f"{name} takes {_MOST_VALUES} values at most, of {_LONGEST} letters each.")
    return values


def _misses(spec_versions: frozenset[str]) -> bool:
    return bool(spec_versions) and SPEC_VERSION not in spec_versions
