"""Domain objects, relationships and meta objects (STIX 2.1 §4, §5, §7)."""

from tests.stix.bad.case import EXTENSION, LATER, broken, marked, of, ref, wrong_target
from tests.stix.examples import AMBER, NOW

from lezha.stix.markings import TLP1_IDS

OBJECTS = [
    broken("a pattern says something", "4.7", "indicator", {}, {"pattern": " "}),
    broken("a pattern is one", "9", "indicator", {}, {"pattern": "[a:b = ]"}),
    broken("an indicator is valid for a time", "4.7", "indicator", {"valid_until": LATER}, {"valid_until": NOW}),
    broken("a location is somewhere", "4.10", "location", {}, {"country": None}),
    broken(
        "a latitude has a longitude", "4.10", "location", {"latitude": 41.3, "longitude": 19.8}, {"latitude": 41.3}
    ),
    broken("a latitude ends at the pole", "4.10", "location", {}, {"latitude": 90.1, "longitude": 19.8}),
    broken("precision is of coordinates", "4.10", "location", {}, {"precision": 5.0}),
    broken("a family has a name", "4.11", "malware", {"is_family": True, "name": "a"}, {"is_family": True}),
    wrong_target("malware", "4.11", "sample_refs", "file", "url"),
    wrong_target("malware", "4.11", "operating_system_refs", "software", "tool"),
    broken("an analysis has a result", "4.12", "malware-analysis", {}, {"result": None}),
    wrong_target("malware-analysis", "4.12", "host_vm_ref", "software", "tool"),
    wrong_target("malware-analysis", "4.12", "sample_ref", "file", "tool"),
    wrong_target("observed-data", "4.14", "object_refs", "url", "malware"),
    wrong_target("observed-data", "4.14", "object_refs", "url", "marking-definition"),
    wrong_target("observed-data", "4.14", "object_refs", "url", "bundle"),
    broken(
        "what is observed is an observable",
        "4.14",
        "observed-data",
        {"object_refs": [ref("url"), ref("relationship")]},
        {"object_refs": [ref("relationship")]},
    ),
    broken(
        "what is observed stands in one place",
        "4.14",
        "observed-data",
        {"object_refs": None, "objects": {"0": of("url")}},
        {"objects": {"0": of("url")}},
    ),
    broken("something is observed once", "4.14", "observed-data", {}, {"number_observed": 0}),
    broken("an opinion is one of five", "4.15", "opinion", {}, {"opinion": "perhaps"}),
    *(wrong_target(kind, "8.2", "object_refs", "tool", "bundle") for kind in ("grouping", "note", "opinion", "report")),
    broken("a relation has plain letters", "5.1", "relationship", {}, {"relationship_type": "uses_it"}),
    *(
        wrong_target("relationship", "5.1", name, right, wrong)
        for name in ("source_ref", "target_ref")
        for right, wrong in (
            ("tool", "relationship"), ("url", "sighting"), ("x-thing", "bundle"), ("tool", "marking-definition"),
            ("tool", "language-content"), ("tool", "extension-definition"),
        )
    ),
    broken("a relation ends after it began", "5.1", "relationship", {}, {"start_time": NOW, "stop_time": NOW}),
    *(
        wrong_target("sighting", "5.2", "sighting_of_ref", "x-thing", wrong)
        for wrong in ("sighting", "relationship", "url", "file", "marking-definition", "extension-definition")
    ),
    wrong_target("sighting", "5.2", "observed_data_refs", "observed-data", "url"),
    wrong_target("sighting", "5.2", "where_sighted_refs", "location", "tool"),
    broken("a count has nine digits", "5.2", "sighting", {"count": 999_999_999}, {"count": 1_000_000_000}),
    broken("a count is not negative", "5.2", "sighting", {"count": 0}, {"count": -1}),
]  # fmt: skip

TLP_RED = {
    "id": TLP1_IDS["red"], "created": "2017-01-20T00:00:00.000Z", "name": "TLP:RED", "definition_type": "tlp",
    "definition": {"tlp": "red"},
}  # fmt: skip
META = [
    broken(
        "a translation is of an object", "7.1", "language-content", {"object_ref": ref("tool")},
        {"object_ref": ref("bundle")},
    ),
    *(
        broken(
            f"{tag!r} is no language", "7.1", "language-content", {"contents": {"de-AT": {"name": "a"}}},
            {"contents": {tag: {"name": "a"}}},
        )
        for tag in ("", "x", "deutsch-", "de_AT", "123")
    ),
    *(
        broken("a translation has properties", "7.1", "language-content", {}, {"contents": {"sq": contents}})
        for contents in ({}, "emri", {"name": [None]})
    ),
    broken("a marking definition has no version", "7.2.1", "marking-definition", {}, {"modified": NOW}),
    broken("a marking definition is not revoked", "7.2.1", "marking-definition", {}, {"revoked": False}),
    broken("a marking definition says something", "7.2.1", "marking-definition", {}, {"definition": None}),
    broken(
        "another TLP:RED is none", "7.2.1", "marking-definition", TLP_RED,
        TLP_RED | {"id": ref("marking-definition")},
    ),
    broken("TLP:RED is red", "7.2.1", "marking-definition", TLP_RED, TLP_RED | {"definition": {"tlp": "white"}}),
    broken("TLP:RED says so", "7.2.1.4", "marking-definition", TLP_RED, TLP_RED | {"definition": {}}),
    broken(
        "TLP:RED says nothing else", "7.2.1.4", "marking-definition", TLP_RED,
        TLP_RED | {"definition": {"tlp": "red", "but": "clear"}},
    ),
    broken("no statement has TLP:RED's id", "7.2.1.4", "marking-definition", {}, {"id": TLP_RED["id"]}),
    broken(
        "a granular marking marks", "7.2.3", "tool", marked("name"), {"granular_markings": [{"selectors": ["name"]}]}
    ),
    broken(
        "a granular marking marks once",
        "7.2.3",
        "tool",
        {"granular_markings": [{"selectors": ["name"], "lang": "sq"}]},
        {"granular_markings": [{"selectors": ["name"], "lang": "sq", "marking_ref": AMBER}]},
    ),
    broken(
        "a granular language is one",
        "7.2.3",
        "tool",
        {"granular_markings": [{"selectors": ["name"], "lang": "sq"}]},
        {"granular_markings": [{"selectors": ["name"], "lang": "sq_AL"}]},
    ),
    *(
        broken(f"{selector!r} selects nothing", "7.2.3", "file", marked(right), marked(selector))
        for right, selector in (
            ("hashes", "name"), ("hashes.MD5", "hashes.SHA-1"), ("hashes.MD5", "hashes.[0]"), ("type", "type.[0]"),
            ("granular_markings.[0].selectors.[0]", "granular_markings.[1]"), ("id", "id.id"),
            ("granular_markings", "granular_markings.selectors"), ("hashes", f"granular_markings.[{'9' * 5000}]"),
            ("hashes", "hashes."), ("hashes", "$.hashes"), ("hashes", "hashes[0]"),
            ("hashes", "granular_markings.[-1]"),
        )
    ),
    broken("an extension has an author", "7.3", "extension-definition", {}, {"created_by_ref": None}),
    broken(
        "an extension of names is for the top level",
        "7.3",
        "extension-definition",
        {"extension_types": ["toplevel-property-extension"], "extension_properties": ["rank"]},
        {"extension_properties": ["rank"]},
    ),
    broken(
        "an extension is named by its id",
        "7.3",
        "tool",
        {"extensions": {EXTENSION: {"extension_type": "property-extension"}}},
        {"extensions": {"extension": {"extension_type": "property-extension"}}},
    ),
    broken(
        "an extension says its type",
        "7.3",
        "tool",
        {"extensions": {EXTENSION: {"extension_type": "property-extension"}}},
        {"extensions": {EXTENSION: {"rank": 1}}},
    ),
]  # fmt: skip
