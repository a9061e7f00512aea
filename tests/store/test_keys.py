"""Keys: what lies within a value is exactly one range of them, on any data."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.store import keys

addresses = st.ip_addresses()
networks = st.builds(
    lambda address, length: ipaddress.ip_network((address, length % address.max_prefixlen), strict=False),
    addresses,
    st.integers(0, 127),
)
labels = st.text("abcz019-_", min_size=1, max_size=6)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)


def kind_of(value: object) -> str:
    family = f"ipv{value.version}"  # type: ignore[attr-defined]  # of an address or a network
    return family if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address) else f"{family}-net"


def lies_within(kind: str, value: str, of: list[keys.Range]) -> bool:
    key = keys.encode(kind, value)
    return any(kind == one and first <= key < after for one, first, after in of)


@given(st.one_of(addresses, networks))
def test_an_address_or_a_network_comes_back(value: object) -> None:
    kind = kind_of(value)
    assert keys.decode(kind, keys.encode(kind, str(value))) == str(value)


@given(st.sampled_from(["domain", "email", "url", "sha256"]), st.text())
def test_any_other_value_comes_back(kind: str, value: str) -> None:
    assert keys.decode(kind, keys.encode(kind, value)) == value


@given(networks, addresses)
def test_an_address_lies_in_a_network_exactly_if_it_does(network: Any, address: Any) -> None:
    near = [address, network.network_address, network.broadcast_address]
    if int(network.network_address):
        near.append(network.network_address - 1)
    if int(network.broadcast_address) + 1 < 2**network.max_prefixlen:
        near.append(network.broadcast_address + 1)
    of = keys.within(kind_of(network), str(network))
    for one in near:
        inside = one.version == network.version and one in network
        assert lies_within(kind_of(one), str(one), of) == inside


@given(networks, networks)
def test_a_network_lies_in_another_exactly_if_it_does(network: Any, other: Any) -> None:
    of = keys.within(kind_of(network), str(network))
    for one in (other, network, network.supernet(), *list(network.subnets())[:2]):
        if one.prefixlen < one.max_prefixlen:  # a network of one address is that address
            inside = one.version == network.version and one.subnet_of(network) and one != network
            assert lies_within(kind_of(one), str(one), of) == inside


@given(names, names)
def test_a_name_lies_below_another_exactly_if_it_ends_with_it_after_a_dot(name: str, other: str) -> None:
    of = keys.within("domain", name)
    for one in (other, f"{other}.{name}", f"{other}{name}", name):
        assert lies_within("domain", one, of) == one.endswith(f".{name}")
        assert lies_within("email", f"x@{one}", of) == (one == name)
        for port in ("", ":8080", ":1"):
            assert lies_within("url", f"https://{one}{port}/a", of) == (one == name)
        assert not lies_within("url", f"https://x@{one}/a", of)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("255.255.255.0/24", ["255.255.255.255", "255.255.255.0"], ["255.255.254.255"]),
        ("0.0.0.0/1", ["0.0.0.0", "127.255.255.255"], ["128.0.0.0", "255.255.255.255"]),
        ("128.0.0.0/1", ["255.255.255.255"], ["127.255.255.255"]),
        ("::/1", ["::", "::1"], ["8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        ("8000::/1", ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], ["::"]),
    ],
)
def test_the_ends_of_the_space_lie_where_they_lie(
    network: str, inside: list[str], outside: list[str]
) -> None:
    kind = kind_of(ipaddress.ip_network(network))
    of = keys.within(kind, network)
    assert all(lies_within(kind_of(ipaddress.ip_address(one)), one, of) for one in inside)
    assert not any(lies_within(kind_of(ipaddress.ip_address(one)), one, of) for one in outside)
