"""Zeek lines and indicators, as hypothesis strategies: a small world, so that the two meet often."""

import ipaddress
import json
from typing import Any

from hypothesis import strategies as st

from lezha.detection import Kind, Observable, normalise

LABELS = st.sampled_from(["evil", "a", "b", "not-evil", "xn--bcher-kva", "example", "com", "info"])
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(lambda labels: ".".join([*labels, "example"]))
IPV4 = st.integers(0x0A000000, 0x0A00003F).map(lambda number: str(ipaddress.IPv4Address(number)))
IPV6 = st.integers(0, 63).map(lambda number: str(ipaddress.IPv6Address((0x20010DB8 << 96) + number)))
PATHS = st.sampled_from(["/", "/a", "/a?b=c", "/a/b.php?id=1"])
PORTS = st.sampled_from([80, 443, 8080])
MD5 = st.sampled_from([digit * 32 for digit in "0123"])
SHA256 = st.sampled_from([digit * 64 for digit in "0123"])
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}:{port}{path}",
    st.sampled_from(["http", "https"]),
    st.one_of(NAMES, IPV4),
    PORTS,
    PATHS,
)

OBSERVABLES: st.SearchStrategy[Observable] = st.one_of(
    st.builds(normalise, st.just(Kind.DOMAIN), NAMES),
    st.builds(normalise, st.just(Kind.IPV4), IPV4),
    st.builds(normalise, st.just(Kind.IPV6), IPV6),
    st.builds(lambda ip, bits: normalise(Kind.IPV4, f"{ip}/{bits}"), IPV4, st.integers(26, 32)),
    st.builds(lambda ip, bits: normalise(Kind.IPV6, f"{ip}/{bits}"), IPV6, st.integers(122, 128)),
    st.builds(normalise, st.just(Kind.URL), URLS),
    st.builds(normalise, st.just(Kind.MD5), MD5),
    st.builds(normalise, st.just(Kind.SHA256), SHA256),
    st.builds(
        lambda local, name: normalise(Kind.EMAIL, f"{local}@{name}"), st.sampled_from(["x", "y"]), NAMES
    ),
)

_COMMON = {
    "ts": st.just(1657875600.5),
    "uid": st.just("CHhAvVGS1DHFjwGM9"),
    "id.resp_h": st.one_of(IPV4, IPV6),
}
CONN = st.fixed_dictionaries({**_COMMON, "id.orig_h": IPV4, "id.resp_p": PORTS, "proto": st.just("tcp")})
DNS = st.fixed_dictionaries(
    {**_COMMON, "query": NAMES, "answers": st.lists(st.one_of(IPV4, NAMES), max_size=2)}
)
HTTP = st.fixed_dictionaries({**_COMMON, "id.resp_p": PORTS, "host": st.one_of(NAMES, IPV4), "uri": PATHS})
FILES = st.fixed_dictionaries({**_COMMON, "md5": MD5, "sha256": SHA256})
SMTP = st.fixed_dictionaries(
    {**_COMMON, "mailfrom": st.builds("{}@{}".format, st.sampled_from(["x", "Y", "xx"]), NAMES)}
)
RECORDS: st.SearchStrategy[dict[str, Any]] = st.one_of(CONN, DNS, HTTP, FILES, SMTP)


def chunk(*records: dict[str, Any]) -> bytes:
    """Give records as whole lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
