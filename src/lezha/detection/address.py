"""Internet addresses and networks in the one form in which they are compared."""

import ipaddress
import re

from lezha.detection.errors import ObservableError

__all__ = ["Address", "Network", "canonical_address", "canonical_network"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_TEXT = 64  # characters; the longest canonical IPv6 network has 43
_PREFIX = re.compile(r"/[0-9]{1,3}\Z")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def canonical_address(text: str) -> Address:
    """Read one address; an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is the IPv4 address it maps.

    Leading zeros (`010.1.2.3`, octal to some) and zones (`fe80::1%eth0`, RFC 4007) are refused.

    Raises:
        ObservableError: not an address.
    """
    if len(text) > MAX_TEXT or "%" in text:
        raise ObservableError("not an Internet address")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ObservableError("not an Internet address") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def canonical_network(text: str) -> Network:
    """Read `address/prefix length`; bits right of the prefix are cleared, as publishers often leave them set.

    Raises:
        ObservableError: not a network, a netmask instead of a prefix length, or every address there is.
    """
    if len(text) > MAX_TEXT or "%" in text or _PREFIX.search(text) is None:
        raise ObservableError("not a network in prefix notation")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ObservableError("not a network in prefix notation") from error
    if network.prefixlen == 0:
        raise ObservableError("a network of every address is too broad to look for")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        return _unmapped(network)
    return network


def _unmapped(network: ipaddress.IPv6Network) -> Network:
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen == _MAPPED.prefixlen:
        raise ObservableError("a network of every address is too broad to look for")
    return ipaddress.IPv4Network((int(mapped), network.prefixlen - _MAPPED.prefixlen))
