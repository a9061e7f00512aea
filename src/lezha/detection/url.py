"""URLs in the one form in which they are compared."""

import ipaddress
import re
import string
import urllib.parse

from lezha.detection.address import canonical_address
from lezha.detection.errors import ObservableError
from lezha.detection.name import canonical_host_name

__all__ = ["MAX_URL", "canonical_url", "host"]

MAX_URL = 2600  # characters: as a key it must fit into an index, which in PostgreSQL takes 2,704 bytes
_DEFAULT_PORTS = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}

# RFC 3986 appendix C: white space, control characters, quotes and angle brackets delimit a URL, so none has them.
_DELIMITER = re.compile(r'[\s\x00-\x20\x7f"<>]')
_PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.DOTALL,
)
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,10}))?")
# What is canonical already, as nearly every URL composed from a log line is: lower-case name, no port, no fragment.
_CANONICAL = re.compile(r"""https?://(?:[a-z0-9]{1,63}\.){1,3}[a-z]{2,60}/[!$-;=?-~]*""")


def canonical_url(text: str) -> str:
    """Read an absolute URL with a host.

    Of RFC 3986 §6.2.2 and §6.2.3: scheme and host in lower case (host as A-labels or canonical address), the
    scheme's default port and an empty port dropped, an empty path is `/`. The fragment, which never reaches a
    server or a log, is dropped. Path and query stay as they are (no dot segments resolved, no percent-encoding
    undone: an attacker's server may tell them apart), but characters beyond ASCII are percent-encoded as they
    are on the wire (RFC 3987 §3.1).

    Raises:
        ObservableError: no scheme or host, a character that no URL has, or too long.
    """
    if _CANONICAL.fullmatch(text) is not None and len(text) <= MAX_URL:
        return text
    if len(text) > MAX_URL or _DELIMITER.search(text) is not None:
        raise ObservableError(f"not a URL: longer than {MAX_URL} characters, or a character that no URL has")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ObservableError("not a URL: it has no scheme followed by ://")
    scheme = parts["scheme"].lower()
    authority = _authority(scheme, parts["authority"])
    return _bounded(f"{scheme}://{authority}{_encoded(parts['path'] or '/')}{_encoded(parts['query'] or '')}")


def host(url: str) -> str:
    """Return the host of a canonical URL: a name, or an address without brackets."""
    authority = url.partition("://")[2].partition("/")[0]
    host_port = authority.rpartition("@")[2]
    return host_port[1:].partition("]")[0] if host_port.startswith("[") else host_port.partition(":")[0]


def _authority(scheme: str, text: str) -> str:
    user, at, host_port = text.rpartition("@")
    parts = _HOST_PORT.fullmatch(host_port)
    if parts is None:
        raise ObservableError("not a URL: its host or port is malformed")
    return _encoded(user) + at + _host(parts["host"]) + _port(scheme, parts["port"] or "")


def _host(text: str) -> str:
    if text.startswith("["):
        return _bracketed(text[1:-1])
    try:
        return canonical_host_name(text)
    except ObservableError:
        return _address(text)


def _bracketed(text: str) -> str:
    if ":" not in text:
        raise ObservableError("not a URL: brackets hold IPv6 addresses only (RFC 3986 §3.2.2)")
    return _address(text)


def _address(text: str) -> str:
    try:
        address = canonical_address(text)
    except ObservableError as error:
        raise ObservableError("not a URL: its host is neither a name nor an address") from error
    return f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)


def _port(scheme: str, digits: str) -> str:
    if not digits or int(digits) == _DEFAULT_PORTS.get(scheme):
        return ""
    if int(digits) > 0xFFFF:
        raise ObservableError("not a URL: its port is above 65535")
    return f":{int(digits)}"


def _encoded(text: str) -> str:
    if text.isascii():
        return text
    try:
        return urllib.parse.quote(text, safe=string.punctuation)
    except UnicodeError as error:
        raise ObservableError("not a URL: a lone surrogate") from error


def _bounded(url: str) -> str:
    if len(url) > MAX_URL:
        raise ObservableError(f"not a URL: longer than {MAX_URL} characters once encoded")
    return url
