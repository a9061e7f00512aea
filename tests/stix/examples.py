"""Small STIX objects to start from; each test changes what it is about."""

from typing import Any

from lezha.stix import encode

AUTHOR = "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11"
AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"

SOME_ID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
NOW = "2022-07-15T08:00:00.000Z"


def indicator(**changes: Any) -> dict[str, Any]:
    """An indicator as feeds write it; a change to None removes the property."""
    data = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created_by_ref": AUTHOR,
        "created": "2022-07-15T08:00:00.000Z",
        "modified": "2022-07-15T09:30:00.123Z",
        "name": "203.0.113.7",
        "description": "Zërat e qytetit",
        "indicator_types": ["malicious-activity"],
        "pattern": "[ipv4-addr:value = '203.0.113.7']",
        "pattern_type": "stix",
        "valid_from": "2022-07-15T00:00:00Z",
        "labels": ["exercise"],
        "confidence": 85,
        "object_marking_refs": [AMBER],
    } | changes
    return {name: value for name, value in data.items() if value is not None}


def indicator_bytes(**changes: Any) -> bytes:
    return encode(indicator(**changes))


def sco(kind: str, **properties: Any) -> bytes:
    """An observable; its id is random, as it may always be (STIX 2.1 §2.9)."""
    return encode({"type": kind, "id": f"{kind}--{SOME_ID}", **properties})


def versioned(kind: str, **changes: Any) -> bytes:
    common = {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{SOME_ID}",
        "created": NOW,
        "modified": NOW,
    }
    return encode(common | changes)


DOMAIN: dict[str, dict[str, Any]] = {
    "attack-pattern": {"name": "Spearphishing"},
    "campaign": {"name": "HomeLand Justice"},
    "course-of-action": {"name": "Patch"},
    "grouping": {"context": "malware-analysis", "object_refs": [AUTHOR]},
    "identity": {"name": "AKCESK"},
    "incident": {"name": "July 2022"},
    "indicator": {"pattern": "[a:b = 'c']", "pattern_type": "stix", "valid_from": NOW},
    "infrastructure": {"name": "C2"},
    "intrusion-set": {"name": "A set"},
    "location": {"country": "AL"},
    "malware": {"is_family": False},
    "malware-analysis": {"product": "a product", "result": "malicious"},
    "note": {"content": "seen", "object_refs": [AUTHOR]},
    "observed-data": {
        "first_observed": NOW,
        "last_observed": NOW,
        "number_observed": 1,
        "object_refs": [f"url--{SOME_ID}"],
    },
    "opinion": {"opinion": "agree", "object_refs": [AUTHOR]},
    "report": {"name": "A report", "published": NOW, "object_refs": [AUTHOR]},
    "threat-actor": {"name": "An actor"},
    "tool": {"name": "A tool"},
    "vulnerability": {"name": "CVE-2019-0604"},
    "relationship": {
        "relationship_type": "uses",
        "source_ref": f"campaign--{SOME_ID}",
        "target_ref": f"malware--{SOME_ID}",
    },
    "sighting": {"sighting_of_ref": f"indicator--{SOME_ID}"},
    "language-content": {"object_ref": AUTHOR, "contents": {"sq": {"name": "emri"}}},
    "extension-definition": {
        "created_by_ref": AUTHOR,
        "name": "an extension",
        "schema": "https://example.org/schema",
        "version": "1.0.0",
        "extension_types": ["property-extension"],
    },
}
OBSERVABLE: dict[str, dict[str, Any]] = {
    "artifact": {"payload_bin": "TGV6aGE="},
    "autonomous-system": {"number": 64496},
    "directory": {"path": "C:\\Windows"},
    "domain-name": {"value": "example.org"},
    "email-addr": {"value": "a@example.org"},
    "email-message": {"is_multipart": False},
    "file": {"hashes": {"MD5": "7b71764236f244ae971742ee1bc6b098"}},
    "ipv4-addr": {"value": "203.0.113.0/24"},
    "ipv6-addr": {"value": "2001:db8::/32"},
    "mac-addr": {"value": "00:00:5e:00:53:01"},
    "mutex": {"name": "a mutex"},
    "network-traffic": {"protocols": ["tcp"], "src_ref": f"ipv4-addr--{SOME_ID}"},
    "process": {"pid": 1},
    "software": {"name": "Exchange"},
    "url": {"value": "https://example.org/a"},
    "user-account": {"user_id": "u1"},
    "windows-registry-key": {"key": "HKEY_LOCAL_MACHINE\\Software"},
    "x509-certificate": {"serial_number": "01"},
}
