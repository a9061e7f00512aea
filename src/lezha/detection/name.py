"""Domain names in the one form in which they are compared."""

import re

import idna

from lezha.detection.errors import ObservableError

__all__ = ["MAX_NAME", "ascii_name", "canonical_host_name", "canonical_name"]

MAX_NAME = 253  # characters without the trailing dot: RFC 1035 §2.3.4's 255 octets on the wire
# RFC 1035 §2.3.1 with RFC 1123 §2.1's leading digits; the underscore is no host name's but is in the DNS (RFC 8552).
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")


def canonical_name(text: str) -> str:
    """Read a domain name: lower case, A-labels, no trailing dot.

    Raises:
        ObservableError: not a domain name, or a single label (a top-level domain), which is too broad.
    """
    name = canonical_host_name(text)
    if "." not in name:
        raise ObservableError("a single label is too broad to look for")
    return name


def canonical_host_name(text: str) -> str:
    """Read a host name, of which a single label is enough.

    A last label of digits alone is no top-level domain (RFC 3696 §2): such a name is a mistyped address.
    """
    name = ascii_name(text).removesuffix(".")
    if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        raise ObservableError("not a domain name (RFC 1035 §2.3.1, §2.3.4)")
    if name[name.rfind(".") + 1 :].isdigit():
        raise ObservableError("not a domain name: it ends in a number (RFC 3696 §2)")
    return name


def ascii_name(text: str) -> str:
    """Lower-case a name and turn every U-label into its A-label, without judging the labels.

    The mapping is UTS #46, non-transitional, followed by Punycode, as browsers resolve names. IDNA 2008's
    stricter validity (RFC 5891 §4.2) is left out on purpose: an attacker's emoji domain resolves all the same.

    Raises:
        ObservableError: too long, or a character that UTS #46 disallows.
    """
    if text.isascii():
        return text.lower()
    if len(text) > MAX_NAME:
        raise ObservableError("not a domain name: too long (RFC 1035 §2.3.4)")
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        return ".".join(map(_a_label, mapped.split(".")))
    except UnicodeError as error:  # idna.IDNAError is one
        raise ObservableError("not a domain name: a character that UTS #46 disallows") from error


def _a_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
