"""Where STIX 2.1 (OASIS Standard, 10 June 2021) defines what: the section to name in an error."""

from collections.abc import Sequence
from typing import Final

SPECIFICATION: Final = "STIX 2.1"

DOMAIN_OBJECTS: Final = {
    "attack-pattern": "4.1",
    "campaign": "4.2",
    "course-of-action": "4.3",
    "grouping": "4.4",
    "identity": "4.5",
    "incident": "4.6",
    "indicator": "4.7",
    "infrastructure": "4.8",
    "intrusion-set": "4.9",
    "location": "4.10",
    "malware": "4.11",
    "malware-analysis": "4.12",
    "note": "4.13",
    "observed-data": "4.14",
    "opinion": "4.15",
    "report": "4.16",
    "threat-actor": "4.17",
    "tool": "4.18",
    "vulnerability": "4.19",
}
RELATIONSHIP_OBJECTS: Final = {"relationship": "5.1", "sighting": "5.2"}
OBSERVABLE_OBJECTS: Final = {
    "artifact": "6.1",
    "autonomous-system": "6.2",
    "directory": "6.3",
    "domain-name": "6.4",
    "email-addr": "6.5",
    "email-message": "6.6",
    "file": "6.7",
    "ipv4-addr": "6.8",
    "ipv6-addr": "6.9",
    "mac-addr": "6.10",
    "mutex": "6.11",
    "network-traffic": "6.12",
    "process": "6.13",
    "software": "6.14",
    "url": "6.15",
    "user-account": "6.16",
    "windows-registry-key": "6.17",
    "x509-certificate": "6.18",
}
META_OBJECTS: Final = {
    "language-content": "7.1",
    "marking-definition": "7.2.1",
    "extension-definition": "7.3",
}

COMPANION_TYPES: Final = frozenset({"identity", "marking-definition", "extension-definition"})
"""What other objects can't be understood without: it travels beside them."""

COMMON_PROPERTIES: Final = "3.2"
_OF_PROPERTY: Final = {
    "id": "2.9",
    "created": "3.2",
    "modified": "3.2",
    "type": "3.2",
    "spec_version": "3.2",
    "created_by_ref": "3.2",
    "revoked": "3.2",
    "labels": "3.2",
    "confidence": "3.2",
    "lang": "3.2",
    "external_references": "2.5",
    "object_marking_refs": "7.2.2",
    "granular_markings": "7.2.3",
    "extensions": "7.3",
    "kill_chain_phases": "2.11",
    "hashes": "2.7",
}
_SECTIONS: Final = {
    **DOMAIN_OBJECTS,
    **RELATIONSHIP_OBJECTS,
    **OBSERVABLE_OBJECTS,
    **META_OBJECTS,
    "bundle": "8",
}


def of(kind: str) -> str:
    """Return the clause that defines the object type `kind`; that of custom objects if STIX defines none."""
    return f"{SPECIFICATION} §{_SECTIONS.get(kind, '11.2')}"


def of_property(kind: str, path: Sequence[str | int]) -> str:
    """Return the clause that governs the property at `path` of an object of type `kind`."""
    for step in reversed(path[:2]):
        if isinstance(step, str) and (section := _OF_PROPERTY.get(step)):
            return f"{SPECIFICATION} §{section}"
    return of(kind)
