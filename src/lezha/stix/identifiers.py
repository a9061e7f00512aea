"""Identifiers (STIX 2.1 §2.9, §3.4): what they name, and those that follow from what an observable says."""

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

import rfc8785

from lezha.stix import clauses
from lezha.stix.errors import Invalid

NAMESPACE: Final = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # STIX 2.1 §2.9

# STIX 2.1 §6: the ID Contributing Properties of each SCO.
CONTRIBUTING: Final[Mapping[str, tuple[str, ...]]] = {
    "artifact": ("hashes", "payload_bin"),
    "autonomous-system": ("number",),
    "directory": ("path",),
    "domain-name": ("value",),
    "email-addr": ("value",),
    "email-message": ("from_ref", "subject", "body"),
    "file": ("hashes", "name", "extensions", "parent_directory_ref"),
    "ipv4-addr": ("value",),
    "ipv6-addr": ("value",),
    "mac-addr": ("value",),
    "mutex": ("name",),
    "network-traffic": (
        "start",
        "end",
        "src_ref",
        "dst_ref",
        "src_port",
        "dst_port",
        "protocols",
        "extensions",
    ),
    "process": (),
    "software": ("name", "cpe", "swid", "vendor", "version"),
    "url": ("value",),
    "user-account": ("account_type", "user_id", "account_login"),
    "windows-registry-key": ("key", "values"),
    "x509-certificate": ("hashes", "serial_number"),
}

# STIX 2.1 §6.1, §6.7, §6.18: one hash contributes, the first that is there in this order.
_HASHES: Final = ("MD5", "SHA-1", "SHA-256", "SHA-512")

# STIX 2.1 §2.9 with RFC 4122 §4.1.1 and §4.1.3: variant 10, versions 1 to 5.
_IDENTIFIER: Final = re.compile(
    "([a-z][a-z0-9]*+(?:-[a-z0-9]++)*+)"
    "--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
_VERSION_AT: Final = -22  # where in an identifier the version of its UUID stands
_VERSIONING: Final = frozenset({"created_by_ref", "created", "modified", "revoked"})  # STIX 2.1 §3.6


def type_of(identifier: str) -> str | None:
    """Return the type of the object that `identifier` names; None if it is not an identifier."""
    found = _IDENTIFIER.fullmatch(identifier)
    return found[1] if found else None


def deterministic_id(data: Mapping[str, Any]) -> str | None:
    """Return the id that the SCO `data` gets from its ID Contributing Properties (STIX 2.1 §2.9).

    A UUIDv5 over their RFC 8785 canonical form, the same at every producer that follows the rule; following it
    is a SHOULD, so that another id is no error. None if STIX does not define the type, if no contributing
    property is there (then the id MUST be a UUIDv4), or if they have no canonical form.
    """
    kind = data.get("type")
    names = CONTRIBUTING.get(kind, ()) if isinstance(kind, str) else ()
    contributing = {name: data[name] for name in names if name in data}
    if "hashes" in contributing:
        contributing["hashes"] = _one_hash(contributing["hashes"])
    if not contributing:
        return None
    try:
        canonical = rfc8785.dumps(contributing)
    except (rfc8785.CanonicalizationError, RecursionError):
        return None
    return f"{kind}--{uuid5(NAMESPACE, canonical.decode('utf-8'))}"


def check(data: dict[str, Any]) -> None:
    """Raise Invalid if the id of the SCO `data` is of a version that STIX rules out for what `data` says."""
    kind: str = data["type"]
    names = CONTRIBUTING.get(kind)
    if names is None:  # a custom SCO, whose contributing properties its extension defines
        return
    # STIX 2.1 §2.9: where no contributing property is there, the UUID MUST be of version 4.
    if data.keys().isdisjoint(names) and data["id"][_VERSION_AT] != "4":
        wanted = f"it has none of {', '.join(names)}" if names else "no property of its type makes an id"
        raise Invalid(f"its id must be a UUIDv4, since {wanted}", clause="STIX 2.1 §2.9")
    # STIX 2.1 §3.6: who versions an SCO MUST NOT take its id from the namespace that everyone shares.
    if data.keys() >= _VERSIONING and data["id"] == deterministic_id(data):
        raise Invalid(
            f"it is versioned, yet has the id that every other {kind} of this value has",
            clause=f"{clauses.SPECIFICATION} §3.6",
        )


def _one_hash(hashes: object) -> object:
    if not isinstance(hashes, dict) or not hashes:
        return hashes
    name = next((name for name in _HASHES if name in hashes), min(hashes))
    return {name: hashes[name]}
