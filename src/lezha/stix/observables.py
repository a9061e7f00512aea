"""The MUSTs of STIX 2.1 §6, which defines the observables, and of the container that once held them (§2.13)."""

import re
from typing import Any, Final

from lezha.stix import clauses, granular, references, times
from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted

# RFC 3986 appendix A; every repetition is possessive, so that no text makes it try twice.
_PLAIN: Final = r"[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"
_CHARACTER: Final = rf"{_PLAIN}|[:@]"
_AUTHORITY: Final = (
    rf"//(?:(?:{_PLAIN}|:)*+@)?(?:\[[A-Za-z0-9:._~!$&'()*+,;=-]++\]|(?:{_PLAIN})*+)(?::[0-9]*+)?(?=[/?#]|\Z)"
)
_URL: Final = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*+:(?:{_AUTHORITY}|(?!//))(?:{_CHARACTER}|/)*+"
    rf"(?:\?(?:{_CHARACTER}|[/?])*+)?(?:#(?:{_CHARACTER}|[/?])*+)?"
)
# RFC 1034 §3.1 and §3.5 with RFC 5890 §2.3.1; the DNS has underscores (RFC 8552) and a wildcard (RFC 1034 §4.3.3).
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_PLAIN_NAME: Final = re.compile(r"(?:[a-z0-9][a-z0-9-]{0,61}[a-z0-9]\.)+[a-z]{2,63}")  # as nearly all are
_NOT_IN_U_LABELS: Final = re.compile(r"[\x00-,./:-@\[-^`{-\x7f\s]")  # ASCII but letters, digits, - and _
_LONGEST_NAME: Final = 253  # RFC 1034 §3.1: 255 octets on the wire
_LONGEST_LABEL: Final = 63


def check_container(data: dict[str, Any]) -> None:
    """Raise Invalid if an observable within the observed-data `data` breaks a MUST of its type."""
    objects: dict[str, dict[str, Any]] = data.get("objects", {})

    def type_of(key: str) -> str | None:
        return objects[key]["type"] if key in objects else None

    for item in objects.values():
        references.check_common(item)
        # STIX 2.1 §2.13: references are keys of the same container.
        references.check(item, type_of)
        granular.check(item)
        times.check(item)
        check(item)


def check(data: dict[str, Any]) -> None:
    """Raise Invalid if a value of the observable `data` breaks a MUST of its type; its schema has passed."""
    check_values = _OF_TYPE.get(data["type"])
    if check_values is not None:
        check_values(data)


def concerns(kind: str) -> bool:
    """Say whether `check` has anything to look for in objects of the type `kind`."""
    return kind in _OF_TYPE


def _check_domain_name(data: dict[str, Any]) -> None:
    # STIX 2.1 §6.4: the value MUST conform to RFC 1034, each label to RFC 5890. Defanged, it conforms to nothing.
    value: str = data["value"]
    if data.get("defanged") is not True and not _is_domain_name(value):
        raise Invalid(
            f"{quoted(value)} is not a domain name (RFC 1034, RFC 5890)", clause=clauses.of("domain-name")
        )


def _is_domain_name(text: str) -> bool:
    if _PLAIN_NAME.fullmatch(text) is not None and len(text) <= _LONGEST_NAME:
        return True
    if len(text) > len("*..") + _LONGEST_NAME:
        return False
    labels = text.removesuffix(".").removeprefix("*.").split(".")
    length = sum(map(_octets, labels)) + len(labels) - 1
    return length <= _LONGEST_NAME and all(map(_is_label, labels))


def _is_label(label: str) -> bool:
    if label.isascii():
        return _LABEL.fullmatch(label) is not None
    return _octets(label) <= _LONGEST_LABEL and _NOT_IN_U_LABELS.search(label) is None


def _octets(label: str) -> int:
    # RFC 5890 §2.3.2.1: a U-label takes the room of its A-label.
    return len(label) if label.isascii() else len("xn--") + len(label.encode("punycode"))


def _check_email_addr(data: dict[str, Any]) -> None:
    # STIX 2.1 §6.5: the value MUST NOT include the display name: `Ana <ana@example.org>`.
    value: str = data["value"]
    if value.rstrip().endswith(">"):
        raise Invalid(f"{quoted(value)} includes the display name", clause=clauses.of("email-addr"))


def _check_url(data: dict[str, Any]) -> None:
    # STIX 2.1 §6.15: the value MUST conform to RFC 3986.
    _check_form_of_url(data, "value")


def _check_artifact(data: dict[str, Any]) -> None:
    # STIX 2.1 §6.1: the url MUST be valid.
    if "url" in data:
        _check_form_of_url(data, "url")


def _check_form_of_url(data: dict[str, Any], name: str) -> None:
    url: str = data[name]
    if data.get("defanged") is not True and _URL.fullmatch(url) is None:
        raise Invalid(f"{quoted(url)} is not a URL (RFC 3986)", clause=clauses.of(data["type"]))


def _check_file(data: dict[str, Any]) -> None:
    # STIX 2.1 §3.1: an encoding MUST NOT be present without what is encoded.
    if "name_enc" in data and "name" not in data:
        raise Invalid("it has name_enc without name", clause="STIX 2.1 §3.1")


def _check_process(data: dict[str, Any]) -> None:
    # STIX 2.1 §6.13: the value of an environment variable MUST be a string.
    for name, value in data.get("environment_variables", {}).items():
        if not isinstance(value, str):
            raise Invalid(
                f"the environment variable {quoted(name)} is not a string", clause=clauses.of("process")
            )


_OF_TYPE: Final = {
    "artifact": _check_artifact,
    "domain-name": _check_domain_name,
    "email-addr": _check_email_addr,
    "file": _check_file,
    "process": _check_process,
    "url": _check_url,
}
