"""The plain engine finds what is there and nothing else, whatever the bytes."""

import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.detection.lines import NAMES, OBSERVABLES, RECORDS, chunk

from lezha.detection import Kind, Observable, ObservableError, PlainEngine, normalise
from lezha.detection.engine import MAX_DEPTH
from lezha.detection.readers import ZeekReader

KEY = "indicator--1"
HASH = "d41d8cd98f00b204e9800998ecf8427e"


def engine_with(*observables: Observable) -> PlainEngine:
    engine = PlainEngine()
    for number, observable in enumerate(observables, start=1):
        engine.add(observable, f"indicator--{number}")
    return engine


def hits(kind: Kind, indicator: str, record: dict[str, Any]) -> list[str]:
    """Give the fields in which the indicator hits, sorted: their order is the engine's own."""
    scan = engine_with(normalise(kind, indicator)).scan(chunk(record), ZeekReader())
    return sorted(hit.field for hit in scan.hits)


@pytest.mark.parametrize(
    ("kind", "indicator", "text"),
    [
        (Kind.IPV4, "1.2.3.4", "1.2.3.4"),
        (Kind.IPV4, "1.2.3.4", "to 1.2.3.4."),
        (Kind.IPV4, "1.2.3.4", "1.2.3.4:8080"),
        (Kind.IPV4, "1.2.3.4", "src=1.2.3.4,dst=5.6.7.8"),
        (Kind.IPV4, "1.2.3.4", "::ffff:1.2.3.4"),
        (Kind.IPV4, "1.2.3.4", "::ffff:102:304"),
        (Kind.IPV4, "1.2.3.4", "http://1.2.3.4:81/x"),
        (Kind.IPV4_NET, "1.2.3.0/24", "1.2.3.255"),
        (Kind.IPV4_NET, "1.2.3.0/24", "::ffff:102:304"),
        (Kind.IPV6, "2001:db8::1", "2001:0DB8:0:0:0:0:0:1"),
        (Kind.IPV6, "2001:db8::1", "[2001:db8::1]:443"),
        (Kind.IPV6, "2001:db8::1", "2001:db8::1: refused"),
        (Kind.IPV6, "2001:db8::1", "http://[2001:db8:0::1]/x"),
        (Kind.IPV6, "fe80::1", "fe80::1%eth0"),
        (Kind.IPV6_NET, "2001:db8::/32", "2001:db8:ffff::"),
        (Kind.DOMAIN, "evil.example", "evil.example"),
        (Kind.DOMAIN, "evil.example", "EVIL.example."),
        (Kind.DOMAIN, "evil.example", "a.b.evil.example"),
        (Kind.DOMAIN, "evil.example", "_x..evil.example"),
        (Kind.DOMAIN, "evil.example", "https://u:p@a.evil.example:8443/x"),
        (Kind.DOMAIN, "evil.example", "<bob@mail.evil.example>"),
        (Kind.DOMAIN, "evil.example", "see evil.example, please"),
        (Kind.DOMAIN, "bücher.example", "www.xn--bcher-kva.example"),
        (Kind.DOMAIN, "xn--bcher-kva.example", "www.BÜCHER.example"),
        (Kind.DOMAIN, "xn--bcher-kva.example", "www。bücher。example。"),
        (Kind.DOMAIN, "evil.example", "\u0378.evil.example"),
        (Kind.DOMAIN, "evil.example", "“evil.example”"),
        (Kind.URL, "http://evil.example/a?b", "http://evil.example/a?b"),
        (Kind.URL, "http://evil.example/a?b", "GET HTTP://EVIL.example:80/a?b#top HTTP/1.1"),
        (Kind.URL, "http://evil.example/a", "(see http://evil.example/a)."),
        (Kind.URL, "http://evil.example/a.", "http://evil.example/a."),
        (Kind.MD5, HASH, HASH.upper()),
        (Kind.MD5, HASH, f"md5:{HASH};"),
        (Kind.SHA1, "a" * 40, "A" * 40),
        (Kind.SHA256, "b" * 64, "sha256=" + "b" * 64),
        (Kind.EMAIL, "bob@evil.example", "Bob <BOB@evil.example>"),
        (Kind.EMAIL, "bob@evil.example", "from=bob@evil.example."),
        (Kind.EMAIL, "o'bob=x@evil.example", "<o'bob=x@evil.example>"),
    ],
)
def test_an_observable_hits_as_a_token_of_its_own(kind: Kind, indicator: str, text: str) -> None:
    assert hits(kind, indicator, {"x": text}) == ["x"]


@pytest.mark.parametrize(
    ("kind", "indicator", "text"),
    [
        (Kind.IPV4, "1.2.3.4", "11.2.3.45"),
        (Kind.IPV4, "1.2.3.4", "1.2.3.45"),
        (Kind.IPV4, "1.2.3.4", "5.1.2.3.4"),
        (Kind.IPV4, "1.2.3.4", "1.2.3.4.5"),
        (Kind.IPV4, "1.2.3.4", "1.2.3.4-dsl.isp.example"),
        (Kind.IPV4, "1.2.3.4", "1.2.3.04"),
        (Kind.IPV4_NET, "1.2.3.0/24", "1.2.4.1"),
        (Kind.IPV4_NET, "1.2.3.0/24", "1.2.3.4.example"),
        (Kind.IPV6, "2001:db8::1", "2001:db8::11"),
        (Kind.IPV6, "2001:db8::1", "x2001:db8::1"),
        (Kind.IPV6_NET, "2001:db8::/32", "2001:db9::"),
        (Kind.DOMAIN, "evil.example", "notevil.example"),
        (Kind.DOMAIN, "evil.example", "evil.example.org"),
        (Kind.DOMAIN, "evil.example", "evil.example-cdn"),
        (Kind.DOMAIN, "evil.example", "not-evil.example"),
        (Kind.DOMAIN, "a.evil.example", "evil.example"),
        (Kind.DOMAIN, "evil.example", "ñevil.example"),
        (Kind.URL, "http://evil.example/a", "http://evil.example/ab"),
        (Kind.URL, "http://evil.example/a", "xhttp://evil.example/a"),
        (Kind.URL, "http://evil.example/a", "1http://evil.example/a"),
        (Kind.URL, "http://evil.example/a", "https://evil.example/a"),
        (Kind.URL, "http://evil.example/a", "http://evil.example/A"),
        (Kind.MD5, HASH, HASH + "0"),
        (Kind.MD5, HASH, HASH * 2),
        (Kind.MD5, HASH, f"{HASH}.exe"),
        (Kind.MD5, HASH, f"x.{HASH}"),
        (Kind.EMAIL, "bob@evil.example", "jim.bob@evil.example"),
        (Kind.EMAIL, "bob@evil.example", "bob@sub.evil.example"),
        (Kind.EMAIL, "bob@evil.example", "bob@evil.example.org"),
    ],
)
def test_a_part_of_a_longer_token_does_not_hit(kind: Kind, indicator: str, text: str) -> None:
    assert hits(kind, indicator, {"x": text}) == []


@pytest.mark.parametrize(
    ("indicator", "fields"),
    [
        ("http://evil.example/a?b", {"host": "evil.example", "uri": "/a?b", "id.resp_p": 80}),
        ("https://evil.example/a?b", {"host": "EVIL.example.", "uri": "/a?b", "id.resp_p": 80}),
        ("https://evil.example/a?b", {"host": "evil.example", "uri": "/a?b", "id.resp_p": 443}),
        ("http://evil.example/a?b", {"host": "evil.example", "uri": "/a?b"}),
        ("http://evil.example:8080/a", {"host": "evil.example", "uri": "/a", "id.resp_p": 8080}),
        ("http://evil.example:8080/a", {"host": "evil.example:8080", "uri": "/a", "id.resp_p": 3128}),
        ("http://[2001:db8::1]/a", {"host": "[2001:db8:0::1]", "uri": "/a", "id.resp_p": 80}),
        ("http://[2001:db8::1]:81/a", {"host": "2001:db8::1", "uri": "/a", "id.resp_p": 81}),
        ("http://1.2.3.4/a", {"host": "1.2.3.4", "uri": "/a", "id.resp_p": 80}),
    ],
)
def test_a_url_hits_when_zeek_has_it_in_two_fields(indicator: str, fields: dict[str, Any]) -> None:
    assert hits(Kind.URL, indicator, fields) == ["host+uri"]


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "evil.example", "uri": "/ab", "id.resp_p": 80},
        {"host": "notevil.example", "uri": "/a", "id.resp_p": 80},
        {"host": "evil.example", "uri": "/a", "id.resp_p": 8080},
        {"host": "evil.example", "uri": "a", "id.resp_p": 80},
        {"host": "evil.example", "id.resp_p": 80},
        {"host": 7, "uri": "/a"},
    ],
)
def test_another_url_in_two_fields_does_not_hit(fields: dict[str, Any]) -> None:
    assert hits(Kind.URL, "http://evil.example/a", fields) == []


def test_a_proxys_whole_url_hits_in_the_uri_field() -> None:
    assert hits(Kind.URL, "http://evil.example/a", {"host": "proxy", "uri": "http://evil.example/a"}) == [
        "uri"
    ]


def test_lists_and_objects_are_searched_under_their_path() -> None:
    record = {
        "answers": ["good.example", "evil.example"],
        "tls": {"sni": "evil.example"},
        "n": 1,
        "evil.example": 1,
    }
    assert hits(Kind.DOMAIN, "evil.example", record) == ["answers", "tls.sni"]


def test_a_key_is_reported_once_per_field_of_a_line() -> None:
    engine = PlainEngine()
    engine.add(normalise(Kind.DOMAIN, "evil.example"), KEY)
    engine.add(normalise(Kind.DOMAIN, "a.evil.example"), KEY)
    scan = engine.scan(chunk({"x": ["a.evil.example", "evil.example"], "y": "evil.example"}), ZeekReader())
    assert sorted(hit.field for hit in scan.hits) == ["x", "y"]


def test_every_key_of_an_observable_is_reported() -> None:
    engine = PlainEngine()
    for key in ("indicator--1", "indicator--2", "indicator--1"):
        engine.add(normalise(Kind.DOMAIN, "evil.example"), key)
    scan = engine.scan(chunk({"x": "evil.example"}), ZeekReader())
    assert [hit.key for hit in scan.hits] == ["indicator--1", "indicator--2"]
    assert len(engine) == 2


def test_a_hit_tells_the_records_time_and_the_place_of_its_line() -> None:
    first = chunk({"ts": 1657875600.5, "x": "good.example"})
    lines = first + b"\n" + chunk({"ts": "2022-07-15T09:00:00Z", "x": "evil.example"})
    [hit] = engine_with(normalise(Kind.DOMAIN, "evil.example")).scan(lines, ZeekReader()).hits
    assert hit.seen == datetime(2022, 7, 15, 9, tzinfo=UTC)
    assert hit.line_offset == len(first) + 1


def test_what_is_added_hits_from_then_on_and_what_is_removed_no_more() -> None:
    engine, line = PlainEngine(), chunk({"x": "www.evil.example", "y": "1.2.3.4"})
    domain, network = normalise(Kind.DOMAIN, "evil.example"), normalise(Kind.IPV4, "1.2.3.0/24")
    assert not engine.scan(line, ZeekReader()).hits
    engine.add(domain, KEY)
    engine.add(network, KEY)
    assert len(engine.scan(line, ZeekReader()).hits) == 2
    engine.remove(domain, "indicator--other")
    assert len(engine.scan(line, ZeekReader()).hits) == 2
    for observable in (domain, network, network):
        engine.remove(observable, KEY)
    assert not engine.scan(line, ZeekReader()).hits
    assert len(engine) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"#separator \\x09",
        b'["evil.example"]',
        b'{"x": "evil.example"',
        b"\x00\xff" * 50,
        b"[" * 100_000,
        b'{"x":' * (MAX_DEPTH + 1) + b'"evil.example"' + b"}" * (MAX_DEPTH + 1),
        b'{"x": "evil.example", "n": ' + b"9" * 5000 + b"\xff}",
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_harms_no_other(line: bytes) -> None:
    good = chunk({"x": "evil.example"})
    scan = engine_with(normalise(Kind.DOMAIN, "evil.example")).scan(
        good + line + b"\n\n" + good, ZeekReader()
    )
    assert (scan.lines, scan.skipped, len(scan.hits)) == (3, 1, 2)


def test_a_line_that_is_too_long_is_counted() -> None:
    engine = PlainEngine(max_line=100)
    engine.add(normalise(Kind.DOMAIN, "evil.example"), KEY)
    scan = engine.scan(chunk({"x": "evil.example" + " " * 100}, {"x": "evil.example"}), ZeekReader())
    assert (scan.lines, scan.skipped, len(scan.hits)) == (2, 1, 1)


@pytest.mark.parametrize("hidden", [b'"\xff\xfe"', b'"\\ud800"', b"NaN"])
def test_bytes_that_strict_json_refuses_do_not_hide_a_line(hidden: bytes) -> None:
    line = b'{"a\\ud800":' + hidden + b',"\\ud800":"evil.example"}\n'
    [hit] = engine_with(normalise(Kind.DOMAIN, "evil.example")).scan(line, ZeekReader()).hits
    hit.field.encode()


@pytest.mark.parametrize(
    "text",
    [
        "a." * 200_000,
        "a://" * 100_000,
        "@" * 400_000,
        "a@" * 200_000,
        ":" * 400_000,
        "f" * 400_000,
        "ü." * 100_000,
    ],
)
@pytest.mark.timeout(20)
def test_a_text_made_to_hurt_is_over_soon(text: str) -> None:
    engine = engine_with(*(normalise(Kind.IPV4, f"10.0.0.0/{bits}") for bits in range(8, 32)))
    assert engine.scan(chunk({"x": text}), ZeekReader()).lines == 1


@given(st.lists(OBSERVABLES, max_size=5), st.binary(max_size=300))
def test_scanning_never_raises_on_any_bytes(observables: list[Observable], data: bytes) -> None:
    scan = engine_with(*observables).scan(data, ZeekReader())
    assert scan.skipped <= scan.lines


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.text("evil.xamp@:/[]#ü。\ud800<>"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["ts", "host", "uri", "id.resp_p", "x"]), JSON))
def test_scanning_never_raises_on_any_record(record: dict[str, Any]) -> None:
    engine = engine_with(normalise(Kind.DOMAIN, "evil.xam"), normalise(Kind.URL, "http://evil.xam/"))
    assert engine.scan(chunk(record), ZeekReader()).lines == 1


@given(NAMES, NAMES)
def test_a_domain_hits_exactly_itself_and_what_is_under_it(indicator: str, name: str) -> None:
    expected = f".{name}".endswith(f".{indicator}")
    assert bool(hits(Kind.DOMAIN, indicator, {"query": name})) == expected


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(1, 31)),
        st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6), st.integers(1, 127)),
    ),
    st.integers(0, 127),
)
def test_a_network_holds_what_ipaddress_says_it_holds(addresses: tuple[Any, Any, int], shared: int) -> None:
    base, other, length = addresses
    width = base.max_prefixlen
    shared %= width
    near = type(base)(
        (int(base) >> (width - shared) << (width - shared)) | int(other) & ((1 << width - shared) - 1)
    )
    network = ipaddress.ip_network((base, length), strict=False)
    try:
        observable = normalise(Kind.IPV4 if width == 32 else Kind.IPV6, str(network))
    except ObservableError:
        return
    # An IPv4-mapped address is IPv4, wherever its IPv6 form would lie.
    shown = getattr(near, "ipv4_mapped", None) or near
    scan = engine_with(observable).scan(chunk({"id.resp_h": str(near)}), ZeekReader())
    assert bool(scan.hits) == (shown in ipaddress.ip_network(observable.value))


def naive(observable: Observable, record: dict[str, Any]) -> set[str]:
    """Give the fields of a generated record that show the observable, the long way round and without tokens."""
    fields = {
        field
        for field, value in record.items()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and naive_match(observable, text)
    }
    if observable.kind is Kind.URL and "uri" in record:
        port = "" if record["id.resp_p"] in (80, 443) else f":{record['id.resp_p']}"
        if observable.value.partition("://")[2] == f"{record['host']}{port}{record['uri']}":
            fields.add("host+uri")
    return fields


def naive_match(observable: Observable, text: str) -> bool:
    value = observable.value
    if observable.kind in (Kind.IPV4_NET, Kind.IPV6_NET):
        try:
            return ipaddress.ip_address(text) in ipaddress.ip_network(value)
        except ValueError:
            return False
    if observable.kind is Kind.DOMAIN:
        return f".{text.rpartition('@')[2]}".endswith(f".{value}")
    return text.lower() == value


@given(st.lists(OBSERVABLES, max_size=12, unique=True), st.lists(RECORDS, max_size=4))
def test_the_engine_finds_what_a_naive_reading_finds(
    observables: list[Observable], records: list[dict[str, Any]]
) -> None:
    lines = chunk(*records)
    starts = [0]
    for record in records:
        starts.append(starts[-1] + len(json.dumps(record)) + 1)
    expected = {
        (start, observable, field)
        for start, record in zip(starts, records, strict=False)
        for observable in observables
        for field in naive(observable, record)
    }
    scan = engine_with(*observables).scan(lines, ZeekReader())
    assert {(hit.line_offset, hit.observable, hit.field) for hit in scan.hits} == expected
    assert len(scan.hits) == len(expected)
