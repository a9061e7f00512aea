"""What is too broad to be looked for on somebody else's word.

An indicator that hits everywhere costs every line of a log, and one that is blocked cuts off more than an attacker:
large networks, names below which everybody has theirs, and whatever is one's own.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from publicsuffixlist import PublicSuffixList

from lezha.detection.constituency import Constituency
from lezha.detection.observable import Kind

LEAST_PREFIX: Final = {Kind.IPV4_NET: 16, Kind.IPV6_NET: 32}
"""The shortest prefix of a network that is looked for on a peer's word."""
MOST_NETWORKS: Final = 16
"""How many networks of that prefix all networks of one indicator may cover together."""
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
_SITES: Final = frozenset({Kind.IPV4, Kind.IPV6, Kind.IPV4_NET, Kind.IPV6_NET, Kind.DOMAIN})
_NAMED: Final = 3


def load() -> None:
    """Read the list of public suffixes, so that the first indicator does not wait for that."""
    _suffixes()


def faults(values: Iterable[tuple[str, str]], own: Constituency) -> str:
    """Say which of these observables (kind, value) are too broad, and why; empty if none is.

    A URL or a mail address at an own name is not: it names one page or one mailbox, and warns of that.
    """
    found = list(islice(_faults(values, own), _NAMED + 1))
    return "; ".join(found[:_NAMED]) + ("; and more" if len(found) > _NAMED else "")


def _faults(values: Iterable[tuple[str, str]], own: Constituency) -> Iterator[str]:
    shares: dict[Kind, float] = dict.fromkeys(LEAST_PREFIX, 0.0)
    for name, value in values:
        kind, meant = _translated(Kind(name), value)
        least = LEAST_PREFIX.get(kind)
        length = int(meant.rpartition("/")[2]) if least is not None else 0
        if least is not None:
            shares[kind] += 2.0 ** (least - length)
        if least is not None and length < least:
            yield f"{value} is a network with a prefix shorter than /{least}"
        elif kind is Kind.DOMAIN and _suffixes().is_public(meant):
            yield f"{value} is a public suffix: everybody may have names below it"
        elif kind in _SITES and (entry := own.entry(kind, meant)):
            yield f"{value} is of this node's own constituency ({entry})"
        elif kind is Kind.DOMAIN and meant in own.above:
            yield f"{value} has names of this node's own constituency below it"
    for kind, share in shares.items():
        if share > MOST_NETWORKS:
            yield f"its networks together are as broad as {share:,.0f} of prefix /{LEAST_PREFIX[kind]}"


def _translated(kind: Kind, value: str) -> tuple[Kind, str]:
    """Return the IPv4 address or network that an IPv6 one stands for behind a translator (RFC 6052 §2.1)."""
    if kind not in (Kind.IPV6, Kind.IPV6_NET) or not value.startswith("64:ff9b:"):
        return kind, value
    network = ipaddress.IPv6Network(value, strict=False)
    if not network.subnet_of(_TRANSLATED):
        return kind, value
    inside = ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    if kind is Kind.IPV6:
        return Kind.IPV4, str(inside.network_address)
    return Kind.IPV4_NET, str(inside)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    # The list that comes with the package, of the day of its release; what is not in it is no public suffix.
    return PublicSuffixList(accept_unknown=False)
