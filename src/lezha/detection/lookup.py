"""What to look for when an analyst writes a value down: the value itself and what would contain it. Pure."""

import ipaddress
import re

from lezha.detection.errors import ObservableError
from lezha.detection.observable import Kind, Observable, normalise
from lezha.detection.url import host

_HASHES = {32: Kind.MD5, 40: Kind.SHA1, 64: Kind.SHA256}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_DEFANGED = (
    (re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]", re.IGNORECASE), "."),
    (re.compile(r"\[:\]"), ":"),
    (re.compile(r"\[@\]|\[at\]", re.IGNORECASE), "@"),
    (re.compile(r"^hxxp", re.IGNORECASE), "http"),
)


def lookups(text: str) -> tuple[Observable, ...]:
    """Return the observables under which something about `text` may be kept.

    An address or a network finds the networks that contain it, a domain its parents, a URL or an e-mail address its
    host and whatever that finds; a text that is no observable finds nothing. It may be written so that nobody clicks
    it.
    """
    own = _read(refang(text))
    if own is None:
        return ()
    if own.kind in (Kind.URL, Kind.EMAIL):
        return (own, *lookups(host(own.value) if own.kind is Kind.URL else own.value.rpartition("@")[2]))
    return (own, *_containing(own))


def refang(text: str) -> str:
    """Return a value as it is, of one that was written so that nobody clicks it: hxxp://1.2.3[.]4."""
    text = text.strip()
    for pattern, meant in _DEFANGED:
        text = pattern.sub(meant, text)
    return text


def _read(text: str) -> Observable | None:
    if _HEX.fullmatch(text) and len(text) in _HASHES:
        kinds = [_HASHES[len(text)]]
    elif "://" in text:
        kinds = [Kind.URL]
    elif "@" in text:
        kinds = [Kind.EMAIL]
    elif text.endswith("/0"):
        return _every_address(text)
    else:
        kinds = [Kind.IPV4, Kind.IPV6, Kind.DOMAIN]
    for kind in kinds:
        try:
            return normalise(kind, text)
        except ObservableError:
            continue
    return None


def _every_address(text: str) -> Observable | None:
    """Read a network of every address: too broad for a sensor, but one may ask for what lies within it."""
    for kind, network in ((Kind.IPV4_NET, "0.0.0.0/0"), (Kind.IPV6_NET, "::/0")):
        try:
            normalise(kind, f"{text.removesuffix('/0')}/1")
        except ObservableError:
            continue
        return Observable(kind, network)
    return None


def _containing(own: Observable) -> list[Observable]:
    if own.kind in (Kind.IPV4, Kind.IPV6, Kind.IPV4_NET, Kind.IPV6_NET):
        return _networks(own)
    return _parents(own) if own.kind is Kind.DOMAIN else []


def _networks(own: Observable) -> list[Observable]:
    network = ipaddress.ip_network(own.value)
    kind = Kind.IPV4_NET if network.version == 4 else Kind.IPV6_NET
    lengths = range(network.prefixlen - 1, -1, -1)
    return [Observable(kind, str(network.supernet(new_prefix=length))) for length in lengths]


def _parents(own: Observable) -> list[Observable]:
    labels = own.value.split(".")
    return [Observable(Kind.DOMAIN, ".".join(labels[start:])) for start in range(1, len(labels) - 1)]
