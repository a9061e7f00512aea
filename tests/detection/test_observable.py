"""Every observable has one form, and hostile text has none."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.detection.lines import OBSERVABLES

from lezha.detection import Kind, Observable, ObservableError, normalise, of_object

KINDS = st.sampled_from(list(Kind))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.IPV4, " 198.51.100.7 ", "198.51.100.7"),
        (Kind.IPV6, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        (Kind.IPV4, "198.51.100.7/24", "198.51.100.0/24"),
        (Kind.IPV6_NET, "2001:db8::1/32", "2001:db8::/32"),
        (Kind.IPV4_NET, "198.51.100.7/32", "198.51.100.7"),
        (Kind.IPV6, "::ffff:198.51.100.7", "198.51.100.7"),
        (Kind.IPV6, "::ffff:198.51.100.7/120", "198.51.100.0/24"),
        (Kind.DOMAIN, "Evil.Example.", "evil.example"),
        (Kind.DOMAIN, "Bücher.example", "xn--bcher-kva.example"),
        (Kind.DOMAIN, "bücher。example", "xn--bcher-kva.example"),
        (Kind.DOMAIN, "XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        (Kind.DOMAIN, "☃.example", "xn--n3h.example"),
        (Kind.DOMAIN, "_dmarc.evil.example", "_dmarc.evil.example"),
        (Kind.URL, "HTTP://Evil.Example", "http://evil.example/"),
        (Kind.URL, "http://evil.example:80/A?B#c", "http://evil.example/A?B"),
        (Kind.URL, "https://evil.example:80?q", "https://evil.example:80/?q"),
        (Kind.URL, "http://evil.example./%7e/../x", "http://evil.example/%7e/../x"),
        (Kind.URL, "http://Me:Pw@Evil.Example:8080/", "http://Me:Pw@evil.example:8080/"),
        (Kind.URL, "http://[2001:DB8:0::1]:443/", "http://[2001:db8::1]:443/"),
        (Kind.URL, "http://198.51.100.7/ü", "http://198.51.100.7/%C3%BC"),
        (Kind.URL, "http://bücher.example/", "http://xn--bcher-kva.example/"),
        (Kind.MD5, "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"),
        (Kind.SHA1, "A" * 40, "a" * 40),
        (Kind.SHA256, "A" * 64, "a" * 64),
        (Kind.EMAIL, "Bob.Smith@Evil.Example", "bob.smith@evil.example"),
    ],
)
def test_a_value_has_one_form(kind: Kind, text: str, value: str) -> None:
    assert normalise(kind, text).value == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.IPV4, "010.1.2.3"),
        (Kind.IPV4, "1.2.3"),
        (Kind.IPV4, "1.2.3.4/33"),
        (Kind.IPV4, "1.2.3.0/255.255.255.0"),
        (Kind.IPV4, "0.0.0.0/0"),
        (Kind.IPV4, "2001:db8::1"),
        (Kind.IPV6, "1.2.3.4"),
        (Kind.IPV6, "fe80::1%eth0"),
        (Kind.IPV6, "::ffff:0.0.0.0/96"),
        (Kind.DOMAIN, "com"),
        (Kind.DOMAIN, "1.2.3.4"),
        (Kind.DOMAIN, "domain autuo.xicp.net"),
        (Kind.DOMAIN, "*.evil.example"),
        (Kind.DOMAIN, "evil..example"),
        (Kind.DOMAIN, "-evil.example"),
        (Kind.DOMAIN, "a" * 64 + ".example"),
        (Kind.DOMAIN, "a." * 124 + "example"),
        (Kind.URL, "evil.example/x"),
        (Kind.URL, "http:///x"),
        (Kind.URL, "http://evil.example:99999/"),
        (Kind.URL, "http://2001:db8::1/"),
        (Kind.URL, "http://evil.example/a b"),
        (Kind.URL, "http://evil.example/" + "a" * 5000),
        (Kind.MD5, "a" * 31),
        (Kind.SHA1, "g" * 40),
        (Kind.SHA256, "a" * 32),
        (Kind.EMAIL, "@evil.example"),
        (Kind.EMAIL, "bob@localhost"),
        (Kind.EMAIL, "a b@evil.example"),
    ],
)
def test_what_is_not_of_its_kind_or_too_broad_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ObservableError):
        normalise(kind, text)


def test_a_network_of_one_address_is_that_address() -> None:
    assert normalise(Kind.IPV4_NET, "198.51.100.7/32") == Observable(Kind.IPV4, "198.51.100.7")


@given(OBSERVABLES)
def test_normalise_is_idempotent(observable: Observable) -> None:
    assert normalise(observable.kind, observable.value) == observable


def assert_refused_or_stable(kind: Kind, text: str) -> None:
    try:
        observable = normalise(kind, text)
    except ObservableError:
        return
    assert normalise(observable.kind, observable.value) == observable


@given(KINDS, st.one_of(st.text(), st.text("abfx0129.:/@%[]-_#?\u00fc\u3002\ud800 ")))
def test_hostile_text_is_refused_with_the_one_error_or_has_a_stable_form(kind: Kind, text: str) -> None:
    assert_refused_or_stable(kind, text)


@given(st.text("abü.example:/?#[]@%", max_size=30), st.sampled_from(["http://", "HTTPS://u@", "ftp://a.b:"]))
def test_a_hostile_url_is_refused_or_has_a_stable_form(rest: str, start: str) -> None:
    assert_refused_or_stable(Kind.URL, start + rest)


@given(st.ip_addresses())
def test_an_address_is_written_as_ipaddress_writes_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    kind = Kind.IPV4 if address.version == 4 else Kind.IPV6
    assert normalise(kind, address.exploded).value == str(mapped or address)


numbers = st.sampled_from(
    ["0", "00", "07", "9", "10", "199", "200", "249", "250", "255", "256", "999", "1٣", " 1", "1\n"]
)


@given(st.lists(numbers, min_size=3, max_size=5).map(".".join) | st.text("0125./ ", max_size=16))
def test_text_is_an_ipv4_address_exactly_if_ipaddress_takes_it(text: str) -> None:
    try:
        address = str(ipaddress.IPv4Address(text.strip()))
    except ValueError:
        address = ""
    try:
        observable = normalise(Kind.IPV4, text)
    except ObservableError:
        assert not address
        return
    assert observable.value == address or "/" in text


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({"type": "ipv4-addr", "value": "198.51.100.0/24"}, ["198.51.100.0/24"]),
        ({"type": "ipv6-addr", "value": "2001:DB8::1"}, ["2001:db8::1"]),
        ({"type": "domain-name", "value": "Evil.example"}, ["evil.example"]),
        ({"type": "url", "value": "http://evil.example"}, ["http://evil.example/"]),
        ({"type": "email-addr", "value": "A@evil.example"}, ["a@evil.example"]),
        (
            {"type": "file", "hashes": {"MD5": "A" * 32, "sha256": "b" * 64, "SSDEEP": "x"}},
            ["a" * 32, "b" * 64],
        ),
        (
            {"type": "artifact", "url": "http://evil.example/x", "hashes": {"SHA-1": "c" * 40}},
            ["c" * 40, "http://evil.example/x"],
        ),
        (
            {
                "type": "indicator",
                "pattern_type": "stix",
                "pattern": "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']",
            },
            ["a.example", "b.example"],
        ),
        (
            {
                "type": "indicator",
                "pattern_type": "stix",
                "pattern": f"[file:name = 'x' AND file:hashes.MD5 = '{'a' * 32}']",
            },
            ["a" * 32],
        ),
        ({"type": "ipv4-addr", "value": 7}, []),
        ({"type": "ipv4-addr", "value": "nonsense"}, []),
        ({"type": "file", "hashes": ["MD5"]}, []),
        ({"type": ["list"]}, []),
        ({"type": "indicator", "pattern": None, "pattern_type": "stix"}, []),
        ({"type": "malware"}, []),
        ({}, []),
    ],
)
def test_an_object_names_its_observables(data: dict[str, object], values: list[str]) -> None:
    assert [observable.value for observable in of_object(data)] == values
