"""Whose addresses and names are one's own, as an operator writes it down."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.detection.constituency import Constituency, parse


def test_networks_addresses_and_domains_are_read_in_one_form() -> None:
    own = parse(["192.0.2.7/24", "198.51.100.1", "2001:DB8::/32", "GOV.al."])
    assert sorted(one.text for one in own.networks) == ["192.0.2.0/24", "198.51.100.1/32", "2001:db8::/32"]
    assert own.domains == {"gov.al"}
    assert parse([]) == Constituency()


@pytest.mark.parametrize(
    "text",
    ["", " ", "192.0.2.0/33", "192.0.2.300", "al", "https://gov.al/", "duty@gov.al", "0.0.0.0/0", "x" * 9000],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no address, no network"):
        parse(["gov.al", text])


def test_their_number_is_bounded() -> None:
    with pytest.raises(ValueError, match="more than 10,000"):
        parse(["gov.al"] * 10_001)


@pytest.mark.parametrize(
    ("kind", "value", "entry"),
    [
        ("ipv4", "192.0.2.9", "192.0.2.0/24"),
        ("ipv4", "192.0.3.9", ""),
        ("ipv4-net", "192.0.0.0/16", "192.0.2.0/24"),
        ("ipv4-net", "192.0.2.64/26", "192.0.2.0/24"),
        ("ipv6", "2001:db8::1", ""),
        ("domain", "gov.al", "gov.al"),
        ("domain", "a.b.gov.al", "gov.al"),
        ("domain", "agov.al", ""),
        ("url", "http://192.0.2.9/x", "192.0.2.0/24"),
        ("url", "http://www.gov.al/x", "gov.al"),
        ("email", "duty@mail.gov.al", "gov.al"),
        ("sha256", "a" * 64, ""),
    ],
)
def test_a_value_lies_within_an_entry_or_contains_it(kind: str, value: str, entry: str) -> None:
    assert parse(["192.0.2.0/24", "gov.al"]).entry(kind, value) == entry


def test_without_entries_nothing_is_one_s_own() -> None:
    assert Constituency().entry("domain", "gov.al") == ""


NETWORKS = st.builds(lambda base, size: f"{base}/{size}", st.ip_addresses(v=4), st.integers(1, 32))


@given(st.lists(NETWORKS, max_size=6), NETWORKS)
def test_an_entry_is_found_exactly_if_a_network_overlaps(written: list[str], asked: str) -> None:
    own = [ipaddress.ip_network(one, strict=False) for one in written]
    wanted = ipaddress.ip_network(asked, strict=False)
    kind = "ipv4" if wanted.prefixlen == 32 else "ipv4-net"
    value = str(wanted.network_address) if kind == "ipv4" else str(wanted)
    found = parse(written).entry(kind, value)
    assert bool(found) == any(wanted.overlaps(one) for one in own)
    assert not found or wanted.overlaps(ipaddress.ip_network(found))


def test_families_are_kept_apart() -> None:
    own = parse(["0.0.0.0/1", "2001:db8::/32"])
    assert own.entry("ipv6", "::1") == own.entry("ipv4", "192.0.2.1") == ""
    assert own.entry("ipv6-net", "2001::/16") == "2001:db8::/32"
