"""The media types of TAXII 2.1 (§1.6.8) and what a request says of them."""

from typing import Final

TAXII: Final = "application/taxii+json;version=2.1"
STIX: Final = "application/stix+json;version=2.1"
_TYPES: Final = frozenset({"application/taxii+json"})
_RANGES: Final = frozenset({"application/taxii+json", "application/*", "*/*"})


def is_accepted(header: str) -> bool:
    """True if an Accept header leaves room for TAXII 2.1 (RFC 9110 §12.5.1). Without one anything is accepted.

    Beyond the specification that of many clients is enough: no version, or a range.
    """
    if not header.strip():
        return True
    return any(_fits(part, _RANGES) for part in header.split(",")[:_MOST])


def is_taxii(header: str) -> bool:
    """True if a Content-Type says TAXII 2.1, with or without its version."""
    return _fits(header, _TYPES)


_MOST: Final = 50  # ranges of one header that are looked at


def _fits(text: str, types: frozenset[str]) -> bool:
    kind, *rest = (part.strip().lower() for part in text.split(";"))
    if kind not in types:
        return False
    for parameter in rest:
        name, _, value = parameter.partition("=")
        value = value.strip().strip('"')
        if name.strip() == "version" and kind == "application/taxii+json" and value != "2.1":
            return False
        if name.strip() == "q" and value.rstrip("0").rstrip(".") in ("0", ""):
            return False
    return True
