"""What holds for every object: its id, its values, its common properties (STIX 2.1 §2, §3)."""

from tests.stix.bad.case import EXTENSION, HASHES, LATER, REFERENCES, broken, marked, ref
from tests.stix.examples import AMBER, AUTHOR, NOW, SOME_ID

IDENTIFIERS = [
    broken("an id begins with its type", "2.9", "malware", {}, {"id": f"tool---{SOME_ID}"}),
    broken("a UUID has its variant", "2.9", "tool", {}, {"id": "tool--8e2e2d2b-17d4-4cbf-c38f-98ee46b3cd3f"}),
    broken("a UUID has its version", "2.9", "tool", {}, {"id": "tool--8e2e2d2b-17d4-9cbf-938f-98ee46b3cd3f"}),
    broken("an id is no SQL", "2.9", "indicator", {}, {"id": "indicator--'; DROP TABLE contents; --"}),
    broken("an id is no path", "2.9", "indicator", {}, {"id": "../../etc/passwd"}),
    broken("an id is no path behind its type", "2.9", "tool", {}, {"id": f"tool--../../{SOME_ID}"}),
    broken("an id has no NUL", "2.9", "tool", {}, {"id": f"tool--{SOME_ID}\0"}),
    broken(
        "what makes no id has a random one",
        "2.9",
        "email-message",
        {"subject": "a", "id": f"email-message--{SOME_ID.replace('-4', '-5', 1)}"},
        {"id": f"email-message--{SOME_ID.replace('-4', '-5', 1)}"},
    ),
    broken(
        "a process has a random id",
        "2.9",
        "process",
        {},
        {"id": f"process--{SOME_ID.replace('-4', '-5', 1)}"},
    ),
    broken(
        "a versioned observable keeps off the ids that all share",
        "3.6",
        "domain-name",
        {
            "value": "example.com",
            "id": "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
            "created": NOW,
            "modified": NOW,
        },
        {
            "value": "example.com",
            "id": "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
            "created": NOW,
            "modified": NOW,
            "created_by_ref": AUTHOR,
            "revoked": False,
        },
    ),
]

TYPES = [
    broken(
        "a key of a dictionary is short ASCII",
        "2.3",
        "process",
        {"environment_variables": {"PATH": "a"}},
        {"environment_variables": {"PÄTH": "a"}},
    ),
    broken("a dictionary is not empty", "6.12", "network-traffic", {"ipfix": {"a": 1}}, {"ipfix": {}}),
    broken(
        "a reference says more than its source",
        "2.5",
        "tool",
        {"external_references": REFERENCES},
        {"external_references": [{"source_name": "a"}]},
    ),
    broken(
        "a CVE is written as one",
        "2.5",
        "vulnerability",
        {"external_references": [{"source_name": "cve", "external_id": "CVE-2019-0604"}]},
        {"external_references": [{"source_name": "cve", "external_id": "2019-0604"}]},
    ),
    broken(
        "a hash of a reference is of the vocabulary",
        "2.5",
        "tool",
        {"external_references": [{**REFERENCES[0], "hashes": HASHES}]},
        {"external_references": [{**REFERENCES[0], "hashes": {"xSHA-256x": "a"}}]},
    ),
    broken(
        "a hash has a name of three characters",
        "2.7",
        "file",
        {"hashes": {"abc": "1"}},
        {"hashes": {"ab": "1"}},
    ),
    broken(
        "a hash has the form of its kind", "2.7", "file", {"hashes": HASHES}, {"hashes": {"SHA-256": "ab"}}
    ),
    broken("a list is not empty", "2.12", "tool", {"labels": ["a"]}, {"labels": []}),
    broken("a custom list is not empty", "2.12", "tool", {"x_list": ["a"]}, {"x_list": []}),
    broken(
        "a list in a translation is not empty",
        "2.12",
        "language-content",
        {"contents": {"sq": {"goals": ["a"]}}},
        {"contents": {"sq": {"goals": []}}},
    ),
    broken("a month is one of twelve", "2.16", "report", {"published": NOW}, {"published": "2022-13-01T00:00:00Z"}),
    broken("February has no 30th", "2.16", "report", {"published": NOW}, {"published": "2022-02-30T00:00:00Z"}),
    broken("a common year has no 29th", "2.16", "report", {}, {"published": "2023-02-29T00:00:00Z"}),
    broken("a day has no hour 24", "2.16", "report", {}, {"published": "2022-02-28T24:00:00Z"}),
    broken("a time ends in Z", "2.16", "report", {}, {"published": "2022-02-28T00:00:00"}),
    broken("a time has no offset", "2.16", "report", {}, {"published": "2022-02-28T00:00:00+01:00"}),
    broken("no year is 0", "2.16", "report", {}, {"published": "0000-02-28T00:00:00Z"}),
    broken("a time has ASCII digits", "2.16", "report", {}, {"published": "٢022-02-28T00:00:00Z"}),
    broken("a time of creation is a day", "2.16", "tool", {}, {"created": "2022-02-30T00:00:00.000Z"}),
]  # fmt: skip

DAYS = [
    broken(f"{name} of {kind} is a day", "2.16", kind, {name: NOW}, {name: "2022-02-30T00:00:00Z"})
    for kind, names in {
        "campaign": ("first_seen", "last_seen"),
        "directory": ("ctime", "mtime", "atime"),
        "email-message": ("date",),
        "file": ("ctime", "mtime", "atime"),
        "indicator": ("valid_from",),
        "language-content": ("object_modified",),
        "malware-analysis": ("submitted", "analysis_started", "analysis_ended"),
        "network-traffic": ("start", "end"),
        "observed-data": ("first_observed", "last_observed"),
        "process": ("created_time",),
        "relationship": ("start_time", "stop_time"),
        "user-account": (
            "account_created",
            "account_expires",
            "credential_last_changed",
            "account_first_login",
            "account_last_login",
        ),
        "windows-registry-key": ("modified_time",),
        "x509-certificate": ("validity_not_before", "validity_not_after"),
    }.items()
    for name in names
] + [
    broken(
        "the day of a program is one",
        "2.16",
        "file",
        {"extensions": {"windows-pebinary-ext": {"pe_type": "exe", "time_date_stamp": "2022-02-28T00:00:00Z"}}},
        {"extensions": {"windows-pebinary-ext": {"pe_type": "exe", "time_date_stamp": "2022-02-30T00:00:00Z"}}},
    ),
    broken(
        "the day of a key is one",
        "2.16",
        "x509-certificate",
        {"x509_v3_extensions": {"private_key_usage_period_not_after": NOW}},
        {"x509_v3_extensions": {"private_key_usage_period_not_after": "2022-02-30T00:00:00Z"}},
    ),
]  # fmt: skip

GENERAL = [
    broken("a name has no capitals", "3.1", "tool", {"x_name": 1}, {"x_Name": 1}),
    broken("a name that ends in id is a name", "3.1", "tool", {"x_id": 1}, {"X-id": 1}),
    broken("a name has three characters", "3.1", "tool", {"abc": 1}, {"ab": 1}),
    broken("a name is ASCII", "3.1", "tool", {"x_emri": 1}, {"x_ëmri": 1}),
    broken(
        "a name in an extension has no capitals",
        "3.1",
        "tool",
        {"extensions": {EXTENSION: {"extension_type": "property-extension", "rank": 1}}},
        {"extensions": {EXTENSION: {"extension_type": "property-extension", "Rank": 1}}},
    ),
    broken("a name in a marking has no hyphen", "3.1", "marking-definition", {"x_a": 1}, {"x-a": 1}),
    broken("an encoding is of something", "3.1", "file", {"name": "a", "name_enc": "latin1"}, {"name_enc": "latin1"}),
    broken("a creator is an identity", "3.2", "tool", {"created_by_ref": AUTHOR}, {"created_by_ref": ref("tool")}),
    broken("a marking is one", "3.2", "tool", {"object_marking_refs": [AMBER]}, {"object_marking_refs": [AUTHOR]}),
    broken("an object is not changed before it is made", "3.2", "tool", {"modified": LATER}, {"created": LATER}),
    broken("a time of creation has milliseconds", "3.2", "tool", {}, {"created": "2022-07-15T08:00:00.0Z"}),
    broken(
        "a marking's creation has milliseconds", "3.2", "marking-definition", {}, {"created": "2022-07-15T08:00:00Z"}
    ),
    broken("confidence ends at 100", "3.2", "tool", {"confidence": 100}, {"confidence": 101}),
    broken("a language is a tag", "3.2", "tool", {"lang": "sr-Latn-ME"}, {"lang": "Shqip (AL)"}),
    broken("a language has no underscore", "3.2", "sighting", {"lang": "sq-AL"}, {"lang": "sq_AL"}),
    broken("no tool is defanged", "3.2", "tool", {}, {"defanged": True}),
    broken("no marking is defanged", "3.2", "marking-definition", {}, {"defanged": False}),
    broken(
        "no marking marks itself",
        "3.2",
        "marking-definition",
        {"object_marking_refs": [AMBER]},
        {"object_marking_refs": [ref("marking-definition", SOME_ID)]},
    ),
    broken(
        "no marking marks a part of itself",
        "3.2",
        "marking-definition",
        marked("definition"),
        {"granular_markings": [{"selectors": ["definition"], "marking_ref": ref("marking-definition", SOME_ID)}]},
    ),
    *(
        broken(f"{name} is reserved", "3.8", kind, {f"x_{name}": "a"}, {name: "a"})
        for name in ("severity", "username", "phone_number", "action")
        for kind in ("tool", "url", "marking-definition")
    ),
]  # fmt: skip
