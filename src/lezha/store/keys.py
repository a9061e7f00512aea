"""Observables as keys in an index: written so that what belongs together lies together.

Addresses and networks are written as hexadecimal digits, so that all addresses of a network are one range; domains and
e-mail addresses backwards, so that all names below a domain are one range, and all addresses at it are another.
"""

import ipaddress
import socket
from typing import Final

_FAMILIES: Final = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_NETWORKS: Final = {"ipv4-net": "ipv4", "ipv6-net": "ipv6"}
_BACKWARDS: Final = frozenset({"domain", "email"})

Range = tuple[str, str, str]
"""A kind, and the keys from the first, included, to the last, left out."""


def encode(kind: str, value: str) -> str:
    """Return the key of a canonical value."""
    if family := _FAMILIES.get(kind):
        return socket.inet_pton(family, value).hex()
    if kind in _BACKWARDS:
        return value[::-1]
    if family_kind := _NETWORKS.get(kind):
        address, _, length = value.partition("/")
        return f"{encode(family_kind, address)}/{int(length):03}"
    return value


def decode(kind: str, key: str) -> str:
    """Return the canonical value of a key."""
    if kind in _FAMILIES:
        return str(ipaddress.ip_address(bytes.fromhex(key)))
    if kind in _BACKWARDS:
        return key[::-1]
    if family_kind := _NETWORKS.get(kind):
        digits, _, length = key.partition("/")
        return f"{decode(family_kind, digits)}/{int(length)}"
    return key


def within(kind: str, value: str) -> list[Range]:
    """Return the ranges of keys that lie within a value, itself left out: below a domain, at it, in a network.

    A range ends before the letter that follows, in ASCII, the one after which everything lies within.
    """
    if kind == "domain":
        name = value[::-1]
        hosts = [f"{scheme}://{value}" for scheme in ("http", "https")]
        # With a port, too; one that only hides another host, http://name:1@other/, is found as well.
        urls = [("url", f"{host}/", f"{host}0") for host in hosts]
        urls += [("url", f"{host}:0", f"{host}::") for host in hosts]
        return [("domain", f"{name}.", f"{name}/"), ("email", f"{name}@", f"{name}A"), *urls]
    if family_kind := _NETWORKS.get(kind):
        network = ipaddress.ip_network(value)
        first, last = network.network_address.packed.hex(), network.broadcast_address.packed.hex()
        # Of those that begin where it begins, the longer ones are smaller; all others in the range are.
        return [(family_kind, first, f"{last}0"), (kind, f"{first}/{network.prefixlen + 1:03}", f"{last}0")]
    return []
