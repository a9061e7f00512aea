"""Observables, on their own and in the container that once held them (STIX 2.1 §6, §2.13)."""

from typing import Any

from tests.stix.bad.case import HASHES, LATER, broken, marked, of, ref, wrong_target
from tests.stix.examples import AMBER, AUTHOR, NOW

MAILS = {"is_multipart": True}
OBSERVABLES = [
    broken("an artifact has a payload", "6.1", "artifact", {}, {"payload_bin": None}),
    broken("an artifact is in one place", "6.1", "artifact", {}, {"url": "https://a.example/", "hashes": HASHES}),
    broken("a payload is base64", "6.1", "artifact", {}, {"payload_bin": "!"}),
    broken("a key is for something", "6.1", "artifact", {}, {"decryption_key": "a"}),
    broken(
        "an artifact's url is one",
        "6.1",
        "artifact",
        {"payload_bin": None, "hashes": HASHES, "url": "https://a.example/"},
        {"payload_bin": None, "hashes": HASHES, "url": "not a url"},
    ),
    wrong_target("directory", "6.3", "contains_refs", "file", "url"),
    *(
        broken(f"{value[:20]!r} is no domain name", "6.4", "domain-name", {"value": "a.example"}, {"value": value})
        for value in ("", "a..b", "a b.example", "-a.example", "a-.example", f"{'a' * 64}.example", "https://a.example/")
    ),
    broken("a domain name has 253 characters", "6.4", "domain-name", {}, {"value": f"{'a' * 49}." * 6}),
    broken("a label of Unicode is short as well", "6.4", "domain-name", {"value": "ë.al"}, {"value": f"{'ë' * 63}.al"}),
    wrong_target("domain-name", "6.4", "resolves_to_refs", "ipv6-addr", "mac-addr"),
    broken("an address has no name", "6.5", "email-addr", {}, {"value": "Ana <ana@example.org>"}),
    wrong_target("email-addr", "6.5", "belongs_to_ref", "user-account", "identity"),
    *(
        wrong_target("email-message", "6.6", name, "email-addr", "identity")
        for name in ("from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs")
    ),
    wrong_target("email-message", "6.6", "raw_email_ref", "artifact", "file"),
    broken("a message has one body", "6.6", "email-message", {"body": "a"}, {"body_multipart": [{"body": "a"}]}),
    broken("a message of parts has no body", "6.6", "email-message", MAILS, MAILS | {"body": "a"}),
    broken(
        "a part has a body",
        "6.6",
        "email-message",
        MAILS | {"body_multipart": [{"body": "a"}]},
        MAILS | {"body_multipart": [{"content_type": "text/plain"}]},
    ),
    broken(
        "a part is a file",
        "6.6.2",
        "email-message",
        MAILS | {"body_multipart": [{"body_raw_ref": ref("file")}]},
        MAILS | {"body_multipart": [{"body_raw_ref": ref("file")}, {"body_raw_ref": ref("url")}]},
    ),
    broken("a file has a name or hashes", "6.7", "file", {"hashes": None, "name": "a"}, {"hashes": None}),
    broken("a file has no negative size", "6.7", "file", {"size": 0}, {"size": -1}),
    wrong_target("file", "6.7", "parent_directory_ref", "directory", "file"),
    wrong_target("file", "6.7", "content_ref", "artifact", "file"),
    wrong_target("file", "6.7", "contains_refs", "x-thing", "malware"),
    broken("a reference is an id", "2.9", "file", {"content_ref": ref("artifact")}, {"content_ref": "artifact--1"}),
    broken(
        "an archive holds files",
        "6.7.2",
        "file",
        {"extensions": {"archive-ext": {"contains_refs": [ref("file"), ref("directory")]}}},
        {"extensions": {"archive-ext": {"contains_refs": [ref("file"), ref("url")]}}},
    ),
    broken("an octet ends at 255", "6.8", "ipv4-addr", {"value": "203.0.113.255"}, {"value": "203.0.113.256"}),
    broken("a prefix ends at 32", "6.8", "ipv4-addr", {"value": "203.0.113.0/32"}, {"value": "203.0.113.0/33"}),
    *(
        case
        for kind, clause in (("ipv4-addr", "6.8"), ("ipv6-addr", "6.9"))
        for case in (
            wrong_target(kind, clause, "resolves_to_refs", "mac-addr", "domain-name"),
            wrong_target(kind, clause, "belongs_to_refs", "autonomous-system", "identity"),
        )
    ),
    broken("a group has hexadecimal digits", "6.9", "ipv6-addr", {"value": "2001:db8::f"}, {"value": "2001:db8::g"}),
    broken("a MAC address is lower-case", "6.10", "mac-addr", {}, {"value": "00:00:5E:00:53:01"}),
    broken("traffic has an end", "6.12", "network-traffic", {}, {"src_ref": None}),
    broken("what goes on has not ended", "6.12", "network-traffic", {"end": NOW}, {"end": NOW, "is_active": True}),
    broken("a port has 16 bits", "6.12", "network-traffic", {"dst_port": 65535}, {"dst_port": 65536}),
    broken(
        "traffic does not end before it began", "6.12", "network-traffic", {"start": NOW, "end": NOW},
        {"start": LATER, "end": NOW},
    ),
    *(
        wrong_target("network-traffic", "6.12", name, right, wrong)
        for name, right, wrong in (
            ("src_ref", "domain-name", "url"), ("dst_ref", "mac-addr", "network-traffic"),
            ("src_payload_ref", "artifact", "file"), ("dst_payload_ref", "artifact", "file"),
            ("encapsulates_refs", "network-traffic", "url"), ("encapsulated_by_ref", "network-traffic", "url"),
        )
    ),
    broken(
        "the body of a request is an artifact",
        "6.12.2",
        "network-traffic",
        {"extensions": {"http-request-ext": {
            "request_method": "get", "request_value": "/", "message_body_data_ref": ref("artifact")}}},
        {"extensions": {"http-request-ext": {
            "request_method": "get", "request_value": "/", "message_body_data_ref": ref("file")}}},
    ),
    broken("a process says something", "6.13", "process", {}, {"pid": None}),
    broken("a name is no property of a process", "6.13", "process", {}, {"pid": None, "name": "a"}),
    broken(
        "a variable is a string", "6.13", "process", {"environment_variables": {"a": "1"}},
        {"environment_variables": {"a": 1}},
    ),
    *(
        wrong_target("process", "6.13", name, right, wrong)
        for name, right, wrong in (
            ("opened_connection_refs", "network-traffic", "url"), ("creator_user_ref", "user-account", "identity"),
            ("image_ref", "file", "artifact"), ("parent_ref", "process", "file"), ("child_refs", "process", "file"),
        )
    ),
    broken(
        "a service is of files",
        "6.13.3",
        "process",
        {"extensions": {"windows-service-ext": {"service_dll_refs": [ref("file")]}}},
        {"extensions": {"windows-service-ext": {"service_dll_refs": [ref("artifact")]}}},
    ),
    broken(
        "a CPE is nothing but one", "6.14", "software", {"cpe": "cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*"},
        {"cpe": "a cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*"},
    ),
    broken("software speaks languages", "6.14", "software", {"languages": ["zh-Hant"]}, {"languages": ["zh_Hant"]}),
    *(
        broken(f"{value!r} is no URL", "6.15", "url", {"value": "https://a.example/%20?b#c"}, {"value": value})
        for value in ("", "a.example", "https://a.example/a b", "https://a.example/ë", "https://a.example/%2", "//a/b")
    ),
    broken("an account says something", "6.16", "user-account", {}, {"user_id": None}),
    broken("a key says something", "6.17", "windows-registry-key", {}, {"key": None}),
    broken("a hive is written out", "6.17", "windows-registry-key", {"key": "HKEY_USERS\\HKLM"}, {"key": "hklm\\a"}),
    broken("a value of a key says something", "6.17", "windows-registry-key", {}, {"values": [{"x_a": 1}]}),
    wrong_target("windows-registry-key", "6.17", "creator_user_ref", "user-account", "identity"),
    broken("a certificate says something", "6.18", "x509-certificate", {}, {"serial_number": None}),
]  # fmt: skip


def observed(**objects: dict[str, Any]) -> dict[str, Any]:
    return {"object_refs": None, "objects": objects}


ADDRESS = of("ipv4-addr")
CONTAINER = [
    broken(
        "a reference in a container stays in it",
        "2.13",
        "observed-data",
        observed(a=of("network-traffic", src_ref="b"), b=ADDRESS),
        observed(a=of("network-traffic", src_ref="c"), b=ADDRESS),
    ),
    broken(
        "a reference in a container names no other type",
        "6.12",
        "observed-data",
        observed(a=of("network-traffic", src_ref="b"), b=ADDRESS),
        observed(a=of("network-traffic", src_ref="b"), b=of("url")),
    ),
    broken(
        "a day in a container is one",
        "2.16",
        "observed-data",
        observed(a=of("file", mtime=NOW)),
        observed(a=of("file", mtime="2022-02-30T00:00:00Z")),
    ),
    broken(
        "a value in a container is one", "6.4", "observed-data", observed(a=of("domain-name")),
        observed(a=of("domain-name", value="a b")),
    ),
    broken(
        "a marking in a container is one",
        "3.2",
        "observed-data",
        observed(a=of("url", object_marking_refs=[AMBER])),
        observed(a=of("url", object_marking_refs=[AUTHOR])),
    ),
    broken(
        "a selector in a container points within it",
        "7.2.3",
        "observed-data",
        observed(a=of("url", **marked("value"))),
        observed(a=of("url", **marked("name"))),
    ),
    broken(
        "no key of a container hides what it holds", "4.14", "observed-data", observed(**{"a\nb": of("url")}),
        observed(**{"a\nb": {"type": "url"}}),
    ),
]  # fmt: skip
