"""Small STIX objects to start from; each test changes what it is about."""

from typing import Any

from lezha.stix import encode

AUTHOR = "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11"
AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"


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
    return encode({"type": kind, "id": f"{kind}--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f", **properties})
