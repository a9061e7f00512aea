"""What STIX 2.1 allows and OASIS's schemas refuse as they are published."""

from typing import Any

import pytest
from tests.stix.bad.case import of, ref

from lezha.stix import encode, read

MARKING = "marking-definition--11111111-1111-4111-8111-111111111111"

ALLOWED = [
    ("artifact", {"mime_type": "chemical/x-pdb"}),
    ("tool", {"granular_markings": [{"selectors": ["name"], "lang": "sq"}]}),
    ("file", {"granular_markings": [{"selectors": ["hashes.MD5"], "marking_ref": MARKING}]}),
    ("email-message", {"additional_header_fields": {"Reply-To": ["ana@example.org"]}}),
    ("email-message", {"additional_header_fields": {"X-subject": "a"}}),
    ("ipv6-addr", {"value": "::ffff:192.0.2.1"}),
    ("process", {"pid": None, "created_time": "2022-07-15T08:00:00Z"}),
    ("process", {"extensions": {"windows-process-ext": {"integrity_level": "high"}}}),
    ("windows-registry-key", {"key": None, "modified_time": "2022-07-15T08:00:00Z"}),
    ("windows-registry-key", {"key": "HKEY_USERS\\HKCU of old"}),
    ("software", {"languages": ["zh-Hant", "es-419", "sr-Latn-ME"]}),
    ("observed-data", {"object_refs": [ref("x-tool-observable"), ref("tool-mark")]}),
    ("observed-data", {"object_refs": None, "objects": {"0": of("url") | {"type": "x-my-profile"}}}),
    ("marking-definition", {"definition_type": "statement-of-use", "definition": {"use": "a"}}),
]


@pytest.mark.parametrize(("kind", "properties"), ALLOWED)
def test_what_stix_allows_is_taken(kind: str, properties: dict[str, Any]) -> None:
    if "objects" in properties:
        custom = properties["objects"]["0"]
        custom["id"] = f"{custom['type']}--{custom['id'].partition('--')[2]}"
    assert read(encode(of(kind, **properties))).type == kind
