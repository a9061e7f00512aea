"""What is too broad to be looked for on somebody else's word."""

import pytest

from lezha.detection import breadth, constituency

OWN = constituency.parse(["198.51.100.0/24", "2001:db8:7::/48", "mail.tirana.example", "mfa.gov.al"])

BROAD = {
    ("ipv4-net", "203.0.0.0/15"): "shorter than /16",
    ("ipv6-net", "2001:d00::/24"): "shorter than /32",
    ("domain", "gov.al"): "public suffix",
    ("domain", "co.uk"): "public suffix",
    ("domain", "duckdns.org"): "public suffix",
    ("ipv4", "198.51.100.7"): "own constituency (198.51.100.0/24)",
    ("ipv4-net", "198.51.0.0/16"): "own constituency (198.51.100.0/24)",
    ("ipv6", "2001:db8:7::1"): "own constituency",
    ("domain", "www.mfa.gov.al"): "own constituency (mfa.gov.al)",
    ("domain", "tirana.example"): "below it",
    ("ipv6-net", "64:ff9b::/96"): "shorter than /16",
    ("ipv6", "64:ff9b::c633:6407"): "own constituency (198.51.100.0/24)",
    ("ipv6-net", "64:ff9b::c633:6400/120"): "own constituency (198.51.100.0/24)",
}
FINE = [
    ("ipv4-net", "203.0.0.0/16"),
    ("ipv6-net", "2001:d00::/32"),
    ("domain", "evil.duckdns.org"),
    ("ipv6", "64:ff9b::cb00:7101"),
    ("ipv6-net", "64:ff9b:1::/48"),
    ("domain", "mail-tirana.example"),
    ("domain", "nobody.example"),
    ("ipv4", "198.51.101.7"),
    ("url", "https://www.mfa.gov.al/wp-content/x.php"),
    ("email", "minister@mfa.gov.al"),
    ("sha256", "0" * 64),
]


@pytest.mark.parametrize(("kind", "value"), BROAD)
def test_what_is_too_broad_is_named_with_the_reason(kind: str, value: str) -> None:
    told = breadth.faults([("domain", "evil.example"), (kind, value)], OWN)
    assert told.startswith(value)
    assert BROAD[kind, value] in told


@pytest.mark.parametrize(("kind", "value"), FINE)
def test_what_names_one_thing_of_others_is_not_too_broad(kind: str, value: str) -> None:
    assert not breadth.faults([(kind, value)], OWN)


def test_of_many_values_a_few_are_named() -> None:
    told = breadth.faults([("ipv4-net", f"{n}.0.0.0/8") for n in range(1, 100)], OWN)
    assert told.count("shorter than") == 3
    assert told.endswith("and more")


def test_networks_that_are_fine_by_themselves_are_too_broad_together() -> None:
    few = [("ipv4-net", f"11.{n}.0.0/16") for n in range(breadth.MOST_NETWORKS)]
    assert not breadth.faults(few, OWN)
    assert "as broad as 17 of prefix /16" in breadth.faults([*few, ("ipv4-net", "12.0.0.0/16")], OWN)
    halves = [("ipv6-net", f"2001:d{n:02x}::/33") for n in range(40)]
    assert "as broad as 20 of prefix /32" in breadth.faults(halves, OWN)
