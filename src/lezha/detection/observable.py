"""Observables: values that telemetry can show, each in one canonical form.

Two texts are the same observable exactly if `normalise` gives the same `Observable`. Everything here takes hostile
input: lengths are bounded, and `ObservableError` is all that is ever raised.
"""

import re
from enum import StrEnum

import msgspec

from lezha.detection.address import Address, Network, canonical_address, canonical_network
from lezha.detection.errors import ObservableError
from lezha.detection.name import canonical_name
from lezha.detection.url import canonical_url

__all__ = ["MAX_TEXT", "Kind", "Observable", "normalise", "of_address"]

MAX_TEXT = 8192  # characters of any value before it is looked at


class Kind(StrEnum):
    """What a value is; the words are also those of the command line and of the store."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    IPV4_NET = "ipv4-net"
    IPV6_NET = "ipv6-net"
    DOMAIN = "domain"
    URL = "url"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    EMAIL = "email"


class Observable(msgspec.Struct, frozen=True, order=True):
    """A kind and its canonical value; made by `normalise` only."""

    kind: Kind
    value: str


# What is canonical already, as nearly every IPv4 address is: four numbers without leading zeros.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_CANONICAL_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_FAMILIES = {Kind.IPV4: 4, Kind.IPV4_NET: 4, Kind.IPV6: 6, Kind.IPV6_NET: 6}
_ADDRESS_KINDS = {4: Kind.IPV4, 6: Kind.IPV6}
_NETWORK_KINDS = {4: Kind.IPV4_NET, 6: Kind.IPV6_NET}
_HASH_DIGITS = {Kind.MD5: 32, Kind.SHA1: 40, Kind.SHA256: 64}
_HEX = re.compile(r"[0-9a-f]+")
# RFC 5321 §4.1.2's Dot-string, at most 64 octets (§4.5.3.1.1). Quoted and internationalised (RFC 6531) local
# parts are refused: no log writes them in a form that could be recognised again.
_LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def normalise(kind: Kind, text: str) -> Observable:
    """Read `text` as an observable of `kind`; white space around it is ignored.

    The four kinds of addresses and networks name a family only: whether the result is an address or a network
    follows from the text (a network of one address is that address), and what is IPv4-mapped becomes IPv4.

    Raises:
        ObservableError: the text is not of that kind, or too broad to look for.
    """
    if kind is Kind.IPV4 and _CANONICAL_IPV4.fullmatch(text) is not None:
        return Observable(kind, text)
    if len(text) > MAX_TEXT:
        raise ObservableError(f"longer than {MAX_TEXT} characters")
    text = text.strip()
    if kind in _FAMILIES:
        return _of_family(_FAMILIES[kind], text)
    if kind is Kind.DOMAIN:
        return Observable(kind, canonical_name(text))
    if kind is Kind.URL:
        return Observable(kind, canonical_url(text))
    if kind is Kind.EMAIL:
        return Observable(kind, _canonical_email(text))
    return Observable(kind, _canonical_hash(kind, text))


def of_address(address: Address) -> Observable:
    """Give the observable of an address that is read already."""
    return Observable(_ADDRESS_KINDS[address.version], str(address))


def _of_family(family: int, text: str) -> Observable:
    if (6 if ":" in text else 4) != family:
        raise ObservableError(f"not of IPv{family}")
    if "/" not in text:
        return of_address(canonical_address(text))
    return _of_network(canonical_network(text))


def _of_network(network: Network) -> Observable:
    if network.prefixlen == network.max_prefixlen:
        return of_address(network.network_address)
    return Observable(_NETWORK_KINDS[network.version], str(network))


def _canonical_email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not local.isascii() or _LOCAL_PART.fullmatch(local.lower()) is None:
        raise ObservableError("not an e-mail address (RFC 5321 §4.1.2)")
    return f"{local.lower()}@{canonical_name(domain)}"


def _canonical_hash(kind: Kind, text: str) -> str:
    digits = text.lower()
    if not text.isascii() or len(digits) != _HASH_DIGITS[kind] or _HEX.fullmatch(digits) is None:
        raise ObservableError(f"not {_HASH_DIGITS[kind]} hexadecimal digits")
    return digits
