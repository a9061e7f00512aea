"""Whose addresses and names are one's own: the networks and domains of a member's constituency. Pure."""

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from lezha.detection.errors import ObservableError
from lezha.detection.lookup import lookups
from lezha.detection.observable import Kind, Observable, normalise

_MOST: Final = 10_000
_NETWORKS: Final = frozenset({Kind.IPV4_NET, Kind.IPV6_NET})
_ADDRESSES: Final = _NETWORKS | {Kind.IPV4, Kind.IPV6}


class Range(msgspec.Struct, frozen=True):
    """A network as the numbers of its first and last address."""

    version: int
    first: int
    last: int
    text: str


class Constituency(msgspec.Struct, frozen=True):
    """Networks, sorted and none within another, and domains; a domain stands for all names below it too.

    `above` are the names above these domains: whoever looks for one of them finds the domain as well.
    """

    networks: tuple[Range, ...] = ()
    domains: frozenset[str] = frozenset()
    above: frozenset[str] = frozenset()

    def entry(self, kind: str, value: str) -> str:
        """Return the entry that a value lies in, or that it contains; empty if there is none.

        Of a URL and an e-mail address the host counts.
        """
        if not self.networks and not self.domains:
            return ""
        one = Observable(Kind(kind), value)
        around = (
            [one] if one.kind in _ADDRESSES else [own for own in lookups(value) if own.kind not in _NETWORKS]
        )
        return next((found for own in around if (found := self._of(own))), "")

    def _of(self, one: Observable) -> str:
        if one.kind is Kind.DOMAIN:
            return one.value if one.value in self.domains else ""
        if one.kind not in _ADDRESSES:
            return ""
        asked = _range(one.value)
        place = bisect_right(
            self.networks, (asked.version, asked.last), key=lambda own: (own.version, own.first)
        )
        before = self.networks[place - 1] if place else None
        if before is None or (before.version, before.last) < (asked.version, asked.first):
            return ""
        return before.text


def parse(entries: Iterable[str]) -> Constituency:
    """Read what an operator has written: addresses, networks and domains.

    Raises ValueError, naming the entry that is none of these.
    """
    networks: list[Range] = []
    domains: set[str] = set()
    for number, text in enumerate(entries):
        if number >= _MOST:
            raise ValueError(f"more than {_MOST:,} entries")
        read = _read(text)
        if read.kind is Kind.DOMAIN:
            domains.add(read.value)
        else:
            networks.append(_range(read.value))
    above = frozenset(parent for one in domains for parent in _parents(one))
    return Constituency(tuple(_outermost(networks)), frozenset(domains), above)


def _parents(name: str) -> Iterator[str]:
    while "." in (name := name.partition(".")[2]):
        yield name


def _read(text: str) -> Observable:
    for kind in (Kind.IPV4, Kind.IPV6, Kind.DOMAIN):
        try:
            return normalise(kind, text)
        except ObservableError:
            continue
    raise ValueError(f"{text[:60]!r} is no address, no network such as 192.0.2.0/24, and no domain")


def _outermost(networks: Iterable[Range]) -> Iterator[Range]:
    """Give networks in order but for those that lie within another: two networks do that, or have nothing in common."""
    last: Range | None = None
    for one in sorted(networks, key=lambda each: (each.version, each.first, -each.last)):
        if last is None or (last.version, last.last) < (one.version, one.first):
            last = one
            yield one


def _range(text: str) -> Range:
    network = ipaddress.ip_network(text)
    first, last = int(network.network_address), int(network.broadcast_address)
    return Range(network.version, first, last, str(network))
